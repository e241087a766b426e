//! What must hold where somebody judges, each a small function.
//!
//! They read the log: which events there are, what each had seen, and which verdicts were given. What the views make of
//! that must be what the rules of refusals say.

use super::checks;
use crate::{checks::Violation, disk::Disk};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_storage::{
    Store,
    engine::Engine,
    fold::{ControlView, RecordState, incremental::records_in, naive, record::Content},
    query::Reader,
};
use tandem_wire::{
    Act, BindingMode, DeviceKey, ElementId, Event, EventId, FieldId, OpRef, Outcome, PartPath, RecordKey, RefusalCode,
    Target, Value, design::Property,
};

/// A verdict on one event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) term: OpRef,
    pub(super) outcome: Outcome,
    /// The event that it is in, and its place in the authority's chain.
    pub(super) by: EventId,
    place: (u64, u16),
}

/// Everything that a node has, looked through once.
pub(super) struct Found<'a> {
    store: &'a Store<Disk>,
    /// The valid events.
    events: BTreeMap<EventId, Arc<Event>>,
    control: ControlView,
    /// By event: the verdicts on it.
    pub(super) verdicts: BTreeMap<EventId, Vec<Given>>,
    records: BTreeMap<RecordKey, RecordState>,
    /// Servers that lie.
    liars: BTreeSet<DeviceKey>,
}

impl<'a> Found<'a> {
    pub(super) fn of(store: &'a Store<Disk>) -> Self {
        let snapshot = store.engine().snapshot();
        let control = store.fold().control_view(&snapshot).expect("memory can be read");
        let invalid = checks::invalid(store);
        let events = checks::events(&**store.engine()).into_iter();
        let is_valid = |event: &Arc<Event>| !invalid.contains(&event.id()) && !control.held.contains(&event.id());
        let events: BTreeMap<_, _> = events.filter(is_valid).map(|event| (event.id(), event)).collect();
        let verdicts = verdicts(store, &events);
        let records = records_in(&snapshot, store.fold().prefix()).map(|record| record.expect("memory can be read"));
        let records = records.collect();
        Self { store, events, control, verdicts, records, liars: BTreeSet::new() }
    }

    /// The same, where these servers lie.
    pub(super) fn with_liars(self, liars: BTreeSet<DeviceKey>) -> Self {
        Self { liars, ..self }
    }

    /// Everything at once.
    pub(super) fn check(&self) -> Result<(), Violation> {
        self.one_verdict_an_event()?;
        self.everything_is_judged()?;
        self.refused_change_nothing()?;
        self.shown_is_what_is_live()?;
        self.unique_have_one_holder()?;
        self.acceptance_changes_no_winner()
    }

    /// R7: one verdict an event and term. An authority whose disk was put back may contradict itself.
    fn one_verdict_an_event(&self) -> Result<(), Violation> {
        for (event, given) in &self.verdicts {
            let mut terms = BTreeSet::new();
            let is_honest = |given: &&Given| !self.liars.contains(&given.term_chain(self).device);
            let second = given.iter().filter(is_honest).find(|given| !terms.insert(given.term));
            if let Some(second) = second.filter(|second| self.store.fold().fork_of(second.term_chain(self)).is_none()) {
                return Violation::of("one-verdict-an-event", format!("{event:?} has two of {:?}", second.term));
            }
        }
        Ok(())
    }

    /// Everything that a present term is about has its verdict.
    fn everything_is_judged(&self) -> Result<(), Violation> {
        let (fold, snapshot) = (self.store.fold(), self.store.engine().snapshot());
        let log = tandem_storage::log::LogReader::new(&snapshot, self.store.workspace());
        for term in fold.present_terms() {
            for event in self.events.values() {
                let header = event.header();
                let is_data = header.ops.iter().any(|op| op.target.record().is_some());
                let is_own = header.chain.device == term.chain().device;
                let is_judged = || {
                    let given = self.verdicts.get(&event.id()).into_iter().flatten();
                    given.into_iter().any(|given| given.term == term.binding)
                };
                if is_data && !is_own && term.concerns(event) && !is_judged() {
                    let is_exempt = fold.is_exempt(&snapshot, &log, term, event).expect("memory can be read");
                    if !is_exempt {
                        return Violation::of("everything-is-judged", format!("{:?} is not", event.reference()));
                    }
                }
            }
        }
        Ok(())
    }

