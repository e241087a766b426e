//! What a workspace was: the changes of its records, and its state as of any event.

use crate::{
    engine::{Durability, Engine, EngineError, MemoryEngine, MemorySnapshot, Overlay, RangeIter, Read, Slice, Table},
    fold::{
        RecordOp, RecordState, Status,
        incremental::{Archive, Entry, Events, Fold, LogPlace, Prefix},
        record::{self, Content, RecordOpKind, Stamp},
    },
    log::{LogReader, events_of, runs_from},
    query::Reader,
    store::Views,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_wire::{
    ActorId, BatchId, CellKey, DeviceKey, Event, EventId, EventRef, FieldId, MemberId, OpRef, PartPath, RecordKey,
    RefusalCode, Value,
};

/// Events that a state as of an event takes in at once.
const EVENTS_PER_BATCH: usize = 4096;

/// One change of a record: one op of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The event.
    pub event: EventRef,
    /// The op in it.
    pub op: u16,
    /// Who.
    pub author: Author,
    /// When, by the author's clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// The import or job that it was part of.
    pub batch: Option<BatchId>,
    /// What it did.
    pub what: What,
    /// What became of it.
    pub fate: Fate,
}

/// The author of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The device.
    pub device: DeviceKey,
    /// The person whose device it is, where known.
    pub member: Option<MemberId>,
    /// Their name; empty where it is not known.
    pub name: String,
    /// Who acted, on a shared device.
    pub actor: Option<ActorId>,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It made the record.
    Created,
    /// It removed it.
    Deleted,
    /// It brought it back.
    Restored,
    /// It took a delete that had lost off the inbox, or did what a later version knows.
    Answered,
    /// It gave a cell a value.
    Set {
        /// The field.
        field: FieldId,
        /// Where inside the field.
        part: PartPath,
        /// What its author saw there and replaced; none where there was nothing.
        before: Option<Shown>,
        /// What it put there.
        after: Shown,
    },
}

/// What a cell shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// A value; [`Value::Null`] where it was cleared.
    Value(Value),
    /// A value that is erased, sealed, over quota or was not sent.
    Removed,
    /// A change of a type that this version does not know.
    NewerVersionNeeded,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in force: the value that its cell shows, a create or restore that no delete had seen, a delete that no
    /// edit had escaped.
    InForce,
    /// A later change replaced, covered or answered it.
    Replaced,
    /// It stands beside what was done at the same time and won: kept, to be looked at.
    Lost,
    /// An authority refused its event, for these reasons.
    Refused(Vec<RefusalCode>),
    /// Its author's role did not allow its event.
    NotAllowed,
    /// Its event came after its author's rights had been taken away, by this event.
    Cut(EventId),
    /// It waits for the record to be made.
    Held,
}

impl Shown {
    fn of(content: &Content) -> Self {
        match content {
            Content::Value(bytes) => Self::Value(Value::decode(bytes).expect("bodies were checked")),
            Content::Removed => Self::Removed,
            Content::NewerVersionNeeded => Self::NewerVersionNeeded,
        }
    }
}

impl Author {
    /// The author of what `device` writes.
    pub fn of(fold: &Fold, device: DeviceKey, actor: Option<ActorId>) -> Self {
        let grants = fold.members().grants.get(&device);
        let named = grants.and_then(|grants| grants.iter().rev().find_map(|grant| grant.member.clone()));
        let (member, name) = named.map_or((None, String::new()), |(member, name)| (Some(member), name));
        Self { device, member, name, actor }
    }
}

/// The name, or the start of the device key where there is none.
impl std::fmt::Display for Author {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "{}", &self.device.to_string()[..8]),
            name => f.write_str(name),
        }
    }
}

/// The past of a workspace.
impl<R: Read> Reader<R> {
    /// Every change of a record, oldest first, with what became of each. Costs one read of the record's events.
    pub fn changes_of(&self, record: RecordKey) -> Result<Vec<Step>, EngineError> {
        self.with_archive(|archive| steps(archive, record))
    }

    /// Every change of a cell, oldest first.
    pub fn changes_of_cell(&self, cell: &CellKey) -> Result<Vec<Step>, EngineError> {
        let mut steps = self.changes_of(cell.record)?;
        steps.retain(
            |step| matches!(&step.what, What::Set { field, part, .. } if *field == cell.field && *part == cell.part),
        );
        Ok(steps)
    }

    /// Where the event with this id is; none if it is not known. See [`Archive::find`] for the cost.
    pub fn find_event(&self, id: EventId) -> Result<Option<EventRef>, EngineError> {
        self.with_archive(|archive| archive.find(id))
    }

    /// An event with what became of it.
    pub fn event(&self, event: &EventRef) -> Result<Option<Entry>, EngineError> {
        let found = self.with_archive(|archive| archive.event_of(&event.op(0)))?;
        Ok(found.filter(|entry| entry.event.id() == event.id))
    }

    /// Who wrote an event.
    pub fn author(&self, event: &Event) -> Author {
        Author::of(&self.views.fold, event.header().chain.device, event.header().actor)
    }

