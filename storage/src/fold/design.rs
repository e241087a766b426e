//! Stage 4: the design that is current (rule R11).

use super::{ControlEvent, Members, Past, Standings, Status, Terms, control_order};
use crate::{EngineError, design_rule::DesignRules, lens::Lenses};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::OnceLock,
};
use tandem_wire::{
    Act, ChainId, DesignDigest, DesignProposed, ElementId, Event, EventId, EventRef, EventTag, FieldId, ListId, Mark,
    OpRef, Rehearsed, Value,
    design::{ElementKind, FieldType, Property},
};

/// Lists, fields, views, forms and rules as they are now, with what did not make it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Design {
    /// Every element ever defined, dropped ones included.
    pub elements: BTreeMap<ElementId, Element>,
    /// Steps that no longer applied: losing proposals.
    pub losing: BTreeSet<OpRef>,
    /// What authorities proposed.
    pub proposals: BTreeMap<OpRef, Proposal>,
    #[serde(skip)]
    made: Made,
}

/// What is made of a design's elements when it is first asked for. Follows from the rest: a copy, which may be changed, makes
/// its own.
#[derive(Debug, Default)]
struct Made {
    lenses: OnceLock<Lenses>,
    rules: OnceLock<DesignRules>,
}

impl Clone for Made {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Made {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Made {}

/// One element of a design.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Element {
    /// See [`ElementKind`]; kept as a number, since later versions know more kinds.
    pub kind: u16,
    /// The list of a field …
    pub parent: Option<ElementId>,
    /// The op that defined it.
    pub by: OpRef,
    /// Its properties by number.
    pub properties: BTreeMap<u16, PropertyValue>,
}

/// The present value of a property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PropertyValue {
    /// Canonical bytes of a [`Value`]; none where the payload is absent.
    pub value: Option<Vec<u8>>,
    /// The op that put it.
    pub by: OpRef,
}

/// How far a proposed design has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The event op that made it current.
    pub merged: Option<OpRef>,
    /// Rehearsals that failed.
    pub failed: BTreeSet<OpRef>,
}

/// The control events that a design is made of.
#[derive(Default)]
pub struct Parts<'a> {
    /// What counts by itself, in its order.
    live: Vec<&'a ControlEvent>,
    /// What an authority refused: a proposal may take it after all.
    refused: Vec<&'a ControlEvent>,
}

impl<'a> Parts<'a> {
    /// Of events in their order.
    pub fn of(
        ordered: impl IntoIterator<Item = &'a ControlEvent>,
        status: impl Fn(&ControlEvent) -> Result<Status, EngineError>,
    ) -> Result<Self, EngineError> {
        let mut parts = Self::default();
        for c in ordered {
            match status(c)? {
                Status::Live => parts.live.push(c),
                Status::Refused(_) => parts.refused.push(c),
                Status::NotAllowed | Status::Cut(_) => {}
            }
        }
        Ok(parts)
    }

    /// The event that made a proposal, and what it says.
    fn proposing(&self, proposal: &OpRef) -> Option<(&'a ControlEvent, &'a DesignProposed)> {
        let event = self.live.iter().find(|c| c.event.op_ref(proposal.op) == *proposal)?;
        match &event.event.header().ops.get(usize::from(proposal.op))?.act {
            Act::DesignProposed(proposed) => Some((event, proposed)),
            _something_else => None,
        }
    }

