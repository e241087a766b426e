//! Tables on disk: one fjall database, one keyspace for each table.
//!
//! In the data directory, `FORMAT` (see [`super::format`]) and `LOCK` are ours, and `tables/` is fjall's.
//!
//! fjall keeps one journal for all keyspaces and a memtable for each; a full memtable is flushed to sorted
//! files, and a journal is deleted when all that it holds was flushed. What is built around it here:
//! - A keyspace that is seldom written would keep old journals alive (fjall#288). The journal limit is set to
//!   the least that fjall takes, 64 MiB, at which it flushes whatever the oldest journal waits for.
//! - An ingestion flushes the memtable of its table but syncs no journal: a power cut right after could keep
//!   that table's share of a batch and lose the others'. So the journal is synced first, while no commit runs.
//! - fjall takes a folder without its `version` file for new and writes over what is there. Such a folder is
//!   refused as damaged.
//! - fjall's one worker begins a flush only when it has done with a merge of files, which takes seconds, and lets
//!   the memtable grow meanwhile without bound. Writers wait here when it is twice as large as it may be.
//! - fjall's own wait for a flush never ends when its worker died. Ours asks whether the database still lives.
//! - fjall reads its last journal whole when it opens, also where everything in it was flushed. So a journal that a
//!   flush left nothing in is emptied when the tables are closed. See [`closing`].
//!
//! - Rows of records are kept packed: [`packed`]. Nothing above sees it.
//!
//! - fjall cuts a journal without a word where an entry does not parse. Where an entry parses but its batch has a
//!   bad checksum, fjall does not open the database at all, even if only the last, unsynced batch is concerned (a
//!   power cut may keep later pages and lose earlier ones). [`DataDir::mend`] comes before that.

mod closing;
mod dir;
mod journal;
mod packed;
mod salvage;
mod words;

pub use dir::{DataDir, mark_damaged};
pub use journal::Mended;

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, mpsc},
    thread,
    time::Duration,
};

use fjall::{
    AbstractTree as _, CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable,
    compaction::Leveled,
    config::{BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry},
};

use closing::Closing;
use packed::Packer;
use words::{Dictionary, Words};

use super::{
    Batch, Durability, Engine, EngineError, KeyIter, RangeIter, Read, Slice, SortedEntries, Table, Visit,
    batch::check_key, bounds,
};

/// At this size of all journals together, the keyspaces that the oldest one waits for are flushed.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// With more than one, fjall 3.1.13 keeps one of them from compacting, and that one asks for work again and again without
/// a pause while another compacts: a whole core.
const WORKERS: usize = 1;

/// Table files kept open: leaves room for sockets under the usual limit of 1024.
const OPEN_FILES_MAX: usize = 400;

/// Full memtables of a table that may wait to be flushed while its writers go on.
const SEALED_MAX: usize = 1;

/// Where fjall keeps the files of a table, in the table's folder; their names are numbers that grow.
const TABLE_FILES: &str = "tables";

/// What an ingestion has written is written back each time it has come to so many bytes: written at its end, it would
/// keep the disk from whoever commits meanwhile.
const WRITTEN_BACK_BYTES: usize = 1 << 20;

/// So many of them are written back: an ingestion's own last one, and what came into between.
const NEWEST_FILES: usize = 4;

/// How often a flush looks whether the workers are done.
const FLUSH_POLL: Duration = Duration::from_millis(1);

/// The memory that an engine may use. Neither limit is part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Blocks of table files kept in memory, over all tables.
    pub cache_bytes: u64,
    /// A table's unflushed writes are flushed at this size. While flushes are slow, writers wait when they have come to
    /// twice as much. Fixed for a directory when it is created.
    pub write_buffer_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, write_buffer_bytes: 4 << 20 }
    }
}

/// The tables of a node, in a directory that it alone has open.
///
/// The directory is free for others when the engine, its snapshots and its ranges are dropped. Commits may
/// sleep (for seconds, if the disk is slow) while flushes and compactions catch up.
pub struct FjallEngine {
    database: Database,
    tables: Tables,
    write_buffer_bytes: u64,
    /// Held shared by commits, and alone while an ingestion becomes visible, words get numbers, or everything is flushed.
    writing: RwLock<()>,
}

