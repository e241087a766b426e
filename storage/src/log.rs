//! The append-only log of one workspace: runs, in the order of their arrival.
//!
//! The log alone is the truth; everything else is made from it. A run's key is the workspace's number and the run's
//! number, both big-endian; its value is the run as it was written or received, to the byte.

use crate::{
    engine::{EngineError, Read, Slice, Table, prefix_end},
    fold::incremental::{Events, LogPlace},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
};
use tandem_wire::{Event, Op, Run};

/// Runs whose events are kept decoded: full ones take about 200 KB each.
const CACHED_RUNS: usize = 64;

/// The events of a run, decoded.
pub type RunEvents = Arc<[Arc<Event>]>;

/// The key of a run.
pub fn key(workspace: u32, arrival: u64) -> Vec<u8> {
    let mut key = workspace.to_be_bytes().to_vec();
    key.extend_from_slice(&arrival.to_be_bytes());
    key
}

/// The stored bytes of all runs from `arrival` on, with their numbers.
pub fn runs_from<R: Read>(
    rows: &R,
    workspace: u32,
    arrival: u64,
) -> impl Iterator<Item = Result<(u64, Slice), EngineError>> + '_ {
    let to = prefix_end(&workspace.to_be_bytes());
    rows.range(Table::Log, &key(workspace, arrival), to.as_deref()).map(|pair| {
        let (key, bytes) = pair?;
        Ok((u64::from_be_bytes(*key.last_chunk().expect("keys are our own")), bytes))
    })
}

/// The number that the next run gets.
pub fn next_arrival<R: Read>(rows: &R, workspace: u32) -> Result<u64, EngineError> {
    let to = prefix_end(&workspace.to_be_bytes());
    let last = rows.range_rev(Table::Log, &workspace.to_be_bytes(), to.as_deref()).next().transpose()?;
    Ok(last.map_or(0, |(key, _)| u64::from_be_bytes(*key.last_chunk().expect("keys are our own")) + 1))
}

/// Reads single events of a log; keeps the runs read last.
pub struct LogReader<'a, R> {
    rows: &'a R,
    workspace: u32,
    cache: RefCell<Cache>,
    /// The run of which a single op was read last.
    peeked: Cell<Option<u64>>,
}

/// Runs by their numbers, each with when it was used last.
#[derive(Default)]
struct Cache {
    runs: BTreeMap<u64, (RunEvents, u64)>,
    uses: u64,
}

impl Cache {
    fn get(&mut self, arrival: u64) -> Option<RunEvents> {
        self.uses += 1;
        let (run, used) = self.runs.get_mut(&arrival)?;
        *used = self.uses;
        Some(run.clone())
    }

    fn insert(&mut self, arrival: u64, run: RunEvents) {
        if self.runs.len() >= CACHED_RUNS
            && let Some((oldest, _)) = self.runs.iter().min_by_key(|(_, (_, used))| *used)
        {
            let oldest = *oldest;
            self.runs.remove(&oldest);
        }
        self.runs.insert(arrival, (run, self.uses));
    }
}

impl<'a, R: Read> LogReader<'a, R> {
    /// Of the workspace with this number.
    pub fn new(rows: &'a R, workspace: u32) -> Self {
        Self { rows, workspace, cache: RefCell::default(), peeked: Cell::default() }
    }

    /// The events of a run that is in the log.
    ///
    /// # Panics
    /// If there is no such run, or it cannot be read: what is in the log was checked before it came there.
    pub fn run(&self, arrival: u64) -> Result<RunEvents, EngineError> {
        let mut cache = self.cache.borrow_mut();
        if let Some(run) = cache.get(arrival) {
            return Ok(run);
        }
        let bytes = self.rows.get(Table::Log, &key(self.workspace, arrival))?;
        let run = events_of(&bytes.expect("what the views point at is in the log"));
        cache.insert(arrival, run.clone());
        Ok(run)
    }

    /// Takes a run that is decoded already.
    pub fn keep(&self, arrival: u64, run: &RunEvents) {
        let mut cache = self.cache.borrow_mut();
        if cache.get(arrival).is_none() {
            cache.insert(arrival, run.clone());
        }
    }
}

impl<R: Read> Events for LogReader<'_, R> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        Ok(self.run(at.arrival)?[usize::from(at.index)].clone())
    }

    /// Of a run that nothing else was asked of, no more is read than that op.
    fn op(&self, at: LogPlace, op: u16) -> Result<Option<Op>, EngineError> {
        let is_known = self.cache.borrow_mut().get(at.arrival).is_some();
        if is_known || self.peeked.replace(Some(at.arrival)) == Some(at.arrival) {
            return Ok(self.event(at)?.header().ops.get(usize::from(op)).cloned());
        }
        let bytes = self.rows.get(Table::Log, &key(self.workspace, at.arrival))?;
        let bytes = bytes.expect("what the views point at is in the log");
        Ok(Run::peek_op(&bytes, at.index.into(), op.into()))
    }
}

/// Decodes a run that was verified before it came into the log.
///
/// # Panics
/// On anything else.
pub fn events_of(bytes: &[u8]) -> RunEvents {
    let run = Run::decode_trusted(bytes).expect("what is in the log was checked before it came there");
    run.into_events().into_iter().map(Arc::new).collect()
}
