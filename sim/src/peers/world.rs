//! The world of one seed with several members.

use super::{
    CLOSE_COMMANDS_MAX,
    checks::{self, Views},
    hostile::Hostile,
    links::Link,
    malice,
    members::{self, Removal},
    net::{Blocked, Weather},
    peer::{Done, LinkId, Peer, Step, Work},
    planted_designs, planted_verdicts,
    servers::{MIND_FROM_US, Servers},
    values,
};
use crate::{
    chance::{Ratio, Stream},
    checks::Violation,
    disk::Disk,
    node::WORKSPACE,
    options::{Options, Profile},
    planted::{self, Planted},
    queue::Queue,
    trace::Trace,
};
use std::collections::BTreeMap;
use tandem_actors::{Committed, Refused, authority::Policy, peer_link::PeerSession, workspace::found};
use tandem_storage::{
    engine::{Batch, Durability, Engine, Table},
    lacking::{Lacking, farewell, lacking, points},
    log,
    take::Received,
};
use tandem_wire::{
    Act, ChainId, DeviceKey, EventId, GenesisText, MemberId, SecretKey, VersionTable, WorkspaceId,
    limits::BATCH_BYTES_MAX,
};

/// Time between two commands of one node, at most.
const COMMAND_GAP_US: u64 = 40_000;
/// Time that a step of a node's work takes, at most.
pub(super) const STEP_US: u64 = 400;
/// Time that a node is down, at most.
pub(super) const DOWN_US: u64 = 400_000;
/// Time until a link that broke is dialled again, at most.
pub(super) const REDIAL_US: u64 = 150_000;
/// Time between two looks at whether everybody has everything, once all has healed.
pub(super) const LOOK_US: u64 = 5_000;
/// The same, where it takes a look at every outbox.
const JUDGED_LOOK_US: u64 = 40_000;
/// Things that somebody does at once, at most.
const BURST_COMMANDS_MAX: u64 = 4;
const TICK_US: u64 = 1_000_000;
/// Commands for each fault.
const COMMANDS_PER_FAULT: u64 = 12;
/// A clock that is more than this behind shows in what is written.
const BACKDATED_MS: i64 = 3_600_000;
/// What the wall clocks show when the world begins, in milliseconds since 1970.
pub(super) const EPOCH_MS: u64 = 1_750_000_000_000;
/// How many worlds have a member that keeps no rule, and from when on.
const HOSTILE: Ratio = Ratio(1, 5);
const HOSTILE_FROM_US: u64 = 300_000;
/// How often a new set of events is compared with the specification.
const NAIVE_LOOK: Ratio = Ratio(1, 96);
/// After the last fault everybody must have everything within so much time.
const HEALED_WITHIN_US: u64 = 90_000_000;
/// So much may happen until then: more is nodes that set each other off for ever.
const HEALED_HAPPENINGS_MAX: u64 = 100_000;

/// Several members' nodes, and everything around them.
pub struct World {
    /// What happened.
    pub trace: Trace,
    pub(super) options: Options,
    pub(super) workspace: WorkspaceId,
    pub(super) queue: Queue<Happening>,
    pub(super) peers: Vec<Peer>,
    pub(super) devices: Vec<DeviceKey>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) next_link: LinkId,
    /// Who dials whom.
    pub(super) edges: Vec<(usize, usize)>,
    pub(super) weather: Weather,
    pub(super) blocked: Vec<Blocked>,
    /// Bytes per millisecond, by node.
    pub(super) throttled: BTreeMap<usize, u64>,
    pub(super) views: Views,
    pub(super) removals: Vec<Removal>,
    /// Its number comes after those of the others.
    pub(super) hostile: Option<Hostile>,
    pub(super) servers: Option<Servers>,
    pub(super) is_healed: bool,
    pub(super) is_at_rest: bool,
    /// The checks look on. They change nothing: without them it is the same run.
    pub(super) is_watched: bool,
    pub(super) streams: Streams,
}

pub(super) struct Streams {
    pub(super) workload: Stream,
    pub(super) pace: Stream,
    pub(super) faults: Stream,
    pub(super) disk: Stream,
    pub(super) net: Stream,
    pub(super) looks: Stream,
}

