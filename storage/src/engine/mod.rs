//! Ordered key-value tables with atomic batches: all that the log, the folds and the views ask of a disk.
//!
//! Two types to know: [`Engine`], what a node stores through, and [`Overlay`], pending writes over a reader,
//! which lets a fold read its own writes and a whole group become one atomic [`Batch`].
//! [`FjallEngine`] is the engine of a node; [`MemoryEngine`] is the engine of tests and of the simulator, and
//! says exactly what a power cut leaves.
//!
//! What is assumed of the disk: a synced file keeps its bytes; an unsynced one may lose any tail of them; a
//! write that failed may or may not be found later. Hence the one promise of a commit: after a crash, the
//! batches found are a prefix of those committed, each whole, and reach at least to the last sync point.
//!
//! Never here: what a key or a value means. But that rows of records have the form of [`crate::record_row`] may be known:
//! an engine can keep them in less space, and show their cells quicker.

mod batch;
#[cfg(test)]
mod conformance;
mod error;
mod fjall;
mod format;
mod memory;
mod overlay;

pub use self::fjall::{DataDir, FjallEngine, FjallSnapshot, Mended, Options, mark_damaged};
pub use batch::Batch;
pub use error::EngineError;
pub use memory::{Fault, MemoryEngine, MemorySnapshot};
pub use overlay::Overlay;

use crate::record_row::{self, CellRow};
use std::{
    ops::{Bound, ControlFlow},
    sync::Arc,
};

/// A key: 1 to [`KEY_BYTES_MAX`] bytes, ordered as bytes.
pub type Key = Vec<u8>;

/// A value to write.
pub type Bytes = Vec<u8>;

/// A key or a value that was read. Clones share it; it may be a part of a block of a file, which is kept in memory as
/// long as it is.
pub use ::fjall::Slice;

/// Pairs in key order, for [`Engine::ingest_all`].
pub type SortedEntries<'a> = Box<dyn Iterator<Item = (Slice, Slice)> + Send + 'a>;

/// A pair, as [`Engine::ingest`] takes it.
pub fn shared((key, value): (Key, Bytes)) -> (Slice, Slice) {
    (key.into(), value.into())
}

/// Pairs in key order, read lazily. An error does not end it by itself: callers stop at the first.
pub type RangeIter<'a> = Box<dyn Iterator<Item = Result<(Slice, Slice), EngineError>> + 'a>;

/// Keys in their order, as [`RangeIter`].
pub type KeyIter<'a> = Box<dyn Iterator<Item = Result<Slice, EngineError>> + 'a>;

/// The longest key. Longer sort keys are cut by whoever builds them and compared in full on reading.
pub const KEY_BYTES_MAX: usize = 1024;

/// How many keys [`Engine::drop_prefix`] deletes in one commit: few enough not to delay other writers.
pub const DROP_KEYS_PER_BATCH: usize = 1000;

/// The tables of a node. Each is one keyspace of the database; keys are prefixed by workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Heads, pointers and settings: few keys, read often.
    Meta,
    /// Runs by chain and sequence number: written once, read in order.
    Log,
    /// What is known of chains and events: small, read one by one.
    Events,
    /// Index entries by sort key: small, read in order.
    Index,
    /// The fields of records: read one by one and in short ranges.
    Records,
    /// The events on a record that its row does not name: read seldom.
    History,
}

impl Table {
    /// Every table, in the order of their declaration.
    pub const ALL: [Self; 6] = [Self::Meta, Self::Log, Self::Events, Self::Index, Self::Records, Self::History];

    /// The tables of derived rows, whose keys start with a workspace and a generation.
    pub const VIEWS: [Self; 4] = [Self::Records, Self::History, Self::Index, Self::Events];

    /// The name of the keyspace on disk. Part of the format: never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Log => "log",
            Self::Events => "events",
            Self::Index => "index",
            Self::Records => "records",
            Self::History => "history",
        }
    }
}

/// Reading ordered tables.
///
/// A snapshot and an [`Overlay`] answer every call from one state; an [`Engine`] answers each call from its
/// newest, so that two calls may see two states. Several threads may read at once.
pub trait Read: Sync {
    /// The value of `key`.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError>;

    /// The pairs with `from <= key < to` in ascending order; without `to`, up to the end of the table.
    /// Empty if `to <= from`.
    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a>;

    /// The pairs of [`Read::range`], last first.
    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a>;

    /// The keys of [`Read::range`], whatever stands there.
    fn keys<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> KeyIter<'a> {
        Box::new(self.range(table, from, to).map(|pair| pair.map(|(key, _)| key)))
    }

    /// Visits the rows of [`Table::Records`] with `from <= key < to` in ascending order, until told to break: key, whether
    /// the record exists, and what its cells show. Quicker than the rows themselves, for who needs no more of them.
    fn each_shown(&self, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        for pair in self.range(Table::Records, from, to) {
            let (key, row) = pair?;
            if visit(&key, record_row::exists(&row), &record_row::all_cells(&row)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// See [`Read::each_shown`].
pub type Visit<'v> = &'v mut dyn FnMut(&[u8], bool, &[CellRow<'_>]) -> ControlFlow<()>;

impl<R: Read + Send + ?Sized> Read for Arc<R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        (**self).get(table, key)
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        (**self).range(table, from, to)
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        (**self).range_rev(table, from, to)
    }

    fn keys<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> KeyIter<'a> {
        (**self).keys(table, from, to)
    }

    fn each_shown(&self, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        (**self).each_shown(from, to, visit)
    }
}

/// Tables that hold nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Read for Nothing {
    fn get(&self, _: Table, _: &[u8]) -> Result<Option<Slice>, EngineError> {
        Ok(None)
    }

    fn range<'a>(&'a self, _: Table, _: &[u8], _: Option<&[u8]>) -> RangeIter<'a> {
        Box::new(std::iter::empty())
    }

    fn range_rev<'a>(&'a self, _: Table, _: &[u8], _: Option<&[u8]>) -> RangeIter<'a> {
        Box::new(std::iter::empty())
    }
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Handed to the operating system: survives the end of the process, not a power cut.
    Buffered,
    /// On the disk (`fdatasync`), together with everything committed before it.
    Synced,
}

