//! What is listed of refusals: those of mirrors, which mask nothing, and which refused events were answered (rules R7, R8).

use super::{Chains, Judged, Look, Past, Stops, Terms, standing::counting};
use crate::EngineError;
use std::collections::BTreeSet;
use tandem_wire::{Act, BindingMode, DesignProposed, Event, EventRef, MemberId, OpRef, Outcome, RefusalCode};

/// The verdict ops that refuse an event, and why.
pub type Refusals = BTreeSet<(OpRef, RefusalCode)>;

/// What mirrors refused of an event.
pub fn mirrored(
    event: &Event,
    past: &Past,
    verdicts: &[Judged],
    terms: &Terms,
    stops: &Stops,
    chains: &impl Chains,
) -> Result<Refusals, EngineError> {
    if verdicts.is_empty() || !has_mirrors(terms) {
        return Ok(Refusals::new());
    }
    let counting = counting(event, past, verdicts, terms, stops, chains, BindingMode::Mirror)?;
    let refusing = counting.into_iter().filter_map(|(term, judged)| match judged.outcome {
        Outcome::Refuse(code) if terms.terms[term].concerns(event) => Some((judged.op(&terms.terms[term]), code)),
        Outcome::Refuse(_) | Outcome::Accept => None,
    });
    Ok(refusing.collect())
}

/// Whether any mirror was ever bound.
pub fn has_mirrors(terms: &Terms) -> bool {
    terms.terms.iter().any(|term| term.bind.mode == BindingMode::Mirror)
}

/// The events that an event answers, so that they need not be listed any longer: what it gives up, while it takes part, and
/// what it takes into a proposed design after all; what it puts in place of another one, also while it is refused, for then
/// it is listed itself.
pub fn answers(event: &Event, look: Look) -> Vec<EventRef> {
    let mut answered = Vec::new();
    if look.live || look.refused {
        answered.extend(event.header().resubmits);
    }
    if look.live {
        for op in &event.header().ops {
            match &op.act {
                Act::Discard(event) => answered.push(**event),
                Act::DesignProposed(proposed) => answered.extend(adopted(event, proposed)),
                _other => {}
            }
        }
    }
    answered
}

/// The events that an event asks somebody else to put right, while it takes part, and whom.
pub fn hand_ons(event: &Event, look: Look) -> Vec<(EventRef, MemberId)> {
    let ops = event.header().ops.iter().filter(|_| look.live);
    ops.filter_map(|op| match &op.act {
        Act::HandOn { event, to } => Some((**event, *to)),
        _other => None,
    })
    .collect()
}

/// Steps of others that a proposal takes.
fn adopted(event: &Event, proposed: &DesignProposed) -> impl Iterator<Item = EventRef> {
    let device = event.header().chain.device;
    proposed.steps.iter().filter(move |step| step.chain.device != device).copied()
}

/// Whether an event may answer others, or hand them on.
pub fn may_answer(event: &Event) -> bool {
    let mut acts = event.header().ops.iter().map(|op| &op.act);
    let answers = |act: &Act| match act {
        Act::Discard(_) | Act::HandOn { .. } => true,
        Act::DesignProposed(proposed) => adopted(event, proposed).next().is_some(),
        _other => false,
    };
    event.header().resubmits.is_some() || acts.any(answers)
}