#[derive(Debug)]
pub(super) enum Happening {
    /// Somebody does so many things, one right after the other.
    Commands(u64),
    /// A node's work takes its next step, if it still lives that life.
    Work(usize, u32),
    /// Bytes come out at one end.
    Bytes(LinkId, usize, Vec<u8>),
    /// One end hears that the link is no more.
    Hangup(LinkId, usize),
    /// What a session asked of the disk.
    Fetch(LinkId, usize, VersionTable),
    Find(LinkId, usize, ChainId),
    Part(LinkId, usize, VersionTable),
    Dial(usize),
    Tick,
    /// Has everybody everything?
    Look,
    Break,
    Hostile,
    /// The owner looks after its servers.
    Mind,
    Open(usize),
    Unblock,
}

impl World {
    /// Of this seed: a founder, and others that it has admitted and that have nothing yet.
    pub fn new(seed: u64, options: Options) -> Self {
        let stream = |name| Stream::of(seed, name);
        let (mut keys, mut shape) = (stream("keys"), stream("shape"));
        let mut members = 3 + shape.below(4).min(shape.below(4)) as usize;
        if options.profile.has_servers() {
            // Their servers come on top.
            members = members.min(3 + shape.below(3) as usize);
        }
        let servers = options.profile.has_servers().then(|| Servers::draw(stream("servers"), members, options.profile));
        let count = members + servers.as_ref().map_or(0, |servers| servers.seats.len());
        let secrets: Vec<SecretKey> = (0..count).map(|_| SecretKey::from_bytes(&keys.bytes())).collect();
        let hostile_key = shape.happens(HOSTILE).then(|| SecretKey::from_bytes(&keys.bytes()));
        let devices = secrets.iter().chain(&hostile_key).map(SecretKey::device).collect::<Vec<_>>();
        let names = GenesisText { workspace: "simulated".into(), member: "Ada".into() };
        let (workspace, genesis) = found(&secrets[0], keys.bytes(), MemberId([255; 16]), &names, EPOCH_MS);
        let mut peers: Vec<Peer> = secrets
            .into_iter()
            .map(|key| Peer::new(key, workspace, Disk::tampering(options.planted.and_then(Planted::tampers))))
            .collect();
        let mut batch = Batch::default();
        batch.put(Table::Log, log::key(WORKSPACE, 0), genesis.encode());
        peers[0].disk.commit(batch, Durability::Synced).expect("a new disk works");
        let mut edges: Vec<(usize, usize)> = (1..count).map(|n| (n, shape.below(n as u64) as usize)).collect();
        for a in 0..count {
            for b in 0..a {
                if !edges.contains(&(a, b)) && shape.happens(Ratio(1, 6)) {
                    edges.push((a, b));
                }
            }
        }
        if let Some(servers) = &servers {
            edges.iter_mut().filter(|edge| servers.are_apart(**edge)).for_each(|edge| edge.1 = 0);
            edges.sort_unstable();
            edges.dedup();
            for peer in &mut peers {
                (peer.begins_afresh, peer.planted) = (true, options.planted);
            }
            servers.seats.iter().for_each(|seat| peers[seat.node].policy = Some(Policy::default()));
        }
        let streams = Streams {
            workload: stream("workload"),
            pace: stream("pace"),
            faults: stream("faults"),
            disk: stream("disk"),
            net: stream("net"),
            looks: stream("looks"),
        };
        let weather = Weather::draw(&mut shape);
        let mut world = Self {
            trace: Trace::default(),
            options,
            workspace,
            queue: Queue::default(),
            peers,
            devices,
            links: BTreeMap::new(),
            next_link: 0,
            edges,
            weather,
            blocked: Vec::new(),
            throttled: BTreeMap::new(),
            views: Views::default(),
            removals: Vec::new(),
            servers,
            hostile: hostile_key.map(|key| Hostile::new(key, workspace, stream("hostile"))),
            is_healed: false,
            is_at_rest: false,
            is_watched: true,
            streams,
        };
        let mut first = members::admissions(&mut shape, &world.devices[1..]);
        if world.servers.as_ref().is_some_and(|servers| servers.seats.len() > 1) {
            world.trace.mark("two-servers");
        }
        for seat in world.servers.iter().flat_map(|servers| &servers.seats) {
            members::as_reader(&mut first[seat.node - 1]);
        }
        // A hostile member without the right to write is for the servers to refuse.
        if let Some(servers) = &mut world.servers
            && world.hostile.is_some()
            && servers.stream.happens(Ratio(1, 2))
        {
            members::as_reader(first.last_mut().expect("the hostile member's"));
        }
        world.peers[0].commands.extend(first);
        world
    }

