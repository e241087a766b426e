//! The outbox: events of a device that a server has not judged yet. It is no table: it follows from the log.

use crate::{
    engine::{EngineError, Read},
    fold::{
        incremental::{EventKey, EventRow, EventState, Events, Fold},
        terms::Term,
    },
};
use std::collections::BTreeSet;
use tandem_wire::{DeviceKey, Event, EventId, EventRef};

/// The events of a device that a term concerns and has no verdict on. Costs a look at each of them, and at what was written
/// about other lists meanwhile.
pub fn waiting<R: Read>(
    fold: &Fold,
    rows: &R,
    events: &impl Events,
    term: &Term,
    device: DeviceKey,
) -> Result<BTreeSet<EventRef>, EngineError> {
    let is_judged = |key: EventKey, event: &Event| {
        Ok(fold.verdict_of(rows, key, &term.binding)?.is_some() && !fold.is_on_a_branch(event))
    };
    let mut found = walk(fold, rows, events, term, device, &is_judged)?;
    let mut judged = Vec::new();
    for event in &found {
        let key = fold.key_at(event.chain, (*event).into()).expect("just found");
        if fold.verdict_of(rows, key, &term.binding)?.is_some() {
            judged.push(*event);
        }
    }
    for event in judged {
        found.remove(&event);
    }
    Ok(found)
}

/// The events of a device that a term concerns, judged or not, that came after these, the ends of its chains at some time.
pub fn since<R: Read>(
    fold: &Fold,
    rows: &R,
    events: &impl Events,
    term: &Term,
    device: DeviceKey,
    ends: &BTreeSet<EventId>,
) -> Result<BTreeSet<EventRef>, EngineError> {
    walk(fold, rows, events, term, device, &|_, event: &Event| Ok(ends.contains(&event.id())))
}

/// The ends of a device's chains.
pub fn ends<R: Read>(
    fold: &Fold,
    rows: &R,
    events: &impl Events,
    device: DeviceKey,
) -> Result<BTreeSet<EventId>, EngineError> {
    let mut ends = BTreeSet::new();
    for (chain, _) in fold.chains().filter(|(chain, _)| chain.device == device) {
        ends.extend(fold.valid_ends(rows, events, *chain)?.into_iter().map(|end| end.id));
    }
    Ok(ends)
}

/// Back from the ends of a device's chains, until `is_done` says so, or the binder of the term had seen what is left.
fn walk<R: Read>(
    fold: &Fold,
    rows: &R,
    events: &impl Events,
    term: &Term,
    device: DeviceKey,
    is_done: &dyn Fn(EventKey, &Event) -> Result<bool, EngineError>,
) -> Result<BTreeSet<EventRef>, EngineError> {
    let mut found = BTreeSet::new();
    if term.chain().device == device {
        return Ok(found);
    }
    for (chain, _) in fold.chains().filter(|(chain, _)| chain.device == device) {
        for end in fold.valid_ends(rows, events, *chain)? {
            let mut at = fold.key_at(*chain, end);
            while let Some(key) = at {
                let row = EventRow::get(rows, fold.prefix(), key)?.expect("a chain has no gaps");
                let event = events.event(row.at)?;
                if is_done(key, &event)? || fold.is_exempt(rows, events, term, &event)? {
                    break;
                }
                let is_valid = matches!(row.state, EventState::Valid { .. });
                if is_valid && term.concerns(&event) && !fold.is_never_judged(&event, &row) {
                    found.insert(event.reference());
                }
                at = event.header().prev.map(|id| EventKey { seq: key.seq - 1, tag: id.tag(), ..key });
            }
        }
    }
    Ok(found)
}
