//! The rows of records as they are kept: without what they repeat.
//!
//! Rows name fields and devices by ids of 16 and 32 bytes, which are half of a row and the same in most others. In the
//! tables stands the number that this database has given such a *word* ([`super::words`]), and what a cell's mark has in
//! common with that of the cell before is left out. Nothing above knows: what is read is what was written, to the byte.
//!
//! A packed row has a check of the words that it means by numbers: should a damaged disk lose some, and others get their
//! numbers, it is told, and not read as another row.
//!
//! A kept row begins with one of the forms below. What cannot be taken apart like a row of
//! [`record_row`](crate::record_row) is kept as it is.

mod shown;

pub(super) use self::shown::shown;

use super::words::{Word, Words};

/// A packed row whose first byte was 0, and one whose first byte was 1.
const PACKED: [u8; 2] = [2, 3];
/// Other bytes, behind this one. It is left out before a byte that is less than all forms.
const PLAIN: u8 = 4;

/// Bits of a cell's first byte.
mod has {
    /// The id of its field, and not a number.
    pub const FIELD: u8 = 1;
    /// Its place inside the field; the whole field otherwise.
    pub const PART: u8 = 2;
    /// Its mark as it was; only the op otherwise, and the rest is that of the mark before.
    pub const MARK: u8 = 4;
    /// No value, but what stands there in its place.
    pub const OTHER: u8 = 8;
}

/// The first byte of a cell that shows a value, in a row.
const VALUE: u8 = 0;
/// What stands behind the event's number and the op, in the mark of a cell that nothing contends with, ends so.
const UNCONTENDED: [u8; 2] = [0, 0];

/// Places of words that are remembered from row to row.
const HINTS: usize = 64;

/// Packs rows one after the other: most have the same words at the same places.
#[derive(Default)]
pub(super) struct Packer {
    hints: Vec<(Word, u32)>,
    check: Check,
}

/// Of the words of a row that stand there as numbers, in their order.
#[derive(Default)]
struct Check(u64);

