//! Many new records at once, one event each: what an import writes.

use super::{check, compose, core::Core};
use crate::command::{Change, Command, Refused, Transaction};
use std::collections::BTreeSet;
use tandem_storage::{
    EngineError, Load,
    engine::{Engine, Read, Table},
    fold::incremental::{Fold, Fresh, LogPlace},
    log::{self, LogReader},
};
use tandem_wire::{
    Act, ActorId, BatchId, CellKey, ChainId, Event, EventRef, FieldId, Header, ListId, Op, PartPath, Payload, RecordId,
    RecordKey, Role, Run, Target, Value,
    limits::{RUN_BYTES_MAX, RUN_EVENTS_MAX, WALL_MS_MAX},
};

/// Records of one list that are to be made, one event each.
///
/// What a field cannot hold is kept as it is and flagged, as by [`Change::SetRaw`]. At most some ten thousand at a time
/// keep memory small.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The list.
    pub list: ListId,
    /// The import or job that they are part of.
    pub batch: Option<BatchId>,
    /// Who acts, on a shared device.
    pub actor: Option<ActorId>,
    /// The records.
    pub records: Vec<NewRecord>,
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
    /// The first record as a transaction, the others as a load once that is done.
    Many {
        /// The place of the first, and what makes it.
        first: Box<(usize, Command)>,
        /// The places of the others.
        places: Vec<usize>,
        /// See [`Inserted::left`].
        left: Vec<usize>,
    },
}

impl<E: Engine> Core<E> {
    /// Checks an insert, and says how to go about it. `insert` keeps the records that are to be made.
    pub(super) fn plan_insert(&self, insert: &mut Insert) -> Result<Result<Planned, Refused>, EngineError> {
        let fold = self.store().fold();
        let present = fold.role_of(self.device());
        if present.is_none_or(|role| role < Role::Writer) {
            return Ok(Err(Refused::role(Role::Writer, present)));
        }
        if let Err(refused) = check_cells(self, insert) {
            return Ok(Err(refused));
        }
        let snapshot = self.store().engine().snapshot();
        let mut seen = BTreeSet::new();
        let mut left = Vec::new();
        let mut fresh = Vec::with_capacity(insert.records.len());
        for (index, record) in std::mem::take(&mut insert.records).into_iter().enumerate() {
            let key = RecordKey { list: insert.list, record: record.id };
            let is_fresh =
                seen.insert(record.id) && snapshot.get(Table::Records, &fold.prefix().record(key))?.is_none();
            match is_fresh {
                true => fresh.push((index, record)),
                false => left.push(index),
            }
        }
        if fresh.len() < RECORDS_MIN {
            let commands = fresh.into_iter().map(|(index, record)| (index, insert.command(record))).collect();
            return Ok(Ok(Planned::Few { commands, left }));
        }
        let mut fresh = fresh.into_iter();
        let (place, first) = fresh.next().expect("there are many");
        let (places, records) = fresh.unzip();
        insert.records = records;
        Ok(Ok(Planned::Many { first: Box::new((place, insert.command(first))), places, left }))
    }

    /// The load that makes the records, which build on the last event; nothing where something else is the end of
    /// everything. With the places of those that are too large.
    pub(super) fn load_of(
        &self,
        insert: &Insert,
        now_ms: u64,
    ) -> Result<Option<(Load, EventRef, Vec<usize>)>, EngineError> {
        let store = self.store();
        let snapshot = store.engine().snapshot();
        let reader = LogReader::new(&snapshot, store.workspace());
        let mut fold: Fold = (**store.fold()).clone();
        let chain = ChainId { device: self.device(), number: self.pair() + 1 };
        let Some(head) = fold.head(chain, &snapshot, &reader)? else { return Ok(None) };
        let last = reader.run(store.next_arrival() - 1)?;
        let mut fresh = Fresh::default();
        fold.go_on(&snapshot, &reader, &mut fresh, last.last().expect("a run has events"))?;
        let mut runs = Runs { core: self, first: store.next_arrival(), done: Vec::new(), open: Vec::new(), bytes: 0 };
        let (mut tip, mut lamport, mut too_large) = (head.event, head.lamport, Vec::new());
        for (index, record) in insert.records.iter().enumerate() {
            let (ops, bodies) = insert.ops(record);
            lamport += 1;
            let header = Header {
                workspace: self.workspace(),
                chain,
                seq: tip.seq + 1,
                prev: Some(tip.id),
                deps: vec![],
                lamport,
                wall_ms: now_ms.min(WALL_MS_MAX),
                design: fold.design_digest(),
                actor: insert.actor,
                batch: insert.batch,
                resubmits: None,
                ops,
            };
            let Ok(event) = Event::new(header, Payload::of(bodies)) else {
                lamport -= 1;
                too_large.push(index);
                continue;
            };
            let at = runs.place(&event);
            if !fold.apply_fresh(&snapshot, &mut fresh, at, &event)? {
                return Ok(None);
            }
            tip = event.reference();
            runs.open.push(event);
        }
        runs.close();
        Ok(Some((Load { runs: runs.done, fold, fresh }, tip, too_large)))
    }
}

fn check_cells<E: Engine>(core: &Core<E>, insert: &Insert) -> Result<(), Refused> {
    let design = core.store().fold().design();
    check::list(design, insert.list)?;
    let mut known = BTreeSet::new();
    for record in &insert.records {
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
    fn command(&self, record: NewRecord) -> Command {
        let key = RecordKey { list: self.list, record: record.id };
        let set = |(field, part, value)| Change::SetRaw(CellKey { record: key, field, part }, value);
        let changes = std::iter::once(Change::Create(key)).chain(record.cells.into_iter().map(set)).collect();
        Command::Change(Transaction { changes, batch: self.batch, actor: self.actor, ..Transaction::default() })
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

/// The runs of a load in the making.
struct Runs<'a, E> {
    core: &'a Core<E>,
    first: u64,
    done: Vec<(Vec<u8>, Vec<u8>)>,
    open: Vec<Event>,
    bytes: usize,
}

impl<E: Engine> Runs<'_, E> {
    /// Where the next event goes; it is to be pushed to the open run.
    fn place(&mut self, event: &Event) -> LogPlace {
        self.bytes += event.size();
        if self.open.len() == RUN_EVENTS_MAX || self.bytes + compose::RUN_OVERHEAD_BYTES > RUN_BYTES_MAX {
            self.close();
            self.bytes = event.size();
        }
        LogPlace { arrival: self.first + self.done.len() as u64, index: self.open.len() as u16 }
    }

    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.open);
        let key = log::key(self.core.store().workspace(), self.first + self.done.len() as u64);
        let run = Run::seal(events, self.core.key()).expect("runs are kept within their limits");
        self.done.push((key, run));
    }
}

#[cfg(test)]
mod tests;
