//! The pure core of a link: one workspace, one peer, one authenticated stream between them.
//!
//! # A whole dialogue
//!
//! Ada's node dials Bob's. Both have the workspace; each has written something that the other lacks.
//!
//! ```text
//! Ada                                             Bob
//!  │ Hello {tag, state: a1}                        │    The tag tells him which workspace, for he has it too.
//!  ├──────────────────────────────────────────────▶│    To a stranger he would not even say that he has it.
//!  │                      Hello {tag, state: b1}   │
//!  │◀──────────────────────────────────────────────┤    Equal states, and that were all: nothing else is said.
//!  │ Table {round 0: chain → ends}                 │
//!  ├──────────────────────────────────────────────▶│    Each tells what it has: for each chain where it ends,
//!  │                 Table {round 0: chain → ends} │    or only what differs from when they agreed last.
//!  │◀──────────────────────────────────────────────┤
//!  │ Runs {runs, state: a1, is_through: false}     │    What the other lacks, control chains first, in the order in
//!  ├──────────────────────────────────────────────▶│    which it came here; up to 256 KiB in a message, and only as
//!  │ Runs {runs, state: a1, is_through: true}      │    much as the other has room for: 4 MiB that it has not said
//!  ├──────────────────────────────────────────────▶│    to have on its disk.
//!  │             Taken {bytes, state: b2, through} │
//!  │◀──────────────────────────────────────────────┤    On Bob's disk: that makes room again.
//!  │       Runs {runs, state: b2, is_through: true}│
//!  │◀──────────────────────────────────────────────┤
//!  │ Taken {bytes, state: a2, is_through: true}    │    Ada has everything now, and computed herself what that is:
//!  ├──────────────────────────────────────────────▶│    a2 = b2. Both are up to date, and both know it.
//!  ┆                                               ┆
//!  │ Runs {one edit, state: a3, is_through: true}  │    Hours later: an edit goes out as soon as it is durable.
//!  ├──────────────────────────────────────────────▶│    Bob hands it on to his other peers, just so.
//!  │             Taken {bytes, state: b3, through} │
//!  │◀──────────────────────────────────────────────┤
//! ```
//!
//! When both are through and what they say they have is still not the same, one of them left something out. They then
//! tell each other their tables again (`round 1`), at growing intervals. Nobody ever takes the other's word for what it
//! has itself.
//!
//! A chain that forked: when both have an end that the other does not know, neither can tell where the branches meet.
//! Who should have known the other's end asks, by telling some places of its own (`Points`); the other answers with its
//! own, and each goes on from the last one that it knows.
//!
//! To who was removed a node says nothing but that: the control events that show it, and `Bye`. What the removed device
//! still has to say is not taken in.
//!
//! The newcomer with a ticket says `Join` first; the other, when it has admitted it, says `Hello`, and from there on it
//! is this same dialogue, with everything lacking on one side.
//!
//! # Using it
//!
//! *Input*: [`PeerSession::frame`], [`PeerSession::advanced`], [`PeerSession::fetched`], [`PeerSession::found`],
//! [`PeerSession::parted`], [`PeerSession::taken`], [`PeerSession::tell_peers`], [`PeerSession::tick`].
//! Each gives *outputs*, to be carried out in their order. After [`Output::Close`] the session is over. *Questions*: [`PeerSession::standing`], [`PeerSession::agreed`].

use super::{
    parts::{Closed, Ends, Output, Standing},
    rounds::{Came, Rounds},
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};
use tandem_storage::{engine::Slice, fold::incremental::Fold, lacking::Lacking, take::Received};
use tandem_wire::{
    BadRun, ChainEnd, ChainId, DeviceKey, EventRef, TableDigest, VersionTable,
    limits::{BATCH_BYTES_MAX, TABLE_ENDS_MAX, WINDOW_BYTES_MAX},
    message::{
        BadMessage, Bye, Hello, Join, Message, PROTOCOL, PeerPlaces, Peers, Points, RunBytes, Runs, State, TablePart,
        Taken, tag,
    },
};

