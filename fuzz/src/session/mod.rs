//! What must hold of a session whatever its peer sends, and whatever happens meanwhile.
//!
//! Bytes are choices: who the peer is, what it says (good messages, damaged ones, noise), what is written here or comes
//! from others, how time passes, when the disk has what came. The outputs are carried out as the link's shell does it, on
//! a real store in memory.
//!
//! Never here: inputs, files, or a promise that `docs/protocol.md` does not make.

mod choices;
pub mod member;
mod peer;
pub mod prepared;

use self::{choices::Choices, member::Member, peer::Peer, prepared::Prepared};
use std::collections::{BTreeSet, VecDeque};
use tandem_actors::{
    Command,
    command::MemberChange,
    peer_link::{Closed, Ends, Output, PeerSession, Standing},
};
use tandem_storage::{
    lacking::{farewell, lacking, points},
    take::Received,
};
use tandem_wire::{
    DeviceKey, MemberId, OpRef,
    limits::{BATCH_BYTES_MAX, FRAME_BYTES_MAX, TABLE_ENDS_MAX, WINDOW_BYTES_MAX},
    message::{Join, Message, PROTOCOL, Side, tag},
};

/// What only the two ends know.
const SECRET: [u8; 32] = [7; 32];
/// Things that happen in one session.
const HAPPENINGS_MAX: usize = 2_000;
/// Outputs that one input leads to, those of what they ask for included.
const OUTPUTS_MAX: usize = 1_000;

/// What came to pass, so that who runs this can see that it comes to everything.
pub type Seen = BTreeSet<&'static str>;

/// A session from its beginning until it is closed, or the choices are over.
pub fn session(bytes: &[u8]) -> Seen {
    let mut choices = Choices::of(bytes);
    let mut talk = Talk::begin(&mut choices);
    for _ in 0..HAPPENINGS_MAX {
        if talk.closed.is_some() || choices.are_over() {
            break;
        }
        talk.goes_on(&mut choices);
    }
    talk.ends()
}

struct Talk {
    here: Member,
    /// What it had at first.
    begin: tandem_wire::VersionTable,
    session: PeerSession,
    ends: Ends,
    peer: Peer,
    now_ms: u64,
    /// Nothing comes to be on the disk.
    is_stuck: bool,
    /// What the disk does not have yet, oldest first.
    coming: VecDeque<Vec<Received>>,
    closed: Option<Closed>,
    seen: Seen,
}

impl Talk {
    fn begin(choices: &mut Choices<'_>) -> Self {
        let prepared = Prepared::get();
        let (side, other) = match choices.below(2) {
            0 => (Side::Listener, Side::Dialer),
            _ => (Side::Dialer, Side::Listener),
        };
        let is_newcomer = side == Side::Dialer && choices.happens(64);
        let (here, key) = match is_newcomer {
            true => (prepared.newcomer(), prepared::ada()),
            false => (prepared.ada(), choices.pick(&[prepared::bob, prepared::dan, prepared::cem])()),
        };
        let (own, device) = (here.device(), key.device());
        let ends = Ends { workspace: prepared.workspace, own, peer: device, side, secret: SECRET };
        let tag_of = |device: DeviceKey, side| tag(prepared.workspace, &SECRET, device, side);
        let (begin, fold, now_ms) = (here.table(), here.core.store().fold().clone(), 1_000_000);
        let peer = Peer {
            tag: tag_of(device, other),
            theirs: begin.clone(),
            received_bytes: 0,
            acknowledged_bytes: 0,
            round: 0,
        };
        let agreed = choices.happens(128).then(|| choices.pick(&prepared.past).clone()).filter(|_| !is_newcomer);
        let (session, outputs) = match side {
            Side::Listener => {
                // The network reads the opening, and knows by its tag which workspace is meant.
                let hello = tandem_wire::message::Hello { tag: peer.tag, protocol: PROTOCOL, ..peer.hello(choices) };
                let is_join = choices.happens(32);
                PeerSession::listen(ends.clone(), fold, agreed, (!is_join).then_some(&hello), now_ms)
            }
            Side::Dialer => {
                let place = prepared.places[0];
                let invite = OpRef { chain: place.chain, seq: place.seq, op: 0, tag: place.id.tag() };
                let (tag, member) = (tag_of(own, Side::Dialer), MemberId([9; 16]));
                let join = Join { protocol: PROTOCOL, tag, invite, proof: [0; 64], member, name: "Zoe".into() };
                PeerSession::dial(ends.clone(), fold, agreed, is_newcomer.then_some(join), now_ms)
            }
        };
        let (coming, seen) = (VecDeque::new(), Seen::new());
        let is_stuck = choices.happens(32);
        let mut talk = Self { here, begin, session, ends, peer, now_ms, is_stuck, coming, closed: None, seen };
        talk.carry_out(outputs);
        talk
    }

