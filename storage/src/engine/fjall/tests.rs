use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tempfile::TempDir;

use std::fs;

use super::*;
use crate::{
    engine::{
        conformance::{batch, check_run, conformance, steps},
        shared,
    },
    record_row::{self, NewCell},
};
use tandem_wire::{ChainId, DeviceKey, EventId, EventRef, FieldId, PartPath, Value};

fn open(dir: &TempDir) -> Result<FjallEngine, EngineError> {
    FjallEngine::open(dir.path(), Options { cache_bytes: 1 << 20, write_buffer_bytes: 1 << 20 })
}

#[test]
fn conforms() {
    let mut dirs = Vec::new();
    conformance(|| {
        dirs.push(tempfile::tempdir().unwrap());
        open(dirs.last().unwrap()).unwrap()
    });
}

proptest! {
    // Each opens a database, which syncs several files.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn reads_as_a_map_does(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        check_run(&open(&dir).unwrap(), steps);
    }
}

fn log_len(engine: &FjallEngine) -> usize {
    engine.range(Table::Log, b"", None).map(Result::unwrap).count()
}

#[test]
fn reopening_finds_all_commits() {
    let dir = tempfile::tempdir().unwrap();
    // What is left to the journal, to table files, and to both.
    let (writes, ingested) = (3000u32, 100u32);
    for round in 0..4 {
        let engine = open(&dir).unwrap();
        assert_eq!(log_len(&engine), round * (writes + ingested) as usize);
        for n in 0..writes {
            let key = [&[round as u8][..], &n.to_be_bytes()].concat();
            engine.commit(batch(&[(Table::Log, &key, Some(&[7; 500]))]), Durability::Buffered).unwrap();
            if n == writes / 2 && round % 2 == 0 {
                engine.flush().unwrap();
            }
        }
        let mut entries =
            (0..ingested).map(|n| ([&[round as u8, 255][..], &n.to_be_bytes()].concat(), vec![])).map(shared);
        engine.ingest(Table::Log, &mut entries).unwrap();
        if round >= 2 {
            engine.flush().unwrap();
        }
    }
    assert_eq!(log_len(&open(&dir).unwrap()), 4 * (writes + ingested) as usize);
}

#[test]
fn a_second_opener_is_told_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir).unwrap();
    let refused = open(&dir).err().expect("refused");
    assert!(matches!(&refused, EngineError::Locked { path } if path == dir.path()), "{refused}");
    assert!(refused.to_string().contains("in use by another process"), "{refused}");

    let snapshot = engine.snapshot();
    drop(engine);
    assert!(matches!(open(&dir), Err(EngineError::Locked { .. })), "a snapshot still reads the files");
    drop(snapshot);
    open(&dir).expect("free again");
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_refused_directory_is_left_byte_identical() {
    let check = |spoil: fn(&Path), expect: fn(&EngineError) -> bool| {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(&dir).unwrap();
        engine.commit(batch(&[(Table::Log, b"k", Some(b"v"))]), Durability::Synced).unwrap();
        drop(engine);
        spoil(dir.path());
        let before = files(dir.path());
        let error = open(&dir).err().expect("refused");
        assert!(expect(&error), "{error}");
        assert!(before == files(dir.path()), "changed after {error}");
    };
    check(
        |dir| fs::write(dir.join("FORMAT"), "tandem 3\n").unwrap(),
        |error| matches!(error, EngineError::NewerFormat { found: 3, supported: 2, .. }),
    );
    let damaged = |error: &EngineError| matches!(error, EngineError::Damaged { .. });
    check(|dir| fs::remove_file(dir.join("FORMAT")).unwrap(), damaged);
    check(|dir| fs::write(dir.join("FORMAT"), "").unwrap(), damaged);
    check(|dir| fs::remove_file(dir.join("tables/version")).unwrap(), damaged);
    check(|dir| fs::write(dir.join("tables/version"), "FJL\x09").unwrap(), damaged);
}

