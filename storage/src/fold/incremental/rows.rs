//! The fold's rows: their keys and contents. All of them are derived from the log and can be rebuilt.

use crate::{
    bytes::{Take, put_bytes, put_varint},
    engine::{EngineError, Read, Table},
    fold::{Status, record::Replaced, validity::Place},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tandem_wire::{ChainId, DeviceKey, EventId, EventTag, FieldId, OpRef, Outcome, PartPath, RecordKey};

/// The start of every key of one generation of one workspace's views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The workspace's number on this node.
    pub workspace: u32,
    /// The generation of the views.
    pub generation: u32,
}

/// What a key of [`Table::Events`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Chain → [`ChainRow`].
    Chain = b'c',
    /// Event → [`EventRow`].
    Event = b'e',
    /// A missing event, then who waits for it.
    Awaited = b'w',
    /// A judged event, then the verdict → [`JudgedRow`].
    Judged = b'j',
    /// A term and a verdict's place, then the verdict's event.
    Verdict = b'v',
    /// A judged event that has not come, then the verdict's event and op.
    Unmet = b'u',
    /// Event id → [`Status`] of an event that is not live.
    Masked = b'm',
    /// Event id → what mirrors refused of it.
    Mirrored = b'i',
    /// An answered event, then the event that answers it → the id of the first.
    Answer = b'a',
    /// An event, then the event that asks somebody to put it right → the ids of both, and who is asked.
    HandOn = b'h',
    /// The lamport of a refused event that nobody answered, the greatest first, then its [`EventKey`].
    Refused = b'r',
    /// Place with more than one event.
    Fork = b'f',
    /// Number → a control event's [`EventKey`].
    Control = b'k',
    /// Number → the ids of a past.
    Past = b'p',
    /// Term → where its verdicts cease to count.
    Stop = b's',
    /// An event that no later one names → [`super::Tip`].
    Tip = b't',
    /// A control event that no later control event names → [`super::Tip`].
    ControlTip = b'T',
    /// Chain → where its stored events end, if not just with its head.
    End = b'd',
}

/// A chain as this node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRow {
    /// Its number on this node.
    pub number: u32,
    /// The greatest valid place and, of several events there, the least id; none before the first valid event.
    pub head: Option<(u64, EventId)>,
    /// The first place with more than one event.
    pub first_fork: Option<u64>,
}

/// An event's place in this node's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventKey {
    /// Its chain's number on this node.
    pub chain: u32,
    /// Its place there.
    pub seq: u64,
    /// The start of its id.
    pub tag: EventTag,
}

/// An event's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPlace {
    /// The run, in order of arrival.
    pub arrival: u64,
    /// The event in the run.
    pub index: u16,
}

/// What the fold knows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// Its lamport.
    pub lamport: u64,
    /// Where its bytes are.
    pub at: LogPlace,
    /// How far it has come.
    pub state: EventState,
    /// Whether a verdict on it is known.
    pub is_judged: bool,
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// It waits for others.
    Held,
    /// It takes no part, for ever.
    Invalid,
    /// It is valid.
    Valid {
        /// Number of its past.
        past: u32,
        /// What the last look at it said; none before the first.
        last: Option<Look>,
    },
}

/// What stage 5 needs to know of a valid event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// It is live.
    pub live: bool,
    /// It is refused.
    pub refused: bool,
    /// It is an authority's own word.
    pub by_authority: bool,
}

impl Look {
    pub(in crate::fold) fn of(status: &Status, by_authority: bool) -> Self {
        Self { live: status.is_live(), refused: status.is_refused(), by_authority }
    }
}

/// One verdict on one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JudgedRow {
    pub(super) term: OpRef,
    pub(super) place: (u64, u16),
    pub(super) verdict: EventId,
    pub(super) past: u32,
    pub(super) outcome: Outcome,
}

impl JudgedRow {
    /// Term and place: for keys.
    fn place_bytes(&self) -> Vec<u8> {
        let (seq, op) = self.place;
        with(op_bytes(&self.term), &[&seq.to_be_bytes(), &op.to_be_bytes(), &self.verdict.tag().0])
    }

    /// What its key does not tell.
    pub(super) fn encode(&self) -> Vec<u8> {
        encode(&(self.verdict, self.past, self.outcome))
    }

    /// Of the pair that [`Prefix::judged_by`] and [`JudgedRow::encode`] gave.
    pub(super) fn of(key: &[u8], row: &[u8]) -> Self {
        let (key, _tag) = key.split_last_chunk::<16>().expect("keys are our own");
        let (key, op) = key.split_last_chunk::<2>().expect("keys are our own");
        let (key, seq) = key.split_last_chunk::<8>().expect("keys are our own");
        let term = op_of_bytes(key.last_chunk().expect("keys are our own"));
        let (verdict, past, outcome) = decode(row);
        Self { term, place: (u64::from_be_bytes(*seq), u16::from_be_bytes(*op)), verdict, past, outcome }
    }
}

