//! Tables in memory that know what a power cut would leave.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{Batch, Durability, Engine, EngineError, Key, RangeIter, Read, Slice, Table, batch::check_key, bounds};

/// An engine without a disk, for tests and the simulator.
///
/// Inputs: the methods of [`Engine`], and [`fail_next_write`](Self::fail_next_write).
/// Outputs: those of [`Read`], [`unsynced`](Self::unsynced), and [`crash`](Self::crash): the engine as found
/// after a power cut.
///
/// A clone is an independent engine that starts from the same state. Clones and snapshots share their maps
/// and cost a few counters; the first commit to a shared map copies it. The same calls give the same results,
/// always: there is no clock, thread or random order in it.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: Mutex<State>,
}

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: nothing of the write is kept.
    DiskFull,
    /// The write was made but not its sync: a power cut may or may not keep it.
    SyncFailed,
}

#[derive(Debug, Default, Clone)]
struct State {
    /// What is read.
    live: MemorySnapshot,
    /// What a power cut leaves, whatever happens. Never shares its maps with `live` for long: sync points
    /// apply batches to both, because sharing would copy whole maps at the next commit.
    durable: MemorySnapshot,
    /// Committed since the last sync point, oldest first.
    unsynced: Vec<Arc<Batch>>,
    /// Befalls the next write.
    fault: Option<Fault>,
    /// A write failed: no more are taken.
    failed: bool,
}

impl MemoryEngine {
    /// Makes the next commit, ingestion, sync or flush fail, and with it all writes after it.
    pub fn fail_next_write(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// How many commits a power cut could take.
    pub fn unsynced(&self) -> usize {
        self.state().unsynced.len()
    }

    /// The engine as found after a power cut that kept the first `keep` of the unsynced commits. All it holds
    /// is durable, and it takes writes again.
    ///
    /// # Panics
    /// If there are fewer than `keep` unsynced commits.
    #[must_use]
    pub fn crash(&self, keep: usize) -> Self {
        let state = self.state();
        let mut found = state.durable.clone();
        for batch in &state.unsynced[..keep] {
            found.apply(batch);
        }
        drop(state);
        Self { state: Mutex::new(State { live: found.clone(), durable: found, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the state")
    }
}

impl Clone for MemoryEngine {
    fn clone(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()) }
    }
}

impl Read for MemoryEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        self.state().live.get(table, key)
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        Cursor::iter(&self.state().live, table, from, to, Cursor::forward)
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        Cursor::iter(&self.state().live, table, from, to, Cursor::backward)
    }
}

impl Engine for MemoryEngine {
    type Snapshot = MemorySnapshot;

    fn snapshot(&self) -> MemorySnapshot {
        self.state().live.clone()
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), EngineError> {
        let mut state = self.state();
        if !batch.is_empty() {
            let batch = Arc::new(batch);
            state.write(Some(&batch))?;
            state.live.apply(&batch);
            state.unsynced.push(batch);
        }
        match durability {
            Durability::Buffered => Ok(()),
            Durability::Synced => state.sync(),
        }
    }

    fn ingest(&self, table: Table, entries: &mut dyn Iterator<Item = (Slice, Slice)>) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        let mut last = Key::new();
        for (key, value) in entries {
            let (key, value) = (key.to_vec(), value.to_vec());
            assert!(last < key, "ingested keys must ascend: {last:x?} is not before {key:x?}");
            last.clone_from(&key);
            batch.put(table, key, value);
        }
        self.commit(batch, Durability::Synced)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.state().sync()
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.state().sync()
    }
}

impl State {
    fn sync(&mut self) -> Result<(), EngineError> {
        self.write(None)?;
        for batch in self.unsynced.drain(..) {
            self.durable.apply(&batch);
        }
        Ok(())
    }

