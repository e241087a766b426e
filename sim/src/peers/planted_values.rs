//! Faults with values that have parts, and with servers' names, put in on purpose: see [`Planted`].

use crate::{
    disk::Disk,
    planted::{self, Planted},
};
use tandem_actors::{Change, Command, authority::Vocabulary};
use tandem_storage::{
    Store,
    composite::{self, cells_of, decompose, reads},
    engine::{Batch, Durability, Engine, Read, Table, prefix_end},
    fold::{
        RecordState,
        record::{Content, Sibling},
    },
    lens::Choices,
    record_row,
};
use tandem_wire::{CellKey, PartPath, Value, design::BaseType};

/// The command as a node with this fault understands it.
pub(super) fn misread(planted: Planted, store: &Store<Disk>, words: &Vocabulary, command: &Command) -> Command {
    match (command, planted) {
        (Command::ApplyDesign(file), Planted::AliasLeaks) => {
            let (design, mut file) = (store.fold().design(), file.clone());
            for list in design.lists() {
                let Some(own) = words.lists.get(&list) else { continue };
                let Some(spec) = file.lists.iter_mut().find(|spec| spec.name == design.name(list)) else { continue };
                for (field, words) in &own.fields {
                    let plain = design.name(*field);
                    for spec in spec.fields.iter_mut().filter(|spec| spec.name == plain) {
                        (spec.was, spec.name) = (Some(spec.name.clone()), words.name.clone());
                    }
                }
            }
            Command::ApplyDesign(file)
        }
        (Command::Change(transaction), _) => {
            let mut transaction = transaction.clone();
            transaction.changes =
                transaction.changes.iter().flat_map(|it| misread_change(planted, store, it)).collect();
            Command::Change(transaction)
        }
        (other, _) => other.clone(),
    }
}

fn misread_change(planted: Planted, store: &Store<Disk>, change: &Change) -> Vec<Change> {
    let as_it_is = vec![change.clone()];
    let Change::SetText { cell, text, .. } = change else { return as_it_is };
    let Some(ty) = store.fold().design().field_type(cell.field) else { return as_it_is };
    let Some(base) = ty.base() else { return as_it_is };
    let says = |text: String| vec![Change::SetText { cell: cell.clone(), text, keep_raw: true }];
    match planted {
        Planted::DisplayNameWrittenBack if base == BaseType::User && !ty.many => match text.split_once('@') {
            Some((named, _)) => says(named.to_owned()),
            None => as_it_is,
        },
        Planted::UnknownNormalised if !ty.many => match composite::of(base) {
            Some(composite) if reads(base, text) => {
                let parts = decompose(composite, text).parts;
                says(composite.write(&parts, "").unwrap_or_default())
            }
            Some(_) => says(text.trim().replace(";#", "; ")),
            None => as_it_is,
        },
        Planted::ElementLost if ty.many => {
            let key = store.fold().prefix().record(cell.record);
            let row = store.engine().get(Table::Records, &key).expect("memory can be read");
            let state = row.map_or_else(RecordState::default, |row| record_row::decode(&row));
            let own = state.cells.range((cell.field, PartPath::default())..);
            let own = own.take_while(|((of, _), _)| *of == cell.field);
            let present = own.filter_map(|((_, part), siblings)| Some((part.clone(), siblings[0].value()?))).collect();
            // Everybody's first new one is the first.
            let mut count = 0;
            let fresh = || {
                count += 1;
                [0, 0, 0, 0, 0, count]
            };
            let cells = cells_of(&ty, &Choices::default(), &present, text, fresh);
            cells.into_iter().map(|(part, value)| Change::SetRaw(CellKey { part, ..cell.clone() }, value)).collect()
        }
        _elsewhere => as_it_is,
    }
}

/// Of an atom that several wrote at once, the number of one and the rest of another.
pub(crate) fn mixed(batch: &Batch) -> Batch {
    planted::with_records(batch, |_, state| {
        for siblings in state.cells.values_mut() {
            let [first, second, ..] = &mut siblings[..] else { continue };
            let (Some((_, rest)), Some((number, _))) = (pair(first), pair(second)) else { continue };
            first.content = Content::Value(Value::Text(format!("{number};#{rest}")).encode());
        }
    })
}

fn pair(sibling: &Sibling) -> Option<(String, String)> {
    let Some(Value::Text(text)) = sibling.value() else { return None };
    text.split_once(";#").map(|(number, rest)| (number.to_owned(), rest.to_owned()))
}

/// Gives the indexes by parts the entries back that they had on this disk.
pub(super) fn keep_entries(before: &Disk, store: &Store<Disk>) {
    let (engine, prefix) = (store.engine(), store.fold().prefix());
    let mut batch = Batch::default();
    for index in store.views().indexes.iter().filter(|index| !index.definition.by.1.is_empty()) {
        let start = index.prefix(prefix);
        let entries = |disk: &Disk| {
            let all = disk.range(Table::Index, &start, prefix_end(&start).as_deref());
            all.map(|pair| pair.expect("memory can be read")).collect::<Vec<_>>()
        };
        entries(engine).into_iter().for_each(|(key, _)| batch.delete(Table::Index, key.to_vec()));
        entries(before).into_iter().for_each(|(key, columns)| batch.put(Table::Index, key.to_vec(), columns.to_vec()));
    }
    if !batch.is_empty() {
        // A disk that fails keeps it from that.
        let _ = engine.commit(batch, Durability::Buffered);
    }
}