    fn refused(&self) -> impl Iterator<Item = EventId> + '_ {
        self.control.masked.iter().filter(|(_, status)| status.is_refused()).map(|(event, _)| *event)
    }

    /// The steps that merged proposals name.
    fn adopted(&self) -> BTreeSet<EventId> {
        let proposals = self.control.design.proposals.iter().filter(|(_, state)| state.merged.is_some());
        let steps = proposals.flat_map(|(proposal, _)| {
            let events = self.events.values().filter(|event| event.op_ref(proposal.op) == *proposal);
            events.flat_map(|event| match &event.header().ops[usize::from(proposal.op)].act {
                Act::DesignProposed(proposed) => proposed.steps.clone(),
                _other => Vec::new(),
            })
        });
        steps.map(|step| step.id).collect()
    }

    /// R7: nothing that a binding authority refused shows anywhere, in records or in the design, where no merged proposal
    /// took it in after all.
    fn refused_change_nothing(&self) -> Result<(), Violation> {
        let refused: BTreeSet<EventId> = self.refused().collect();
        for (key, state) in &self.records {
            let edits = state.creates.iter().chain(&state.restores).map(|edit| edit.stamp);
            let siblings = state.cells.values().flatten().map(|sibling| sibling.stamp);
            let stamps = edits.chain(siblings).chain(state.deletes.iter().map(|removal| removal.stamp));
            if let Some(stamp) = stamps.into_iter().find(|stamp| refused.contains(&stamp.event.id)) {
                return Violation::of("refused-change-nothing", format!("{:?} shows in {key:?}", stamp.event));
            }
        }
        let adopted = self.adopted();
        let places: BTreeSet<_> = refused.difference(&adopted).map(|id| self.events[id].op_ref(0)).collect();
        for (id, element) in &self.control.design.elements {
            let by = element.properties.values().map(|property| property.by).chain([element.by]);
            if by.into_iter().any(|op| places.contains(&OpRef { op: 0, ..op })) {
                return Violation::of("refused-change-nothing", format!("element {id:?} shows one"));
            }
        }
        Ok(())
    }

    /// R4, anew and by hand: a cell has the live values that no live op replaced, directly or through what is not live. A
    /// record is made by a live create, and by nothing else.
    fn shown_is_what_is_live(&self) -> Result<(), Violation> {
        let mut values: BTreeMap<RecordKey, BTreeSet<(EventId, u16)>> = BTreeMap::new();
        let mut made = BTreeSet::new();
        let mut replaced = BTreeSet::new();
        let by_place: BTreeMap<OpRef, (&Arc<Event>, u16)> = self
            .events
            .values()
            .flat_map(|event| (0..event.header().ops.len() as u16).map(move |op| (event.op_ref(op), (event, op))))
            .collect();
        let is_live = |event: &Event| !self.control.masked.contains_key(&event.id());
        for event in self.events.values().filter(|event| is_live(event)) {
            for (index, op) in event.header().ops.iter().enumerate() {
                match (&op.act, &op.target) {
                    (Act::Create, Target::Record(record)) => drop(made.insert(*record)),
                    (Act::Set, Target::Cell(cell)) => {
                        values.entry(cell.record).or_default().insert((event.id(), index as u16));
                        let mut walk = op.preds.clone();
                        while let Some((before, op)) = walk.pop().and_then(|pred| by_place.get(&pred)) {
                            match is_live(before) {
                                true => drop(replaced.insert((before.id(), *op))),
                                false => walk.extend(&before.header().ops[usize::from(*op)].preds),
                            }
                        }
                    }
                    _neither => {}
                }
            }
        }
        let keys: BTreeSet<RecordKey> = self.records.keys().chain(values.keys()).chain(&made).copied().collect();
        for key in keys {
            let state = self.records.get(&key).cloned().unwrap_or_default();
            let shown = state.cells.values().flatten().map(|sibling| (sibling.stamp.event.id, sibling.stamp.op));
            let shown: BTreeSet<(EventId, u16)> = shown.collect();
            let expected: BTreeSet<_> =
                values.get(&key).into_iter().flatten().filter(|op| !replaced.contains(op)).copied().collect();
            if shown != expected {
                return Violation::of("shown-is-what-is-live", format!("{key:?} has {shown:?}, not {expected:?}"));
            }
            if state.creates.is_empty() == made.contains(&key) {
                let details = format!("{key:?} is made: {}", made.contains(&key));
                return Violation::of("shown-is-what-is-live", details);
            }
        }
        Ok(())
    }

    /// R9: of what one term accepted since a field is unique, no two records show the same in it.
    fn unique_have_one_holder(&self) -> Result<(), Violation> {
        for (field, since) in self.unique() {
            let mut holders: BTreeMap<(OpRef, Vec<u8>), RecordKey> = BTreeMap::new();
            for (key, state) in self.records.iter().filter(|(_, state)| state.exists()) {
                // A value at another depth than the field's, or of another type, is not what is shown there.
                let mut state = state.clone();
                self.control.design.lenses().show_state(key.list, &mut state);
                let Some(siblings) = state.cells.get(&(field, PartPath::default())) else { continue };
                let Content::Value(value) = &siblings[0].content else { continue };
                let Some(term) = self.accepted_by(*key, siblings[0].stamp.event.id, &since) else { continue };
                if *value == Value::Null.encode() {
                    continue;
                }
                if let Some(other) = holders.insert((term, value.clone()), *key) {
                    return Violation::of("unique-have-one-holder", format!("{other:?} and {key:?} in {field:?}"));
                }
            }
        }
        Ok(())
    }

    /// Unique fields, with what had seen that they are, where nobody ever said otherwise meanwhile.
    fn unique(&self) -> Vec<(FieldId, BTreeSet<EventId>)> {
        let is_put = |event: &Arc<Event>, element: ElementId| {
            event.header().ops.iter().any(|op| match &op.act {
                Act::Put(put) => put.element == element && put.property == Property::Unique.number(),
                _other => false,
            })
        };
        let mut unique = Vec::new();
        for (id, element) in &self.control.design.elements {
            if element.property(Property::Unique) != Some(Value::Bool(true)) || element.is_dropped() {
                continue;
            }
            let by = element.properties[&Property::Unique.number()].by;
            let puts: Vec<&Arc<Event>> = self.events.values().filter(|event| is_put(event, *id)).collect();
            let Some(by) = puts.iter().find(|event| event.op_ref(by.op) == by) else { continue };
            // What is proposed holds from its merge on.
            let of_it = |proposal: &OpRef| by.op_ref(proposal.op) == *proposal;
            let proposals = self.control.design.proposals.iter();
            let merged = proposals.filter(|(proposal, _)| of_it(proposal)).find_map(|(_, state)| state.merged);
            let merge = merged.and_then(|merge| self.events.values().find(|event| event.op_ref(merge.op) == merge));
            if puts.iter().all(|other| descendants(&self.events, other.id()).contains(&by.id())) {
                unique.push((id.as_field(), descendants(&self.events, merge.unwrap_or(by).id())));
            }
        }
        unique
    }

    /// The term that accepted everything live on a record, if one did, and whose verdict on this event had seen so much.
    fn accepted_by(&self, record: RecordKey, event: EventId, since: &BTreeSet<EventId>) -> Option<OpRef> {
        let accepts = |event: &EventId| {
            let given = self.verdicts.get(event).into_iter().flatten();
            given.filter(|given| given.outcome == Outcome::Accept && self.binds(given))
        };
        let first = accepts(&event).find(|given| since.contains(&given.by))?;
        let on_it = self.events.values().filter(|event| {
            let mut ops = event.header().ops.iter();
            self.is_live(&event.id()) && ops.any(|op| op.target.record() == Some(record))
        });
        let is_all = |event: &Arc<Event>| accepts(&event.id()).any(|given| given.term == first.term);
        on_it.into_iter().all(is_all).then_some(first.term)
    }

    /// Whether it is of a binding authority that never contradicted itself.
    fn binds(&self, given: &Given) -> bool {
        let term = self.store.fold().terms().find(&given.term);
        term.is_some_and(|term| {
            let is_honest = !self.liars.contains(&term.chain().device);
            term.bind.mode == BindingMode::Binding && is_honest && self.store.fold().fork_of(term.chain()).is_none()
        })
    }

    fn is_live(&self, event: &EventId) -> bool {
        !self.control.masked.contains_key(event)
    }

    /// R5: without what an authority accepted last, the specification has the same winners, but for what was cut.
    fn acceptance_changes_no_winner(&self) -> Result<(), Violation> {
        let mut left = self.events.clone();
        loop {
            let named: BTreeSet<EventId> = left
                .values()
                .flat_map(|event| event.header().prev.into_iter().chain(event.header().deps.iter().map(|dep| dep.id)))
                .collect();
            let is_accept = |act: &Act| matches!(act, Act::Verdict(verdict) if verdict.outcome == Outcome::Accept);
            let before = left.len();
            left.retain(|id, event| named.contains(id) || !event.header().ops.iter().all(|op| is_accept(&op.act)));
            if left.len() == before {
                break;
            }
        }
        if left.len() == self.events.len() {
            return Ok(());
        }
        let without = naive::view(&left.values().cloned().collect::<Vec<_>>());
        let is_other =
            |event: &&Arc<Event>| without.control.masked.get(&event.id()) != self.control.masked.get(&event.id());
        let others = left.values().filter(is_other).flat_map(|event| &event.header().ops);
        let excepted: BTreeSet<RecordKey> = others.filter_map(|op| op.target.record()).collect();
        let winners = |state: &RecordState| -> Vec<_> {
            state.cells.iter().map(|(cell, siblings)| (cell.clone(), siblings[0].stamp)).collect()
        };
        for (key, state) in self.records.iter().filter(|(key, _)| !excepted.contains(key)) {
            if without.records.get(key).map(winners).unwrap_or_default() != winners(state) {
                return Violation::of("acceptance-changes-no-winner", format!("{key:?}"));
            }
        }
        Ok(())
    }

    /// P4: the inbox of a node that has the same lists what was refused and answered by nobody, with the reason.
    pub(super) fn refusals_are_listed(&self, store: &Store<Disk>) -> Result<(), Violation> {
        let reader = Reader::new(store.engine().snapshot(), store.views());
        let listed = reader.refusals(None, usize::MAX).expect("memory can be read");
        let ids: BTreeSet<EventId> = listed.iter().map(|refusal| refusal.refused.event.id).collect();
        let expected = self.refused_by_the_log();
        if ids.len() != listed.len() || ids != expected {
            let (more, fewer): (Vec<_>, Vec<_>) =
                (ids.difference(&expected).collect(), expected.difference(&ids).collect());
            let details = format!("{more:?} are listed, and {fewer:?} are not");
            return Violation::of("refusals-are-listed", details);
        }
        for refusal in &listed {
            let has_reason =
                refusal.refused.verdicts.iter().all(|by| by.text.as_ref().is_some_and(|text| !text.message.is_empty()));
            if refusal.refused.verdicts.is_empty() || !has_reason {
                return Violation::of("refusals-are-listed", format!("{:?} has no reason", refusal.refused.event));
            }
        }
        Ok(())
    }

    /// What the list must have, by the verdicts and answers in the log.
    fn refused_by_the_log(&self) -> BTreeSet<EventId> {
        let refused: BTreeSet<EventId> = self.refused().collect();
        let mut answered = BTreeSet::new();
        for (id, event) in &self.events {
            if self.is_live(id) || refused.contains(id) {
                answered.extend(event.header().resubmits.map(|masked| masked.id));
            }
            let device = event.header().chain.device;
            for op in event.header().ops.iter().filter(|_| self.is_live(id)) {
                match &op.act {
                    Act::Discard(event) => answered.extend([event.id]),
                    Act::DesignProposed(proposed) => {
                        let others = proposed.steps.iter().filter(|step| step.chain.device != device);
                        answered.extend(others.map(|step| step.id));
                    }
                    _other => {}
                }
            }
        }
        let by_mirrors = self.control.mirrored.keys().copied();
        refused.iter().copied().chain(by_mirrors).filter(|event| !answered.contains(event)).collect()
    }

    /// What mirrors refused.
    pub(super) fn mirrored(&self) -> &BTreeMap<EventId, BTreeSet<(OpRef, RefusalCode)>> {
        &self.control.mirrored
    }

    /// Live events that an ended term refused.
    pub(super) fn refused_by_ended_terms(&self) -> BTreeMap<EventId, BTreeSet<(OpRef, RefusalCode)>> {
        let mut refused: BTreeMap<EventId, BTreeSet<(OpRef, RefusalCode)>> = BTreeMap::new();
        for (id, given) in self.verdicts.iter().filter(|(id, _)| !self.control.masked.contains_key(id)) {
            for given in given {
                let Outcome::Refuse(code) = given.outcome else { continue };
                let term = self.store.fold().terms().find(&given.term).expect("of its term");
                if term.bind.mode == BindingMode::Binding && !term.ends.is_empty() {
                    let op = self.events[&given.by].op_ref(given.place.1);
                    refused.entry(*id).or_default().insert((op, code));
                }
            }
        }
        refused
    }

    /// How many events are refused, and the names of what there is among the refusals.
    pub(super) fn marks(&self) -> (u64, BTreeSet<&'static str>) {
        let mut marks = BTreeSet::new();
        let mut refused = 0;
        for given in self.verdicts.values().flatten() {
            let Outcome::Refuse(code) = given.outcome else { continue };
            refused += 1;
            marks.extend(mark_of(code));
        }
        if !self.control.mirrored.is_empty() {
            marks.insert("mirror-refusal");
        }
        if !self.control.handed.is_empty() {
            marks.insert("handed-on");
        }
        for (id, event) in self.events.iter().filter(|(id, _)| !self.control.masked.contains_key(id)) {
            let was_accepted =
                self.verdicts.get(id).into_iter().flatten().any(|given| given.outcome == Outcome::Accept);
            if event.header().resubmits.is_some() && was_accepted {
                marks.insert("resent-accepted");
            }
            if event.header().ops.iter().any(|op| matches!(op.act, Act::Discard(_))) {
                marks.insert("discarded");
            }
        }
        let mut cells = self.records.values().flat_map(|state| state.cells.values());
        // An earlier edit, by the clock, stands above a later one: a server wrote it.
        if cells.any(|siblings| siblings.windows(2).any(|pair| pair[0].rank > pair[1].rank)) {
            marks.insert("server-wins");
        }
        (refused, marks)
    }
}

