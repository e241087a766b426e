//! A member that keeps no rule: it needs no session, speaks as it likes, and shows one branch of its chain to some and
//! another to others. It may cost whoever hears it the link, and nothing else.

use super::{
    peer::{End, LinkId},
    world::{EPOCH_MS, Happening, World},
};
use crate::chance::{Ratio, Stream};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_actors::peer_link::{Frames, framed};
use tandem_wire::{
    Act, ChainId, DesignDigest, DeviceKey, Event, EventId, EventRef, FieldId, Header, ListId, Op, OpRef, PartPath,
    Payload, RecordId, RecordKey, Run, SecretKey, TableDigest, Target, Value, VersionTable, WorkspaceId,
    limits::{EVENT_BYTES_MAX, FRAME_BYTES_MAX, WALL_MS_MAX, WINDOW_BYTES_MAX},
    message::{Hello, Message, PROTOCOL, Points, RunBytes, Runs, Side, State, TablePart, Taken, tag},
};

/// Of what others wrote it remembers so many events, and so many of their frames.
const REMEMBERED: usize = 48;
/// Time between two things that it does, at most.
pub(super) const ACT_US: u64 = 100_000;
/// Links that it has at a time, at most.
const LINKS: usize = 3;
const CLOCK_LIE_MS: u64 = 300 * 24 * 3_600_000;

pub(super) struct Hostile {
    key: SecretKey,
    workspace: WorkspaceId,
    stream: Stream,
    pub(super) talks: BTreeMap<LinkId, Talk>,
    /// What others wrote.
    seen: Vec<Arc<Event>>,
    /// What it wrote, on all branches.
    own: Vec<Arc<Event>>,
    frames: Vec<Vec<u8>>,
}

/// A link as it sees it.
pub(super) struct Talk {
    frames: Frames,
    mood: Mood,
    /// The last event of its own that it showed there.
    tip: Option<Arc<Event>>,
    shown: BTreeSet<EventId>,
    received_bytes: u64,
    heard: Option<State>,
    round: u32,
}

/// What it is up to on one link.
#[derive(Debug, Clone, Copy)]
enum Mood {
    LongFrames,
    HalfFrames,
    Noise,
    Replays,
    /// Says that it has what it has not, and sends nothing.
    Claims,
    SameRange,
    Floods,
    /// Sends more than there is room for.
    Overruns,
    /// Keeps to the dialogue, and lies in its events.
    Writes,
}

impl Hostile {
    pub(super) fn new(key: SecretKey, workspace: WorkspaceId, stream: Stream) -> Self {
        let (talks, seen, own, frames) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { key, workspace, stream, talks, seen, own, frames }
    }

    /// It has dialled: what it says first, and what it is up to.
    pub(super) fn dialled(&mut self, link: LinkId, secret: &[u8; 32], now_ms: u64) -> (&'static str, Vec<u8>) {
        let mood = match self.stream.below(34) {
            0 | 1 => Mood::LongFrames,
            2 | 3 => Mood::HalfFrames,
            4 | 5 => Mood::Noise,
            6..=8 => Mood::Replays,
            9..=11 => Mood::Claims,
            12 | 13 => Mood::SameRange,
            14 | 15 => Mood::Floods,
            16 => Mood::Overruns,
            _ => Mood::Writes,
        };
        let mut frames = Frames::new();
        frames.open();
        let tip = self.stream.pick(&self.own).cloned();
        let talk = Talk { frames, mood, tip, shown: BTreeSet::new(), received_bytes: 0, heard: None, round: 0 };
        self.talks.insert(link, talk);
        let tag = tag(self.workspace, secret, self.key.device(), Side::Dialer);
        let (state, agreed) = (TableDigest(self.stream.bytes()), None);
        let clock_ms = now_ms ^ self.stream.below(1 << 40);
        let hello = Message::Hello(Hello { protocol: PROTOCOL, tag, state, agreed, clock_ms });
        let mut bytes = framed(&hello.encode());
        if self.stream.happens(Ratio(9, 10)) {
            bytes.extend(framed(&self.table(0, false).encode()));
        }
        (mood.name(), bytes)
    }

    /// Bytes came; what it answers.
    pub(super) fn hear(&mut self, link: LinkId, bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        let Some(talk) = self.talks.get_mut(&link) else { return answer };
        talk.frames.push(bytes);
        while let Ok(Some(frame)) = talk.frames.take() {
            match Message::decode(&frame) {
                Ok(Message::Runs(Runs { runs, state })) => {
                    talk.heard = Some(state);
                    for RunBytes(run) in runs {
                        talk.received_bytes += run.len() as u64;
                        let events = Run::decode_trusted(&run).expect("honest nodes send whole runs").into_events();
                        self.seen.extend(events.into_iter().map(Arc::new));
                    }
                    let taken = Message::Taken(Taken {
                        bytes: talk.received_bytes,
                        state: State { is_through: true, ..state },
                    });
                    answer.extend(framed(&taken.encode()));
                }
                Ok(Message::Taken(taken)) => talk.heard = Some(taken.state),
                Ok(Message::Table(part)) => talk.round = part.round,
                _other => {}
            }
            self.frames.push(frame.to_vec());
        }
        let (frames, seen) = (self.frames.len(), self.seen.len());
        self.frames.drain(..frames.saturating_sub(REMEMBERED));
        self.seen.drain(..seen.saturating_sub(REMEMBERED));
        answer
    }

