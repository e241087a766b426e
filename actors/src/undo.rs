//! Taking changes back: what to undo, what came of it, and how the handle carries a long undo out.
//!
//! ```
//! use tandem_actors::{Change, Command, Node, Options, Transaction, UndoOf, fresh_batch, fresh_record};
//! use tandem_wire::RecordKey;
//!
//! # let dir = tempfile::tempdir()?;
//! # let node = Node::open(dir.path(), Options::default())?;
//! # let workspace = node.create_workspace("Field notes", "Ada")?;
//! # let made = workspace.commit(Command::CreateList { name: "Notes".into(), fields: vec![] })?;
//! # let list = made.elements[0].as_list();
//! // A job marks what it does …
//! let batch = Some(fresh_batch());
//! for _ in 0..3 {
//!     let changes = vec![Change::Create(RecordKey { list, record: fresh_record() })];
//!     workspace.commit(Command::Change(Transaction { changes, batch, ..Transaction::default() }))?;
//! }
//! // … and is undone whole; to undo the undo is to redo.
//! let undone = workspace.undo(UndoOf::Batch(batch.unwrap()))?;
//! assert_eq!((undone.deleted, workspace.read().count(list)?), (3, 0));
//! let redone = workspace.undo(UndoOf::Batch(undone.batch))?;
//! assert_eq!((redone.restored, workspace.read().count(list)?), (3, 3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{
    command::{Command, Committed, Refused},
    handle::{Handle, Pending},
    node::{NodeError, fresh_batch},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tandem_storage::{
    EngineError,
    engine::Read,
    fold::incremental::{Archive, Fold},
    history::Author,
    log,
};
use tandem_wire::{BatchId, CellKey, ChainId, DeviceKey, Event, EventId, EventRef, RecordKey};

/// Things left as they are that an [`Undone`] names; the rest it counts.
pub const KEPT_NAMED_MAX: usize = 1000;

/// Commands of one undo that are on their way at once.
const PENDING_MAX: usize = 4;

/// What [`Handle::undo`] takes back: changes of records that this device made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoOf {
    /// One event. An undo is one or several events too: to undo it is to redo.
    Event(EventId),
    /// Everything that this device wrote in a batch: an import, a job, or an undo (see [`Undone::batch`]).
    Batch(BatchId),
}

/// A piece of an undo, as a command: some events, of which all or nothing is decided at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    /// These.
    pub events: Vec<EventRef>,
    /// Everything that is undone with them, so that what they did to one another does not count as a change since.
    pub together: Arc<Together>,
    /// What the new events are marked with.
    pub batch: BatchId,
}

/// Events of this device that are undone together: ranges of places by chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Together(BTreeMap<ChainId, Vec<(u64, u64)>>);

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// What its events are marked with: undo this batch to redo.
    pub batch: BatchId,
    /// Cells that were put back.
    pub cells: u64,
    /// Records that had been made, or brought back, and are removed again.
    pub deleted: u64,
    /// Records that had been removed and are back, or whose removal was withdrawn.
    pub restored: u64,
    /// What was left as it is: the first [`KEPT_NAMED_MAX`].
    pub kept: Vec<Kept>,
    /// How many there are of these in all.
    pub kept_count: u64,
}

/// Something that an undo left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The record.
    pub record: RecordKey,
    /// The cell; none where it is the record as a whole.
    pub cell: Option<CellKey>,
    /// Why.
    pub why: Why,
}

/// Why an undo left something as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Something else is there now.
    #[error("changed since, by {}", .0.author)]
    Changed(Later),
    /// The record was removed since, or by others too.
    #[error("removed, by {}", .0.author)]
    Removed(Later),
    /// The event is masked: it has no effect that could be taken back.
    #[error("the change is masked: it has no effect")]
    Masked,
    /// What was there before cannot be written again: it was erased, or only a later version knows it.
    #[error("what was there before is no longer known")]
    Unknown,
    /// The design no longer has the field.
    #[error("the design no longer has the field")]
    NoField,
}

