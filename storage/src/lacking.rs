//! What another replica lacks: told by its version table, read from this one's log.
//!
//! Control chains come first, then data; both in the order in which they arrived here, so that nothing comes before what
//! it builds on. Runs are given as they were written: nobody signs for another.

use crate::{
    EngineError,
    engine::{Read, Slice, Table},
    fold::incremental::{EventKey, EventRow, Fold},
    log::{self, LogReader, events_of},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    iter::Peekable,
};
use tandem_wire::{ChainEnd, ChainId, DeviceKey, EventId, VersionTable, limits::POINTS_MAX};

/// Runs that another replica lacks.
#[derive(Debug, Clone, Default)]
pub struct Lacking {
    /// In the order in which they are to be taken in.
    pub runs: Vec<Slice>,
    /// What it has when it has taken them in, as far as is known here.
    pub then: VersionTable,
    /// It then lacks nothing more that can be told from its table.
    pub is_all: bool,
    /// Chains of which nothing can be told, because both have what the other does not know: they forked, and somebody
    /// has to say where (see [`points`]).
    pub unclear: Vec<ChainId>,
}

/// What a replica with the table `theirs` lacks of the log of the workspace with this number: runs of about `bytes_max`
/// bytes, or one that is larger.
pub fn lacking<R: Read>(
    rows: &R,
    fold: &Fold,
    theirs: &VersionTable,
    bytes_max: usize,
) -> Result<Lacking, EngineError> {
    let workspace = fold.prefix().workspace;
    let mut found = Lacking { then: theirs.clone(), is_all: true, ..Lacking::default() };
    let (mut cursors, mut heap) = (Vec::new(), BinaryHeap::new());
    for (chain, ends) in fold.version_table().chains() {
        match start(rows, fold, theirs, chain, ends)? {
            Start::Nothing => {}
            Start::Unclear => found.unclear.push(chain),
            Start::From(mut cursor) => {
                if let Some(place) = cursor.next_place()? {
                    heap.push(Reverse((place, cursors.len())));
                    cursors.push(cursor);
                }
            }
        }
    }
    let (mut bytes, mut sent) = (0, BTreeSet::new());
    while let Some(Reverse(((_, arrival), index))) = heap.pop() {
        let run = match sent.insert(arrival) {
            false => None,
            true => rows.get(Table::Log, &log::key(workspace, arrival))?,
        };
        if let Some(run) = run {
            bytes += run.len();
            if bytes > bytes_max && !found.runs.is_empty() {
                found.is_all = false;
                break;
            }
            let cursor: &mut Cursor<'_> = &mut cursors[index];
            cursor.pass(arrival, &run, &mut found.then)?;
            found.runs.push(run);
        } else {
            cursors[index].skip(arrival)?;
        }
        if let Some(place) = cursors[index].next_place()? {
            heap.push(Reverse((place, index)));
        }
    }
    Ok(found)
}

/// What the device with the table `theirs` lacks to see that it was removed: the control events that its removals had
/// seen, and these. It was a member when they were written; of what came later it learns nothing.
pub fn farewell<R: Read>(
    rows: &R,
    fold: &Fold,
    theirs: &VersionTable,
    device: DeviceKey,
) -> Result<Vec<Slice>, EngineError> {
    let grants = fold.members().grants.get(&device).into_iter().flatten();
    let removals = grants.filter(|grant| grant.role.is_none());
    let seen: BTreeSet<EventId> = removals.flat_map(|grant| grant.past.iter().copied().chain([grant.event])).collect();
    let mut last: BTreeMap<ChainId, u64> = BTreeMap::new();
    for event in fold.control().map(|control| &control.event).filter(|event| seen.contains(&event.id())) {
        let seq = last.entry(event.header().chain).or_default();
        *seq = event.header().seq.max(*seq);
    }
    let mut arrivals = BTreeSet::new();
    for (chain, last) in last {
        let mut from = 0;
        for end in theirs.ends(chain) {
            if fold.has(rows, end.of(chain))? {
                from = from.max(end.seq + 1);
            }
        }
        for event in fold.events_from(rows, chain, from) {
            let (key, row) = event?;
            if key.seq > last {
                break;
            }
            arrivals.insert(row.at.arrival);
        }
    }
    let run = |arrival| rows.get(Table::Log, &log::key(fold.prefix().workspace, arrival)).transpose();
    arrivals.into_iter().filter_map(run).collect()
}

