//! What a transaction becomes: the ops of one event.
//!
//! Changes build on those before them, but the ops of one event cannot name one another. So what counts is where the
//! changes leave each record: of several values for a cell the last, of a record that is made and removed again
//! nothing at all.

use super::{
    check,
    compose::{Draft, OpWithBody},
    parts,
    rules::{self, RuleChange},
};
use crate::command::{Change, Refused};
use std::collections::BTreeMap;
use tandem_storage::{
    EngineError,
    engine::{Read, Table},
    fold::{Design, RecordState, record::Stamp},
    lens::StateCells,
    record_row,
};
use tandem_wire::{Act, CellKey, FieldId, Op, OpRef, PartPath, RecordKey, Target, Value, limits::PREDS_MAX};

/// The ops that do all changes; none where everything is so already.
pub(super) fn ops<R: Read>(
    draft: &Draft<'_, R>,
    changes: &[Change],
) -> Result<Result<Vec<OpWithBody>, Refused>, EngineError> {
    let mut touched = Touched::default();
    for change in changes {
        if let Err(refused) = touched.take(draft, change)? {
            return Ok(Err(refused));
        }
    }
    if let Err(refused) = touched.follow_rules(draft) {
        return Ok(Err(refused));
    }
    Ok(Ok(touched.into_ops(draft.fold.design())))
}

/// The records that a transaction touches, in the order of their first change.
#[derive(Default)]
struct Touched {
    index: BTreeMap<RecordKey, usize>,
    records: Vec<(RecordKey, Pending)>,
}

/// A record on its way through a transaction.
struct Pending {
    /// As the transaction found it.
    found: RecordState,
    existed: bool,
    exists: bool,
    /// The act that makes it exist, if it did not.
    revival: Option<Act>,
    /// Values by cell, in the order of their first set.
    index: BTreeMap<(FieldId, PartPath), usize>,
    values: Vec<Put>,
    /// Deletes that lost are to be taken off the inbox.
    is_kept: bool,
}

/// What a cell is to show.
struct Put {
    cell: CellKey,
    value: Value,
    /// In place of all siblings, not only of the winner.
    resolves: bool,
}

impl Touched {
    fn take<R: Read>(&mut self, draft: &Draft<'_, R>, change: &Change) -> Result<Result<(), Refused>, EngineError> {
        let record = match change {
            Change::Set(cell, _) if !cell.part.is_empty() => &cell.record,
            Change::SetText { cell, .. } => &cell.record,
            _of_one_cell => return self.take_cell(draft, change),
        };
        if let Err(refused) = check::list(draft.fold.design(), record.list) {
            return Ok(Err(refused));
        }
        let pending = self.record(draft, *record)?;
        let of_cells = match pending.values.is_empty() {
            true => parts::of_cells(draft, &pending.found, change),
            false => parts::of_cells(draft, &pending.after(), change),
        };
        let changes = match of_cells {
            Ok(changes) => changes,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Change::SetText { cell, .. } = change
            && changes.is_empty()
        {
            // It says so already, but perhaps there is no such thing to say it.
            let is_known = check::raw_cell(draft.fold.design(), cell, &Value::Null);
            return match pending.exists {
                true => Ok(is_known),
                false => self.take_cell(draft, &Change::SetRaw(cell.clone(), Value::Null)),
            };
        }
        for change in changes {
            if let Err(refused) = self.take_cell(draft, &change)? {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(()))
    }

    /// Takes a change of one cell, or of a record as such.
    fn take_cell<R: Read>(
        &mut self,
        draft: &Draft<'_, R>,
        change: &Change,
    ) -> Result<Result<(), Refused>, EngineError> {
        let design = draft.fold.design();
        let (record, checked) = match change {
            Change::Set(cell, value) => (cell.record, check::cell(design, cell, value)),
            Change::SetRaw(cell, value) | Change::Resolve(cell, value) => {
                (cell.record, check::raw_cell(design, cell, value))
            }
            Change::Create(record) | Change::Delete(record) | Change::Restore(record) | Change::Keep(record) => {
                (*record, check::list(design, record.list))
            }
            Change::SetText { .. } => unreachable!("it was taken apart"),
        };
        if let Err(refused) = checked {
            return Ok(Err(refused));
        }
        let unknown = || Refused::UnknownRecord { list: design.name(record.list), record };
        let pending = self.record(draft, record)?;
        match change {
            Change::Create(_) | Change::Restore(_) if pending.exists => return Ok(Err(Refused::RecordExists(record))),
            Change::Restore(_) if !pending.was_created() => return Ok(Err(unknown())),
            Change::Set(..) | Change::SetRaw(..) | Change::Resolve(..) | Change::Delete(_) | Change::Keep(_)
                if !pending.exists =>
            {
                return Ok(Err(unknown()));
            }
            Change::Create(_) => pending.revive(Act::Create),
            Change::Restore(_) => pending.revive(Act::Restore),
            Change::Set(cell, value) | Change::SetRaw(cell, value) => pending.set(cell, value, false),
            Change::Resolve(cell, value) => pending.set(cell, value, true),
            Change::Keep(_) => pending.is_kept = true,
            Change::Delete(_) => pending.exists = false,
            Change::SetText { .. } => unreachable!("it was taken apart"),
        }
        Ok(Ok(()))
    }

    fn record<R: Read>(&mut self, draft: &Draft<'_, R>, key: RecordKey) -> Result<&mut Pending, EngineError> {
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => {
                let row = draft.rows.get(Table::Records, &draft.fold.prefix().record(key))?;
                let found = row.map(|row| record_row::decode(&row));
                self.records.push((key, Pending::new(found.unwrap_or_default())));
                self.index.insert(key, self.records.len() - 1);
                self.records.len() - 1
            }
        };
        Ok(&mut self.records[at].1)
    }

    /// Adds what follows from the changes by the design's rules, unless these do not allow them.
    fn follow_rules<R: Read>(&mut self, draft: &Draft<'_, R>) -> Result<(), Refused> {
        let design = draft.fold.design();
        for (key, pending) in &mut self.records {
            if !pending.exists || !rules::has_rules(design, key.list) {
                continue;
            }
            let mut change = RuleChange { key: *key, before: &pending.found, after: pending.after() };
            let followed = rules::follow(draft, &mut change)?;
            rules::validate(design, &change)?;
            for (field, value) in followed {
                let cell = CellKey { record: *key, field, part: PartPath::default() };
                check::cell(design, &cell, &value)?;
                pending.set(&cell, &value, false);
            }
        }
        Ok(())
    }

    fn into_ops(self, design: &Design) -> Vec<OpWithBody> {
        self.records.into_iter().flat_map(|(key, pending)| pending.into_ops(key, design)).collect()
    }
}

impl Pending {
    fn new(found: RecordState) -> Self {
        let existed = found.exists();
        Self {
            found,
            existed,
            exists: existed,
            revival: None,
            index: BTreeMap::new(),
            values: Vec::new(),
            is_kept: false,
        }
    }

