//! Whether what an optimistic caller had seen is still there.

use super::{compose::Draft, transaction::op_of};
use crate::command::{Expect, Refused, Stale};
use tandem_storage::{
    EngineError, Heads,
    engine::{Read, Table},
    fold::{RecordState, record::Stamp},
    history::Author,
    record_row,
};
use tandem_wire::RecordKey;

/// Refuses as stale what was changed meanwhile, by others or by an earlier command of the same group.
pub(super) fn check<R: Read>(draft: &Draft<'_, R>, expected: &[Expect]) -> Result<Result<(), Refused>, EngineError> {
    for expect in expected {
        let (record, seen) = match expect {
            Expect::Record(record, seen) => (*record, seen),
            Expect::Cell(cell, seen) => (cell.record, seen),
        };
        let now = state(draft, record)?;
        let there = match expect {
            Expect::Record(..) => now.heads(),
            Expect::Cell(cell, _) => now.heads_of(cell.field, &cell.part),
        };
        if there != *seen {
            let device = last_unseen(&now, seen).map_or(draft.device(), |stamp| stamp.event.chain.device);
            let by = Author::of(&draft.fold, device, None);
            return Ok(Err(Refused::Stale(Box::new(Stale { record, by, now }))));
        }
    }
    Ok(Ok(()))
}

/// A record as the draft has it.
pub(super) fn state<R: Read>(draft: &Draft<'_, R>, record: RecordKey) -> Result<RecordState, EngineError> {
    let row = draft.rows.get(Table::Records, &draft.fold.prefix().record(record))?;
    Ok(row.map_or_else(RecordState::default, |row| record_row::decode(&row)))
}

/// The latest change, by its author's clock, that the caller had not seen.
fn last_unseen<'a>(now: &'a RecordState, seen: &Heads) -> Option<&'a Stamp> {
    let unseen = stamps(now).filter(|stamp| !seen.ops().contains(&op_of(stamp)));
    unseen.max_by_key(|stamp| (stamp.wall_ms, stamp.event.seq))
}

/// The ops that a record is made of.
fn stamps(state: &RecordState) -> impl Iterator<Item = &Stamp> {
    let edits = state.creates.iter().chain(&state.restores).map(|edit| &edit.stamp);
    let deletes = state.deletes.iter().map(|removal| &removal.stamp);
    edits.chain(deletes).chain(state.cells.values().flatten().map(|sibling| &sibling.stamp))
}
