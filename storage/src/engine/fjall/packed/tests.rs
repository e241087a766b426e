use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use tandem_wire::{ChainId, DeviceKey, EventId, EventRef, FieldId, PartPath, Value};

use super::*;
use crate::{
    fold::{
        RecordState,
        record::{Content, Edit, Sibling, Stamp},
    },
    record_row::{self, CellRow, NewCell, encode, encode_new},
};

fn event(device: u8, seq: u64) -> EventRef {
    let chain = ChainId { device: DeviceKey([device; 32]), number: 1 };
    EventRef { chain, seq, id: EventId([seq as u8; 32]) }
}

fn words() -> Words {
    Words::of((0..4).map(|n| [n; 16]))
}

fn read(kept: &[u8], words: &Words) -> Option<Vec<u8>> {
    unpack(kept, words, &mut vec![7; 3]).map(<[u8]>::to_vec)
}

fn check(rows: &[Vec<u8>]) {
    let (words, mut packer) = (words(), Packer::default());
    for row in rows {
        let kept = packer.pack(row, &words);
        assert_eq!(read(&kept, &words).as_ref(), Some(row), "{kept:x?}");
    }
}

fn check_shown(row: &[u8]) {
    let kept = Packer::default().pack(row, &words());
    let known = words();
    let (exists, cells) = shown(&kept, &known).unwrap();
    assert_eq!(exists, record_row::exists(row));
    assert_eq!(what_shows(&cells), what_shows(&record_row::all_cells(row)), "{kept:x?}");
}

fn what_shows<'a>(cells: &[CellRow<'a>]) -> Vec<(FieldId, PartPath, Option<&'a [u8]>)> {
    cells.iter().map(|cell| (cell.field, cell.part(), cell.value())).collect()
}

#[test]
fn a_new_records_row_says_once_what_its_cells_share() {
    let value = Value::Int(7).encode();
    let (whole, part) = (PartPath::default(), PartPath::new(["home"]).unwrap());
    let cell = |field, part, op| NewCell { field: FieldId([field; 16]), part, op, value: &value };
    let cells = [cell(1, &whole, 3), cell(2, &whole, 1), cell(3, &part, 2), cell(9, &whole, 200)];
    let row = encode_new(&event(0, 5), 1000, 0, 8, &cells);
    let kept = Packer::default().pack(&row, &words());
    let mut expect = vec![3, 228, 124, 233, 154, 1, 1, 1, 1, 5];
    expect.extend([5; 32]);
    expect.extend([0xe8, 7]);
    expect.extend([6, 1, 0, 0, 0, 0, 0]);
    expect.extend([4, 1, 2, 2, 14, 6, 0, 3, 8, 0, 0, 0]);
    expect.extend([0, 2, 2, 2, 14, 1]);
    expect.extend([2, 3, 1, 4, b'h', b'o', b'm', b'e', 2, 2, 14, 2]);
    expect.push(1);
    expect.extend([9; 16]);
    expect.extend([2, 2, 14, 200, 1]);
    assert_eq!(kept, expect);
    assert_eq!(read(&kept, &words()), Some(row));
}

#[test]
fn the_words_of_a_row_are_found() {
    let (value, whole) = (Value::Int(7).encode(), PartPath::default());
    let cell = |field| NewCell { field: FieldId([field; 16]), part: &whole, op: 1, value: &value };
    let row = encode_new(&event(3, 5), 1 << 47, 0, u64::MAX, &[cell(2), cell(8), cell(9)]);
    let mut new = Vec::new();
    new_words(&row, &words(), &mut new);
    assert_eq!(new, [[8; 16], [9; 16]]);
    new_words(b"\x01\x05x", &words(), &mut new);
    new_words(&row[..row.len() - 1], &words(), &mut new);
    assert_eq!(new.len(), 2);
}