    fn was_created(&self) -> bool {
        !self.found.creates.is_empty() || self.revival == Some(Act::Create)
    }

    /// A record that existed before the transaction was only removed within it: there is nothing to bring back.
    fn revive(&mut self, act: Act) {
        self.exists = true;
        if !self.existed {
            self.revival.get_or_insert(act);
        }
    }

    fn set(&mut self, cell: &CellKey, value: &Value, resolves: bool) {
        let next = self.values.len();
        match *self.index.entry((cell.field, cell.part.clone())).or_insert(next) {
            at if at < next => {
                self.values[at].value = value.clone();
                self.values[at].resolves |= resolves;
            }
            _new => self.values.push(Put { cell: cell.clone(), value: value.clone(), resolves }),
        }
    }

    /// The record as it will be, as it is written.
    fn after(&self) -> RecordState {
        let mut after = match self.existed {
            true => self.found.clone(),
            false => {
                let cells = self.found.cells.clone();
                RecordState { cells, ..rules::made_of(std::iter::empty()) }
            }
        };
        for Put { cell, value, .. } in &self.values {
            rules::put(&mut after, cell.field, cell.part.clone(), value);
        }
        after
    }

    fn into_ops(self, record: RecordKey, design: &Design) -> Vec<OpWithBody> {
        let Self { found, existed, exists, revival, values, index: _, is_kept } = self;
        if !exists {
            let seen = if existed { current(&found) } else { vec![] };
            return seen.chunks(PREDS_MAX).map(|preds| on_record(record, Act::Delete, preds.to_vec())).collect();
        }
        let revival = revival.map(|act| on_record(record, act, unanswered_deletes(&found)));
        let deletes = if is_kept && revival.is_none() { unanswered_deletes(&found) } else { vec![] };
        let kept = deletes.chunks(PREDS_MAX).map(|preds| on_record(record, Act::Resolve, preds.to_vec()));
        let sets = values.iter().filter_map(|put| set_op(&found, put, design));
        revival.into_iter().chain(kept).chain(sets).collect()
    }
}

/// Replaces the winner that the author sees; its losers stay in conflict until somebody resolves them.
fn set_op(found: &RecordState, Put { cell, value, resolves }: &Put, design: &Design) -> Option<OpWithBody> {
    let siblings = found.cells.get(&(cell.field, cell.part.clone())).map_or(&[][..], Vec::as_slice);
    let shown = siblings.first().and_then(|winner| winner.value());
    // What is shown without having been written, such as a default, is cleared by writing that.
    let is_made = || design.lenses().shown(&StateCells(found), cell.field, &cell.part).is_some();
    if shown.as_ref().unwrap_or(&Value::Null) == value && siblings.len() <= 1 && !(siblings.is_empty() && is_made()) {
        return None;
    }
    let replaced = if *resolves { siblings.len().min(PREDS_MAX) } else { 1 };
    let preds = sorted(siblings.iter().take(replaced).map(|sibling| op_of(&sibling.stamp)));
    Some((Op { target: Target::Cell(cell.clone()), preds, act: Act::Set }, value.encode()))
}

pub(super) fn on_record(record: RecordKey, act: Act, preds: Vec<OpRef>) -> OpWithBody {
    (Op { target: Target::Record(record), preds, act }, Vec::new())
}

pub(super) fn unanswered_deletes(found: &RecordState) -> Vec<OpRef> {
    let deletes = found.deletes.iter().filter(|removal| !removal.answered);
    sorted(deletes.map(|removal| op_of(&removal.stamp)))
}

/// What a delete names: creates, restores and all siblings, losers too.
pub(super) fn current(found: &RecordState) -> Vec<OpRef> {
    let edits = found.creates.iter().chain(&found.restores).map(|edit| &edit.stamp);
    let siblings = found.cells.values().flatten().map(|sibling| &sibling.stamp);
    sorted(edits.chain(siblings).map(op_of))
}

pub(super) fn op_of(stamp: &Stamp) -> OpRef {
    stamp.event.op(stamp.op)
}

fn sorted(ops: impl Iterator<Item = OpRef>) -> Vec<OpRef> {
    let mut ops: Vec<OpRef> = ops.collect();
    ops.sort_unstable();
    ops
}
