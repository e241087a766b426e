//! A record's row: [`RecordState`] in few bytes, laid out so that what cells show can be read without the rest.
//!
//! First whether the record exists; then the length of the head, and the head: the events that the record is made of,
//! each once, then creates, restores and deletes; then the cells in order, each with what it shows first and the length
//! of the rest. Everything else refers to the events by number. Numbers are varints (postcard).

use crate::fold::{
    RecordState,
    record::{Content, Edit, Removal, Sibling, Stamp},
};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;
use std::collections::BTreeMap;
use tandem_wire::{EventRef, FieldId, PartPath};

/// Version of this layout: rows of another one are made anew.
pub const ROWS_VERSION: u32 = 2;

/// Everything but the cells.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Each with its author's clock.
    events: Vec<(EventRef, u64)>,
    creates: Vec<Marked>,
    restores: Vec<Marked>,
    deletes: Vec<Marked>,
}

/// Event number, op, and whether it is covered or answered.
type Marked = (u32, u16, bool);

/// A cell's address and what it shows.
#[derive(Serialize, Deserialize)]
struct CellHead<'a> {
    field: FieldId,
    part: PartPath,
    #[serde(borrow)]
    shows: ContentRow<'a>,
}

/// The winner without its content, then the losers.
#[derive(Serialize, Deserialize)]
struct CellRest<'a> {
    winner: SiblingRow,
    #[serde(borrow)]
    losers: Vec<(SiblingRow, ContentRow<'a>)>,
}

#[derive(Serialize, Deserialize)]
struct SiblingRow {
    event: u32,
    op: u16,
    rank: u64,
    time_ms: u64,
    covered: bool,
}

#[derive(Serialize, Deserialize)]
enum ContentRow<'a> {
    Value(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    Removed,
    NewerVersionNeeded,
}

/// Who made a record or changed it last, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// The event that did so; its chain has the device.
    pub event: EventRef,
    /// Its author's clock, in milliseconds since 1970.
    pub wall_ms: u64,
}

/// The row of a record.
pub fn encode(state: &RecordState) -> Vec<u8> {
    let mut events = Events::default();
    let head = Head {
        creates: state.creates.iter().map(|edit| events.marked(&edit.stamp, edit.covered)).collect(),
        restores: state.restores.iter().map(|edit| events.marked(&edit.stamp, edit.covered)).collect(),
        deletes: state.deletes.iter().map(|removal| events.marked(&removal.stamp, removal.answered)).collect(),
        events: Vec::new(),
    };
    let mut cells = Vec::new();
    let mut rest = Vec::new();
    for ((field, part), siblings) in &state.cells {
        let (winner, losers) = siblings.split_first().expect("a cell in a state has siblings");
        let shows = ContentRow::of(&winner.content);
        put(&mut cells, &CellHead { field: *field, part: part.clone(), shows });
        rest.clear();
        let losers = losers.iter().map(|loser| (events.sibling(loser), ContentRow::of(&loser.content)));
        let losers = losers.collect();
        put(&mut rest, &CellRest { winner: events.sibling(winner), losers });
        put(&mut cells, Bytes::new(&rest));
    }
    rest.clear();
    put(&mut rest, &Head { events: events.list, ..head });
    let mut row = Vec::with_capacity(rest.len() + cells.len() + 4);
    row.push(u8::from(state.exists()));
    put(&mut row, Bytes::new(&rest));
    row.extend_from_slice(&cells);
    row
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

/// The row of a record that one event made, and nobody has touched since: what [`encode`] gives for it. `cells` are in
/// the order of their addresses.
pub fn encode_new(event: &EventRef, wall_ms: u64, create: u16, rank: u64, cells: &[NewCell<'_>]) -> Vec<u8> {
    let creates = vec![(0, create, false)];
    let head = Head { events: vec![(*event, wall_ms)], creates, restores: vec![], deletes: vec![] };
    let size: usize = cells.iter().map(|cell| 48 + cell.value.len()).sum();
    let mut row = Vec::with_capacity(128 + size);
    row.push(1);
    let mut part = Vec::with_capacity(96);
    put(&mut part, &head);
    put(&mut row, Bytes::new(&part));
    for NewCell { field, part: path, op, value } in cells {
        put(&mut row, &(field, path, ContentRow::Value(value)));
        part.clear();
        let time_ms = wall_ms.max(1);
        let winner = SiblingRow { event: 0, op: *op, rank, time_ms, covered: false };
        put(&mut part, &CellRest { winner, losers: vec![] });
        put(&mut row, Bytes::new(&part));
    }
    row
}

/// The record of a row.
///
/// # Panics
/// On anything that [`encode`] did not write: rows are our own.
pub fn decode(row: &[u8]) -> RecordState {
    let (head, cells) = parts(row);
    let head = head_of(head);
    let stamp = |event: u32, op| {
        let (event, wall_ms) = head.events[event as usize];
        Stamp { event, op, wall_ms }
    };
    let edits = |marked: &[Marked]| {
        marked.iter().map(|(event, op, covered)| Edit { stamp: stamp(*event, *op), covered: *covered }).collect()
    };
    let sibling = |row: SiblingRow, content: ContentRow<'_>| {
        let SiblingRow { event, op, rank, time_ms, covered } = row;
        Sibling { stamp: stamp(event, op), rank, time_ms, content: content.to_content(), covered }
    };
    let cells = CellRows(cells).map(|(cell, rest)| {
        let (CellRest { winner, losers }, _) = take::<CellRest<'_>>(rest);
        let losers = losers.into_iter().map(|(row, content)| sibling(row, content));
        let siblings = std::iter::once(sibling(winner, cell.shows)).chain(losers).collect();
        ((cell.field, cell.part), siblings)
    });
    let deletes = head.deletes.iter();
    RecordState {
        creates: edits(&head.creates),
        restores: edits(&head.restores),
        deletes: deletes
            .map(|(event, op, answered)| Removal { stamp: stamp(*event, *op), answered: *answered })
            .collect(),
        cells: cells.collect::<BTreeMap<_, _>>(),
    }
}

/// Whether the record of a row exists.
pub fn exists(row: &[u8]) -> bool {
    row[0] != 0
}

/// The canonical bytes of the value that a cell of a row shows, without reading more than is needed.
pub fn winner<'a>(row: &'a [u8], field: FieldId, part: &PartPath) -> Option<&'a [u8]> {
    let (cell, _) = CellRows(parts(row).1).find(|(cell, _)| cell.field == field && cell.part == *part)?;
    cell.shows.value()
}