impl Check {
    fn add(&mut self, word: &Word) {
        let (start, _) = word.split_first_chunk().expect("a word is longer");
        self.0 = (self.0.rotate_left(7) ^ u64::from_le_bytes(*start)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn bytes(&self) -> [u8; 4] {
        ((self.0 >> 32) as u32).to_le_bytes()
    }
}

impl Packer {
    /// A row as it is kept.
    pub(super) fn pack(&mut self, row: &[u8], words: &Words) -> Vec<u8> {
        self.packed(row, words).unwrap_or_else(|| plain(row))
    }

    fn packed(&mut self, row: &[u8], words: &Words) -> Option<Vec<u8>> {
        let (first, rest) = row.split_first()?;
        let mut cells = Cursor(rest);
        let mut out = Vec::with_capacity(row.len() / 2 + 64);
        out.push(*PACKED.get(usize::from(*first))?);
        let check = out.len()..out.len() + self.check.bytes().len();
        out.extend_from_slice(&self.check.bytes());
        self.check = Check::default();
        let mut place = self.head(&mut out, Cursor(cells.bytes()?), words)?;
        let mut tail: &[u8] = &[];
        while !cells.0.is_empty() {
            tail = self.cell(&mut out, &mut cells, (place, tail), words)?;
            place += 1;
        }
        out[check].copy_from_slice(&self.check.bytes());
        Some(out)
    }

    /// The events of a row, and its marks as they are. Gives the number of words.
    fn head(&mut self, out: &mut Vec<u8>, mut head: Cursor<'_>, words: &Words) -> Option<usize> {
        let events = head.number()?;
        put_number(out, events);
        let mut place = 0;
        for _ in 0..events {
            for _half in 0..2 {
                self.put_word(out, head.array()?, place, words);
                place += 1;
            }
            head.copy_number(out)?;
            head.copy_number(out)?;
            out.extend_from_slice(head.array::<32>()?);
            head.copy_number(out)?;
        }
        put_bytes(out, head.0);
        Some(place)
    }

    /// A cell, whose field is the word at `place`, and where the mark before ended in `tail`. Gives its own mark's.
    fn cell<'r>(
        &mut self,
        out: &mut Vec<u8>,
        cells: &mut Cursor<'r>,
        (place, tail): (usize, &'r [u8]),
        words: &Words,
    ) -> Option<&'r [u8]> {
        let field = cells.array::<16>()?;
        let start = cells.0;
        let steps = cells.number()?;
        for _ in 0..steps {
            cells.bytes()?;
        }
        let part = &start[..start.len() - cells.0.len()];
        let shows = cells.byte()?;
        let value = if shows == VALUE { cells.bytes()? } else { &[] };
        let mark = cells.bytes()?;
        let uncontended = uncontended(mark);
        let op = uncontended.filter(|(_, behind)| *behind == tail).map(|(op, _)| op);
        let number = self.number(field, place, words);
        let flag = |is, bit| if is { bit } else { 0 };
        out.push(
            flag(number.is_none(), has::FIELD)
                | flag(steps > 0, has::PART)
                | flag(op.is_none(), has::MARK)
                | flag(shows != VALUE, has::OTHER),
        );
        match number {
            Some(number) => put_number(out, number.into()),
            None => out.extend_from_slice(field),
        }
        if steps > 0 {
            out.extend_from_slice(part);
        }
        match shows {
            VALUE => put_bytes(out, value),
            other => out.push(other),
        }
        let Some(op) = op else {
            put_bytes(out, mark);
            return Some(uncontended.map_or(&[], |(_, behind)| behind));
        };
        out.extend_from_slice(op);
        Some(tail)
    }

    /// A word by its number, or as it is behind a 0.
    fn put_word(&mut self, out: &mut Vec<u8>, word: &Word, place: usize, words: &Words) {
        match self.number(word, place, words) {
            Some(number) => put_number(out, u64::from(number) + 1),
            None => {
                out.push(0);
                out.extend_from_slice(word);
            }
        }
    }

    fn number(&mut self, word: &Word, place: usize, words: &Words) -> Option<u32> {
        let number = self.looked_up(word, place, words)?;
        self.check.add(word);
        Some(number)
    }

    fn looked_up(&mut self, word: &Word, place: usize, words: &Words) -> Option<u32> {
        if let Some((known, number)) = self.hints.get(place)
            && known == word
        {
            return Some(*number);
        }
        let number = words.number(word)?;
        if place < HINTS {
            self.hints.resize(self.hints.len().max(place + 1), (*word, number));
            self.hints[place] = (*word, number);
        }
        Some(number)
    }
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    match bytes.first() {
        Some(first) if *first >= PACKED[0] => [&[PLAIN], bytes].concat(),
        _less_than_all_forms => bytes.to_vec(),
    }
}

/// The words of a row that have no numbers yet.
pub(super) fn new_words(row: &[u8], words: &Words, new: &mut Vec<Word>) {
    let before = new.len();
    let is_row = each_word(row, &mut |word| {
        if words.number(word).is_none() {
            new.push(*word);
        }
    });
    // What is no row is not packed.
    if is_row.is_none() {
        new.truncate(before);
    }
}

fn each_word(row: &[u8], tell: &mut impl FnMut(&Word)) -> Option<()> {
    let (_, rest) = row.split_first()?;
    let mut cells = Cursor(rest);
    let mut head = Cursor(cells.bytes()?);
    for _ in 0..head.number()? {
        tell(head.array()?);
        tell(head.array()?);
        head.raw_number()?;
        head.raw_number()?;
        head.array::<32>()?;
        head.raw_number()?;
    }
    while !cells.0.is_empty() {
        tell(cells.array()?);
        for _ in 0..cells.number()? {
            cells.bytes()?;
        }
        if cells.byte()? == VALUE {
            cells.bytes()?;
        }
        cells.bytes()?;
    }
    Some(())
}

/// The row of what [`Packer::pack`] gave for it, which is in `room` unless it was kept as it is; none if nothing gave
/// that, or a word is missing.
pub(super) fn unpack<'a>(kept: &'a [u8], words: &Words, room: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    match kept.first() {
        Some(first) if PACKED.contains(first) => {
            unpack_into(room, kept, words)?;
            Some(room)
        }
        _is_not_packed => kept_as_it_is(kept),
    }
}

/// What was kept as it is.
fn kept_as_it_is(kept: &[u8]) -> Option<&[u8]> {
    match kept.first() {
        Some(&PLAIN) => Some(&kept[1..]),
        Some(first) if *first > PLAIN => None,
        _less_than_all_forms => Some(kept),
    }
}

