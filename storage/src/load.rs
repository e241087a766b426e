//! Loading: many new records at once, past the journal, straight into files.
//!
//! A load is not one batch, so a mark says that one is under way. The log comes first; when a load was cut short, what
//! it had made of the log's new end is taken away at the next start, and the end is applied in the ordinary way.

use crate::{
    engine::{Batch, Bytes, Durability, Engine, EngineError, Key, Overlay, Table},
    fold::{
        Design,
        incremental::{Fold, Fresh, Prefix},
    },
    index::{Index, entry::record_of},
    log::{self, events_of},
    record_row,
};
use std::thread;

/// Rows that are taken away in one batch.
const KEYS_PER_BATCH: usize = 10_000;

/// Runs that only make new records, with what the fold says of them.
pub struct Load {
    /// The runs in the order of their arrival, with their keys.
    pub runs: Vec<(Key, Bytes)>,
    /// The fold behind them.
    pub fold: Fold,
    /// What they become, all of it by [`Fold::apply_fresh`].
    pub fresh: Fresh,
}

/// Ingests a load. What is left to do is in the batch that it gives: where the events end, and that the load is over.
pub(crate) fn load<E: Engine>(
    engine: &E,
    workspace: u32,
    indexes: &[Index],
    Load { runs, fold, mut fresh }: Load,
) -> Result<(Fold, Batch), EngineError> {
    let mut mark = Batch::default();
    mark.put(Table::Meta, mark_key(workspace), []);
    engine.commit(mark, Durability::Buffered)?;
    let snapshot = engine.snapshot();
    let mut rows = Overlay::new(&snapshot);
    fold.write_end(&mut rows, &mut fresh);
    let mut end = rows.into_batch();
    end.delete(Table::Meta, mark_key(workspace));
    let (records, events) = fresh.take_rows();
    let entries = thread::scope(|scope| {
        let log = scope.spawn(|| engine.ingest(Table::Log, &mut runs.into_iter()));
        let entries = entries(indexes, fold.prefix(), fold.design(), &records);
        log.join().expect("an ingestion does not panic").map(|()| entries)
    })?;
    thread::scope(|scope| {
        let index = scope.spawn(|| engine.ingest(Table::Index, &mut entries.into_iter()));
        engine.ingest(Table::Records, &mut records.into_iter())?;
        engine.ingest(Table::Events, &mut events.into_iter())?;
        index.join().expect("an ingestion does not panic")
    })?;
    Ok((fold, end))
}

fn entries(indexes: &[Index], generation: Prefix, design: &Design, records: &[(Key, Bytes)]) -> Vec<(Key, Bytes)> {
    let mut entries = Vec::with_capacity(records.len() * indexes.len());
    let mut cells = Vec::new();
    for (key, row) in records {
        let (list, record) = record_of(key);
        cells.clear();
        cells.extend(record_row::cells(row));
        let concerned = indexes.iter().filter(|index| index.definition.list == list);
        entries.extend(concerned.map(|index| index.entry_of(generation, design, record, &cells)));
    }
    entries.sort_unstable();
    entries
}

/// Takes away what a load that was cut short made of the runs from `applied` on. Entries of indexes stay: the same are
/// made again.
pub(crate) fn undo_what_was_cut_short<E: Engine>(
    engine: &E,
    workspace: u32,
    fold: &Fold,
    applied: u64,
) -> Result<(), EngineError> {
    if engine.get(Table::Meta, &mark_key(workspace))?.is_none() {
        return Ok(());
    }
    let mut batch = Batch::default();
    for run in log::runs_from(engine, workspace, applied) {
        let (_, bytes) = run?;
        for event in &*events_of(&bytes) {
            fold.keys_of_fresh(event).into_iter().for_each(|(table, key)| batch.delete(table, key));
        }
        if batch.len() >= KEYS_PER_BATCH {
            engine.commit(std::mem::take(&mut batch), Durability::Buffered)?;
        }
    }
    batch.delete(Table::Meta, mark_key(workspace));
    engine.commit(batch, Durability::Buffered)
}

fn mark_key(workspace: u32) -> Key {
    let mut key = workspace.to_be_bytes().to_vec();
    key.extend_from_slice(b"loading");
    key
}
