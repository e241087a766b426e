//! A record's row: [`RecordState`] in few bytes, laid out so that one cell can be read without the rest.
//!
//! First whether the record exists; then the events that it is made of, each once; then creates, restores and deletes;
//! then the cells in order. Everything else refers to the events by number. Numbers are varints (postcard).

use crate::fold::{
    RecordState,
    record::{Content, Edit, Removal, Sibling, Stamp},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_wire::{EventRef, FieldId, PartPath};

/// Version of this layout: rows of another one are made anew.
pub const ROWS_VERSION: u32 = 2;

/// Everything but the cells.
#[derive(Serialize, Deserialize)]
struct Head {
    exists: bool,
    /// Each with its author's clock.
    events: Vec<(EventRef, u64)>,
    creates: Vec<Marked>,
    restores: Vec<Marked>,
    deletes: Vec<Marked>,
    cells: u32,
}

/// Event number, op, and whether it is covered or answered.
type Marked = (u32, u16, bool);

/// A cell's address, then how many siblings follow.
type CellHead = (FieldId, PartPath, u32);

#[derive(Serialize, Deserialize)]
struct SiblingRow<'a> {
    event: u32,
    op: u16,
    rank: u64,
    time_ms: u64,
    covered: bool,
    #[serde(borrow)]
    content: ContentRow<'a>,
}

#[derive(Serialize, Deserialize)]
enum ContentRow<'a> {
    Value(#[serde(borrow)] &'a [u8]),
    Removed,
    NewerVersionNeeded,
}

/// The row of a record.
pub fn encode(state: &RecordState) -> Vec<u8> {
    let mut events = Events::default();
    let head = Head {
        exists: state.exists(),
        creates: state.creates.iter().map(|edit| events.marked(&edit.stamp, edit.covered)).collect(),
        restores: state.restores.iter().map(|edit| events.marked(&edit.stamp, edit.covered)).collect(),
        deletes: state.deletes.iter().map(|removal| events.marked(&removal.stamp, removal.answered)).collect(),
        cells: state.cells.len() as u32,
        events: Vec::new(),
    };
    let mut cells = Vec::new();
    for ((field, part), siblings) in &state.cells {
        put(&mut cells, &(field, part, siblings.len() as u32));
        for sibling in siblings {
            let content = match &sibling.content {
                Content::Value(bytes) => ContentRow::Value(bytes),
                Content::Removed => ContentRow::Removed,
                Content::NewerVersionNeeded => ContentRow::NewerVersionNeeded,
            };
            let Sibling { rank, time_ms, covered, stamp, .. } = *sibling;
            put(
                &mut cells,
                &SiblingRow { event: events.number(&stamp), op: stamp.op, rank, time_ms, covered, content },
            );
        }
    }
    let mut row = Vec::new();
    put(&mut row, &Head { events: events.list, ..head });
    row.extend_from_slice(&cells);
    row
}

/// The record of a row.
///
/// # Panics
/// On anything that [`encode`] did not write: rows are our own.
pub fn decode(row: &[u8]) -> RecordState {
    let (head, mut rest) = take::<Head>(row);
    let stamp = |event: u32, op| {
        let (event, wall_ms) = head.events[event as usize];
        Stamp { event, op, wall_ms }
    };
    let edits = |marked: &[Marked]| {
        marked.iter().map(|(event, op, covered)| Edit { stamp: stamp(*event, *op), covered: *covered }).collect()
    };
    let deletes = head.deletes.iter();
    let mut cells = BTreeMap::new();
    for _ in 0..head.cells {
        let ((field, part, count), after) = take::<CellHead>(rest);
        rest = after;
        let mut siblings = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let (sibling, after) = take::<SiblingRow>(rest);
            rest = after;
            let SiblingRow { event, op, rank, time_ms, covered, content } = sibling;
            let content = match content {
                ContentRow::Value(bytes) => Content::Value(bytes.to_vec()),
                ContentRow::Removed => Content::Removed,
                ContentRow::NewerVersionNeeded => Content::NewerVersionNeeded,
            };
            siblings.push(Sibling { stamp: stamp(event, op), rank, time_ms, content, covered });
        }
        cells.insert((field, part), siblings);
    }
    RecordState {
        creates: edits(&head.creates),
        restores: edits(&head.restores),
        deletes: deletes
            .map(|(event, op, answered)| Removal { stamp: stamp(*event, *op), answered: *answered })
            .collect(),
        cells,
    }
}

/// Whether the record of a row exists.
pub fn exists(row: &[u8]) -> bool {
    row[0] != 0
}

/// The canonical bytes of the value that a cell of a row shows, without reading more than is needed.
pub fn winner<'a>(row: &'a [u8], field: FieldId, part: &PartPath) -> Option<&'a [u8]> {
    let (head, mut rest) = take::<Head>(row);
    for _ in 0..head.cells {
        let ((of, at, count), after) = take::<CellHead>(rest);
        rest = after;
        let is_it = of == field && at == *part;
        for index in 0..count {
            let (sibling, after) = take::<SiblingRow>(rest);
            rest = after;
            if is_it && index == 0 {
                return match sibling.content {
                    ContentRow::Value(bytes) => Some(bytes),
                    ContentRow::Removed | ContentRow::NewerVersionNeeded => None,
                };
            }
        }
    }
    None
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

    fn marked(&mut self, stamp: &Stamp, mark: bool) -> Marked {
        (self.number(stamp), stamp.op, mark)
    }
}

fn put<T: Serialize>(out: &mut Vec<u8>, part: &T) {
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
