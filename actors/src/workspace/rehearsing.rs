//! Which proposed design this node is to rehearse, and what is told of it.

use super::{Core, Group, designs::owner_of_design};
use crate::command::{Command, Refused, RehearsalOutcome};
use std::{collections::BTreeSet, sync::Arc};
use tandem_storage::{
    EngineError,
    design_file::{DesignFile, Plan},
    engine::{Batch, Durability, Engine, Key},
    fold::{Design, incremental::Archive},
    index::Index,
    log::LogReader,
    outbox,
    rehearsal::{Rehearsal, Report, Reported},
};
use tandem_wire::{Act, Mark, OpRef, RecordKey, Role};

impl<E: Engine> Core<E> {
    /// The proposal that this node is to rehearse, if there is one, and the design as it would be: the newest of an
    /// authority that is bound, which nobody has merged or seen fail. Only who may write and has all that the authority
    /// had says what came of it: an empty newcomer proves nothing.
    pub fn due_rehearsal(&self) -> Result<Option<(OpRef, Arc<Design>)>, EngineError> {
        let fold = self.store().fold();
        let proposals = &fold.design().proposals;
        if proposals.values().all(|proposal| proposal.merged.is_some() || !proposal.failed.is_empty())
            || fold.role_of(self.device()).is_none_or(|role| role < Role::Writer)
        {
            return Ok(None);
        }
        let newest = fold.design().newest_proposals();
        for proposal in newest.filter(|proposal| proposal.chain.device != self.device()) {
            let state = &proposals[&proposal];
            if state.merged.is_some() || !state.failed.is_empty() || self.has_answered(&proposal) {
                continue;
            }
            let Some(proposed) = fold.proposed(&proposal) else { continue };
            // Perhaps anew since: what it proposed stays proposed.
            let is_bound = fold.present_terms().any(|term| term.chain() == proposal.chain);
            let has_all = |Mark(end): &Mark| {
                !end.chain.is_control() && fold.head_of(end.chain).is_some_and(|head| head.seq >= end.seq)
            };
            if !is_bound || !self.takes_on_trust && !proposed.table.iter().all(has_all) {
                continue;
            }
            if let Some(design) = self.design_with(&proposal)? {
                return Ok(Some((proposal, Arc::new(design))));
            }
        }
        Ok(None)
    }

    /// The design as it would be with a proposal in it.
    pub fn design_with(&self, proposal: &OpRef) -> Result<Option<Design>, EngineError> {
        let snapshot = self.store().engine().snapshot();
        let log = LogReader::new(&snapshot, self.store().workspace());
        self.store().fold().design_with(proposal, &snapshot, &log)
    }

    /// Whether this device has said what came of a proposal, whatever became of that: it says so once.
    fn has_answered(&self, proposal: &OpRef) -> bool {
        let own = self.store().fold().control().map(|control| &control.event);
        let mut acts = own.filter(|event| event.header().chain.device == self.device());
        acts.any(|event| {
            event.header().ops.iter().any(|op| match &op.act {
                Act::DesignMerged(rehearsed) | Act::DesignFailed(rehearsed) => rehearsed.proposal == *proposal,
                _something_else => false,
            })
        })
    }

    /// Whether a proposal is still the one to say something of.
    pub fn is_due(&self, proposal: &OpRef) -> Result<bool, EngineError> {
        Ok(self.due_rehearsal()?.is_some_and(|(due, _)| due == *proposal))
    }

    /// The design that a file would make of the present one.
    pub fn design_of(&self, file: &DesignFile) -> Result<Arc<Design>, Refused> {
        let plan = Plan::make(self.store().fold().design(), file).map_err(Refused::Design)?;
        Ok(Arc::new(plan.next))
    }

    /// Begins a rehearsal on a clone of the live views. Nothing is being committed.
    pub fn begin_rehearsal(&mut self, design: Arc<Design>) -> (Rehearsal, E::Snapshot) {
        self.store_mut().begin_rehearsal(design)
    }

    /// See [`tandem_storage::Store::changed_meanwhile`].
    pub fn changed_meanwhile(&mut self) -> Option<(BTreeSet<Key>, E::Snapshot)> {
        self.store_mut().changed_meanwhile()
    }

    /// Gives a rehearsal up.
    pub fn end_rehearsal(&mut self) {
        self.store_mut().end_rehearsal(None);
    }

    /// Brings a rehearsal of which all steps are done up to the present, and ends it: what it found, and whether its design
    /// fits. `merges` says, by that, whether the design is about to be merged: then its indexes are kept true from now on,
    /// otherwise they are left to be cleared. Nothing, where too much has changed meanwhile, or the design itself. Nothing
    /// is being committed.
    pub(super) fn conclude(
        &mut self,
        mut rehearsal: Rehearsal,
        clone: &E::Snapshot,
        took_ms: u64,
        merges: impl FnOnce(bool) -> bool,
    ) -> Result<Option<Concluded>, EngineError> {
        let Some((changed, now)) = self.changed_meanwhile() else {
            self.end_rehearsal();
            return Ok(None);
        };
        let mut batch = Batch::default();
        rehearsal.bring_up((clone, &now), &changed, &mut batch)?;
        let mut report = rehearsal.report().clone();
        self.complete(&mut report)?;
        let fits = report.is_valid(rehearsal.design());
        let reported = report.reported(rehearsal.design(), took_ms);
        let left = if merges(fits) {
            self.store().engine().commit(batch, Durability::Buffered)?;
            self.store_mut().end_rehearsal(Some(rehearsal.finish()));
            None
        } else {
            self.end_rehearsal();
            Some(rehearsal)
        };
        Ok(Some(Concluded { reported, fits, left }))
    }