    /// One thing happens.
    fn goes_on(&mut self, choices: &mut Choices<'_>) {
        match choices.below(32) {
            0..=17 => {
                let frame = self.peer.message(choices).encode();
                self.hears(&frame);
            }
            18 | 19 => {
                let mut frame = self.peer.message(choices).encode();
                peer::damage(&mut frame, choices);
                self.hears(&frame);
            }
            20 => {
                let count = choices.below(64);
                self.hears(choices.bytes(count));
            }
            21..=23 if !self.is_stuck => self.has_on_disk(1 + choices.below(3)),
            24 | 25 => self.clock_goes(choices),
            26 | 27 => {
                // A newcomer may not yet.
                let _ = Prepared::get().write(&mut self.here, 20 + choices.byte() % 4, choices.byte().to_string());
                self.moves_on();
            }
            28 | 29 => {
                // Another peer brings something.
                let all = &Prepared::get().runs;
                let from = choices.below(all.len());
                let runs = all[from..].iter().take(1 + choices.below(6));
                self.here.takes(&runs.map(|run| Received::verify(run.clone()).expect("whole")).collect::<Vec<_>>());
                self.moves_on();
            }
            30 if choices.happens(64) => {
                let _ = self.here.does(Command::Members(MemberChange::Remove(self.ends.peer)));
                self.moves_on();
            }
            21..=23 | 30 => self.moves_on(),
            _ => {
                let outputs = self.session.tell_peers(vec![]);
                self.carry_out(outputs);
            }
        }
    }

    fn hears(&mut self, frame: &[u8]) {
        if let Ok(Message::Taken(taken)) = Message::decode(frame) {
            self.peer.acknowledged_bytes = taken.bytes.clamp(self.peer.acknowledged_bytes, self.peer.received_bytes);
        }
        if frame.len() <= FRAME_BYTES_MAX {
            let outputs = self.session.frame(self.now_ms, frame);
            self.carry_out(outputs);
        }
    }

    fn moves_on(&mut self) {
        let outputs = self.session.advanced(self.here.core.store().fold().clone());
        self.peer.theirs = self.here.table();
        self.carry_out(outputs);
    }

    fn clock_goes(&mut self, choices: &mut Choices<'_>) {
        let by_ms = *choices.pick(&[1, 0, 1_000, 2_000, 10_000, 15_000, 45_000]);
        // Clocks are set back, too.
        self.now_ms = if choices.happens(8) { self.now_ms.saturating_sub(by_ms) } else { self.now_ms + by_ms };
        let outputs = self.session.tick(self.now_ms);
        self.carry_out(outputs);
    }

    /// Of what came, these are on the disk.
    fn has_on_disk(&mut self, count: usize) {
        let count = count.min(self.coming.len());
        if count == 0 {
            return;
        }
        let runs: Vec<Received> = self.coming.drain(..count).flatten().collect();
        self.here.takes(&runs);
        self.moves_on();
        if self.closed.is_none() {
            let outputs = self.session.taken(count);
            self.carry_out(outputs);
        }
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        assert!(self.closed.is_none(), "nobody asks a session that is over");
        let mut outputs: VecDeque<Output> = outputs.into();
        for count in 0.. {
            assert!(count < OUTPUTS_MAX, "one input leads to ever more");
            let Some(output) = outputs.pop_front() else { break };
            self.check_output(&output);
            let (snapshot, fold) = (self.here.snapshot(), self.here.core.store().fold().clone());
            let more = match output {
                Output::Send(message) => self.sends(&message),
                Output::Fetch(theirs) => {
                    self.seen.insert("fetch");
                    let lacking = lacking(&snapshot, &fold, &theirs, BATCH_BYTES_MAX).expect("memory does not fail");
                    self.session.fetched(lacking)
                }
                Output::Part(theirs) => {
                    self.seen.insert("part");
                    let runs = farewell(&snapshot, &fold, &theirs, self.ends.peer).expect("memory does not fail");
                    self.session.parted(&runs)
                }
                Output::Find(chain) => {
                    self.seen.insert("find");
                    let found = points(&snapshot, &fold, chain).expect("memory does not fail");
                    self.session.found(chain, found)
                }
                Output::Take(runs) => {
                    self.seen.insert("take");
                    self.coming.push_back(runs);
                    vec![]
                }
                Output::Peers(_) => self.saw("peers"),
                Output::Agreed => self.saw("agreed"),
                Output::Close(closed) => {
                    assert!(outputs.is_empty(), "nothing comes after the end: {closed}, {outputs:?}");
                    self.closed = Some(closed);
                    let what = match closed {
                        Closed::ByPeer(_) => "closed by the peer",
                        Closed::Violation(why) => why,
                        Closed::Newer(_) => "closed: newer",
                        Closed::Dead => "closed: dead",
                        Closed::Removed => "closed: removed",
                    };
                    self.saw(what)
                }
            };
            outputs.extend(more);
        }
        self.check();
    }

