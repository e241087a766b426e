//! Runs from elsewhere: which of them come into the log.
//!
//! What is left out here is only put off. Every node asks the same of a run, and what it asks (is the author named as a
//! member somewhere, is the event before it here) only ever comes to be so: nodes that hear of the same events keep the
//! same ones.

use crate::{
    EngineError, Store,
    engine::{Batch, Engine, Read, Table},
    fold::incremental::{EventState, Fold, Fresh, LogPlace, makes_a_record},
    load::LoadBuilder,
    log::{self, LogReader, RunEvents},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};
use tandem_wire::{Act, BadRun, ChainId, EventId, EventRef, Run, VersionTable, WorkspaceId, limits::HELD_BYTES_MAX};

/// A run from elsewhere: its signature is its author's, and its bytes are canonical.
#[derive(Debug, Clone)]
pub struct Received {
    bytes: Vec<u8>,
    events: RunEvents,
}

/// Which runs come into the log.
#[derive(Debug, Default)]
pub struct Taking {
    /// To be committed.
    pub log: Batch,
    /// How many runs are in it.
    pub taken: u64,
    /// These runs, by their numbers: for [`Store::catch_up_with`].
    pub decoded: BTreeMap<u64, RunEvents>,
    /// How many of the given runs this is about. The others are to be looked at when these are in the views: they may be
    /// by authors who are named there for the first time.
    pub looked_at: usize,
    /// What became of those that do not come in.
    pub left: Vec<(usize, Left)>,
}

/// Why a run stays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// All of its events are here.
    Known,
    /// It belongs to another workspace.
    Foreign,
    /// Nobody has named its author.
    Stranger,
    /// The event before it is not here.
    Gap,
    /// Its author has too much here that waits for other events.
    HeldTooMuch,
}

impl Received {
    /// Checks a run's bytes.
    pub fn verify(bytes: Vec<u8>) -> Result<Self, BadRun> {
        let events = Run::decode(&bytes)?.into_events().into_iter().map(Arc::new).collect();
        Ok(Self { bytes, events })
    }

    /// Its stored bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its events.
    pub fn events(&self) -> &RunEvents {
        &self.events
    }

    /// The event before its first.
    pub fn before(&self) -> Option<EventRef> {
        let first = self.events[0].header();
        first.prev.map(|id| EventRef { chain: first.chain, seq: first.seq - 1, id })
    }

    /// Its last event.
    pub fn last(&self) -> EventRef {
        self.events.last().expect("a run has events").reference()
    }

    /// Whether it is the next run of the same chain.
    fn follows(&self, before: &Self) -> bool {
        self.before() == Some(before.last())
    }

    fn chain(&self) -> ChainId {
        self.events[0].header().chain
    }
}

impl<E: Engine> Store<E> {
    /// Looks at runs of one workspace, in the order in which they came.
    pub fn look_at(&self, workspace: WorkspaceId, runs: &[Received]) -> Result<Taking, EngineError> {
        let (snapshot, mut taking) = (self.engine().snapshot(), Taking::default());
        let mut with: BTreeSet<EventId> = BTreeSet::new();
        for (index, run) in runs.iter().enumerate() {
            let left = self.reason_to_leave(&snapshot, workspace, run, &with)?;
            if left == Some(Left::Stranger) && taking.taken > 0 {
                return Ok(taking);
            }
            taking.looked_at = index + 1;
            match left {
                Some(left) => taking.left.push((index, left)),
                None => {
                    let arrival = self.next_arrival() + taking.taken;
                    taking.log.put(Table::Log, log::key(self.workspace(), arrival), run.bytes.clone());
                    taking.decoded.insert(arrival, run.events.clone());
                    taking.taken += 1;
                    with.extend(run.events.iter().map(|event| event.id()));
                }
            }
        }
        Ok(taking)
    }

    fn reason_to_leave<R: Read>(
        &self,
        rows: &R,
        workspace: WorkspaceId,
        run: &Received,
        with: &BTreeSet<EventId>,
    ) -> Result<Option<Left>, EngineError> {
        let (fold, first) = (self.fold(), run.events[0].header());
        if first.workspace != workspace {
            return Ok(Some(Left::Foreign));
        }
        let founds = matches!(first.ops[0].act, Act::Genesis(_));
        if !founds && !fold.names(first.chain.device) {
            return Ok(Some(Left::Stranger));
        }
        let is_here = |event: EventRef| Ok::<_, EngineError>(with.contains(&event.id) || fold.has(rows, event)?);
        // What is before an event that is here, is here too.
        if is_here(run.last())? {
            return Ok(Some(Left::Known));
        }
        if let Some(before) = run.before()
            && !is_here(before)?
        {
            return Ok(Some(Left::Gap));
        }
        let held = held_bytes(rows, fold, run.chain())?;
        let is_too_much = held > 0 && held + run.bytes.len() as u64 > HELD_BYTES_MAX;
        Ok(is_too_much.then_some(Left::HeldTooMuch))
    }
}

