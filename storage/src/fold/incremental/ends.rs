//! Where the chains end that a replica has: valid events, held ones and invalid ones alike.
//!
//! Mostly a chain ends with its head. Only where it does not (it forked, or its last events are held or invalid) there is
//! a row that says so.

use super::{
    ChainRow, EventKey, EventRow, EventState, Events, Fold, Work,
    read::Lookup,
    rows::{Kind, ROWS, decode, with},
};
use crate::engine::{EngineError, Read, Slice, prefix_end};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{ChainEnd, ChainId, DeviceKey, Event, EventId, EventRef, VersionTable};

/// The branches of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ends {
    ends: BTreeSet<ChainEnd>,
    /// The first place with more than one event.
    fork: Option<u64>,
}

/// By chain, where it does not just end with its head.
pub(super) type AllEnds = BTreeMap<ChainId, Ends>;

impl Ends {
    fn of(row: &ChainRow) -> Self {
        Self { ends: row.head.map(|(seq, id)| ChainEnd { seq, id }).into_iter().collect(), fork: None }
    }

    fn extend(&mut self, event: &Event) {
        let header = event.header();
        let before = header.prev.map(|id| ChainEnd { seq: header.seq - 1, id });
        let goes_on = match before {
            Some(before) => self.ends.remove(&before),
            None => self.ends.is_empty(),
        };
        if !goes_on {
            // Something else is at this place already, or what comes before is not there: then nothing is known.
            let first = if self.ends.iter().any(|end| end.seq >= header.seq) { header.seq } else { 0 };
            self.fork = Some(self.fork.map_or(first, |fork| fork.min(first)));
        }
        self.ends.insert(ChainEnd { seq: header.seq, id: event.id() });
    }
}

impl Fold {
    pub(super) fn load_ends<R: Read>(&mut self, rows: &R) -> Result<(), EngineError> {
        for pair in super::range(rows, self.prefix.kind(Kind::End)) {
            let (key, value) = pair?;
            let (device, number) = key[9..].split_first_chunk().expect("keys are our own");
            let number = u32::from_be_bytes(number.try_into().expect("keys are our own"));
            self.ends.insert(ChainId { device: DeviceKey(*device), number }, decode(&value));
        }
        Ok(())
    }

    /// Takes a new event in; `before` is its chain as it was without it.
    pub(super) fn extend_ends<R: Read, E: Events>(
        &mut self,
        work: &mut Work<'_, '_, R, E>,
        event: &Event,
        before: ChainRow,
    ) {
        let chain = event.header().chain;
        let was = self.ends.remove(&chain);
        let (is_new, mut ends) = (was.is_none(), was.unwrap_or_else(|| Ends::of(&before)));
        ends.extend(event);
        if is_new && ends == Ends::of(&self.chains[&chain]) {
            return;
        }
        work.put(&self.end_key(chain), &ends);
        self.ends.insert(chain, ends);
    }

    /// Forgets the ends of a chain that ends with its head.
    pub(super) fn settle_ends<R: Read, E: Events>(&mut self, work: &mut Work<'_, '_, R, E>, chain: ChainId) {
        if self.ends.get(&chain).is_some_and(|ends| *ends == Ends::of(&self.chains[&chain])) {
            self.ends.remove(&chain);
            work.rows.delete(ROWS, self.end_key(chain));
        }
    }

    fn end_key(&self, chain: ChainId) -> Vec<u8> {
        with(self.prefix.kind(Kind::End), &[&chain.device.0, &chain.number.to_be_bytes()])
    }

    /// What this replica has.
    pub fn version_table(&self) -> VersionTable {
        let mut table = VersionTable::default();
        for (chain, row) in &self.chains {
            match self.ends.get(chain) {
                Some(ends) => table.set(*chain, ends.ends.iter().copied()),
                None => table.set(*chain, Ends::of(row).ends),
            }
        }
        table
    }

    /// The first place of a chain with more than one event, valid or not.
    pub fn fork_of(&self, chain: ChainId) -> Option<u64> {
        self.ends.get(&chain).and_then(|ends| ends.fork)
    }

    /// Where the valid events of a chain end, by branch: what whoever cuts the chain off has seen of it.
    pub fn valid_ends<R: Read>(
        &self,
        rows: &R,
        events: &impl Events,
        chain: ChainId,
    ) -> Result<BTreeSet<ChainEnd>, EngineError> {
        let (Some(row), Some(ends)) = (self.chains.get(&chain), self.ends.get(&chain)) else {
            return Ok(self.head_of(chain).into_iter().collect());
        };
        let mut found = BTreeSet::new();
        for end in &ends.ends {
            let mut at = Some(EventKey { chain: row.number, seq: end.seq, tag: end.id.tag() });
            while let Some(key) = at {
                let row = EventRow::get(rows, self.prefix, key)?.expect("it is here");
                if matches!(row.state, EventState::Valid { .. }) {
                    found.insert(ChainEnd { seq: key.seq, id: row.id });
                    break;
                }
                at = self.event_before(rows, events, key)?.filter(|before| before.seq < key.seq);
            }
        }
        Ok(found)
    }

    /// Whether an event is here, valid or not.
    pub fn has<R: Read>(&self, rows: &R, event: EventRef) -> Result<bool, EngineError> {
        let Some(chain) = self.chains.get(&event.chain) else { return Ok(false) };
        let key = EventKey { chain: chain.number, seq: event.seq, tag: event.id.tag() };
        Ok(EventRow::get(rows, self.prefix, key)?.is_some_and(|row| row.id == event.id))
    }

    /// The key of an event of a chain that is here.
    pub fn key_at(&self, chain: ChainId, end: ChainEnd) -> Option<EventKey> {
        let chain = self.chains.get(&chain)?.number;
        Some(EventKey { chain, seq: end.seq, tag: end.id.tag() })
    }

    /// The whole id of an event that is here.
    pub fn id_of<R: Read>(&self, rows: &R, event: EventKey) -> Result<EventId, EngineError> {
        Ok(EventRow::get(rows, self.prefix, event)?.expect("it is here").id)
    }

    /// The events of a chain from a place on, valid or not, by place.
    pub fn events_from<'a, R: Read>(
        &self,
        rows: &'a R,
        chain: ChainId,
        seq: u64,
    ) -> impl Iterator<Item = Result<(EventKey, EventRow), EngineError>> + use<'a, R> {
        let range = self.chains.get(&chain).map(|row| {
            let all = self.prefix.events_of(row.number);
            let from = with(all.clone(), &[&seq.to_be_bytes()]);
            rows.range(ROWS, &from, prefix_end(&all).as_deref())
        });
        let decoded = |pair: Result<(Slice, Slice), _>| {
            pair.map(|(key, row)| (EventKey::at_end_of(&key), EventRow::decode(&row)))
        };
        range.into_iter().flatten().map(decoded)
    }

    /// The event before one that is here, in its chain; none before the first.
    pub fn event_before<R: Read>(
        &self,
        rows: &R,
        events: &impl Events,
        event: EventKey,
    ) -> Result<Option<EventKey>, EngineError> {
        Lookup { fold: self, rows, events }.previous(event)
    }
}
