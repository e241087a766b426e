//! Composing events: what goes into a header besides the ops.

use crate::command::{Committed, Refused};
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};
use tandem_storage::{
    EngineError,
    engine::{Batch, Overlay, Read},
    fold::incremental::{Applied, Events, Fold, LogPlace, Tip},
    log::{LogReader, RunEvents},
};
use tandem_wire::{
    ActorId, BatchId, ChainId, DeviceKey, Event, EventRef, Header, Malformed, Op, Payload, SecretKey, WorkspaceId,
    limits::{DEPS_MAX, RUN_BYTES_MAX, RUN_EVENTS_MAX, WALL_MS_MAX},
};

/// Bytes of a run besides its events: envelope, shared header and signature, at most.
pub(super) const RUN_OVERHEAD_BYTES: usize = 512;

/// A group of events in the making, and the views as they will be after it.
pub(super) struct Draft<'a, R: Read> {
    pub(super) fold: Fold,
    pub(super) rows: Overlay<'a, R>,
    pub(super) log: DraftLog<'a, R>,
    key: &'a SecretKey,
    workspace: WorkspaceId,
    first_arrival: u64,
    wall_ms: u64,
    /// Number of the control chain; the data chain is the next.
    pair: u32,
}

/// An op with its body.
pub(super) type OpWithBody = (Op, Vec<u8>);

/// What has been drafted so far, apart from the state that it is made on.
pub(super) struct Drafted {
    pub(super) fold: Fold,
    /// What changes in the views.
    pub(super) views: Batch,
    /// Events of runs by number, not signed.
    pub(super) runs: BTreeMap<u64, Vec<Arc<Event>>>,
}

/// Runs that were made lately, by number: what is edited next mostly builds on them.
pub(super) type Recent = Vec<(u64, RunEvents)>;

/// What a command became, or why it was not done; an error is what the machine could not do.
pub(super) type Decided = Result<Result<Committed, Refused>, EngineError>;

/// What the events of one command share.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shared {
    pub(super) batch: Option<BatchId>,
    pub(super) actor: Option<ActorId>,
    /// The masked event that it is put in place of.
    pub(super) resubmits: Option<EventRef>,
}

/// The log as it will be: what is stored, and the runs of the draft.
pub(super) struct DraftLog<'a, R> {
    stored: LogReader<'a, R>,
    recent: &'a [(u64, RunEvents)],
    /// Stored runs that are decoded already.
    decoded: Option<&'a BTreeMap<u64, RunEvents>>,
    runs: RefCell<BTreeMap<u64, Vec<Arc<Event>>>>,
}

impl<'a, R: Read> DraftLog<'a, R> {
    /// Takes stored runs that are decoded already.
    pub(super) fn knows(&mut self, decoded: &'a BTreeMap<u64, RunEvents>) {
        self.decoded = Some(decoded);
    }
}

impl<R: Read> DraftLog<'_, R> {
    /// An event that is in hand, without reading the log.
    fn unstored(&self, at: LogPlace) -> Option<Arc<Event>> {
        let runs = self.runs.borrow();
        let own = || runs.get(&at.arrival).map(|run| &run[..]);
        let decoded = || self.decoded.and_then(|decoded| decoded.get(&at.arrival)).map(|run| &run[..]);
        let recent = || self.recent.iter().rev().find(|(arrival, _)| *arrival == at.arrival).map(|(_, run)| &run[..]);
        let run = own().or_else(decoded).or_else(recent)?;
        Some(run[usize::from(at.index)].clone())
    }
}

impl<R: Read> Events for DraftLog<'_, R> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        self.unstored(at).map_or_else(|| self.stored.event(at), Ok)
    }

    fn op(&self, at: LogPlace, op: u16) -> Result<Option<Op>, EngineError> {
        match self.unstored(at) {
            Some(event) => Ok(event.header().ops.get(usize::from(op)).cloned()),
            None => self.stored.op(at, op),
        }
    }
}

