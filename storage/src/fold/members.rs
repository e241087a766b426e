//! Stage 3: who was a member in which role, where, and what cuts mask (rules R3 and R10).

use super::{Chains, ControlEvent, Past, Standing, Terms, VerdictPlace, control_order, is_beyond, status::needed_role};
use crate::EngineError;
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{Act, Admit, AdmitText, DeviceKey, Event, EventId, Mark, MemberId, OpRef, Role, Signature};

/// The key of concurrent control ops: accepted ones in the authority's order, then by seniority, lamport, id, op.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ControlKey {
    /// Age of the accepting term and place of its verdict; the greatest where it is not accepted.
    pub accepted: (usize, VerdictPlace),
    /// The author's rank in seniority.
    pub rank: usize,
    /// The event's lamport.
    pub lamport: u64,
    /// The event.
    pub event: EventId,
    /// The op in it.
    pub op: u16,
}

/// A manager's place in seniority: promoter's rank, then lamport, id and op of the promotion.
type Promotion = (usize, u64, EventId, u16);

impl ControlKey {
    fn promotion(&self) -> Promotion {
        (self.rank, self.lamport, self.event, self.op)
    }
}

/// Everything that decides what a device may do at a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Owners, then managers, each junior to those before.
    pub seniority: Vec<DeviceKey>,
    /// By device: the changes of its role that have effect.
    pub grants: BTreeMap<DeviceKey, Vec<Grant>>,
    /// By device: what takes rights from what it had written.
    pub cuts: BTreeMap<DeviceKey, Vec<Cut>>,
}

/// One effective change of a device's role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The event that holds it.
    pub event: EventId,
    /// What that event had seen.
    pub past: Past,
    /// The role from there on; none after a removal.
    pub role: Option<Role>,
    /// The person and their name, where it says so.
    pub member: Option<(MemberId, String)>,
    /// Its place among concurrent ones; the least wins.
    pub key: ControlKey,
}

/// One loss of rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The event that holds it.
    pub event: EventId,
    /// The rank of its author: it takes nothing from what a senior one did as a manager.
    pub rank: usize,
    /// What is left; none after a removal.
    pub role: Option<Role>,
    /// Ends of the device's chains: what lies within keeps its rights.
    pub marks: Vec<Mark>,
}

/// Finds what verdicts make of a control event.
pub trait Standings {
    /// See [`Standing`].
    fn of(&self, event: &ControlEvent) -> Result<Standing, EngineError>;
}

impl Members {
    /// Rule R10 over all valid control events.
    ///
    /// Managers are taken in the order of their seniority, so that everything that a senior one decided about a
    /// junior one is known when the junior one's turn comes. Of an invitation's admissions the first in control
    /// order stand: one too many is struck out and everything it led to is resolved again without it.
    pub fn resolve(
        control: &[ControlEvent],
        terms: &Terms,
        standings: &impl Standings,
        chains: &impl Chains,
    ) -> Result<Self, EngineError> {
        let mut all_struck = BTreeSet::new();
        let mut proofs = BTreeMap::new();
        loop {
            let (struck, proofs, candidates, out) = (&all_struck, &mut proofs, BTreeMap::new(), Self::default());
            let mut resolver = Resolver { control, terms, standings, chains, struck, proofs, candidates, out };
            resolver.run()?;
            let members = resolver.out;
            match members.one_admission_too_many(control, standings)? {
                Some(admission) => all_struck.insert(admission),
                None => return Ok(members),
            };
        }
    }

    /// The role of `device` at an event that had seen `past`.
    ///
    /// Of its grants in that past those count that no other one had seen; of several the first in control order.
    pub fn role_at(&self, device: DeviceKey, past: &BTreeSet<EventId>) -> Option<Role> {
        self.role_by(device, |grant| past.contains(&grant.event))
    }

    /// The role of `device` after everything.
    pub fn role_now(&self, device: DeviceKey) -> Option<Role> {
        self.role_by(device, |_| true)
    }

    fn role_by(&self, device: DeviceKey, is_seen: impl Fn(&Grant) -> bool) -> Option<Role> {
        let seen: Vec<&Grant> = self.grants.get(&device).into_iter().flatten().filter(|grant| is_seen(grant)).collect();
        if seen.iter().any(|grant| grant.role.is_none()) {
            return None;
        }
        let latest = seen.iter().filter(|grant| !seen.iter().any(|other| other.supersedes(grant)));
        latest.min_by_key(|grant| grant.key)?.role
    }

