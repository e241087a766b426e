use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::engine::conformance::{batch, check_run, conformance, steps};

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
        let mut entries = (0..ingested).map(|n| ([&[round as u8, 255][..], &n.to_be_bytes()].concat(), vec![]));
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
        |dir| fs::write(dir.join("FORMAT"), "tandem 2\n").unwrap(),
        |error| matches!(error, EngineError::NewerFormat { found: 2, supported: 1, .. }),
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
    let mut entries = (0..5000u32).map(|n| (n.to_be_bytes().to_vec(), n.to_le_bytes().repeat(30)));
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
