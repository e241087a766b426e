//! What must hold, each a small function: the promises of the design as far as one node can keep or break them.

use crate::{disk::Disk, ledger::Ledger, model::Model};
use std::{collections::BTreeSet, sync::Arc};
use tandem_storage::{
    Query, Reader, Store,
    engine::{Engine, MemorySnapshot, Read, Table},
    fold::{incremental::Prefix, naive},
    query::flags,
    store,
};
use tandem_wire::{Event, EventId, ListId, Value, design::Property};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The check that saw it.
    pub check: &'static str,
    /// What it saw.
    pub details: String,
}

impl Violation {
    /// As the result of a check.
    pub fn of<T>(check: &'static str, details: impl Into<String>) -> Result<T, Self> {
        Err(Self { check, details: details.into() })
    }
}

/// P1, and nothing besides: the log holds the events that were acknowledged, or whose fate a crash left open and a
/// later look found; those `in_flight`, whose answers are still to come, are there together or not at all. What was
/// refused is not there.
pub fn log_is_what_was_promised(
    ledger: &Ledger,
    kept: &BTreeSet<EventId>,
    in_flight: &BTreeSet<EventId>,
) -> Result<(), Violation> {
    let there = ledger.ids();
    if let Some(lost) = kept.difference(&there).next() {
        return Violation::of("acknowledged-is-kept", format!("event {lost:?} is not in the log"));
    }
    let others: BTreeSet<EventId> = there.difference(kept).copied().collect();
    if !others.is_empty() && others != *in_flight {
        let (found, expected) = (others.len(), in_flight.len());
        let details = format!("besides what was acknowledged there are {found} events, in flight are {expected}");
        return Violation::of("groups-are-whole", details);
    }
    Ok(())
}

/// An answer goes out when a power cut can take nothing of it any more, and the views show it.
pub fn released_is_durable_and_applied(
    durable: &Ledger,
    store: &Store<Disk>,
    released: &BTreeSet<EventId>,
) -> Result<(), Violation> {
    if let Some(volatile) = released.difference(&durable.ids()).next() {
        return Violation::of("released-is-durable", format!("a power cut would take event {volatile:?}"));
    }
    views_reflect_the_log(store, durable)
}

/// On a disk as a crash left it, before anything is mended: the log came first, so that no view speaks of what it does
/// not have.
pub fn the_log_leads(disk: &Disk, workspace: u32) -> Result<(), Violation> {
    match store::runs_beyond_the_log(disk, workspace).expect("memory can be read") {
        0 => Ok(()),
        beyond => Violation::of("the-log-leads", format!("the views reflect {beyond} runs that it does not have")),
    }
}

/// The views show the whole log and nothing beyond it.
pub fn views_reflect_the_log(store: &Store<Disk>, ledger: &Ledger) -> Result<(), Violation> {
    if store.next_arrival() == ledger.runs() {
        return Ok(());
    }
    Violation::of("views-reflect-the-log", format!("they show {} runs of {}", store.next_arrival(), ledger.runs()))
}

/// The stored views say truly how much of the log they reflect: who opens them now finds nothing to do.
pub fn opening_finds_nothing_to_do(store: &Store<Disk>) -> Result<(), Violation> {
    let disk = Arc::new(store.engine().copy());
    let opened = Store::open(disk.clone(), store.workspace()).expect("memory can be read");
    if disk.writes() > 0 {
        return Violation::of("views-are-current", "opening the views had to bring them up to the log");
    }
    same_digest("reopening-changes-nothing", store, digest_of(&opened))
}

/// P2: the views are what the specification makes of the log's events.
pub fn views_are_the_naive_fold(store: &Store<Disk>, ledger: &Ledger) -> Result<(), Violation> {
    let events: Vec<Arc<Event>> = ledger.events().cloned().collect();
    same_digest("views-are-the-naive-fold", store, naive::view(&events).digest())
}

