//! Many new records at once, one event each: what an import writes.

use super::{
    check, compose,
    core::Core,
    rules::{self, RuleChange},
};
use crate::command::{Change, Command, Refused, Transaction};
use std::{collections::BTreeSet, sync::Arc};
use tandem_storage::{
    EngineError, Load, LoadBuilder,
    engine::{Engine, Nothing, Read, Table},
    fold::{
        Design, RecordState,
        incremental::{Fold, Fresh, LogPlace},
    },
    log::{self, LogReader},
};
use tandem_wire::{
    Act, ActorId, BatchId, CellKey, ChainId, Event, EventRef, FieldId, Header, ListId, Op, PartPath, Payload, RecordId,
    RecordKey, Role, Run, SecretKey, Target, Value,
    limits::{RUN_BYTES_MAX, RUN_EVENTS_MAX, WALL_MS_MAX},
};

/// Records of one list that are to be made, one event each.
///
/// What a field cannot hold is kept as it is and flagged, as by [`Change::SetRaw`]. Some ten thousand at a time take about
/// 2 KiB of memory each until they are made; fewer leave more files to be merged.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The list.
    pub list: ListId,
    /// The import or job that they are part of.
    pub batch: Option<BatchId>,
    /// Who acts, on a shared device.
    pub actor: Option<ActorId>,
    /// The records; shared, so that the caller can go back to those that are left.
    pub records: Arc<[NewRecord]>,
}

/// A record to be made.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Its id, which the caller chose.
    pub id: RecordId,
    /// What its cells show, each at most once.
    pub cells: Vec<(FieldId, PartPath, Value)>,
}

/// What an [`Insert`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inserted {
    /// How many records were made.
    pub made: u64,
    /// Places in [`Insert::records`] of those that were not: they exist, did once, come twice, or are too large. To be
    /// done one by one, as transactions.
    pub left: Vec<usize>,
}

/// Fewer records are not worth files of their own.
const RECORDS_MIN: usize = 512;

/// What an insert becomes.
pub(super) enum Planned {
    /// As transactions.
    Few {
        /// The place of each record, and what makes it.
        commands: Vec<(usize, Command)>,
        /// See [`Inserted::left`].
        left: Vec<usize>,
    },
    /// As a load; where nothing is there that it could build on, behind the first record as a transaction.
    Many {
        /// The places of the records.
        places: Vec<usize>,
        /// See [`Inserted::left`].
        left: Vec<usize>,
    },
}

impl<E: Engine> Core<E> {
    /// Checks an insert, and says how to go about it.
    pub(super) fn plan_insert(&self, insert: &Insert) -> Result<Result<Planned, Refused>, EngineError> {
        let fold = self.store().fold();
        let present = fold.role_of(self.device());
        let is_writer = present.is_some_and(|role| role >= Role::Writer);
        // An authority writes in its lists whatever its role: each record by itself, as what it writes counts otherwise.
        if !is_writer && !fold.is_authority_of(self.device(), Some(insert.list)) {
            return Ok(Err(Refused::role(Role::Writer, present)));
        }
        if let Err(refused) = check_cells(self, insert) {
            return Ok(Err(refused));
        }
        let snapshot = self.store().engine().snapshot();
        let mut seen = BTreeSet::new();
        let mut left = Vec::new();
        let mut fresh = Vec::with_capacity(insert.records.len());
        let has_rules = rules::has_rules(fold.design(), insert.list);
        for (index, record) in insert.records.iter().enumerate() {
            let key = RecordKey { list: insert.list, record: record.id };
            let is_fresh =
                seen.insert(record.id) && snapshot.get(Table::Records, &fold.prefix().record(key))?.is_none();
            // What breaks a rule is told when it is tried by itself.
            match is_fresh && (!has_rules || insert.is_valid(fold.design(), record)) {
                true => fresh.push(index),
                false => left.push(index),
            }
        }
        if fresh.len() < RECORDS_MIN || !is_writer || rules::has_workflows(fold.design(), insert.list) {
            let commands = fresh.into_iter().map(|index| (index, insert.command(index))).collect();
            return Ok(Ok(Planned::Few { commands, left }));
        }
        Ok(Ok(Planned::Many { places: fresh, left }))
    }

    /// Composes the events that make the records, which build on the last event, and hands them on run by run for as
    /// long as `emit` takes them. Gives the last event and the places of records that are too large; nothing where
    /// something else is the end of everything.
    pub(super) fn compose(
        &self,
        (insert, places): (&Insert, &[usize]),
        now_ms: u64,
        emit: &mut dyn FnMut(Vec<Event>) -> bool,
    ) -> Result<Option<(EventRef, Vec<usize>)>, EngineError> {
        let store = self.store();
        let snapshot = store.engine().snapshot();
        let fold = store.fold();
        let chain = ChainId { device: self.device(), number: self.pair() + 1 };
        let reader = LogReader::new(&snapshot, store.workspace());
        let Some(head) = fold.head(chain, &snapshot, &reader)? else { return Ok(None) };
        let design = fold.design_digest();
        let (mut tip, mut lamport, mut too_large) = (head.event, head.lamport, Vec::new());
        let (mut run, mut bytes) = (Vec::with_capacity(RUN_EVENTS_MAX), 0);
        for place in places {
            let (ops, bodies) = insert.ops(&insert.records[*place]);
            let header = Header {
                workspace: self.workspace(),
                chain,
                seq: tip.seq + 1,
                prev: Some(tip.id),
                deps: vec![],
                lamport: lamport + 1,
                wall_ms: now_ms.min(WALL_MS_MAX),
                design,
                actor: insert.actor,
                batch: insert.batch,
                resubmits: None,
                ops,
            };
            let Ok(event) = Event::new(header, Payload::of(bodies)) else {
                too_large.push(*place);
                continue;
            };
            lamport += 1;
            tip = event.reference();
            bytes += event.size();
            if run.len() == RUN_EVENTS_MAX || bytes + compose::RUN_OVERHEAD_BYTES > RUN_BYTES_MAX {
                bytes = event.size();
                let full = std::mem::replace(&mut run, Vec::with_capacity(RUN_EVENTS_MAX));
                if !emit(full) {
                    return Ok(None);
                }
            }
            run.push(event);
        }
        Ok((run.is_empty() || emit(run)).then_some((tip, too_large)))
    }