#[test]
fn a_damaged_table_file_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir).unwrap();
    let mut entries = (0..5000u32).map(|n| (n.to_be_bytes().to_vec(), n.to_le_bytes().repeat(30))).map(shared);
    engine.ingest(Table::Records, &mut entries).unwrap();
    drop(engine);
    let (path, mut bytes) = files(&dir.path().join("tables/keyspaces"))
        .into_iter()
        .max_by_key(|(_, bytes)| bytes.len())
        .expect("the table file");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 16].fill(0xaa);
    fs::write(path, bytes).unwrap();

    let engine = open(&dir).unwrap();
    let error = engine.range(Table::Records, b"", None).find_map(Result::err).expect("an error");
    assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
}

/// Not what we would wish, but what the log and the rescue file must reckon with.
#[test]
fn a_damaged_journal_is_cut_or_refused() {
    // Commits a, b and c, overwrites some bytes around the first occurrence of `at`, and reopens.
    let check = |at: &[u8], before: usize, len: usize| {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(&dir).unwrap();
        for (key, value) in [(b"aaaa", [b'1'; 64]), (b"bbbb", [b'2'; 64]), (b"cccc", [b'3'; 64])] {
            engine.commit(batch(&[(Table::Log, key, Some(&value))]), Durability::Synced).unwrap();
        }
        drop(engine);
        let journal = dir.path().join("tables/0.jnl");
        let mut bytes = fs::read(&journal).unwrap();
        let start = bytes.windows(at.len()).position(|window| window == at).expect("in the journal") - before;
        bytes[start..start + len].fill(0);
        fs::write(&journal, bytes).unwrap();
        open(&dir).map(|engine| log_len(&engine))
    };
    assert_eq!(check(b"bbbb", 24, 24).expect("opens"), 1, "cut from b on, although c is whole");
    assert!(matches!(check(&[b'2'; 64], 0, 16), Err(EngineError::Damaged { .. })), "refused because of b");
    assert!(matches!(check(&[b'3'; 64], 0, 16), Err(EngineError::Damaged { .. })), "refused because of c, the last");
}

#[test]
fn an_idle_table_does_not_pin_the_journals() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir).unwrap();
    engine.commit(batch(&[(Table::Meta, b"k", Some(b"v"))]), Durability::Buffered).unwrap();
    // Four journals' worth; values just too short to be compressed in the journal.
    for n in 0..260u32 {
        let mut writes = Batch::default();
        for m in 0..256u32 {
            writes.put(Table::Log, [n.to_be_bytes(), m.to_be_bytes()].concat(), vec![n as u8; 4000]);
        }
        engine.commit(writes, Durability::Buffered).unwrap();
    }
    // Without a flush of ours: the workers must come to it by themselves.
    let kept = || engine.journal_bytes().unwrap();
    (0..5000).take_while(|_| kept() > 2 * JOURNAL_BYTES_MAX).for_each(|_| pause());
    assert!(kept() <= 2 * JOURNAL_BYTES_MAX, "{} bytes of journals are kept", kept());
}

/// A directory whose journal has the synced commits `a`, `b` and `c`, and where the values of each begin.
fn three_commits() -> (TempDir, PathBuf, [usize; 3]) {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir).unwrap();
    for value in [b'1', b'2', b'3'] {
        engine.commit(batch(&[(Table::Log, &[value], Some(&[value; 64]))]), Durability::Synced).unwrap();
    }
    drop(engine);
    let journal = dir.path().join("tables/0.jnl");
    let bytes = fs::read(&journal).unwrap();
    let at = |value: u8| bytes.windows(64).position(|window| window == [value; 64]).expect("in the journal");
    let places = [at(b'1'), at(b'2'), at(b'3')];
    (dir, journal, places)
}

