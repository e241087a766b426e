//! The end of an open database: its journals are emptied if nothing in them is needed, and the directory is unlocked.
//!
//! A flush moves all writes to table files, which fjall syncs, and names them in a synced file, before it forgets them.
//! After that the journals only repeat what is there. fjall still reads the last of them at the next start, up to
//! 64 MiB, to find each write flushed. Emptied, they cost no time and no space. They are not removed: where there is no
//! journal at all, fjall does not look in the tables for the number that the next write gets.
//!
//! A crash on the way leaves some journals empty and others whole, and both are right. An empty one is synced, so that
//! no later write in it can reach the disk before the old ones are gone.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use super::journal;

/// Dropped after everything of fjall's.
pub(super) struct Closing {
    tables: PathBuf,
    /// The journals have nothing that the table files have not.
    is_flushed: AtomicBool,
    _lock: Arc<File>,
}

impl Closing {
    /// Of the database in `tables`.
    pub(super) fn new(tables: &Path, lock: Arc<File>) -> Self {
        Self { tables: tables.into(), is_flushed: AtomicBool::new(false), _lock: lock }
    }

    /// Before each write to a journal.
    pub(super) fn note_write(&self) {
        self.is_flushed.store(false, SeqCst);
    }

    /// After everything was flushed, while nothing is written.
    pub(super) fn note_flush(&self) {
        self.is_flushed.store(true, SeqCst);
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if self.is_flushed.load(SeqCst) {
            // Where it fails, the next start reads the journals once more.
            let _ = empty(&self.tables);
        }
    }
}