impl Given {
    fn term_chain(&self, found: &Found<'_>) -> tandem_wire::ChainId {
        found.events[&self.by].header().chain
    }
}

fn mark_of(code: RefusalCode) -> Option<&'static str> {
    Some(match code {
        RefusalCode::RULE => "refused-by-rule",
        RefusalCode::RULE_FAILED => "rule-failed",
        RefusalCode::ROLE => "refused-by-role",
        RefusalCode::NOT_A_MEMBER => "refused-no-member",
        RefusalCode::CUT => "refused-cut",
        RefusalCode::EQUIVOCATION => "equivocation",
        RefusalCode::TYPE => "refused-type",
        RefusalCode::REQUIRED => "refused-required",
        RefusalCode::RANGE => "refused-range",
        RefusalCode::PATTERN => "refused-pattern",
        RefusalCode::UNIQUE_TAKEN => "unique-taken",
        RefusalCode::STALE => "stale-refused",
        RefusalCode::DEPENDS_ON_REFUSED => "depends-on-refused",
        RefusalCode::ALREADY_RESENT => "already-resent",
        RefusalCode::OTHER_AUTHORITY => "refused-by-another",
        _others => return None,
    })
}

/// The verdicts of terms that were bound, from the chains that they bind.
fn verdicts(store: &Store<Disk>, events: &BTreeMap<EventId, Arc<Event>>) -> BTreeMap<EventId, Vec<Given>> {
    let mut verdicts: BTreeMap<EventId, Vec<Given>> = BTreeMap::new();
    for (by, event) in events {
        for (index, op) in event.header().ops.iter().enumerate() {
            let Act::Verdict(verdict) = &op.act else { continue };
            let is_of_its_term =
                store.fold().terms().find(&verdict.term).is_some_and(|term| term.chain() == event.header().chain);
            if !is_of_its_term {
                continue;
            }
            let place = (event.header().seq, index as u16);
            let given = Given { term: verdict.term, outcome: verdict.outcome, by: *by, place };
            let mut at = events.get(&verdict.last.id);
            for _ in 0..verdict.count {
                let Some(judged) = at else { break };
                verdicts.entry(judged.id()).or_default().push(given);
                at = judged.header().prev.and_then(|id| events.get(&id));
            }
        }
    }
    verdicts.values_mut().for_each(|given| given.sort_by_key(|given| given.place));
    verdicts
}