impl<'a, R: Read> Draft<'a, R> {
    /// Goes on with `drafted` on the state `rows`, in which the next run has the number `first_arrival`; `recent` are runs
    /// before it.
    pub(super) fn new(
        (drafted, rows, workspace_number, recent): (Drafted, &'a R, u32, &'a [(u64, RunEvents)]),
        (key, workspace, pair): (&'a SecretKey, WorkspaceId, u32),
        first_arrival: u64,
        wall_ms: u64,
    ) -> Self {
        // A clock beyond what the format holds is wrong, but no reason to lose what somebody writes.
        let wall_ms = wall_ms.min(WALL_MS_MAX);
        let Drafted { fold, views, runs } = drafted;
        let log = DraftLog {
            stored: LogReader::new(rows, workspace_number),
            recent,
            decoded: None,
            runs: RefCell::new(runs),
        };
        let rows = Overlay::with(rows, Arc::new(views));
        Self { fold, rows, log, key, workspace, first_arrival, wall_ms, pair }
    }

    /// The author of its events.
    pub(super) fn device(&self) -> DeviceKey {
        self.key.device()
    }

    pub(super) fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// The lamport of its next data event.
    pub(super) fn next_lamport(&self) -> u64 {
        let tips = self.fold.frontier(false);
        1 + tips.map(|tip| tip.lamport).max().unwrap_or(0)
    }

    /// Adds one event and applies it to the draft's views.
    pub(super) fn add(
        &mut self,
        ops: Vec<OpWithBody>,
        shared: Shared,
    ) -> Result<Result<Arc<Event>, Malformed>, EngineError> {
        let control = ops.first().is_some_and(|(op, _)| op.act.is_control());
        let chain = ChainId { device: self.key.device(), number: self.pair + u32::from(!control) };
        let head = self.fold.head(chain, &self.rows, &self.log)?;
        let (deps, lamport) = self.past(head, control);
        let (ops, bodies): (Vec<Op>, Vec<Vec<u8>>) = ops.into_iter().unzip();
        let header = Header {
            workspace: self.workspace,
            chain,
            seq: head.map_or(0, |head| head.event.seq + 1),
            prev: head.map(|head| head.event.id),
            deps,
            lamport,
            wall_ms: self.wall_ms,
            design: self.fold.design_digest(),
            actor: shared.actor,
            batch: shared.batch,
            resubmits: shared.resubmits,
            ops,
        };
        let event = match Event::new(header, Payload::of(bodies)) {
            Ok(event) => Arc::new(event),
            Err(why) => return Ok(Err(why)),
        };
        let at = self.place(&event);
        let applied = self.fold.apply(&mut self.rows, &self.log, at, &event)?;
        assert_eq!(applied, Applied::Valid, "what this node composes is valid");
        Ok(Ok(event))
    }

    /// Does something that takes several events whole or, where it is refused midway, not at all.
    pub(super) fn whole(&mut self, several: impl FnOnce(&mut Self) -> Decided) -> Decided {
        let before = (self.fold.clone(), self.rows.clone(), self.log.runs.borrow().clone());
        let decided = several(self)?;
        if decided.is_err() {
            let (fold, rows, runs) = before;
            (self.fold, self.rows) = (fold, rows);
            self.log.runs.replace(runs);
        }
        Ok(decided)
    }

    /// The direct past of the next event of a chain with this head, and its lamport.
    fn past(&self, head: Option<Tip>, control: bool) -> (Vec<EventRef>, u64) {
        let mut tips: Vec<&Tip> =
            self.fold.frontier(control).filter(|tip| Some(tip.event) != head.map(|head| head.event)).collect();
        // Of too many, the oldest: the rest is named by the events after this one. But the greatest lamport, whatever it is of:
        // an event comes after all that it may build on.
        tips.sort_by_key(|tip| (tip.lamport, tip.event));
        if tips.len() > DEPS_MAX {
            let greatest = tips.pop().expect("there are many");
            tips.truncate(DEPS_MAX - 1);
            tips.push(greatest);
        }
        let lamport = 1 + tips.iter().map(|tip| tip.lamport).chain(head.map(|head| head.lamport)).max().unwrap_or(0);
        let mut deps: Vec<EventRef> = tips.into_iter().map(|tip| tip.event).collect();
        deps.sort_unstable();
        (deps, lamport)
    }

    /// Puts the event at the end of the last run, or into a new one.
    fn place(&self, event: &Arc<Event>) -> LogPlace {
        let mut runs = self.log.runs.borrow_mut();
        if let Some((arrival, run)) = runs.iter_mut().next_back()
            && goes_with(run, event)
        {
            run.push(event.clone());
            return LogPlace { arrival: *arrival, index: run.len() as u16 - 1 };
        }
        let arrival = self.first_arrival + runs.len() as u64;
        runs.insert(arrival, vec![event.clone()]);
        LogPlace { arrival, index: 0 }
    }

    /// What there is so far.
    pub(super) fn pause(self) -> Drafted {
        Drafted { fold: self.fold, views: self.rows.into_batch(), runs: self.log.runs.into_inner() }
    }
}

fn goes_with(run: &[Arc<Event>], event: &Event) -> bool {
    let last = run.last().expect("a run has events").header();
    let next = event.header();
    let bytes = RUN_OVERHEAD_BYTES + event.size() + run.iter().map(|event| event.size()).sum::<usize>();
    run.len() < RUN_EVENTS_MAX
        && bytes <= RUN_BYTES_MAX
        && (last.chain, last.design, last.actor, last.batch) == (next.chain, next.design, next.actor, next.batch)
}

/// The only way in which what passed the checks can still be malformed.
pub(super) fn too_large(why: Malformed) -> Refused {
    match why {
        Malformed::Limit(what) => Refused::TooLarge(format!("{what} is beyond its limit")),
        other => unreachable!("checked before: {other}"),
    }
}
