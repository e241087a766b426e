//! Entries of indexes: gathered in any order, given back in that of their keys. There may be millions, so that they take
//! little more memory than their bytes.

use crate::engine::SortedEntries;
use std::{cmp::Ordering, hint::black_box, iter};

/// Bytes that are taken from the system at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Entries that are fetched from memory at once.
const TOGETHER: usize = 32;

/// So many entries are worth two files.
const SPLIT_MIN: usize = 200_000;

/// Keys of one generation begin alike, with so many bytes.
const ALIKE_BYTES: usize = 8;

/// See above.
#[derive(Default)]
pub(super) struct Entries {
    chunks: Vec<Vec<u8>>,
    places: Vec<Place>,
}

/// Where an entry is.
#[derive(Clone, Copy)]
struct Place {
    /// The start of what differs in its key: nearly all comparisons end there.
    head: u128,
    chunk: u32,
    start: u32,
    key_bytes: u32,
    value_bytes: u32,
}

impl Entries {
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let bytes = key.len() + value.len();
        if self.chunks.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < bytes) {
            self.chunks.push(Vec::with_capacity(CHUNK_BYTES.max(bytes)));
        }
        let number = |count: usize| u32::try_from(count).expect("memory ends before");
        let (chunk, of_chunk) = (self.chunks.len() - 1, self.chunks.last_mut().expect("just made"));
        let start = number(of_chunk.len());
        of_chunk.extend_from_slice(key);
        of_chunk.extend_from_slice(value);
        let (key_bytes, value_bytes) = (number(key.len()), number(value.len()));
        self.places.push(Place { head: head(key), chunk: number(chunk), start, key_bytes, value_bytes });
    }

    /// Takes those of another one as well.
    pub(super) fn append(&mut self, other: Self) {
        let before = u32::try_from(self.chunks.len()).expect("memory ends before");
        self.chunks.extend(other.chunks);
        self.places.extend(other.places.into_iter().map(|place| Place { chunk: place.chunk + before, ..place }));
    }

    /// Puts them in the order of their keys.
    pub(super) fn sort(&mut self) {
        let chunks = &self.chunks;
        self.places.sort_unstable_by(|a, b| a.order(b, chunks));
    }

    /// Keys that follow one another.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.windows(2).map(|pair| (pair[0].key(&self.chunks), pair[1].key(&self.chunks)))
    }

    /// All of them, in two parts if it pays: each in order, and after the one before. A part is put in order when it is
    /// asked for its first, on whatever thread that is.
    pub(super) fn parts(&mut self) -> Vec<SortedEntries<'_>> {
        let Self { chunks, places } = self;
        let chunks = &**chunks;
        let middle = if places.len() < SPLIT_MIN { 0 } else { places.len() / 2 };
        if middle > 0 {
            places.select_nth_unstable_by(middle, |a, b| a.order(b, chunks));
        }
        let (first, second) = places.split_at_mut(middle);
        let parts = [first, second].into_iter().filter(|places| !places.is_empty());
        parts.map(|places| in_order(places, chunks)).collect()
    }
}

fn in_order<'e>(places: &'e mut [Place], chunks: &'e [Vec<u8>]) -> SortedEntries<'e> {
    let sorted = iter::once_with(move || {
        places.sort_unstable_by(|a, b| a.order(b, chunks));
        &*places
    });
    let together = sorted.flat_map(|places| places.chunks(TOGETHER)).flat_map(|places| {
        // In their order they lie all over the memory: it gives several at once as fast as one.
        black_box(places.iter().fold(0, |all, place| all ^ place.key(chunks)[0]));
        places
    });
    Box::new(together.map(|place| (place.key(chunks).into(), place.value(chunks).into())))
}

impl Place {
    fn order(&self, other: &Self, chunks: &[Vec<u8>]) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.key(chunks).cmp(other.key(chunks)))
    }

    fn key<'c>(&self, chunks: &'c [Vec<u8>]) -> &'c [u8] {
        &chunks[self.chunk as usize][self.start as usize..][..self.key_bytes as usize]
    }

    fn value<'c>(&self, chunks: &'c [Vec<u8>]) -> &'c [u8] {
        &chunks[self.chunk as usize][(self.start + self.key_bytes) as usize..][..self.value_bytes as usize]
    }
}

/// The bytes after those that are alike, as a number that sorts as they do; of fewer, followed by zeros.
fn head(key: &[u8]) -> u128 {
    let differs = key.get(ALIKE_BYTES..).unwrap_or_default();
    let mut bytes = [0; 16];
    let count = differs.len().min(bytes.len());
    bytes[..count].copy_from_slice(&differs[..count]);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Slice;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_come_back_in_the_order_of_their_keys(
            all in proptest::collection::btree_map("generati[a-c]{0,20}", ".{0,8}", 0..60),
            several in any::<bool>(),
        ) {
            let mut entries = Entries::default();
            let mut others = Entries::default();
            for (number, (key, value)) in all.iter().rev().enumerate() {
                let to = if several && number % 3 == 0 { &mut others } else { &mut entries };
                to.push(key.as_bytes(), value.as_bytes());
            }
            entries.append(others);
            let expect: Vec<(Slice, Slice)> =
                all.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect();
            prop_assert_eq!(entries.parts().into_iter().flatten().collect::<Vec<_>>(), expect);
            entries.sort();
            let pairs = all.keys().zip(all.keys().skip(1)).map(|(a, b)| (a.as_bytes(), b.as_bytes()));
            prop_assert!(entries.pairs().eq(pairs));
        }
    }

    #[test]
    fn many_come_in_two_parts() {
        let mut entries = Entries::default();
        // Every one once, in no order.
        let number = |at: usize| (at * 7919 % SPLIT_MIN) as u32;
        (0..SPLIT_MIN).for_each(|at| entries.push(&number(at).to_be_bytes(), &[]));
        let parts = entries.parts();
        assert_eq!(parts.len(), 2);
        let keys: Vec<Slice> = parts.into_iter().flatten().map(|(key, _)| key).collect();
        let expect: Vec<Slice> = (0..SPLIT_MIN as u32).map(|number| number.to_be_bytes().into()).collect();
        assert_eq!(keys, expect);
    }

    #[test]
    fn an_entry_may_be_larger_than_a_chunk() {
        let mut entries = Entries::default();
        entries.push(b"b", &vec![7; 3 * CHUNK_BYTES]);
        entries.push(b"a", b"");
        let sizes: Vec<usize> = entries.parts().into_iter().flatten().map(|(_, value)| value.len()).collect();
        assert_eq!(sizes, [0, 3 * CHUNK_BYTES]);
    }
}