impl EventRow {
    /// The row of an event, if it is known.
    pub fn get<R: Read>(rows: &R, prefix: Prefix, key: EventKey) -> Result<Option<Self>, EngineError> {
        Ok(rows.get(ROWS, &prefix.event(key))?.map(|bytes| Self::decode(&bytes)))
    }

    /// There is one for each event, and postcard takes ids byte by byte.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 24);
        out.extend_from_slice(&self.id.0);
        put_varint(&mut out, self.lamport);
        put_varint(&mut out, self.at.arrival);
        put_varint(&mut out, self.at.index.into());
        match self.state {
            EventState::Held => out.push(0),
            EventState::Invalid => out.push(1),
            EventState::Valid { past, last } => {
                out.push(if self.is_judged { 3 } else { 2 });
                put_varint(&mut out, past.into());
                out.push(u8::from(last.is_some()));
                if let Some(Look { live, refused, by_authority }) = last {
                    out.extend([live, refused, by_authority].map(u8::from));
                }
            }
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        let mut rest = Take(bytes);
        let (id, lamport) = (EventId(rest.array()), rest.varint());
        let at = LogPlace { arrival: rest.varint(), index: rest.varint() as u16 };
        let kind = rest.byte();
        let state = match kind {
            0 => EventState::Held,
            1 => EventState::Invalid,
            _valid => EventState::Valid {
                past: rest.varint() as u32,
                last: (rest.byte() == 1).then(|| {
                    let [live, refused, by_authority] = rest.array().map(|flag: u8| flag == 1);
                    Look { live, refused, by_authority }
                }),
            },
        };
        Self { id, lamport, at, state, is_judged: kind == 3 }
    }
}

impl Prefix {
    /// The first bytes of its keys.
    pub fn bytes(self) -> [u8; 8] {
        (u64::from(self.workspace) << 32 | u64::from(self.generation)).to_be_bytes()
    }

    pub(super) fn kind(self, kind: Kind) -> Vec<u8> {
        let mut key = self.bytes().to_vec();
        key.push(kind as u8);
        key
    }

    pub(super) fn chain(self, chain: ChainId) -> Vec<u8> {
        with(self.kind(Kind::Chain), &[&chain.device.0, &chain.number.to_be_bytes()])
    }

    pub(super) fn event(self, event: EventKey) -> Vec<u8> {
        with(self.kind(Kind::Event), &[&event.bytes()])
    }

    pub(super) fn events_of(self, chain: u32) -> Vec<u8> {
        with(self.kind(Kind::Event), &[&chain.to_be_bytes()])
    }

    pub(super) fn place(self, kind: Kind, place: Place) -> Vec<u8> {
        let chain = place.chain;
        with(self.kind(kind), &[&chain.device.0, &chain.number.to_be_bytes(), &place.seq.to_be_bytes(), &place.tag.0])
    }

    pub(super) fn judged(self, event: EventKey) -> Vec<u8> {
        with(self.kind(Kind::Judged), &[&event.bytes()])
    }

    pub(super) fn judged_by(self, event: EventKey, verdict: &JudgedRow) -> Vec<u8> {
        with(self.judged(event), &[&verdict.place_bytes()])
    }

    pub(super) fn verdict(self, verdict: &JudgedRow) -> Vec<u8> {
        with(self.kind(Kind::Verdict), &[&verdict.place_bytes()])
    }

    pub(super) fn term(self, kind: Kind, term: &OpRef) -> Vec<u8> {
        with(self.kind(kind), &[&op_bytes(term)])
    }

    pub(super) fn masked(self, id: EventId) -> Vec<u8> {
        with(self.kind(Kind::Masked), &[&id.0])
    }

    pub(super) fn mirrored(self, id: EventId) -> Vec<u8> {
        with(self.kind(Kind::Mirrored), &[&id.0])
    }

    pub(super) fn answers_to(self, event: EventKey) -> Vec<u8> {
        with(self.kind(Kind::Answer), &[&event.bytes()])
    }

    pub(super) fn hand_ons_of(self, event: EventKey) -> Vec<u8> {
        with(self.kind(Kind::HandOn), &[&event.bytes()])
    }

    pub(super) fn refused(self, lamport: u64, event: EventKey) -> Vec<u8> {
        with(self.kind(Kind::Refused), &[&(!lamport).to_be_bytes(), &event.bytes()])
    }

    pub(super) fn number(self, kind: Kind, number: u32) -> Vec<u8> {
        with(self.kind(kind), &[&number.to_be_bytes()])
    }

    /// A record's key in [`Table::Records`], and the start of its keys in [`Table::History`].
    pub fn record(self, record: RecordKey) -> Vec<u8> {
        with(self.bytes().to_vec(), &[&record.list.0, &record.record.0])
    }

