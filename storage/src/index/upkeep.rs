//! Which indexes there are: those that the design asks for are made, the others dropped.

use super::{Index, IndexDefinition};
use crate::{
    engine::{Batch, Bytes, Durability, Engine, EngineError, Key, Read, Table, prefix_end, shared},
    fold::{
        Design,
        incremental::{Prefix, rows_of_list},
    },
};

/// Entries that are sorted in memory at a time while an index is made: about 100 bytes each.
const ENTRIES_PER_INGESTION: usize = 500_000;

/// Lists with fewer records are indexed by a plain batch.
const ENTRIES_PER_BATCH: usize = 2_000;

/// The complete indexes of a generation, by number.
pub(crate) fn load<R: Read>(rows: &R, generation: Prefix) -> Result<Vec<Index>, EngineError> {
    let start = registry(generation);
    let rows = rows.range(Table::Meta, &start, prefix_end(&start).as_deref());
    rows.map(|pair| Ok(postcard::from_bytes(&pair?.1).expect("rows are our own"))).collect()
}

/// Brings the indexes to what the design asks for. An index counts when it is complete and listed; whatever a crash
/// leaves of an unlisted one goes when its number is used.
pub(crate) fn upkeep<E: Engine>(
    engine: &E,
    generation: Prefix,
    indexes: &mut Vec<Index>,
    (wanted, prepared, reserved): (Vec<IndexDefinition>, &[Index], u32),
    design: &Design,
) -> Result<(), EngineError> {
    let (kept, dropped): (Vec<Index>, Vec<Index>) =
        indexes.drain(..).partition(|index| wanted.contains(&index.definition));
    let mut next = next_number(kept.iter().chain(&dropped).chain(prepared)).max(reserved);
    *indexes = kept;
    // One batch flips: those that are not wanted any more go, those that stand ready come.
    let mut flip = Batch::default();
    dropped.iter().for_each(|index| flip.delete(Table::Meta, row_key(generation, index.number)));
    for index in prepared.iter().filter(|index| wanted.contains(&index.definition)) {
        if indexes.iter().all(|present| present.definition != index.definition) {
            flip.put(Table::Meta, row_key(generation, index.number), row(index));
            indexes.push(index.clone());
        }
    }
    if !flip.is_empty() {
        engine.commit(flip, Durability::Buffered)?;
        dropped.iter().try_for_each(|index| engine.drop_prefix(Table::Index, &index.prefix(generation)))?;
    }
    for definition in wanted {
        if indexes.iter().all(|index| index.definition != definition) {
            let index = Index { number: next, definition };
            engine.drop_prefix(Table::Index, &index.prefix(generation))?;
            make(engine, generation, &index, design)?;
            next += 1;
            indexes.push(index);
        }
    }
    indexes.sort_by(|a, b| a.definition.cmp(&b.definition));
    Ok(())
}

/// The least number that none of these has.
pub(crate) fn next_number<'i>(indexes: impl Iterator<Item = &'i Index>) -> u32 {
    indexes.map(|index| index.number + 1).max().unwrap_or(0)
}

fn row(index: &Index) -> Bytes {
    postcard::to_allocvec(index).expect("a vector takes all bytes")
}

/// Makes all entries of an index, and lists it.
fn make<E: Engine>(engine: &E, generation: Prefix, index: &Index, design: &Design) -> Result<(), EngineError> {
    let snapshot = engine.snapshot();
    let mut entries: Vec<(Key, Bytes)> = Vec::new();
    for pair in rows_of_list(&snapshot, generation, index.definition.list) {
        let (key, row) = pair?;
        entries.extend(index.entry(generation, design, key.record, &row));
        if entries.len() >= ENTRIES_PER_INGESTION {
            ingest(engine, &mut entries)?;
        }
    }
    let mut batch = Batch::default();
    if entries.len() > ENTRIES_PER_BATCH {
        ingest(engine, &mut entries)?;
    }
    entries.into_iter().for_each(|(key, columns)| batch.put(Table::Index, key, columns));
    batch.put(Table::Meta, row_key(generation, index.number), row(index));
    engine.commit(batch, Durability::Buffered)
}

fn ingest<E: Engine>(engine: &E, entries: &mut Vec<(Key, Bytes)>) -> Result<(), EngineError> {
    entries.sort_unstable();
    engine.ingest(Table::Index, &mut entries.drain(..).map(shared))
}

/// How many entries of an index do not follow from the records, or are missing.
pub(crate) fn bad_entries<R: Read>(
    rows: &R,
    generation: Prefix,
    index: &Index,
    design: &Design,
) -> Result<u64, EngineError> {
    let (mut expected, mut bad) = (0, 0);
    for pair in rows_of_list(rows, generation, index.definition.list) {
        let (key, row) = pair?;
        let Some((key, columns)) = index.entry(generation, design, key.record, &row) else { continue };
        expected += 1;
        bad += u64::from(rows.get(Table::Index, &key)?.as_deref() != Some(&*columns));
    }
    let start = index.prefix(generation);
    let mut present: u64 = 0;
    for pair in rows.range(Table::Index, &start, prefix_end(&start).as_deref()) {
        pair?;
        present += 1;
    }
    Ok(bad.max(present.abs_diff(expected)))
}

/// Forgets the indexes of generations other than this one. Their entries go with the other rows of theirs.
pub(crate) fn forget_others<E: Engine>(engine: &E, live: Prefix) -> Result<(), EngineError> {
    let start = registry_of_all(live.workspace);
    let own = registry(live);
    let mut batch = Batch::default();
    for pair in engine.range(Table::Meta, &start, prefix_end(&start).as_deref()) {
        let (key, _) = pair?;
        if !key.starts_with(&own) {
            batch.delete(Table::Meta, &*key);
        }
    }
    if batch.is_empty() { Ok(()) } else { engine.commit(batch, Durability::Buffered) }
}

fn registry_of_all(workspace: u32) -> Key {
    let mut key = workspace.to_be_bytes().to_vec();
    key.extend_from_slice(b"index");
    key
}

fn registry(generation: Prefix) -> Key {
    let mut key = registry_of_all(generation.workspace);
    key.extend_from_slice(&generation.generation.to_be_bytes());
    key
}

fn row_key(generation: Prefix, number: u32) -> Key {
    let mut key = registry(generation);
    key.extend_from_slice(&number.to_be_bytes());
    key
}
