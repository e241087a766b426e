//! Making views of a log: run after run in the order of their arrival, a batch at a time.

use crate::{
    engine::{Batch, Durability, Engine, EngineError, Overlay, Table, shared},
    fence::Fence,
    fold::incremental::{Applied, Fold, Fresh, LogPlace, Prefix, Steps, Together, makes_a_record},
    index::entry::Before,
    log::{self, LogReader, RunEvents, events_of},
};
use std::collections::BTreeMap;

/// Events that are applied in one batch.
const EVENTS_PER_BATCH: usize = 16 * 1024;

/// New records that are ingested at a time, about 1 KiB each.
const FRESH_PER_INGESTION: usize = 64 * 1024;

/// Fewer of them are not worth files of their own.
const FRESH_PER_INGESTION_MIN: usize = 8 * 1024;

/// The views of a log in the making.
pub(crate) struct Replay<'a, E> {
    engine: &'a E,
    workspace: u32,
    fence: &'a mut Fence,
    /// Nobody reads the rows yet: what a crash leaves of them is thrown away, so that parts of a batch may be ingested.
    is_aside: bool,
    /// Runs of the log that are decoded already.
    decoded: BTreeMap<u64, RunEvents>,
}

/// May add to a batch of the views, knowing the fold behind it, the number behind the last run in it, and rows of records
/// as they were before.
pub(crate) type Finish<'a> = &'a mut dyn FnMut(&Fold, u64, &Before, &mut Batch) -> Result<(), EngineError>;

impl<'a, E: Engine> Replay<'a, E> {
    /// Of the live views, with runs of the log that are decoded already.
    pub(crate) fn live(engine: &'a E, workspace: u32, fence: &'a mut Fence, decoded: BTreeMap<u64, RunEvents>) -> Self {
        Self { engine, workspace, fence, is_aside: false, decoded }
    }

    /// Of views that nobody reads yet.
    pub(crate) fn aside(engine: &'a E, workspace: u32, fence: &'a mut Fence) -> Self {
        Self { engine, workspace, fence, is_aside: true, decoded: BTreeMap::new() }
    }

    /// Views of nothing.
    pub(crate) fn empty(&self, prefix: Prefix) -> Result<Fold, EngineError> {
        Fold::load(prefix, self.engine, &LogReader::new(self.engine, self.workspace))
    }

    /// Applies the log from run `from` on. See [`Replay::each`].
    pub(crate) fn all(
        &mut self,
        fold: Fold,
        from: u64,
        finish: Finish<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Fold, u64), EngineError> {
        self.each(fold, from, finish, progress, &mut |_| {})
    }

    /// Applies the log from run `from` on. Gives the fold, and the number behind the last run. `progress` is told the
    /// number of events applied so far; `each`, what became of each.
    pub(crate) fn each(
        &mut self,
        mut fold: Fold,
        from: u64,
        finish: Finish<'_>,
        progress: &mut dyn FnMut(u64),
        each: &mut dyn FnMut(Applied),
    ) -> Result<(Fold, u64), EngineError> {
        let marked = |source| EngineError::Io { path: "the marker of what is applied".into(), source };
        let (mut applied, mut events_done) = (from, 0);
        loop {
            let snapshot = self.engine.snapshot();
            let reader = LogReader::new(&snapshot, self.workspace);
            let mut rows = Overlay::new(&snapshot);
            let (mut fresh, mut steps, mut together) = (Fresh::default(), Steps::default(), Together::default());
            let (mut events, mut ordinary, mut made) = (0, 0, false);
            for run in log::runs_from(&snapshot, self.workspace, applied) {
                let (arrival, bytes) = run?;
                if events == 0 {
                    self.fence.begin(arrival).map_err(marked)?;
                }
                let run = self.decoded.remove(&arrival).unwrap_or_else(|| events_of(&bytes));
                reader.keep(arrival, &run);
                for (index, event) in run.iter().enumerate() {
                    let at = LogPlace { arrival, index: index as u16 };
                    events += 1;
                    if self.fence.passes_over(at, event).map_err(marked)? {
                        continue;
                    }
                    if fold.apply_fresh(&rows, &mut fresh, at, event)? {
                        each(Applied::Valid);
                        continue;
                    }
                    ordinary += 1 + fresh.len();
                    fold.settle_fresh(&mut rows, &mut fresh);
                    // Where an event is to be found out that ends the program, each is applied whole before the next.
                    let is_quick = !self.fence.is_careful();
                    if is_quick && event.header().chain.is_control() {
                        fold.settle_steps(&mut rows, &mut steps);
                        if fold.apply_together(&mut rows, &reader, &mut together, at, event)? {
                            each(Applied::Valid);
                            made = false;
                            continue;
                        }
                    }
                    fold.settle_together(&mut rows, &reader, &mut together)?;
                    if is_quick && fold.apply_step(&mut rows, &reader, &mut steps, at, event)? {
                        each(Applied::Valid);
                    } else {
                        fold.settle_steps(&mut rows, &mut steps);
                        each(fold.apply(&mut rows, &reader, at, event)?);
                    }
                    let makes = makes_a_record(event);
                    if self.is_aside && makes && made {
                        // Two in a row: as in an import, more may come, which can go past the journal.
                        fold.settle_steps(&mut rows, &mut steps);
                        fold.go_on(&rows, &reader, &mut fresh, event)?;
                    }
                    made = makes;
                }
                applied = arrival + 1;
                let fresh_max = if self.is_aside { FRESH_PER_INGESTION } else { EVENTS_PER_BATCH };
                if ordinary >= EVENTS_PER_BATCH || fresh.len() >= fresh_max {
                    break;
                }
            }
            if events == 0 {
                if events_done > 0 {
                    self.fence.done().map_err(marked)?;
                }
                return Ok((fold, applied));
            }
            fold.settle_together(&mut rows, &reader, &mut together)?;
            fold.settle_steps(&mut rows, &mut steps);
            if self.is_aside && fresh.len() >= FRESH_PER_INGESTION_MIN {
                fold.write_end(&mut rows, &mut fresh);
                self.ingest(fresh)?;
            } else {
                fold.settle_fresh(&mut rows, &mut fresh);
            }
            let mut batch = rows.into_batch();
            finish(&fold, applied, &steps.take_before(), &mut batch)?;
            self.engine.commit(batch, Durability::Buffered)?;
            events_done += events as u64;
            progress(events_done);
        }
    }

    fn ingest(&self, mut fresh: Fresh) -> Result<(), EngineError> {
        let (records, events) = fresh.take_rows();
        self.engine.ingest(Table::Records, &mut records.into_iter().map(shared))?;
        self.engine.ingest(Table::Events, &mut events.into_iter().map(shared))
    }
}