impl FjallEngine {
    /// Opens the tables in the directory `path`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`Locked`](EngineError::Locked), [`NewerFormat`](EngineError::NewerFormat),
    /// [`Damaged`](EngineError::Damaged), or [`Io`](EngineError::Io). The first two leave every stored byte alone.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, EngineError> {
        DataDir::lock(path)?.open(options)
    }

    fn open_tables(path: &Path, folder: &Path, lock: Arc<File>, options: Options) -> Result<Self, EngineError> {
        let open = || -> Result<(Database, [Keyspace; Table::ALL.len()], Dictionary), fjall::Error> {
            let database = Database::builder(folder)
                .worker_threads(WORKERS)
                .cache_size(options.cache_bytes)
                .max_cached_files(Some(OPEN_FILES_MAX))
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .journal_compression(CompressionType::Lz4)
                .open()?;
            let [meta, log, events, index, records, history] =
                Table::ALL.map(|table| database.keyspace(table.name(), || keyspace_options(table, options)));
            let dictionary = Dictionary::open(&database)?;
            Ok((database, [meta?, log?, events?, index?, records?, history?], dictionary))
        };
        let (database, keyspaces, dictionary) = open().map_err(|error| open_error(path, error))?;
        let closing = Closing::new(folder, lock);
        let tables = Tables(Arc::new(TablesInner { path: path.into(), keyspaces, dictionary, closing }));
        Ok(Self { database, tables, write_buffer_bytes: options.write_buffer_bytes, writing: RwLock::new(()) })
    }

    /// Bytes that the journals take on disk. New journals are laid out at 64 MiB.
    pub fn journal_bytes(&self) -> Result<u64, EngineError> {
        self.database.journal_disk_space().map_err(|error| self.tables.read_error(error))
    }

    /// Fails if an earlier write did, even one of a background thread.
    fn check_alive(&self) -> Result<(), EngineError> {
        self.persist(PersistMode::Buffer)
    }

    /// Until no table of a batch has more unflushed writes than memory is for.
    ///
    /// It has them flushed itself: nobody may have asked for that, as after a start that found them in the journal, and
    /// fjall asks at the size that the directory was created with.
    fn wait_for_flushes(&self, batch: &Batch) -> Result<(), EngineError> {
        let mut last = None;
        for (table, ..) in batch.iter() {
            if last.replace(table) == Some(table) {
                continue;
            }
            let keyspace = self.tables.of(table);
            if keyspace.tree.active_memtable().size() <= 2 * self.write_buffer_bytes {
                continue;
            }
            keyspace.rotate_memtable().map_err(|error| self.tables.write_error(error))?;
            while keyspace.sealed_memtable_count() > SEALED_MAX {
                self.check_alive()?;
                pause();
            }
        }
        Ok(())
    }

    /// Gives the new words of rows their numbers. Gives all words.
    fn name_words<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Arc<Words>, EngineError> {
        let dictionary = &self.tables.0.dictionary;
        let words = dictionary.words();
        let mut new = Vec::new();
        if words.takes_more() {
            rows.for_each(|row| packed::new_words(row, &words, &mut new));
        }
        if new.is_empty() {
            return Ok(words);
        }
        let _alone = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        dictionary.add(&new).map_err(|error| self.tables.write_error(error))
    }

    /// All words where a row has new ones.
    fn name_words_beyond(&self, words: &Words, row: &[u8]) -> Result<Option<Arc<Words>>, EngineError> {
        let mut new = Vec::new();
        if words.takes_more() {
            packed::new_words(row, words, &mut new);
        }
        if new.is_empty() { Ok(None) } else { self.name_words([row].into_iter()).map(Some) }
    }

    /// Writes the files of an ingestion, of rows as they are kept.
    fn write(
        &self,
        table: Table,
        entries: &mut dyn Iterator<Item = (Slice, Slice)>,
    ) -> Result<impl FnOnce() -> Result<(), fjall::Error> + use<'_>, EngineError> {
        let mut failed = None;
        let (mut packer, mut words) = (Packer::default(), self.tables.0.dictionary.words());
        let mut packed = entries.map_while(|(key, row)| {
            if table != Table::Records {
                return Some((key, row));
            }
            match self.name_words_beyond(&words, &row) {
                Ok(None) => {}
                Ok(Some(more)) => words = more,
                Err(error) => {
                    failed = Some(error);
                    return None;
                }
            }
            Some((key, packer.pack(&row, &words).into()))
        });
        let finish = self.tables.write(table, &mut packed)?;
        failed.map_or(Ok(finish), Err)
    }

    /// Makes an ingestion visible.
    fn join(&self, finish: impl FnOnce() -> Result<(), fjall::Error>) -> Result<(), EngineError> {
        let _alone = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        self.sync()?;
        finish().map_err(|error| self.tables.write_error(error))
    }

    fn persist(&self, mode: PersistMode) -> Result<(), EngineError> {
        self.database.persist(mode).map_err(|error| self.tables.write_error(error))
    }
}

