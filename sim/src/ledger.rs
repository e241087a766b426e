//! What the log of a node holds, read strictly, as a stranger would.

use crate::{checks::Violation, disk::Disk};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_storage::{engine::Slice, log};
use tandem_wire::{ChainId, Event, EventId, Run};

/// The log as read last, and what must never change in it again.
#[derive(Debug, Default)]
pub struct Ledger {
    runs: BTreeMap<u64, (Slice, Vec<Arc<Event>>)>,
    /// The event of each place, once it was durable there: it could have been sent to others.
    settled: BTreeMap<(ChainId, u64), EventId>,
}

impl Ledger {
    /// Reads the log. Runs that are as they were before need not be verified again.
    pub fn read(&mut self, disk: &Disk, workspace: u32) -> Result<(), Violation> {
        let mut runs = BTreeMap::new();
        for run in log::runs_from(disk, workspace, 0) {
            let (arrival, bytes) = run.expect("memory can be read");
            let as_before = self.runs.remove(&arrival).filter(|(before, _)| *before == bytes);
            let events = match as_before {
                Some((_, events)) => events,
                None => match Run::decode(&bytes) {
                    Ok(run) => run.into_events().into_iter().map(Arc::new).collect(),
                    Err(why) => return Violation::of("runs-decode", format!("run {arrival}: {why}")),
                },
            };
            if arrival != runs.len() as u64 {
                return Violation::of("runs-are-dense", format!("run {arrival} comes after {} runs", runs.len()));
            }
            runs.insert(arrival, (bytes, events));
        }
        self.runs = runs;
        self.check_chains()
    }

    /// Its events, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.runs.values().flat_map(|(_, events)| events)
    }

    /// Their ids.
    pub fn ids(&self) -> BTreeSet<EventId> {
        self.events().map(|event| event.id()).collect()
    }

    /// How many runs there are: the number that the next one gets.
    pub fn runs(&self) -> u64 {
        self.runs.len() as u64
    }

    /// What is in the log now is durable. A place never gets a second event.
    pub fn settle(&mut self) -> Result<(), Violation> {
        let now: Vec<((ChainId, u64), EventId)> =
            self.events().map(|event| ((event.header().chain, event.header().seq), event.id())).collect();
        for (place, id) in now {
            let first = *self.settled.entry(place).or_insert(id);
            if first != id {
                let details = format!("place {} of chain {} was {first:?}, is {id:?}", place.1, place.0.number);
                return Violation::of("places-are-final", details);
            }
        }
        Ok(())
    }

    /// Every chain counts from 0 without gaps, each event naming the one before.
    fn check_chains(&self) -> Result<(), Violation> {
        let mut heads: BTreeMap<ChainId, (u64, EventId)> = BTreeMap::new();
        for event in self.events() {
            let header = event.header();
            let before = heads.insert(header.chain, (header.seq, event.id()));
            let follows = match before {
                None => header.seq == 0 && header.prev.is_none(),
                Some((seq, id)) => header.seq == seq + 1 && header.prev == Some(id),
            };
            if !follows {
                let details = format!("chain {}: {} after {before:?}", header.chain.number, header.seq);
                return Violation::of("chains-are-dense", details);
            }
        }
        Ok(())
    }
}