/// After so long without a word, ask whether anybody is there.
const PING_AFTER_MS: u64 = 15_000;
/// After so long without a word, nobody is.
const DEAD_AFTER_MS: u64 = 45_000;
/// After so many runs of the other's, see how much is kept of what it has.
const COUNT_AFTER_RUNS: usize = 4096;

/// See the module's doc.
pub struct PeerSession {
    ends: Ends,
    fold: Arc<Fold>,
    own: VersionTable,
    digest: TableDigest,
    has_greeted: bool,
    /// What this node had when it greeted.
    greeted_with: VersionTable,
    is_open: bool,
    was_member: bool,
    /// The other was removed: it is told so, and nothing else.
    is_parting: bool,
    rounds: Rounds,
    /// What both had when they agreed last.
    agreed: Option<Arc<VersionTable>>,
    /// What the other has or is being sent.
    theirs: Option<VersionTable>,
    /// Runs that told of it since it was counted.
    told_by_runs: usize,
    /// What is known to be theirs since the fetch under way was asked for.
    meanwhile: Vec<(Option<EventRef>, EventRef)>,
    fetch: Fetch,
    asked: BTreeSet<ChainId>,
    met: BTreeSet<ChainId>,
    sent_bytes: u64,
    acknowledged_bytes: u64,
    taken_bytes: u64,
    /// Bytes of each batch that the workspace takes in.
    taking: VecDeque<u64>,
    heard: Option<State>,
    told: Option<State>,
    heard_ms: u64,
    pinged: bool,
    now_ms: u64,
    clock_off_ms: i64,
    was_up_to_date: bool,
    verify: Verify,
}

/// Checks a run's bytes. Nothing but [`Received::verify`] makes what it gives.
pub type Verify = fn(Vec<u8>) -> Result<Received, BadRun>;

/// Finding out what the other lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetch {
    /// Nothing to do: it has all that is here, but for what is unclear.
    Idle,
    /// There may be something.
    Wanted,
    /// It is being found out.
    UnderWay {
        /// There may be something else meanwhile.
        again: bool,
    },
    /// What is being found out is of no use.
    Outdated,
}

impl PeerSession {
    /// As the one who dials. `agreed` is what both had when they agreed last, if that is known; a `join` comes before the
    /// greeting of who is no member yet.
    pub fn dial(
        ends: Ends,
        fold: Arc<Fold>,
        agreed: Option<Arc<VersionTable>>,
        join: Option<Join>,
        now_ms: u64,
    ) -> (Self, Vec<Output>) {
        let mut session = Self::new(ends, fold, agreed, now_ms);
        let mut out = Vec::new();
        match join {
            Some(join) => out.push(send(&Message::Join(join))),
            None => session.greet(&mut out),
        }
        (session, out)
    }

    /// As the one who is dialled, and knows by the opening which workspace is meant: by a hello, or by a join that it has
    /// granted.
    pub fn listen(
        ends: Ends,
        fold: Arc<Fold>,
        agreed: Option<Arc<VersionTable>>,
        hello: Option<&Hello>,
        now_ms: u64,
    ) -> (Self, Vec<Output>) {
        let mut session = Self::new(ends, fold, agreed, now_ms);
        let mut out = Vec::new();
        session.greet(&mut out);
        if let Some(hello) = hello {
            session.open(hello, &mut out);
        }
        (session, out)
    }

    fn new(ends: Ends, fold: Arc<Fold>, agreed: Option<Arc<VersionTable>>, now_ms: u64) -> Self {
        let own = fold.version_table();
        let (digest, was_member) = (own.digest(), fold.takes_part(ends.peer));
        Self {
            own,
            digest,
            has_greeted: false,
            greeted_with: VersionTable::default(),
            is_open: false,
            was_member,
            is_parting: fold.members().knows(ends.peer) && !was_member,
            ends,
            fold,
            rounds: Rounds::new(),
            agreed,
            theirs: None,
            told_by_runs: 0,
            meanwhile: Vec::new(),
            fetch: Fetch::Idle,
            asked: BTreeSet::new(),
            met: BTreeSet::new(),
            sent_bytes: 0,
            acknowledged_bytes: 0,
            taken_bytes: 0,
            taking: VecDeque::new(),
            heard: None,
            told: None,
            heard_ms: now_ms,
            pinged: false,
            now_ms,
            clock_off_ms: 0,
            was_up_to_date: false,
            verify: Received::verify,
        }
    }