    /// Touches the disk, if it still works. A batch whose write fails is not read, but may have been kept.
    fn write(&mut self, batch: Option<&Arc<Batch>>) -> Result<(), EngineError> {
        let path = PathBuf::from("memory");
        if self.failed {
            return Err(EngineError::WriteFailed { path, detail: "an earlier write failed".into() });
        }
        let Some(fault) = self.fault.take() else { return Ok(()) };
        self.failed = true;
        match fault {
            Fault::DiskFull => Err(EngineError::DiskFull { path }),
            Fault::SyncFailed => {
                self.unsynced.extend(batch.cloned());
                Err(EngineError::WriteFailed { path, detail: "a sync failed".into() })
            }
        }
    }
}

type Map = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

type Row = (Arc<[u8]>, Arc<[u8]>);

/// A state of a [`MemoryEngine`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MemorySnapshot {
    /// In the order of [`Table::ALL`].
    tables: [Arc<Map>; Table::ALL.len()],
}

impl MemorySnapshot {
    fn apply(&mut self, batch: &Batch) {
        for table in Table::ALL {
            let writes = batch.table(table);
            if writes.is_empty() {
                continue;
            }
            let map = Arc::make_mut(&mut self.tables[table as usize]);
            for (key, value) in writes {
                match value {
                    Some(value) => map.insert(key[..].into(), value[..].into()),
                    None => map.remove(&key[..]),
                };
            }
        }
    }
}

impl Read for MemorySnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        check_key(key);
        Ok(self.tables[table as usize].get(key).map(|value| Slice::from(&**value)))
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        Cursor::iter(self, table, from, to, Cursor::forward)
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        Cursor::iter(self, table, from, to, Cursor::backward)
    }
}

/// Rows that are looked up together, at most.
const ROWS_AHEAD_MAX: usize = 64;

/// What is left to read of a range. Owns its map, so that commits may go on while it is read.
struct Cursor {
    map: Arc<Map>,
    from: Bound<Arc<[u8]>>,
    to: Bound<Arc<[u8]>>,
    /// Looked up already, the next one last.
    ahead: Vec<Row>,
    /// How many are looked up together next time: most ranges are read for a row or two.
    count: usize,
}

