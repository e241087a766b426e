//! What must hold among peers, each a small function.

use super::peer::Peer;
use crate::{checks::Violation, disk::Disk, model::Model, node::WORKSPACE, planted::Planted, trace::short};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_actors::{Change, Command, Committed, Refused, peer_link::Standing, workspace::Core};
use tandem_storage::{
    Store,
    engine::{Engine, Read},
    fold::record::Sibling,
    fold::{Status, incremental::EventState, naive},
    log,
    query::flags,
    store,
};
use tandem_wire::{Act, CellKey, Event, EventId, OpRef, Run, TableDigest, Target, Value};

/// What the model says that these answers leave; a broken expectation is kept in it and told by [`shown_is_the_model`].
pub(super) fn model_after(
    core: &Core<Disk>,
    before: Model,
    commands: &[Command],
    answers: &[Result<Committed, Refused>],
) -> Model {
    let role = core.store().fold().role_of(core.device());
    let mut model = before;
    for (command, answer) in commands.iter().zip(answers) {
        let needed = command.needed_role();
        let wrong = |model: &mut Model, expected: String| {
            model.wrong.get_or_insert(format!(
                "{} must be {expected}, but was {answer:?}: {command:?}",
                crate::workload::describe(command)
            ));
        };
        if role.is_none_or(|role| role < needed) && !is_authority_on(core, command) {
            if answer.as_ref().err().map(Refused::code) != Some("role") {
                wrong(&mut model, "refused as role".into());
            }
            continue;
        }
        if command.changes_the_design() && core.design_is_owned_elsewhere() {
            if answer.as_ref().err().map(Refused::code) != Some("design-owned") {
                wrong(&mut model, "refused as design-owned".into());
            }
            continue;
        }
        // What is proposed changes nothing yet.
        if command.changes_the_design() && core.proposes_designs() {
            continue;
        }
        match command {
            Command::Members(_) | Command::Discard(_) | Command::HandOn { .. } => continue,
            // It is for whoever judges or refuses to say what these leave: nothing is expected of them.
            Command::Servers(_)
            | Command::Resend(_)
            | Command::ApplyDesign(_)
            | Command::RevertDesign(_)
            | Command::AdoptStep(_)
            | Command::Rehearsed { .. } => {
                model = Model { wrong: model.wrong, ..Model::default() };
                continue;
            }
            Command::Change(_)
            | Command::CreateList { .. }
            | Command::AddFields { .. }
            | Command::CreateView { .. }
            | Command::AddChoices { .. }
            | Command::Put { .. }
            | Command::Undo(_) => {}
        }
        let made = answer.as_ref().map_or(&[][..], |done| &done.elements);
        match (model.after(command, made), answer) {
            (Err(code), Err(refused)) if refused.code() == code => {}
            // Of the design's rules the model knows nothing.
            (_, Err(refused)) if refused.code() == "rule" && has_rules(core) => {}
            (Err(code), _) => wrong(&mut model, format!("refused as {code}")),
            (Ok(after), Ok(done)) if (after == model) == done.events.is_empty() => model = after,
            // What a default showed is cleared, or the first of many.
            (Ok(after), Ok(_)) if after == model && clears_what_is_made(core, &model, command) => {}
            (Ok(after), _) => {
                let expected = if after == model { "nothing" } else { "done" };
                wrong(&mut model, expected.into());
            }
        }
    }
    model
}

fn clears_what_is_made(core: &Core<Disk>, model: &Model, command: &Command) -> bool {
    let Command::Change(transaction) = command else { return false };
    let lenses = core.store().fold().design().lenses();
    let has_elements = |cell: &CellKey| {
        let written = model.records.get(&cell.record).into_iter().flat_map(|record| record.cells.keys());
        cell.part.is_empty() && written.into_iter().any(|(field, part)| *field == cell.field && !part.is_empty())
    };
    transaction.changes.iter().any(|change| match change {
        Change::Set(cell, Value::Null) | Change::SetRaw(cell, Value::Null) | Change::Resolve(cell, Value::Null) => {
            lenses.makes_something(cell.field) || has_elements(cell)
        }
        _other => false,
    })
}

