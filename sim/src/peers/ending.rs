//! Whether everybody has come to have everything, and whether it is as it must be.

use super::{checks, verdict_checks::Found, world::World};
use crate::{checks::Violation, options::Profile, trace::short};
use std::collections::BTreeSet;
use tandem_actors::peer_link::Standing;
use tandem_storage::engine::Engine;
use tandem_wire::{Act, EventId};

impl World {
    /// What is still lacking when everything has healed, in words.
    pub(super) fn missing(&self) -> Option<String> {
        let mut missing = Vec::new();
        let owner = self.peers[0].store().map(|store| store.fold().clone());
        let Some(owner) = owner else { return Some("n0 is down".into()) };
        let table = owner.version_table();
        for (at, peer) in self.peers.iter().enumerate() {
            if owner.role_of(peer.device()).is_none() {
                continue;
            }
            let Some(own) = peer.table() else {
                missing.push(format!("n{at} is down"));
                continue;
            };
            if peer.is_busy() {
                missing.push(format!("n{at} is busy"));
            }
            let (lacks, more) = (table.since(&own).len(), own.since(&table).len());
            if lacks + more > 0 {
                missing.push(format!("n{at} differs from n0 in {} chains", lacks.max(more)));
            }
            let others = peer.ends.iter().filter_map(|(link, end)| Some((link, end.session.as_ref()?)));
            for (link, session) in others {
                let other = self.links[link].nodes[1 - self.end_of(*link, at)];
                if self.is_hostile(other) {
                    continue;
                }
                if session.standing() != Standing::UpToDate && owner.role_of(self.devices[other]).is_some() {
                    missing.push(format!("n{at} is {:?} with n{other}", session.standing()));
                }
            }
        }
        let linked = |(edge, (a, b)): (usize, &(usize, usize))| {
            let both = [a, b].iter().all(|at| owner.role_of(self.devices[**at]).is_some());
            both && !self.links.values().any(|link| link.edge == Some(edge))
        };
        let unlinked = self.edges.iter().enumerate().filter(|edge| linked(*edge)).count();
        if unlinked > 0 {
            missing.push(format!("{unlinked} links are down"));
        }
        if missing.is_empty() {
            missing.extend(self.unjudged());
            missing.extend(self.undecided());
        }
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    pub(super) fn finish(&mut self) -> Result<[u8; 32], Violation> {
        if self.is_watched {
            self.look_at_the_end()?;
        }
        let store = self.peers[0].store().expect("up");
        let digest = tandem_storage::store::digest(store.fold(), &store.engine().snapshot()).expect("memory");
        self.line(0, "end", &short(&digest));
        Ok(digest)
    }

    fn look_at_the_end(&mut self) -> Result<(), Violation> {
        let owner = self.peers[0].store().expect("up").fold().clone();
        let mut looked_at = BTreeSet::new();
        let liars = self.liars();
        let found = self.servers.as_ref().map(|_| Found::of(self.peers[0].store().expect("up")).with_liars(liars));
        if let Some(found) = &found {
            found.check()?;
            let (refused, marks) = found.marks();
            (0..refused).for_each(|_| self.trace.mark("refusal"));
            marks.into_iter().for_each(|mark| self.trace.mark(mark));
        }
        for at in 0..self.peers.len() {
            checks::acknowledged_is_kept(&self.peers[at])?;
            let Some(store) = self.peers[at].store() else { continue };
            if owner.role_of(self.devices[at]).is_none() {
                continue;
            }
            self.views.compare(store)?;
            if let Some(found) = &found {
                found.refusals_are_listed(store)?;
            }
            // Equal sets have equal views; those are looked at once.
            if !looked_at.insert(store.fold().version_table().digest()) {
                continue;
            }
            if checks::removed_change_nothing(store, &self.removals)? > 0 {
                self.trace.mark("cut-with-late-events");
            }
            checks::indexes_follow_the_records(store)?;
            checks::nothing_is_dropped(store)?;
            checks::conflicts_are_of_values(store, self.options.planted)?;
            if checks::a_loser_came_back(store) {
                self.trace.mark("loser-restored");
            }
            checks::views_are_the_naive_fold(store)?;
        }
        if self.options.profile == Profile::Values {
            self.look_at_values()?;
        }
        for (proposal, state) in &owner.design().proposals {
            let by = state.merged.and_then(|merged| self.devices.iter().position(|it| *it == merged.chain.device));
            if by.is_some_and(|at| at < self.peers.len() && self.peers[at].unfit.contains(proposal)) {
                return Violation::of("only-what-fits-is-merged", format!("{} by n{}", proposal.tag, by.unwrap_or(0)));
            }
            if by.is_some_and(|at| at < self.peers.len() && self.peers[at].lacking.contains(proposal)) {
                return Violation::of("only-who-has-all-merges", format!("{} by n{}", proposal.tag, by.unwrap_or(0)));
            }
        }
        for control in owner.control() {
            let device = control.event.header().chain.device;
            let mut acts = control.event.header().ops.iter().map(|op| &op.act);
            let adopts = |act: &Act| match act {
                Act::DesignProposed(proposed) => proposed.steps.iter().any(|step| step.chain.device != device),
                _other => false,
            };
            if acts.any(adopts) {
                self.trace.mark("design-adopted");
            }
        }
        for proposal in owner.design().proposals.values() {
            self.trace.mark(match (proposal.merged, proposal.failed.is_empty()) {
                (Some(_), true) => "design-merged",
                (Some(_), false) => "design-merged-beside-a-failure",
                (None, false) => "design-failed",
                (None, true) => "design-overtaken",
            });
        }
        for _ in 0..self.peers.iter().map(|peer| peer.retried).sum() {
            self.trace.mark("sent-again");
        }
        let kept: BTreeSet<EventId> = self.peers.iter().flat_map(|peer| peer.kept.iter().copied()).collect();
        self.everything_arrived(&kept)?;
        if owner.chains().any(|(chain, _)| owner.fork_of(*chain).is_some()) {
            self.trace.mark("fork");
        }
        Ok(())
    }

    /// P1 and P3 across nodes: what any member's node acknowledged is on all members' nodes.
    pub(super) fn everything_arrived(&self, kept: &BTreeSet<EventId>) -> Result<(), Violation> {
        let owner = self.peers[0].store().expect("up").fold();
        let there: BTreeSet<EventId> = checks::events(&self.peers[0].disk).iter().map(|event| event.id()).collect();
        for peer in self.peers.iter().filter(|peer| owner.role_of(peer.device()).is_some()) {
            if let Some(lost) = peer.kept.intersection(kept).find(|event| !there.contains(*event)) {
                return Violation::of("acknowledged-arrives", format!("event {lost:?} is not at n0"));
            }
        }
        Ok(())
    }
}
