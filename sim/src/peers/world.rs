//! The world of one seed with several members.

use super::{
    checks::{self, Views},
    members::{self, Removal},
    net::{Blocked, Way, Weather},
    peer::{Done, End, LinkId, Peer, Step, Work},
};
use crate::{
    chance::{Ratio, Stream},
    checks::Violation,
    disk::Disk,
    model::Model,
    node::WORKSPACE,
    options::Options,
    queue::Queue,
    trace::{Trace, short},
    workload,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_actors::{
    Committed, Refused,
    peer_link::{Closed, Ends, Frames, Output, PeerSession, Standing, framed},
    workspace::found,
};
use tandem_storage::{
    engine::{Batch, Durability, Engine, Fault, Table},
    lacking::{farewell, lacking, points},
    log,
};
use tandem_wire::{
    Act, ChainId, DeviceKey, Event, EventId, GenesisText, MemberId, Role, SecretKey, VersionTable, WorkspaceId,
    limits::BATCH_BYTES_MAX,
    message::{Message, Side},
};

/// Time between two commands of one node, at most.
const COMMAND_GAP_US: u64 = 40_000;
/// Time that a step of a node's work takes, at most.
const STEP_US: u64 = 400;
/// Time that a node is down, at most.
const DOWN_US: u64 = 400_000;
/// Time until a link that broke is dialled again, at most.
const REDIAL_US: u64 = 150_000;
const TICK_US: u64 = 1_000_000;
/// Commands for each fault.
const COMMANDS_PER_FAULT: u64 = 12;
/// What the wall clocks show when the world begins, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_750_000_000_000;
const CLOCK_JUMP_MS: u64 = 400 * 24 * 3_600_000;
/// How often a new set of events is compared with the specification.
const NAIVE_LOOK: Ratio = Ratio(1, 24);
/// After the last fault everybody must have everything within so much time.
const HEALED_WITHIN_US: u64 = 90_000_000;

/// Several members' nodes, and everything around them.
pub struct World {
    /// What happened.
    pub trace: Trace,
    options: Options,
    workspace: WorkspaceId,
    queue: Queue<Happening>,
    peers: Vec<Peer>,
    devices: Vec<DeviceKey>,
    links: BTreeMap<LinkId, Link>,
    next_link: LinkId,
    /// Who dials whom.
    edges: Vec<(usize, usize)>,
    weather: Weather,
    blocked: Vec<Blocked>,
    /// Bytes per millisecond, by node.
    throttled: BTreeMap<usize, u64>,
    views: Views,
    removals: Vec<Removal>,
    is_healed: bool,
    streams: Streams,
}

struct Streams {
    workload: Stream,
    pace: Stream,
    faults: Stream,
    disk: Stream,
    net: Stream,
    looks: Stream,
}

/// A stream between two nodes.
struct Link {
    nodes: [usize; 2],
    secret: [u8; 32],
    ways: [Way; 2],
    edge: usize,
    /// Nothing comes through any more.
    is_cut: bool,
}

#[derive(Debug)]
enum Happening {
    Command(usize),
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
    Break,
    Open(usize),
    Unblock,
}

impl World {
    /// Of this seed: a founder, and others that it has admitted and that have nothing yet.
    pub fn new(seed: u64, options: Options) -> Self {
        let stream = |name| Stream::of(seed, name);
        let (mut keys, mut shape) = (stream("keys"), stream("shape"));
        let count = 3 + shape.below(4) as usize;
        let secrets: Vec<SecretKey> = (0..count).map(|_| SecretKey::from_bytes(&keys.bytes())).collect();
        let devices: Vec<DeviceKey> = secrets.iter().map(SecretKey::device).collect();
        let names = GenesisText { workspace: "simulated".into(), member: "Ada".into() };
        let (workspace, genesis) = found(&secrets[0], keys.bytes(), MemberId([255; 16]), &names, EPOCH_MS);
        let peers: Vec<Peer> = secrets.into_iter().map(|key| Peer::new(key, workspace, Disk::default())).collect();
        let mut batch = Batch::default();
        batch.put(Table::Log, log::key(WORKSPACE, 0), genesis.encode());
        peers[0].disk.commit(batch, Durability::Synced).expect("a new disk works");
        let mut edges: Vec<(usize, usize)> = (1..count).map(|n| (n, shape.below(n as u64) as usize)).collect();
        for a in 0..count {
            for b in 0..a {
                if !edges.contains(&(a, b)) && shape.happens(Ratio(1, 4)) {
                    edges.push((a, b));
                }
            }
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
            is_healed: false,
            streams,
        };
        let first = members::admissions(&mut shape, &world.devices[1..]);
        world.peers[0].commands.extend(first);
        world
    }

    /// Lets everything happen: first things break, then they heal, and everybody must come to have everything.
    pub fn run(&mut self) -> Result<[u8; 32], Violation> {
        self.plan();
        while let Some(happening) = self.queue.advance() {
            self.happen(happening)?;
            if self.queue.now_us() >= self.faults_end_us() && !self.is_healed {
                self.heal();
            }
            if self.is_healed && self.missing().is_none() {
                return self.finish();
            }
            if self.is_healed && self.queue.now_us() > self.faults_end_us() + HEALED_WITHIN_US {
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
        u64::from(self.options.commands) * COMMAND_GAP_US / 2 / self.peers.len() as u64 + 1_000_000
    }

    fn plan(&mut self) {
        let count = self.peers.len();
        (0..count).for_each(|at| self.queue.plan(0, Happening::Open(at)));
        (0..self.edges.len()).for_each(|edge| self.queue.plan(2_000 + edge as u64, Happening::Dial(edge)));
        self.queue.plan(TICK_US, Happening::Tick);
        let mut in_us = vec![500_000; count];
        for n in 0..self.options.commands {
            let at = n as usize % count;
            in_us[at] += self.streams.pace.below(COMMAND_GAP_US);
            self.queue.plan(in_us[at], Happening::Command(at));
        }
        let end = self.faults_end_us();
        for _ in 0..u64::from(self.options.commands) / COMMANDS_PER_FAULT {
            let when = self.streams.faults.below(end);
            self.queue.plan(when, Happening::Break);
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Command(at) => self.command(at),
            Happening::Work(at, life) if life == self.peers[at].life => self.work(at)?,
            Happening::Work(..) => {}
            Happening::Bytes(link, end, bytes) => self.bytes(link, end, &bytes)?,
            Happening::Hangup(link, end) => self.hang_up(link, end),
            Happening::Fetch(link, end, theirs) => {
                if let Some((store, _)) = self.session_at(link, end) {
                    let found = lacking(&store.engine().snapshot(), store.fold(), &theirs, BATCH_BYTES_MAX);
                    let found = found.expect("memory can be read");
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
            Happening::Break if self.is_healed => {}
            Happening::Break => self.break_something()?,
            Happening::Open(at) => self.open(at)?,
            Happening::Unblock => {
                let now = self.queue.now_us();
                self.blocked.retain(|blocked| blocked.until_us > now);
            }
        }
        Ok(())
    }

    fn command(&mut self, at: usize) {
        let Some(store) = self.peers[at].store() else {
            self.trace.mark("command-while-down");
            return;
        };
        let stream = &mut self.streams.workload;
        let may_write = store.fold().role_of(self.devices[at]).is_some_and(|role| role >= Role::Writer);
        if !may_write && !stream.happens(Ratio(1, 8)) {
            return;
        }
        let change = stream.happens(Ratio(1, 80)).then(|| members::draw(stream, &self.peers[at], &self.devices));
        let command = match change.flatten() {
            Some(command) => command,
            None => workload::draw(stream, &Model::shown_by(store)),
        };
        self.line(at, "command", &workload::describe(&command));
        self.peers[at].commands.push_back(command);
        self.wake(at);
    }

    /// Has a node take its next step soon, if it has anything to do.
    fn wake(&mut self, at: usize) {
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
        if self.peers[at].is_doomed && self.peers[at].is_between() {
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
        match done {
            Done::Idle => return Ok(()),
            Done::Step(name) => self.line(at, name, ""),
            Done::Applied => self.moved(at)?,
            Done::Answered(answers) => self.answered(at, &answers)?,
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
        let peer = &mut self.peers[at];
        let store = peer.store().expect("up");
        if let Some(Work::Group { step: Step::Release, model, .. }) = &peer.work {
            checks::shown_is_the_model(store, model)?;
        }
        let is_new = self.views.compare(store)?;
        if is_new && self.streams.looks.happens(NAIVE_LOOK) {
            checks::views_are_the_naive_fold(store)?;
        }
        let (fold, table) = (store.fold().clone(), store.fold().version_table().digest());
        if fold.has_held() {
            self.trace.mark("held");
        }
        peer.had.insert(table);
        self.line(at, "moved", &format!("{table:?}"));
        let links: Vec<LinkId> = self.peers[at].ends.keys().copied().collect();
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
        let removals = made.into_iter().filter_map(|id| removal(&self.peers[at], id));
        let removals: Vec<Removal> = removals.collect();
        if !removals.is_empty() {
            self.trace.mark("removed");
        }
        self.removals.extend(removals);
        self.line(at, "release", &format!("{} answers", answers.len()));
        Ok(())
    }

    /// Hands something to the session at one end of a link, and does what it says.
    fn tell(
        &mut self,
        link: LinkId,
        end: usize,
        input: impl FnOnce(&mut PeerSession, u64) -> Vec<Output>,
    ) -> Result<(), Violation> {
        let Some(at) = self.links.get(&link).map(|link| link.nodes[end]) else { return Ok(()) };
        let now_ms = self.clock_ms(at);
        let Some(session) = self.peers[at].ends.get_mut(&link).and_then(|end| end.session.as_mut()) else {
            return Ok(());
        };
        let outputs = input(session, now_ms);
        self.carry_out(link, end, outputs)?;
        self.check_standing(link, end)
    }

    fn carry_out(&mut self, link: LinkId, end: usize, outputs: Vec<Output>) -> Result<(), Violation> {
        for output in outputs {
            let Some(at) = self.links.get(&link).map(|link| link.nodes[end]) else { return Ok(()) };
            match output {
                Output::Send(message) => self.send(link, end, &framed(&message)),
                Output::Fetch(theirs) => {
                    let in_us = 1 + self.streams.pace.below(STEP_US);
                    self.queue.plan(in_us, Happening::Fetch(link, end, theirs));
                }
                Output::Part(theirs) => {
                    self.trace.mark("parted");
                    self.queue.plan(1, Happening::Part(link, end, theirs));
                }
                Output::Find(chain) => self.queue.plan(1, Happening::Find(link, end, chain)),
                Output::Take(runs) => {
                    self.peers[at].takes.push_back((link, runs));
                    self.wake(at);
                }
                Output::Peers(_) => {}
                Output::Agreed => {
                    self.trace.mark("agreed");
                    let peer = &mut self.peers[at];
                    let other = self.devices[self.links[&link].nodes[1 - end]];
                    let session = peer.ends[&link].session.as_ref().expect("it speaks");
                    peer.agreed.insert(other, session.agreed().expect("just agreed").clone());
                }
                Output::Close(closed) => {
                    self.trace.mark(match closed {
                        Closed::ByPeer(_) => "closed-by-peer",
                        Closed::Violation(why) => {
                            let details = format!("node {at} says: {why}");
                            return Violation::of("honest-nodes-keep-the-protocol", details);
                        }
                        Closed::Newer(_) => "closed-newer",
                        Closed::Dead => "closed-dead",
                        Closed::Removed => "closed-removed",
                    });
                    self.line(at, "close", &closed.to_string());
                    self.peers[at].ends.remove(&link);
                    self.hang_up_other(link, end);
                }
            }
        }
        Ok(())
    }

    fn check_standing(&mut self, link: LinkId, end: usize) -> Result<(), Violation> {
        let Some(nodes) = self.links.get(&link).map(|link| link.nodes) else { return Ok(()) };
        let (peer, other) = (&self.peers[nodes[end]], &self.peers[nodes[1 - end]]);
        let Some(session) = peer.ends.get(&link).and_then(|end| end.session.as_ref()) else { return Ok(()) };
        if session.standing() == Standing::Different {
            self.trace.mark("different");
        }
        if peer.store().is_some() { checks::up_to_date_is_true(peer, session.standing(), other) } else { Ok(()) }
    }

    fn send(&mut self, link: LinkId, end: usize, bytes: &[u8]) {
        let Some(found) = self.links.get_mut(&link).filter(|found| !found.is_cut) else { return };
        let (from, to) = (found.nodes[end], found.nodes[1 - end]);
        let blocked = self.blocked.iter().filter(|blocked| (blocked.from, blocked.to) == (from, to));
        let until = blocked.map(|blocked| blocked.until_us).max().unwrap_or(0);
        let now = self.queue.now_us();
        let cap = self.throttled.get(&from).or(self.throttled.get(&to)).copied();
        let passage = self.weather.pass(&mut self.streams.net, &mut found.ways[end], (now, until), bytes.len(), cap);
        passage.marks.iter().for_each(|mark| self.trace.mark(mark));
        self.queue.plan(passage.at_us - now, Happening::Bytes(link, 1 - end, bytes.to_vec()));
    }

    fn bytes(&mut self, link: LinkId, end: usize, bytes: &[u8]) -> Result<(), Violation> {
        let Some(found) = self.links.get(&link) else { return Ok(()) };
        let at = found.nodes[end];
        let Some(half) = self.peers[at].ends.get_mut(&link) else { return Ok(()) };
        half.frames.push(bytes);
        loop {
            let Some(half) = self.peers[at].ends.get_mut(&link) else { return Ok(()) };
            let frame = match half.frames.take() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) => return Violation::of("honest-nodes-keep-the-protocol", error.to_string()),
            };
            if half.session.is_some() {
                self.tell(link, end, |session, now_ms| session.frame(now_ms, &frame))?;
            } else {
                self.answer(link, end, &frame)?;
            }
        }
    }

    /// Somebody dialled, and this is the first that is heard of it.
    fn answer(&mut self, link: LinkId, end: usize, frame: &[u8]) -> Result<(), Violation> {
        let (at, ends) = (self.links[&link].nodes[end], self.ends(link, end));
        let now_ms = self.clock_ms(at);
        let fold = self.peers[at].store().expect("a node that is down has no ends").fold().clone();
        let hello = match Message::decode(frame) {
            Ok(Message::Hello(hello)) if ends.is_meant_by(&hello.tag) => hello,
            other => return Violation::of("honest-nodes-keep-the-protocol", format!("{other:?} comes first")),
        };
        if !fold.members().knows(ends.peer) {
            self.trace.mark("stranger");
            self.peers[at].ends.remove(&link);
            self.hang_up_other(link, end);
            return Ok(());
        }
        let agreed = self.peers[at].agreed.get(&ends.peer).cloned();
        let (session, outputs) = PeerSession::listen(ends, fold, agreed, Some(&hello), now_ms);
        let half = self.peers[at].ends.get_mut(&link).expect("it has this end");
        half.frames.open();
        half.session = Some(session);
        self.carry_out(link, end, outputs)
    }

    fn dial(&mut self, edge: usize) -> Result<(), Violation> {
        let (dialer, listener) = self.edges[edge];
        let is_up = |at: usize| self.peers[at].store().is_some();
        let is_blocked =
            self.blocked.iter().any(|b| (b.from, b.to) == (dialer, listener) || (b.from, b.to) == (listener, dialer));
        let is_linked = self.links.values().any(|link| link.edge == edge);
        if is_linked {
            return Ok(());
        }
        if !is_up(dialer) || !is_up(listener) || is_blocked {
            self.redial(edge);
            return Ok(());
        }
        let link = self.next_link;
        self.next_link += 1;
        let secret = self.streams.net.bytes();
        self.links
            .insert(link, Link { nodes: [dialer, listener], secret, ways: [Way::default(); 2], edge, is_cut: false });
        let mut frames = Frames::new();
        frames.open();
        let (ends, now_ms) = (self.ends(link, 0), self.clock_ms(dialer));
        let (fold, agreed) = {
            let peer = &self.peers[dialer];
            (peer.store().expect("up").fold().clone(), peer.agreed.get(&ends.peer).cloned())
        };
        if agreed.is_some() {
            self.trace.mark("dialled-again");
        }
        let (session, outputs) = PeerSession::dial(ends, fold, agreed, None, now_ms);
        self.peers[dialer].ends.insert(link, End { session: Some(session), frames });
        self.peers[listener].ends.insert(link, End { session: None, frames: Frames::new() });
        self.line(dialer, "dial", &format!("n{listener}"));
        self.carry_out(link, 0, outputs)
    }

    fn redial(&mut self, edge: usize) {
        let in_us = 1 + self.streams.pace.below(REDIAL_US);
        self.queue.plan(in_us, Happening::Dial(edge));
    }

    fn ends(&self, link: LinkId, end: usize) -> Ends {
        let Link { nodes, secret, .. } = &self.links[&link];
        Ends {
            workspace: self.workspace,
            own: self.devices[nodes[end]],
            peer: self.devices[nodes[1 - end]],
            side: if end == 0 { Side::Dialer } else { Side::Listener },
            secret: *secret,
        }
    }

    fn session_at(&self, link: LinkId, end: usize) -> Option<(&tandem_storage::Store<Disk>, &PeerSession)> {
        let peer = &self.peers[self.links.get(&link)?.nodes[end]];
        Some((peer.store()?, peer.ends.get(&link)?.session.as_ref()?))
    }

    fn end_of(&self, link: LinkId, at: usize) -> usize {
        self.links.get(&link).map_or(0, |link| usize::from(link.nodes[1] == at))
    }

    /// One end is gone; the other hears of it after what is on its way.
    fn hang_up_other(&mut self, link: LinkId, end: usize) {
        let Some(found) = self.links.get(&link) else { return };
        let now = self.queue.now_us();
        let at_us = found.ways[end].busy_until_us().max(now) + 1;
        self.queue.plan(at_us - now, Happening::Hangup(link, 1 - end));
    }

    fn hang_up(&mut self, link: LinkId, end: usize) {
        let Some(found) = self.links.get(&link) else { return };
        let (at, other, edge) = (found.nodes[end], found.nodes[1 - end], found.edge);
        self.peers[at].ends.remove(&link);
        if self.peers[other].ends.contains_key(&link) {
            self.hang_up_other(link, end);
        } else {
            self.links.remove(&link);
            self.redial(edge);
        }
    }

    /// A link is cut: of what is on its way, some comes out in part, the rest is lost.
    fn cut(&mut self, link: LinkId) {
        let Some(found) = self.links.get_mut(&link).filter(|found| !found.is_cut) else { return };
        found.is_cut = true;
        let nodes = found.nodes;
        let lost = self.queue.retract(|happening| matches!(happening, Happening::Bytes(other, ..) if *other == link));
        for happening in lost {
            let Happening::Bytes(_, end, mut bytes) = happening else { unreachable!("these were chosen") };
            bytes.truncate(bytes.len() / 2);
            self.trace.mark("cut-in-mid-frame");
            self.queue.plan(1, Happening::Bytes(link, end, bytes));
            break;
        }
        self.trace.mark("cut");
        self.line(nodes[0], "cut", &format!("n{}", nodes[1]));
        for end in 0..2 {
            let in_us = 2 + self.streams.net.below(REDIAL_US);
            self.queue.plan(in_us, Happening::Hangup(link, end));
        }
    }

    fn break_something(&mut self) -> Result<(), Violation> {
        let at = self.streams.faults.below(self.peers.len() as u64) as usize;
        self.trace.mark("fault");
        match self.streams.faults.below(20) {
            0 | 1 => self.stop(at),
            2 | 3 => self.peers[at].is_doomed = true,
            4 => {
                let fault = if self.streams.faults.happens(Ratio(1, 2)) { Fault::DiskFull } else { Fault::SyncFailed };
                let writes = self.streams.faults.below(6);
                self.peers[at].disk.light_fuse(writes, fault);
                self.trace.mark("disk-fault");
                self.line(at, "fuse", &format!("{fault:?} after {writes} writes"));
            }
            5 | 6 => {
                let off = self.streams.faults.below(2 * CLOCK_JUMP_MS) as i64 - CLOCK_JUMP_MS as i64;
                self.peers[at].clock_off_ms = off;
                self.trace.mark("clock-jump");
                self.line(at, "clock", &format!("{off} ms"));
            }
            7..=11 => {
                let links: Vec<LinkId> = self.links.keys().copied().collect();
                if let Some(link) = self.streams.faults.pick(&links).copied() {
                    self.cut(link);
                }
            }
            12..=15 => self.part(at),
            16 => {
                let rate = 1 + self.streams.faults.below(20);
                self.throttled.insert(at, rate);
                self.line(at, "throttle", &format!("{rate} bytes per ms"));
            }
            17 => self.weather = Weather::draw(&mut self.streams.faults),
            18 => {
                let peer = &mut self.peers[at];
                peer.image = Some((Arc::new(peer.disk.crash(0)), peer.kept.clone()));
                self.line(at, "image", "");
            }
            _ => self.old_image(at),
        }
        Ok(())
    }

    /// Some are cut off from the others, one way or both, for a while.
    fn part(&mut self, at: usize) {
        let now = self.queue.now_us();
        let until_us = now + 1_000 + self.streams.faults.below(2_500_000);
        let one_way = self.streams.faults.happens(Ratio(1, 3));
        let side: BTreeSet<usize> =
            (0..self.peers.len()).filter(|other| *other == at || self.streams.faults.happens(Ratio(1, 3))).collect();
        for from in 0..self.peers.len() {
            for to in 0..self.peers.len() {
                let crosses = side.contains(&from) != side.contains(&to);
                if crosses && (side.contains(&from) || !one_way) {
                    self.blocked.push(Blocked { from, to, until_us });
                }
            }
        }
        self.trace.mark(if one_way { "one-way-partition" } else { "partition" });
        self.line(at, "part", &format!("{side:?} until {until_us}"));
        self.queue.plan(until_us - now, Happening::Unblock);
    }

    /// A node's disk is put back to what it was, without its knowing: its chains fork.
    fn old_image(&mut self, at: usize) {
        let Some((image, kept)) = self.peers[at].image.take() else { return };
        self.stop(at);
        let peer = &mut self.peers[at];
        let lost = peer.own_chain_events_lost(&image);
        (peer.disk, peer.kept, peer.unanswered) = (image, kept, BTreeSet::new());
        self.trace.mark(if lost { "old-image-lost-own" } else { "old-image" });
        self.line(at, "old-image", "");
    }

    fn stop(&mut self, at: usize) {
        if self.peers[at].store().is_none() {
            return;
        }
        let links: Vec<LinkId> = self.peers[at].ends.keys().copied().collect();
        let unsynced = self.peers[at].disk.unsynced();
        let keep = self.streams.disk.below(unsynced as u64 + 1) as usize;
        let mark = self.peers[at].crash(keep);
        self.trace.mark(mark);
        self.trace.mark("crash");
        self.line(at, "crash", &format!("keeps {keep} of {unsynced} commits"));
        for link in links {
            let end = self.end_of(link, at);
            self.hang_up_other(link, end);
        }
        let in_us = self.streams.pace.below(DOWN_US);
        self.queue.plan(in_us, Happening::Open(at));
    }

    fn open(&mut self, at: usize) -> Result<(), Violation> {
        if self.peers[at].store().is_some() {
            return Ok(());
        }
        if let Err(error) = self.peers[at].open() {
            self.trace.mark("crash-in-open");
            self.line(at, "failed", &format!("open: {error}"));
            let peer = &mut self.peers[at];
            let unsynced = peer.disk.unsynced();
            peer.disk = Arc::new(peer.disk.crash(unsynced));
            self.queue.plan(DOWN_US, Happening::Open(at));
            return Ok(());
        }
        checks::acknowledged_is_kept(&self.peers[at])?;
        let peer = &mut self.peers[at];
        let found = std::mem::take(&mut peer.unanswered);
        let there: BTreeSet<EventId> = checks::events(&peer.disk).iter().map(|event| event.id()).collect();
        peer.kept.extend(found.intersection(&there));
        let store = peer.store().expect("just opened");
        let (table, is_new) = (store.fold().version_table().digest(), self.views.compare(store)?);
        self.peers[at].had.insert(table);
        self.line(at, "open", &format!("{table:?} {is_new}"));
        if self.peers[at].is_busy() {
            self.wake(at);
        }
        Ok(())
    }

    /// No more faults: everything must get on.
    fn heal(&mut self) {
        self.is_healed = true;
        self.weather = Weather::clear();
        self.blocked.clear();
        self.throttled.clear();
        for at in 0..self.peers.len() {
            self.peers[at].disk.put_fuse_out();
            self.peers[at].clock_off_ms = 0;
            self.queue.plan(DOWN_US, Happening::Open(at));
            self.line(at, "heal", "");
        }
        // Whoever linked two members may have been removed meanwhile: everybody finds the owner.
        for at in 1..self.peers.len() {
            if !self.edges.contains(&(at, 0)) {
                self.edges.push((at, 0));
                self.queue.plan(DOWN_US, Happening::Dial(self.edges.len() - 1));
            }
        }
    }

    /// What is still lacking when everything has healed, in words.
    fn missing(&self) -> Option<String> {
        let mut missing = Vec::new();
        let owner = self.peers[0].store().map(|store| store.fold().clone());
        let Some(owner) = owner else { return Some("n0 is down".into()) };
        let table = owner.version_table();
        for (at, peer) in self.peers.iter().enumerate() {
            if owner.role_of(peer.device()).is_none() {
                continue;
            }
            let Some(own) = peer.table() else {
                missing.push(format!("n{at} is down"));
                continue;
            };
            if peer.is_busy() {
                missing.push(format!("n{at} is busy"));
            }
            let (lacks, more) = (table.since(&own).len(), own.since(&table).len());
            if lacks + more > 0 {
                missing.push(format!("n{at} differs from n0 in {} chains", lacks.max(more)));
            }
            let others = peer.ends.iter().filter_map(|(link, end)| Some((link, end.session.as_ref()?)));
            for (link, session) in others {
                let other = self.links[link].nodes[1 - self.end_of(*link, at)];
                if session.standing() != Standing::UpToDate && owner.role_of(self.devices[other]).is_some() {
                    missing.push(format!("n{at} is {:?} with n{other}", session.standing()));
                }
            }
        }
        let linked = |(edge, (a, b)): (usize, &(usize, usize))| {
            let both = [a, b].iter().all(|at| owner.role_of(self.devices[**at]).is_some());
            both && !self.links.values().any(|link| link.edge == edge)
        };
        let unlinked = self.edges.iter().enumerate().filter(|edge| linked(*edge)).count();
        if unlinked > 0 {
            missing.push(format!("{unlinked} links are down"));
        }
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    fn finish(&mut self) -> Result<[u8; 32], Violation> {
        let owner = self.peers[0].store().expect("up").fold().clone();
        for at in 0..self.peers.len() {
            checks::acknowledged_is_kept(&self.peers[at])?;
            let Some(store) = self.peers[at].store() else { continue };
            if owner.role_of(self.devices[at]).is_none() {
                continue;
            }
            self.views.compare(store)?;
            checks::views_are_the_naive_fold(store)?;
            checks::nothing_is_dropped(store)?;
            if checks::a_loser_came_back(store) {
                self.trace.mark("loser-restored");
            }
            if checks::removed_change_nothing(store, &self.removals)? > 0 {
                self.trace.mark("cut-with-late-events");
            }
        }
        let kept: BTreeSet<EventId> = self.peers.iter().flat_map(|peer| peer.kept.iter().copied()).collect();
        self.everything_arrived(&kept)?;
        let store = self.peers[0].store().expect("up");
        if owner.chains().any(|(chain, _)| owner.fork_of(*chain).is_some()) {
            self.trace.mark("fork");
        }
        let digest = tandem_storage::store::digest(store.fold(), &store.engine().snapshot()).expect("memory");
        self.line(0, "end", &short(&digest));
        Ok(digest)
    }

    /// P1 and P3 across nodes: what any member's node acknowledged is on all members' nodes.
    fn everything_arrived(&self, kept: &BTreeSet<EventId>) -> Result<(), Violation> {
        let owner = self.peers[0].store().expect("up").fold();
        let there: BTreeSet<EventId> = checks::events(&self.peers[0].disk).iter().map(|event| event.id()).collect();
        for peer in self.peers.iter().filter(|peer| owner.role_of(peer.device()).is_some()) {
            if let Some(lost) = peer.kept.intersection(kept).find(|event| !there.contains(*event)) {
                return Violation::of("acknowledged-arrives", format!("event {lost:?} is not at n0"));
            }
        }
        Ok(())
    }

    fn clock_ms(&self, at: usize) -> u64 {
        let true_ms = EPOCH_MS + self.queue.now_us() / 1000;
        true_ms.saturating_add_signed(self.peers[at].clock_off_ms)
    }

    fn line(&mut self, at: usize, what: &str, details: &str) {
        self.trace.line(self.queue.now_us(), at, what, details);
    }
}

/// The removal that an event of a node's own is, with what it had of the removed device.
fn removal(peer: &Peer, id: EventId) -> Option<Removal> {
    let events = checks::events(&peer.disk);
    let event = events.iter().find(|event| event.id() == id)?;
    let Act::Remove(remove) = &event.header().ops[0].act else { return None };
    let by_id: BTreeMap<EventId, &Arc<Event>> = events.iter().map(|event| (event.id(), event)).collect();
    let mut seen = BTreeSet::new();
    for mark in &remove.cuts {
        let mut at = Some(mark.0.id);
        while let Some(event) = at.and_then(|id| by_id.get(&id)) {
            seen.insert(event.id());
            at = event.header().prev;
        }
    }
    Some(Removal { device: remove.device, event: id, seen })
}