#[test]
fn a_mended_journal_opens_with_all_before_the_break() {
    // Where, from the start of the value of a commit; how many commits are before it, and whether whole ones behind.
    let check = |commit: usize, from: isize, len: usize, before: usize, kept: usize| {
        let (dir, journal, places) = three_commits();
        let mut bytes = fs::read(&journal).unwrap();
        let start = places[commit].checked_add_signed(from).unwrap();
        bytes[start..start + len].fill(0xff);
        fs::write(&journal, bytes).unwrap();
        let data = DataDir::lock(dir.path()).unwrap();
        let mended = data.mend().unwrap();
        assert_eq!(mended.kept.len(), kept, "commit {commit}, {len} bytes at {from}");
        assert_eq!(data.kept().unwrap(), mended.kept);
        assert_eq!(data.mend().unwrap(), Mended::default(), "once is enough");
        let engine = data.open(Options::default()).unwrap();
        assert_eq!(log_len(&engine), before, "commit {commit}, {len} bytes at {from}");
    };
    for from in [-31, -20, -1, 0, 60, 64, 70] {
        check(0, from, 4, 0, 1);
        check(1, from, 4, 1, 1);
        check(2, from, 4, 2, 0);
    }
}

#[test]
fn a_sound_journal_is_left_as_it_is() {
    let (dir, journal, _) = three_commits();
    let before = fs::read(&journal).unwrap();
    let data = DataDir::lock(dir.path()).unwrap();
    assert_eq!(data.mend().unwrap(), Mended::default());
    assert!(before == fs::read(&journal).unwrap());
    assert_eq!(log_len(&data.open(Options::default()).unwrap()), 3);
}

#[test]
fn a_journal_is_looked_over_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing is flushed: what the journal loses is nowhere else.
    let options = Options { write_buffer_bytes: 64 << 20, ..Options::default() };
    let engine = FjallEngine::open(dir.path(), options).unwrap();
    // Over the ends of pieces, and longer than several.
    let sizes = [300_000u32, 700_000, 10, 300_000, 3_000_000, 300_000, 5_000_000, 10];
    for (n, size) in sizes.into_iter().enumerate() {
        let mut writes = Batch::default();
        for m in 0..size / 1000 + 1 {
            writes.put(
                Table::Log,
                [n as u32, m].map(u32::to_be_bytes).concat(),
                (0..1000).map(|k| (k * m) as u8).collect::<Vec<_>>(),
            );
        }
        engine.commit(writes, Durability::Buffered).unwrap();
    }
    drop(engine);
    let journal = dir.path().join("tables/0.jnl");
    let before = fs::read(&journal).unwrap();
    let data = DataDir::lock(dir.path()).unwrap();
    assert_eq!(data.mend().unwrap(), Mended::default());
    assert!(before == fs::read(&journal).unwrap(), "a sound journal is left as it is");
    // The last commit of 5 MB is broken in its middle, and the one behind it is whole.
    let written = before.iter().rposition(|byte| *byte != 0).unwrap();
    let mut bytes = before;
    bytes[written - 2_000_000] ^= 1;
    fs::write(&journal, bytes).unwrap();
    assert_eq!(data.mend().unwrap().kept.len(), 1);
    let there: BTreeSet<u8> =
        data.open(Options::default()).unwrap().range(Table::Log, b"", None).map(|pair| pair.unwrap().0[3]).collect();
    assert_eq!(there, (0..6).collect());
}

/// A run of `key`, each of another workspace; compressible, as much as `bytes` says.
fn a_run(n: u8, bytes: usize) -> Vec<u8> {
    use tandem_wire::*;
    let key = SecretKey::from_bytes(&[5; 32]);
    let record = RecordKey { list: ListId([1; 16]), record: RecordId([n; 16]) };
    let cell = CellKey { record, field: FieldId([2; 16]), part: PartPath::default() };
    let header = Header {
        workspace: WorkspaceId([n; 32]),
        chain: ChainId { device: key.device(), number: 1 },
        seq: 0,
        prev: None,
        deps: vec![],
        lamport: 1,
        wall_ms: 1,
        design: DesignDigest([0; 16]),
        actor: None,
        batch: None,
        resubmits: None,
        ops: vec![Op { target: Target::Cell(cell), preds: vec![], act: Act::Set }],
    };
    let body = Value::Text("x".repeat(bytes)).encode();
    let event = Event::new(header, Payload::of([body])).unwrap();
    Run::sign(vec![event], &key).unwrap().encode()
}

