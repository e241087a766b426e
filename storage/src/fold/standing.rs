//! Stage 2: what the authorities' verdicts make of an event (rules R3 and R7).

use super::{Chains, Past, Terms, terms::Term};
use crate::EngineError;
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{Act, BindingMode, Event, EventId, ListId, OpRef, Outcome, RefusalCode};

/// One verdict on one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The term that it names.
    pub term: OpRef,
    /// Its place in the authority's chain.
    pub place: VerdictPlace,
    /// The event that it is in.
    pub verdict: EventId,
    /// What that event had seen.
    pub past: Past,
    /// Accept or refuse.
    pub outcome: Outcome,
}

/// A verdict's place in its authority's chain: sequence number, then op.
pub type VerdictPlace = (u64, u16);

impl Judged {
    /// The op of the verdict.
    pub(super) fn op(&self, term: &Term) -> OpRef {
        OpRef { chain: term.chain(), seq: self.place.0, op: self.place.1, tag: self.verdict.tag() }
    }
}

/// Where each term's verdicts cease to count, because the authority contradicted itself or forked its chain there.
pub type Stops = BTreeMap<OpRef, VerdictPlace>;

/// What an authority has made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing, so far.
    Unjudged,
    /// All its authorities accepted it; with what each had seen of the control plane, and the place of the first.
    Accepted {
        /// Of each deciding verdict.
        pasts: Vec<Past>,
        /// Term (by age) and place of the first.
        order: (usize, VerdictPlace),
    },
    /// At least one refused it, by these verdicts.
    Refused(BTreeSet<(OpRef, RefusalCode)>),
}

/// Whether a verdict counts at all: from the term's own chain, the binding seen, before any contradiction,
/// within what the term's end left standing.
pub fn counts(judged: &Judged, terms: &Terms, stops: &Stops, chains: &impl Chains) -> Result<bool, EngineError> {
    let Some(term) = terms.find(&judged.term) else { return Ok(false) };
    let stopped = stops.get(&judged.term).is_some_and(|stop| judged.place >= *stop);
    Ok(!stopped && judged.past.contains(&term.event) && term.stands_at(judged.place.0, judged.verdict, chains)?)
}

/// Rule R7: the standing of `event`, given all verdicts on it.
pub fn standing(
    event: &Event,
    event_past: &Past,
    verdicts: &[Judged],
    terms: &Terms,
    stops: &Stops,
    chains: &impl Chains,
) -> Result<Standing, EngineError> {
    if verdicts.is_empty() {
        return Ok(Standing::Unjudged);
    }
    let counting = counting(event, event_past, verdicts, terms, stops, chains, BindingMode::Binding)?;
    let lists = lists_of(event);
    let scopes: Vec<Option<ListId>> = if lists.is_empty() { vec![None] } else { lists.into_iter().map(Some).collect() };
    let decisions: Vec<Option<&(usize, &Judged)>> =
        scopes.iter().map(|list| counting.iter().find(|(age, _)| terms.terms[*age].covers(*list))).collect();
    let refusals: BTreeSet<(OpRef, RefusalCode)> = decisions
        .iter()
        .flatten()
        .filter_map(|(age, judged)| match judged.outcome {
            Outcome::Refuse(code) => Some((judged.op(&terms.terms[*age]), code)),
            Outcome::Accept => None,
        })
        .collect();
    if !refusals.is_empty() {
        return Ok(Standing::Refused(refusals));
    }
    let Some(decided) = decisions.into_iter().collect::<Option<Vec<_>>>() else { return Ok(Standing::Unjudged) };
    let order = decided.iter().map(|(age, judged)| (*age, judged.place)).min().expect("at least one scope");
    Ok(Standing::Accepted { pasts: decided.iter().map(|(_, judged)| judged.past.clone()).collect(), order })
}

/// The verdict of each term of this mode that counts: the first in its chain.
pub(super) fn counting<'a>(
    event: &Event,
    event_past: &Past,
    verdicts: &'a [Judged],
    terms: &Terms,
    stops: &Stops,
    chains: &impl Chains,
    mode: BindingMode,
) -> Result<Vec<(usize, &'a Judged)>, EngineError> {
    let mut counting = Vec::new();
    if is_never_judged(event, event_past, terms) {
        return Ok(counting);
    }
    for (age, term) in terms.terms.iter().enumerate() {
        if term.bind.mode != mode || term.exempts(event, chains)? {
            continue;
        }
        let mut of_term: Vec<&Judged> = verdicts.iter().filter(|judged| judged.term == term.binding).collect();
        of_term.sort_by_key(|judged| judged.place);
        for judged in of_term {
            if counts(judged, terms, stops, chains)? {
                counting.push((age, judged));
                break;
            }
        }
    }
    Ok(counting)
}

/// Verdicts and what an authority says of its rules are not judged, unless something else is smuggled in with them; and
/// neither is what the owner decides about the workspace.
pub(super) fn is_never_judged(event: &Event, past: &Past, terms: &Terms) -> bool {
    let header = event.header();
    header.ops.iter().all(|op| matches!(op.act, Act::Verdict(_) | Act::RulesChanged(_)))
        || (header.chain.is_control() && terms.is_owner_at(header.chain.device, event.id(), past))
}

/// The lists that an event is about.
pub fn lists_of(event: &Event) -> BTreeSet<ListId> {
    event.header().ops.iter().filter_map(|op| op.target.record()).map(|record| record.list).collect()
}

#[cfg(test)]
mod tests;
