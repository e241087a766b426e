//! The control plane resolved anew, and which older events that concerns.

use super::{
    EventKey, EventRow, EventState, Events, Fold, Work, range,
    read::Lookup,
    rows::{Kind, op_bytes},
};
use crate::{
    engine::{EngineError, Read},
    fold::{ControlEvent, Design, Members, Terms, design::Parts},
};
use std::{collections::BTreeSet, sync::Arc};
use tandem_wire::{Act, DesignProposed, DeviceKey, Event, EventId, Mark, OpRef};

impl Fold {
    /// Stages 1 to 4 again; `new` is what changed them. Adds to `again` every older event to be looked at again.
    pub(super) fn control_changed<R: Read, E: Events>(
        &mut self,
        work: &mut Work<'_, '_, R, E>,
        new: &[&Event],
        again: &mut BTreeSet<EventKey>,
    ) -> Result<(), EngineError> {
        let (terms, members, stops) = (self.terms.clone(), self.members.clone(), self.stops.clone());
        let before = self.clone();
        self.resolve(&work.lookup(&before))?;
        let terms_differ = !extends(&terms, &self.terms);
        if terms_differ {
            self.add_events(work, |_| true, again)?;
            return Ok(());
        }
        for (term, stop) in &self.stops {
            if stops.get(term) != Some(stop) {
                again.extend(self.judged_from(work, term, *stop)?);
            }
        }
        let ids: BTreeSet<EventId> = new.iter().map(|event| event.id()).collect();
        let mut concerned = concerned(&members, &self.members, &ids);
        let naming = new.iter().filter(|event| self.names_a_branch(event));
        concerned.extend(naming.map(|event| event.header().chain.device));
        self.add_events(work, |device| concerned.contains(&device), again)
    }

    /// Whether the event is the end of a branch by which somebody cut its chain: now that it is known, the mark
    /// leaves standing what is on that branch, no longer all that is not beyond its place.
    pub(super) fn names_a_branch(&self, event: &Event) -> bool {
        let chain = event.header().chain;
        let mark = Mark(event.reference());
        let cuts = self.members.cuts.get(&chain.device).into_iter().flatten().flat_map(|cut| &cut.marks);
        let seen = self.terms.terms.iter().flat_map(|term| &term.bind.seen);
        let is_forked = self.chains.get(&chain).is_some_and(|chain| chain.first_fork.is_some());
        is_forked && cuts.chain(seen).any(|named| *named == mark)
    }

    /// Stages 1 to 4 over the control events in memory. `rows` may look through an older state of this fold.
    pub(super) fn resolve<R: Read, E: Events>(&mut self, rows: &Lookup<'_, R, E>) -> Result<(), EngineError> {
        self.terms = Arc::new(Terms::resolve(&self.control));
        self.stops.clear();
        for term in &self.terms.terms {
            let contradiction = rows.stop_of(op_bytes(&term.binding))?;
            let fork = self.chains.get(&term.chain()).and_then(|chain| chain.first_fork);
            if let Some(stop) = contradiction.into_iter().chain(fork.map(|seq| (seq, 0))).min() {
                self.stops.insert(term.binding, stop);
            }
        }
        let at_hand = self.clone();
        let lookup = Lookup { fold: &at_hand, rows: rows.rows, events: rows.events };
        self.members = Arc::new(Members::resolve(&self.control, &self.terms, &lookup, &lookup)?);
        let at_hand = self.clone();
        let lookup = Lookup { fold: &at_hand, rows: rows.rows, events: rows.events };
        let status = |c: &crate::fold::ControlEvent| lookup.status_of(&c.event, &c.past);
        self.design = Arc::new(Design::resolve(&self.control, &self.terms, &self.members, &lookup, status)?);
        self.design_digest = self.design.digest();
        Ok(())
    }

    /// The design as it would be with a proposal in it; nothing for what is no proposal.
    pub fn design_with<R: Read, E: Events>(
        &self,
        proposal: &OpRef,
        rows: &R,
        events: &E,
    ) -> Result<Option<Design>, EngineError> {
        let lookup = Lookup { fold: self, rows, events };
        let parts = Parts::of(&self.control, |c| lookup.status_of(&c.event, &c.past))?;
        Ok(self.design.with_proposal(proposal, &parts))
    }

