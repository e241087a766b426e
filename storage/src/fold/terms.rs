//! Stage 1: who owns the workspace, and which authorities the owner has bound (rules R3 and R7).

use super::{Chains, ControlEvent, Past, is_beyond, standing::lists_of};
use crate::EngineError;
use std::collections::BTreeSet;
use tandem_wire::{
    Act, Bind, BindingMode, ChainId, DeviceKey, Event, EventId, GenesisText, ListId, Mark, OpRef, Scope,
};

/// Owners and terms, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The workspace's and its first member's name.
    pub genesis: Option<GenesisText>,
    /// The device that founded the workspace, then each that it was handed to.
    pub owners: Vec<Owner>,
    /// The founder, and every device that one of these handed the workspace to, with effect or not.
    pub heirs: BTreeSet<DeviceKey>,
    /// Effective bindings; of two that would bind one list at a time, the first.
    pub terms: Vec<Term>,
}

/// One owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its device.
    pub device: DeviceKey,
    /// The event that made it the owner.
    pub since: EventId,
    /// What that event had seen.
    pub past: Past,
}

/// One binding of one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The op that made it: the term's name.
    pub binding: OpRef,
    /// That op's event.
    pub event: EventId,
    /// What that event had seen.
    pub past: Past,
    /// Authority, scope, mode, and the data that is not judged.
    pub bind: Bind,
    /// Events that ended it, and up to where its verdicts stand.
    pub ends: Vec<(EventId, Option<Mark>)>,
}

impl Terms {
    /// Rule R3, stage 1, over all valid control events.
    pub fn resolve(control: &[ControlEvent]) -> Self {
        let mut by_lamport: Vec<&ControlEvent> = control.iter().collect();
        by_lamport.sort_by_key(|c| (c.event.header().lamport, c.event.id()));
        let mut terms = Self::default();
        terms.resolve_owners(&by_lamport);
        for c in by_lamport {
            if terms.is_owner_at(c.event.header().chain.device, c.event.id(), &c.past) {
                terms.bind(c);
            }
        }
        terms
    }

    fn resolve_owners(&mut self, by_lamport: &[&ControlEvent]) {
        let genesis = by_lamport.iter().find(|c| matches!(c.event.header().ops[0].act, Act::Genesis(_)));
        let Some(genesis) = genesis else { return };
        let device = genesis.event.header().chain.device;
        let first = Owner { device, since: genesis.event.id(), past: genesis.past.clone() };
        self.genesis = genesis.event.body(0).and_then(|body| postcard::from_bytes(body).ok());
        self.owners = vec![first];
        while let Some(next) = by_lamport.iter().find_map(|c| self.hand_over(c)) {
            self.owners.push(next);
        }
        // In one pass: who hands over what it was handed had seen that.
        self.heirs = BTreeSet::from([device]);
        for c in by_lamport.iter().filter(|c| c.event.header().chain.is_control()) {
            if self.heirs.contains(&c.event.header().chain.device) {
                self.heirs.extend(handed_to(&c.event));
            }
        }
    }

    /// The next owner, if this event of the present one makes it.
    fn hand_over(&self, c: &ControlEvent) -> Option<Owner> {
        let present = self.owners.last().expect("founded");
        let begun = self.owners.len() == 1 || c.past.contains(&present.since);
        let by_present = c.event.header().chain.device == present.device && begun;
        let to = handed_to(&c.event).find(|to| *to != present.device)?;
        by_present.then(|| Owner { device: to, since: c.event.id(), past: c.past.clone() })
    }

    /// Whether `device` was the owner at its event `id`, which had seen `past`.
    ///
    /// A former owner was it only where the hand-over tells: at control events that this had seen, so that backdating
    /// gains nothing.
    pub fn is_owner_at(&self, device: DeviceKey, id: EventId, past: &BTreeSet<EventId>) -> bool {
        self.owners.iter().enumerate().any(|(i, owner)| {
            let begun = i == 0 || past.contains(&owner.since);
            let not_ended = self.owners.get(i + 1).is_none_or(|next| next.since == id || next.past.contains(&id));
            owner.device == device && begun && not_ended
        })
    }

    /// Whether `device` is the owner as far as `past` tells.
    pub fn is_owner_in(&self, device: DeviceKey, past: &BTreeSet<EventId>) -> bool {
        let mut latest_first = self.owners.iter().enumerate().rev();
        let known = latest_first.find(|(i, owner)| *i == 0 || past.contains(&owner.since));
        known.is_some_and(|(_, owner)| owner.device == device)
    }

    /// The present owner.
    pub fn owner(&self) -> Option<DeviceKey> {
        self.owners.last().map(|owner| owner.device)
    }