/// All levels are compressed: what is ingested stays as it was written, on whatever level, and rows repeat the ids of
/// their fields and devices. Records alone are not: packed, they shrink little more, and each read would wait for it.
fn keyspace_options(table: Table, options: Options) -> KeyspaceCreateOptions {
    let block_bytes = match table {
        // Read one by one, in no order: of a block, one row is wanted.
        Table::Records => 2 << 10,
        // Read one by one and in short ranges.
        Table::Meta | Table::Events | Table::Index => 4 << 10,
        // Read in long ranges or seldom.
        Table::Log | Table::History => 16 << 10,
    };
    KeyspaceCreateOptions::default()
        .max_memtable_size(options.write_buffer_bytes)
        .data_block_size_policy(BlockSizePolicy::all(block_bytes))
        .data_block_compression_policy(CompressionPolicy::all(match table {
            Table::Records => CompressionType::None,
            _other => CompressionType::Lz4,
        }))
        .filter_policy(filters(table))
        .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(new_files_max(table))))
}

/// So many new files of a table are merged into the others.
fn new_files_max(table: Table) -> u8 {
    match table {
        // Read one by one, so that filters tell which file to look into; of events, a load leaves two files.
        Table::Events => 12,
        Table::Records => 8,
        Table::Meta | Table::Log | Table::Index | Table::History => 4,
    }
}

/// A point read touches few files, and none for an absent key.
fn filters(table: Table) -> FilterPolicy {
    let bloom = |policy| FilterPolicyEntry::Bloom(policy);
    match table {
        // Read in ranges only.
        Table::Index => FilterPolicy::disabled(),
        // Level 0 is small and asked first. Each of the others may be asked for a key that none has, as for each record
        // that comes in: with 10 bits a key, one such question in sixteen read a block, and filled the cache with them.
        Table::Meta | Table::Events | Table::Records | Table::Log | Table::History => FilterPolicy::new([
            bloom(BloomConstructionPolicy::FalsePositiveRate(0.0001)),
            bloom(BloomConstructionPolicy::BitsPerKey(16.0)),
        ]),
    }
}

impl Read for FjallEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        self.snapshot().get(table, key)
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        self.tables.range(&self.snapshot(), table, from, to, Direction::Ascending)
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        self.tables.range(&self.snapshot(), table, from, to, Direction::Descending)
    }

    fn each_shown(&self, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.snapshot().each_shown(from, to, visit)
    }

    fn keys<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> KeyIter<'a> {
        let Some(bounds) = bounds(from, to) else { return Box::new(std::iter::empty()) };
        let found = self.database.snapshot().range::<&[u8], _>(self.tables.of(table), bounds);
        Box::new(found.map(|guard| guard.key().map_err(|error| self.tables.read_error(error))))
    }
}

impl Engine for FjallEngine {
    type Snapshot = FjallSnapshot;

    fn snapshot(&self) -> FjallSnapshot {
        let snapshot = self.database.snapshot();
        // Asked for later: all that the rows name.
        let words = self.tables.0.dictionary.words();
        FjallSnapshot { snapshot, words, tables: self.tables.clone() }
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), EngineError> {
        self.commit_shared(&batch, durability)
    }

    fn commit_shared(&self, batch: &Batch, durability: Durability) -> Result<(), EngineError> {
        let mode = match durability {
            Durability::Buffered => PersistMode::Buffer,
            Durability::Synced => PersistMode::SyncData,
        };
        if batch.is_empty() {
            return self.persist(mode);
        }
        self.wait_for_flushes(batch)?;
        let rows = batch.writes(Table::Records).filter_map(|(_, row)| row.map(|row| &row[..]));
        let (mut packer, words) = (Packer::default(), self.name_words(rows)?);
        let _shared = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        self.tables.0.closing.note_write();
        let mut writes = self.database.batch().durability(Some(mode));
        for (table, key, value) in batch.iter() {
            match value {
                Some(row) if table == Table::Records => {
                    writes.insert(self.tables.of(table), &key[..], packer.pack(row, &words));
                }
                Some(value) => writes.insert(self.tables.of(table), &key[..], &value[..]),
                None => writes.remove(self.tables.of(table), &key[..]),
            }
        }
        writes.commit().map_err(|error| self.tables.write_error(error))
    }