#[test]
fn runs_are_found_wherever_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir).unwrap();
    // Small and compressed, in a table file and in the journal.
    let runs: Vec<Vec<u8>> = (0..40).map(|n| a_run(n, if n % 2 == 0 { 10 } else { 20_000 })).collect();
    for (n, run) in runs.iter().enumerate() {
        engine.commit(batch(&[(Table::Log, &[n as u8], Some(run))]), Durability::Buffered).unwrap();
        if n == 20 {
            engine.flush().unwrap();
        }
    }
    drop(engine);
    fs::remove_file(dir.path().join("tables/version")).unwrap();
    let data = DataDir::lock(dir.path()).unwrap();
    assert!(matches!(data.open(Options::default()), Err(EngineError::Damaged { .. })));
    let found = || {
        let mut found = BTreeSet::new();
        let mut take = |bytes: &[u8], run: tandem_wire::Run| {
            assert_eq!(run.encode(), bytes);
            found.insert(bytes.to_vec());
        };
        assert_eq!(data.salvage(&mut take).unwrap(), 0);
        found
    };
    // The journal still has all; without it there is what was flushed.
    assert_eq!(found().len(), 40);
    fs::remove_file(dir.path().join("tables/0.jnl")).unwrap();
    assert_eq!(found(), runs[..21].iter().cloned().collect());
}

#[test]
fn new_tables_take_the_place_of_damaged_ones_even_over_a_crash() {
    let (dir, _, _) = three_commits();
    fs::remove_file(dir.path().join("tables/version")).unwrap();
    let old = files(&dir.path().join("tables"));
    for crash in [true, false] {
        let data = DataDir::lock(dir.path()).unwrap();
        let new = data.rebuild(Options::default()).unwrap();
        new.commit(batch(&[(Table::Log, b"new", Some(b"v"))]), Durability::Synced).unwrap();
        drop(new);
        if crash {
            // What `swap` leaves between its two renames.
            let aside = dir.path().join("tables.damaged-1");
            fs::rename(dir.path().join("tables"), &aside).unwrap();
            assert_eq!(files(&aside).into_values().collect::<Vec<_>>(), old.values().cloned().collect::<Vec<_>>());
            drop(data);
        } else {
            let aside = data.swap().unwrap();
            assert_eq!(aside, dir.path().join("tables.damaged-2"));
            drop(data);
        }
        let engine = open(&dir).unwrap();
        assert_eq!(log_len(&engine), 1);
        drop(engine);
        mark_damaged(dir.path(), "a planted fault").unwrap();
        let error = open(&dir).err().expect("refused");
        assert!(error.to_string().contains("a planted fault"), "{error}");
    }
}

#[test]
fn more_unflushed_writes_than_there_is_room_for_are_flushed_by_who_comes() {
    let dir = tempfile::tempdir().unwrap();
    let options = |write_buffer_bytes| Options { cache_bytes: 1 << 20, write_buffer_bytes };
    let large = FjallEngine::open(dir.path(), options(64 << 20)).unwrap();
    let value = vec![7; 1 << 20];
    for number in 0..8_u32 {
        let mut batch = Batch::default();
        batch.put(Table::Records, number.to_be_bytes(), value.clone());
        large.commit(batch, Durability::Synced).unwrap();
    }
    // As a power cut leaves it: all of it is in the journal.
    drop(large);
    let small = FjallEngine::open(dir.path(), options(1 << 20)).unwrap();
    for number in 8..16_u32 {
        let mut batch = Batch::default();
        batch.put(Table::Records, number.to_be_bytes(), value.clone());
        small.commit(batch, Durability::Synced).unwrap();
    }
    let held = small.tables.of(Table::Records).tree.active_memtable().size();
    assert!(held <= 4 << 20, "{held} bytes are not flushed");
    assert_eq!(small.range(Table::Records, &[], None).count(), 16);
}

