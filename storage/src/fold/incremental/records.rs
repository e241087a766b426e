//! Stage 5, event by event: the short way where an op replaces what is current, the long way by a record's history.

use super::{
    EventKey, EventState, Events, Fold, Look, Work,
    rows::{NO_OP, event_of_history, put_replaced, take_replaced},
};
use crate::{
    engine::{EngineError, Overlay, Read, Table, prefix_end},
    fold::{
        RecordOp, RecordState,
        record::{self, Edit, RecordOpKind, Removal, Replaced, Sibling, Stamp},
    },
    record_row,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_wire::{Event, EventRef, FieldId, OpRef, PartPath, RecordKey};

impl Fold {
    /// The valid events on a record: those that its row names, and those beside it in [`Table::History`].
    pub fn events_on<R: Read>(&self, rows: &R, record: RecordKey) -> Result<BTreeSet<EventKey>, EngineError> {
        let row = self.prefix.record(record);
        let state = rows.get(Table::Records, &row)?.map(|bytes| record_row::decode(&bytes));
        let mut events: BTreeSet<EventKey> =
            state.iter().flat_map(named).map(|event| self.key_of_valid(&event)).collect();
        for pair in rows.range(Table::History, &row, prefix_end(&row).as_deref()) {
            events.insert(event_of_history(&pair?.0));
        }
        Ok(events)
    }

    /// Folds an event's ops into its records for the first time.
    pub(super) fn absorb<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        event: &Arc<Event>,
        look: Look,
    ) -> Result<(), EngineError> {
        for record in records_of(event) {
            if !look.live {
                work.rows.put(Table::History, self.prefix.history(record, key, NO_OP), []);
                continue;
            }
            let row = self.prefix.record(record);
            let mut state: RecordState = work
                .rows
                .get(Table::Records, &row)?
                .map_or_else(RecordState::default, |bytes| record_row::decode(&bytes));
            let ops = record::ops_on(event, record, look.live, look.refused, look.by_authority);
            let earlier = self.replaced_before(work.rows, record, &state, ops.iter().flat_map(|op| &op.preds))?;
            if self.absorb_into(work.rows, (record, &mut state), event, ops, &earlier) {
                state.normalise();
                self.write(work.rows, record, &state);
            } else {
                work.rows.put(Table::History, self.prefix.history(record, key, NO_OP), []);
                self.refold_record(work, record)?;
            }
        }
        Ok(())
    }

    /// Takes the live ops of a new event into a record's state, if all that they build on is there or `earlier`. What of
    /// the history is not in the state any more is put beside it.
    pub(super) fn absorb_into<R: Read>(
        &self,
        rows: &mut Overlay<'_, R>,
        (record, state): (RecordKey, &mut RecordState),
        event: &Event,
        ops: Vec<RecordOp>,
        earlier: &Earlier,
    ) -> bool {
        let mut replaced = Vec::new();
        if !ops.into_iter().all(|op| state.absorb(op, earlier, &mut replaced)) {
            return false;
        }
        self.put_replaced(rows, record, &replaced);
        if !state.is_made_of(&event.reference()) {
            let key = self.key_of_valid(&event.reference());
            rows.put(Table::History, self.prefix.history(record, key, NO_OP), []);
        }
        true
    }

    /// Of these ops, those that are known to be live, on a cell, and replaced.
    fn replaced_before<'o, R: Read>(
        &self,
        rows: &R,
        record: RecordKey,
        state: &RecordState,
        ops: impl Iterator<Item = &'o OpRef>,
    ) -> Result<Earlier, EngineError> {
        let mut earlier = Earlier::new();
        for op in ops.filter(|op| !state.has(op)) {
            earlier.extend(self.replaced(rows, record, op, None)?.map(|key| (*op, key)));
        }
        Ok(earlier)
    }

    /// Rank and time of an op that is live, on this cell (or on any), and replaced.
    pub(super) fn replaced<R: Read>(
        &self,
        rows: &R,
        record: RecordKey,
        op: &OpRef,
        cell: Option<&(FieldId, PartPath)>,
    ) -> Result<Option<(u64, u64)>, EngineError> {
        let Some(key) = self.key_of_op(op) else { return Ok(None) };
        let row = rows.get(Table::History, &self.prefix.history(record, key, op.op))?;
        Ok(row.and_then(|row| take_replaced(&row, cell)))
    }

    fn put_replaced<R: Read>(&self, rows: &mut Overlay<'_, R>, record: RecordKey, replaced: &[Replaced]) {
        for replaced in replaced {
            let key = self.key_of_op(&replaced.op).expect("what was live is known");
            rows.put(Table::History, self.prefix.history(record, key, replaced.op.op), put_replaced(replaced));
        }
    }

    /// Folds the records of an event whose standing changed again.
    pub(super) fn refold<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        event: &Event,
    ) -> Result<(), EngineError> {
        records_of(event).into_iter().try_for_each(|key| self.refold_record(work, key))
    }

    fn refold_record<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        record: RecordKey,
    ) -> Result<(), EngineError> {
        let mut ops: Vec<RecordOp> = Vec::new();
        let mut events = BTreeMap::new();
        for key in self.events_on(work.rows, record)? {
            let event_row = work.lookup(self).row(key)?.expect("history has rows");
            let EventState::Valid { last: Some(look), .. } = event_row.state else { continue };
            let event = work.events.event(event_row.at)?;
            ops.extend(record::ops_on(&event, record, look.live, look.refused, look.by_authority));
            events.insert(event.reference(), key);
        }
        let (state, replaced) = record::fold_all(ops);
        let (mut beside, mut told) = (BTreeMap::new(), BTreeSet::new());
        for replaced in &replaced {
            let key = self.key_of_op(&replaced.op).expect("what was live is known");
            beside.insert(self.prefix.history(record, key, replaced.op.op), put_replaced(replaced));
            told.insert(key);
        }
        for (_, key) in events.into_iter().filter(|(event, key)| !state.is_made_of(event) && !told.contains(key)) {
            beside.insert(self.prefix.history(record, key, NO_OP), Vec::new());
        }
        self.write_beside(work.rows, record, beside)?;
        self.write(work.rows, record, &state);
        Ok(())
    }

    /// Makes these the rows beside a record: a dead op must not be found replaced by whoever builds on it.
    fn write_beside<R: Read>(
        &self,
        rows: &mut Overlay<'_, R>,
        record: RecordKey,
        mut beside: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Result<(), EngineError> {
        let start = self.prefix.record(record);
        let there: Vec<_> =
            rows.range(Table::History, &start, prefix_end(&start).as_deref()).collect::<Result<_, _>>()?;
        for (key, row) in there {
            match beside.remove(&*key) {
                Some(wanted) if wanted == *row => {}
                Some(wanted) => rows.put(Table::History, key.to_vec(), wanted),
                None => rows.delete(Table::History, key.to_vec()),
            }
        }
        beside.into_iter().for_each(|(key, row)| rows.put(Table::History, key, row));
        Ok(())
    }

    /// Writes a record's row. Empty states leave none.
    pub(super) fn write<R: Read>(&self, rows: &mut Overlay<'_, R>, record: RecordKey, state: &RecordState) {
        let row = self.prefix.record(record);
        if *state == RecordState::default() {
            rows.delete(Table::Records, row);
        } else {
            rows.put(Table::Records, row, record_row::encode(state));
        }
    }

    fn key_of_valid(&self, event: &EventRef) -> EventKey {
        self.key_of_op(&event.op(0)).expect("a valid event's chain is known")
    }

    /// The key of the event that an op is of, if its chain is known.
    pub(super) fn key_of_op(&self, op: &OpRef) -> Option<EventKey> {
        Some(EventKey { chain: self.chains.get(&op.chain)?.number, seq: op.seq, tag: op.tag })
    }
}

