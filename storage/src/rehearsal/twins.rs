//! Twins: records that share a value of which no two may have the same. Of those of one value all but the last fail.

use crate::{
    engine::{EngineError, Key, Read, Table, prefix_end},
    index::entry::is_without_value,
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::RecordId;

/// Bytes of an index's key before the place of a value, and behind it.
const INDEX_BYTES: usize = 12;
const RECORD_BYTES: usize = 16;

/// The index, the place of the value in it, and the record.
pub(super) fn parts(key: &[u8]) -> (&[u8], &[u8], RecordId) {
    let (index, rest) = key.split_at(INDEX_BYTES);
    let (place, record) = rest.split_last_chunk::<RECORD_BYTES>().expect("keys are our own");
    (index, place, RecordId(*record))
}

/// Whether these keys, of which one follows the other, are those of twins.
pub(super) fn are_twins(one: &[u8], other: &[u8]) -> bool {
    let ((index, place, _), (other_index, other_place, _)) = (parts(one), parts(other));
    index == other_index && place == other_place && !is_without_value(place)
}

/// The records that came to places of values, or left them.
#[derive(Default)]
pub(super) struct Moves(BTreeMap<Key, Moved>);

#[derive(Default)]
struct Moved {
    before: BTreeSet<RecordId>,
    after: BTreeSet<RecordId>,
}

/// A record that has become a twin, or is none any more, by an index.
pub(super) struct Turned {
    pub(super) index: Key,
    pub(super) record: RecordId,
    pub(super) is_twin: bool,
}

impl Moves {
    /// A record whose key in an index was and is this one.
    pub(super) fn add(&mut self, before: Option<&[u8]>, after: Option<&[u8]>) {
        for (key, is_after) in before.map(|key| (key, false)).into_iter().chain(after.map(|key| (key, true))) {
            let (_, place, record) = parts(key);
            if is_without_value(place) {
                continue;
            }
            let moved = self.0.entry(key[..key.len() - RECORD_BYTES].to_vec()).or_default();
            if is_after { &mut moved.after } else { &mut moved.before }.insert(record);
        }
    }

    /// What came of that. `rows` have the entries of all other records.
    pub(super) fn turned<R: Read>(&self, rows: &R) -> Result<Vec<Turned>, EngineError> {
        // A record leaves one place and comes to another: whether it is a twin is asked of both.
        let mut seen: BTreeMap<(&[u8], RecordId), (bool, bool)> = BTreeMap::new();
        for (place, moved) in &self.0 {
            let stayed = moved.last_that_stayed(place, rows)?;
            let last = |of: &BTreeSet<RecordId>| of.last().copied().max(stayed);
            let (last_before, last_after) = (last(&moved.before), last(&moved.after));
            for record in moved.before.union(&moved.after).copied().chain(stayed) {
                let has_stayed = stayed == Some(record);
                let (was_twin, is_twin) = seen.entry((&place[..INDEX_BYTES], record)).or_default();
                *was_twin |= (has_stayed || moved.before.contains(&record)) && last_before > Some(record);
                *is_twin |= (has_stayed || moved.after.contains(&record)) && last_after > Some(record);
            }
        }
        let turned = seen.into_iter().filter(|(_, (was_twin, is_twin))| was_twin != is_twin);
        Ok(turned.map(|((index, record), (_, is_twin))| Turned { index: index.to_vec(), record, is_twin }).collect())
    }
}

impl Moved {
    fn last_that_stayed<R: Read>(&self, place: &[u8], rows: &R) -> Result<Option<RecordId>, EngineError> {
        for pair in rows.range_rev(Table::Index, place, prefix_end(place).as_deref()) {
            let (key, _) = pair?;
            let (_, _, record) = parts(&key);
            if key.len() == place.len() + RECORD_BYTES
                && !self.before.contains(&record)
                && !self.after.contains(&record)
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Batch, Durability, Engine, MemoryEngine};
    use proptest::prelude::*;

    const INDEX: &[u8] = b"generatiindx";

    /// The key of a record that shows this value, of few.
    fn key(record: u8, value: u8) -> Key {
        let mut key = [INDEX, &[0, value]].concat();
        key.extend([record; RECORD_BYTES]);
        key
    }

    fn twins(all: &BTreeMap<u8, u8>) -> BTreeSet<RecordId> {
        let keys: BTreeSet<Key> = all.iter().map(|(record, value)| key(*record, *value)).collect();
        let pairs = keys.iter().zip(keys.iter().skip(1)).filter(|(one, other)| are_twins(one, other));
        pairs.map(|(one, _)| parts(one).2).collect()
    }

    proptest! {
        #[test]
        fn what_turns_is_the_difference_of_all_before_and_after(
            before in proptest::collection::btree_map(0..12_u8, 0..3_u8, 0..12),
            changes in proptest::collection::btree_map(0..12_u8, proptest::option::of(0..3_u8), 0..6),
            rows_are_after in any::<bool>(),
        ) {
            let mut after = before.clone();
            let mut moves = Moves::default();
            for (record, value) in &changes {
                let old = before.get(record).map(|value| key(*record, *value));
                let new = value.map(|value| key(*record, value));
                moves.add(old.as_deref(), new.as_deref());
                match value {
                    Some(value) => after.insert(*record, *value),
                    None => after.remove(record),
                };
            }
            let engine = MemoryEngine::default();
            let mut batch = Batch::default();
            let rows = if rows_are_after { &after } else { &before };
            rows.iter().for_each(|(record, value)| batch.put(Table::Index, key(*record, *value), b"".as_slice()));
            engine.commit(batch, Durability::Buffered).unwrap();
            let mut expect = twins(&before);
            for turned in moves.turned(&engine.snapshot()).unwrap() {
                prop_assert_eq!(&turned.index, INDEX);
                let is_new = if turned.is_twin { expect.insert(turned.record) } else { expect.remove(&turned.record) };
                prop_assert!(is_new, "it was so before");
            }
            prop_assert_eq!(expect, twins(&after));
        }
    }
}
