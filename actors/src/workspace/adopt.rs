//! A member's change of the design, which was refused, is taken into it after all: the authority proposes it.
//!
//! Elements have the ids that the event gave them which defined them, so that the refused event itself becomes a step of
//! the proposal: what members wrote under its field means the same field then, and is sent again ([`Core::retry`]).
//!
//! [`Core::retry`]: super::Core::retry

use super::{
    compose::{Decided, Draft},
    designs::{base, propose, proposing_term},
};
use crate::command::{Committed, Refused};
use std::collections::BTreeSet;
use tandem_storage::{
    EngineError,
    design_file::check,
    engine::Read,
    fold::{
        ControlEvent, Design, Status,
        design::{defined_by, takes_a_step},
        incremental::Archive,
    },
};
use tandem_wire::{Act, ElementId, Event, EventId};

pub(super) fn adopt<R: Read>(draft: &mut Draft<'_, R>, event: EventId) -> Decided {
    let Some(term) = proposing_term(&draft.fold, draft.device()) else { return Ok(Err(Refused::NotTheServer)) };
    let fold = draft.fold.clone();
    let Some(chosen) = fold.control().find(|control| control.event.id() == event) else {
        return Ok(Err(Refused::UnknownEvent(event)));
    };
    if !takes_a_step(&chosen.event) {
        return Ok(Err(Refused::NoStep(event)));
    }
    let refused = refused_steps(draft, fold.control())?;
    if refused.iter().all(|control| control.event.id() != event) {
        return Ok(Err(Refused::NotRefused(event)));
    }
    let (design, before) = base(draft)?;
    let steps = with_what_it_needs(chosen, &refused, &design);
    let next = design.with_steps(steps.iter().copied());
    if next == design {
        return Ok(Ok(Committed::default()));
    }
    let faults = check(&next);
    if !faults.is_empty() {
        return Ok(Err(Refused::Design(faults)));
    }
    let named = before.into_iter().chain(steps.iter().map(|step| step.event.reference())).collect();
    let proposal = propose(draft, term, named)?;
    Ok(proposal.map(|made| Committed { made: Some(made), ..Committed::default() }))
}

fn refused_steps<'c, R: Read>(
    draft: &Draft<'_, R>,
    control: impl Iterator<Item = &'c ControlEvent>,
) -> Result<Vec<&'c ControlEvent>, EngineError> {
    let archive = Archive::new(&draft.fold, &draft.rows, &draft.log);
    let mut refused = Vec::new();
    for control in control.filter(|control| takes_a_step(&control.event)) {
        if matches!(archive.status(control.event.id())?, Status::Refused(_)) {
            refused.push(control);
        }
    }
    Ok(refused)
}

/// A step, with those that define what it is about, and what its author put on the elements that are new with it.
fn with_what_it_needs<'c>(
    chosen: &'c ControlEvent,
    refused: &[&'c ControlEvent],
    design: &Design,
) -> Vec<&'c ControlEvent> {
    let device = chosen.event.header().chain.device;
    let missing = |event: &Event| -> BTreeSet<ElementId> {
        let mut elements = elements_of(event);
        elements.retain(|element| !design.elements.contains_key(element));
        elements
    };
    let (mut steps, mut new) = (vec![chosen], missing(&chosen.event));
    loop {
        let belongs = |control: &&&ControlEvent| {
            let (event, is_new) = (&control.event, |element: &ElementId| new.contains(element));
            let is_there = steps.iter().any(|step| step.event.id() == event.id());
            let is_his = event.header().chain.device == device;
            !is_there && (defined_by(event).any(|it| is_new(&it)) || is_his && missing(event).iter().any(is_new))
        };
        let more: Vec<&ControlEvent> = refused.iter().filter(belongs).copied().collect();
        if more.is_empty() {
            // As a proposal names them.
            steps.sort_unstable_by_key(|step| step.event.reference());
            return steps;
        }
        new.extend(more.iter().flat_map(|control| missing(&control.event)));
        steps.extend(more);
    }
}

/// The elements that an event defines, their parents, and those that it puts something on.
fn elements_of(event: &Event) -> BTreeSet<ElementId> {
    let named = event.header().ops.iter().filter_map(|op| match &op.act {
        Act::Define(define) => define.parent,
        Act::Put(put) => Some(put.element),
        _not_a_step => None,
    });
    defined_by(event).chain(named).collect()
}