/// Rank and time of ops that were replaced earlier.
pub(super) type Earlier = BTreeMap<OpRef, (u64, u64)>;

/// The events that a record's row names.
fn named(state: &RecordState) -> BTreeSet<EventRef> {
    state.stamps().map(|stamp| stamp.event).collect()
}

pub(super) fn records_of(event: &Event) -> BTreeSet<RecordKey> {
    event.header().ops.iter().filter_map(|op| op.target.record()).collect()
}

impl RecordState {
    /// Takes in a new live op that nothing refers to yet, if all that it refers to is current, or live and replaced
    /// `earlier`. Otherwise says no, and the record must be folded from its history. Adds what it replaces to `replaced`.
    fn absorb(&mut self, op: RecordOp, earlier: &Earlier, replaced: &mut Vec<Replaced>) -> bool {
        let stamp = op.stamp;
        match op.kind {
            RecordOpKind::Create | RecordOpKind::Restore | RecordOpKind::Answer => {
                if !self.answer(&op.preds) {
                    return false;
                }
                let edit = Edit { stamp, covered: false };
                match op.kind {
                    RecordOpKind::Create => self.creates.push(edit),
                    RecordOpKind::Restore => self.restores.push(edit),
                    _answer => {}
                }
                true
            }
            RecordOpKind::Delete => {
                self.deletes.push(Removal { stamp, answered: false });
                // What is replaced needs no cover.
                self.cover(op.preds.iter().filter(|pred| !earlier.contains_key(pred)))
            }
            RecordOpKind::Cell(cell, content) => {
                let own_rank = if op.by_authority { op.lamport } else { 0 };
                let (mut rank, mut time_ms) = (own_rank, stamp.wall_ms.max(1));
                let siblings = self.cells.entry(cell.clone()).or_default();
                for pred in &op.preds {
                    let (pred_rank, pred_time_ms) = match siblings.iter().position(|sibling| sibling.stamp.is(pred)) {
                        Some(at) => {
                            let Sibling { rank, time_ms, .. } = siblings.swap_remove(at);
                            replaced.push(Replaced { cell: cell.clone(), op: *pred, rank, time_ms });
                            (rank, time_ms)
                        }
                        None => match earlier.get(pred) {
                            Some(key) => *key,
                            None => return false,
                        },
                    };
                    rank = rank.max(pred_rank);
                    time_ms = time_ms.max(pred_time_ms + 1);
                }
                siblings.push(Sibling { stamp, rank, time_ms, content, covered: false });
                true
            }
        }
    }