    /// Has runs checked by whoever remembers those that [`Received::verify`] has checked: a world of many nodes, where
    /// each run is checked many times.
    #[must_use]
    pub fn verifying_by(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// A frame came in.
    pub fn frame(&mut self, now_ms: u64, bytes: &[u8]) -> Vec<Output> {
        self.now_ms = now_ms;
        (self.heard_ms, self.pinged) = (now_ms, false);
        let mut out = Vec::new();
        match Message::decode(bytes) {
            Ok(message) => match self.message(message, &mut out) {
                Ok(()) => self.go_on(&mut out),
                Err(closed) => close(closed, &mut out),
            },
            Err(BadMessage::Newer(version)) => close(Closed::Newer(version), &mut out),
            Err(BadMessage::Damaged) => close(Closed::Violation("a frame cannot be read"), &mut out),
        }
        out
    }

    /// The workspace has moved on, by whatever came in or was written here.
    pub fn advanced(&mut self, fold: Arc<Fold>) -> Vec<Output> {
        let mut out = Vec::new();
        self.own = fold.version_table();
        self.fold = fold;
        let digest = self.own.digest();
        if digest == self.digest {
            return out;
        }
        self.digest = digest;
        let is_member = self.fold.takes_part(self.ends.peer);
        if self.was_member && !is_member {
            self.is_parting = true;
            if let Some(theirs) = &self.theirs {
                out.push(Output::Part(theirs.clone()));
            }
        }
        self.was_member = is_member;
        if self.is_parting {
            return out;
        }
        self.want_fetch();
        self.go_on(&mut out);
        out
    }

    /// What [`Output::Fetch`] asked for.
    pub fn fetched(&mut self, lacking: Lacking) -> Vec<Output> {
        let mut out = Vec::new();
        let meanwhile = std::mem::take(&mut self.meanwhile);
        if self.fetch == Fetch::Outdated {
            self.fetch = Fetch::Wanted;
            self.go_on(&mut out);
            return out;
        }
        let is_all = lacking.is_all && self.fetch == Fetch::UnderWay { again: false };
        self.fetch = if is_all { Fetch::Idle } else { Fetch::Wanted };
        self.theirs = Some(lacking.then);
        meanwhile.into_iter().for_each(|(before, last)| self.is_theirs(before, last));
        for chain in lacking.unclear {
            if self.met.contains(&chain) {
                // Nothing at all in common.
                self.theirs.as_mut().expect("just set").set(chain, []);
                self.fetch = Fetch::Wanted;
            } else if self.asked.insert(chain) {
                out.push(Output::Find(chain));
            }
        }
        if !lacking.runs.is_empty() {
            let runs: Vec<RunBytes> = lacking.runs.iter().map(|run| RunBytes(run.to_vec())).collect();
            self.sent_bytes += bytes_of(&runs);
            let state = self.state();
            self.told = Some(state);
            out.push(send(&Message::Runs(Runs { runs, state })));
        }
        self.go_on(&mut out);
        out
    }

    /// What [`Output::Part`] asked for: the session is over.
    pub fn parted(&mut self, runs: &[Slice]) -> Vec<Output> {
        let (mut out, mut batch) = (Vec::new(), Vec::new());
        let state = State { is_through: false, ..self.state() };
        for run in runs {
            if bytes_of(&batch) + run.len() as u64 > BATCH_BYTES_MAX as u64 {
                out.push(send(&Message::Runs(Runs { runs: std::mem::take(&mut batch), state })));
            }
            batch.push(RunBytes(run.to_vec()));
        }
        out.push(send(&Message::Runs(Runs { runs: batch, state })));
        close(Closed::Removed, &mut out);
        out
    }

    /// What [`Output::Find`] asked for.
    pub fn found(&mut self, chain: ChainId, points: Vec<ChainEnd>) -> Vec<Output> {
        vec![send(&Message::Points(Points { chain, points }))]
    }

    /// The runs of the `count` oldest [`Output::Take`] are on the disk, or left out.
    pub fn taken(&mut self, count: usize) -> Vec<Output> {
        let mut out = Vec::new();
        self.taken_bytes += self.taking.drain(..count).sum::<u64>();
        let state = self.state();
        self.told = Some(state);
        out.push(send(&Message::Taken(Taken { bytes: self.taken_bytes, state })));
        self.go_on(&mut out);
        out
    }

    /// Where this node saw members' devices.
    pub fn tell_peers(&mut self, peers: Vec<PeerPlaces>) -> Vec<Output> {
        if self.is_open { vec![send(&Message::Peers(Peers { peers }))] } else { Vec::new() }
    }

    /// Time has passed; to be called every second or so.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Output> {
        self.now_ms = now_ms;
        let (mut out, silent_ms) = (Vec::new(), now_ms.saturating_sub(self.heard_ms));
        if silent_ms >= DEAD_AFTER_MS {
            out.push(Output::Close(Closed::Dead));
            return out;
        }
        if silent_ms >= PING_AFTER_MS && !self.pinged {
            self.pinged = true;
            out.push(send(&Message::Ping(now_ms)));
        }
        self.go_on(&mut out);
        out
    }

