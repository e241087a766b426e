//! A sitting of an authority: everything that it has still to judge, decided and put into verdicts, as one group.

use super::{
    Core, Group, OfficeInfo, clearing,
    compose::{Draft, Drafted, Shared},
};
use crate::authority::{
    Bench, Policy,
    policy::Compiled,
    quota::{Sender, Used},
    shelf,
    verdicts::Verdicts,
};
use std::{collections::BTreeMap, sync::Arc};
use tandem_storage::{
    EngineError,
    docket::{Accepted, Case, Docket, Refusals},
    engine::{Batch, Engine, Read, Table},
    fold::{
        incremental::{Events, Fold, LogPlace},
        standing::lists_of,
        terms::Term,
    },
    history::Author,
    log::{LogReader, RunEvents},
};
use tandem_wire::{BindingMode, ChainId, DeviceKey, Event, OpRef};

/// What a node needs to judge for one workspace.
#[derive(Debug, Default)]
pub(super) struct Office {
    policy: Compiled,
    /// One for each present term whose verdicts this node's control chain holds.
    dockets: Vec<Docket>,
    /// So many were accepted and refused since the workspace was opened.
    counts: (u64, u64),
    /// Of the members' shares, once it was asked for.
    used: Option<Used>,
}

impl Office {
    fn open_dockets(&mut self, terms: Vec<OpRef>) {
        self.dockets.retain(|docket| terms.contains(&docket.term()));
        for term in terms {
            if !self.dockets.iter().any(|docket| docket.term() == term) {
                self.dockets.push(Docket::new(term));
            }
        }
    }
}

/// The log, of which some runs are decoded already.
struct Known<'a, R> {
    decoded: &'a BTreeMap<u64, RunEvents>,
    log: LogReader<'a, R>,
}

impl<R: Read> Events for Known<'_, R> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        match self.decoded.get(&at.arrival) {
            Some(run) => Ok(run[usize::from(at.index)].clone()),
            None => self.log.event(at),
        }
    }
}