    /// A record as the author of an event saw it right after: what the events up to this one make of it, judged by
    /// what was known then. None if there is no such event.
    ///
    /// Costs a walk back from the event to the record's first one. Where verdicts were given or rights taken away,
    /// what was known then has to be found out: the cost is that of [`Reader::as_of`].
    pub fn record_as_of(&self, record: RecordKey, event: EventId) -> Result<Option<RecordState>, EngineError> {
        let Some(place) = self.valid(event)? else { return Ok(None) };
        match self.with_archive(|archive| quick_state(archive, record, &place))? {
            Some(state) => Ok(Some(state)),
            None => Ok(Some(self.replay(&place)?.state(record)?)),
        }
    }

    /// The workspace as the author of an event saw it right after. None if there is no such event.
    ///
    /// Everything in the event's past is applied anew, in memory: about as long as a rebuild takes, and about a
    /// kilobyte for each event of that past.
    pub fn as_of(&self, event: EventId) -> Result<Option<Reader<AsOf<'_, R>>>, EngineError> {
        self.valid(event)?.map(|place| self.replay(&place)).transpose()
    }

    /// Where an event is that takes part, or was refused to.
    fn valid(&self, event: EventId) -> Result<Option<EventRef>, EngineError> {
        let Some(place) = self.find_event(event)? else { return Ok(None) };
        Ok(self.event(&place)?.is_some_and(|entry| entry.look.is_some()).then_some(place))
    }

    fn replay(&self, event: &EventRef) -> Result<Reader<AsOf<'_, R>>, EngineError> {
        let past = self.with_archive(|archive| archive.past(event))?;
        let workspace = self.views.fold.prefix().workspace;
        let log = LogReader::new(&self.rows, workspace);
        let events = runs_from(&self.rows, workspace, 0).flat_map(|run| match run {
            Err(error) => vec![Err(error)],
            Ok((arrival, bytes)) => {
                let place = |index| LogPlace { arrival, index: index as u16 };
                let events = events_of(&bytes);
                events.iter().enumerate().map(|(index, event)| Ok((place(index), event.clone()))).collect()
            }
        });
        let (views, fold) = replay(workspace, &past, events, &log)?;
        let indexes = Arc::default();
        Ok(Reader::new(AsOf { log: &self.rows, views }, Views { fold: Arc::new(fold), indexes }))
    }

    fn with_archive<T>(
        &self,
        work: impl FnOnce(&Archive<'_, R, LogReader<'_, R>>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let log = LogReader::new(&self.rows, self.views.fold.prefix().workspace);
        work(&Archive::new(&self.views.fold, &self.rows, &log))
    }
}

/// The rows of a state as of an event: views of its own, over the whole log.
pub struct AsOf<'a, R> {
    log: &'a R,
    views: MemorySnapshot,
}

impl<R: Read> Read for AsOf<'_, R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        if table == Table::Log { self.log.get(table, key) } else { self.views.get(table, key) }
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        if table == Table::Log { self.log.range(table, from, to) } else { self.views.range(table, from, to) }
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        if table == Table::Log { self.log.range_rev(table, from, to) } else { self.views.range_rev(table, from, to) }
    }
}

/// See [`Reader::changes_of`].
fn steps<R: Read, E: Events>(archive: &Archive<'_, R, E>, record: RecordKey) -> Result<Vec<Step>, EngineError> {
    let entries = archive.events_on(record)?;
    let (ops, events) = ops_on(&entries, record);
    let state = record::fold(ops.clone());
    let times = record::ranks_and_times(&ops);
    let by_ref = by_ref(&ops);
    let mut steps = Vec::with_capacity(ops.len());
    for op in &ops {
        let header = events[&op.stamp.event.id].header();
        let status = if op.live { Status::Live } else { archive.status(op.stamp.event.id)? };
        steps.push(Step {
            event: op.stamp.event,
            op: op.stamp.op,
            author: Author::of(archive.fold(), header.chain.device, header.actor),
            wall_ms: op.stamp.wall_ms,
            batch: header.batch,
            what: what(op, best_pred(op, &ops, &times, &by_ref).map(|at| &ops[at])),
            fate: fate(op, status, &state),
        });
    }
    Ok(steps)
}

/// A record as of an event, where what is judged now was judged so then.
fn quick_state<R: Read, E: Events>(
    archive: &Archive<'_, R, E>,
    record: RecordKey,
    event: &EventRef,
) -> Result<Option<RecordState>, EngineError> {
    let mut entries = archive.events_on(record)?;
    let all_live = entries.iter().all(|entry| entry.look.is_some_and(|look| look.live));
    if archive.fold().may_judge_late() || !all_live {
        return Ok(None);
    }
    let events: Vec<Arc<Event>> = entries.iter().map(|entry| entry.event.clone()).collect();
    let seen = archive.seen_by(event, &events)?;
    entries.retain(|entry| seen.contains(&entry.event.id()));
    Ok(Some(record::fold(ops_on(&entries, record).0)))
}