/// The canonical bytes of the values that the cells of a row show, in the order of their addresses.
pub fn winners(row: &[u8]) -> impl Iterator<Item = (FieldId, PartPath, &[u8])> {
    CellRows(parts(row).1).filter_map(|(cell, _)| Some((cell.field, cell.part, cell.shows.value()?)))
}

/// Who made the record of a row; none while it waits for a create.
pub fn created(row: &[u8]) -> Option<Touch> {
    let head = head_of(parts(row).0);
    let creates = head.creates.iter().map(|(event, ..)| head.events[*event as usize]);
    creates.min_by_key(|(event, wall_ms)| (*wall_ms, *event)).map(|(event, wall_ms)| Touch { event, wall_ms })
}

/// The last change of what the row shows, by its authors' clocks.
pub fn modified(row: &[u8]) -> Option<Touch> {
    let events = head_of(parts(row).0).events.into_iter();
    events.max_by_key(|(event, wall_ms)| (*wall_ms, *event)).map(|(event, wall_ms)| Touch { event, wall_ms })
}

/// The bytes of the head, and of the cells.
fn parts(row: &[u8]) -> (&[u8], &[u8]) {
    take::<&[u8]>(&row[1..])
}

fn head_of(head: &[u8]) -> Head {
    take(head).0
}

/// The cells of a row, one after the other, each with the bytes of its rest.
struct CellRows<'a>(&'a [u8]);

impl<'a> Iterator for CellRows<'a> {
    type Item = (CellHead<'a>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (cell, after) = take::<CellHead<'a>>(self.0);
        let (rest, after) = take::<&[u8]>(after);
        self.0 = after;
        Some((cell, rest))
    }
}

impl<'a> ContentRow<'a> {
    fn of(content: &'a Content) -> Self {
        match content {
            Content::Value(bytes) => Self::Value(bytes),
            Content::Removed => Self::Removed,
            Content::NewerVersionNeeded => Self::NewerVersionNeeded,
        }
    }

    fn to_content(&self) -> Content {
        match self {
            Self::Value(bytes) => Content::Value(bytes.to_vec()),
            Self::Removed => Content::Removed,
            Self::NewerVersionNeeded => Content::NewerVersionNeeded,
        }
    }

    fn value(&self) -> Option<&'a [u8]> {
        match self {
            Self::Value(bytes) => Some(bytes),
            Self::Removed | Self::NewerVersionNeeded => None,
        }
    }
}

/// The events of a row, in the order of their first use.
#[derive(Default)]
struct Events {
    list: Vec<(EventRef, u64)>,
}

impl Events {
    fn number(&mut self, stamp: &Stamp) -> u32 {
        // Nearly always the last one, or one of a few.
        let known = self.list.iter().rposition(|(event, _)| *event == stamp.event);
        known.unwrap_or_else(|| {
            self.list.push((stamp.event, stamp.wall_ms));
            self.list.len() - 1
        }) as u32
    }

    fn sibling(&mut self, sibling: &Sibling) -> SiblingRow {
        let Sibling { stamp, rank, time_ms, covered, .. } = *sibling;
        SiblingRow { event: self.number(&stamp), op: stamp.op, rank, time_ms, covered }
    }

    fn marked(&mut self, stamp: &Stamp, mark: bool) -> Marked {
        (self.number(stamp), stamp.op, mark)
    }
}

fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, part: &T) {
    *out = postcard::to_extend(part, std::mem::take(out)).expect("a vector takes all bytes");
}

fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> (T, &'a [u8]) {
    postcard::take_from_bytes(bytes).expect("rows are our own")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_wire::{ChainId, DeviceKey, EventId, Value};

    fn stamp(seq: u64, op: u16) -> Stamp {
        let chain = ChainId { device: DeviceKey([seq as u8 % 2; 32]), number: 1 };
        Stamp { event: EventRef { chain, seq, id: EventId([seq as u8; 32]) }, op, wall_ms: 1000 + seq }
    }

    fn sibling(seq: u64, content: Content, covered: bool) -> Sibling {
        Sibling { stamp: stamp(seq, 3), rank: seq * 7, time_ms: 5, content, covered }
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
        let shown: Vec<_> = winners(&row).map(|(field, part, _)| (field, part)).collect();
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