    fn answer(&mut self, preds: &[OpRef]) -> bool {
        preds.iter().all(|pred| match self.deletes.iter_mut().find(|removal| removal.stamp.is(pred)) {
            Some(removal) => {
                removal.answered = true;
                true
            }
            None => false,
        })
    }

    fn cover<'o>(&mut self, mut preds: impl Iterator<Item = &'o OpRef>) -> bool {
        preds.all(|pred| {
            let mut edits = self.creates.iter_mut().chain(&mut self.restores);
            if let Some(edit) = edits.find(|edit| edit.stamp.is(pred)) {
                edit.covered = true;
                return true;
            }
            match self.cells.values_mut().flatten().find(|sibling| sibling.stamp.is(pred)) {
                Some(sibling) => {
                    sibling.covered = true;
                    true
                }
                None => false,
            }
        })
    }
}

impl RecordState {
    /// All ops that it is made of.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = &Stamp> {
        let edits = self.creates.iter().chain(&self.restores).map(|edit| &edit.stamp);
        let removals = self.deletes.iter().map(|removal| &removal.stamp);
        let siblings = self.cells.values().flatten().map(|sibling| &sibling.stamp);
        edits.chain(removals).chain(siblings)
    }

    /// Whether the record's row names the op.
    pub(super) fn has(&self, op: &OpRef) -> bool {
        self.stamps().any(|stamp| stamp.is(op))
    }

    /// Whether the record's row names the event.
    fn is_made_of(&self, event: &EventRef) -> bool {
        self.stamps().any(|stamp| stamp.event == *event)
    }
}

impl Stamp {
    pub(super) fn is(&self, op: &OpRef) -> bool {
        self.event.op(self.op) == *op
    }
}