/// The tables of a node: reading, atomic writing, and when writes are durable.
///
/// Any number of threads may read and write; batches of different threads are applied in some order, one
/// after the other. After a write returned an error for which [`EngineError::is_fatal`] holds, all later
/// writes fail and the process must stop: only reopening tells what the disk kept.
pub trait Engine: Read + Send + Sync + 'static {
    /// A consistent state that later commits do not change. Cheap to make; old data stays on disk while one
    /// is held, so they should be dropped soon.
    type Snapshot: Read + Send + Sync + 'static;

    /// The newest state, over all tables.
    fn snapshot(&self) -> Self::Snapshot;

    /// Applies the whole batch or, on an error, none of it to what is read. After a fatal error the batch may
    /// yet be found, whole, when the tables are opened again.
    ///
    /// An empty batch changes nothing, but with [`Durability::Synced`] is still a sync point.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), EngineError>;

    /// The same for a batch that others read meanwhile.
    fn commit_shared(&self, batch: &Batch, durability: Durability) -> Result<(), EngineError> {
        self.commit(batch.clone(), durability)
    }

    /// Loads sorted entries into a table, much faster than by batches. Readers see all entries or none; they are
    /// durable on return, and so is everything that was committed before. Each call leaves a file or more of its own
    /// for compaction, so that it pays for thousands of entries.
    ///
    /// # Panics
    /// If keys are not strictly ascending.
    fn ingest(&self, table: Table, entries: &mut dyn Iterator<Item = (Slice, Slice)>) -> Result<(), EngineError>;

    /// The same for several tables, or parts of one. They come to be visible and durable one after the other, in this order.
    fn ingest_all(&self, parts: Vec<(Table, SortedEntries<'_>)>) -> Result<(), EngineError> {
        parts.into_iter().try_for_each(|(table, mut entries)| self.ingest(table, &mut entries))
    }

    /// The sync point: everything committed so far is durable when it returns.
    fn sync(&self) -> Result<(), EngineError>;

    /// For a clean stop: syncs, and moves what is in memory to its place, so that reopening is fast.
    fn flush(&self) -> Result<(), EngineError>;

    /// Deletes all keys that start with `prefix`, in commits of [`DROP_KEYS_PER_BATCH`], buffered: after a
    /// crash some may be left, and it is called again. For a generation that nothing points to any more.
    ///
    /// # Panics
    /// If `prefix` is empty, which would mean the whole table.
    fn drop_prefix(&self, table: Table, prefix: &[u8]) -> Result<(), EngineError> {
        assert!(!prefix.is_empty(), "an empty prefix would drop the whole table {}", table.name());
        let end = prefix_end(prefix);
        let mut from = prefix.to_vec();
        loop {
            // Each round starts behind the keys just deleted, so that it need not walk their tombstones.
            let keys = self.keys(table, &from, end.as_deref()).take(DROP_KEYS_PER_BATCH);
            let keys: Vec<Slice> = keys.collect::<Result<_, _>>()?;
            let Some(last) = keys.last() else { return Ok(()) };
            from = last.to_vec();
            let mut batch = Batch::default();
            for key in keys {
                batch.delete(table, &*key);
            }
            self.commit(batch, Durability::Buffered)?;
        }
    }
}

/// The first key behind all keys that start with `prefix`: the `to` of a range over them. `None` if there is
/// no such key, that is, if `prefix` is only `0xff` bytes or empty.
pub fn prefix_end(prefix: &[u8]) -> Option<Key> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The two ends of a range of keys, as maps take them.
type Bounds<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// The bounds of [`Read::range`], or `None` if nothing lies between them (maps panic on reversed bounds).
fn bounds<'k>(from: &'k [u8], to: Option<&'k [u8]>) -> Option<Bounds<'k>> {
    match to {
        Some(to) if to <= from => None,
        Some(to) => Some((Bound::Included(from), Bound::Excluded(to))),
        None => Some((Bound::Included(from), Bound::Unbounded)),
    }
}

#[cfg(test)]
mod tests {
    use super::prefix_end;

    #[test]
    fn prefix_end_is_the_first_key_behind() {
        let check = |prefix: &[u8], end: Option<&[u8]>| assert_eq!(prefix_end(prefix).as_deref(), end, "{prefix:x?}");
        check(b"", None);
        check(b"a", Some(b"b"));
        check(b"ab", Some(b"ac"));
        check(b"a\xff", Some(b"b"));
        check(b"a\xff\xff", Some(b"b"));
        check(b"a\xffb", Some(b"a\xffc"));
        check(b"\xff\xff", None);
    }
}