    /// The device at the other end.
    pub fn peer(&self) -> DeviceKey {
        self.ends.peer
    }

    /// How the two stand.
    pub fn standing(&self) -> Standing {
        if !self.is_open {
            return Standing::Greeting;
        }
        match (self.is_quiet(), self.heard.is_some_and(|heard| heard.table == self.digest)) {
            (true, true) => Standing::UpToDate,
            (true, false) => Standing::Different,
            (false, _) => {
                Standing::Syncing { lacking: self.theirs.as_ref().map_or(0, |theirs| theirs.events_beyond(&self.own)) }
            }
        }
    }

    /// What both had when they agreed last: for the next session with this peer.
    pub fn agreed(&self) -> Option<&Arc<VersionTable>> {
        self.agreed.as_ref()
    }

    /// By how much the other's clock is ahead of this one's, as it said in its greeting.
    pub fn clock_off_ms(&self) -> i64 {
        self.clock_off_ms
    }

    /// What the other has, as far as is known.
    pub fn theirs(&self) -> Option<&VersionTable> {
        self.theirs.as_ref()
    }

    fn greet(&mut self, out: &mut Vec<Output>) {
        let tag = tag(self.ends.workspace, &self.ends.secret, self.ends.own, self.ends.side);
        let agreed = self.agreed.as_ref().map(|table| table.digest());
        let hello = Hello { protocol: PROTOCOL, tag, state: self.digest, agreed, clock_ms: self.now_ms };
        self.has_greeted = true;
        self.greeted_with = self.own.clone();
        self.told = Some(State { table: self.digest, is_through: false });
        out.push(send(&Message::Hello(hello)));
    }

    /// The other has greeted.
    fn open(&mut self, hello: &Hello, out: &mut Vec<Output>) {
        self.is_open = true;
        self.clock_off_ms = hello.clock_ms.cast_signed().saturating_sub(self.now_ms.cast_signed());
        if self.agreed.as_ref().map(|table| table.digest()) != hello.agreed {
            self.agreed = None;
        }
        // What was told is what the greeting said, which the workspace may have left behind meanwhile.
        let told = self.told.expect("greeted").table;
        if hello.state == told {
            self.theirs = Some(std::mem::take(&mut self.greeted_with));
            let state = State { table: told, is_through: true };
            (self.told, self.heard) = (Some(state), Some(state));
            self.want_fetch();
        } else if !self.is_parting {
            self.tell_table(out);
        }
        self.go_on(out);
    }