fn has_rules(core: &Core<Disk>) -> bool {
    core.store().fold().design().rules().all().next().is_some()
}

/// Whether it changes only lists that this node judges, whose server writes in them whatever its role.
fn is_authority_on(core: &Core<Disk>, command: &Command) -> bool {
    let Command::Change(transaction) = command else {
        return command.changes_the_design() && core.proposes_designs();
    };
    let fold = core.store().fold();
    let mut lists = transaction.changes.iter().map(|change| change.record().list);
    lists.all(|list| fold.is_authority_of(core.device(), Some(list)))
}

/// A group's answers were the model's, and the views now show what it says. Gives all that they show.
pub(super) fn shown_is_the_model(store: &Store<Disk>, model: &Model) -> Result<Model, Violation> {
    if let Some(wrong) = &model.wrong {
        return Violation::of("answers-are-the-models", wrong.clone());
    }
    let shown = Model::shown_by(store);
    for (key, record) in &model.records {
        let found = shown.records.get(key).cloned().unwrap_or_default();
        if !found.is_as(record, model) {
            return Violation::of("shown-is-the-model", format!("{key:?} is {found:?}, not {record:?}"));
        }
    }
    for (id, element) in &model.elements {
        let found = shown.elements.get(id);
        for (property, value) in &element.properties {
            let is = found.and_then(|found| found.properties.get(property));
            if is != Some(value) {
                return Violation::of(
                    "shown-is-the-model",
                    format!("property {property} of {id} is {is:?}, not {value:?}"),
                );
            }
        }
    }
    Ok(shown)
}

/// P1: what was acknowledged is there. What a crash left open is there whole or not at all.
/// Gives what is there.
pub(super) fn acknowledged_is_kept(peer: &Peer) -> Result<BTreeSet<EventId>, Violation> {
    let there: BTreeSet<EventId> = events(&peer.disk).iter().map(|event| event.id()).collect();
    if let Some(lost) = peer.kept.difference(&there).next() {
        return Violation::of("acknowledged-is-kept", format!("event {lost:?} is not in the log"));
    }
    let found = peer.unanswered.intersection(&there).count();
    if found != 0 && found != peer.unanswered.len() {
        return Violation::of("groups-are-whole", format!("{found} of {} events", peer.unanswered.len()));
    }
    Ok(there)
}

/// P2: equal sets of events, wherever and whenever, have the same views to the byte.
#[derive(Debug, Default)]
pub(super) struct Views(BTreeMap<TableDigest, [u8; 32]>);

impl Views {
    /// Says whether this set was seen for the first time.
    pub(super) fn compare(&mut self, store: &Store<Disk>) -> Result<bool, Violation> {
        let (table, digest) = (store.fold().version_table().digest(), digest_of(store));
        match self.0.insert(table, digest) {
            Some(before) if before != digest => {
                let details = format!("{table:?} was {} and is {}", short(&before), short(&digest));
                Violation::of("same-events-same-views", details)
            }
            before => Ok(before.is_none()),
        }
    }
}

/// P2: the views are what the specification makes of the log's events, and of a rebuild.
pub(crate) fn views_are_the_naive_fold<E: Engine>(store: &Store<E>) -> Result<(), Violation> {
    let (own, naive) = (digest_of(store), naive::view(&events(&**store.engine())).digest());
    if own == naive {
        return Ok(());
    }
    Violation::of("views-are-the-naive-fold", format!("{} and {}", short(&own), short(&naive)))
}

/// P7: nobody shows to be up to date with a peer that never had what it has itself.
pub(super) fn up_to_date_is_true(peer: &Peer, standing: Standing, other: &Peer) -> Result<(), Violation> {
    let table = peer.table().expect("up").digest();
    if standing == Standing::UpToDate && !other.had.contains(&table) {
        return Violation::of("up-to-date-is-true", format!("{table:?} was never had by the other"));
    }
    Ok(())
}

