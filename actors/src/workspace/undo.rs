//! Taking changes back: what is still there of them is replaced by what was there before.
//!
//! Decided on the state that the commands before left, like everything: what others changed meanwhile is seen, and left
//! as it is. What is undone *together* does not count as a change since, nor does what this undo did before.

use super::{
    check,
    compose::{Decided, Draft, OpWithBody, Shared, too_large},
    expect::state,
    transaction::{current, on_record, op_of, unanswered_deletes},
};
use crate::{
    command::{Committed, Refused},
    undo::{Kept, Later, Undo, Undone, Why},
};
use std::collections::BTreeMap;
use tandem_storage::{
    EngineError,
    engine::Read,
    fold::{
        RecordState,
        incremental::{Archive, Entry},
        record::Stamp,
    },
    history::{Author, replaced},
};
use tandem_wire::{
    Act, CellKey, DeviceKey, FieldId, Op, OpRef, PartPath, RecordKey, Target, Value,
    limits::{EVENT_BYTES_MAX, PREDS_MAX},
};

/// Bytes that an op takes besides its references and its value, at most.
const OP_BYTES: usize = 400;
/// Bytes of a reference to an op, at most.
const PRED_BYTES: usize = 64;
/// Ops in one event: few enough that an event of them never reaches its limit by their number.
const OPS_PER_EVENT: usize = 2048;

/// Does one piece of an undo, in as many events as it takes.
pub(super) fn undo<R: Read>(draft: &mut Draft<'_, R>, device: DeviceKey, undo: &Undo) -> Decided {
    let mut undoing = Undoing { undo, device, undone: Undone::new(undo.batch) };
    let records = match undoing.collect(draft)? {
        Ok(records) => records,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut pieces = Vec::new();
    for (record, effects) in records {
        let ops = undoing.record(draft, record, &effects)?;
        pieces.extend(ops);
    }
    let mut committed = Committed::default();
    for ops in events_of(pieces) {
        let shared = Shared { batch: Some(undo.batch), ..Shared::default() };
        match draft.add(ops, shared)? {
            Ok(event) => committed.events.push(event.id()),
            // Sizes are estimated from above, and what is put back was in an event before.
            Err(why) => return Ok(Err(too_large(why))),
        }
    }
    committed.undone = Some(Box::new(undoing.undone));
    Ok(Ok(committed))
}

struct Undoing<'a> {
    undo: &'a Undo,
    device: DeviceKey,
    undone: Undone,
}

/// What the events did to one record.
#[derive(Default)]
struct Effects {
    /// The first of them that made, removed or restored it.
    first: Option<Act>,
    /// Whether one of them removed it.
    deletes: bool,
    /// The last of them on each cell.
    cells: BTreeMap<(FieldId, PartPath), OpRef>,
    /// Ops that nobody knows how to undo.
    others: bool,
    /// What of all of them was there before.
    builds_on_others: Option<OpRef>,
}

