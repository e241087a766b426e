//! What nodes do with designs when they are broken on purpose.

use crate::{disk::Disk, planted::Planted};
use tandem_actors::{Change, Command};
use tandem_storage::{
    Store,
    engine::{Batch, Durability, Engine, Read, Table, prefix_end},
    fold::{
        Design, RecordState,
        incremental::{Archive, records_in},
        record::{Content, Sibling},
    },
    index::Index,
    lens::is_raw,
    log::LogReader,
    outbox, record_row,
};
use tandem_wire::{DeviceKey, FieldId, PartPath};

/// Has a node that took a new design lose what that cannot hold, or does not have any more.
pub(super) fn lose(planted: Planted, store: &Store<Disk>) {
    let design = store.fold().design();
    let is_lost: fn(&Design, FieldId, &PartPath, &[Sibling]) -> bool = match planted {
        Planted::RawLost => |design, field, part, siblings| {
            let value = siblings[0].value().map(|value| design.lenses().value_at(field, part, &value));
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

/// The disk without the records that this device has changed and that no server has judged yet.
pub(super) fn without_pending(store: &Store<Disk>, device: DeviceKey) -> Disk {
    let (fold, snapshot) = (store.fold(), store.engine().snapshot());
    let log = LogReader::new(&snapshot, store.workspace());
    let disk = store.engine().copy();
    let mut batch = Batch::default();
    for term in fold.present_terms() {
        let waiting = outbox::waiting(fold, &snapshot, &log, term, device).expect("memory can be read");
        let archive = Archive::new(fold, &snapshot, &log);
        for event in waiting {
            let entry = archive.event_of(&event.op(0)).expect("memory can be read");
            let ops = entry.iter().flat_map(|entry| &entry.event.header().ops);
            for record in ops.filter_map(|op| op.target.record()) {
                batch.delete(Table::Records, fold.prefix().record(record));
            }
        }
    }
    disk.commit(batch, Durability::Buffered).expect("memory can be written");
    disk
}

/// Gives these indexes the entries of those that they are to take the place of.
pub(super) fn keep_old_entries(store: &Store<Disk>, made: &[Index]) {
    let (engine, prefix) = (store.engine(), store.fold().prefix());
    let mut batch = Batch::default();
    for index in made {
        let old = store.views().indexes;
        let is_of_it =
            |old: &&Index| (old.definition.list, &old.definition.by) == (index.definition.list, &index.definition.by);
        let Some(old) = old.iter().find(is_of_it) else { continue };
        let entries = |index: &Index| {
            let start = index.prefix(prefix);
            let all = engine.range(Table::Index, &start, prefix_end(&start).as_deref());
            all.map(|pair| pair.expect("memory can be read")).collect::<Vec<_>>()
        };
        entries(index).into_iter().for_each(|(key, _)| batch.delete(Table::Index, key.to_vec()));
        for (key, columns) in entries(old) {
            let start = index.prefix(prefix);
            batch.put(Table::Index, [&start[..], &key[start.len()..]].concat(), columns.to_vec());
        }
    }
    // A disk that fails keeps it from that.
    let _ = engine.commit(batch, Durability::Buffered);
}

/// The command with whole fields in the place of their parts.
pub(super) fn whole(store: &Store<Disk>, command: &Command) -> Command {
    let Command::Change(transaction) = command else { return command.clone() };
    let lenses = store.fold().design().lenses();
    let mut transaction = transaction.clone();
    for change in &mut transaction.changes {
        if let Change::Set(cell, _) | Change::SetRaw(cell, _) = change
            && let [source] = lenses.reads(cell.field)[..]
        {
            cell.field = source;
        }
    }
    Command::Change(transaction)
}