/// A change that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// Who made it.
    pub author: Author,
    /// The event.
    pub event: EventRef,
    /// When, by its author's clock, in milliseconds since 1970.
    pub wall_ms: u64,
}

impl Together {
    /// These, in whatever order.
    pub fn of(events: &[EventRef]) -> Self {
        let mut places: Vec<(ChainId, u64)> = events.iter().map(|event| (event.chain, event.seq)).collect();
        places.sort_unstable();
        let mut together = Self::default();
        places.into_iter().for_each(|(chain, seq)| together.add(chain, seq));
        together
    }

    /// Whether the event at this place is one of them.
    pub fn contains(&self, chain: ChainId, seq: u64) -> bool {
        let ranges = self.0.get(&chain).map_or(&[][..], Vec::as_slice);
        let at = ranges.partition_point(|(_, last)| *last < seq);
        ranges.get(at).is_some_and(|(first, _)| *first <= seq)
    }

    /// Adds an event behind those that are there of its chain.
    fn add(&mut self, chain: ChainId, seq: u64) {
        let ranges = self.0.entry(chain).or_default();
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 >= seq => *last = (*last).max(seq),
            _gap => ranges.push((seq, seq)),
        }
    }
}

impl Undone {
    pub(crate) fn new(batch: BatchId) -> Self {
        Self { batch, cells: 0, deleted: 0, restored: 0, kept: Vec::new(), kept_count: 0 }
    }

    /// Whether anything was done.
    pub fn is_nothing(&self) -> bool {
        self.cells + self.deleted + self.restored == 0
    }

    pub(crate) fn keep(&mut self, kept: Kept) {
        self.kept_count += 1;
        if self.kept.len() < KEPT_NAMED_MAX {
            self.kept.push(kept);
        }
    }

    fn add(&mut self, part: Self) {
        self.cells += part.cells;
        self.deleted += part.deleted;
        self.restored += part.restored;
        let unnamed = part.kept_count - part.kept.len() as u64;
        part.kept.into_iter().for_each(|kept| self.keep(kept));
        self.kept_count += unnamed;
    }
}

/// An undo on its way: its commands, the latest changes first.
struct Plan<R> {
    rows: R,
    workspace: u32,
    device: DeviceKey,
    of: UndoOf,
    together: Arc<Together>,
    batch: BatchId,
    /// Runs that hold events of it, oldest first; or the one event.
    runs: Vec<u64>,
    one: Option<EventRef>,
}

impl<R: Read> Plan<R> {
    fn new(rows: R, fold: &Fold, device: DeviceKey, of: UndoOf) -> Result<Self, NodeError> {
        let workspace = fold.prefix().workspace;
        let (mut together, mut runs, mut one) = (Together::default(), Vec::new(), None);
        match of {
            UndoOf::Event(id) => {
                let log = log::LogReader::new(&rows, workspace);
                let event = Archive::new(fold, &rows, &log).find(id)?.ok_or(Refused::UnknownEvent(id))?;
                together = Together::of(&[event]);
                one = Some(event);
            }
            UndoOf::Batch(batch) => {
                let mut of_another = None;
                for run in log::runs_from(&rows, workspace, 0) {
                    let (arrival, bytes) = run?;
                    let before = runs.len();
                    for event in log::events_of(&bytes).iter().filter(|event| event.header().batch == Some(batch)) {
                        if !is_of(event, device, batch) {
                            of_another = Some(event.clone());
                            continue;
                        }
                        together.add(event.header().chain, event.header().seq);
                        if runs.len() == before {
                            runs.push(arrival);
                        }
                    }
                }
                if runs.is_empty() {
                    return Err(of_another.map_or(Refused::UnknownBatch(batch), |event| not_own(fold, &event)).into());
                }
            }
        }
        Ok(Self { rows, workspace, device, of, together: Arc::new(together), batch: fresh_batch(), runs, one })
    }

