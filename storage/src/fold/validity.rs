//! Stage 0, rule R2: whether an event is valid, by its bytes and what it refers to.

use crate::EngineError;
use std::{collections::BTreeMap, sync::Arc};
use tandem_wire::{Act, ChainId, Event, EventId, EventRef, EventTag, Op, OpRef, Target};

/// What is known of an event that another one refers to.
#[derive(Debug, Clone)]
pub enum Found {
    /// Not arrived.
    Missing,
    /// Arrived, but it misses something itself.
    Held,
    /// Invalid.
    Invalid,
    /// Valid.
    Valid(Seen),
}

/// What nearly all that refers to a valid event needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: EventId,
    /// Its lamport.
    pub lamport: u64,
}

impl From<&Event> for Seen {
    fn from(event: &Event) -> Self {
        Self { id: event.id(), lamport: event.header().lamport }
    }
}

/// Where referred events are found.
pub trait Known {
    /// The event at this place whose id starts like this.
    fn find(&self, chain: ChainId, seq: u64, tag: EventTag) -> Result<Found, EngineError>;

    /// The whole of an event that was found valid.
    fn event(&self, place: Place) -> Result<Arc<Event>, EngineError>;

    /// One op of an event that was found valid; nothing where it has not so many.
    fn op(&self, place: Place, op: u16) -> Result<Option<Op>, EngineError> {
        Ok(self.event(place)?.header().ops.get(usize::from(op)).cloned())
    }
}

/// What rule R2 says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validity {
    /// It takes part.
    Valid,
    /// It waits for these events.
    Held(Vec<Place>),
    /// It is dropped, for ever and everywhere.
    Invalid(Invalid),
}

/// An event as a reference names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its chain.
    pub chain: ChainId,
    /// Its place there.
    pub seq: u64,
    /// The start of its id.
    pub tag: EventTag,
}

/// Why an event is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It refers to an invalid event.
    #[error("it builds on an invalid event")]
    Builds,
    /// A dependency has the right place and start, but another id, or is of the wrong kind of chain.
    #[error("it names a dependency that does not fit")]
    Dependency,
    /// Its lamport is not 1 + the greatest of its past.
    #[error("its lamport does not follow from its past")]
    Lamport,
    /// An op refers to an op that is not there, not earlier, or about something else.
    #[error("an op names a predecessor that does not fit")]
    Reference,
}

impl From<&EventRef> for Place {
    fn from(event: &EventRef) -> Self {
        Self { chain: event.chain, seq: event.seq, tag: event.id.tag() }
    }
}

impl From<&OpRef> for Place {
    fn from(op: &OpRef) -> Self {
        Self { chain: op.chain, seq: op.seq, tag: op.tag }
    }
}

/// Every event that `event` refers to.
pub fn references(event: &Event) -> Vec<Place> {
    let header = event.header();
    let mut places: Vec<Place> = previous(event).iter().map(|(place, _)| *place).collect();
    places.extend(header.deps.iter().map(Place::from));
    places.extend(header.resubmits.iter().map(Place::from));
    for op in &header.ops {
        places.extend(op.references().map(|op| Place::from(&op)));
        places.extend(op.event_references().iter().map(Place::from));
    }
    places.sort_unstable();
    places.dedup();
    places
}

fn previous(event: &Event) -> Option<(Place, EventId)> {
    let header = event.header();
    let id = header.prev?;
    Some((Place { chain: header.chain, seq: header.seq - 1, tag: id.tag() }, id))
}

