//! What whoever judges asks of the fold.

use super::{EventKey, EventRow, EventState, Events, Fold, range, read::Lookup, rows::JudgedRow};
use crate::{
    engine::{EngineError, Read},
    fold::{Status, standing::is_never_judged, terms::Term},
};
use tandem_wire::{BindingMode, ChainId, DeviceKey, Event, ListId, OpRef, Outcome, Role};

impl Fold {
    /// What a term's verdict on an event is, the first if it gave several; whether that counts is another question.
    pub fn verdict_of<R: Read>(&self, rows: &R, event: EventKey, term: &OpRef) -> Result<Option<Outcome>, EngineError> {
        let mut first: Option<JudgedRow> = None;
        if !EventRow::get(rows, self.prefix, event)?.is_some_and(|row| row.is_judged) {
            return Ok(None);
        }
        for pair in range(rows, self.prefix.judged(event)) {
            let (key, row) = pair?;
            let row = JudgedRow::of(&key, &row);
            if row.term == *term && first.as_ref().is_none_or(|first| row.place < first.place) {
                first = Some(row);
            }
        }
        Ok(first.map(|row| row.outcome))
    }

    /// Whether a term never judges an event, because its binder had seen it.
    pub fn is_exempt<R: Read, E: Events>(
        &self,
        rows: &R,
        events: &E,
        term: &Term,
        event: &Event,
    ) -> Result<bool, EngineError> {
        term.exempts(event, &Lookup { fold: self, rows, events })
    }

    /// Whether an event's chain has forked at its place or before. What its binder had seen there is known only as far as
    /// the other branches have come: an event that was exempt may come to be judged after those that follow it.
    pub fn is_on_a_branch(&self, event: &Event) -> bool {
        let header = event.header();
        self.first_fork(header.chain).is_some_and(|fork| header.seq >= fork)
    }

    /// Whether nobody judges a valid event: verdicts, and what the owner decides about the workspace.
    pub fn is_never_judged(&self, event: &Event, row: &EventRow) -> bool {
        let EventState::Valid { past, .. } = row.state else { return false };
        is_never_judged(event, &self.past(past), &self.terms)
    }

    /// Why a valid event takes no part, or that it does.
    pub fn status<R: Read, E: Events>(
        &self,
        rows: &R,
        events: &E,
        event: &Event,
        row: &EventRow,
    ) -> Result<Status, EngineError> {
        let EventState::Valid { past, .. } = row.state else { unreachable!("only valid events have one") };
        Lookup { fold: self, rows, events }.status_of(event, &self.past(past))
    }

    /// The role of a device at a valid event's place.
    pub fn role_at(&self, event: &Event, row: &EventRow) -> Option<Role> {
        let EventState::Valid { past, .. } = row.state else { return None };
        self.members.role_at(event.header().chain.device, &self.past(past))
    }

    /// Where a chain first forked, if it did.
    pub fn first_fork(&self, chain: ChainId) -> Option<u64> {
        self.chains.get(&chain)?.first_fork
    }

    /// The terms under which something of an event is judged now, oldest first.
    pub fn present_terms(&self) -> impl Iterator<Item = &Term> {
        self.terms.terms.iter().filter(|term| term.ends.is_empty())
    }

    /// Whether the authority of a term said two things about one event, or forked its chain: what it says from there on counts
    /// for nothing.
    pub fn is_at_fault(&self, term: &OpRef) -> bool {
        self.stops.contains_key(term)
    }

    /// Whether a device is an authority now, binding or a mirror, of anything.
    pub fn is_authority(&self, device: DeviceKey) -> bool {
        self.present_terms().any(|term| term.chain().device == device)
    }

    /// Whether a device gets what is written from now on: a member's, or an authority's.
    pub fn takes_part(&self, device: DeviceKey) -> bool {
        self.role_of(device).is_some() || self.is_authority(device)
    }

    /// Whether a device is the binding authority of a list now; with no list, of the whole workspace.
    pub fn is_authority_of(&self, device: DeviceKey, list: Option<ListId>) -> bool {
        let binds = |term: &&Term| term.bind.mode == BindingMode::Binding;
        self.present_terms().filter(binds).any(|term| term.chain().device == device && term.covers(list))
    }
}
