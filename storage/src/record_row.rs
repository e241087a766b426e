//! A record's row: [`RecordState`] in few bytes, laid out so that what cells show can be read without the rest.
//!
//! First whether the record exists; then the length of the head, and the head: the events that the record is made of,
//! each once, then creates, restores and deletes; then the cells in order, each with what it shows first and the length
//! of the rest. Everything else refers to the events by number.

use crate::{
    bytes::{Take, put_bytes, put_varint},
    fold::{
        RecordState,
        record::{Content, Edit, Removal, Sibling, Stamp},
    },
};
use std::collections::BTreeMap;
use tandem_wire::{ChainId, DeviceKey, EventId, EventRef, FieldId, PartPath, Value};

/// Version of this layout and of the other rows of views: rows of another one are made anew.
pub const ROWS_VERSION: u32 = 4;

/// Who made a record or changed it last, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// The event that did so; its chain has the device.
    pub event: EventRef,
    /// Its author's clock, in milliseconds since 1970.
    pub wall_ms: u64,
}

/// A cell of a new record.
#[derive(Debug, Clone, Copy)]
pub struct NewCell<'a> {
    /// The field.
    pub field: FieldId,
    /// Where inside the field.
    pub part: &'a PartPath,
    /// The op that sets it.
    pub op: u16,
    /// The canonical bytes of its value.
    pub value: &'a [u8],
}

/// What a cell of a row shows.
#[derive(Clone, Copy)]
pub struct CellRow<'a> {
    /// The field.
    pub field: FieldId,
    part: &'a [u8],
    shows: Shows<'a>,
    rest: Take<'a>,
}

#[derive(Clone, Copy)]
enum Shows<'a> {
    Value(&'a [u8]),
    Removed,
    NewerVersionNeeded,
}

/// The canonical bytes of [`Value::Null`]: what an empty cell shows.
pub const NOTHING: [u8; 1] = [0];

/// Cells that most rows have at most.
pub(crate) const CELLS: usize = 16;

/// The part of a cell that is a whole field, as it stands in a row.
pub(crate) const WHOLE: &[u8] = &[0];

const VALUE: u8 = 0;
const REMOVED: u8 = 1;
const NEWER_VERSION_NEEDED: u8 = 2;

/// The row of a record.
pub fn encode(state: &RecordState) -> Vec<u8> {
    let mut events = Events::default();
    let mut marks = Vec::new();
    let edits = |edits: &[Edit], events: &mut Events, marks: &mut Vec<u8>| {
        put_varint(marks, edits.len() as u64);
        edits.iter().for_each(|edit| events.put_marked(marks, &edit.stamp, edit.covered));
    };
    edits(&state.creates, &mut events, &mut marks);
    edits(&state.restores, &mut events, &mut marks);
    put_varint(&mut marks, state.deletes.len() as u64);
    state.deletes.iter().for_each(|removal| events.put_marked(&mut marks, &removal.stamp, removal.answered));
    let (mut cells, mut rest) = (Vec::new(), Vec::new());
    for ((field, part), siblings) in &state.cells {
        let (winner, losers) = siblings.split_first().expect("a cell in a state has siblings");
        put_address(&mut cells, *field, part);
        put_content(&mut cells, &winner.content);
        rest.clear();
        events.put_sibling(&mut rest, winner);
        put_varint(&mut rest, losers.len() as u64);
        for loser in losers {
            events.put_sibling(&mut rest, loser);
            put_content(&mut rest, &loser.content);
        }
        put_bytes(&mut cells, &rest);
    }
    assemble(state.exists(), &events.list, &marks, &cells)
}