fn unpack_into(row: &mut Vec<u8>, kept: &[u8], words: &Words) -> Option<()> {
    let (first, rest) = kept.split_first()?;
    let mut from = Cursor(rest);
    row.clear();
    row.reserve(3 * kept.len() + 64);
    row.push(first - PACKED[0]);
    let check = from.array()?;
    let mut named = Named { words, check: Check::default() };
    unpack_head(row, &mut from, &mut named)?;
    let mut tail: &[u8] = &[];
    while !from.0.is_empty() {
        tail = unpack_cell(row, &mut from, tail, &mut named)?;
    }
    (named.check.bytes() == *check).then_some(())
}

/// Words by their numbers, and the check of those that were asked for.
struct Named<'w> {
    words: &'w Words,
    check: Check,
}

impl<'w> Named<'w> {
    fn word(&mut self, number: u64) -> Option<&'w Word> {
        let word = self.words.word(number)?;
        self.check.add(word);
        Some(word)
    }
}

fn unpack_head(row: &mut Vec<u8>, from: &mut Cursor<'_>, named: &mut Named<'_>) -> Option<()> {
    // The length comes first, and is known last: mostly one byte.
    let start = row.len();
    row.push(0);
    let events = from.number()?;
    put_number(row, events);
    for _ in 0..events {
        for _half in 0..2 {
            match from.number()? {
                0 => row.extend_from_slice(from.array::<16>()?),
                number => row.extend_from_slice(named.word(number - 1)?),
            }
        }
        from.copy_number(row)?;
        from.copy_number(row)?;
        row.extend_from_slice(from.array::<32>()?);
        from.copy_number(row)?;
    }
    row.extend_from_slice(from.bytes()?);
    match row.len() - start - 1 {
        length @ ..0x80 => row[start] = length as u8,
        length => {
            let mut bytes = Vec::new();
            put_number(&mut bytes, length as u64);
            row.splice(start..=start, bytes);
        }
    }
    Some(())
}

/// A cell behind one whose mark ended in `tail`. Gives its own mark's.
fn unpack_cell<'k>(
    row: &mut Vec<u8>,
    from: &mut Cursor<'k>,
    tail: &'k [u8],
    named: &mut Named<'_>,
) -> Option<&'k [u8]> {
    let flags = from.byte()?;
    match flags & has::FIELD {
        0 => row.extend_from_slice(named.word(from.number()?)?),
        _ => row.extend_from_slice(from.array::<16>()?),
    }
    if flags & has::PART == 0 {
        row.push(0);
    } else {
        let start = from.0;
        for _ in 0..from.number()? {
            from.bytes()?;
        }
        row.extend_from_slice(&start[..start.len() - from.0.len()]);
    }
    if flags & has::OTHER == 0 {
        row.push(VALUE);
        from.copy_bytes(row)?;
    } else {
        row.push(from.byte()?);
    }
    if flags & has::MARK != 0 {
        let mark = from.copy_bytes(row)?;
        return Some(uncontended(mark).map_or(&[], |(_, behind)| behind));
    }
    let op = from.raw_number()?;
    put_number(row, (1 + op.len() + tail.len()) as u64);
    row.push(0);
    row.extend_from_slice(op);
    row.extend_from_slice(tail);
    Some(tail)
}

/// Op and what is behind it, of a mark of the row's first event over nothing.
fn uncontended(mark: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = Cursor(mark.strip_prefix(&[0])?);
    let op = rest.raw_number()?;
    rest.0.ends_with(&UNCONTENDED).then_some((op, rest.0))
}

/// Reads what may be anything.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    /// The bytes of a number in its shortest form.
    #[inline]
    fn raw_number(&mut self) -> Option<&'a [u8]> {
        if let [0..0x80, ..] = self.0 {
            let (raw, rest) = self.0.split_at(1);
            self.0 = rest;
            return Some(raw);
        }
        let end = self.0.iter().position(|byte| *byte < 0x80)?;
        let (raw, rest) = self.0.split_at(end + 1);
        self.0 = rest;
        (raw[end] != 0).then_some(raw)
    }

    #[inline]
    fn copy_number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(self.raw_number()?);
        Some(())
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        if let [small @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Some(u64::from(*small));
        }
        let raw = self.raw_number()?;
        // Counts and lengths: less than what a row can hold.
        (raw.len() <= 5).then(|| raw.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f)))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Bytes, copied with their length.
    fn copy_bytes(&mut self, out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let start = self.0;
        let bytes = self.bytes()?;
        out.extend_from_slice(&start[..start.len() - self.0.len()]);
        Some(bytes)
    }
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    crate::bytes::put_varint(out, number);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    crate::bytes::put_bytes(out, bytes);
}

#[cfg(test)]
mod tests {
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
}