    /// A device's place in the order of seniority; the less, the more senior.
    pub fn rank(&self, device: DeviceKey) -> Option<usize> {
        self.seniority.iter().position(|senior| *senior == device)
    }

    /// Whether `device` holds, or held, any role.
    pub fn knows(&self, device: DeviceKey) -> bool {
        self.grants.contains_key(&device)
    }

    fn one_admission_too_many(
        &self,
        control: &[ControlEvent],
        standings: &impl Standings,
    ) -> Result<Option<(EventId, u16)>, EngineError> {
        let effective: BTreeSet<(EventId, u16)> =
            self.grants.values().flatten().map(|grant| (grant.event, grant.key.op)).collect();
        let mut uses: BTreeMap<OpRef, u32> = BTreeMap::new();
        for c in control_order(control, self, standings)? {
            for (index, op) in c.event.header().ops.iter().enumerate() {
                let Act::Admit(admit) = &op.act else { continue };
                let Some(invited) = &admit.invited else { continue };
                let admission = (c.event.id(), index as u16);
                if !effective.contains(&admission) {
                    continue;
                }
                let used = uses.entry(invited.invite).or_default();
                *used += 1;
                if uses_of(control, &invited.invite).is_some_and(|limit| uses[&invited.invite] > limit) {
                    return Ok(Some(admission));
                }
            }
        }
        Ok(None)
    }
}

impl Grant {
    fn supersedes(&self, other: &Self) -> bool {
        self.past.contains(&other.event) || (self.event == other.event && self.key.op > other.key.op)
    }
}

/// The invitation that this op made.
pub(crate) fn find_invite<'a>(control: &'a [ControlEvent], op: &OpRef) -> Option<&'a tandem_wire::Invite> {
    let event = control.iter().find(|c| c.event.op_ref(op.op) == *op)?;
    match &event.event.header().ops[op.op as usize].act {
        Act::Invite(invite) => Some(invite),
        _other => None,
    }
}

fn uses_of(control: &[ControlEvent], op: &OpRef) -> Option<u32> {
    find_invite(control, op).map(|invite| invite.uses)
}

struct Resolver<'a, S, C> {
    control: &'a [ControlEvent],
    terms: &'a Terms,
    standings: &'a S,
    chains: &'a C,
    struck: &'a BTreeSet<(EventId, u16)>,
    /// Signatures by invited keys that were looked at already.
    proofs: &'a mut BTreeMap<(OpRef, DeviceKey, Signature), bool>,
    /// Devices made managers, by promoter's rank, lamport, id and op: the next in seniority.
    candidates: BTreeMap<Promotion, DeviceKey>,
    out: Members,
}

impl<'a, S: Standings, C: Chains> Resolver<'a, S, C> {
    fn run(&mut self) -> Result<(), EngineError> {
        self.found();
        self.take_what_owners_did()?;
        let mut next = 0;
        loop {
            if next == self.out.seniority.len() {
                let Some((_, device)) = self.candidates.pop_first() else { return Ok(()) };
                if self.out.rank(device).is_none() {
                    self.out.seniority.push(device);
                }
                continue;
            }
            let (rank, device) = (next, self.out.seniority[next]);
            for c in self.by_lamport(|c| c.event.header().chain.device == device && !self.is_by_the_owner(c)) {
                self.take(c, rank)?;
            }
            next += 1;
        }
    }

    /// What an owner does as such stands whatever anybody else did, and each owner builds on the one before: the
    /// present one, the most senior, changes whom the former ones had made members.
    fn take_what_owners_did(&mut self) -> Result<(), EngineError> {
        for c in self.by_lamport(|c| self.is_by_the_owner(c)) {
            let rank = self.out.rank(c.event.header().chain.device).expect("owners are in it from the start");
            self.take(c, rank)?;
        }
        Ok(())
    }