    fn bind(&mut self, c: &ControlEvent) {
        for (index, op) in c.event.header().ops.iter().enumerate() {
            match &op.act {
                Act::Unbind(end) => self.end(end.binding, c.event.id(), end.at),
                Act::Bind(bind) => {
                    for end in &bind.ends {
                        self.end(end.binding, c.event.id(), end.at);
                    }
                    let taken = self.terms.iter().any(|term| {
                        term.ends.is_empty()
                            && term.bind.mode == BindingMode::Binding
                            && bind.mode == BindingMode::Binding
                            && overlap(&term.bind.scope, &bind.scope)
                    });
                    if !taken {
                        self.terms.push(Term {
                            binding: c.event.op_ref(index as u16),
                            event: c.event.id(),
                            past: c.past.clone(),
                            bind: *bind.clone(),
                            ends: Vec::new(),
                        });
                    }
                }
                _other => {}
            }
        }
    }

    fn end(&mut self, binding: OpRef, by: EventId, at: Option<Mark>) {
        for term in self.terms.iter_mut().filter(|term| term.binding == binding) {
            term.ends.push((by, at));
        }
    }

    /// The term with this name.
    pub fn find(&self, binding: &OpRef) -> Option<&Term> {
        self.terms.iter().find(|term| term.binding == *binding)
    }

    /// Whether `device`, at an event that had seen `past`, was the binding authority of all `lists`
    /// (none: of the whole workspace).
    pub fn is_authority_at(&self, device: DeviceKey, past: &BTreeSet<EventId>, lists: &BTreeSet<ListId>) -> bool {
        let holds = |term: &Term, list: Option<ListId>| {
            term.bind.authority.device == device
                && term.bind.mode == BindingMode::Binding
                && term.covers(list)
                && past.contains(&term.event)
                && !term.ends.iter().any(|(end, _)| past.contains(end))
        };
        let covered = |list| self.terms.iter().any(|term| holds(term, list));
        if lists.is_empty() { covered(None) } else { lists.iter().all(|list| covered(Some(*list))) }
    }

    /// Whether `device` was bound to anything at an event that had seen `past`.
    pub fn is_bound_at(&self, device: DeviceKey, past: &BTreeSet<EventId>) -> bool {
        self.terms.iter().any(|term| {
            term.bind.authority.device == device
                && past.contains(&term.event)
                && !term.ends.iter().any(|(end, _)| past.contains(end))
        })
    }
}

impl Term {
    /// Whether it judges events of `list` (none: events that are about no list).
    pub fn covers(&self, list: Option<ListId>) -> bool {
        match (&self.bind.scope, list) {
            (Scope::Workspace, _) => true,
            (Scope::Lists(lists), Some(list)) => lists.contains(&list),
            (Scope::Lists(_), None) => false,
        }
    }

    /// Whether it judges anything of this event.
    pub fn concerns(&self, event: &Event) -> bool {
        let lists = lists_of(event);
        if lists.is_empty() { self.covers(None) } else { lists.iter().any(|list| self.covers(Some(*list))) }
    }

    /// Whether it never judges this event, which its binder had seen.
    pub fn exempts(&self, event: &Event, chains: &impl Chains) -> Result<bool, EngineError> {
        let header = event.header();
        if header.chain.is_control() {
            return Ok(self.past.contains(&event.id()) || self.event == event.id());
        }
        Ok(!is_beyond(header.chain, header.seq, event.id(), &self.bind.seen, chains)?)
    }

    /// Whether the end of the term leaves standing what its chain said at this event.
    pub fn stands_at(&self, seq: u64, verdict: EventId, chains: &impl Chains) -> Result<bool, EngineError> {
        for (_, at) in &self.ends {
            let within = match at {
                Some(mark) if mark.0.chain == self.bind.authority => chains.is_within(seq, verdict, mark)?,
                Some(_) | None => false,
            };
            if !within {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The chain that its verdicts are in.
    pub fn chain(&self) -> ChainId {
        self.bind.authority
    }
}

fn handed_to(event: &Event) -> impl Iterator<Item = DeviceKey> + '_ {
    event.header().ops.iter().filter_map(|op| match &op.act {
        Act::HandOver(to) => Some(**to),
        _other => None,
    })
}

fn overlap(a: &Scope, b: &Scope) -> bool {
    match (a, b) {
        (Scope::Workspace, _) | (_, Scope::Workspace) => true,
        (Scope::Lists(a), Scope::Lists(b)) => a.iter().any(|list| b.contains(list)),
    }
}

#[cfg(test)]
mod tests;