    pub(super) fn history(self, record: RecordKey, event: EventKey, op: u16) -> Vec<u8> {
        with(self.record(record), &[&event.bytes(), &op.to_be_bytes()])
    }
}

pub(super) fn with(mut key: Vec<u8>, parts: &[&[u8]]) -> Vec<u8> {
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(super) fn op_bytes(op: &OpRef) -> Vec<u8> {
    let mut bytes = op.chain.device.0.to_vec();
    bytes.extend_from_slice(&op.chain.number.to_be_bytes());
    bytes.extend_from_slice(&op.seq.to_be_bytes());
    bytes.extend_from_slice(&op.op.to_be_bytes());
    bytes.extend_from_slice(&op.tag.0);
    bytes
}

/// Bytes of [`op_bytes`].
const OP_BYTES: usize = 32 + 4 + 8 + 2 + 16;

fn op_of_bytes(bytes: &[u8; OP_BYTES]) -> OpRef {
    let mut rest = Take(bytes);
    let chain = ChainId { device: DeviceKey(rest.array()), number: u32::from_be_bytes(rest.array()) };
    let (seq, op) = (u64::from_be_bytes(rest.array()), u16::from_be_bytes(rest.array()));
    OpRef { chain, seq, op, tag: EventTag(rest.array()) }
}

impl EventKey {
    pub(super) const LEN: usize = 4 + 8 + 16;

    pub(super) fn bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.chain.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.seq.to_be_bytes());
        bytes[12..].copy_from_slice(&self.tag.0);
        bytes
    }

    /// From the last bytes of a key.
    pub fn at_end_of(key: &[u8]) -> Self {
        let bytes: &[u8; Self::LEN] = key.last_chunk().expect("keys are our own");
        let (chain, rest) = bytes.split_first_chunk().expect("long enough");
        let (seq, tag) = rest.split_first_chunk().expect("long enough");
        let tag = EventTag(tag.try_into().expect("long enough"));
        Self { chain: u32::from_be_bytes(*chain), seq: u64::from_be_bytes(*seq), tag }
    }
}

/// Row contents are postcard. They are our own, so that a row which cannot be read is a broken invariant.
pub(super) fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    postcard::to_allocvec(row).expect("a vector takes all bytes")
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
    postcard::from_bytes(bytes).expect("rows are our own")
}

/// In [`Table::History`], the op of a row that only says that the event is on the record.
pub(super) const NO_OP: u16 = u16::MAX;

/// The event of a row in [`Table::History`].
pub(super) fn event_of_history(key: &[u8]) -> EventKey {
    let (event, _op) = key.split_last_chunk::<2>().expect("keys are our own");
    EventKey::at_end_of(event)
}

/// The row of a replaced op in [`Table::History`].
pub(super) fn put_replaced(replaced: &Replaced) -> Vec<u8> {
    let mut row = Vec::with_capacity(28);
    put_address(&mut row, &replaced.cell);
    put_varint(&mut row, replaced.rank);
    put_varint(&mut row, replaced.time_ms);
    row
}

/// Rank and time of a replaced op, if its row says that it is one of this cell; of any cell, where none is given.
pub(super) fn take_replaced(row: &[u8], cell: Option<&(FieldId, PartPath)>) -> Option<(u64, u64)> {
    if row.is_empty() {
        return None;
    }
    let mut rest = Take(row);
    let start = rest.0;
    let _field: [u8; 16] = rest.array();
    for _ in 0..rest.varint() {
        rest.bytes();
    }
    let address = &start[..start.len() - rest.0.len()];
    let is_of_cell = cell.is_none_or(|cell| {
        let mut expected = Vec::with_capacity(20);
        put_address(&mut expected, cell);
        expected == address
    });
    is_of_cell.then(|| (rest.varint(), rest.varint()))
}

fn put_address(out: &mut Vec<u8>, (field, part): &(FieldId, PartPath)) {
    out.extend_from_slice(&field.0);
    put_varint(out, part.steps().len() as u64);
    part.steps().for_each(|step| put_bytes(out, step));
}

/// The table that all rows but records and history are in.
pub(super) const ROWS: Table = Table::Events;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_events_come_back() {
        let look = |live, refused, by_authority| Some(Look { live, refused, by_authority });
        let valid = |past, last| EventState::Valid { past, last };
        let states = [EventState::Held, EventState::Invalid, valid(0, None), valid(300, look(true, false, true))];
        for state in states.into_iter().chain([valid(u32::MAX, look(false, true, false))]) {
            for (arrival, index) in [(0, 0), (127, 128), (u64::MAX, u16::MAX)] {
                for is_judged in [false, matches!(state, EventState::Valid { .. })] {
                    let at = LogPlace { arrival, index };
                    let row = EventRow { id: EventId([0xa5; 32]), lamport: arrival, at, state, is_judged };
                    assert_eq!(EventRow::decode(&row.encode()), row);
                }
            }
        }
    }
}