    /// The next command; none when all have been given.
    fn next(&mut self) -> Result<Option<Command>, EngineError> {
        let events = match self.of {
            UndoOf::Event(_) => self.one.take().into_iter().collect(),
            UndoOf::Batch(batch) => match self.runs.pop() {
                None => Vec::new(),
                Some(arrival) => {
                    let run = log::LogReader::new(&self.rows, self.workspace).run(arrival)?;
                    let of_it = run.iter().filter(|event| is_of(event, self.device, batch));
                    of_it.map(|event| event.reference()).collect()
                }
            },
        };
        if events.is_empty() {
            return Ok(None);
        }
        Ok(Some(Command::Undo(Undo { events, together: self.together.clone(), batch: self.batch })))
    }
}

fn not_own(fold: &Fold, event: &Event) -> Refused {
    let author = Author::of(fold, event.header().chain.device, event.header().actor);
    Refused::NotOwn { event: event.id(), author: Box::new(author) }
}

impl Handle {
    /// Takes changes of this device back, as new changes, and says what of it was done. What was changed since, by
    /// anybody, is left as it is and named. Blocks the thread.
    ///
    /// A cell is put back where it still shows what the undone change put there; a record that was made is removed
    /// unless others changed it; a record that was removed is back. A batch is undone in many small steps, each of
    /// them durable: after an error, or a stop half-way, undo it again, and the rest is done.
    ///
    /// # Errors
    /// [`Refused::UnknownEvent`], [`Refused::UnknownBatch`], [`Refused::NotOwn`], [`Refused::NotUndoable`], and what
    /// any command may be refused for.
    pub fn undo(&self, of: UndoOf) -> Result<Undone, NodeError> {
        self.undo_with(of, &mut |_| {})
    }

    /// The same; `progress` is told now and then what has been done so far.
    pub fn undo_with(&self, of: UndoOf, progress: &mut dyn FnMut(&Undone)) -> Result<Undone, NodeError> {
        let mut plan = self.plan(of)?;
        let mut carrying = Carrying::new(plan.batch);
        while let Some(command) = plan.next()? {
            if let Some(first) = carrying.full() {
                carrying.take(first.wait()?)?;
                progress(&carrying.undone);
            }
            carrying.pending.push_back(self.submit_patiently(vec![command])?);
        }
        while let Some(first) = carrying.pending.pop_front() {
            carrying.take(first.wait()?)?;
        }
        Ok(carrying.undone)
    }

    /// The same, for async code. Finding what belongs to a batch reads the log on the thread that polls.
    pub async fn undo_async(&self, of: UndoOf) -> Result<Undone, NodeError> {
        let mut plan = self.plan(of)?;
        let mut carrying = Carrying::new(plan.batch);
        while let Some(command) = plan.next()? {
            if let Some(first) = carrying.full() {
                carrying.take(first.await_answers().await?)?;
            }
            carrying.pending.push_back(self.submit_async(vec![command]).await?);
        }
        while let Some(first) = carrying.pending.pop_front() {
            carrying.take(first.await_answers().await?)?;
        }
        Ok(carrying.undone)
    }

    fn plan(&self, of: UndoOf) -> Result<Plan<impl Read + use<>>, NodeError> {
        let (rows, views) = self.state();
        Plan::new(rows, &views.fold, self.device(), of)
    }
}

/// What is under way, and what has come of it.
struct Carrying {
    pending: VecDeque<Pending>,
    undone: Undone,
}

impl Carrying {
    fn new(batch: BatchId) -> Self {
        Self { pending: VecDeque::new(), undone: Undone::new(batch) }
    }

    /// The oldest of as many as may be under way.
    fn full(&mut self) -> Option<Pending> {
        if self.pending.len() < PENDING_MAX { None } else { self.pending.pop_front() }
    }

    fn take(&mut self, answers: Vec<Result<Committed, Refused>>) -> Result<(), NodeError> {
        for answer in answers {
            self.undone.add(*answer?.undone.expect("an undo says what it did"));
        }
        Ok(())
    }
}

fn is_of(event: &Event, device: DeviceKey, batch: BatchId) -> bool {
    let header = event.header();
    header.batch == Some(batch) && header.chain.device == device && !header.chain.is_control()
}