/// The row of a record that one event made, and nobody has touched since: what [`encode`] gives for it. `cells` are in
/// the order of their addresses.
pub fn encode_new(event: &EventRef, wall_ms: u64, create: u16, rank: u64, cells: &[NewCell<'_>]) -> Vec<u8> {
    let mut marks = Vec::with_capacity(8);
    put_varint(&mut marks, 1);
    put_mark(&mut marks, 0, create, false);
    marks.extend([0, 0]);
    let size = cells.iter().map(|cell| 32 + cell.value.len()).sum();
    let (mut shown, mut rest) = (Vec::with_capacity(size), Vec::with_capacity(16));
    for NewCell { field, part, op, value } in cells {
        put_address(&mut shown, *field, part);
        shown.push(VALUE);
        put_bytes(&mut shown, value);
        rest.clear();
        put_sibling(&mut rest, 0, *op, rank, wall_ms.max(1) - wall_ms, false);
        put_varint(&mut rest, 0);
        put_bytes(&mut shown, &rest);
    }
    assemble(true, &[(*event, wall_ms)], &marks, &shown)
}

fn assemble(exists: bool, events: &[(EventRef, u64)], marks: &[u8], cells: &[u8]) -> Vec<u8> {
    let mut head = Vec::with_capacity(96 * events.len() + marks.len());
    put_varint(&mut head, events.len() as u64);
    for (event, wall_ms) in events {
        head.extend_from_slice(&event.chain.device.0);
        put_varint(&mut head, event.chain.number.into());
        put_varint(&mut head, event.seq);
        head.extend_from_slice(&event.id.0);
        put_varint(&mut head, *wall_ms);
    }
    head.extend_from_slice(marks);
    let mut row = Vec::with_capacity(head.len() + cells.len() + 4);
    row.push(u8::from(exists));
    put_bytes(&mut row, &head);
    row.extend_from_slice(cells);
    row
}

/// Whether more than one event made the record what it is: nothing is contested otherwise.
pub fn has_several_events(row: &[u8]) -> bool {
    parts(row).0.varint() > 1
}

/// The record of a row.
///
/// # Panics
/// On anything that [`encode`] did not write: rows are our own.
pub fn decode(row: &[u8]) -> RecordState {
    let (mut head, cells) = parts(row);
    let events = take_events(&mut head);
    let stamp = |event: u64, op| {
        let (event, wall_ms) = events[event as usize];
        Stamp { event, op, wall_ms }
    };
    let mut marked = || -> Vec<(Stamp, bool)> {
        let count = head.varint();
        (0..count).map(|_| (stamp(head.varint(), head.varint() as u16), head.byte() != 0)).collect()
    };
    let mut edits = || marked().into_iter().map(|(stamp, covered)| Edit { stamp, covered }).collect();
    let (creates, restores) = (edits(), edits());
    let deletes = marked().into_iter().map(|(stamp, answered)| Removal { stamp, answered }).collect();
    let sibling = |rest: &mut Take<'_>| {
        let stamp = stamp(rest.varint(), rest.varint() as u16);
        let (rank, over, covered) = (rest.varint(), rest.varint(), rest.byte() != 0);
        move |content| Sibling { stamp, rank, time_ms: stamp.wall_ms + over, content, covered }
    };
    let cells = cells.map(|cell| {
        let mut rest = cell.rest;
        let mut siblings = vec![sibling(&mut rest)(cell.shows.to_content())];
        for _ in 0..rest.varint() {
            let loser = sibling(&mut rest);
            siblings.push(loser(Shows::take(&mut rest).to_content()));
        }
        ((cell.field, cell.part()), siblings)
    });
    RecordState { cells: cells.collect::<BTreeMap<_, _>>(), creates, restores, deletes }
}

/// Whether the record of a row exists.
pub fn exists(row: &[u8]) -> bool {
    row[0] != 0
}

/// The canonical bytes of the value that a cell of a row shows, without reading more than is needed.
pub fn winner<'a>(row: &'a [u8], field: FieldId, part: &PartPath) -> Option<&'a [u8]> {
    parts(row).1.find(|cell| cell.is(field, part))?.value()
}

/// Whether a row has such a cell, and the canonical bytes of what it shows.
pub fn cell<'a>(row: &'a [u8], field: FieldId, part: &PartPath) -> Option<Option<&'a [u8]>> {
    parts(row).1.find(|cell| cell.is(field, part)).map(|cell| cell.value())
}

/// The value of canonical bytes that a cell shows; none where that is nothing.
pub fn value(shows: &[u8]) -> Option<Value> {
    (shows != NOTHING).then(|| Value::decode(shows).expect("bodies were checked"))
}

/// The cells of a row in the order of their addresses, all at once.
pub fn all_cells(row: &[u8]) -> Vec<CellRow<'_>> {
    let mut all = Vec::with_capacity(CELLS);
    all.extend(cells(row));
    all
}

/// The same, one after the other.
pub fn cells(row: &[u8]) -> impl Iterator<Item = CellRow<'_>> {
    parts(row).1
}

/// Who made the record of a row; none while it waits for a create.
pub fn created(row: &[u8]) -> Option<Touch> {
    let mut head = parts(row).0;
    let events = take_events(&mut head);
    let creates = (0..head.varint()).map(|_| {
        let event = events[head.varint() as usize];
        let _op_and_mark = (head.varint(), head.byte());
        event
    });
    creates.min_by_key(|(event, wall_ms)| (*wall_ms, *event)).map(|(event, wall_ms)| Touch { event, wall_ms })
}

