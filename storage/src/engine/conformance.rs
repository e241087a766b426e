//! What every engine must do, as tests that each engine runs over itself.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Batch, Bytes, DROP_KEYS_PER_BATCH, Durability, Engine, Key, Overlay, RangeIter, Read, Table, shared};

/// A name, and what is asserted of an empty engine.
type Case<E> = (&'static str, fn(&E));

/// A put or, without a value, a delete.
pub(super) type Write<'k> = (Table, &'k [u8], Option<&'k [u8]>);

/// Runs every case, each over an empty engine. The last name printed is the case that failed.
pub(super) fn conformance<E: Engine>(mut fresh: impl FnMut() -> E) {
    let cases: [Case<E>; 10] = [
        ("absent keys read as none", absent_keys_read_as_none),
        ("a batch writes all tables", a_batch_writes_all_tables),
        ("an empty batch changes nothing", an_empty_batch_changes_nothing),
        ("ranges are half open and ordered", ranges_are_half_open_and_ordered),
        ("a snapshot stays as it was", a_snapshot_stays_as_it_was),
        ("a range stays as it was", a_range_stays_as_it_was),
        ("ingested entries join the others", ingested_entries_join_the_others),
        ("a dropped prefix takes only its keys", a_dropped_prefix_takes_only_its_keys),
        ("a large prefix is dropped whole", a_large_prefix_is_dropped_whole),
        ("values may be empty or large", values_may_be_empty_or_large),
    ];
    for (name, case) in cases {
        println!("{name}");
        case(&fresh());
    }
}

/// The writes as a batch.
pub(super) fn batch(writes: &[Write<'_>]) -> Batch {
    let mut batch = Batch::default();
    for (table, key, value) in writes {
        match value {
            Some(value) => batch.put(*table, *key, *value),
            None => batch.delete(*table, *key),
        }
    }
    batch
}

fn commit(engine: &impl Engine, writes: &[Write<'_>]) {
    engine.commit(batch(writes), Durability::Buffered).expect("commit");
}

fn get(read: &impl Read, table: Table, key: &[u8]) -> Option<Bytes> {
    read.get(table, key).expect("get").map(|value| value.to_vec())
}

fn pairs(range: RangeIter<'_>) -> Vec<(Key, Bytes)> {
    range.map(|pair| pair.expect("range")).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// The keys of a range, as text, read both ways.
fn keys(read: &impl Read, table: Table, from: &[u8], to: Option<&[u8]>) -> String {
    let up = pairs(read.range(table, from, to));
    let mut down = pairs(read.range_rev(table, from, to));
    down.reverse();
    assert_eq!(up, down);
    let keys: Vec<_> = up.into_iter().map(|(key, _)| String::from_utf8(key).expect("text keys")).collect();
    keys.join(" ")
}

fn absent_keys_read_as_none<E: Engine>(engine: &E) {
    for table in Table::ALL {
        assert_eq!(get(engine, table, b"k"), None);
        assert_eq!(keys(engine, table, b"", None), "");
    }
    commit(engine, &[(Table::Meta, b"k", None)]);
    assert_eq!(get(engine, Table::Meta, b"k"), None);
}

fn a_batch_writes_all_tables<E: Engine>(engine: &E) {
    let mut batch = Batch::default();
    for table in Table::ALL {
        batch.put(table, b"k", table.name());
    }
    engine.commit(batch, Durability::Synced).expect("commit");
    for table in Table::ALL {
        assert_eq!(get(engine, table, b"k"), Some(table.name().into()));
        assert_eq!(get(&engine.snapshot(), table, b"k"), Some(table.name().into()));
    }
    commit(engine, &[(Table::Log, b"k", None), (Table::Index, b"k", Some(b"new"))]);
    assert_eq!(get(engine, Table::Log, b"k"), None);
    assert_eq!(get(engine, Table::Index, b"k"), Some(b"new".into()));
    assert_eq!(get(engine, Table::Meta, b"k"), Some(b"meta".into()));
}

fn an_empty_batch_changes_nothing<E: Engine>(engine: &E) {
    engine.commit(Batch::default(), Durability::Buffered).expect("buffered");
    engine.commit(Batch::default(), Durability::Synced).expect("synced");
    engine.sync().expect("sync");
    engine.flush().expect("flush");
    assert_eq!(keys(engine, Table::Log, b"", None), "");
}

fn ranges_are_half_open_and_ordered<E: Engine>(engine: &E) {
    let insert = ["b", "ab", "c", "a", "abc"];
    for key in insert {
        commit(engine, &[(Table::Index, key.as_bytes(), Some(b"v"))]);
    }
    commit(engine, &[(Table::Records, b"aa", Some(b"another table"))]);
    let check = |from: &str, to: Option<&str>, expect: &str| {
        let to = to.map(str::as_bytes);
        assert_eq!(keys(engine, Table::Index, from.as_bytes(), to), expect, "{from:?} to {to:?}");
        let base = engine.snapshot();
        assert_eq!(keys(&base, Table::Index, from.as_bytes(), to), expect);
        assert_eq!(keys(&Overlay::new(&base), Table::Index, from.as_bytes(), to), expect);
    };
    check("", None, "a ab abc b c");
    check("ab", None, "ab abc b c");
    check("aba", None, "abc b c");
    check("a", Some("b"), "a ab abc");
    check("ab", Some("abc"), "ab");
    check("", Some("a"), "");
    check("b", Some("b"), "");
    check("c", Some("a"), "");
    check("d", None, "");
}

fn a_snapshot_stays_as_it_was<E: Engine>(engine: &E) {
    commit(engine, &[(Table::Log, b"a", Some(b"1")), (Table::Meta, b"head", Some(b"a"))]);
    let before = engine.snapshot();
    commit(engine, &[(Table::Log, b"b", Some(b"2")), (Table::Log, b"a", None), (Table::Meta, b"head", Some(b"b"))]);
    let after = engine.snapshot();
    engine.flush().expect("flush");
    commit(engine, &[(Table::Meta, b"head", None)]);

    assert_eq!(get(&before, Table::Meta, b"head"), Some(b"a".into()));
    assert_eq!(keys(&before, Table::Log, b"", None), "a");
    assert_eq!(get(&after, Table::Meta, b"head"), Some(b"b".into()));
    assert_eq!(keys(&after, Table::Log, b"", None), "b");
    assert_eq!(get(engine, Table::Meta, b"head"), None);
}

fn a_range_stays_as_it_was<E: Engine>(engine: &E) {
    commit(engine, &[(Table::Log, b"a", Some(b"1")), (Table::Log, b"b", Some(b"1"))]);
    let mut range = engine.range(Table::Log, b"", None);
    let first = range.next().expect("a first").expect("range");
    commit(engine, &[(Table::Log, b"b", Some(b"2")), (Table::Log, b"c", Some(b"2"))]);
    assert_eq!((&*first.0, &*first.1), (&b"a"[..], &b"1"[..]));
    assert_eq!(pairs(range), [(b"b".to_vec(), b"1".to_vec())]);
}

fn ingested_entries_join_the_others<E: Engine>(engine: &E) {
    commit(engine, &[(Table::Index, b"a", Some(b"old")), (Table::Index, b"z", Some(b"old"))]);
    let before = engine.snapshot();
    let mut entries = (0..5000u32).map(|n| (format!("m{n:05}").into_bytes(), n.to_be_bytes().to_vec())).map(shared);
    engine.ingest(Table::Index, &mut entries).expect("ingest");
    engine.ingest(Table::Index, &mut std::iter::empty()).expect("ingest nothing");

    assert_eq!(keys(&before, Table::Index, b"", None), "a z");
    let all = pairs(engine.range(Table::Index, b"", None));
    assert_eq!(all.len(), 5002);
    assert!(all.is_sorted());
    assert_eq!(get(engine, Table::Index, b"m00017"), Some(17u32.to_be_bytes().into()));
    commit(engine, &[(Table::Index, b"m00017", None)]);
    assert_eq!(keys(engine, Table::Index, b"m00016", Some(b"m00019")), "m00016 m00018");
}

fn a_dropped_prefix_takes_only_its_keys<E: Engine>(engine: &E) {
    let writes: [Write<'_>; 6] = [
        (Table::Index, b"f", Some(b"v")),
        (Table::Index, b"g", Some(b"v")),
        (Table::Index, b"ga", Some(b"v")),
        (Table::Index, b"gz", Some(b"v")),
        (Table::Index, b"h", Some(b"v")),
        (Table::Records, b"g", Some(b"v")),
    ];
    commit(engine, &writes);
    engine.drop_prefix(Table::Index, b"g").expect("drop");
    assert_eq!(keys(engine, Table::Index, b"", None), "f h");
    assert_eq!(keys(engine, Table::Records, b"", None), "g");
}

fn a_large_prefix_is_dropped_whole<E: Engine>(engine: &E) {
    let mut all = Batch::default();
    for n in 0..2 * DROP_KEYS_PER_BATCH {
        all.put(Table::Index, [b"\xff", &n.to_be_bytes()[..]].concat(), b"v");
    }
    engine.commit(all, Durability::Buffered).expect("commit");
    engine.drop_prefix(Table::Index, b"\xff").expect("drop");
    assert_eq!(pairs(engine.range(Table::Index, b"", None)), []);
}

fn values_may_be_empty_or_large<E: Engine>(engine: &E) {
    let large = vec![7; 1 << 20];
    commit(engine, &[(Table::Records, b"empty", Some(b"")), (Table::Records, b"large", Some(&large))]);
    engine.flush().expect("flush");
    assert_eq!(get(engine, Table::Records, b"empty"), Some(vec![]));
    assert_eq!(get(engine, Table::Records, b"large"), Some(large));
    assert_eq!(keys(engine, Table::Records, b"", None), "empty large");
}

/// What an engine must equal: all its pairs in one map.
type Model = BTreeMap<(Table, Key), Bytes>;

/// One step of a random run.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// First reads the writes through an overlay, then commits them.
    Commit(Vec<(Table, Key, Option<Bytes>)>, bool),
    /// Keeps a snapshot, to be read at the end of the run.
    Snapshot,
    Flush,
    DropPrefix(Table, Key),
    Look(Table, Key, Option<Key>),
}

/// Random runs over few short keys, so that writes meet each other and the bounds of ranges.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let table = || select(&Table::ALL[..]);
    let key = || vec(select(&[0u8, b'a', b'b', u8::MAX][..]), 1..4);
    let value = || proptest::option::weighted(0.7, vec(any::<u8>(), 0..4));
    let step = prop_oneof![
        6 => (vec((table(), key(), value()), 0..8), any::<bool>()).prop_map(|(writes, sync)| Step::Commit(writes, sync)),
        6 => (table(), key(), proptest::option::of(key())).prop_map(|(table, from, to)| Step::Look(table, from, to)),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Flush),
        1 => (table(), key()).prop_map(|(table, prefix)| Step::DropPrefix(table, prefix)),
    ];
    vec(step, 0..40)
}

/// Runs the steps and asserts that the engine, its snapshots and overlays read as a plain map does.
pub(super) fn check_run(engine: &impl Engine, steps: Vec<Step>) {
    let mut model = Model::new();
    let mut snapshots = Vec::new();
    for step in steps {
        match step {
            Step::Commit(writes, sync) => {
                let base = engine.snapshot();
                let mut overlay = Overlay::new(&base);
                for (table, key, value) in writes {
                    match &value {
                        Some(value) => overlay.put(table, &key[..], &value[..]),
                        None => overlay.delete(table, &key[..]),
                    }
                    match value {
                        Some(value) => model.insert((table, key), value),
                        None => model.remove(&(table, key)),
                    };
                }
                check_all(&overlay, &model);
                let durability = if sync { Durability::Synced } else { Durability::Buffered };
                engine.commit(overlay.into_batch(), durability).expect("commit");
            }
            Step::Snapshot => snapshots.push((engine.snapshot(), model.clone())),
            Step::Flush => engine.flush().expect("flush"),
            Step::DropPrefix(table, prefix) => {
                engine.drop_prefix(table, &prefix).expect("drop");
                model.retain(|(at, key), _| *at != table || !key.starts_with(&prefix));
            }
            Step::Look(table, from, to) => {
                check_range(engine, &model, table, &from, to.as_deref());
                // The same range through an overlay that deletes and puts at its ends.
                let base = engine.snapshot();
                let (mut overlay, mut changed) = (Overlay::new(&base), model.clone());
                overlay.delete(table, &from[..]);
                changed.remove(&(table, from.clone()));
                if let Some(to) = &to {
                    overlay.put(table, &to[..], b"end");
                    changed.insert((table, to.clone()), b"end".to_vec());
                }
                check_range(&overlay, &changed, table, &from, to.as_deref());
                check_range(&overlay, &changed, table, b"", None);
            }
        }
        check_all(engine, &model);
    }
    for (snapshot, model) in snapshots {
        check_all(&snapshot, &model);
    }
}

fn check_all(read: &impl Read, model: &Model) {
    for table in Table::ALL {
        check_range(read, model, table, b"", None);
    }
    for ((table, key), value) in model {
        assert_eq!(read.get(*table, key).expect("get").as_deref(), Some(&value[..]));
    }
}

fn check_range(read: &impl Read, model: &Model, table: Table, from: &[u8], to: Option<&[u8]>) {
    let inside = |at: &Table, key: &Key| *at == table && &key[..] >= from && to.is_none_or(|to| &key[..] < to);
    let mut expect: Vec<(Key, Bytes)> = model
        .iter()
        .filter(|((at, key), _)| inside(at, key))
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect();
    assert_eq!(pairs(read.range(table, from, to)), expect, "{table:?} {from:x?} to {to:x?}");
    expect.reverse();
    assert_eq!(pairs(read.range_rev(table, from, to)), expect, "{table:?} {from:x?} to {to:x?}, reversed");
}