/// P2: the views are what a rebuild from the log alone makes, and of the old ones nothing is left.
pub fn views_are_the_rebuilt_ones(store: &Store<Disk>) -> Result<(), Violation> {
    let copy = Arc::new(store.engine().copy());
    let mut rebuilt = Store::open(copy, store.workspace()).expect("memory can be read");
    rebuilt.rebuild(&mut |_| {}).expect("memory can be written");
    let bad = store.bad_index_entries().expect("memory can be read");
    if bad > 0 {
        return Violation::of("indexes-follow-the-records", format!("{bad} entries"));
    }
    same_digest("views-are-the-rebuilt-ones", store, digest_of(&rebuilt))?;
    only_one_generation(&rebuilt)
}

/// After a rebuild, no row of another generation is left.
pub fn only_one_generation(store: &Store<Disk>) -> Result<(), Violation> {
    let live = store.fold().prefix();
    let first = Prefix { generation: 0, ..live }.bytes();
    let next = Prefix { workspace: live.workspace + 1, generation: 0 }.bytes();
    for table in Table::VIEWS {
        let rows = store.engine().range(table, &first, Some(&next));
        let keys = rows.map(|row| row.expect("memory can be read").0);
        let other = keys.filter(|key| !key.starts_with(&live.bytes())).count();
        if other > 0 {
            let details = format!("{other} rows of other generations in {}", table.name());
            return Violation::of("one-generation-is-left", details);
        }
    }
    Ok(())
}

/// P1 and P3: lists, fields, records and cells show what the model says, no more and no less.
pub fn shown_is_what_the_model_says(store: &Store<Disk>, model: &Model) -> Result<(), Violation> {
    let reader = Reader::new(store.engine().snapshot(), store.views());
    let design = reader.design();
    let (lists, expected): (BTreeSet<ListId>, BTreeSet<ListId>) = (design.lists().collect(), model.lists().collect());
    if lists != expected {
        return Violation::of("shown-is-the-model", format!("lists {lists:?}, not {expected:?}"));
    }
    for (id, element) in &model.elements {
        let shown = design.elements.get(id);
        for (property, value) in &element.properties {
            let property = Property::from_number(*property).expect("one of this version");
            if shown.and_then(|shown| shown.property(property)).as_ref() != Some(value) {
                return Violation::of("shown-is-the-model", format!("{property:?} of element {id} is not {value:?}"));
            }
        }
    }
    lists.into_iter().try_for_each(|list| list_is_the_models(&reader, list, model))
}

fn list_is_the_models(reader: &Reader<MemorySnapshot>, list: ListId, model: &Model) -> Result<(), Violation> {
    let shown = reader.list(list, &Query::default()).expect("memory can be read");
    let expected: Vec<_> = model.existing(list).collect();
    let ids = shown.iter().map(|record| record.id);
    if !ids.eq(expected.iter().map(|(key, _)| key.record)) {
        let details = format!("list {list} shows {} records, not these {}", shown.len(), expected.len());
        return Violation::of("shown-is-the-model", details);
    }
    for (record, (_, expected)) in shown.iter().zip(expected) {
        let winners = record.state.cells.iter().filter_map(|(cell, siblings)| {
            siblings.first()?.value().filter(|value| *value != Value::Null).map(|value| (cell, value))
        });
        // What is not of its field's type is shown as that, where that can hold it.
        let expected = expected.shown_by(reader.design().lenses());
        if !winners.map(|(cell, value)| (cell.clone(), value)).eq(expected.cells.clone()) {
            let details = format!("record {} shows {:?}, not {:?}", record.id, record.state.cells, expected.cells);
            return Violation::of("shown-is-the-model", details);
        }
        // With one author nothing is ever concurrent: no conflicts, and no deletes that lost.
        let (flags, expected) = (flags(reader.design(), list, &record.state), model.flags(&expected));
        if flags != expected {
            return Violation::of(
                "flags-are-the-models",
                format!("record {} has {flags:?}, not {expected:?}", record.id),
            );
        }
    }
    Ok(())
}

fn same_digest(check: &'static str, store: &Store<Disk>, other: [u8; 32]) -> Result<(), Violation> {
    let own = digest_of(store);
    if own == other {
        return Ok(());
    }
    Violation::of(check, format!("{} and {}", crate::trace::short(&own), crate::trace::short(&other)))
}

fn digest_of(store: &Store<Disk>) -> [u8; 32] {
    store::digest(store.fold(), &store.engine().snapshot()).expect("memory can be read")
}