/// P3: every value that was written is shown, or kept beside what is shown, or was replaced by who had seen it, or is
/// listed as masked or held. What is invalid never was an event, and replaces nothing.
pub(crate) fn nothing_is_dropped<E: Engine>(store: &Store<E>) -> Result<(), Violation> {
    let events = events(&**store.engine());
    let snapshot = store.engine().snapshot();
    let control = store.fold().control_view(&snapshot).expect("memory can be read");
    let model = tandem_storage::fold::incremental::records_in(&snapshot, store.fold().prefix());
    let mut shown: BTreeSet<(EventId, u16)> = BTreeSet::new();
    for record in model {
        let (_, state) = record.expect("memory can be read");
        let siblings = state.cells.values().flatten().map(|sibling| (sibling.stamp.event.id, sibling.stamp.op));
        shown.extend(siblings);
    }
    let invalid = invalid(store);
    let events: Vec<_> = events.into_iter().filter(|event| !invalid.contains(&event.id())).collect();
    let replaced: BTreeSet<OpRef> =
        events.iter().flat_map(|event| event.header().ops.iter().flat_map(|op| op.preds.iter().copied())).collect();
    for event in &events {
        let listed = control.masked.contains_key(&event.id()) || control.held.contains(&event.id());
        for (index, op) in event.header().ops.iter().enumerate() {
            let is_write = matches!((&op.act, &op.target), (Act::Set, Target::Cell(_)));
            let index = index as u16;
            if is_write && !listed && !shown.contains(&(event.id(), index)) && !replaced.contains(&event.op_ref(index))
            {
                return Violation::of("nothing-is-dropped", format!("op {index} of event {:?}", event.id()));
            }
        }
    }
    Ok(())
}

/// Every index that serves queries has an entry for each record, and no other.
pub(super) fn indexes_follow_the_records(store: &Store<Disk>) -> Result<(), Violation> {
    match store.bad_index_entries().expect("memory can be read") {
        0 => Ok(()),
        bad => Violation::of("indexes-follow-the-records", format!("{bad} entries are wrong or missing")),
    }
}

/// P3: a record shows a conflict when a cell of it has siblings of several values, and only then.
pub(super) fn conflicts_are_of_values(store: &Store<Disk>, planted: Option<Planted>) -> Result<(), Violation> {
    let snapshot = store.engine().snapshot();
    for record in tandem_storage::fold::incremental::records_in(&snapshot, store.fold().prefix()) {
        let (key, state) = record.expect("memory can be read");
        let by_count = planted == Some(Planted::EqualValuesConflict) && state.cells.values().any(|cell| cell.len() > 1);
        let is_shown = by_count || flags(store.fold().design(), key.list, &state).contains(&"conflict");
        let values = |cell: &Vec<Sibling>| cell.iter().map(Sibling::value).collect::<Vec<_>>();
        let is_one = state.cells.values().map(values).any(|values| values.iter().any(|value| *value != values[0]));
        if is_shown != is_one {
            return Violation::of(
                "conflicts-are-of-values",
                format!("{key:?} shows one: {is_shown}, has one: {is_one}"),
            );
        }
    }
    Ok(())
}

/// Whether something else is at the event's place.
pub(super) fn forks(store: &Store<Disk>, event: &Event) -> bool {
    let (snapshot, header) = (store.engine().snapshot(), event.header());
    let mut others = store.fold().events_from(&snapshot, header.chain, header.seq);
    others.any(|other| other.is_ok_and(|(key, row)| key.seq == header.seq && row.id != event.id()))
}

/// Events that are here and invalid.
pub(super) fn invalid<E: Engine>(store: &Store<E>) -> BTreeSet<EventId> {
    let (snapshot, fold) = (store.engine().snapshot(), store.fold());
    let chains = fold.chains().map(|(chain, _)| *chain);
    let rows = chains.flat_map(|chain| fold.events_from(&snapshot, chain, 0).map(|row| row.expect("memory").1));
    rows.filter(|row| row.state == EventState::Invalid).map(|row| row.id).collect()
}