/// The last change of what the row shows, by its authors' clocks.
pub fn modified(row: &[u8]) -> Option<Touch> {
    let events = take_events(&mut parts(row).0).into_iter();
    events.max_by_key(|(event, wall_ms)| (*wall_ms, *event)).map(|(event, wall_ms)| Touch { event, wall_ms })
}

/// The head, and the cells.
fn parts(row: &[u8]) -> (Take<'_>, CellRows<'_>) {
    let mut rest = Take(&row[1..]);
    let head = Take(rest.bytes());
    (head, CellRows(rest))
}

fn take_events(head: &mut Take<'_>) -> Vec<(EventRef, u64)> {
    let count = head.varint();
    let mut event = || {
        let chain = ChainId { device: DeviceKey(head.array()), number: head.varint() as u32 };
        let event = EventRef { chain, seq: head.varint(), id: EventId(head.array()) };
        (event, head.varint())
    };
    (0..count).map(|_| event()).collect()
}

/// The cells of a row, one after the other.
struct CellRows<'a>(Take<'a>);

impl<'a> Iterator for CellRows<'a> {
    type Item = CellRow<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = FieldId(self.0.array());
        let start = self.0.0;
        for _ in 0..self.0.varint() {
            self.0.bytes();
        }
        let part = &start[..start.len() - self.0.0.len()];
        let shows = Shows::take(&mut self.0);
        Some(CellRow { field, part, shows, rest: Take(self.0.bytes()) })
    }
}

impl<'a> CellRow<'a> {
    /// A cell of which no more is known than what it shows: a value, or none. `part` is as it stands in a row.
    pub(crate) fn shown(field: FieldId, part: &'a [u8], value: Option<&'a [u8]>) -> Self {
        Self { field, part, shows: value.map_or(Shows::Removed, Shows::Value), rest: Take(&[]) }
    }

    /// Whether it is this cell.
    pub fn is(&self, field: FieldId, part: &PartPath) -> bool {
        let is_part = || match part.is_empty() {
            true => self.part == WHOLE,
            false => self.part() == *part,
        };
        self.field == field && is_part()
    }

    /// Whether it is the field as a whole.
    pub fn is_whole(&self) -> bool {
        self.part == WHOLE
    }

    /// Where inside the field.
    pub fn part(&self) -> PartPath {
        if self.part == WHOLE {
            return PartPath::default();
        }
        let mut part = Take(self.part);
        let steps = part.varint();
        PartPath::new((0..steps).map(|_| part.bytes())).expect("rows are our own")
    }

    /// The canonical bytes of the value that it shows.
    pub fn value(&self) -> Option<&'a [u8]> {
        match self.shows {
            Shows::Value(bytes) => Some(bytes),
            Shows::Removed | Shows::NewerVersionNeeded => None,
        }
    }
}

impl<'a> Shows<'a> {
    fn take(bytes: &mut Take<'a>) -> Self {
        match bytes.byte() {
            VALUE => Self::Value(bytes.bytes()),
            REMOVED => Self::Removed,
            _newer_version_needed => Self::NewerVersionNeeded,
        }
    }

    fn to_content(self) -> Content {
        match self {
            Self::Value(bytes) => Content::Value(bytes.to_vec()),
            Self::Removed => Content::Removed,
            Self::NewerVersionNeeded => Content::NewerVersionNeeded,
        }
    }
}

fn put_address(out: &mut Vec<u8>, field: FieldId, part: &PartPath) {
    out.extend_from_slice(&field.0);
    put_varint(out, part.steps().len() as u64);
    part.steps().for_each(|step| put_bytes(out, step));
}

fn put_content(out: &mut Vec<u8>, content: &Content) {
    match content {
        Content::Value(bytes) => {
            out.push(VALUE);
            put_bytes(out, bytes);
        }
        Content::Removed => out.push(REMOVED),
        Content::NewerVersionNeeded => out.push(NEWER_VERSION_NEEDED),
    }
}

fn put_mark(out: &mut Vec<u8>, event: u64, op: u16, mark: bool) {
    put_varint(out, event);
    put_varint(out, op.into());
    out.push(mark.into());
}

/// `over` is how much later than its author's clock it counts as written.
fn put_sibling(out: &mut Vec<u8>, event: u64, op: u16, rank: u64, over: u64, covered: bool) {
    put_varint(out, event);
    put_varint(out, op.into());
    put_varint(out, rank);
    put_varint(out, over);
    out.push(covered.into());
}

/// The events of a row, in the order of their first use.
#[derive(Default)]
struct Events {
    list: Vec<(EventRef, u64)>,
}

impl Events {
    fn number(&mut self, stamp: &Stamp) -> u64 {
        // Nearly always the last one, or one of a few.
        let known = self.list.iter().rposition(|(event, _)| *event == stamp.event);
        known.unwrap_or_else(|| {
            self.list.push((stamp.event, stamp.wall_ms));
            self.list.len() - 1
        }) as u64
    }