impl<E: Engine> Core<E> {
    /// By what this node judges from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.office.policy = Compiled::new(policy);
    }

    /// By what this node judges.
    pub fn policy(&self) -> &Policy {
        self.office.policy.policy()
    }

    /// The chain that this node's verdicts are in.
    pub fn control_chain(&self) -> ChainId {
        ChainId { device: self.device(), number: self.pair() }
    }

    /// The terms that this node judges under now; none in which it contradicted itself.
    pub fn own_terms(&self) -> Vec<OpRef> {
        let (own, fold) = (self.control_chain(), self.store().fold());
        let terms = fold.present_terms().map(|term| (term.binding, term.chain()));
        terms
            .filter(|(binding, chain)| *chain == own && !fold.is_at_fault(binding))
            .map(|(binding, _)| binding)
            .collect()
    }

    /// Whether this node judges anything.
    pub fn judges(&self) -> bool {
        !self.own_terms().is_empty()
    }

    /// How many events were accepted and refused here since the workspace was opened.
    pub fn judged(&self) -> (u64, u64) {
        self.office.counts
    }

    /// How this node judges.
    pub(super) fn office_info(&self) -> OfficeInfo {
        let (own, chain) = (self.own_terms(), self.control_chain());
        let of_device = self.store().fold().present_terms().filter(|term| term.chain().device == chain.device);
        let unproved = of_device.filter(|term| term.chain() != chain).map(|term| term.binding);
        OfficeInfo {
            chain,
            policy: self.policy().clone(),
            unproved: unproved.collect(),
            terms: own,
            judged: self.office.counts,
        }
    }

    /// Of the members' shares, what was used.
    fn used(&mut self) -> Result<Used, EngineError> {
        match self.office.used.take() {
            Some(used) => Ok(used),
            None => shelf::used(&**self.store().engine(), self.store().workspace()),
        }
    }

    /// Whether an event's author has not sent more than the policy allows today, this event counted.
    fn is_within_its_share(&self, fold: &Fold, used: &mut Used, now_ms: u64, event: &Event) -> bool {
        let chain = event.header().chain;
        let Some(share) = self.policy().bytes_a_member_and_day.filter(|_| !chain.is_control()) else { return true };
        let grants = fold.members().grants.get(&chain.device).into_iter().flatten();
        let member = grants.filter_map(|grant| grant.member.as_ref()).next_back().map(|(member, _)| *member);
        let sender = member.map_or(Sender::Device(chain.device), Sender::Member);
        used.take(now_ms, sender, event.size() as u64, share)
    }

    /// Decides what is on the dockets; `decoded` are runs that need not be read again. Gives a group without answers, as
    /// [`Core::decide`] does, or nothing where there was nothing to decide. Nothing is being committed meanwhile; the group
    /// is settled and committed, and then comes another sitting, until there is nothing to decide.
    ///
    /// Control events have a sitting of their own: who was allowed to do what follows from what was decided about them.
    pub fn sit(&mut self, now_ms: u64, decoded: &BTreeMap<u64, RunEvents>) -> Result<Option<Group>, EngineError> {
        let terms = self.own_terms();
        self.office.open_dockets(terms);
        if self.office.dockets.is_empty() {
            return Ok(None);
        }
        let fold = self.store().fold().clone();
        self.office.policy.read_for(fold.design(), fold.design_digest());
        let snapshot = self.store().engine().snapshot();
        let events = Known { decoded, log: LogReader::new(&snapshot, self.store().workspace()) };
        let names: BTreeMap<DeviceKey, String> =
            fold.members().grants.keys().map(|device| (*device, Author::of(&fold, *device, None).name)).collect();
        let indexes = self.store().views().indexes;
        let (mut verdicts, mut counts) = (Verdicts::default(), self.office.counts);
        let mut dockets = std::mem::take(&mut self.office.dockets);
        let mut taken: Vec<(OpRef, Vec<Case>)> = Vec::with_capacity(dockets.len());
        for docket in &mut dockets {
            taken.push((docket.term(), docket.take(&fold, &snapshot, &events)?));
        }
        let is_control = |case: &Case| case.event.header().chain.is_control();
        if taken.iter().any(|(_, cases)| cases.iter().any(is_control)) {
            // The others are found again.
            taken.iter_mut().for_each(|(_, cases)| cases.retain(is_control));
            dockets.iter_mut().for_each(|docket| *docket = Docket::new(docket.term()));
        }
        self.office.dockets = dockets;
        let mut used = self.used()?;
        let own = self.own_terms();
        let binds = |term: &&Term| term.bind.mode == BindingMode::Binding && own.contains(&term.binding);
        let judges = |list| fold.present_terms().filter(binds).any(|term| term.covers(Some(list)));
        let mut refused = Refusals::default();
        for (binding, cases) in &taken {
            let Some(term) = fold.terms().find(binding) else { continue };
            let policy = &self.office.policy;
            let bench = Bench { term, policy, indexes: &indexes, judges: &judges, names: &names };
            let mut accepted = Accepted::before(&fold, &snapshot, &events, cases).after(std::mem::take(&mut refused));
            for case in cases {
                let ruling = match self.is_within_its_share(&fold, &mut used, now_ms, &case.event) {
                    true => bench.judge(&mut accepted, case)?,
                    false => bench.over_quota(),
                };
                accepted.decide(case, ruling.code())?;
                match ruling.code() {
                    None => counts.0 += 1,
                    Some(_) => counts.1 += 1,
                }
                verdicts.push(*binding, &case.event, ruling);
            }
            // What a mirror refuses takes part.
            if term.bind.mode == BindingMode::Binding {
                refused = accepted.into_refusals();
            }
        }
        self.office.counts = counts;
        self.office.used = Some(used);
        let verdicts = verdicts.into_events();
        if verdicts.is_empty() {
            return Ok(None);
        }
        let drafted = Drafted { fold: (*fold).clone(), views: Batch::default(), runs: BTreeMap::new() };
        let mut draft = Draft::new(
            (drafted, &snapshot, self.store().workspace(), &self.recent),
            (&self.key, self.workspace, self.pair),
            self.store().next_arrival(),
            now_ms,
        );
        draft.log.knows(decoded);
        for ops in verdicts {
            draft.add(ops, Shared::default())?.expect("verdicts are kept within their limits");
        }
        if self.office.policy.clears_references() {
            let binds = |binding| fold.terms().find(binding).is_some_and(|term| term.bind.mode == BindingMode::Binding);
            let cases = taken.iter().filter(|(binding, _)| binds(binding)).flat_map(|(_, cases)| cases);
            // What another authority may refuse still is not gone yet.
            let events = cases.filter(|case| lists_of(&case.event).into_iter().all(judges)).map(|case| &case.event);
            let records = events.flat_map(|event| &event.header().ops).filter_map(|op| op.target.record()).collect();
            clearing::clear(&mut draft, &indexes, &records, &judges)?;
        }
        let mut drafted = draft.pause();
        if let Some(used) = &self.office.used {
            let row = postcard::to_allocvec(used).expect("a vector takes all bytes");
            drafted.views.put(Table::Meta, shelf::used_key(self.store().workspace()), row);
        }
        Ok(Some(self.close(super::core::Open::of(drafted))))
    }
}
