//! Many control events in a row: what they change is worked out once for all of them.
//!
//! A change of the control plane is worked out from all control events there are. Event by event, a newcomer to a group
//! of a thousand would do that a thousand times. Nothing asks for the result between two control events that come one
//! after the other, so it can wait until something does.

use super::{EventKey, EventRow, EventState, Events, Fold, LogPlace, Work};
use crate::{
    engine::{EngineError, Overlay, Read},
    fold::{Past, Validity, counts_as_past, validity},
};
use std::{collections::BTreeSet, sync::Arc};
use tandem_wire::{Act, Event};

/// Control events that were taken in, and not yet looked at.
#[derive(Default)]
pub struct Together(Vec<Unseen>);

struct Unseen {
    key: EventKey,
    row: EventRow,
    event: Arc<Event>,
    past: Past,
}

impl Together {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Fold {
    /// Takes a control event in, if it can wait to be looked at. Before anything else is done with the fold, see
    /// [`Fold::settle_together`]. Otherwise changes nothing that counts.
    pub fn apply_together<R: Read, E: Events>(
        &mut self,
        rows: &mut Overlay<'_, R>,
        events: &E,
        together: &mut Together,
        at: LogPlace,
        event: &Arc<Event>,
    ) -> Result<bool, EngineError> {
        let header = event.header();
        let judges = header.ops.iter().any(|op| matches!(op.act, Act::Verdict(_)));
        let goes_on = self.chains.get(&header.chain).is_none_or(|row| {
            let next = row.head.map_or(0, |(seq, _)| seq + 1);
            header.seq == next && row.first_fork.is_none()
        });
        if !header.chain.is_control() || self.waiting > 0 || judges || !goes_on || self.ends.contains_key(&header.chain)
        {
            return Ok(false);
        }
        let mut work = Work { rows, events };
        if validity::judge(event, &work.lookup(self))? != Validity::Valid {
            return Ok(false);
        }
        let key = self.key_for(&mut work, event);
        let before = self.chains[&header.chain];
        let past = self.past_of(&work, event)?;
        let number = self.number_of(&mut work, past.clone());
        let state = EventState::Valid { past: number, last: None };
        let row = EventRow { id: event.id(), lamport: header.lamport, at, state, is_judged: false };
        work.put_event(self.prefix, key, row);
        self.extend_chain(&mut work, key, event)?;
        self.frontier.extend(self.prefix, work.rows, event);
        if counts_as_past(event) {
            self.add_control(&mut work, key, event, &past);
        }
        self.extend_ends(&mut work, event, before);
        together.0.push(Unseen { key, row, event: event.clone(), past });
        Ok(true)
    }

    /// Works out what the events change, and looks at them.
    pub fn settle_together<R: Read, E: Events>(
        &mut self,
        rows: &mut Overlay<'_, R>,
        events: &E,
        together: &mut Together,
    ) -> Result<(), EngineError> {
        let unseen = std::mem::take(&mut together.0);
        if unseen.is_empty() {
            return Ok(());
        }
        let mut work = Work { rows, events };
        let mut again = BTreeSet::new();
        let new: Vec<&Event> = unseen.iter().map(|unseen| &*unseen.event).collect();
        self.control_changed(&mut work, &new, &mut again)?;
        for Unseen { key, row, event, past } in &unseen {
            again.remove(key);
            self.look_at(&mut work, *key, *row, event, past)?;
        }
        again.into_iter().try_for_each(|key| self.look_again(&mut work, key))
    }
}

#[cfg(test)]
mod tests;