    fn by_lamport(&self, chosen: impl Fn(&ControlEvent) -> bool) -> Vec<&'a ControlEvent> {
        let mut events: Vec<&ControlEvent> = self.control.iter().filter(|c| chosen(c)).collect();
        events.sort_by_key(|c| (c.event.header().lamport, c.event.id()));
        events
    }

    fn is_by_the_owner(&self, c: &ControlEvent) -> bool {
        self.terms.is_owner_at(c.event.header().chain.device, c.event.id(), &c.past)
    }

    /// Owners are members and managers from the start; the present one is the most senior.
    fn found(&mut self) {
        for owner in self.terms.owners.iter().rev() {
            if self.out.rank(owner.device).is_none() {
                self.out.seniority.push(owner.device);
            }
        }
        let genesis = self.control.iter().find(|c| Some(c.event.id()) == self.terms.owners.first().map(|o| o.since));
        let Some(genesis) = genesis else { return };
        let Act::Genesis(act) = &genesis.event.header().ops[0].act else { return };
        let name = self.terms.genesis.as_ref().map(|text| text.member.clone()).unwrap_or_default();
        for (index, owner) in self.terms.owners.iter().enumerate() {
            let Some(event) = self.control.iter().find(|c| c.event.id() == owner.since) else { continue };
            self.out.grants.entry(owner.device).or_default().push(Grant {
                event: owner.since,
                past: event.past.clone(),
                role: Some(Role::Manager),
                member: (index == 0).then(|| (act.member, name.clone())),
                key: ControlKey {
                    accepted: (0, (0, 0)),
                    rank: 0,
                    lamport: event.event.header().lamport,
                    event: owner.since,
                    op: 0,
                },
            });
        }
    }

    /// One event of the manager with this rank: its ops about members, as far as it may.
    fn take(&mut self, c: &ControlEvent, rank: usize) -> Result<(), EngineError> {
        let standing = self.standings.of(c)?;
        if !self.stands(c, &standing)? {
            return Ok(());
        }
        for (index, op) in c.event.header().ops.iter().enumerate() {
            let key = control_key(&c.event, &standing, rank, index as u16);
            match &op.act {
                Act::Admit(admit) => self.admit(c, admit, c, index, key),
                Act::Keep(admission) => {
                    if let Some((kept, admit)) = find_admission(self.control, admission) {
                        self.admit(c, admit, kept, admission.op as usize, key);
                    }
                }
                Act::SetRole(set) if self.out.role_at(set.device, &c.past).is_some() => {
                    self.change(c, set.device, Some(set.role), &set.cuts, key);
                }
                Act::Remove(remove) => self.change(c, remove.device, None, &remove.cuts, key),
                _not_about_members => {}
            }
        }
        Ok(())
    }

    /// `by` lets the admission in `from` stand: its own, or one that it keeps.
    fn admit(&mut self, by: &ControlEvent, admit: &Admit, from: &ControlEvent, index: usize, key: ControlKey) {
        let is_struck = self.struck.contains(&(from.event.id(), index as u16));
        if !is_struck && self.may_admit(admit, key.rank, by) {
            let key = ControlKey { op: index as u16, ..key };
            let member = Some((admit.member, admit_name(&from.event, index)));
            self.grant(from, admit.device, Some(admit.role), member, key);
        }
    }

    fn change(&mut self, c: &ControlEvent, device: DeviceKey, role: Option<Role>, marks: &[Mark], key: ControlKey) {
        if self.may_change(device, key.rank, &c.past) {
            self.grant(c, device, role, None, key);
            let cut = Cut { event: c.event.id(), rank: key.rank, role, marks: marks.to_vec() };
            self.out.cuts.entry(device).or_default().push(cut);
        }
    }

    fn grant(
        &mut self,
        from: &ControlEvent,
        device: DeviceKey,
        role: Option<Role>,
        member: Option<(MemberId, String)>,
        key: ControlKey,
    ) {
        let grant = Grant { event: from.event.id(), past: from.past.clone(), role, member, key };
        self.out.grants.entry(device).or_default().push(grant);
        if role == Some(Role::Manager) {
            self.candidates.insert(key.promotion(), device);
        }
    }

    /// Whether a manager's event has effect: not refused, by a manager at its place, not cut.
    fn stands(&self, c: &ControlEvent, standing: &Standing) -> Result<bool, EngineError> {
        let device = c.event.header().chain.device;
        if self.is_by_the_owner(c) {
            return Ok(true);
        }
        let only_the_owner_may = needed_role(&c.event).is_none();
        if only_the_owner_may
            || matches!(standing, Standing::Refused(_))
            || self.out.role_at(device, &c.past) != Some(Role::Manager)
        {
            return Ok(false);
        }
        Ok(masking_cut(&self.out, &c.event, &c.past, Role::Manager, standing, self.chains)?.is_none())
    }

    /// A senior device cannot be given a lesser role by being admitted once more; a removed one never comes back.
    fn may_admit(&mut self, admit: &Admit, rank: usize, c: &ControlEvent) -> bool {
        let removed = self
            .out
            .grants
            .get(&admit.device)
            .into_iter()
            .flatten()
            .any(|grant| grant.role.is_none() && c.past.contains(&grant.event));
        let changes = self.out.role_at(admit.device, &c.past).is_some();
        !removed && (!changes || self.may_change(admit.device, rank, &c.past)) && self.is_invited(admit, c)
    }

    fn is_invited(&mut self, admit: &Admit, c: &ControlEvent) -> bool {
        let Some(invited) = &admit.invited else { return true };
        let Some(invite) = find_invite(self.control, &invited.invite) else { return false };
        let workspace = c.event.header().workspace;
        let proof = self.proofs.entry((invited.invite, admit.device, invited.proof));
        let is_genuine = || invite.key.has_signed_join(workspace, &invited.invite, admit.device, &invited.proof);
        admit.role <= invite.role && *proof.or_insert_with(is_genuine)
    }

    /// A manager is changed only by a senior one, anybody else by any manager; an owner by nobody.
    fn may_change(&self, device: DeviceKey, by_rank: usize, past: &BTreeSet<EventId>) -> bool {
        match self.out.rank(device) {
            None => true,
            Some(0) => false,
            Some(_) if self.terms.is_owner_in(device, past) => false,
            Some(rank) => rank > by_rank || self.was_demoted(device, past),
        }
    }

    fn was_demoted(&self, device: DeviceKey, past: &BTreeSet<EventId>) -> bool {
        let mut grants = self.out.grants.get(&device).into_iter().flatten();
        let promoted = grants.any(|grant| grant.role == Some(Role::Manager) && past.contains(&grant.event));
        promoted && self.out.role_at(device, past) != Some(Role::Manager)
    }
}