    /// The same, without the checks that look on after every step.
    #[must_use]
    pub fn unwatched(mut self) -> Self {
        self.is_watched = false;
        self.peers.iter_mut().for_each(|peer| peer.is_watched = false);
        self
    }

    /// Lets everything happen: first things break, then they heal, and everybody must come to have everything.
    pub fn run(&mut self) -> Result<[u8; 32], Violation> {
        self.plan();
        let mut happenings_left = HEALED_HAPPENINGS_MAX;
        while let Some(happening) = self.queue.advance() {
            self.happen(happening)?;
            happenings_left -= u64::from(self.is_healed);
            if self.queue.now_us() >= self.faults_end_us() && !self.is_healed {
                self.heal();
            }
            if self.is_at_rest {
                return self.finish();
            }
            let is_late = self.queue.now_us() > self.faults_end_us() + HEALED_WITHIN_US;
            if self.is_healed && is_late || happenings_left == 0 {
                break;
            }
        }
        Violation::of("everybody-has-everything", self.missing().unwrap_or_default())
    }

    /// How many events the founder's log holds.
    pub fn events(&self) -> u64 {
        checks::events(&self.peers[0].disk).len() as u64
    }

    fn faults_end_us(&self) -> u64 {
        self.commands_planned() * COMMAND_GAP_US / 2 / self.peers.len() as u64 + 1_000_000
    }

    /// Servers write as well: fewer commands come to as many events.
    fn commands_planned(&self) -> u64 {
        let commands = u64::from(self.options.commands);
        if self.servers.is_some() { commands - commands / 6 } else { commands }
    }

    fn plan(&mut self) {
        let count = self.peers.len();
        (0..count).for_each(|at| self.queue.plan(0, Happening::Open(at)));
        (0..self.edges.len()).for_each(|edge| self.queue.plan(2_000 + edge as u64, Happening::Dial(edge)));
        self.queue.plan(TICK_US, Happening::Tick);
        let mut in_us = 500_000;
        let mut left = self.commands_planned();
        while left > 0 {
            let count = (1 + self.streams.pace.below(BURST_COMMANDS_MAX)).min(left);
            left -= count;
            in_us += self.streams.pace.below(count * COMMAND_GAP_US / self.peers.len() as u64);
            self.queue.plan(in_us, Happening::Commands(count));
        }
        self.queue.plan(HOSTILE_FROM_US, Happening::Hostile);
        if self.servers.is_some() {
            self.queue.plan(MIND_FROM_US, Happening::Mind);
        }
        let end = self.faults_end_us();
        for _ in 0..self.commands_planned() / COMMANDS_PER_FAULT {
            let when = self.streams.faults.below(end);
            self.queue.plan(when, Happening::Break);
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Commands(count) => self.commands(count),
            Happening::Work(at, life) if life == self.peers[at].life => self.work(at)?,
            Happening::Work(..) => {}
            Happening::Bytes(link, end, bytes) => self.bytes(link, end, &bytes)?,
            Happening::Hangup(link, end) => self.hang_up(link, end),
            Happening::Fetch(link, end, theirs) => {
                if let Some((store, _)) = self.session_at(link, end) {
                    let found = lacking(&store.engine().snapshot(), store.fold(), &theirs, BATCH_BYTES_MAX);
                    let mut found = found.expect("memory can be read");
                    if self.options.planted == Some(Planted::OutboxDropped) {
                        self.drop_waiting(link, end, &mut found);
                    }
                    self.tell(link, end, |session, _| session.fetched(found))?;
                }
            }
            Happening::Find(link, end, chain) => {
                if let Some((store, _)) = self.session_at(link, end) {
                    let found = points(&store.engine().snapshot(), store.fold(), chain).expect("memory can be read");
                    self.trace.mark("fork-points");
                    self.tell(link, end, |session, _| session.found(chain, found))?;
                }
            }
            Happening::Part(link, end, theirs) => {
                if let Some((store, session)) = self.session_at(link, end) {
                    let runs = farewell(&store.engine().snapshot(), store.fold(), &theirs, session.peer());
                    let runs = runs.expect("memory can be read");
                    self.tell(link, end, |session, _| session.parted(&runs))?;
                }
            }
            Happening::Dial(edge) => self.dial(edge)?,
            Happening::Tick => {
                let all: Vec<(LinkId, usize)> = self.links.keys().flat_map(|link| [(*link, 0), (*link, 1)]).collect();
                for (link, end) in all {
                    self.tell(link, end, PeerSession::tick)?;
                }
                self.queue.plan(TICK_US, Happening::Tick);
            }
            Happening::Look => {
                self.is_at_rest = self.missing().is_none();
                let every_us = if self.servers.is_some() { JUDGED_LOOK_US } else { LOOK_US };
                self.queue.plan(every_us, Happening::Look);
            }
            Happening::Hostile => self.hostile_acts(),
            Happening::Mind => self.mind_servers(),
            Happening::Break if self.is_healed => {}
            Happening::Break => self.break_something(),
            Happening::Open(at) => self.open(at)?,
            Happening::Unblock => {
                let now = self.queue.now_us();
                self.blocked.retain(|blocked| blocked.until_us > now);
            }
        }
        Ok(())
    }