    /// What it does on one of its links, unasked.
    pub(super) fn act(&mut self, link: LinkId, now_ms: u64) -> Vec<u8> {
        let (mood, round) = (self.talks[&link].mood, self.talks[&link].round);
        match mood {
            Mood::LongFrames => (FRAME_BYTES_MAX as u32 + 1).to_be_bytes().to_vec(),
            Mood::HalfFrames => {
                let whole = framed(&self.table(round, false).encode());
                whole[..1 + self.stream.below(whole.len() as u64) as usize].to_vec()
            }
            Mood::Noise => {
                let noise: [u8; 64] = self.stream.bytes();
                framed(&noise[..self.stream.below(64) as usize])
            }
            Mood::Replays => self.stream.pick(&self.frames).map_or_else(Vec::new, |frame| framed(frame)),
            Mood::Claims => {
                let round = round + self.stream.below(3) as u32;
                let mut bytes = framed(&self.table(round, true).encode());
                bytes.extend(framed(&self.runs(link, Vec::new()).encode()));
                bytes
            }
            Mood::SameRange => {
                let runs: Vec<RunBytes> = self.own.iter().take(3).map(|event| self.run(event)).collect();
                framed(&self.runs(link, runs).encode())
            }
            Mood::Floods => {
                let chain = self.stream.pick(&self.seen).map(|event| event.header().chain);
                let chain = chain.unwrap_or(ChainId { device: self.key.device(), number: 1 });
                let points = framed(&Message::Points(Points { chain, points: Vec::new() }).encode());
                let ping = framed(&Message::Ping(self.stream.number()).encode());
                [points, ping.repeat(40)].concat()
            }
            Mood::Overruns => {
                let event = self.write(None, now_ms, Some("x".repeat(EVENT_BYTES_MAX - 2_000)));
                let Some(event) = event else { return Vec::new() };
                let run = framed(&self.runs(link, vec![self.run(&event)]).encode());
                run.repeat(2 + WINDOW_BYTES_MAX as usize / run.len() + 5)
            }
            Mood::Writes => {
                for _ in 0..=self.stream.below(2) {
                    let tip = self.talks[&link].tip.clone();
                    // Now and then somewhere else: that is another branch.
                    let prev =
                        if self.stream.happens(Ratio(1, 8)) { self.stream.pick(&self.own).cloned() } else { tip };
                    let written = self.write(prev.as_ref(), now_ms, None);
                    let talk = self.talks.get_mut(&link).expect("it acts there");
                    talk.tip = written.or(talk.tip.take());
                }
                let runs = self.branch(link);
                framed(&self.runs(link, runs).encode())
            }
        }
    }

    /// An event of its own: most are valid.
    fn write(&mut self, prev: Option<&Arc<Event>>, now_ms: u64, text: Option<String>) -> Option<Arc<Event>> {
        let stream = &mut self.stream;
        let chain = ChainId { device: self.key.device(), number: 1 };
        let is_blind = stream.happens(Ratio(1, 5));
        let mut before: Vec<&Arc<Event>> = prev.into_iter().collect();
        let mut deps = Vec::new();
        if !is_blind {
            for _ in 0..=stream.below(2) {
                let seen = stream.pick(&self.seen).filter(|event| event.header().chain.device != chain.device);
                before.extend(seen);
                deps.extend(seen.map(|event| event.reference()));
            }
        }
        if stream.happens(Ratio(1, 12)) {
            let device = DeviceKey(stream.bytes());
            deps.push(EventRef { chain: ChainId { device, number: 1 }, seq: 3, id: EventId(stream.bytes()) });
        }
        deps.sort_unstable();
        deps.dedup();
        let lamport = 1 + before.iter().map(|event| event.header().lamport).max().unwrap_or(0);
        let lamport = if stream.happens(Ratio(1, 16)) { lamport + 3 } else { lamport };
        let wall_ms = (now_ms + stream.below(2 * CLOCK_LIE_MS)).saturating_sub(CLOCK_LIE_MS).min(WALL_MS_MAX);
        let (op, body) = Self::op(stream, &self.seen, text);
        let header = Header {
            workspace: self.workspace,
            chain,
            seq: prev.map_or(0, |event| event.header().seq + 1),
            prev: prev.map(|event| event.id()),
            deps,
            lamport,
            wall_ms,
            design: DesignDigest([0; 16]),
            actor: None,
            batch: None,
            resubmits: None,
            ops: vec![op],
        };
        let event = Arc::new(Event::new(header, Payload::of([body])).ok()?);
        self.own.push(event.clone());
        Some(event)
    }