    fn message(&mut self, message: Message, out: &mut Vec<Output>) -> Result<(), Closed> {
        match message {
            Message::Runs(_) | Message::Points(_) | Message::Taken(_) | Message::Peers(_)
                if self.is_open && self.is_parting => {}
            Message::Hello(hello) if !self.is_open => {
                if !self.ends.is_meant_by(&hello.tag) {
                    return Err(Closed::Violation("it greets for another workspace"));
                }
                if !self.has_greeted {
                    self.greet(out);
                }
                self.open(&hello, out);
            }
            Message::Bye(bye) => return Err(Closed::ByPeer(bye)),
            Message::Ping(number) => out.push(send(&Message::Pong(number))),
            Message::Pong(_) => {}
            _early if !self.is_open => return Err(Closed::Violation("something came before the greeting")),
            Message::Hello(_) | Message::Join(_) => return Err(Closed::Violation("it greets twice")),
            Message::Table(part) => self.table_part(part, out)?,
            Message::Points(points) => self.points(points, out)?,
            Message::Peers(Peers { peers }) => out.push(Output::Peers(peers)),
            Message::Runs(runs) => self.runs(runs, out)?,
            Message::Taken(taken) => {
                if taken.bytes < self.acknowledged_bytes || taken.bytes > self.sent_bytes {
                    return Err(Closed::Violation("it took in what was not sent"));
                }
                self.acknowledged_bytes = taken.bytes;
                self.heard = Some(taken.state);
            }
        }
        Ok(())
    }

    fn table_part(&mut self, part: TablePart, out: &mut Vec<Output>) -> Result<(), Closed> {
        let since_agreed = part.since_agreed;
        if self.rounds.begins_another(&part)? && !self.is_parting {
            self.tell_table(out);
        }
        let Came::Whole(told) = self.rounds.take(part)? else { return Ok(()) };
        let whole = match (since_agreed, &self.agreed) {
            (false, _) => told,
            (true, Some(agreed)) => told.on(agreed),
            (true, None) => return Err(Closed::Violation("it tells what differs from nothing")),
        };
        if self.is_parting {
            out.push(Output::Part(whole));
            return Ok(());
        }
        self.theirs = Some(whole);
        self.asked.clear();
        self.met.clear();
        self.meanwhile.clear();
        self.fetch_anew();
        // Whoever tells its table waits for the other's word.
        self.told = None;
        Ok(())
    }

    fn points(&mut self, Points { chain, points }: Points, out: &mut Vec<Output>) -> Result<(), Closed> {
        let Some(theirs) = &mut self.theirs else { return Err(Closed::Violation("places come before the table")) };
        if self.own.ends(chain).next().is_none() {
            return Err(Closed::Violation("it tells places of a chain that is not here"));
        }
        if self.met.insert(chain) {
            points.into_iter().for_each(|point| theirs.insert(point.of(chain)));
            self.fetch_anew();
        }
        if self.asked.insert(chain) {
            out.push(Output::Find(chain));
        }
        Ok(())
    }

    fn runs(&mut self, Runs { runs, state }: Runs, out: &mut Vec<Output>) -> Result<(), Closed> {
        self.heard = Some(state);
        if runs.is_empty() {
            return Ok(());
        }
        let bytes = bytes_of(&runs);
        let under_way: u64 = self.taking.iter().sum();
        if under_way + bytes > WINDOW_BYTES_MAX + BATCH_BYTES_MAX as u64 {
            return Err(Closed::Violation("it sends more than there is room for"));
        }
        let mut received = Vec::with_capacity(runs.len());
        for RunBytes(run) in runs {
            let run = (self.verify)(run).map_err(|_| Closed::Violation("a run is damaged or forged"))?;
            self.is_theirs(run.before(), run.last());
            received.push(run);
        }
        self.told_by_runs += received.len();
        if self.told_by_runs >= COUNT_AFTER_RUNS {
            self.told_by_runs = 0;
            // Also runs that are left out tell what it has.
            if self.theirs.as_ref().is_some_and(|theirs| theirs.all().count() > TABLE_ENDS_MAX) {
                return Err(Closed::Violation("its chains are beyond all measure"));
            }
        }
        self.taking.push_back(bytes);
        out.push(Output::Take(received));
        Ok(())
    }

    /// The other has this event and those before it in its chain.
    fn is_theirs(&mut self, before: Option<EventRef>, last: EventRef) {
        if let Some(theirs) = &mut self.theirs {
            theirs.advance(last.chain, before.map(ChainEnd::from), last.into());
        }
        if matches!(self.fetch, Fetch::UnderWay { .. }) {
            self.meanwhile.push((before, last));
        }
    }