    fn ingest(&self, table: Table, entries: &mut dyn Iterator<Item = (Slice, Slice)>) -> Result<(), EngineError> {
        self.check_alive()?;
        let finish = self.write(table, entries)?;
        self.join(finish)
    }

    /// The files are written side by side.
    fn ingest_all(&self, parts: Vec<(Table, SortedEntries<'_>)>) -> Result<(), EngineError> {
        self.check_alive()?;
        thread::scope(|scope| {
            let mut before: Option<mpsc::Receiver<()>> = None;
            let mut ingestions = Vec::with_capacity(parts.len());
            for (table, mut entries) in parts {
                let (done, after) = mpsc::sync_channel(1);
                let before = before.replace(after);
                ingestions.push(scope.spawn(move || {
                    let finish = self.write(table, &mut entries)?;
                    if before.is_some_and(|before| before.recv().is_err()) {
                        // The one before tells why.
                        return Ok(());
                    }
                    self.join(finish)?;
                    let _ = done.send(());
                    Ok(())
                }));
            }
            ingestions.into_iter().try_for_each(|ingestion| ingestion.join().expect("only a bug panics there"))
        })
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.persist(PersistMode::SyncData)
    }

    fn flush(&self) -> Result<(), EngineError> {
        let _alone = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        self.sync()?;
        for keyspace in &self.tables.0.keyspaces {
            keyspace.rotate_memtable().map_err(|error| self.tables.write_error(error))?;
        }
        for keyspace in &self.tables.0.keyspaces {
            while keyspace.sealed_memtable_count() > 0 {
                self.check_alive()?;
                pause();
            }
        }
        self.tables.0.closing.note_flush();
        Ok(())
    }
}

/// Waits for fjall's workers, which cannot be awaited.
#[expect(clippy::disallowed_methods, reason = "a clean stop runs on a thread of its own, after the actors")]
fn pause() {
    thread::sleep(FLUSH_POLL);
}

/// A state of a [`FjallEngine`].
pub struct FjallSnapshot {
    snapshot: fjall::Snapshot,
    words: Arc<Words>,
    tables: Tables,
}

impl Read for FjallSnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        check_key(key);
        let found = self.snapshot.get(self.tables.of(table), key).map_err(|error| self.tables.read_error(error))?;
        found.map(|value| self.tables.unpack(table, value, &self.words, &mut Vec::new())).transpose()
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        self.tables.range(self, table, from, to, Direction::Ascending)
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        self.tables.range(self, table, from, to, Direction::Descending)
    }

    fn each_shown(&self, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        let Some(bounds) = bounds(from, to) else { return Ok(()) };
        for guard in self.snapshot.range::<&[u8], _>(self.tables.of(Table::Records), bounds) {
            let (key, kept) = guard.into_inner().map_err(|error| self.tables.read_error(error))?;
            let (exists, cells) = packed::shown(&kept, &self.words).ok_or_else(|| self.tables.not_packed())?;
            if visit(&key, exists, &cells).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The keyspaces, and the directory for error messages; shared with snapshots.
#[derive(Clone)]
struct Tables(Arc<TablesInner>);

struct TablesInner {
    path: PathBuf,
    /// In the order of [`Table::ALL`].
    keyspaces: [Keyspace; Table::ALL.len()],
    dictionary: Dictionary,
    /// Let go last.
    closing: Closing,
}

#[derive(Clone, Copy)]
enum Direction {
    Ascending,
    Descending,
}

impl Tables {
    fn of(&self, table: Table) -> &Keyspace {
        &self.0.keyspaces[table as usize]
    }

    /// A value that was read, as it was written; `room` is for what comes in between.
    fn unpack(&self, table: Table, value: Slice, words: &Words, room: &mut Vec<u8>) -> Result<Slice, EngineError> {
        if table != Table::Records {
            return Ok(value);
        }
        match packed::unpack(&value, words, room) {
            Some(row) if row.as_ptr() == value.as_ptr() => Ok(value),
            Some(row) => Ok(row.into()),
            None => Err(self.not_packed()),
        }
    }

    fn not_packed(&self) -> EngineError {
        let detail = "a record's row is not one that was packed here".into();
        EngineError::Damaged { path: self.0.path.clone(), detail }
    }

    /// Writes the files of an ingestion. Nobody sees them before what this gives is called.
    fn write(
        &self,
        table: Table,
        entries: &mut dyn Iterator<Item = (Slice, Slice)>,
    ) -> Result<impl FnOnce() -> Result<(), fjall::Error> + use<'_>, EngineError> {
        let failed = |error| self.write_error(error);
        let mut ingestion = self.of(table).start_ingestion().map_err(failed)?;
        let mut bytes = 0;
        for (key, value) in entries {
            check_key(&key);
            bytes += key.len() + value.len();
            ingestion.write(key, value).map_err(failed)?;
            if bytes >= WRITTEN_BACK_BYTES {
                bytes = 0;
                self.write_back(table);
            }
        }
        self.write_back(table);
        Ok(|| ingestion.finish())
    }

    /// Has the newest files of a table written to the disk, among them those of an ingestion that is not finished: what
    /// that has left to write is little then, and commits wait for it. Nothing depends on it.
    fn write_back(&self, table: Table) {
        let Ok(files) = fs::read_dir(self.of(table).path().join(TABLE_FILES)) else { return };
        let numbered = |file: io::Result<fs::DirEntry>| file.ok()?.file_name().to_str()?.parse::<u64>().ok();
        let mut numbers: Vec<u64> = files.filter_map(numbered).collect();
        numbers.sort_unstable();
        for number in numbers.iter().rev().take(NEWEST_FILES) {
            let path = self.of(table).path().join(TABLE_FILES).join(number.to_string());
            let _ = File::open(path).and_then(|file| file.sync_data());
        }
    }

    /// The range keeps its own hold on the snapshot.
    fn range<'a>(
        &'a self,
        snapshot: &FjallSnapshot,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
    ) -> RangeIter<'a> {
        let Some(bounds) = bounds(from, to) else { return Box::new(std::iter::empty()) };
        let found = snapshot.snapshot.range::<&[u8], _>(self.of(table), bounds);
        let (words, mut room) = (snapshot.words.clone(), Vec::new());
        let pair = move |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(|error| self.read_error(error))?;
            Ok((key, self.unpack(table, value, &words, &mut room)?))
        };
        match direction {
            Direction::Ascending => Box::new(found.map(pair)),
            Direction::Descending => Box::new(found.rev().map(pair)),
        }
    }

    fn read_error(&self, error: fjall::Error) -> EngineError {
        read_error(&self.0.path, error)
    }

    /// Whatever stopped a write, fjall takes no more: it cannot know what reached the disk.
    fn write_error(&self, error: fjall::Error) -> EngineError {
        let path = self.0.path.clone();
        match io_error(error) {
            Ok(source) if source.kind() == ErrorKind::StorageFull => EngineError::DiskFull { path },
            Ok(source) => EngineError::WriteFailed { path, detail: source.to_string() },
            Err(error) => EngineError::WriteFailed { path, detail: error.to_string() },
        }
    }
}

fn open_error(path: &Path, error: fjall::Error) -> EngineError {
    match error {
        fjall::Error::Locked => EngineError::Locked { path: path.into() },
        error => read_error(path, error),
    }
}

fn read_error(path: &Path, error: fjall::Error) -> EngineError {
    let path = path.to_path_buf();
    match io_error(error) {
        // Files that end early, hold nonsense, or are gone although others speak of them.
        Ok(source)
            if matches!(source.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::NotFound) =>
        {
            EngineError::Damaged { path, detail: source.to_string() }
        }
        Ok(source) if source.kind() == ErrorKind::StorageFull => EngineError::DiskFull { path },
        Ok(source) => EngineError::Io { path, source },
        Err(error) => EngineError::Damaged { path, detail: error.to_string() },
    }
}

/// The refusal of the operating system inside `error`, or else `error` itself.
fn io_error(error: fjall::Error) -> Result<io::Error, fjall::Error> {
    match error {
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => Ok(source),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests;