    /// The events of a proposal's steps, itself last: its authority's own, and what was refused of others, whom it had seen.
    fn steps_of(&self, proposing: &'a ControlEvent, proposed: &DesignProposed) -> Vec<&'a ControlEvent> {
        let own = |c: &&&ControlEvent| c.event.header().chain.device == proposing.event.header().chain.device;
        let find = |step: &EventRef| {
            let is_it = |c: &&&'a ControlEvent| c.event.id() == step.id;
            let refused = || self.refused.iter().find(is_it).filter(|_| proposing.past.contains(&step.id));
            self.live.iter().filter(own).find(is_it).or_else(refused).copied()
        };
        proposed.steps.iter().filter_map(find).chain([proposing]).collect()
    }
}

/// What a step of the design takes its right from.
#[derive(Clone, Copy)]
enum Step<'a> {
    /// A designer's: loses against what it had not seen.
    Seen(&'a Past),
    /// A merged proposal's: the server wins.
    Merged,
}

impl Design {
    /// Rule R11 over all valid control events and their status.
    pub fn resolve(
        control: &[ControlEvent],
        terms: &Terms,
        members: &Members,
        standings: &impl Standings,
        status: impl Fn(&ControlEvent) -> Result<Status, EngineError>,
    ) -> Result<Self, EngineError> {
        let mut design = Self::default();
        let mut failures: Vec<(&ControlEvent, &Rehearsed)> = Vec::new();
        let ordered = control_order(control, members, standings)?;
        let parts = Parts::of(ordered, status)?;
        for c in &parts.live {
            let device = c.event.header().chain.device;
            let of_authority = terms.is_bound_at(device, &c.past) && !terms.is_owner_at(device, c.event.id(), &c.past);
            for (index, op) in c.event.header().ops.iter().enumerate() {
                let here = c.event.op_ref(index as u16);
                match &op.act {
                    Act::Define(_) | Act::Put(_) if of_authority => {}
                    Act::Define(_) | Act::Put(_) => design.apply(c, index, Step::Seen(&c.past)),
                    Act::DesignProposed(proposed) => {
                        let by_its_authority = terms
                            .find(&proposed.term)
                            .is_some_and(|term| term.chain().device == c.event.header().chain.device);
                        if by_its_authority && of_authority {
                            design.proposals.insert(here, Proposal::default());
                        }
                    }
                    Act::DesignFailed(rehearsed) => {
                        if let Some(proposal) = design.proposals.get_mut(&rehearsed.proposal) {
                            proposal.failed.insert(here);
                            failures.push((c, rehearsed));
                        }
                    }
                    Act::DesignMerged(rehearsed) => design.merge(here, c, rehearsed, &failures, &parts),
                    _not_about_designs => {}
                }
            }
        }
        Ok(design)
    }

    /// The first valid merge of a proposal makes its steps current, unless a newer one of the same authority is current.
    fn merge(
        &mut self,
        here: OpRef,
        c: &ControlEvent,
        rehearsed: &Rehearsed,
        failures: &[(&ControlEvent, &Rehearsed)],
        parts: &Parts<'_>,
    ) {
        let is_passed_over = self.newer_than(&rehearsed.proposal).any(|(_, newer)| newer.merged.is_some());
        let Some(proposal) = self.proposals.get_mut(&rehearsed.proposal).filter(|_| !is_passed_over) else { return };
        let Some((proposing, proposed)) = parts.proposing(&rehearsed.proposal) else { return };
        let by_authority = proposing.event.header().chain.device == c.event.header().chain.device;
        let voided = failures
            .iter()
            .any(|(failure, failed)| failed.proposal == rehearsed.proposal && c.past.contains(&failure.event.id()));
        let rehearsed_enough = covers(&rehearsed.covers, &proposed.table);
        if proposal.merged.is_some() || (!by_authority && (voided || !rehearsed_enough)) {
            return;
        }
        proposal.merged = Some(here);
        self.apply_steps(parts.steps_of(proposing, proposed));
    }

    /// Makes the steps of a proposal current.
    fn apply_steps<'c>(&mut self, steps: impl IntoIterator<Item = &'c ControlEvent>) {
        for c in steps {
            for (index, op) in c.event.header().ops.iter().enumerate() {
                if matches!(op.act, Act::Define(_) | Act::Put(_)) {
                    self.apply(c, index, Step::Merged);
                }
            }
        }
    }

