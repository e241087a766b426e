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
mod tests;