    /// What a proposal says.
    pub fn proposed(&self, proposal: &OpRef) -> Option<&DesignProposed> {
        let event = self.control.iter().find(|c| c.event.op_ref(proposal.op) == *proposal)?;
        match &event.event.header().ops.get(usize::from(proposal.op))?.act {
            Act::DesignProposed(proposed) => Some(proposed),
            _something_else => None,
        }
    }

    /// The design as it was before a control event: without that, and without all that had seen it; nothing where there
    /// is no such event.
    pub fn design_before<R: Read, E: Events>(
        &self,
        event: EventId,
        rows: &R,
        events: &E,
    ) -> Result<Option<Design>, EngineError> {
        if self.control.iter().all(|control| control.event.id() != event) {
            return Ok(None);
        }
        let is_later = |control: &&ControlEvent| control.event.id() == event || control.past.contains(&event);
        let earlier: Vec<ControlEvent> = self.control.iter().filter(|control| !is_later(control)).cloned().collect();
        let lookup = Lookup { fold: self, rows, events };
        // Refused and cut as they are by now.
        let status = |c: &ControlEvent| lookup.status_of(&c.event, &c.past);
        Design::resolve(&earlier, &self.terms, &self.members, &lookup, status).map(Some)
    }

    /// Adds every event of the chosen devices that was looked at before.
    fn add_events<R: Read, E>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        chosen: impl Fn(DeviceKey) -> bool,
        again: &mut BTreeSet<EventKey>,
    ) -> Result<(), EngineError> {
        for (_, row) in self.chains.iter().filter(|(chain, _)| chosen(chain.device)) {
            for pair in range(work.rows, self.prefix.events_of(row.number)) {
                let (key, value) = pair?;
                let row = EventRow::decode(&value);
                if matches!(row.state, EventState::Valid { last: Some(_), .. }) {
                    again.insert(EventKey::at_end_of(&key));
                }
            }
        }
        Ok(())
    }

    /// The events that a term's verdicts from `stop` on are about.
    fn judged_from<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        term: &tandem_wire::OpRef,
        stop: (u64, u16),
    ) -> Result<Vec<EventKey>, EngineError> {
        let start = self.prefix.term(Kind::Verdict, term);
        let skip = start.len();
        let mut judged = Vec::new();
        for pair in range(work.rows, start) {
            let (key, giver) = pair?;
            let (seq, rest) = key[skip..].split_first_chunk().expect("keys are our own");
            let (op, _) = rest.split_first_chunk().expect("keys are our own");
            let op = u16::from_be_bytes(*op);
            if (u64::from_be_bytes(*seq), op) >= stop {
                let lookup = work.lookup(self);
                let given = lookup.event(EventKey::at_end_of(&giver))?;
                let Act::Verdict(verdict) = &given.header().ops[usize::from(op)].act else { unreachable!("a verdict") };
                judged.extend(self.judged_by(&lookup, verdict)?);
            }
        }
        Ok(judged)
    }
}

/// Whether the new terms are the old ones and perhaps more: then no older event is concerned, since an author or a
/// verdict on it needs to have seen the term.
fn extends(old: &Terms, new: &Terms) -> bool {
    new.owners == old.owners && new.terms.starts_with(&old.terms)
}

/// The devices whose rights at older events may have changed: not those that only gained something by new events, which
/// no older event had seen.
fn concerned(old: &Members, new: &Members, events: &BTreeSet<EventId>) -> BTreeSet<DeviceKey> {
    let devices: BTreeSet<DeviceKey> =
        old.grants.keys().chain(new.grants.keys()).chain(new.cuts.keys()).chain(old.cuts.keys()).copied().collect();
    let older = |members: &Members, device: &DeviceKey| {
        let grants = members.grants.get(device).into_iter().flatten().filter(|grant| !events.contains(&grant.event));
        grants.map(|grant| (grant.key, grant.event, grant.role)).collect::<BTreeSet<_>>()
    };
    let differs =
        |device: &DeviceKey| older(old, device) != older(new, device) || old.cuts.get(device) != new.cuts.get(device);
    devices.into_iter().filter(differs).collect()
}