/// R10: what comes after a cut stands where a binding authority accepted it that did not know of the removal.
pub(super) fn was_accepted_unaware(
    store: &Store<Disk>,
    events: &[Arc<Event>],
    event: &Event,
    removal: EventId,
) -> bool {
    let by_id: BTreeMap<EventId, Arc<Event>> = events.iter().map(|event| (event.id(), event.clone())).collect();
    let given = verdicts(store, &by_id).remove(&event.id()).unwrap_or_default();
    let is_binding =
        |term: &OpRef| store.fold().terms().find(term).is_some_and(|term| term.bind.mode == BindingMode::Binding);
    let accepts = given.iter().filter(|given| given.outcome == Outcome::Accept && is_binding(&given.term));
    let knew = descendants(&by_id, removal);
    accepts.into_iter().any(|given| !knew.contains(&given.by))
}

/// An event and everything that had seen it.
fn descendants(events: &BTreeMap<EventId, Arc<Event>>, of: EventId) -> BTreeSet<EventId> {
    let mut by_lamport: Vec<&Arc<Event>> = events.values().collect();
    by_lamport.sort_by_key(|event| event.header().lamport);
    let mut found = BTreeSet::from([of]);
    for event in by_lamport {
        let header = event.header();
        if header.prev.iter().chain(header.deps.iter().map(|dep| &dep.id)).any(|id| found.contains(id)) {
            found.insert(event.id());
        }
    }
    found
}