impl Undoing<'_> {
    /// The records that the events are about, in the order of the last change of each, latest first.
    fn collect<R: Read>(
        &mut self,
        draft: &Draft<'_, R>,
    ) -> Result<Result<Vec<(RecordKey, Effects)>, Refused>, EngineError> {
        let archive = archive(draft);
        let mut events = Vec::new();
        for reference in &self.undo.events {
            let Some(entry) = archive.event_of(&reference.op(0))?.filter(|entry| entry.event.id() == reference.id)
            else {
                return Ok(Err(Refused::UnknownEvent(reference.id)));
            };
            if reference.chain.device != self.device {
                let author = Author::of(&draft.fold, reference.chain.device, entry.event.header().actor);
                return Ok(Err(Refused::NotOwn { event: reference.id, author: Box::new(author) }));
            }
            if reference.chain.is_control() {
                return Ok(Err(Refused::NotUndoable(reference.id)));
            }
            events.push(entry);
        }
        events.sort_by_key(|entry| entry.event.header().lamport);
        let mut effects: BTreeMap<RecordKey, (u64, Effects)> = BTreeMap::new();
        for Entry { event, look } in &events {
            let live = look.is_some_and(|look| look.live);
            for (index, op) in event.header().ops.iter().enumerate() {
                let Some(record) = op.target.record() else { continue };
                if !live {
                    let cell = op.target.cell().cloned();
                    self.undone.keep(Kept { record, cell, why: Why::Masked });
                    continue;
                }
                let (last, effects) = effects.entry(record).or_default();
                *last = event.header().lamport;
                self.take(effects, op, event.op_ref(index as u16));
            }
        }
        let mut records: Vec<(RecordKey, (u64, Effects))> = effects.into_iter().collect();
        records.sort_by_key(|(record, (last, _))| (std::cmp::Reverse(*last), *record));
        Ok(Ok(records.into_iter().map(|(record, (_, effects))| (record, effects)).collect()))
    }

    fn take(&self, effects: &mut Effects, op: &Op, here: OpRef) {
        match (&op.act, &op.target) {
            (Act::Create | Act::Delete | Act::Restore, _) => {
                effects.first.get_or_insert_with(|| op.act.clone());
                effects.deletes |= matches!(op.act, Act::Delete);
            }
            (Act::Set | Act::Apply { .. } | Act::Unknown { .. }, Target::Cell(cell)) => {
                effects.cells.insert((cell.field, cell.part.clone()), here);
                let foreign = op.preds.iter().find(|pred| !self.is_together(pred)).copied();
                effects.builds_on_others = effects.builds_on_others.or(foreign);
            }
            _taken_off_the_inbox => effects.others = true,
        }
    }

    fn is_together(&self, op: &OpRef) -> bool {
        // References carry half an id: among this device's own events, the place alone tells them apart.
        op.chain.device == self.device && self.undo.together.contains(op.chain, op.seq)
    }

    /// Whether a change is part of what is undone, or was made by this undo.
    fn is_ours<R: Read>(&self, draft: &Draft<'_, R>, stamp: &Stamp) -> Result<bool, EngineError> {
        if self.is_together(&op_of(stamp)) {
            return Ok(true);
        }
        if stamp.event.chain.device != self.device {
            return Ok(false);
        }
        let entry = archive(draft).event_of(&op_of(stamp))?;
        Ok(entry.is_some_and(|entry| entry.event.header().batch == Some(self.undo.batch)))
    }

    /// The ops that take back what was done to one record.
    fn record<R: Read>(
        &mut self,
        draft: &Draft<'_, R>,
        record: RecordKey,
        effects: &Effects,
    ) -> Result<Vec<OpWithBody>, EngineError> {
        let now = state(draft, record)?;
        match &effects.first {
            // It was not there before.
            Some(Act::Create | Act::Restore) => return self.remove(draft, record, effects, &now),
            Some(_delete) => {
                if let Some(ops) = self.bring_back(draft, record, &now)? {
                    let mut ops = ops;
                    ops.extend(self.cells(draft, record, effects, &now)?);
                    return Ok(ops);
                }
                return Ok(Vec::new());
            }
            None => {}
        }
        if effects.others {
            self.undone.keep(Kept { record, cell: None, why: Why::Unknown });
        }
        if !now.exists() {
            let by = latest(now.deletes.iter().map(|removal| &removal.stamp));
            if let Some(by) = by
                && !self.is_ours(draft, by)?
            {
                self.keep(draft, record, None, Why::Removed, by)?;
            }
            return Ok(Vec::new());
        }
        self.cells(draft, record, effects, &now)
    }

    /// A record that was made or restored goes, unless others have a part in it.
    fn remove<R: Read>(
        &mut self,
        draft: &Draft<'_, R>,
        record: RecordKey,
        effects: &Effects,
        now: &RecordState,
    ) -> Result<Vec<OpWithBody>, EngineError> {
        if !now.exists() {
            return Ok(Vec::new());
        }
        if let Some(by) = self.others_part(draft, now)? {
            self.keep(draft, record, None, Why::Changed, &by)?;
            return Ok(Vec::new());
        }
        let made_here = matches!(effects.first, Some(Act::Create));
        if let Some(op) = effects.builds_on_others.filter(|_| made_here)
            && let Some(Entry { event, look: Some(look) }) = archive(draft).event_of(&op)?
            && look.live
        {
            let by = Stamp { event: event.reference(), op: op.op, wall_ms: event.header().wall_ms };
            if !self.is_ours(draft, &by)? {
                self.keep(draft, record, None, Why::Changed, &by)?;
                return Ok(Vec::new());
            }
        }
        self.undone.deleted += 1;
        Ok(current(now).chunks(PREDS_MAX).map(|preds| on_record(record, Act::Delete, preds.to_vec())).collect())
    }

    /// The latest change by others that no delete had seen.
    fn others_part<R: Read>(&self, draft: &Draft<'_, R>, now: &RecordState) -> Result<Option<Stamp>, EngineError> {
        let edits = now.creates.iter().chain(&now.restores).filter(|edit| !edit.covered).map(|edit| edit.stamp);
        let siblings = now.cells.values().flatten().filter(|sibling| !sibling.covered).map(|sibling| sibling.stamp);
        let mut others = Vec::new();
        for stamp in edits.chain(siblings) {
            if !self.is_ours(draft, &stamp)? {
                others.push(stamp);
            }
        }
        Ok(latest(others.iter()).copied())
    }

    /// A record that was removed comes back, unless others removed it too. None where it stays away.
    fn bring_back<R: Read>(
        &mut self,
        draft: &Draft<'_, R>,
        record: RecordKey,
        now: &RecordState,
    ) -> Result<Option<Vec<OpWithBody>>, EngineError> {
        let mut own = Vec::new();
        for removal in now.deletes.iter().filter(|removal| !removal.answered) {
            if self.is_ours(draft, &removal.stamp)? {
                own.push(op_of(&removal.stamp));
            } else if !now.exists() {
                self.keep(draft, record, None, Why::Removed, &removal.stamp)?;
                return Ok(None);
            }
        }
        own.sort_unstable();
        let mut all_made_here = !now.creates.is_empty();
        for create in &now.creates {
            all_made_here &= self.is_ours(draft, &create.stamp)?;
        }
        if all_made_here && !now.exists() {
            // What is undone together made it too: it goes, and is gone.
            return Ok(None);
        }
        let (act, answered) = match now.exists() {
            // An edit won over the delete, which is withdrawn.
            true => (Act::Resolve, own),
            false if now.creates.is_empty() => return Ok(None),
            false => (Act::Restore, unanswered_deletes(now)),
        };
        if answered.is_empty() {
            return Ok(Some(Vec::new()));
        }
        self.undone.restored += 1;
        Ok(Some(answered.chunks(PREDS_MAX).map(|preds| on_record(record, act.clone(), preds.to_vec())).collect()))
    }

    fn cells<R: Read>(
        &mut self,
        draft: &Draft<'_, R>,
        record: RecordKey,
        effects: &Effects,
        now: &RecordState,
    ) -> Result<Vec<OpWithBody>, EngineError> {
        let mut ops = Vec::new();
        for (field, part) in effects.cells.keys() {
            let cell = CellKey { record, field: *field, part: part.clone() };
            ops.extend(self.cell(draft, cell, now)?);
        }
        Ok(ops)
    }

    /// A cell is put back where it still shows what was put there.
    fn cell<R: Read>(
        &mut self,
        draft: &Draft<'_, R>,
        cell: CellKey,
        now: &RecordState,
    ) -> Result<Option<OpWithBody>, EngineError> {
        let siblings = now.cells.get(&(cell.field, cell.part.clone())).map_or(&[][..], Vec::as_slice);
        let Some(winner) = siblings.first() else { return Ok(None) };
        if !self.is_together(&op_of(&winner.stamp)) {
            if !self.is_ours(draft, &winner.stamp)? {
                self.keep(draft, cell.record, Some(cell), Why::Changed, &winner.stamp)?;
            }
            return Ok(None);
        }
        let before = match self.before(draft, &cell, op_of(&winner.stamp))? {
            Ok(before) => before,
            Err(why) => {
                self.undone.keep(Kept { record: cell.record, cell: Some(cell), why });
                return Ok(None);
            }
        };
        if siblings.len() == 1 && winner.value().as_ref() == Some(&before) {
            return Ok(None);
        }
        if check::raw_cell(draft.fold.design(), &cell, &before).is_err() {
            self.undone.keep(Kept { record: cell.record, cell: Some(cell), why: Why::NoField });
            return Ok(None);
        }
        self.undone.cells += 1;
        let op = Op { target: Target::Cell(cell), preds: vec![op_of(&winner.stamp)], act: Act::Set };
        Ok(Some((op, before.encode())))
    }

    /// What a cell showed before everything that is undone: the value of the first op, back from this one, that is no
    /// part of it and is live.
    fn before<R: Read>(
        &self,
        draft: &Draft<'_, R>,
        cell: &CellKey,
        mut at: OpRef,
    ) -> Result<Result<Value, Why>, EngineError> {
        let archive = archive(draft);
        loop {
            let entry = archive.event_of(&at)?.expect("what a valid op builds on is known");
            let op = &entry.event.header().ops[usize::from(at.op)];
            let live = entry.look.is_some_and(|look| look.live);
            if live && !self.is_together(&at) {
                let value = if matches!(op.act, Act::Set) { entry.event.value(usize::from(at.op)) } else { None };
                return Ok(value.ok_or(Why::Unknown));
            }
            let next = match op.preds.as_slice() {
                [] => None,
                [only] => Some(*only),
                _several => replaced(&archive.events_on(cell.record)?, cell.record, &at),
            };
            match next {
                Some(next) => at = next,
                None => return Ok(Ok(Value::Null)),
            }
        }
    }

    fn keep<R: Read>(
        &mut self,
        draft: &Draft<'_, R>,
        record: RecordKey,
        cell: Option<CellKey>,
        why: fn(Later) -> Why,
        by: &Stamp,
    ) -> Result<(), EngineError> {
        let actor = archive(draft).event_of(&op_of(by))?.and_then(|entry| entry.event.header().actor);
        let author = Author::of(&draft.fold, by.event.chain.device, actor);
        let later = Later { author, event: by.event, wall_ms: by.wall_ms };
        self.undone.keep(Kept { record, cell, why: why(later) });
        Ok(())
    }
}

fn archive<'a, 'b, R: Read>(
    draft: &'a Draft<'b, R>,
) -> Archive<'a, tandem_storage::engine::Overlay<'b, R>, super::compose::DraftLog<'b, R>> {
    Archive::new(&draft.fold, &draft.rows, &draft.log)
}

/// The latest by the clocks of the authors.
fn latest<'a>(stamps: impl Iterator<Item = &'a Stamp>) -> Option<&'a Stamp> {
    stamps.max_by_key(|stamp| (stamp.wall_ms, stamp.event.seq))
}

/// Ops in events that are within their limits.
fn events_of(ops: Vec<OpWithBody>) -> Vec<Vec<OpWithBody>> {
    let mut events: Vec<Vec<OpWithBody>> = Vec::new();
    let mut bytes = 0;
    for (op, body) in ops {
        let size = OP_BYTES + op.preds.len() * PRED_BYTES + body.len();
        match events.last_mut() {
            Some(event) if bytes + size <= EVENT_BYTES_MAX && event.len() < OPS_PER_EVENT => event.push((op, body)),
            _full => {
                bytes = 2048;
                events.push(vec![(op, body)]);
            }
        }
        bytes += size;
    }
    events
}