fn record(number: u8) -> (Vec<u8>, Vec<u8>) {
    let chain = ChainId { device: DeviceKey([number % 3; 32]), number: 1 };
    let event = EventRef { chain, seq: number.into(), id: EventId([number; 32]) };
    let (value, whole) = (Value::Int(number.into()).encode(), PartPath::default());
    let cell = |field| NewCell { field: FieldId([field; 16]), part: &whole, op: field.into(), value: &value };
    (vec![number], record_row::encode_new(&event, 1 << 40, 0, 9, &[cell(number / 9), cell(100), cell(101)]))
}

fn check_records(engine: &FjallEngine, numbers: impl DoubleEndedIterator<Item = u8> + Clone) {
    let read =
        |pairs: RangeIter<'_>| pairs.map(Result::unwrap).map(|(k, v)| (k.to_vec(), v.to_vec())).collect::<Vec<_>>();
    let all: Vec<_> = numbers.clone().map(record).collect();
    assert_eq!(read(engine.range(Table::Records, b"", None)), all);
    assert_eq!(
        read(engine.snapshot().range_rev(Table::Records, b"", None)),
        numbers.rev().map(record).collect::<Vec<_>>()
    );
    for (key, row) in all {
        assert_eq!(engine.get(Table::Records, &key).unwrap().as_deref(), Some(&row[..]));
    }
}

#[test]
fn records_are_kept_packed_and_read_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let engine = open(&dir).unwrap();
        check_records(&engine, 0..round * 20);
        for number in round * 20..round * 20 + 10 {
            let (key, row) = record(number);
            engine.commit(batch(&[(Table::Records, &key, Some(&row))]), Durability::Buffered).unwrap();
            let kept = engine.database.snapshot().get(engine.tables.of(Table::Records), &key).unwrap().unwrap();
            assert!(kept.len() < row.len() * 3 / 5, "{} of {}", kept.len(), row.len());
        }
        let mut entries = (round * 20 + 10..round * 20 + 20).map(record).map(shared);
        engine.ingest(Table::Records, &mut entries).unwrap();
        if round % 2 == 0 {
            engine.flush().unwrap();
        }
        check_records(&engine, 0..round * 20 + 20);
    }
}

#[test]
fn an_older_directory_is_read_and_marked_as_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir).unwrap();
    for (key, row) in (0..10).map(record) {
        engine.tables.of(Table::Records).insert(key, row).unwrap();
    }
    drop(engine);
    fs::write(dir.path().join("FORMAT"), "tandem 1\n").unwrap();
    let engine = open(&dir).unwrap();
    assert_eq!(fs::read(dir.path().join("FORMAT")).unwrap(), b"tandem 2\n");
    check_records(&engine, 0..10);
    let (key, row) = record(10);
    engine.commit(batch(&[(Table::Records, &key, Some(&row))]), Durability::Synced).unwrap();
    check_records(&engine, 0..11);
}

#[test]
fn a_row_whose_words_are_gone_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir).unwrap();
    let (key, row) = record(1);
    engine.commit(batch(&[(Table::Records, &key, Some(&row))]), Durability::Synced).unwrap();
    for number in 0..5u32 {
        engine.tables.0.dictionary.keyspace().remove(number.to_be_bytes()).unwrap();
    }
    drop(engine);
    let engine = open(&dir).unwrap();
    let error = engine.get(Table::Records, &key).expect_err("no such word");
    assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
    assert!(engine.range(Table::Records, b"", None).next().unwrap().is_err());

    // Others get their numbers, and it is told nevertheless; who wants to be rid of the row need not read it.
    let (another, row) = record(200);
    engine.commit(batch(&[(Table::Records, &another, Some(&row))]), Durability::Synced).unwrap();
    assert_eq!(engine.get(Table::Records, &another).unwrap().as_deref(), Some(&row[..]));
    assert!(matches!(engine.get(Table::Records, &key), Err(EngineError::Damaged { .. })));
    engine.drop_prefix(Table::Records, &key).unwrap();
    assert!(engine.get(Table::Records, &key).unwrap().is_none());
}