    /// Has a node take its next step soon, if it has anything to do.
    pub(super) fn wake(&mut self, at: usize) {
        if self.peers[at].work.is_none() {
            self.plan_work(at);
        }
    }

    fn plan_work(&mut self, at: usize) {
        let in_us = 1 + self.streams.pace.below(STEP_US);
        let life = self.peers[at].life;
        self.queue.plan(in_us, Happening::Work(at, life));
    }

    fn work(&mut self, at: usize) -> Result<(), Violation> {
        let (clock_ms, takes_first) = (self.clock_ms(at), self.streams.pace.happens(Ratio(1, 2)));
        if self.peers[at].store().is_none() {
            return Ok(());
        }
        if self.peers[at].is_doomed() {
            self.stop(at);
            return Ok(());
        }
        let done = match self.peers[at].step(clock_ms, takes_first) {
            Ok(done) => done,
            Err(error) => {
                self.line(at, "failed", &error.to_string());
                self.stop(at);
                return Ok(());
            }
        };
        if self.peers[at].is_changed_by_a_failure {
            return Violation::of("a-failed-rehearsal-changes-nothing", format!("n{at} shows something else"));
        }
        if self.peers[at].bad_entries > 0 {
            let details = format!("{} entries are wrong or missing at n{at}", self.peers[at].bad_entries);
            return Violation::of("indexes-follow-the-records", details);
        }
        if let Some(details) = &self.peers[at].misreported {
            return Violation::of("a-rehearsal-is-of-what-there-is", details.clone());
        }
        match done {
            Done::Idle => return Ok(()),
            Done::Step(name @ ("rehearsed" | "merged-already" | "given-up")) => {
                self.trace.mark(name);
                self.line(at, name, "");
            }
            Done::Step(name) => {
                if name == "decide" && self.peers[at].clock_off_ms < -BACKDATED_MS {
                    self.trace.mark("backdated-clock");
                }
                self.line(at, name, "");
            }
            Done::Applied => self.moved(at)?,
            Done::Judged => {
                // What is drafted already does not know of it.
                let is_between = !self.peers[at].is_judging();
                if self.options.planted == Some(Planted::SecondVerdict) && is_between {
                    // A disk that fails keeps it from that.
                    let _ = malice::say_again(&mut self.peers[at], false);
                }
                // A disk that fails keeps it from that.
                let _ = self.lie(at);
                self.moved(at)?;
            }
            Done::Answered(answers) => self.answered(at, &answers)?,
            Done::Taken(_) if self.options.planted == Some(Planted::TableAdopted) => {}
            Done::Taken(link) => {
                let end = self.end_of(link, at);
                self.tell(link, end, |session, _| session.taken(1))?;
            }
        }
        if self.peers[at].is_busy() {
            self.plan_work(at);
        }
        Ok(())
    }