    /// Adds to a report what is known of events that are on their way: this node's own that no server has judged, on
    /// records that fail, and those that wait for others.
    fn complete(&self, report: &mut Report) -> Result<(), EngineError> {
        let (fold, snapshot) = (self.store().fold(), self.store().engine().snapshot());
        report.held = fold.control_view(&snapshot)?.held.len() as u64;
        let Some(term) = owner_of_design(fold) else { return Ok(()) };
        let failing: BTreeSet<RecordKey> = report.failing().collect();
        if failing.is_empty() {
            return Ok(());
        }
        let log = LogReader::new(&snapshot, self.store().workspace());
        let waiting = outbox::waiting(fold, &snapshot, &log, term, self.device())?;
        let archive = Archive::new(fold, &snapshot, &log);
        for event in waiting {
            let entry = archive.event_of(&event.op(0))?;
            let mut ops = entry.iter().flat_map(|entry| &entry.event.header().ops);
            report.pending += u64::from(ops.any(|op| op.target.record().is_some_and(|it| failing.contains(&it))));
        }
        Ok(())
    }
}

/// What a rehearsal came to.
pub(super) struct Concluded {
    pub(super) reported: Reported,
    /// Whether the design fits.
    pub(super) fits: bool,
    /// What is not merged: its entries of indexes are still there. Many take seconds to clear.
    pub(super) left: Option<Rehearsal>,
}

/// A rehearsal that is driven step by step by who has no actor for it: simulations.
pub struct Rehearsing<E: Engine> {
    proposal: OpRef,
    rehearsal: Rehearsal,
    clone: E::Snapshot,
    is_cleared: bool,
    is_written: bool,
    /// See [`Rehearsing::pretend`].
    pretends: bool,
}

/// How a rehearsal ended.
pub struct Ended {
    /// What is to be told of it.
    pub group: Group,
    /// Whether the design fits.
    pub fits: bool,
    /// What was found.
    pub reported: Reported,
}

impl<E: Engine> Core<E> {
    /// Begins the rehearsal that is due, if there is one.
    pub fn begin_due_rehearsal(&mut self) -> Result<Option<Rehearsing<E>>, EngineError> {
        let Some((proposal, design)) = self.due_rehearsal()? else { return Ok(None) };
        let (rehearsal, clone) = self.begin_rehearsal(design);
        Ok(Some(Rehearsing { proposal, rehearsal, clone, is_cleared: false, is_written: false, pretends: false }))
    }

    /// The end of a rehearsal of which all steps are done: brings it up to the present, and gives what is to be told of it,
    /// to be settled like any group. Nothing, where too much has changed meanwhile.
    pub fn end_of_rehearsal(&mut self, rehearsing: Rehearsing<E>, now_ms: u64) -> Result<Option<Ended>, EngineError> {
        let Rehearsing { proposal, rehearsal, clone, pretends, .. } = rehearsing;
        let is_due = self.is_due(&proposal)?;
        let concluded = self.conclude(rehearsal, &clone, 0, |fits| is_due && (fits || pretends))?;
        let Some(Concluded { reported, fits, left }) = concluded else { return Ok(None) };
        left.map(|left| left.clear(&**self.store().engine())).transpose()?;
        if !is_due {
            return Ok(None);
        }
        let outcome = RehearsalOutcome::of(reported.clone(), fits || pretends);
        let group = self.decide(now_ms, &[Command::Rehearsed { proposal, outcome }])?;
        Ok(Some(Ended { group, fits, reported }))
    }
}

impl<E: Engine> Rehearsing<E> {
    /// Does a step, at most so many rows. Says whether there are more.
    pub fn step(&mut self, engine: &E, rows: usize) -> Result<bool, EngineError> {
        if !self.is_cleared {
            self.rehearsal.clear(engine)?;
            self.is_cleared = true;
            return Ok(true);
        }
        if self.rehearsal.has_more_rows() {
            self.rehearsal.scan(&self.clone, rows)?;
            return Ok(true);
        }
        if !self.is_written {
            self.rehearsal.ingest(engine)?;
            self.is_written = true;
        }
        Ok(false)
    }

    /// Whether all rows were looked at; the entries of indexes may still have to be written.
    pub fn has_seen_all(&self) -> bool {
        self.is_cleared && !self.rehearsal.has_more_rows()
    }

    /// The design that is tried.
    pub fn design(&self) -> &Arc<Design> {
        self.rehearsal.design()
    }

    /// What is tried.
    pub fn proposal(&self) -> OpRef {
        self.proposal
    }

    /// Whether the design fits what was looked at so far.
    pub fn fits(&self) -> bool {
        self.rehearsal.report().is_valid(self.rehearsal.design())
    }

    /// The indexes that are made.
    pub fn indexes(&self) -> &[Index] {
        self.rehearsal.indexes()
    }

    /// For simulations that break it: looks at the rest of the rows as they have become.
    pub fn clone_again(&mut self, engine: &E) {
        self.clone = engine.snapshot();
    }

    /// For simulations that break it: says that the design fits, whatever was found.
    pub fn pretend(&mut self) {
        self.pretends = true;
    }
}