    /// Makes a load of runs, beside [`Core::compose`].
    pub(super) fn loader(&self) -> Result<Loader<'_>, EngineError> {
        let store = self.store();
        let snapshot = store.engine().snapshot();
        let reader = LogReader::new(&snapshot, store.workspace());
        let fold: Fold = (**store.fold()).clone();
        let last = reader.run(store.next_arrival() - 1)?;
        let mut fresh = Fresh::default();
        let last = last.last().expect("a run has events");
        // What is composed names nothing but the event before it.
        if fold.ends_with(last.id()) {
            fold.go_on(&snapshot, &reader, &mut fresh, last)?;
        }
        let (workspace, first, indexes) = (store.workspace(), store.next_arrival(), store.views().indexes);
        Ok(Loader { key: self.key(), workspace, next: first, load: LoadBuilder::new(fold, fresh, indexes) })
    }
}

/// Signs runs and takes them into the views, as far as that can be done before they are in the log.
pub(super) struct Loader<'a> {
    key: &'a SecretKey,
    workspace: u32,
    next: u64,
    load: LoadBuilder,
}

impl Loader<'_> {
    /// Whether there is something that a load can build on.
    pub(super) fn goes_on(&self) -> bool {
        self.load.goes_on()
    }

    /// Whether the run's events only make new records at the end of everything, as they must. That none of the records
    /// is there already was seen when the insert was planned.
    pub(super) fn take(&mut self, run: &[Event]) -> Result<bool, EngineError> {
        for (index, event) in run.iter().enumerate() {
            let at = LogPlace { arrival: self.next, index: index as u16 };
            if !self.load.apply(&Nothing, at, event)? {
                return Ok(false);
            }
        }
        let sealed = Run::seal(run, self.key).expect("runs are kept within their limits");
        self.load.push(log::key(self.workspace, self.next), sealed);
        self.next += 1;
        Ok(true)
    }

    pub(super) fn finish(self) -> Load {
        self.load.finish()
    }
}

fn check_cells<E: Engine>(core: &Core<E>, insert: &Insert) -> Result<(), Refused> {
    let design = core.store().fold().design();
    check::list(design, insert.list)?;
    let mut known = BTreeSet::new();
    for record in &*insert.records {
        for (field, part, value) in &record.cells {
            if known.insert(*field) || !check::has_form(value) {
                let record = RecordKey { list: insert.list, record: record.id };
                check::raw_cell(design, &CellKey { record, field: *field, part: part.clone() }, value)?;
            }
        }
    }
    Ok(())
}

impl Insert {
    /// What makes the record at this place.
    pub(super) fn command(&self, place: usize) -> Command {
        let record = &self.records[place];
        let key = RecordKey { list: self.list, record: record.id };
        let set = |(field, part, value): &(FieldId, PartPath, Value)| {
            Change::SetRaw(CellKey { record: key, field: *field, part: part.clone() }, value.clone())
        };
        let changes = std::iter::once(Change::Create(key)).chain(record.cells.iter().map(set)).collect();
        Command::Change(Transaction { changes, batch: self.batch, actor: self.actor, ..Transaction::default() })
    }

    /// Whether no rule of the design speaks against a record.
    fn is_valid(&self, design: &Design, record: &NewRecord) -> bool {
        let after = rules::made_of(record.cells.iter().map(|(field, part, value)| (*field, part, value)));
        let key = RecordKey { list: self.list, record: record.id };
        rules::validate(design, &RuleChange { key, before: &RecordState::default(), after }).is_ok()
    }

    fn ops(&self, record: &NewRecord) -> (Vec<Op>, Vec<Vec<u8>>) {
        let key = RecordKey { list: self.list, record: record.id };
        let mut ops = Vec::with_capacity(record.cells.len() + 1);
        let mut bodies = Vec::with_capacity(record.cells.len() + 1);
        ops.push(Op { target: Target::Record(key), preds: vec![], act: Act::Create });
        bodies.push(Vec::new());
        for (field, part, value) in record.cells.iter().filter(|(.., value)| *value != Value::Null) {
            let cell = CellKey { record: key, field: *field, part: part.clone() };
            ops.push(Op { target: Target::Cell(cell), preds: vec![], act: Act::Set });
            bodies.push(value.encode());
        }
        (ops, bodies)
    }
}

#[cfg(test)]
mod tests;