impl Cursor {
    fn iter<'a>(
        tables: &MemorySnapshot,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        look: fn(&mut Self),
    ) -> RangeIter<'a> {
        let Some((from, to)) = bounds(from, to) else { return Box::new(std::iter::empty()) };
        let map = Arc::clone(&tables.tables[table as usize]);
        let mut cursor = Self { map, from: from.map(Arc::from), to: to.map(Arc::from), ahead: Vec::new(), count: 2 };
        Box::new(std::iter::from_fn(move || {
            if cursor.ahead.is_empty() {
                look(&mut cursor);
                cursor.ahead.reverse();
                cursor.count = (2 * cursor.count).min(ROWS_AHEAD_MAX);
            }
            let (key, value) = cursor.ahead.pop()?;
            Some(Ok(((&*key).into(), (&*value).into())))
        }))
    }

    fn forward(&mut self) {
        let range = self.map.range((self.from.clone(), self.to.clone())).take(self.count);
        self.ahead.extend(range.map(|(key, value)| (key.clone(), value.clone())));
        if let Some((key, _)) = self.ahead.last() {
            self.from = Bound::Excluded(Arc::clone(key));
        }
    }

    fn backward(&mut self) {
        let range = self.map.range((self.from.clone(), self.to.clone())).rev().take(self.count);
        self.ahead.extend(range.map(|(key, value)| (key.clone(), value.clone())));
        if let Some((key, _)) = self.ahead.last() {
            self.to = Bound::Excluded(Arc::clone(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::conformance::{batch, check_run, conformance, steps};

    #[test]
    fn conforms() {
        conformance(MemoryEngine::default);
    }

    proptest! {
        #[test]
        fn reads_as_a_map_does(steps in steps()) {
            check_run(&MemoryEngine::default(), steps);
        }

        #[test]
        fn a_crash_keeps_a_prefix_of_whole_commits(steps in prop::collection::vec(any::<(u8, bool)>(), 0..20)) {
            let engine = MemoryEngine::default();
            // The states after the last sync point and after every commit since.
            let mut states = vec![engine.snapshot()];
            for (n, (key, sync)) in steps.into_iter().enumerate() {
                let key: &[u8] = &[key % 4];
                let value = n.to_be_bytes();
                let writes = batch(&[(Table::Log, key, Some(&value)), (Table::Meta, key, (n % 3 > 0).then_some(&value))]);
                let durability = if sync { Durability::Synced } else { Durability::Buffered };
                engine.commit(writes, durability).unwrap();
                if sync {
                    states.clear();
                }
                states.push(engine.snapshot());
                prop_assert_eq!(engine.unsynced(), states.len() - 1);
                for (keep, state) in states.iter().enumerate() {
                    let found = engine.crash(keep);
                    prop_assert_eq!(&found.snapshot(), state);
                    prop_assert_eq!(found.unsynced(), 0);
                    prop_assert_eq!(&found.crash(0).snapshot(), state);
                }
            }
        }
    }

    fn put(engine: &MemoryEngine, key: &[u8], durability: Durability) -> Result<(), EngineError> {
        engine.commit(batch(&[(Table::Log, key, Some(b"v"))]), durability)
    }

    fn found(engine: &MemoryEngine, keep: usize) -> Vec<Slice> {
        engine.crash(keep).range(Table::Log, b"", None).map(|pair| pair.unwrap().0).collect()
    }

    #[test]
    fn every_sync_point_makes_earlier_commits_durable() {
        let points: [fn(&MemoryEngine); 5] = [
            |engine| engine.sync().unwrap(),
            |engine| engine.flush().unwrap(),
            |engine| engine.commit(Batch::default(), Durability::Synced).unwrap(),
            |engine| put(engine, b"a", Durability::Synced).unwrap(),
            |engine| engine.ingest(Table::Log, &mut [(b"a".into(), b"v".into())].into_iter()).unwrap(),
        ];
        for point in points {
            let engine = MemoryEngine::default();
            put(&engine, b"a", Durability::Buffered).unwrap();
            assert_eq!((found(&engine, 0).len(), engine.unsynced()), (0, 1));
            point(&engine);
            assert_eq!((found(&engine, 0).len(), engine.unsynced()), (1, 0));
        }
    }

    #[test]
    fn after_a_fault_nothing_is_written_until_reopened() {
        // The fault, and how many commits may be found of the failed one.
        for (fault, kept) in [(Fault::DiskFull, 0), (Fault::SyncFailed, 1)] {
            let engine = MemoryEngine::default();
            put(&engine, b"a", Durability::Buffered).unwrap();
            engine.fail_next_write(fault);
            assert!(put(&engine, b"b", Durability::Synced).unwrap_err().is_fatal());
            assert_eq!(engine.get(Table::Log, b"b").unwrap(), None, "a failed write is not read");
            assert!(put(&engine, b"c", Durability::Buffered).unwrap_err().is_fatal());
            assert!(engine.sync().unwrap_err().is_fatal());

            assert_eq!(engine.unsynced(), 1 + kept);
            assert_eq!(found(&engine, 0), [b""; 0]);
            assert_eq!(found(&engine, engine.unsynced()).len(), 1 + kept);
            put(&engine.crash(1), b"d", Durability::Synced).expect("reopened");
        }
    }

    #[test]
    fn a_clone_goes_its_own_way() {
        let engine = MemoryEngine::default();
        put(&engine, b"a", Durability::Buffered).unwrap();
        let clone = engine.clone();
        put(&engine, b"b", Durability::Synced).unwrap();
        put(&clone, b"c", Durability::Buffered).unwrap();
        assert_eq!((engine.unsynced(), clone.unsynced()), (0, 2));
        assert_eq!(found(&engine, 0), [b"a", b"b"]);
        assert_eq!(found(&clone, 2), [b"a", b"c"]);
    }
}