    fn put_sibling(&mut self, out: &mut Vec<u8>, sibling: &Sibling) {
        let Sibling { stamp, rank, time_ms, covered, .. } = *sibling;
        put_sibling(out, self.number(&stamp), stamp.op, rank, time_ms - stamp.wall_ms, covered);
    }

    fn put_marked(&mut self, out: &mut Vec<u8>, stamp: &Stamp, mark: bool) {
        put_mark(out, self.number(stamp), stamp.op, mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(seq: u64, op: u16) -> Stamp {
        let chain = ChainId { device: DeviceKey([seq as u8 % 2; 32]), number: 1 };
        Stamp { event: EventRef { chain, seq, id: EventId([seq as u8; 32]) }, op, wall_ms: 1000 + seq }
    }

    fn sibling(seq: u64, content: Content, covered: bool) -> Sibling {
        Sibling { stamp: stamp(seq, 3), rank: seq * 7, time_ms: 2000, content, covered }
    }

    #[test]
    fn rows_keep_everything_and_show_one_cell() {
        let (x, y) = (FieldId([1; 16]), FieldId([2; 16]));
        let part = PartPath::new(["home", "number"]).unwrap();
        let one = Content::Value(Value::Int(1).encode());
        let state = RecordState {
            creates: vec![Edit { stamp: stamp(1, 0), covered: true }, Edit { stamp: stamp(2, 0), covered: false }],
            restores: vec![Edit { stamp: stamp(4, 1), covered: false }],
            deletes: vec![Removal { stamp: stamp(3, 2), answered: true }],
            cells: BTreeMap::from([
                ((x, PartPath::default()), vec![sibling(2, one.clone(), false), sibling(1, Content::Removed, true)]),
                ((x, part.clone()), vec![sibling(5, Content::NewerVersionNeeded, false)]),
                ((y, part.clone()), vec![sibling(2, Content::Value(Value::Null.encode()), false)]),
            ]),
        };
        let row = encode(&state);
        assert_eq!(decode(&row), state);
        assert!(exists(&row));
        assert_eq!(winner(&row, x, &PartPath::default()), Some(&Value::Int(1).encode()[..]));
        assert_eq!(winner(&row, x, &part), None);
        assert_eq!(winner(&row, y, &part), Some(&Value::Null.encode()[..]));
        assert_eq!(winner(&row, y, &PartPath::default()), None);
        let shown: Vec<_> = cells(&row).filter_map(|cell| cell.value().map(|_| (cell.field, cell.part()))).collect();
        assert_eq!(shown, [(x, PartPath::default()), (y, part.clone())]);
        assert_eq!(created(&row), Some(Touch { event: stamp(1, 0).event, wall_ms: 1001 }));
        assert_eq!(modified(&row), Some(Touch { event: stamp(5, 0).event, wall_ms: 1005 }));
    }

    #[test]
    fn a_new_record_has_the_row_of_its_state() {
        let part = PartPath::new(["home"]).unwrap();
        let value = Value::Int(7).encode();
        for (rank, wall_ms) in [(0, 0), (9, 1001)] {
            let stamp = |op| Stamp { wall_ms, ..stamp(1, op) };
            let time_ms = wall_ms.max(1);
            let sibling = |op| Sibling {
                rank,
                time_ms,
                stamp: stamp(op),
                content: Content::Value(value.clone()),
                covered: false,
            };
            let state = RecordState {
                creates: vec![Edit { stamp: stamp(0), covered: false }],
                cells: BTreeMap::from([
                    ((FieldId([1; 16]), PartPath::default()), vec![sibling(2)]),
                    ((FieldId([1; 16]), part.clone()), vec![sibling(1)]),
                ]),
                ..RecordState::default()
            };
            let cell = |part, op| NewCell { field: FieldId([1; 16]), part, op, value: &value };
            let whole = PartPath::default();
            let cells = [cell(&whole, 2), cell(&part, 1)];
            assert_eq!(encode_new(&stamp(0).event, wall_ms, 0, rank, &cells), encode(&state));
        }
    }

    #[test]
    fn a_record_that_does_not_exist_says_so() {
        let held = RecordState {
            cells: BTreeMap::from([(
                (FieldId([1; 16]), PartPath::default()),
                vec![sibling(1, Content::Removed, false)],
            )]),
            ..RecordState::default()
        };
        assert!(!exists(&encode(&held)));
        assert_eq!(decode(&encode(&held)), held);
        assert_eq!(decode(&encode(&RecordState::default())), RecordState::default());
    }
}