#[test]
fn what_is_no_row_is_kept_as_it_is() {
    for bytes in [&b""[..], b"\0", b"\x01\x05x", b"\x02", b"\x04\x04", b"\xff"] {
        check(&[bytes.to_vec()]);
    }
    assert_eq!(Packer::default().pack(b"\x01\x05x", &words()), b"\x01\x05x");
    assert_eq!(Packer::default().pack(b"\x03x", &words()), b"\x04\x03x");
}

#[test]
fn words_that_are_not_those_of_the_row_are_told() {
    let (value, whole) = (Value::Int(7).encode(), PartPath::default());
    let cell = |field| NewCell { field: FieldId([field; 16]), part: &whole, op: 1, value: &value };
    let kept = Packer::default().pack(&encode_new(&event(0, 5), 9, 0, 1, &[cell(1), cell(2)]), &words());
    assert!(read(&kept, &words()).is_some());
    for others in [[0, 1, 9], [0, 2, 1], [9, 1, 2], [1, 0, 2]] {
        assert!(read(&kept, &Words::of(others.map(|n| [n; 16]))).is_none(), "{others:?}");
    }
}

#[test]
fn a_word_that_is_missing_is_told() {
    let row = encode_new(&event(3, 5), 1000, 0, 8, &[]);
    let kept = Packer::default().pack(&row, &words());
    assert!(read(&kept, &Words::of([[0; 16]])).is_none());
    assert!(read(&[9], &words()).is_none());
}

fn any_state() -> impl Strategy<Value = RecordState> {
    let stamp = (0..6u8, 0..3u64, 0..300u16).prop_map(|(device, seq, op)| Stamp {
        event: event(device, seq),
        op,
        wall_ms: seq,
    });
    let content = prop_oneof![
        vec(any::<u8>(), 0..200).prop_map(Content::Value),
        Just(Content::Removed),
        Just(Content::NewerVersionNeeded),
    ];
    let sibling = (stamp.clone(), 0..500u64, 0..9u64, content, any::<bool>()).prop_map(
        |(stamp, rank, over, content, covered)| Sibling {
            time_ms: stamp.wall_ms + over,
            stamp,
            rank,
            content,
            covered,
        },
    );
    let part = prop_oneof![3 => Just(PartPath::default()), 1 => Just(PartPath::new(["home", "number"]).unwrap())];
    let cells = vec(((0..7u8, part), vec(sibling, 1..3)), 0..6);
    let edits = vec((stamp, any::<bool>()).prop_map(|(stamp, covered)| Edit { stamp, covered }), 0..3);
    (edits, cells).prop_map(|(creates, cells)| RecordState {
        creates,
        cells: cells
            .into_iter()
            .map(|((field, part), all)| ((FieldId([field; 16]), part), all))
            .collect::<BTreeMap<_, _>>(),
        ..RecordState::default()
    })
}

proptest! {
    #[test]
    fn rows_are_read_as_they_were_written(states in vec(any_state(), 1..5)) {
        let rows: Vec<_> = states.iter().map(encode).collect();
        check(&rows);
        rows.iter().for_each(|row| check_shown(row));
    }

    #[test]
    fn damaged_rows_as_well(state in any_state(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut: prop::sample::Index) {
        let mut row = encode(&state);
        for (at, byte) in changes {
            let at = at.index(row.len());
            row[at] = byte;
        }
        check(&[row.clone(), row[..cut.index(row.len())].to_vec()]);
    }

    #[test]
    fn any_bytes_can_be_unpacked_or_are_told(state in any_state(), at: prop::sample::Index, byte: u8, bytes in vec(any::<u8>(), 0..40)) {
        let mut kept = Packer::default().pack(&encode(&state), &words());
        let at = at.index(kept.len());
        kept[at] = byte;
        let _some_or_none = read(&bytes, &words());
        let row = read(&kept, &words());
        if PACKED.contains(&kept[0]) {
            assert_eq!(shown(&kept, &words()).is_some(), row.is_some());
        }
    }
}