fn find_admission<'a>(control: &'a [ControlEvent], op: &OpRef) -> Option<(&'a ControlEvent, &'a Admit)> {
    let event = control.iter().find(|c| c.event.op_ref(op.op) == *op)?;
    match &event.event.header().ops[op.op as usize].act {
        Act::Admit(admit) => Some((event, admit)),
        _other => None,
    }
}

fn admit_name(event: &Event, op: usize) -> String {
    let text = event.body(op).and_then(|body| postcard::from_bytes::<AdmitText>(body).ok());
    text.map(|text| text.member).unwrap_or_default()
}

/// See [`ControlKey`].
pub(crate) fn control_key(event: &Event, standing: &Standing, rank: usize, op: u16) -> ControlKey {
    let accepted = match standing {
        Standing::Accepted { order, .. } => *order,
        Standing::Unjudged | Standing::Refused(_) => (usize::MAX, (u64::MAX, u16::MAX)),
    };
    ControlKey { accepted, rank, lamport: event.header().lamport, event: event.id(), op }
}

/// The first cut that masks an event which needs `needed`, unless the authority accepted the event without
/// knowing of it.
pub(crate) fn masking_cut(
    members: &Members,
    event: &Event,
    past: &Past,
    needed: Role,
    standing: &Standing,
    chains: &impl Chains,
) -> Result<Option<EventId>, EngineError> {
    let header = event.header();
    for cut in members.cuts.get(&header.chain.device).into_iter().flatten() {
        let by_junior = members.rank(header.chain.device).is_some_and(|rank| rank < cut.rank);
        if by_junior && needed == Role::Manager {
            continue;
        }
        let takes = match cut.role {
            None => true,
            Some(left) => left < needed && !past.contains(&cut.event),
        };
        if !takes || !is_beyond(header.chain, header.seq, event.id(), &cut.marks, chains)? {
            continue;
        }
        let rescued = match standing {
            Standing::Accepted { pasts, .. } => pasts.iter().all(|past| !past.contains(&cut.event)),
            Standing::Unjudged | Standing::Refused(_) => false,
        };
        if !rescued {
            return Ok(Some(cut.event));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