    /// A node's views have moved on: they are looked at, and every link hears of it.
    fn moved(&mut self, at: usize) -> Result<(), Violation> {
        let (options, hostile) = (self.options, self.hostile_device());
        let is_planted = |planted| options.planted == Some(planted);
        let peer = &mut self.peers[at];
        let store = peer.store().expect("up");
        let came_on = match &peer.work {
            Some(Work::Take { link, runs, .. }) => Some((*link, runs)),
            Some(Work::Verdicts { then: Some(then), .. }) => match &**then {
                Work::Take { link, runs, .. } => Some((*link, runs)),
                Work::Group { .. } | Work::Verdicts { .. } => None,
            },
            Some(Work::Verdicts { then: None, .. } | Work::Group { .. }) | None => None,
        };
        if let Some((_, runs)) = came_on.filter(|_| is_planted(Planted::PredOutsideThePast)) {
            let invalid = checks::invalid(store);
            let events = runs.iter().flat_map(|run| run.events().iter()).filter(|event| invalid.contains(&event.id()));
            let ops = events.flat_map(|event| &event.header().ops);
            ops.for_each(|op| planted::honour(store.engine(), store.fold().prefix(), op));
        }
        let has_verdicts = came_on.is_some_and(|(_, runs)| has_verdicts_of_others(runs, &[]));
        let is_through_another = came_on.is_some_and(|(link, runs)| {
            let nodes = self.links.get(&link).map(|link| link.nodes).unwrap_or_default();
            self.servers.is_some() && has_verdicts_of_others(runs, &nodes.map(|node| self.devices[node]))
        });
        let came_on = came_on.map(|(link, _)| link);
        if let Some(planted) = options.planted.filter(|planted| planted.profile().has_servers()) {
            planted_verdicts::believe(planted, store);
            planted_designs::lose(planted, store);
        }
        let shown = match &peer.work {
            Some(Work::Group { step: Step::Release, model, .. }) if self.is_watched => {
                Some(checks::shown_is_the_model(store, model)?)
            }
            _taking_or_unwatched => None,
        };
        let looks_closely = options.commands <= CLOSE_COMMANDS_MAX || self.streams.looks.happens(NAIVE_LOOK);
        if self.is_watched && self.views.compare(store)? && looks_closely {
            checks::views_are_the_naive_fold(store)?;
            checks::conflicts_are_of_values(store, self.options.planted)?;
            if self.options.profile == Profile::Values {
                values::hold(store, hostile)?;
            }
        }
        let (fold, table) = (store.fold().clone(), store.fold().version_table().digest());
        if fold.has_held() {
            self.trace.mark("held");
        }
        peer.had.insert(table);
        peer.shown = shown;
        self.line(at, "moved", &format!("{table:?}"));
        let mut links: Vec<LinkId> = self.peers[at].ends.keys().copied().collect();
        if is_through_another {
            self.trace.mark("verdict-through-another");
        }
        if is_planted(Planted::ForwardForgotten) || is_planted(Planted::VerdictNotForwarded) && has_verdicts {
            links.retain(|link| came_on.is_none_or(|came_on| came_on == *link));
        }
        for link in links {
            let end = self.end_of(link, at);
            self.tell(link, end, |session, _| session.advanced(fold.clone()))?;
        }
        Ok(())
    }

    fn answered(&mut self, at: usize, answers: &[Result<Committed, Refused>]) -> Result<(), Violation> {
        for answer in answers {
            self.trace.mark(match answer {
                Ok(done) if done.events.is_empty() => "nothing-to-do",
                Ok(_) => "done",
                Err(refused) => refused.code(),
            });
        }
        let made: Vec<EventId> =
            answers.iter().flatten().filter_map(|done| done.made.and(done.events.first().copied())).collect();
        let removals = made.into_iter().filter_map(|id| members::removal(&self.peers[at], id));
        let removals: Vec<Removal> = removals.collect();
        if !removals.is_empty() {
            self.trace.mark("removed");
        }
        self.removals.extend(removals);
        self.line(at, "release", &format!("{} answers", answers.len()));
        Ok(())
    }

    /// See [`Planted::OutboxDropped`].
    fn drop_waiting(&self, link: LinkId, end: usize, found: &mut Lacking) {
        let [at, other] = [end, 1 - end].map(|end| self.links[&link].nodes[end]);
        let is_server = self.servers.as_ref().is_some_and(|servers| servers.is_one(other));
        if is_server && !self.is_hostile(at) && self.peers[at].agreed.contains_key(&self.devices[other]) {
            planted_verdicts::drop_waiting(found, &self.peers[at]);
        }
    }

    pub(super) fn clock_ms(&self, at: usize) -> u64 {
        let true_ms = EPOCH_MS + self.queue.now_us() / 1000;
        true_ms.saturating_add_signed(self.peers[at].clock_off_ms)
    }

    pub(super) fn line(&mut self, at: usize, what: &str, details: &str) {
        self.trace.line(self.queue.now_us(), at, what, details);
    }
}

/// Whether there are verdicts among these runs of servers that are none of these.
fn has_verdicts_of_others(runs: &[Received], these: &[DeviceKey]) -> bool {
    let events = runs.iter().flat_map(|run| run.events().iter());
    let mut others = events.filter(|event| !these.contains(&event.header().chain.device));
    others.any(|event| event.header().ops.iter().any(|op| matches!(op.act, Act::Verdict(_))))
}