fn empty(tables: &Path) -> io::Result<()> {
    for journal in journal::journals(tables)? {
        let file = OpenOptions::new().write(true).open(journal)?;
        file.set_len(0)?;
        file.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::PathBuf};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::engine::{
        Batch, Durability, Engine, FjallEngine, Options, Read, Slice, Table, conformance::batch, shared,
    };

    fn open(dir: &Path) -> FjallEngine {
        FjallEngine::open(dir, Options { cache_bytes: 1 << 20, write_buffer_bytes: 1 << 20 }).unwrap()
    }

    fn journal_bytes(dir: &Path) -> u64 {
        let journals = journal::journals(&dir.join("tables")).unwrap();
        assert!(!journals.is_empty(), "an emptied journal stays");
        journals.iter().map(|path| fs::metadata(path).unwrap().len()).sum()
    }

    #[test]
    fn a_journal_is_emptied_only_when_all_in_it_was_flushed() {
        let dir = tempfile::tempdir().unwrap();
        let put = |engine: &FjallEngine, key: &[u8]| {
            engine.commit(batch(&[(Table::Log, key, Some(&[7; 100]))]), Durability::Buffered).unwrap();
        };
        let has = |engine: &FjallEngine| engine.range(Table::Log, b"", None).map(Result::unwrap).count();

        let engine = open(dir.path());
        put(&engine, b"a");
        drop(engine);
        assert!(journal_bytes(dir.path()) > 0, "nothing was flushed");

        let engine = open(dir.path());
        assert_eq!(has(&engine), 1);
        put(&engine, b"b");
        engine.flush().unwrap();
        assert!(journal_bytes(dir.path()) > 0, "fjall still has it open");
        let snapshot = engine.snapshot();
        drop(engine);
        assert!(journal_bytes(dir.path()) > 0, "a snapshot still reads the files");
        drop(snapshot);
        assert_eq!(journal_bytes(dir.path()), 0);

        let engine = open(dir.path());
        assert_eq!(has(&engine), 2);
        engine.flush().unwrap();
        put(&engine, b"c");
        drop(engine);
        assert!(journal_bytes(dir.path()) > 0, "written to after the flush");
        assert_eq!(has(&open(dir.path())), 3);
    }

    /// What happens to a directory between two openings, or while it is open.
    #[derive(Debug, Clone)]
    enum Step {
        /// Writes keys, or deletes them, with a number that tells which write was the last.
        Write(Vec<(u8, bool)>),
        Ingest(u8),
        Flush,
        /// The process ends at once, with what it wrote so far.
        Kill,
        /// It is closed.
        Close,
        /// It is flushed and closed, and the machine stops when so many of the journals were emptied.
        PowerCut(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop::collection::vec((0..12u8, prop::bool::weighted(0.3)), 1..8).prop_map(Step::Write),
            1 => (0..12u8).prop_map(Step::Ingest),
            1 => Just(Step::Flush),
            2 => Just(Step::Kill),
            1 => Just(Step::Close),
            2 => (0..3usize).prop_map(Step::PowerCut),
        ]
    }

    fn copy(from: &Path, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        for file in fs::read_dir(from)? {
            let path = file?.path();
            let to = to.join(path.file_name().unwrap());
            match path.is_dir() {
                true => copy(&path, &to)?,
                false => drop(fs::copy(&path, to)?),
            }
        }
        Ok(())
    }

    /// Every file, with its length.
    fn files(dir: &Path) -> io::Result<BTreeMap<PathBuf, u64>> {
        let mut files = BTreeMap::new();
        for file in fs::read_dir(dir)? {
            let path = file?.path();
            match path.is_dir() {
                true => files.append(&mut self::files(&path)?),
                false => drop(files.insert(path.clone(), fs::metadata(path)?.len())),
            }
        }
        Ok(files)
    }

    /// A copy of what is on the disk at one moment.
    fn image(dir: &TempDir) -> TempDir {
        let try_once = || -> io::Result<Option<TempDir>> {
            let image = tempfile::tempdir().unwrap();
            let before = files(dir.path())?;
            copy(dir.path(), image.path())?;
            Ok((before == files(dir.path())?).then_some(image))
        };
        loop {
            match try_once() {
                Ok(Some(image)) => return image,
                // A compaction put other files in place of some meanwhile.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn all(engine: &FjallEngine) -> BTreeMap<(Table, Vec<u8>), Vec<u8>> {
        let pair = |table, (key, value): (Slice, Slice)| ((table, key.to_vec()), value.to_vec());
        let of = |table| engine.range(table, b"", None).map(move |found| pair(table, found.unwrap()));
        [Table::Log, Table::Meta].into_iter().flat_map(of).collect()
    }

    proptest! {
        // Each opens several databases, which sync several files.
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Every write is there, the last one of its key and no older one, however often and by whatever the directory
        /// was closed.
        #[test]
        fn every_end_leaves_all_writes(steps in prop::collection::vec(step(), 1..24)) {
            let mut dir = tempfile::tempdir().unwrap();
            let mut engine = open(dir.path());
            let mut expect = BTreeMap::new();
            let mut number = 0u32;
            for step in steps {
                let mut next = |table: Table, key: u8, stays: bool| {
                    number += 1;
                    let value = stays.then(|| number.to_le_bytes().repeat(40));
                    match &value {
                        Some(value) => expect.insert((table, vec![key]), value.clone()),
                        None => expect.remove(&(table, vec![key])),
                    };
                    value
                };
                match step {
                    Step::Write(keys) => {
                        let mut writes = Batch::default();
                        for (key, is_delete) in keys {
                            let table = if key % 2 == 0 { Table::Log } else { Table::Meta };
                            match next(table, key, !is_delete) {
                                Some(value) => writes.put(table, [key], value),
                                None => writes.delete(table, [key]),
                            }
                        }
                        engine.commit(writes, Durability::Buffered).unwrap();
                    }
                    Step::Ingest(key) => {
                        let entries = next(Table::Log, key, true).map(|value| (vec![key], value));
                        engine.ingest(Table::Log, &mut entries.into_iter().map(shared)).unwrap();
                    }
                    Step::Flush => engine.flush().unwrap(),
                    Step::Kill => {
                        let left = image(&dir);
                        drop(engine);
                        dir = left;
                        engine = open(dir.path());
                    }
                    Step::Close => {
                        drop(engine);
                        engine = open(dir.path());
                    }
                    Step::PowerCut(emptied) => {
                        engine.flush().unwrap();
                        let left = image(&dir);
                        drop(engine);
                        dir = left;
                        for journal in journal::journals(&dir.path().join("tables")).unwrap().into_iter().take(emptied) {
                            fs::write(journal, "").unwrap();
                        }
                        engine = open(dir.path());
                    }
                }
                prop_assert_eq!(&all(&engine), &expect);
            }
        }
    }
}