/// Where in `runs` a load of at least so many events may begin, and where it ends: runs of one chain, each the next, all
/// of whose events make records.
pub fn stretch(runs: &[Received], events_min: usize) -> Option<Range<usize>> {
    let is_for_it = |run: &Received| !run.chain().is_control() && run.events.iter().all(|event| makes_a_record(event));
    let mut from = 0;
    while from < runs.len() {
        let mut to = from;
        while to < runs.len() && is_for_it(&runs[to]) && (to == from || runs[to].follows(&runs[to - 1])) {
            to += 1;
        }
        let count: usize = runs[from..to].iter().map(|run| run.events.len()).sum();
        if count >= events_min.max(1) {
            return Some(from..to);
        }
        from = to.max(from + 1);
    }
    None
}

impl<E: Engine> Store<E> {
    /// Takes runs in past the journal, log and views, if all of their events make new records where their chain ends.
    /// They are durable then. Says whether it did; otherwise nothing is changed.
    pub fn load_runs(&mut self, workspace: WorkspaceId, runs: &[Received]) -> Result<bool, EngineError> {
        let marked = |source| EngineError::Io { path: "the marker of what is applied".into(), source };
        let snapshot = self.engine().snapshot();
        let (fold, from) = (self.fold(), self.next_arrival());
        let Some(first) = runs.first().filter(|_| !self.fence().is_careful()) else { return Ok(false) };
        let goes_on = self.reason_to_leave(&snapshot, workspace, first, &BTreeSet::new())?.is_none()
            && runs.iter().all(|run| run.events[0].header().workspace == workspace);
        let (mut fresh, log) = (Fresh::default(), LogReader::new(&snapshot, self.workspace()));
        if !goes_on || !fold.go_on_in(&snapshot, &log, &mut fresh, first.chain())? {
            return Ok(false);
        }
        let mut load = LoadBuilder::new((**fold).clone(), fresh, self.views().indexes);
        let number = self.workspace();
        self.fence_mut().begin(from).map_err(marked)?;
        for (arrival, run) in (from..).zip(runs) {
            for (index, event) in run.events.iter().enumerate() {
                let at = LogPlace { arrival, index: index as u16 };
                let is_fenced = self.fence().passes_over(at, event).map_err(marked)?;
                if is_fenced || !load.apply(&snapshot, at, event)? {
                    self.fence_mut().done().map_err(marked)?;
                    return Ok(false);
                }
            }
            load.push(log::key(number, arrival), run.bytes.clone());
        }
        self.load(load.finish())?;
        self.fence_mut().done().map_err(marked)?;
        Ok(true)
    }
}

/// Stored bytes of the runs whose events wait for others, of one author.
fn held_bytes<R: Read>(rows: &R, fold: &Fold, chain: ChainId) -> Result<u64, EngineError> {
    if !fold.has_held() {
        return Ok(0);
    }
    let (mut bytes, table) = (0, fold.version_table());
    for number in [chain.number & !1, chain.number | 1] {
        let chain = ChainId { number, ..chain };
        bytes += held_bytes_of_chain(rows, fold, chain, &table)?;
    }
    Ok(bytes)
}

/// What is held in a chain is all behind its head.
fn held_bytes_of_chain<R: Read>(
    rows: &R,
    fold: &Fold,
    chain: ChainId,
    table: &VersionTable,
) -> Result<u64, EngineError> {
    let from = fold.head_of(chain).map_or(0, |head| head.seq);
    if table.ends(chain).all(|end| end.seq <= from) {
        return Ok(0);
    }
    let mut arrivals = BTreeSet::new();
    for event in fold.events_from(rows, chain, from) {
        let (_, row) = event?;
        if row.state == EventState::Held {
            arrivals.insert(row.at.arrival);
        }
    }
    let sizes = arrivals.into_iter().map(|arrival| {
        let run = rows.get(Table::Log, &log::key(fold.prefix().workspace, arrival))?;
        Ok(run.map_or(0, |run| run.len() as u64))
    });
    sizes.sum()
}
