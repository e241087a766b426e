//! Counting the entries of an index: by all cores, where there are many.

use crate::{
    engine::{EngineError, Read, Slice, Table},
    index::entry::EntryKey,
};
use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// So many are counted before others are asked to help: what is short is not worth a thread.
const ALONE_MAX: usize = 16_384;
/// Pieces of the rest for each core: nobody knows beforehand how much is in which.
const PIECES_PER_CORE: usize = 8;

/// Entries that stand at one place, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    /// A record that is there.
    pub(super) first: EntryKey,
    pub(super) count: u64,
}

/// The runs of the entries with `from <= key < to`, in their order.
pub(super) fn runs<R: Read>(rows: &R, from: &[u8], to: &[u8]) -> Result<Vec<Run>, EngineError> {
    runs_beyond(rows, (from, to), ALONE_MAX)
}

fn runs_beyond<R: Read>(rows: &R, (from, to): (&[u8], &[u8]), alone_max: usize) -> Result<Vec<Run>, EngineError> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let (mut runs, mut next) = (Vec::new(), None);
    for (number, entry) in rows.range(Table::Index, from, Some(to)).enumerate() {
        let (key, _) = entry?;
        if number == alone_max && cores > 1 {
            next = Some(key);
            break;
        }
        add(&mut runs, key);
    }
    let Some(next) = next else { return Ok(runs) };
    let Some(last) = rows.range_rev(Table::Index, &next, Some(to)).next() else { return Ok(runs) };
    let (last, _) = last?;
    let mut edges = vec![next.to_vec()];
    edges.extend(between(&next, &last, cores * PIECES_PER_CORE));
    edges.push(to.to_vec());
    for piece in by_all_cores(rows, &edges, cores) {
        let mut piece = piece?.into_iter();
        if let (Some(last), Some(first)) = (runs.last_mut(), piece.as_slice().first())
            && last.first.place() == first.first.place()
        {
            last.count += first.count;
            piece.next();
        }
        runs.extend(piece);
    }
    Ok(runs)
}

/// The runs of each piece, in the order of the pieces.
fn by_all_cores<R: Read>(rows: &R, edges: &[Vec<u8>], cores: usize) -> Vec<Result<Vec<Run>, EngineError>> {
    let pieces: Vec<(&[u8], &[u8])> = edges.windows(2).map(|pair| (&pair[0][..], &pair[1][..])).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((from, to)) = pieces.get(number) else { return done };
            done.push((number, of_piece(rows, from, to)));
        }
    };
    let mut done = thread::scope(|scope| {
        let helpers: Vec<_> = (1..cores.min(pieces.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        let theirs = helpers.into_iter().flat_map(|helper| helper.join().expect("reading does not panic"));
        own.into_iter().chain(theirs.collect::<Vec<_>>()).collect::<Vec<_>>()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, runs)| runs).collect()
}

fn of_piece<R: Read>(rows: &R, from: &[u8], to: &[u8]) -> Result<Vec<Run>, EngineError> {
    let mut runs = Vec::new();
    for entry in rows.range(Table::Index, from, Some(to)) {
        add(&mut runs, entry?.0);
    }
    Ok(runs)
}

fn add(runs: &mut Vec<Run>, key: Slice) {
    let key = EntryKey(key);
    match runs.last_mut() {
        Some(run) if run.first.place() == key.place() => run.count += 1,
        // A copy: the key itself may keep a whole block of a file.
        _another => runs.push(Run { first: EntryKey(key.0.to_vec().into()), count: 1 }),
    }
}

/// At most so many keys between these two, at about equal distances, ascending.
fn between(first: &[u8], last: &[u8], count: usize) -> Vec<Vec<u8>> {
    let common = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let number = |key: &[u8]| {
        let mut bytes = [0; 8];
        let rest = &key[common..];
        let kept = rest.len().min(bytes.len());
        bytes[..kept].copy_from_slice(&rest[..kept]);
        u64::from_be_bytes(bytes)
    };
    let (low, high) = (number(first), number(last));
    let step = (high.saturating_sub(low) / (count as u64 + 1)).max(1);
    let numbers = (1..=count as u64).map(|n| low.saturating_add(n * step)).take_while(|number| *number < high);
    let keys = numbers.map(|number| [&first[..common], &number.to_be_bytes()].concat());
    keys.filter(|key| key.as_slice() > first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Batch, Durability, Engine, MemoryEngine};
    use proptest::prelude::*;

    fn entry(place: &[u8], record: u128) -> Vec<u8> {
        [&[7; 12][..], place, &record.to_be_bytes()].concat()
    }

    proptest! {
        /// However many count, and wherever their pieces end.
        #[test]
        fn many_count_what_one_counts(
            places in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..4), any::<u128>()), 0..200),
            alone_max in 0_usize..50,
        ) {
            let engine = MemoryEngine::default();
            let mut batch = Batch::default();
            places.iter().for_each(|(place, record)| batch.put(Table::Index, entry(place, *record), []));
            engine.commit(batch, Durability::Buffered).unwrap();
            let (from, to) = ([7; 12], [8; 12]);
            let alone = of_piece(&engine, &from, &to).unwrap();
            prop_assert_eq!(runs_beyond(&engine, (&from, &to), alone_max).unwrap(), alone);
        }
    }

    #[test]
    fn pieces_are_apart_and_in_order() {
        let check = |first: &[u8], last: &[u8]| {
            let keys = between(first, last, 16);
            assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
            assert!(keys.iter().all(|key| key.as_slice() > first && key.as_slice() < last), "{keys:?}");
            keys.len()
        };
        assert_eq!(check(&entry(&[1], 0), &entry(&[9], 0)), 16);
        assert_eq!(check(&entry(&[1], 5), &entry(&[1], 5)), 0);
        assert_eq!(check(b"ab", b"ab\x01"), 16);
        assert!(check(&entry(&[1], 1), &entry(&[1], u128::MAX)) > 8);
    }
}