/// Whether something is shown again that a masked event had replaced.
pub(super) fn a_loser_came_back(store: &Store<Disk>) -> bool {
    let snapshot = store.engine().snapshot();
    let control = store.fold().control_view(&snapshot).expect("memory can be read");
    let events = events(store.engine());
    let masked = events.iter().filter(|event| control.masked.contains_key(&event.id()));
    let replaced: BTreeSet<OpRef> =
        masked.flat_map(|event| event.header().ops.iter().flat_map(|op| op.preds.clone())).collect();
    let records = tandem_storage::fold::incremental::records_in(&snapshot, store.fold().prefix());
    let mut siblings = records.flat_map(|record| {
        let (_, state) = record.expect("memory can be read");
        state.cells.into_values().flatten().map(|sibling| sibling.stamp.event.op(sibling.stamp.op)).collect::<Vec<_>>()
    });
    siblings.any(|op| replaced.contains(&op))
}

/// P5: what a removed device wrote beyond what its remover had seen is masked.
pub(super) fn removed_change_nothing(
    store: &Store<Disk>,
    removals: &[super::members::Removal],
) -> Result<u64, Violation> {
    let (events, snapshot) = (events(&**store.engine()), store.engine().snapshot());
    let control = store.fold().control_view(&snapshot).expect("memory can be read");
    let invalid = invalid(store);
    let mut late = 0;
    for removal in removals.iter().filter(|removal| store.fold().role_of(removal.device).is_none()) {
        let has_effect = control
            .grants
            .iter()
            .any(|(device, event, _, role)| *device == removal.device && role.is_none() && *event == removal.event);
        if !has_effect {
            continue;
        }
        let its_own = events.iter().filter(|event| event.header().chain.device == removal.device);
        for event in its_own.filter(|event| !invalid.contains(&event.id())) {
            let within = removal.seen.contains(&event.id()) || is_within_by_place(&events, removal.event, event);
            let masked = control.masked.get(&event.id());
            late += u64::from(!within && masked.is_some());
            let is_beyond = !within && masked.is_none_or(Status::is_live) && !control.held.contains(&event.id());
            if is_beyond && !super::verdict_checks::was_accepted_unaware(store, &events, event, removal.event) {
                return Violation::of("removed-change-nothing", format!("event {:?} is beyond the cut", event.id()));
            }
        }
    }
    Ok(late)
}

/// Rule R10, of a mark whose event nobody has any more, since every disk that had its branch was put back: what lies before
/// its place stands, whatever branch it is on.
fn is_within_by_place(events: &[Arc<Event>], removal: EventId, event: &Event) -> bool {
    let removing = events.iter().find(|other| other.id() == removal);
    let marks = removing.into_iter().flat_map(|removing| &removing.header().ops).filter_map(|op| match &op.act {
        Act::Remove(remove) => Some(&remove.cuts),
        _other => None,
    });
    let header = event.header();
    let mut of_chain = marks.flatten().map(|mark| mark.0).filter(|end| end.chain == header.chain);
    of_chain.any(|end| header.seq <= end.seq && !events.iter().any(|other| other.id() == end.id))
}

/// The events of a log.
pub(crate) fn events(disk: &impl Read) -> Vec<Arc<Event>> {
    let runs = log::runs_from(disk, WORKSPACE, 0).map(|run| run.expect("memory can be read").1);
    runs.flat_map(|bytes| Run::decode_trusted(&bytes).expect("it was verified").into_events())
        .map(Arc::new)
        .collect::<Vec<_>>()
        .into_iter()
        .scan(BTreeSet::new(), |seen, event| Some((seen.insert(event.id()), event)))
        .filter(|(is_new, _)| *is_new)
        .map(|(_, event)| event)
        .collect()
}

fn digest_of<E: Engine>(store: &Store<E>) -> [u8; 32] {
    store::digest(store.fold(), &store.engine().snapshot()).expect("memory can be read")
}