/// Applies rule R2. An invalid reference outweighs a missing one, a missing one all the rest.
pub fn judge(event: &Event, known: &impl Known) -> Result<Validity, EngineError> {
    let mut found = BTreeMap::new();
    let mut waits_for = Vec::new();
    let mut builds_on_invalid = false;
    for place in references(event) {
        match known.find(place.chain, place.seq, place.tag)? {
            Found::Valid(seen) => drop(found.insert(place, seen)),
            Found::Missing | Found::Held => waits_for.push(place),
            Found::Invalid => builds_on_invalid = true,
        }
    }
    if builds_on_invalid {
        return Ok(Validity::Invalid(Invalid::Builds));
    }
    if !waits_for.is_empty() {
        return Ok(Validity::Held(waits_for));
    }
    let checked = check(event, &found).map_or_else(|why| Ok(Err(why)), |()| check_ops(event, &found, known))?;
    Ok(checked.map_or_else(Validity::Invalid, |()| Validity::Valid))
}

/// The rules on whole events, once everything referred to is there and valid.
fn check(event: &Event, found: &BTreeMap<Place, Seen>) -> Result<(), Invalid> {
    let header = event.header();
    let mut lamport_before = 0;
    if let Some((place, id)) = previous(event) {
        let prev = &found[&place];
        if prev.id != id {
            return Err(Invalid::Dependency);
        }
        lamport_before = prev.lamport;
    }
    for dep in &header.deps {
        let before = &found[&Place::from(dep)];
        let allowed = dep.chain.is_control() || !header.chain.is_control();
        if before.id != dep.id || !allowed {
            return Err(Invalid::Dependency);
        }
        lamport_before = lamport_before.max(before.lamport);
    }
    if header.lamport != lamport_before + 1 {
        return Err(Invalid::Lamport);
    }
    let mut named = header.ops.iter().flat_map(|op| op.event_references()).chain(&header.resubmits);
    let is_earlier = |named: &EventRef| {
        let seen = &found[&Place::from(named)];
        seen.id == named.id && seen.lamport < header.lamport
    };
    if named.all(is_earlier) { Ok(()) } else { Err(Invalid::Reference) }
}

/// The rules on ops that refer to other ops.
fn check_ops(
    event: &Event,
    found: &BTreeMap<Place, Seen>,
    known: &impl Known,
) -> Result<Result<(), Invalid>, EngineError> {
    for op in &event.header().ops {
        for reference in op.references() {
            let place = Place::from(&reference);
            let fits = known.op(place, reference.op)?.is_some_and(|target| may_name(op, &target));
            if !fits || found[&place].lamport >= event.header().lamport {
                return Ok(Err(Invalid::Reference));
            }
        }
    }
    Ok(Ok(()))
}

/// Whether `op` may refer to `target`: the same cell for cell ops, the same record for record ops.
fn may_name(op: &Op, target: &Op) -> bool {
    let same_record = op.target.record().is_some() && op.target.record() == target.target.record();
    match &op.act {
        Act::Set | Act::Apply { .. } => op.target == target.target,
        Act::Create | Act::Restore | Act::Resolve => same_record && matches!(target.act, Act::Delete),
        Act::Delete => same_record && !matches!(target.act, Act::Delete),
        Act::Unknown { .. } => match &op.target {
            Target::Cell(_) => op.target == target.target,
            Target::Record(_) => same_record,
            Target::Workspace => target.act.is_control() == op.act.is_control(),
        },
        Act::Bind(_) | Act::Unbind(_) | Act::Verdict(_) | Act::DesignProposed(_) | Act::RulesChanged(_) => {
            matches!(target.act, Act::Bind(_))
        }
        Act::Withdraw(_) => matches!(target.act, Act::Invite(_)),
        Act::Admit(_) => matches!(target.act, Act::Invite(_)),
        Act::Keep(_) => matches!(target.act, Act::Admit(_)),
        Act::DesignMerged(_) | Act::DesignFailed(_) => matches!(target.act, Act::DesignProposed(_)),
        Act::Discard(_)
        | Act::HandOn { .. }
        | Act::Genesis(_)
        | Act::Invite(_)
        | Act::SetRole(_)
        | Act::Remove(_)
        | Act::HandOver(_)
        | Act::Define(_)
        | Act::Put(_) => false,
    }
}

#[cfg(test)]
mod tests;
