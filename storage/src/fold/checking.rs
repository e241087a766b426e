//! What stories come to, for the rules' tests: every look compares the incremental fold with the naive one.

use super::{
    Status, View,
    incremental::{Events, Fold, LogPlace, Prefix},
    naive,
    record::RecordState,
    testing::{Ev, RECORD, World},
};
use crate::engine::{Engine, EngineError, MemoryEngine, Overlay};
use std::{collections::BTreeSet, sync::Arc};
use tandem_wire::{DeviceKey, Event, FieldId, PartPath, RecordKey, Role, Value, VersionTable};

struct Log<'a>(&'a [Arc<Event>]);

impl Events for Log<'_> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        Ok(self.0[at.arrival as usize].clone())
    }
}

/// The incremental view of these events, after they arrived in this order.
pub fn delivered(events: &[Arc<Event>], order: &[usize]) -> View {
    let snapshot = MemoryEngine::default().snapshot();
    let log = Log(events);
    let mut rows = Overlay::new(&snapshot);
    let prefix = Prefix { workspace: 1, generation: 1 };
    let mut fold = Fold::load(prefix, &rows, &log).expect("memory does not fail");
    for i in order {
        let at = LogPlace { arrival: *i as u64, index: 0 };
        fold.apply(&mut rows, &log, at, &events[*i]).expect("memory does not fail");
    }
    let view = fold.view(&rows).expect("memory does not fail");
    let listed = fold.refused(&rows, None).map(|refused| refused.expect("memory does not fail").1.event.id);
    assert_eq!(listed.collect::<BTreeSet<_>>(), view.control.refused(), "listed of refusals, in the order {order:?}");
    let loaded = Fold::load(prefix, &rows, &log).expect("memory does not fail");
    assert_eq!(loaded.view(&rows).expect("memory does not fail"), view, "loaded again");
    if let Some(table) = table_of(events, order) {
        assert_eq!(fold.version_table(), table, "delivered in the order {order:?}");
        assert_eq!(loaded.version_table(), table, "loaded again");
    }
    view
}

/// The ends of all branches, if the events came in an order in which each follows the one before it in its chain.
fn table_of(events: &[Arc<Event>], order: &[usize]) -> Option<VersionTable> {
    let mut table = VersionTable::default();
    for i in order {
        let (event, mut before) = (&events[*i], order.iter().take_while(|other| *other != i));
        if let Some(prev) = event.header().prev {
            before.find(|other| events[**other].id() == prev)?;
        }
        let is_prev = |other: &usize| events[*other].header().prev == Some(event.id());
        if !order.iter().any(is_prev) {
            table.insert(event.reference());
        }
    }
    Some(table)
}

/// What the events mean, in whatever order they come: as told, the other way round, rotated, evens first.
pub fn view(world: &World) -> View {
    let events = world.events();
    let view = naive::view(events);
    let count = events.len();
    let told: Vec<usize> = (0..count).collect();
    let back: Vec<usize> = (0..count).rev().collect();
    let rotated: Vec<usize> = (0..count).map(|i| (i + count / 2) % count).collect();
    let evens = (0..count).step_by(2).chain((1..count).step_by(2)).collect();
    for order in [told, back, rotated, evens] {
        assert_eq!(delivered(events, &order), view, "delivered in the order {order:?}");
    }
    view
}

pub fn record(view: &View) -> RecordState {
    view.records.get(&RECORD).cloned().unwrap_or_default()
}

/// The values of a cell of [`RECORD`], the winner first.
pub fn cell(view: &View, field: FieldId) -> Vec<i64> {
    cell_of(view, RECORD, field)
}

pub fn cell_of(view: &View, record: RecordKey, field: FieldId) -> Vec<i64> {
    let siblings = view.records.get(&record).and_then(|record| record.cells.get(&(field, PartPath::default())));
    siblings
        .into_iter()
        .flatten()
        .map(|sibling| match sibling.value() {
            Some(Value::Int(value)) => value,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Checks the values of a cell, the winner first.
pub fn check_cell(world: &World, field: FieldId, expect: &[i64]) {
    assert_eq!(cell(&view(world), field), expect);
}

/// What became of a valid event.
pub fn status(world: &World, event: Ev) -> Status {
    let view = view(world);
    let id = world.event(event).id();
    assert!(!view.control.held.contains(&id), "held");
    view.control.masked.get(&id).cloned().unwrap_or(Status::Live)
}

/// The role that a device was given last, as the effective changes tell it, in the order they were written.
pub fn roles(world: &World, who: DeviceKey) -> Vec<Option<Role>> {
    let view = view(world);
    let events = world.events().iter();
    let of = |event: &Arc<Event>| {
        let grants = view.control.grants.iter().filter(|grant| grant.0 == who && grant.1 == event.id());
        grants.map(|grant| grant.3).collect::<Vec<_>>()
    };
    events.flat_map(of).collect()
}
