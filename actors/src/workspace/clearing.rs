//! References to records that are gone, cleared by the authority where the design asks for it (`set-null`).

use super::{
    compose::{Draft, Shared},
    transaction,
};
use crate::{Change, authority::judge::cells_that_show};
use std::collections::{BTreeMap, BTreeSet};
use tandem_storage::{
    EngineError,
    constraint::OnDelete,
    engine::{Read, Table},
    fold::{RecordState, record::Content},
    index::{Index, holders},
    record_row,
};
use tandem_wire::{CellKey, FieldId, ListId, RecordKey, Value};

/// Cells that one event clears.
const CELLS_PER_EVENT: usize = 64;

/// Writes events that clear, as an authority may whatever its role is, the references to those of these records that are gone, in the lists that the authority judges.
/// `touched` are the records that a sitting was about: the indexes do not know yet what it changed.
pub(super) fn clear<R: Read>(
    draft: &mut Draft<'_, R>,
    indexes: &[Index],
    touched: &BTreeSet<RecordKey>,
    covers: &dyn Fn(ListId) -> bool,
) -> Result<(), EngineError> {
    let cells = dangling(draft, indexes, touched, covers)?;
    if cells.is_empty() {
        return Ok(());
    }
    let changes: Vec<Change> = cells.into_iter().map(|cell| Change::Resolve(cell, Value::Null)).collect();
    for many in changes.chunks(CELLS_PER_EVENT) {
        if !write(draft, many)? {
            // Cells with many values side by side take much room.
            for one in many.chunks(1) {
                write(draft, one)?;
            }
        }
    }
    Ok(())
}

/// Whether they fit into one event.
fn write<R: Read>(draft: &mut Draft<'_, R>, changes: &[Change]) -> Result<bool, EngineError> {
    // What cannot be changed at all is left as it is.
    let Ok(ops) = transaction::ops(draft, changes)? else { return Ok(false) };
    Ok(ops.is_empty() || draft.add(ops, Shared::default())?.is_ok())
}

fn dangling<R: Read>(
    draft: &Draft<'_, R>,
    indexes: &[Index],
    touched: &BTreeSet<RecordKey>,
    covers: &dyn Fn(ListId) -> bool,
) -> Result<BTreeSet<CellKey>, EngineError> {
    let (design, prefix) = (draft.fold.design(), draft.fold.prefix());
    let mut cells = BTreeSet::new();
    let mut states = BTreeMap::new();
    for record in touched {
        let row = draft.rows.get(Table::Records, &prefix.record(*record))?;
        states.insert(*record, row.map_or_else(RecordState::default, |row| record_row::decode(&row)));
    }
    let lists: BTreeSet<ListId> = touched.iter().map(|record| record.list).collect();
    for list in lists {
        let of_list = states.iter().filter(|(record, _)| record.list == list);
        let gone = of_list.filter(|(_, state)| !state.creates.is_empty() && !state.exists()).map(|(record, _)| *record);
        let gone: Vec<RecordKey> = gone.collect();
        let fields = OnDelete::of_references_to(design, list).into_iter();
        for (from, field, _) in fields.filter(|(from, _, then)| *then == OnDelete::SetNull && covers(*from)) {
            let shown = shown_in(&states, from, field);
            for gone in &gone {
                let target = Value::Reference { list, record: gone.record };
                cells.extend(shown.get(&target.encode()).into_iter().flatten().cloned());
                for record in holders(&draft.rows, prefix, indexes, design, (from, field), &target)? {
                    let row = draft.rows.get(Table::Records, &prefix.record(record))?;
                    let state = row.map_or_else(RecordState::default, |row| record_row::decode(&row));
                    if state.exists() {
                        let parts = cells_that_show(&state, field, &target);
                        cells.extend(parts.map(|part| CellKey { record, field, part: part.clone() }));
                    }
                }
            }
        }
    }
    Ok(cells)
}

/// By value: the cells of a field that show it, in these records.
fn shown_in(
    states: &BTreeMap<RecordKey, RecordState>,
    list: ListId,
    field: FieldId,
) -> BTreeMap<Vec<u8>, Vec<CellKey>> {
    let mut shown: BTreeMap<Vec<u8>, Vec<CellKey>> = BTreeMap::new();
    for (record, state) in states.iter().filter(|(record, state)| record.list == list && state.exists()) {
        for ((_, part), siblings) in state.cells.iter().filter(|((of, _), _)| *of == field) {
            if let Some(Content::Value(value)) = siblings.first().map(|winner| &winner.content) {
                let cell = CellKey { record: *record, field, part: part.clone() };
                shown.entry(value.clone()).or_default().push(cell);
            }
        }
    }
    shown
}