    fn tell_table(&mut self, out: &mut Vec<Output>) {
        let (table, since_agreed) = match &self.agreed {
            Some(agreed) if self.rounds.number == 0 => (self.own.since(agreed), true),
            _ => (self.own.clone(), false),
        };
        for part in TablePart::of(&table, self.rounds.number, since_agreed) {
            out.push(send(&Message::Table(part)));
        }
    }

    /// The other's table is another than what was asked with.
    fn fetch_anew(&mut self) {
        self.fetch = match self.fetch {
            Fetch::UnderWay { .. } | Fetch::Outdated => Fetch::Outdated,
            Fetch::Idle | Fetch::Wanted => Fetch::Wanted,
        };
    }

    fn want_fetch(&mut self) {
        if self.theirs.as_ref() == Some(&self.own) {
            return;
        }
        self.fetch = match self.fetch {
            Fetch::Idle => Fetch::Wanted,
            Fetch::UnderWay { .. } => Fetch::UnderWay { again: true },
            other => other,
        };
    }

    /// Where this node stands, for the other.
    fn state(&self) -> State {
        let has_asked_in_vain = self.asked.iter().any(|chain| !self.met.contains(chain));
        let is_through = self.theirs.is_some() && self.fetch == Fetch::Idle && !has_asked_in_vain;
        State { table: self.digest, is_through }
    }

    /// Nothing is on its way, and both have sent everything that they know the other lacks.
    fn is_quiet(&self) -> bool {
        self.is_open
            && self.state().is_through
            && self.told == Some(self.state())
            && self.sent_bytes == self.acknowledged_bytes
            && self.taking.is_empty()
            && self.heard.is_some_and(|heard| heard.is_through)
    }

    /// Whatever came, this follows.
    fn go_on(&mut self, out: &mut Vec<Output>) {
        if !self.is_open || self.is_parting || out.iter().any(|output| matches!(output, Output::Close(_))) {
            return;
        }
        let has_room = self.sent_bytes - self.acknowledged_bytes < WINDOW_BYTES_MAX - BATCH_BYTES_MAX as u64;
        if self.fetch == Fetch::Wanted
            && has_room
            && let Some(theirs) = &self.theirs
        {
            self.fetch = Fetch::UnderWay { again: false };
            self.meanwhile.clear();
            out.push(Output::Fetch(theirs.clone()));
        }
        // That this node is through is told when it comes to be so, without waiting for something to send.
        if self.theirs.is_some() && self.state().is_through && self.told != Some(self.state()) {
            let state = self.state();
            self.told = Some(state);
            out.push(send(&Message::Runs(Runs { runs: Vec::new(), state })));
        }
        self.compare(out);
    }

    /// When everything is quiet, both have the same, or tell their tables again.
    fn compare(&mut self, out: &mut Vec<Output>) {
        if !self.is_quiet() {
            self.was_up_to_date = false;
            return;
        }
        if self.standing() == Standing::UpToDate {
            self.rounds.agreed();
            if !std::mem::replace(&mut self.was_up_to_date, true) {
                self.agreed = Some(Arc::new(self.own.clone()));
                self.theirs = Some(self.own.clone());
                out.push(Output::Agreed);
            }
        } else if self.rounds.is_due(self.now_ms) {
            self.heard = self.heard.map(|heard| State { is_through: false, ..heard });
            self.tell_table(out);
        }
    }
}

fn send(message: &Message) -> Output {
    Output::Send(message.encode())
}

/// Tells the other why, where it is not the one that said so.
fn close(closed: Closed, out: &mut Vec<Output>) {
    let bye = match closed {
        Closed::ByPeer(_) | Closed::Dead => None,
        Closed::Violation(_) => Some(Bye::Violation),
        Closed::Newer(_) => Some(Bye::Newer),
        Closed::Removed => Some(Bye::Removed),
    };
    out.extend(bye.map(|bye| send(&Message::Bye(bye))));
    out.push(Output::Close(closed));
}

fn bytes_of(runs: &[RunBytes]) -> u64 {
    runs.iter().map(|run| run.0.len() as u64).sum()
}