    /// Edits what others wrote, or makes something in a list that nobody has.
    fn op(stream: &mut Stream, seen: &[Arc<Event>], text: Option<String>) -> (Op, Vec<u8>) {
        let is_long = text.is_some();
        let value = Value::Text(text.unwrap_or_else(|| format!("mine {}", stream.below(4)))).encode();
        let sets: Vec<(&Arc<Event>, u16)> = seen
            .iter()
            .flat_map(|event| (0..event.header().ops.len() as u16).map(move |op| (event, op)))
            .filter(|(event, op)| matches!(event.header().ops[usize::from(*op)].act, Act::Set))
            .collect();
        match (stream.below(8), stream.pick(&sets)) {
            (0..=5, Some((event, op))) if !is_long => {
                let target = event.header().ops[usize::from(*op)].target.clone();
                let pred = event.op_ref(*op);
                let pred = if stream.happens(Ratio(1, 12)) { OpRef { seq: pred.seq + 1, ..pred } } else { pred };
                let preds = if stream.happens(Ratio(5, 6)) { vec![pred] } else { Vec::new() };
                (Op { target, preds, act: Act::Set }, value)
            }
            (choice, _) => {
                let record = RecordKey { list: ListId(stream.bytes()), record: RecordId([choice as u8; 16]) };
                let field = FieldId(stream.bytes());
                let cell = tandem_wire::CellKey { record, field, part: PartPath::default() };
                (Op { target: Target::Cell(cell), preds: Vec::new(), act: Act::Set }, value)
            }
        }
    }

    /// What was not shown on this link yet of the branch that is shown there, a run for each event.
    fn branch(&mut self, link: LinkId) -> Vec<RunBytes> {
        let by_id: BTreeMap<EventId, &Arc<Event>> = self.own.iter().map(|event| (event.id(), event)).collect();
        let mut shown = std::mem::take(&mut self.talks.get_mut(&link).expect("it acts there").shown);
        let mut at = self.talks[&link].tip.as_ref();
        let mut runs = Vec::new();
        while let Some(event) = at.filter(|event| shown.insert(event.id())) {
            runs.push(self.run(event));
            at = event.header().prev.and_then(|id| by_id.get(&id).copied());
        }
        runs.reverse();
        self.talks.get_mut(&link).expect("it acts there").shown = shown;
        runs
    }

    fn run(&self, event: &Arc<Event>) -> RunBytes {
        RunBytes(Run::seal(&[(**event).clone()], &self.key).expect("one event"))
    }

    /// With a word on where it stands that the other likes to hear.
    fn runs(&self, link: LinkId, runs: Vec<RunBytes>) -> Message {
        let nowhere = State { table: TableDigest([0; 32]), is_through: true };
        let state = self.talks[&link].heard.map_or(nowhere, |heard| State { is_through: true, ..heard });
        Message::Runs(Runs { runs, state })
    }

    /// What it says that it has: what it wrote, or what nobody ever wrote.
    fn table(&mut self, round: u32, is_false: bool) -> Message {
        let mut table = VersionTable::default();
        if is_false {
            for event in self.seen.iter().take(4) {
                let reference = event.reference();
                table.insert(EventRef { seq: reference.seq + 100, id: EventId(self.stream.bytes()), ..reference });
            }
        }
        Message::Table(TablePart::of(&table, round, false).remove(0))
    }
}

impl Mood {
    fn name(self) -> &'static str {
        match self {
            Self::LongFrames => "hostile-long-frames",
            Self::HalfFrames => "hostile-half-frames",
            Self::Noise => "hostile-noise",
            Self::Replays => "hostile-replays",
            Self::Claims => "hostile-claims",
            Self::SameRange => "hostile-same-range",
            Self::Floods => "hostile-floods",
            Self::Overruns => "hostile-overruns",
            Self::Writes => "hostile-writes",
        }
    }
}

impl World {
    /// The hostile member dials somebody, or does something on a link that it has.
    pub(super) fn hostile_acts(&mut self) {
        let Some(hostile) = &mut self.hostile else { return };
        let in_us = 1_000 + hostile.stream.below(ACT_US);
        let links: Vec<LinkId> = hostile.talks.keys().copied().collect();
        let dials = links.len() < LINKS && hostile.stream.happens(Ratio(1, 2));
        let (at, link) = (hostile.stream.below(self.peers.len() as u64) as usize, hostile.stream.pick(&links).copied());
        self.queue.plan(in_us, Happening::Hostile);
        let (now_ms, own) = (EPOCH_MS + self.queue.now_us() / 1000, self.peers.len());
        if dials {
            if self.peers[at].store().is_none() {
                return;
            }
            let link = self.new_link([own, at], None);
            self.peers[at].ends.insert(link, End { session: None, frames: Frames::new(), heard: None });
            let secret = self.ends(link, 0).secret;
            let (mood, bytes) = self.hostile.as_mut().expect("it acts").dialled(link, &secret, now_ms);
            self.trace.mark(mood);
            self.line(own, "dial", &format!("n{at} {mood}"));
            self.send(link, 0, &bytes);
        } else if let Some(link) = link {
            let bytes = self.hostile.as_mut().expect("it acts").act(link, now_ms);
            self.line(own, "act", &format!("{} bytes", bytes.len()));
            self.send(link, 0, &bytes);
        }
    }
}
