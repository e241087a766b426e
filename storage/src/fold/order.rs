//! The control order: the one order in which everybody reads concurrent control events (rule R3).

use super::{ControlEvent, Members, Standings, members::control_key};
use crate::EngineError;
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::EventId;

/// All control events, none before what it had seen; where that leaves a choice, accepted ones first in the
/// authority's order, then by the author's seniority, lamport, id.
pub fn control_order<'a>(
    control: &'a [ControlEvent],
    members: &Members,
    standings: &impl Standings,
) -> Result<Vec<&'a ControlEvent>, EngineError> {
    // By event: how much of its past is still to come, and who waits for it.
    let mut missing: BTreeMap<EventId, usize> = BTreeMap::new();
    let mut waiting: BTreeMap<EventId, Vec<usize>> = BTreeMap::new();
    let mut keys = Vec::new();
    for (i, c) in control.iter().enumerate() {
        let rank = members.rank(c.event.header().chain.device).unwrap_or(usize::MAX);
        keys.push(control_key(&c.event, &standings.of(c)?, rank, 0));
        missing.insert(c.event.id(), c.past.len());
        for before in c.past.iter() {
            waiting.entry(*before).or_default().push(i);
        }
    }
    let mut ready: BTreeSet<_> =
        (0..control.len()).filter(|i| control[*i].past.is_empty()).map(|i| (keys[i], i)).collect();
    let mut ordered = Vec::new();
    while let Some((_, i)) = ready.pop_first() {
        ordered.push(&control[i]);
        for next in waiting.remove(&control[i].event.id()).unwrap_or_default() {
            let missing = missing.get_mut(&control[next].event.id()).expect("entered above");
            *missing -= 1;
            if *missing == 0 {
                ready.insert((keys[next], next));
            }
        }
    }
    assert_eq!(ordered.len(), control.len(), "every event's past is known, and has no cycles");
    Ok(ordered)
}

#[cfg(test)]
mod tests;
