//! Single events, looked up for who reads: by record, by place, by id, and by what they had seen.

use super::{
    EventKey, EventRow, EventState, Events, Fold, Look, Lookup,
    rows::{ROWS, decode},
};
use crate::{
    engine::{EngineError, Read, prefix_end},
    fold::Status,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_wire::{Event, EventId, EventRef, OpRef, RecordKey};

/// An event as it stands in a history.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The event.
    pub event: Arc<Event>,
    /// What became of it; none while it waits or if it is invalid.
    pub look: Option<Look>,
}

/// The events that a fold knows.
pub struct Archive<'a, R, E> {
    fold: &'a Fold,
    rows: &'a R,
    events: &'a E,
}

fn entry(row: EventRow, events: &impl Events) -> Result<Entry, EngineError> {
    let look = match row.state {
        EventState::Valid { last, .. } => last,
        EventState::Held | EventState::Invalid => None,
    };
    Ok(Entry { event: events.event(row.at)?, look })
}

impl<'a, R: Read, E: Events> Archive<'a, R, E> {
    /// Of the state that `fold` describes in `rows`.
    pub fn new(fold: &'a Fold, rows: &'a R, events: &'a E) -> Self {
        Self { fold, rows, events }
    }

    /// The fold that it asks.
    pub fn fold(&self) -> &'a Fold {
        self.fold
    }

    /// Every valid event on a record, masked ones included, in the order of their lamports.
    pub fn events_on(&self, record: RecordKey) -> Result<Vec<Entry>, EngineError> {
        let mut entries = Vec::new();
        for key in self.fold.events_on(self.rows, record)? {
            let row = self.lookup().row(key)?.expect("an event on a record has a row");
            entries.push(entry(row, self.events)?);
        }
        entries.sort_by_key(|entry| (entry.event.header().lamport, entry.event.reference()));
        Ok(entries)
    }

    /// The event that an op is in.
    pub fn event_of(&self, op: &OpRef) -> Result<Option<Entry>, EngineError> {
        let Some(key) = self.lookup().key_of(op.chain, op.seq, op.tag) else { return Ok(None) };
        self.lookup().row(key)?.map(|row| entry(row, self.events)).transpose()
    }

    /// The event with this id. Looks through the places of every chain, the latest first: some microseconds for a
    /// recent event, about a second among millions.
    pub fn find(&self, id: EventId) -> Result<Option<EventRef>, EngineError> {
        for (chain, chain_row) in &self.fold.chains {
            let from = self.fold.prefix.events_of(chain_row.number);
            for pair in self.rows.range_rev(ROWS, &from, prefix_end(&from).as_deref()) {
                let (key, row) = pair?;
                let key = EventKey::at_end_of(&key);
                if key.tag == id.tag() && EventRow::decode(&row).id == id {
                    return Ok(Some(EventRef { chain: *chain, seq: key.seq, id }));
                }
            }
        }
        Ok(None)
    }

    /// What became of a valid event.
    pub fn status(&self, id: EventId) -> Result<Status, EngineError> {
        let masked = self.rows.get(ROWS, &self.fold.prefix.masked(id))?;
        Ok(masked.map_or(Status::Live, |row| decode(&row)))
    }

    /// Which of `others` are in the causal past of `event`, itself included. Walks back no further than the earliest
    /// of them.
    pub fn seen_by(&self, event: &EventRef, others: &[Arc<Event>]) -> Result<BTreeSet<EventId>, EngineError> {
        let mut seen = BTreeSet::new();
        let mut open: BTreeMap<EventId, &Event> = others.iter().map(|other| (other.id(), &**other)).collect();
        self.walk(event, |visited| {
            let (lamport, chain) = (visited.header().lamport, visited.header().chain);
            open.retain(|id, other| {
                let is_before = other.header().chain == chain && self.is_before_on_the_trunk(other, visited);
                if is_before || *id == visited.id() {
                    seen.insert(*id);
                    return false;
                }
                // What is left to be visited has no greater lamport than this one.
                other.header().lamport <= lamport
            });
            !open.is_empty()
        })?;
        Ok(seen)
    }

    /// The causal past of an event, itself included.
    pub fn past(&self, event: &EventRef) -> Result<BTreeSet<EventId>, EngineError> {
        let mut past = BTreeSet::new();
        self.walk(event, |visited| past.insert(visited.id()))?;
        Ok(past)
    }

    /// Visits `event` and everything in its causal past, the greatest lamport first, as long as `visit` says.
    fn walk(&self, event: &EventRef, mut visit: impl FnMut(&Event) -> bool) -> Result<(), EngineError> {
        let mut queued = BTreeSet::from([event.id]);
        // By lamport and id.
        let mut queue = BTreeMap::new();
        let mut next = vec![*event];
        loop {
            for reference in next.drain(..) {
                let known = self.event_of(&reference.op(0))?.expect("the past of a valid event is known");
                queue.insert((known.event.header().lamport, known.event.id()), known.event);
            }
            let Some((_, event)) = queue.pop_last() else { return Ok(()) };
            if !visit(&event) {
                return Ok(());
            }
            let header = event.header();
            let prev = header.prev.map(|id| EventRef { chain: header.chain, seq: header.seq - 1, id });
            next.extend(prev.iter().chain(&header.deps).filter(|before| queued.insert(before.id)));
        }
    }

    /// Whether an event of the same chain comes before another one; no answer beyond the chain's first fork.
    fn is_before_on_the_trunk(&self, event: &Event, other: &Event) -> bool {
        let (seq, chain) = (event.header().seq, event.header().chain);
        let fork = self.fold.chains.get(&chain).and_then(|row| row.first_fork);
        seq <= other.header().seq && fork.is_none_or(|fork| seq < fork)
    }

    fn lookup(&self) -> Lookup<'a, R, E> {
        Lookup { fold: self.fold, rows: self.rows, events: self.events }
    }
}

impl Fold {
    /// Whether an event that is live now may have been masked before, or the other way round, for reasons that came
    /// after it: verdicts, or rights that were taken away.
    pub fn may_judge_late(&self) -> bool {
        !self.terms.terms.is_empty() || !self.members.cuts.is_empty()
    }

    /// Whether no event waits for another one, and no chain is forked: then an event that comes changes its own records
    /// and no others, unless it is a control event.
    pub fn is_settled(&self) -> bool {
        self.waiting == 0 && self.chains.values().all(|chain| chain.first_fork.is_none())
    }
}

#[cfg(test)]
mod tests;
