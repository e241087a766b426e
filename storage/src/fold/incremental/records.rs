//! Stage 5, event by event: the short way where an op replaces what is current, the long way by a record's history.

use super::{EventKey, EventState, Events, Fold, Look, Work};
use crate::{
    engine::{EngineError, Read, Table, prefix_end},
    fold::{
        RecordOp, RecordState,
        record::{self, Edit, RecordOpKind, Removal, Sibling},
    },
    record_row,
};
use std::{collections::BTreeSet, sync::Arc};
use tandem_wire::{Event, EventRef, OpRef, RecordKey};

impl Fold {
    /// The valid events on a record: those that its row names, and those beside it in [`Table::History`].
    pub fn events_on<R: Read>(&self, rows: &R, record: RecordKey) -> Result<BTreeSet<EventKey>, EngineError> {
        let row = self.prefix.record(record);
        let state = rows.get(Table::Records, &row)?.map(|bytes| record_row::decode(&bytes));
        let mut events: BTreeSet<EventKey> =
            state.iter().flat_map(named).map(|event| self.key_of_valid(&event)).collect();
        for pair in rows.range(Table::History, &row, prefix_end(&row).as_deref()) {
            events.insert(EventKey::at_end_of(&pair?.0));
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
                work.rows.put(Table::History, self.prefix.history(record, key), []);
                continue;
            }
            let row = self.prefix.record(record);
            let mut state: RecordState = work
                .rows
                .get(Table::Records, &row)?
                .map_or_else(RecordState::default, |bytes| record_row::decode(&bytes));
            let mut events = named(&state);
            let ops = record::ops_on(event, record, look.live, look.refused, look.by_authority);
            if ops.into_iter().all(|op| state.absorb(op)) {
                state.normalise();
                events.insert(event.reference());
                self.write(work, record, events, &state);
            } else {
                work.rows.put(Table::History, self.prefix.history(record, key), []);
                self.refold_record(work, record)?;
            }
        }
        Ok(())
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
        let mut events = BTreeSet::new();
        for key in self.events_on(work.rows, record)? {
            let event_row = work.lookup(self).row(key)?.expect("history has rows");
            let EventState::Valid { last: Some(look), .. } = event_row.state else { continue };
            let event = work.events.event(event_row.at)?;
            ops.extend(record::ops_on(&event, record, look.live, look.refused, look.by_authority));
            events.insert(event.reference());
        }
        self.write(work, record, events, &record::fold(ops));
        Ok(())
    }

    /// Writes a record's row. Those of its `events` that the row does not name are kept beside it. Empty states leave
    /// no row.
    fn write<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        record: RecordKey,
        events: BTreeSet<EventRef>,
        state: &RecordState,
    ) {
        let names = named(state);
        for event in events.difference(&names) {
            work.rows.put(Table::History, self.prefix.history(record, self.key_of_valid(event)), []);
        }
        let row = self.prefix.record(record);
        if *state == RecordState::default() {
            work.rows.delete(Table::Records, row);
        } else {
            work.rows.put(Table::Records, row, record_row::encode(state));
        }
    }

    fn key_of_valid(&self, event: &EventRef) -> EventKey {
        let chain = self.chains.get(&event.chain).expect("a valid event's chain is known");
        EventKey { chain: chain.number, seq: event.seq, tag: event.id.tag() }
    }
}

/// The events that a record's row names.
fn named(state: &RecordState) -> BTreeSet<EventRef> {
    let edits = state.creates.iter().chain(&state.restores).map(|edit| edit.stamp.event);
    let removals = state.deletes.iter().map(|removal| removal.stamp.event);
    let siblings = state.cells.values().flatten().map(|sibling| sibling.stamp.event);
    edits.chain(removals).chain(siblings).collect()
}

fn records_of(event: &Event) -> BTreeSet<RecordKey> {
    event.header().ops.iter().filter_map(|op| op.target.record()).collect()
}

impl RecordState {
    /// Takes in a new live op that nothing refers to yet, if all that it refers to is current. Otherwise says no, and
    /// the record must be folded from its history.
    pub(super) fn absorb(&mut self, op: RecordOp) -> bool {
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
                self.cover(&op.preds)
            }
            RecordOpKind::Cell(cell, content) => {
                let own_rank = if op.by_authority { op.lamport } else { 0 };
                let (mut rank, mut time_ms) = (own_rank, stamp.wall_ms.max(1));
                let siblings = self.cells.entry(cell).or_default();
                for pred in &op.preds {
                    let Some(at) = siblings.iter().position(|sibling| sibling.stamp.is(pred)) else { return false };
                    let replaced = siblings.swap_remove(at);
                    rank = rank.max(replaced.rank);
                    time_ms = time_ms.max(replaced.time_ms + 1);
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

    fn cover(&mut self, preds: &[OpRef]) -> bool {
        preds.iter().all(|pred| {
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

impl record::Stamp {
    pub(super) fn is(&self, op: &OpRef) -> bool {
        self.event.op(self.op) == *op
    }
}