    /// This design with a proposal's steps in it, whether it may be merged or not; nothing for what is no proposal.
    pub fn with_proposal(&self, proposal: &OpRef, parts: &Parts<'_>) -> Option<Self> {
        let (event, proposed) = parts.proposing(proposal).filter(|_| self.proposals.contains_key(proposal))?;
        Some(self.with_steps(parts.steps_of(event, proposed)))
    }

    /// This design with these steps in it.
    #[must_use]
    pub fn with_steps<'c>(&self, steps: impl IntoIterator<Item = &'c ControlEvent>) -> Self {
        let mut design = self.clone();
        design.apply_steps(steps);
        design
    }

    fn apply(&mut self, c: &ControlEvent, index: usize, step: Step<'_>) {
        let by = c.event.op_ref(index as u16);
        let applied = match &c.event.header().ops[index].act {
            Act::Define(define) => {
                let id = ElementId::defined_by(c.event.id(), index as u16);
                let parent_known = define.parent.is_none_or(|parent| self.elements.contains_key(&parent));
                if parent_known {
                    let (kind, parent, properties) = (define.kind, define.parent, BTreeMap::new());
                    self.elements.entry(id).or_insert(Element { kind, parent, by, properties });
                }
                parent_known
            }
            Act::Put(put) => match self.elements.get_mut(&put.element) {
                Some(element) => {
                    let before = element.properties.get(&put.property);
                    let has_seen_it = match step {
                        Step::Merged => true,
                        Step::Seen(past) => {
                            before.is_none_or(|before| has_seen(past, before.by.tag) || before.by.tag == by.tag)
                        }
                    };
                    if has_seen_it {
                        let value = c.event.body(index).map(<[u8]>::to_vec);
                        element.properties.insert(put.property, PropertyValue { value, by });
                    }
                    has_seen_it
                }
                None => false,
            },
            _not_a_step => return,
        };
        if !applied {
            self.losing.insert(by);
        }
    }

    /// What the authority of a proposal proposed after it.
    pub fn newer_than(&self, proposal: &OpRef) -> impl Iterator<Item = (&OpRef, &Proposal)> {
        let after = self.proposals.range((Bound::Excluded(*proposal), Bound::Unbounded));
        after.take_while(move |(newer, _)| newer.chain == proposal.chain)
    }

    /// The newest proposal of each authority.
    pub fn newest_proposals(&self) -> impl Iterator<Item = OpRef> + use<> {
        let mut newest: BTreeMap<ChainId, OpRef> = BTreeMap::new();
        for proposal in self.proposals.keys() {
            let last = newest.entry(proposal.chain).or_insert(*proposal);
            *last = (*last).max(*proposal);
        }
        newest.into_values()
    }

    /// One that nobody proposed, of these elements.
    pub fn of(elements: BTreeMap<ElementId, Element>) -> Self {
        Self { elements, ..Self::default() }
    }

    /// A name for exactly this design.
    pub fn digest(&self) -> DesignDigest {
        let bytes = postcard::to_allocvec(self).expect("a vector takes all bytes");
        DesignDigest(*blake3::hash(&bytes).as_bytes().first_chunk().expect("32 bytes"))
    }

    /// The lists that are not dropped, by id, in the order of their definition's id.
    pub fn lists(&self) -> impl Iterator<Item = ListId> + '_ {
        self.elements
            .iter()
            .filter(|(_, element)| element.kind == ElementKind::List.number() && !element.is_dropped())
            .map(|(id, _)| id.as_list())
    }

    /// Whether there is such a list, not dropped.
    pub fn has_list(&self, list: ListId) -> bool {
        let list = self.elements.get(&list.into());
        list.is_some_and(|element| element.kind == ElementKind::List.number() && !element.is_dropped())
    }

    /// Whether a list has such a field, not dropped.
    pub fn has_field(&self, list: ListId, field: FieldId) -> bool {
        let is_of_list = |element: &Element| {
            element.kind == ElementKind::Field.number() && element.parent == Some(list.into()) && !element.is_dropped()
        };
        self.elements.get(&field.into()).is_some_and(is_of_list)
    }

    /// The fields of a list that are not dropped, in their order.
    pub fn fields(&self, list: ListId) -> Vec<FieldId> {
        self.children(list.into(), ElementKind::Field).map(|id| id.as_field()).collect()
    }

    /// The forms of a list that are not dropped, in their order.
    pub fn forms(&self, list: ListId) -> Vec<ElementId> {
        self.children(list.into(), ElementKind::Form).collect()
    }

    /// The choices of a field that are not dropped, in their order.
    pub fn choices(&self, field: FieldId) -> Vec<ElementId> {
        self.children(field.into(), ElementKind::Choice).collect()
    }

    fn children(&self, parent: ElementId, kind: ElementKind) -> impl Iterator<Item = ElementId> {
        let mut children: Vec<(Option<Value>, ElementId)> = self
            .elements
            .iter()
            .filter(|(_, element)| {
                element.kind == kind.number() && element.parent == Some(parent) && !element.is_dropped()
            })
            .map(|(id, element)| (element.property(Property::Order), *id))
            .collect();
        let order = |value: &Option<Value>| match value {
            Some(Value::Rank(rank)) => rank.clone(),
            _unordered => vec![0xff],
        };
        children.sort_by_cached_key(|(value, id)| (order(value), *id));
        children.into_iter().map(|(_, id)| id)
    }

    /// The name of an element; empty where it has none.
    pub fn name(&self, element: impl Into<ElementId>) -> String {
        match self.elements.get(&element.into()).and_then(|element| element.property(Property::Name)) {
            Some(Value::Text(name)) => name,
            _unnamed => String::new(),
        }
    }

    /// What its fields show of what was written into them. Whoever changes the elements does so before this is asked for.
    pub fn lenses(&self) -> &Lenses {
        self.made.lenses.get_or_init(|| Lenses::of(self))
    }

    /// Its rules, ready to run. As for [`Design::lenses`].
    pub fn rules(&self) -> &DesignRules {
        self.made.rules.get_or_init(|| DesignRules::of(self))
    }

    /// The type of a field, where it has one that this version knows.
    pub fn field_type(&self, field: FieldId) -> Option<FieldType> {
        FieldType::from_value(&self.elements.get(&field.into())?.property(Property::Type)?)
    }
}

