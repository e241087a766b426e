//! The world of one seed: what happens, in its order, and that everything is checked after each happening.

use crate::{
    chance::{Ratio, Stream},
    checks::{self, Violation},
    faults::{self, Break},
    node::{Flight, Node, Step, WORKSPACE},
    options::Options,
    planted::{self, Planted},
    queue::Queue,
    site::{LAST, Site},
    trace::{Trace, short},
    workload,
};
use tandem_actors::Command;
use tandem_storage::engine::Fault;
use tandem_wire::SecretKey;

/// Time between two commands, at most; so that some come while a group is on its way, and share the next.
const COMMAND_GAP_US: u64 = 200;
/// Time that a step of a group takes, at most.
const STEP_US: u64 = 100;
/// Time that a node is down, at most.
const DOWN_US: u64 = 300;
/// For each fault, so many commands.
const COMMANDS_PER_FAULT: u64 = 10;
/// What the wall clocks show when the world begins, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_750_000_000_000;
/// How far a clock jumps, at most.
const CLOCK_JUMP_MS: u64 = 400 * 24 * 3_600_000;
/// How many writes a rebuild or an opening does, about; a fuse of such a length ends it somewhere.
const WRITES_OF_A_REBUILD: u64 = 8;
/// How often the views of a node at rest are compared with everything that they must equal, besides when it starts.
const LOOK: Ratio = Ratio(1, 32);
/// After the last fault everything must be done within so many happenings.
const HEALED_HAPPENINGS_MAX: u32 = 100;

/// One seed's nodes, and everything around them.
pub struct World {
    /// What happened.
    pub trace: Trace,
    options: Options,
    queue: Queue<(usize, Happening)>,
    sites: Vec<Site>,
    streams: Streams,
}

struct Streams {
    workload: Stream,
    pace: Stream,
    faults: Stream,
    disk: Stream,
    looks: Stream,
}

#[derive(Debug, Clone)]
enum Happening {
    /// Somebody hands a command in.
    Command,
    /// A group takes its next step, if the node still lives that life.
    Step(Step, u32),
    /// Something breaks.
    Break(Break),
    /// The node starts.
    Open,
    /// Faults have ended: a last command must come through.
    LastCommand,
}

impl World {
    /// Of this seed, with one node, whose disk has its workspace's founding event.
    pub fn new(seed: u64, options: Options) -> Self {
        let stream = |name| Stream::of(seed, name);
        let mut keys = stream("keys");
        let node = Node::found(SecretKey::from_bytes(&keys.bytes()), keys.bytes(), options.planted);
        let streams = Streams {
            workload: stream("workload"),
            pace: stream("pace"),
            faults: stream("faults"),
            disk: stream("disk"),
            looks: stream("looks"),
        };
        Self { trace: Trace::default(), options, queue: Queue::default(), sites: vec![Site::new(node)], streams }
    }

    /// Lets everything happen: first things break, then they heal and must get on. Gives the digest of the views.
    pub fn run(&mut self) -> Result<[u8; 32], Violation> {
        self.plan();
        while let Some((at, happening)) = self.queue.advance() {
            self.happen(at, happening)?;
        }
        self.heal()?;
        self.finish(0)
    }

    /// How many events the logs hold.
    pub fn events(&self) -> u64 {
        self.sites.iter().map(|site| site.log.events().count() as u64).sum()
    }

    fn plan(&mut self) {
        let count = u64::from(self.options.commands);
        for at in 0..self.sites.len() {
            self.queue.plan(0, (at, Happening::Open));
            let mut in_us = 0;
            for _ in 0..count {
                in_us += self.streams.pace.below(COMMAND_GAP_US);
                self.queue.plan(in_us, (at, Happening::Command));
            }
            for _ in 0..count / COMMANDS_PER_FAULT {
                let what = faults::draw(&mut self.streams.faults);
                let when = self.streams.faults.below(in_us.max(1));
                self.queue.plan(when, (at, Happening::Break(what)));
            }
        }
    }