/// Some events of a chain, for a replica that has another branch of it: the ends, and at growing distances before them.
pub fn points<R: Read>(rows: &R, fold: &Fold, chain: ChainId) -> Result<Vec<ChainEnd>, EngineError> {
    let events = LogReader::new(rows, fold.prefix().workspace);
    let fork = fold.fork_of(chain).unwrap_or(u64::MAX);
    let (mut points, mut trunk) = (BTreeSet::new(), None);
    for end in fold.version_table().ends(chain) {
        points.insert(end);
        // Along the branch event by event, below the fork by places.
        let mut at = fold.key_at(chain, end);
        let (mut distance, mut next) = (1, end.seq.saturating_sub(1));
        while let Some(key) = at.filter(|key| key.seq >= fork) {
            if key.seq <= next {
                points.insert(ChainEnd { seq: key.seq, id: fold.id_of(rows, key)? });
                distance *= 2;
                next = key.seq.saturating_sub(distance);
            }
            at = fold.event_before(rows, &events, key)?;
        }
        trunk = trunk.max(Some(end.seq.min(fork.saturating_sub(1)))).filter(|_| fork > 0);
    }
    let mut distance = 0;
    while let Some(seq) = trunk {
        if let Some((key, row)) = fold.events_from(rows, chain, seq).next().transpose()? {
            points.insert(ChainEnd { seq: key.seq, id: row.id });
        }
        distance = (2 * distance).max(1);
        trunk = if seq == 0 { None } else { Some(seq.saturating_sub(distance)) };
    }
    // Of too many branches, the longest.
    Ok(points.into_iter().rev().take(POINTS_MAX).collect())
}

enum Start<'a> {
    /// They have all of it, or more.
    Nothing,
    /// See [`Lacking::unclear`].
    Unclear,
    From(Box<Cursor<'a>>),
}

fn start<'a, R: Read>(
    rows: &'a R,
    fold: &Fold,
    theirs: &VersionTable,
    chain: ChainId,
    ends: &BTreeSet<ChainEnd>,
) -> Result<Start<'a>, EngineError> {
    let (mut known, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for end in theirs.ends(chain) {
        let is_here = ends.contains(&end) || fold.has(rows, end.of(chain))?;
        if is_here {
            known.insert(end)
        } else {
            unknown.insert(end)
        };
    }
    if ends.is_subset(&known) {
        return Ok(Start::Nothing);
    }
    if known.is_empty() && !unknown.is_empty() {
        // Whoever is further on knows where this one ends, if there was no fork.
        let longest = ends.iter().map(|end| end.seq).max();
        let is_further_on = unknown.iter().all(|end| Some(end.seq) > longest);
        return Ok(if is_further_on { Start::Nothing } else { Start::Unclear });
    }
    let (mut from, mut covered) = (known.iter().map(|end| end.seq + 1).max().unwrap_or(0), BTreeSet::new());
    if let Some(fork) = fold.fork_of(chain) {
        let events = LogReader::new(rows, fold.prefix().workspace);
        from = from.min(fork);
        for end in &known {
            let mut at = fold.key_at(chain, *end);
            while let Some(key) = at.filter(|key| key.seq >= fork) {
                if !covered.insert(key) {
                    break;
                }
                at = fold.event_before(rows, &events, key)?;
            }
        }
    }
    let is_covered = move |event: &Result<(EventKey, EventRow), EngineError>| {
        event.as_ref().is_ok_and(|(key, _)| covered.contains(key))
    };
    let events: Events<'a> = Box::new(fold.events_from(rows, chain, from).filter(move |event| !is_covered(event)));
    let before = if fold.fork_of(chain).is_none() { known.last().copied() } else { None };
    let (is_forked, events) = (fold.fork_of(chain).is_some(), events.peekable());
    Ok(Start::From(Box::new(Cursor { chain, is_forked, before, events })))
}

type Events<'a> = Box<dyn Iterator<Item = Result<(EventKey, EventRow), EngineError>> + 'a>;

/// One chain, from the first event that they lack.
struct Cursor<'a> {
    chain: ChainId,
    is_forked: bool,
    /// The last event that they have, while there is one branch.
    before: Option<ChainEnd>,
    events: Peekable<Events<'a>>,
}

impl Cursor<'_> {
    /// Where the next event is: control first, then by arrival.
    fn next_place(&mut self) -> Result<Option<(bool, u64)>, EngineError> {
        match self.events.peek() {
            None => Ok(None),
            Some(Ok((_, row))) => Ok(Some((!self.chain.is_control(), row.at.arrival))),
            Some(Err(_)) => self.events.next().expect("just seen").map(|_| None),
        }
    }

    /// Goes on behind a run, which they will have.
    fn pass(&mut self, arrival: u64, run: &[u8], then: &mut VersionTable) -> Result<(), EngineError> {
        let Some(mut last) = self.skip(arrival)? else { return Ok(()) };
        if self.is_forked {
            // Events of other branches may stand between those of the run.
            let events = events_of(run);
            let (first, end) = (events[0].header(), events[events.len() - 1].reference());
            self.before = first.prev.map(|id| ChainEnd { seq: first.seq - 1, id });
            last = end.into();
        }
        then.advance(self.chain, self.before, last);
        self.before = Some(last);
        Ok(())
    }

    /// Goes on behind the events that came in this run; gives the last.
    fn skip(&mut self, arrival: u64) -> Result<Option<ChainEnd>, EngineError> {
        let mut last = None;
        while let Some(event) =
            self.events.next_if(|event| event.as_ref().map_or(true, |(_, row)| row.at.arrival == arrival))
        {
            let (key, row) = event?;
            last = Some(ChainEnd { seq: key.seq, id: row.id });
        }
        Ok(last)
    }
}
