//! What a peer may say: all that a good one says, and whatever else.

use super::{choices::Choices, prepared::Prepared};
use tandem_wire::{
    ChainEnd, ChainId, DeviceKey, EventId, EventRef, MemberId, TableDigest, VersionTable,
    message::{
        Bye, Hello, Join, Message, PROTOCOL, PeerPlaces, Peers, Place, Points, RunBytes, Runs, State, TablePart, Taken,
    },
};

const BYES: [Bye; 8] = [
    Bye::Done,
    Bye::Newer,
    Bye::Removed,
    Bye::NotInvited,
    Bye::AwaitsApproval,
    Bye::Violation,
    Bye::Diverged,
    Bye::Busy,
];

/// What a peer knows of the dialogue.
pub struct Peer {
    /// The right one.
    pub tag: [u8; 16],
    /// What the other has.
    pub theirs: VersionTable,
    /// Bytes of runs that came from there.
    pub received_bytes: u64,
    /// What of that was acknowledged.
    pub acknowledged_bytes: u64,
    /// Which round of tables it is in.
    pub round: u32,
}

impl Peer {
    /// A message that can be read.
    pub fn message(&mut self, choices: &mut Choices<'_>) -> Message {
        match choices.below(20) {
            0..=5 => Message::Runs(self.runs(choices)),
            6..=9 => Message::Table(self.table(choices)),
            10..=12 => Message::Taken(self.taken(choices)),
            13 | 14 => Message::Points(points(choices)),
            15 => Message::Ping(choices.number()),
            16 => Message::Pong(choices.number()),
            17 => Message::Peers(peers(choices)),
            18 if choices.happens(64) => Message::Bye(*choices.pick(&BYES)),
            18 => Message::Hello(self.hello(choices)),
            _ if choices.happens(64) => Message::Join(self.join(choices)),
            _ => Message::Hello(self.hello(choices)),
        }
    }

    pub fn hello(&self, choices: &mut Choices<'_>) -> Hello {
        let tag = if choices.happens(8) { [choices.byte(); 16] } else { self.tag };
        let protocol = if choices.happens(4) { choices.number() as u16 } else { PROTOCOL };
        let State { table, .. } = self.state(choices);
        let past = &Prepared::get().past;
        let agreed = choices.happens(128).then(|| choices.pick(past).digest());
        let clock_ms = if choices.happens(16) { choices.number() } else { 1_000 };
        Hello { protocol, tag, state: table, agreed, clock_ms }
    }

    fn join(&self, choices: &mut Choices<'_>) -> Join {
        let place = place(choices);
        let invite = tandem_wire::OpRef { chain: place.chain, seq: place.seq, op: 0, tag: place.id.tag() };
        let (proof, member) = ([choices.byte(); 64], MemberId([choices.byte(); 16]));
        Join { protocol: PROTOCOL, tag: self.tag, invite, proof, member, name: "Zoe".into() }
    }

    fn state(&self, choices: &mut Choices<'_>) -> State {
        let table = match choices.below(4) {
            0 | 1 => self.theirs.digest(),
            2 => choices.pick(&Prepared::get().past).digest(),
            _ => TableDigest([choices.byte(); 32]),
        };
        State { table, is_through: !choices.happens(64) }
    }

    fn table(&mut self, choices: &mut Choices<'_>) -> TablePart {
        let prepared = Prepared::get();
        let mut ends: Vec<EventRef> = match choices.below(4) {
            0 => self.theirs.all().collect(),
            1 => choices.pick(&prepared.past).all().collect(),
            2 => choices.pick(&prepared.elsewhere).all().collect(),
            _ => (0..choices.below(12)).map(|_| place(choices)).collect(),
        };
        if !choices.happens(8) {
            ends.sort_unstable();
            ends.dedup();
        }
        if choices.happens(16) {
            self.round += 1;
        }
        let round = if choices.happens(4) { choices.number() as u32 } else { self.round };
        TablePart { round, since_agreed: choices.happens(64), ends, more: choices.happens(32) }
    }

    fn runs(&self, choices: &mut Choices<'_>) -> Runs {
        let all = &Prepared::get().runs;
        let mut runs: Vec<RunBytes> = match choices.below(4) {
            // Some that follow on each other.
            0 | 1 => {
                let from = choices.below(all.len());
                all[from..].iter().take(choices.below(8)).cloned().map(RunBytes).collect()
            }
            2 => (0..choices.below(6)).map(|_| RunBytes(choices.pick(all).clone())).collect(),
            _ => vec![],
        };
        if let Some(run) = runs.last_mut().filter(|_| choices.happens(24)) {
            damage(&mut run.0, choices);
        }
        Runs { runs, state: self.state(choices) }
    }

    fn taken(&self, choices: &mut Choices<'_>) -> Taken {
        let bytes = match choices.byte() {
            0..=199 => self.received_bytes,
            200..=239 => self.acknowledged_bytes + u64::from(choices.byte()),
            _ => choices.number(),
        };
        Taken { bytes, state: self.state(choices) }
    }
}

/// Other bytes, fewer or more.
pub fn damage(bytes: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let at = choices.number() as usize % (bytes.len() + 1);
    match choices.below(4) {
        0 => bytes.truncate(at),
        1 => bytes.extend_from_slice(choices.bytes(8)),
        2 => bytes.insert(at, choices.byte()),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= choices.byte();
            }
        }
    }
}

/// The place of an event that there is, mostly.
fn place(choices: &mut Choices<'_>) -> EventRef {
    let mut place = *choices.pick(&Prepared::get().places);
    match choices.byte() {
        248.. => place.seq = choices.number(),
        240..248 => place.id = EventId([choices.byte(); 32]),
        236..240 => place.chain = ChainId { device: DeviceKey([choices.byte(); 32]), number: choices.byte().into() },
        _as_it_is => {}
    }
    place
}

fn points(choices: &mut Choices<'_>) -> Points {
    let chain = place(choices).chain;
    Points { chain, points: (0..choices.below(6)).map(|_| ChainEnd::from(place(choices))).collect() }
}

fn peers(choices: &mut Choices<'_>) -> Peers {
    let places = |choices: &mut Choices<'_>| {
        let place = Place { ip: [choices.byte(); 16], port: choices.byte().into() };
        vec![place; choices.below(4)]
    };
    let peer = |_| PeerPlaces { device: place(choices).chain.device, places: places(choices) };
    Peers { peers: (0..3).map(peer).collect() }
}
