//! What nodes do with designs when they are broken on purpose.

use crate::{disk::Disk, planted::Planted};
use tandem_storage::{
    Store,
    engine::{Batch, Durability, Engine, Table},
    fold::{
        Design, RecordState,
        incremental::records_in,
        record::{Content, Sibling},
    },
    lens::is_raw,
    record_row,
};
use tandem_wire::{FieldId, PartPath};

/// Has a node that took a new design lose what that cannot hold, or does not have any more.
pub(super) fn lose(planted: Planted, store: &Store<Disk>) {
    let design = store.fold().design();
    let is_lost: fn(&Design, FieldId, &PartPath, &[Sibling]) -> bool = match planted {
        Planted::RawLost => |design, field, part, siblings| {
            let value = siblings[0].value().map(|value| design.lenses().value(field, &value));
            value.zip(design.field_type(field)).is_some_and(|(value, ty)| is_raw(&ty, part, &value))
        },
        Planted::RetainedLost => {
            |design, field, _, _| design.elements.get(&field.into()).is_some_and(|element| element.is_dropped())
        }
        _other => return,
    };
    let (snapshot, prefix) = (store.engine().snapshot(), store.fold().prefix());
    let mut batch = Batch::default();
    for record in records_in(&snapshot, prefix) {
        let (key, mut state) = record.expect("memory can be read");
        let before = state.cells.len();
        let has_values = |siblings: &[Sibling]| matches!(siblings[0].content, Content::Value(_));
        state.cells.retain(|(field, part), siblings| !has_values(siblings) || !is_lost(design, *field, part, siblings));
        if state.cells.len() < before && state != RecordState::default() {
            batch.put(Table::Records, prefix.record(key), record_row::encode(&state));
        }
    }
    if !batch.is_empty() {
        // A disk that fails keeps it from that.
        let _ = store.engine().commit(batch, Durability::Buffered);
    }
}
