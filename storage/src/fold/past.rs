//! What an event had seen of the control plane.

use crate::EngineError;
use std::{collections::BTreeSet, sync::Arc};
use tandem_wire::{Act, ChainId, Event, EventId, Mark};

/// The control events in an event's causal past, those that only hold verdicts left out: no rule asks for them.
pub type Past = Arc<BTreeSet<EventId>>;

/// A valid control event with its past.
#[derive(Debug, Clone)]
pub struct ControlEvent {
    /// The event.
    pub event: Arc<Event>,
    /// What it had seen.
    pub past: Past,
}

/// Whether later events have this one in their [`Past`].
pub fn counts_as_past(event: &Event) -> bool {
    event.header().chain.is_control()
        && event.header().ops.iter().any(|op| !matches!(op.act, Act::Verdict(_) | Act::RulesChanged(_)))
}

/// How events of one chain lie to one another.
pub trait Chains {
    /// Whether the event `id` at `seq` of the mark's chain is the marked one or comes before it.
    ///
    /// A marked event that is not known cuts by its place; once it is known, it also names its branch of a fork.
    fn is_within(&self, seq: u64, id: EventId, mark: &Mark) -> Result<bool, EngineError>;
}

/// Whether an event is beyond what `marks` name; a chain that they do not name is cut at its start.
pub fn is_beyond(
    chain: ChainId,
    seq: u64,
    id: EventId,
    marks: &[Mark],
    chains: &impl Chains,
) -> Result<bool, EngineError> {
    for mark in marks.iter().filter(|mark| mark.0.chain == chain) {
        if chains.is_within(seq, id, mark)? {
            return Ok(false);
        }
    }
    Ok(true)
}