    fn saw(&mut self, what: &'static str) -> Vec<Output> {
        self.seen.insert(what);
        vec![]
    }

    /// A peer that keeps to the protocol can read all that is sent.
    fn sends(&mut self, message: &[u8]) -> Vec<Output> {
        assert!(message.len() <= FRAME_BYTES_MAX, "{} bytes in a frame", message.len());
        let message = Message::decode(message).expect("what is sent can be read");
        let what = match &message {
            Message::Hello(_) => "sends Hello",
            Message::Join(_) => "sends Join",
            Message::Table(part) => {
                self.peer.round = self.peer.round.max(part.round);
                if part.round > 0 { "sends Table again" } else { "sends Table" }
            }
            Message::Points(_) => "sends Points",
            Message::Runs(runs) => {
                self.peer.received_bytes += runs.runs.iter().map(|run| run.0.len() as u64).sum::<u64>();
                "sends Runs"
            }
            Message::Taken(_) => "sends Taken",
            Message::Ping(_) => "sends Ping",
            Message::Pong(_) => "sends Pong",
            Message::Bye(_) => "sends Bye",
            Message::Peers(_) => "sends Peers",
        };
        self.saw(what)
    }

    /// Who has not greeted hears nothing of the workspace.
    fn check_output(&self, output: &Output) {
        if self.session.standing() != Standing::Greeting {
            return;
        }
        let is_harmless = match output {
            Output::Send(message) => matches!(
                Message::decode(message),
                Ok(Message::Hello(_) | Message::Join(_) | Message::Ping(_) | Message::Pong(_) | Message::Bye(_))
            ),
            Output::Close(_) => true,
            Output::Fetch(_) | Output::Part(_) | Output::Find(_) | Output::Take(_) => false,
            Output::Agreed | Output::Peers(_) => false,
        };
        assert!(is_harmless, "before the greeting: {output:?}");
    }

    /// What is held is bounded, and nothing is lost.
    fn check(&self) {
        let bytes = |runs: &Vec<Received>| runs.iter().map(|run| run.bytes().len() as u64).sum::<u64>();
        let coming: u64 = self.coming.iter().map(bytes).sum();
        assert!(coming <= WINDOW_BYTES_MAX + BATCH_BYTES_MAX as u64, "{coming} bytes wait for the disk");
        let sent = self.peer.received_bytes;
        let unacknowledged = sent - self.peer.acknowledged_bytes;
        assert!(unacknowledged <= WINDOW_BYTES_MAX, "{unacknowledged} bytes were sent without a word of their arrival");
        let theirs = self.session.theirs().map_or(0, |theirs| theirs.all().count());
        assert!(theirs <= 2 * TABLE_ENDS_MAX, "{theirs} ends are kept of what the peer has");
        assert_eq!(self.begin.events_beyond(&self.here.table()), 0, "nothing that was here is lost");
        if let Some(agreed) = self.session.agreed() {
            assert_eq!(agreed.events_beyond(&self.here.table()), 0, "what both agreed on is here");
        }
    }

    /// What came is good, whoever ended the link.
    fn ends(mut self) -> Seen {
        while self.closed.is_none() && !self.coming.is_empty() {
            self.has_on_disk(1);
        }
        self.here.takes(&self.coming.drain(..).flatten().collect::<Vec<_>>());
        assert_eq!(self.begin.events_beyond(&self.here.table()), 0, "nothing that was here is lost");
        self.seen
    }
}
