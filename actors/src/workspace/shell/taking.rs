//! Runs that come from elsewhere: into the log, and then into the views.

use super::{Workspace, publish};
use crate::command::Refused;
use std::{collections::BTreeMap, ops::Range};
use tandem_storage::{
    EngineError,
    engine::{Batch, Durability, Engine},
    take::Received,
};

/// Fewer new records from elsewhere are not worth files of their own.
const EVENTS_OF_A_LOAD_MIN: usize = 4096;
/// Events from elsewhere that are in memory, with all that they change, at a time
/// (`docs/decisions/0025-what-comes-in-is-taken-in-small-pieces.md`).
const EVENTS_AT_A_TIME: usize = 1024;

impl<E: Engine> Workspace<E> {
    pub(super) fn take(&mut self, runs: Vec<Received>) -> Result<(), Refused> {
        if self.left {
            return Err(Refused::Left);
        }
        self.place.keeper.room()?;
        self.try_take(runs).unwrap_or_else(|error| self.place.fail(&error));
        Ok(())
    }

    /// Many new records in a row go past the journal, all the rest through it.
    fn try_take(&mut self, mut runs: Vec<Received>) -> Result<(), EngineError> {
        while let Some(Range { start, end }) = self.core.loadable(&runs, EVENTS_OF_A_LOAD_MIN) {
            let rest = runs.split_off(end);
            let many = runs.split_off(start);
            self.take_through_the_journal(runs)?;
            if self.core.load_runs(&many)? {
                self.sit(&BTreeMap::new())?;
                self.show_anew();
            } else {
                self.take_through_the_journal(many)?;
            }
            runs = rest;
        }
        self.take_through_the_journal(runs)?;
        let done = self.retry();
        self.show_if(done);
        Ok(())
    }

    /// Some at a time: what was taken need not stay decoded, and a state that is shown for long keeps in memory what it has
    /// that was written to files since.
    fn take_through_the_journal(&mut self, runs: Vec<Received>) -> Result<(), EngineError> {
        let mut runs = runs.into_iter().peekable();
        while runs.peek().is_some() {
            let mut events = 0;
            let next = || {
                let run = runs.next_if(|_| events < EVENTS_AT_A_TIME)?;
                events += run.events().len();
                Some(run)
            };
            let some: Vec<Received> = std::iter::from_fn(next).collect();
            self.take_some(&some)?;
        }
        Ok(())
    }

    /// The log first, and then the views: an event that cannot be applied must not end every member's node again and
    /// again, see [`tandem_storage::fence`].
    fn take_some(&mut self, runs: &[Received]) -> Result<(), EngineError> {
        let mut rest = runs;
        while !rest.is_empty() {
            let taking = self.core.look_at(rest)?;
            for (index, left) in &taking.left {
                tracing::debug!(?left, event = ?rest[*index].last(), "a run was left out");
            }
            let left: Vec<usize> = taking.left.iter().map(|(index, _)| *index).collect();
            let own_came_back = rest[..taking.looked_at]
                .iter()
                .enumerate()
                .any(|(index, run)| !left.contains(&index) && self.core.writes(run.last().chain));
            if own_came_back {
                self.begin_afresh()?;
            }
            rest = &rest[taking.looked_at..];
            if taking.taken == 0 {
                continue;
            }
            // What is judged at once is durable with the verdicts on it.
            let durability = if self.core.judges() { Durability::Buffered } else { Durability::Synced };
            self.place.engine.commit(taking.log, durability)?;
            let decoded = if self.core.judges() { taking.decoded.clone() } else { BTreeMap::new() };
            let (feed, prefix) = (self.feed.0.clone(), self.core.store().fold().prefix());
            self.core.catch_up(taking.decoded, &mut |batch, applied| feed.push(applied, batch, prefix))?;
            self.core.upkeep()?;
            if !self.sit(&decoded)? && durability == Durability::Buffered {
                self.place.engine.commit(Batch::default(), Durability::Synced)?;
            }
            *self.place.published.write().expect("readers do not panic") = publish(&self.core);
            self.feed.0.wake();
            self.place.shown.tell();
        }
        Ok(())
    }
}
