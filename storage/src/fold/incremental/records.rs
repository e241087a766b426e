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
use tandem_wire::{Event, OpRef, RecordKey};

impl Fold {
    pub(super) fn write_history<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        event: &Event,
    ) {
        for record in records_of(event) {
            work.rows.put(Table::History, self.prefix.history(record, event.header().lamport, key), []);
        }
    }

    /// Folds an event's ops into its records for the first time.
    pub(super) fn absorb<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        event: &Arc<Event>,
        look: Look,
    ) -> Result<(), EngineError> {
        if !look.live {
            return Ok(());
        }
        for key in records_of(event) {
            let row = self.prefix.record(key);
            let mut state: RecordState = work
                .rows
                .get(Table::Records, &row)?
                .map_or_else(RecordState::default, |bytes| record_row::decode(&bytes));
            let ops = record::ops_on(event, key, look.live, look.refused, look.by_authority);
            if ops.into_iter().all(|op| state.absorb(op)) {
                state.normalise();
                write(work, row, &state);
            } else {
                self.refold_record(work, key)?;
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
        key: RecordKey,
    ) -> Result<(), EngineError> {
        let row = self.prefix.record(key);
        let mut ops: Vec<RecordOp> = Vec::new();
        for pair in work.rows.range(Table::History, &row, prefix_end(&row).as_deref()) {
            let event_row = work.lookup(self).row(EventKey::at_end_of(&pair?.0))?.expect("history has rows");
            let EventState::Valid { last: Some(look), .. } = event_row.state else { continue };
            let event = work.events.event(event_row.at)?;
            ops.extend(record::ops_on(&event, key, look.live, look.refused, look.by_authority));
        }
        write(work, row, &record::fold(ops));
        Ok(())
    }
}

/// Empty states leave no trace.
fn write<R: Read, E: Events>(work: &mut Work<'_, '_, R, E>, row: Vec<u8>, state: &RecordState) {
    if *state == RecordState::default() {
        work.rows.delete(Table::Records, row);
    } else {
        work.rows.put(Table::Records, row, record_row::encode(state));
    }
}

fn records_of(event: &Event) -> BTreeSet<RecordKey> {
    event.header().ops.iter().filter_map(|op| op.target.record()).collect()
}

impl RecordState {
    /// Takes in a new live op that nothing refers to yet, if all that it refers to is current. Otherwise says no, and
    /// the record must be folded from its history.
    fn absorb(&mut self, op: RecordOp) -> bool {
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
    fn is(&self, op: &OpRef) -> bool {
        self.event.op(self.op) == *op
    }
}
