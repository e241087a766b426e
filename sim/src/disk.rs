//! A disk that fails when it is told to.

use std::sync::{Mutex, PoisonError};
use tandem_storage::engine::{
    Batch, Durability, Engine, EngineError, Fault, MemoryEngine, MemorySnapshot, RangeIter, Read, Slice, Table,
};

/// A [`MemoryEngine`] with a fuse: the n-th write from now fails, and with it all writes after it. A crash between any
/// two writes of a longer piece of work, a rebuild say, is a fuse that ends it there.
#[derive(Debug, Default)]
pub struct Disk {
    memory: MemoryEngine,
    counts: Mutex<Counts>,
    /// What it does to the views that are put on it.
    tampers: Option<Tamper>,
}

/// How a disk changes a batch before it is written.
pub type Tamper = fn(&MemoryEngine, Batch) -> Vec<Batch>;

#[derive(Debug, Default)]
struct Counts {
    writes: u64,
    fuse: Option<(u64, Fault)>,
}

impl Disk {
    /// Lets the write after `writes` more fail.
    pub fn light_fuse(&self, writes: u64, fault: Fault) {
        let mut counts = self.counts();
        counts.fuse = Some((counts.writes + writes, fault));
    }

    /// Lets nothing fail that has not failed yet.
    pub fn put_fuse_out(&self) {
        self.counts().fuse = None;
    }

    /// How many writes it was asked for.
    pub fn writes(&self) -> u64 {
        self.counts().writes
    }

    /// How many commits a power cut could take.
    pub fn unsynced(&self) -> usize {
        self.memory.unsynced()
    }

    /// The disk as found after a power cut that kept the first `keep` of the unsynced commits.
    #[must_use]
    pub fn crash(&self, keep: usize) -> Self {
        Self { memory: self.memory.crash(keep), counts: Mutex::default(), tampers: self.tampers }
    }

    /// One that changes what is written.
    pub fn tampering(tampers: Option<Tamper>) -> Self {
        Self { tampers, ..Self::default() }
    }

    /// Another disk with everything that is on this one, to try things on.
    #[must_use]
    pub fn copy(&self) -> Self {
        self.crash(self.unsynced())
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_write(&self) {
        let mut counts = self.counts();
        if let Some((_, fault)) = counts.fuse.filter(|(at, _)| *at == counts.writes) {
            self.memory.fail_next_write(fault);
            counts.fuse = None;
        }
        counts.writes += 1;
    }
}

impl Read for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        self.memory.get(table, key)
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        self.memory.range(table, from, to)
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        self.memory.range_rev(table, from, to)
    }
}

impl Engine for Disk {
    type Snapshot = MemorySnapshot;

    fn snapshot(&self) -> MemorySnapshot {
        self.memory.snapshot()
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), EngineError> {
        self.count_write();
        let Some(tampers) = self.tampers else { return self.memory.commit(batch, durability) };
        tampers(&self.memory, batch).into_iter().try_for_each(|batch| self.memory.commit(batch, durability))
    }

    fn ingest(&self, table: Table, entries: &mut dyn Iterator<Item = (Slice, Slice)>) -> Result<(), EngineError> {
        self.count_write();
        self.memory.ingest(table, entries)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.count_write();
        self.memory.sync()
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.count_write();
        self.memory.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuse_ends_the_write_that_it_was_lit_for() {
        let put = |disk: &Disk, key: &[u8]| {
            let mut batch = Batch::default();
            batch.put(Table::Log, key, b"v");
            disk.commit(batch, Durability::Buffered)
        };
        let disk = Disk::default();
        disk.light_fuse(2, Fault::DiskFull);
        assert!(put(&disk, b"a").is_ok() && put(&disk, b"b").is_ok());
        assert!(put(&disk, b"c").is_err() && put(&disk, b"d").is_err());
        assert_eq!((disk.unsynced(), disk.writes()), (2, 4));
        let found = disk.crash(1);
        assert!(found.get(Table::Log, b"a").unwrap().is_some() && found.get(Table::Log, b"b").unwrap().is_none());
        assert!(put(&found, b"e").is_ok());
    }
}