/// The views of those events of a log that are in `past`.
fn replay(
    workspace: u32,
    past: &BTreeSet<EventId>,
    mut events: impl Iterator<Item = Result<(LogPlace, Arc<Event>), EngineError>>,
    log: &impl Events,
) -> Result<(MemorySnapshot, Fold), EngineError> {
    let engine = MemoryEngine::default();
    let mut fold = Fold::load(Prefix { workspace, generation: 1 }, &engine.snapshot(), log)?;
    loop {
        let base = engine.snapshot();
        let mut rows = Overlay::new(&base);
        let mut taken = 0;
        for event in events.by_ref().take(EVENTS_PER_BATCH) {
            taken += 1;
            let (at, event) = event?;
            if past.contains(&event.id()) {
                fold.apply(&mut rows, log, at, &event)?;
            }
        }
        engine.commit(rows.into_batch(), Durability::Buffered)?;
        if taken == 0 {
            return Ok((engine.snapshot(), fold));
        }
    }
}

/// The best of the ops that an op replaces: what its author saw. `ops` are in the order of their places, `times` theirs.
fn best_pred(op: &RecordOp, ops: &[RecordOp], times: &[(u64, u64)], by_ref: &BTreeMap<OpRef, usize>) -> Option<usize> {
    let known = op.preds.iter().filter_map(|pred| by_ref.get(pred).copied());
    known.max_by_key(|at| {
        let stamp = &ops[*at].stamp;
        (times[*at], stamp.wall_ms, stamp.event.id, stamp.op)
    })
}

/// The op that one op of a record replaced, as its author saw it: of several the one that was shown.
pub fn replaced(entries: &[Entry], record: RecordKey, op: &OpRef) -> Option<OpRef> {
    let (ops, _) = ops_on(entries, record);
    let times = record::ranks_and_times(&ops);
    let by_ref = by_ref(&ops);
    let best = best_pred(&ops[*by_ref.get(op)?], &ops, &times, &by_ref)?;
    Some(op_ref(&ops[best].stamp))
}

/// The ops of valid events on a record, each behind its predecessors, and the events by id.
fn ops_on(entries: &[Entry], record: RecordKey) -> (Vec<RecordOp>, BTreeMap<EventId, &Event>) {
    let valid = entries.iter().filter_map(|entry| Some((&*entry.event, entry.look?)));
    let mut ops: Vec<RecordOp> = valid
        .flat_map(|(event, look)| record::ops_on(event, record, look.live, look.refused, look.by_authority))
        .collect();
    ops.sort_by_key(RecordOp::place);
    (ops, entries.iter().map(|entry| (entry.event.id(), &*entry.event)).collect())
}

fn what(op: &RecordOp, before: Option<&RecordOp>) -> What {
    match &op.kind {
        RecordOpKind::Create => What::Created,
        RecordOpKind::Delete => What::Deleted,
        RecordOpKind::Restore => What::Restored,
        RecordOpKind::Answer => What::Answered,
        RecordOpKind::Cell((field, part), content) => {
            let before = before.and_then(|before| match &before.kind {
                RecordOpKind::Cell(_, content) => Some(Shown::of(content)),
                RecordOpKind::Create | RecordOpKind::Delete | RecordOpKind::Restore | RecordOpKind::Answer => None,
            });
            What::Set { field: *field, part: part.clone(), before, after: Shown::of(content) }
        }
    }
}

fn fate(op: &RecordOp, status: Status, state: &RecordState) -> Fate {
    match status {
        Status::Live => {}
        Status::Refused(verdicts) => return Fate::Refused(verdicts.into_iter().map(|(_, code)| code).collect()),
        Status::NotAllowed => return Fate::NotAllowed,
        Status::Cut(by) => return Fate::Cut(by),
    }
    if state.is_held() {
        return Fate::Held;
    }
    let edit = |edits: &[record::Edit]| {
        let covered = edits.iter().any(|edit| edit.stamp == op.stamp && edit.covered);
        if covered { Fate::Replaced } else { Fate::InForce }
    };
    match &op.kind {
        RecordOpKind::Create => edit(&state.creates),
        RecordOpKind::Restore => edit(&state.restores),
        RecordOpKind::Answer => Fate::InForce,
        RecordOpKind::Delete => match state.deletes.iter().find(|removal| removal.stamp == op.stamp) {
            Some(removal) if !removal.answered && state.exists() => Fate::Lost,
            Some(removal) if !removal.answered => Fate::InForce,
            _answered => Fate::Replaced,
        },
        RecordOpKind::Cell(cell, _) => {
            let siblings = state.cells.get(cell).map_or(&[][..], Vec::as_slice);
            match siblings.iter().position(|sibling| sibling.stamp == op.stamp) {
                Some(0) => Fate::InForce,
                Some(_) => Fate::Lost,
                None => Fate::Replaced,
            }
        }
    }
}

fn by_ref(ops: &[RecordOp]) -> BTreeMap<OpRef, usize> {
    (0..ops.len()).map(|at| (op_ref(&ops[at].stamp), at)).collect()
}

fn op_ref(stamp: &Stamp) -> OpRef {
    stamp.event.op(stamp.op)
}

#[cfg(test)]
mod tests;