    fn happen(&mut self, at: usize, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Command => self.command(at),
            Happening::Step(step, life) if life == self.sites[at].node.life => self.step(at, step)?,
            Happening::Step(..) => return Ok(()),
            Happening::Break(what) => self.break_it(at, what)?,
            Happening::Open => self.open(at)?,
            Happening::LastCommand => {
                let last = Command::CreateList { name: LAST.into(), fields: vec![] };
                self.hand_in(at, last);
            }
        }
        self.look(at)
    }

    fn command(&mut self, at: usize) {
        if self.sites[at].node.store().is_none() {
            self.trace.mark("command-while-down");
            return;
        }
        let command = workload::draw(&mut self.streams.workload, &self.sites[at].model, &workload::PLAIN);
        self.hand_in(at, command);
    }

    fn hand_in(&mut self, at: usize, command: Command) {
        self.line(at, "command", &workload::describe(&command));
        self.sites[at].node.waiting.push_back(command);
        self.start_group(at);
    }

    /// What waits becomes a group, if none is on its way.
    fn start_group(&mut self, at: usize) {
        let node = &self.sites[at].node;
        // The first command starts the group; those that come until it is decided join it.
        if node.flight.is_none() && !node.waiting.is_empty() && !node.deciding {
            self.sites[at].node.deciding = true;
            self.plan_step(at, Step::Decide);
        }
    }

    fn plan_step(&mut self, at: usize, step: Step) {
        let life = self.sites[at].node.life;
        let in_us = 1 + self.streams.pace.below(STEP_US);
        self.queue.plan(in_us, (at, Happening::Step(step, life)));
    }

    fn step(&mut self, at: usize, step: Step) -> Result<(), Violation> {
        if step == Step::Release {
            return self.release(at);
        }
        let clock_ms = self.clock_ms(at);
        match self.sites[at].node.step(step, clock_ms, self.options.group_commands_max) {
            Ok(next) => {
                self.line(at, step.name(), "");
                self.plan_step(at, next);
                if step == Step::Sync { self.sites[at].settle() } else { Ok(()) }
            }
            Err(error) => {
                self.line(at, "failed", &format!("{}: {error}", step.name()));
                self.stop(at);
                Ok(())
            }
        }
    }

    /// The answers go out: from here on their promises must be kept.
    fn release(&mut self, at: usize) -> Result<(), Violation> {
        let site = &mut self.sites[at];
        let flight = site.node.release();
        let released = flight.events();
        site.durable.read(&site.node.disk.crash(0), WORKSPACE)?;
        let store = site.node.store().expect("a step has a node that is up");
        checks::released_is_durable_and_applied(&site.durable, store, &released)?;
        checks::opening_finds_nothing_to_do(store)?;
        for (command, answer) in flight.commands.iter().zip(&flight.answers) {
            self.trace.mark(match answer {
                Ok(done) if done.events.is_empty() => "nothing-to-do",
                Ok(_) => "done",
                Err(refused) => refused.code(),
            });
            site.take_answer(command, answer)?;
        }
        let (done, refused): (Vec<_>, Vec<_>) = flight.answers.iter().partition(|answer| answer.is_ok());
        if !done.is_empty() && !refused.is_empty() {
            self.trace.mark("refused-beside-done");
        }
        self.line(at, "release", &format!("{} done, {} refused", done.len(), refused.len()));
        self.start_group(at);
        Ok(())
    }

    fn break_it(&mut self, at: usize, what: Break) -> Result<(), Violation> {
        let node = &mut self.sites[at].node;
        let is_up = node.store().is_some();
        match what {
            Break::PowerCut if is_up => self.stop(at),
            Break::Fuse(fault) => {
                let writes = self.streams.faults.below(6);
                node.disk.light_fuse(writes, fault);
                self.line(at, "fuse", &format!("{fault:?} after {writes} writes"));
                self.trace.mark(match fault {
                    Fault::DiskFull => "disk-full",
                    Fault::SyncFailed => "sync-failed",
                });
            }
            Break::ClockJump => {
                node.clock_off_ms = self.streams.faults.below(2 * CLOCK_JUMP_MS) as i64 - CLOCK_JUMP_MS as i64;
                self.trace.mark(if node.clock_off_ms < 0 { "clock-back" } else { "clock-ahead" });
                let details = format!("{} ms", node.clock_off_ms);
                self.line(at, "clock", &details);
            }
            Break::ClockBroken => {
                node.clock_off_ms = i64::MAX;
                self.trace.mark("clock-broken");
                self.line(at, "clock", "broken");
            }
            Break::Rebuild if is_up && node.flight.is_none() => self.rebuild(at)?,
            Break::PowerCut | Break::Rebuild => {}
        }
        Ok(())
    }

    fn rebuild(&mut self, at: usize) -> Result<(), Violation> {
        let cut_short = self.streams.faults.happens(Ratio(1, 2));
        let node = &mut self.sites[at].node;
        if cut_short {
            node.disk.light_fuse(self.streams.faults.below(WRITES_OF_A_REBUILD), Fault::DiskFull);
        }
        match node.rebuild() {
            Ok(()) => {
                self.trace.mark("rebuilt");
                self.line(at, "rebuild", "");
                let store = self.sites[at].node.store().expect("up");
                checks::only_one_generation(store)?;
                self.sites[at].check_views().map(drop)
            }
            Err(error) => {
                self.trace.mark("crash-in-rebuild");
                self.line(at, "failed", &format!("rebuild: {error}"));
                self.stop(at);
                Ok(())
            }
        }
    }

    /// Power fails, or the process stops itself after a failed write: what was not synced is kept in part.
    fn stop(&mut self, at: usize) {
        let node = &mut self.sites[at].node;
        let unsynced = node.disk.unsynced();
        let keep = self.streams.disk.below(unsynced as u64 + 1) as usize;
        let flight = node.crash(keep);
        self.trace.mark(faults::crash_mark(flight.as_ref()));
        if unsynced > 0 {
            self.trace.mark(if keep < unsynced { "torn-tail" } else { "whole-tail" });
        }
        self.line(at, "crash", &format!("keeps {keep} of {unsynced} commits"));
        if let Some(flight) = flight {
            self.sites[at].unanswered = Some(flight);
        }
        let in_us = self.streams.pace.below(DOWN_US);
        self.queue.plan(in_us, (at, Happening::Open));
    }

    fn open(&mut self, at: usize) -> Result<(), Violation> {
        if self.sites[at].node.store().is_some() {
            return Ok(());
        }
        if self.options.planted == Some(Planted::SeqReusedAfterCrash)
            && let Some(flight) = self.sites[at].unanswered.as_ref().filter(|flight| flight.done == Step::Sync)
        {
            planted::throw_away(&self.sites[at].node.disk, &flight.events());
        }
        checks::the_log_leads(&self.sites[at].node.disk, WORKSPACE)?;
        let writes = self.sites[at].node.disk.writes();
        if let Err(error) = self.sites[at].node.open() {
            self.trace.mark("crash-in-open");
            self.line(at, "failed", &format!("open: {error}"));
            self.stop(at);
            return Ok(());
        }
        let site = &mut self.sites[at];
        if site.node.disk.writes() > writes {
            self.trace.mark("caught-up");
        }
        site.log.read(&site.node.disk, WORKSPACE)?;
        if let Some(found) = site.resolve_unanswered()? {
            self.trace.mark(if found { "unanswered-found" } else { "unanswered-lost" });
        }
        self.sites[at].settle()?;
        let digest = self.sites[at].check_views()?;
        self.line(at, "open", &short(&digest));
        Ok(())
    }

    /// What is checked after every happening.
    fn look(&mut self, at: usize) -> Result<(), Violation> {
        let site = &mut self.sites[at];
        if site.node.store().is_none() {
            return Ok(());
        }
        site.log.read(&site.node.disk, WORKSPACE)?;
        let in_flight = site.node.flight.as_ref().map(Flight::events).unwrap_or_default();
        checks::log_is_what_was_promised(&site.log, &site.kept, &in_flight)?;
        if site.node.flight.is_none() && self.streams.looks.happens(LOOK) {
            site.check_views()?;
        }
        Ok(())
    }

    /// No more faults: everything must get on, within a bound.
    fn heal(&mut self) -> Result<(), Violation> {
        for at in 0..self.sites.len() {
            self.sites[at].node.disk.put_fuse_out();
            self.sites[at].node.clock_off_ms = 0;
            self.line(at, "heal", "");
            self.queue.plan(0, (at, Happening::Open));
            self.queue.plan(DOWN_US, (at, Happening::LastCommand));
        }
        for _ in 0..HEALED_HAPPENINGS_MAX {
            let Some((at, happening)) = self.queue.advance() else { break };
            self.happen(at, happening)?;
        }
        let missing: Vec<String> =
            self.sites.iter().enumerate().filter_map(|(at, site)| Some(format!("n{at} {}", site.missing()?))).collect();
        if missing.is_empty() { Ok(()) } else { Violation::of("gets-on-when-healed", missing.join("; ")) }
    }

    fn finish(&mut self, at: usize) -> Result<[u8; 32], Violation> {
        let digest = self.sites[at].check_views()?;
        self.line(at, "end", &short(&digest));
        Ok(digest)
    }

    fn clock_ms(&self, at: usize) -> u64 {
        let true_ms = EPOCH_MS + self.queue.now_us() / 1000;
        true_ms.saturating_add_signed(self.sites[at].node.clock_off_ms)
    }

    fn line(&mut self, at: usize, what: &str, details: &str) {
        self.trace.line(self.queue.now_us(), at, what, details);
    }
}
