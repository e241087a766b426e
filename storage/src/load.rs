//! Loading: many new records at once, past the journal, straight into files.
//!
//! A load is not one batch, so a mark says that one is under way. The log comes first; when a load was cut short, what
//! it had made of the log's new end is taken away at the next start, and the end is applied in the ordinary way.

use crate::{
    engine::{Batch, Bytes, Durability, Engine, EngineError, Key, Overlay, Read, SortedEntries, Table, shared},
    fold::incremental::{Fold, Fresh, LogPlace},
    index::{Index, entry::record_of},
    log::{self, events_of},
    record_row,
};
use std::{sync::Arc, thread};
use tandem_wire::Event;

/// Rows that are taken away in one batch.
const KEYS_PER_BATCH: usize = 10_000;

/// Runs that only make new records, with what becomes of them.
pub struct Load {
    runs: Vec<(Key, Bytes)>,
    fold: Fold,
    fresh: Fresh,
    entries: Vec<(Key, Bytes)>,
}

/// A load in the making.
pub struct LoadBuilder {
    load: Load,
    indexes: Arc<Vec<Index>>,
}

impl LoadBuilder {
    /// Behind what `fold` knows; `fresh` goes on where that ends (see [`Fold::go_on`]).
    pub fn new(fold: Fold, fresh: Fresh, indexes: Arc<Vec<Index>>) -> Self {
        Self { load: Load { runs: Vec::new(), fold, fresh, entries: Vec::new() }, indexes }
    }

    /// Whether an event can be taken in at all: everything must end in one live data event.
    pub fn goes_on(&self) -> bool {
        self.load.fresh.goes_on()
    }

    /// Takes the next event in, see [`Fold::apply_fresh`]. After a no, the load is of no use.
    pub fn apply<R: Read>(&mut self, rows: &R, at: LogPlace, event: &Event) -> Result<bool, EngineError> {
        let Load { fold, fresh, entries, .. } = &mut self.load;
        if !fold.apply_fresh(rows, fresh, at, event)? {
            return Ok(false);
        }
        let (key, row) = fresh.last_record().expect("just made");
        let (list, record) = record_of(key);
        let cells = record_row::all_cells(row);
        let concerned = self.indexes.iter().filter(|index| index.definition.list == list);
        entries.extend(concerned.map(|index| index.entry_of(fold.prefix(), fold.design(), record, &cells)));
        Ok(true)
    }

    /// Adds the run that the last events are in.
    pub fn push(&mut self, key: Key, run: Bytes) {
        self.load.runs.push((key, run));
    }

    /// The load, to be handed to [`crate::Store::load`].
    pub fn finish(self) -> Load {
        self.load
    }
}

impl Load {
    /// How many runs.
    pub fn runs(&self) -> u64 {
        self.runs.len() as u64
    }
}

/// Ingests a load. What is left to do is in the batch that it gives: where the events end, and that the load is over.
pub(crate) fn load<E: Engine>(
    engine: &E,
    workspace: u32,
    Load { runs, fold, mut fresh, mut entries }: Load,
) -> Result<(Fold, Batch), EngineError> {
    let mut mark = Batch::default();
    mark.put(Table::Meta, mark_key(workspace), []);
    engine.commit(mark, Durability::Buffered)?;
    let snapshot = engine.snapshot();
    let mut rows = Overlay::new(&snapshot);
    fold.write_end(&mut rows, &mut fresh);
    let mut end = rows.into_batch();
    end.delete(Table::Meta, mark_key(workspace));
    let (records, events) = thread::scope(|scope| {
        scope.spawn(|| entries.sort_unstable());
        fresh.take_rows()
    });
    // The log first: what is there without it could not be found again to be taken away.
    let (log, views) =
        ((Table::Log, runs), [(Table::Index, entries), (Table::Records, records), (Table::Events, events)]);
    let sorted = |(table, entries): (Table, Vec<(Key, Bytes)>)| -> (Table, SortedEntries<'_>) {
        (table, Box::new(entries.into_iter().map(shared)))
    };
    engine.ingest_all([log].into_iter().chain(views).map(sorted).collect())?;
    Ok((fold, end))
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
