//! The control order: the one order in which everybody reads concurrent control events (rule R3).

use super::{ControlEvent, Members, Standings, members::control_key};
use crate::EngineError;
use std::collections::BTreeSet;
use tandem_wire::EventId;

/// All control events, none before what it had seen; where that leaves a choice, accepted ones first in the
/// authority's order, then by the author's seniority, lamport, id.
pub fn control_order<'a>(
    control: &'a [ControlEvent],
    members: &Members,
    standings: &impl Standings,
) -> Result<Vec<&'a ControlEvent>, EngineError> {
    let mut by_id: Vec<(EventId, usize)> = control.iter().enumerate().map(|(i, c)| (c.event.id(), i)).collect();
    by_id.sort_unstable();
    // By place: how much of its past is still to come, and who waits for it.
    let mut missing = Vec::with_capacity(control.len());
    let mut waiting = vec![Vec::new(); control.len()];
    let mut keys = Vec::with_capacity(control.len());
    for (i, c) in control.iter().enumerate() {
        let rank = members.rank(c.event.header().chain.device).unwrap_or(usize::MAX);
        keys.push(control_key(&c.event, &standings.of(c)?, rank, 0));
        missing.push(c.past.len());
        // Both are in the order of the ids.
        let mut places = by_id.iter();
        for before in c.past.iter() {
            if let Some((_, place)) = places.find(|(id, _)| id == before) {
                waiting[*place].push(i);
            }
        }
    }
    let mut ready: BTreeSet<_> =
        (0..control.len()).filter(|i| control[*i].past.is_empty()).map(|i| (keys[i], i)).collect();
    let mut ordered = Vec::new();
    while let Some((_, i)) = ready.pop_first() {
        ordered.push(&control[i]);
        for next in std::mem::take(&mut waiting[i]) {
            missing[next] -= 1;
            if missing[next] == 0 {
                ready.insert((keys[next], next));
            }
        }
    }
    assert_eq!(ordered.len(), control.len(), "every event's past is known, and has no cycles");
    Ok(ordered)
}

#[cfg(test)]
mod tests;
