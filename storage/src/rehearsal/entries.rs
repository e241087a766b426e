//! Entries of indexes: gathered in any order, given back in that of their keys. There may be millions, so that they take
//! little more memory than their bytes.

use crate::engine::SortedEntries;
use std::hint::black_box;

/// Bytes that are taken from the system at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Entries that are fetched from memory at once.
const TOGETHER: usize = 32;

/// Entries that are worth a file of their own.
const PART_MIN: usize = 100_000;

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
        self.places.sort_unstable_by(|a, b| a.head.cmp(&b.head).then_with(|| a.key(chunks).cmp(b.key(chunks))));
    }

    /// Keys that follow one another.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.windows(2).map(|pair| (pair[0].key(&self.chunks), pair[1].key(&self.chunks)))
    }

    /// All of them, in at most so many parts: each in order, and after those before.
    pub(super) fn parts(&self, count: usize) -> impl Iterator<Item = SortedEntries<'_>> {
        let size = self.places.len().div_ceil(count).max(PART_MIN);
        self.places.chunks(size).map(|places| -> SortedEntries<'_> {
            let together = places.chunks(TOGETHER).flat_map(|places| {
                // In their order they lie all over the memory: it gives several at once as fast as one.
                black_box(places.iter().fold(0, |all, place| all ^ place.key(&self.chunks)[0]));
                places
            });
            Box::new(together.map(|place| (place.key(&self.chunks).into(), place.value(&self.chunks).into())))
        })
    }
}

impl Place {
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
            entries.sort();
            let expect: Vec<(Slice, Slice)> =
                all.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect();
            prop_assert_eq!(entries.parts(2).flatten().collect::<Vec<_>>(), expect);
            let pairs = all.keys().zip(all.keys().skip(1)).map(|(a, b)| (a.as_bytes(), b.as_bytes()));
            prop_assert!(entries.pairs().eq(pairs));
        }
    }

    #[test]
    fn an_entry_may_be_larger_than_a_chunk() {
        let mut entries = Entries::default();
        entries.push(b"b", &vec![7; 3 * CHUNK_BYTES]);
        entries.push(b"a", b"");
        entries.sort();
        let sizes: Vec<usize> = entries.parts(1).flatten().map(|(_, value)| value.len()).collect();
        assert_eq!(sizes, [0, 3 * CHUNK_BYTES]);
    }
}