impl Element {
    /// The value of a property.
    pub fn property(&self, property: Property) -> Option<Value> {
        let value = self.properties.get(&property.number())?.value.as_ref()?;
        Some(Value::decode(value).expect("bodies were checked"))
    }

    /// Whether it is dropped.
    pub fn is_dropped(&self) -> bool {
        self.property(Property::Dropped) == Some(Value::Bool(true))
    }
}

/// Whether an event changes the design.
pub fn takes_a_step(event: &Event) -> bool {
    event.header().ops.iter().any(|op| matches!(op.act, Act::Define(_) | Act::Put(_)))
}

/// The elements that an event defines.
pub fn defined_by(event: &Event) -> impl Iterator<Item = ElementId> {
    let ops = event.header().ops.iter().enumerate().filter(|(_, op)| matches!(op.act, Act::Define(_)));
    ops.map(|(index, _)| ElementId::defined_by(event.id(), index as u16))
}

/// Whether the event whose id starts like this is in a past.
fn has_seen(past: &Past, tag: EventTag) -> bool {
    past.range(EventId::least_with(tag)..).next().is_some_and(|id| id.tag() == tag)
}

/// Whether a table reaches at least as far as another one.
fn covers(table: &[Mark], other: &[Mark]) -> bool {
    other.iter().all(|Mark(end)| table.iter().any(|Mark(own)| own.chain == end.chain && own.seq >= end.seq))
}

#[cfg(test)]
mod tests;
