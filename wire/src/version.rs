//! What a replica has: for each chain, where it ends.
//!
//! Events name the one before them in their chain, and no replica keeps one without those before it. So the ends of a
//! chain say exactly which of its events are there: two replicas with equal tables have equal sets of events. A chain has
//! one end, or one for each branch of a fork.

use crate::{ChainId, EventId, EventRef, hash, put};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Chain → the last event of each of its branches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionTable(BTreeMap<ChainId, BTreeSet<ChainEnd>>);

/// The last event of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChainEnd {
    /// Its place in the chain.
    pub seq: u64,
    /// Its id, which stands for all events before it.
    pub id: EventId,
}

/// Names a version table: equal for equal sets of events.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableDigest(pub [u8; 32]);

impl fmt::Debug for TableDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl VersionTable {
    /// The chains with their ends, ascending.
    pub fn chains(&self) -> impl Iterator<Item = (ChainId, &BTreeSet<ChainEnd>)> {
        self.0.iter().map(|(chain, ends)| (*chain, ends))
    }

    /// The ends of one chain; none where nothing of it is there.
    pub fn ends(&self, chain: ChainId) -> impl Iterator<Item = ChainEnd> + '_ {
        self.0.get(&chain).into_iter().flatten().copied()
    }

    /// All ends, ascending: what crosses a boundary.
    pub fn all(&self) -> impl Iterator<Item = EventRef> + '_ {
        self.0.iter().flat_map(|(chain, ends)| ends.iter().map(|end| end.of(*chain)))
    }

    /// How many chains.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an end.
    pub fn insert(&mut self, end: EventRef) {
        self.0.entry(end.chain).or_default().insert(ChainEnd::from(end));
    }

    /// Makes these the ends of a chain.
    pub fn set(&mut self, chain: ChainId, ends: impl IntoIterator<Item = ChainEnd>) {
        let ends: BTreeSet<ChainEnd> = ends.into_iter().collect();
        match ends.is_empty() {
            true => drop(self.0.remove(&chain)),
            false => drop(self.0.insert(chain, ends)),
        }
    }

    /// The chain goes on behind `before`, up to `to`; where that was no end, it is one more.
    pub fn advance(&mut self, chain: ChainId, before: Option<ChainEnd>, to: ChainEnd) {
        let ends = self.0.entry(chain).or_default();
        before.map(|before| ends.remove(&before));
        ends.insert(to);
    }

    /// What differs from `base`: the chains whose ends are others, with their ends here. No replica gives events up, so
    /// that none of the base's chains is missing here.
    #[must_use]
    pub fn since(&self, base: &Self) -> Self {
        let differs = |chain: &ChainId, ends: &BTreeSet<ChainEnd>| base.0.get(chain) != Some(ends);
        Self(self.0.iter().filter(|(chain, ends)| differs(chain, ends)).map(|(c, e)| (*c, e.clone())).collect())
    }

    /// The table of which `self` is what differs from `base`.
    #[must_use]
    pub fn on(self, base: &Self) -> Self {
        let mut whole = base.clone();
        whole.0.extend(self.0);
        whole
    }

    /// How many events this table has beyond another one, as far as places tell: of a fork, the longest branch counts.
    /// Whoever tells a table may name places that nobody can reach.
    #[must_use]
    pub fn events_beyond(&self, other: &Self) -> u64 {
        let count = |table: &Self, chain| table.ends(chain).map(|end| end.seq.saturating_add(1)).max().unwrap_or(0);
        let beyond = self.chains().map(|(chain, _)| count(self, chain).saturating_sub(count(other, chain)));
        beyond.fold(0, u64::saturating_add)
    }

    /// Its name.
    pub fn digest(&self) -> TableDigest {
        let mut bytes = Vec::with_capacity(80 * self.0.len());
        self.all().for_each(|end| put::event_ref(&mut bytes, &end));
        TableDigest(hash::derive("tandem 1 version table", &[&bytes]))
    }
}

impl FromIterator<EventRef> for VersionTable {
    fn from_iter<T: IntoIterator<Item = EventRef>>(ends: T) -> Self {
        let mut table = Self::default();
        ends.into_iter().for_each(|end| table.insert(end));
        table
    }
}

impl ChainEnd {
    /// The event in its chain.
    pub fn of(self, chain: ChainId) -> EventRef {
        EventRef { chain, seq: self.seq, id: self.id }
    }
}

impl From<EventRef> for ChainEnd {
    fn from(event: EventRef) -> Self {
        Self { seq: event.seq, id: event.id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceKey;

    fn end(device: u8, number: u32, seq: u64, id: u8) -> EventRef {
        EventRef { chain: ChainId { device: DeviceKey([device; 32]), number }, seq, id: EventId([id; 32]) }
    }

    #[test]
    fn the_digest_names_the_set_in_whatever_order_it_came() {
        let ends = [end(1, 0, 4, 9), end(1, 1, 7, 8), end(1, 1, 7, 3), end(2, 0, 0, 1)];
        let table: VersionTable = ends.into_iter().collect();
        let back: VersionTable = ends.into_iter().rev().collect();
        assert_eq!((&table, table.digest()), (&back, back.digest()));
        for left_out in 0..ends.len() {
            let fewer: VersionTable = (0..ends.len()).filter(|i| *i != left_out).map(|i| ends[i]).collect();
            assert_ne!(table.digest(), fewer.digest());
        }
        assert_ne!(table.digest(), VersionTable::default().digest());
    }

    #[test]
    fn a_table_is_its_base_and_what_differs() {
        let base: VersionTable = [end(1, 0, 4, 9), end(2, 0, 0, 1), end(3, 1, 1, 1)].into_iter().collect();
        let mut table = base.clone();
        table.advance(end(1, 0, 0, 0).chain, Some(end(1, 0, 4, 9).into()), end(1, 0, 6, 2).into());
        table.advance(end(3, 1, 0, 0).chain, None, end(3, 1, 1, 2).into());
        table.insert(end(4, 0, 0, 5));
        let since = table.since(&base);
        assert_eq!(since.len(), 3, "the second is as it was: {since:?}");
        assert_eq!(since.on(&base), table);
        assert_eq!((table.events_beyond(&base), base.events_beyond(&table)), (2 + 1, 0));
        assert_eq!(table.since(&table), VersionTable::default());
    }

    #[test]
    fn places_that_nobody_can_reach_are_counted_too() {
        let claimed: VersionTable = [end(1, 0, u64::MAX, 9), end(2, 0, u64::MAX, 1)].into_iter().collect();
        let none = VersionTable::default();
        assert_eq!((claimed.events_beyond(&none), none.events_beyond(&claimed)), (u64::MAX, 0));
    }

    #[test]
    fn a_branch_goes_on_where_it_ended() {
        let (chain, mut table) = (end(1, 1, 0, 0).chain, VersionTable::default());
        table.advance(chain, None, end(1, 1, 5, 1).into());
        table.advance(chain, None, end(1, 1, 3, 2).into());
        table.advance(chain, Some(end(1, 1, 5, 1).into()), end(1, 1, 9, 3).into());
        let ends: Vec<u64> = table.ends(chain).map(|end| end.seq).collect();
        assert_eq!(ends, [3, 9]);
        table.set(chain, []);
        assert!(table.is_empty());
    }
}
