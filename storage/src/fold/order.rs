//! The control order: the one order in which everybody reads concurrent control events (rule R3).

use super::{ControlEvent, Members, Standings, members::control_key};
use crate::EngineError;

/// All control events, none before what it had seen; where that leaves a choice, accepted ones first in the
/// authority's order, then by the author's seniority, lamport, id.
pub fn control_order<'a>(
    control: &'a [ControlEvent],
    members: &Members,
    standings: &impl Standings,
) -> Result<Vec<&'a ControlEvent>, EngineError> {
    let mut waiting = Vec::new();
    for c in control {
        let rank = members.rank(c.event.header().chain.device).unwrap_or(usize::MAX);
        waiting.push((control_key(&c.event, &standings.of(c)?, rank, 0), c));
    }
    waiting.sort_by_key(|(key, _)| *key);
    let mut ordered: Vec<&ControlEvent> = Vec::new();
    while !waiting.is_empty() {
        let ready =
            waiting.iter().position(|(_, c)| !waiting.iter().any(|(_, other)| c.past.contains(&other.event.id())));
        let (_, c) = waiting.remove(ready.expect("the past has no cycles"));
        ordered.push(c);
    }
    Ok(ordered)
}
