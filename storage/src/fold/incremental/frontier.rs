//! The ends of the causal order: the events that nobody has built on yet.

use super::{
    Kind, Prefix, range,
    rows::{ROWS, decode, encode, with},
};
use crate::engine::{EngineError, Overlay, Read};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_wire::{Event, EventId, EventRef};

/// An event that no later one names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The event.
    pub event: EventRef,
    /// Its lamport.
    pub lamport: u64,
}

/// Tips by their events.
pub(super) type Tips = BTreeMap<EventId, Tip>;

/// The tips of all events, and of the control events among themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Frontier {
    all: Tips,
    control: Tips,
}

impl Frontier {
    pub(super) fn load<R: Read>(prefix: Prefix, rows: &R) -> Result<Self, EngineError> {
        let tips = |kind| {
            range(rows, prefix.kind(kind))
                .map(|pair| {
                    let tip: Tip = decode(&pair?.1);
                    Ok((tip.event.id, tip))
                })
                .collect::<Result<_, EngineError>>()
        };
        Ok(Self { all: tips(Kind::Tip)?, control: tips(Kind::ControlTip)? })
    }

    /// Takes a new valid event in. An event becomes a tip once and, when it is none any more, never again.
    pub(super) fn extend<R: Read>(&mut self, prefix: Prefix, rows: &mut Overlay<'_, R>, event: &Event) {
        let header = event.header();
        let tip = Tip { event: event.reference(), lamport: header.lamport };
        let mut tips = vec![(Kind::Tip, &mut self.all)];
        if header.chain.is_control() {
            tips.push((Kind::ControlTip, &mut self.control));
        }
        for (kind, tips) in tips {
            let key = |id: &EventId| with(prefix.kind(kind), &[&id.0]);
            for before in header.prev.iter().chain(header.deps.iter().map(|dep| &dep.id)) {
                if tips.remove(before).is_some() {
                    rows.delete_put_once(ROWS, key(before));
                }
            }
            tips.insert(event.id(), tip);
            rows.put(ROWS, key(&event.id()), encode(&tip));
        }
    }

    /// Whether nobody has anything but this event's past and itself.
    pub(super) fn is_only(&self, id: EventId) -> bool {
        self.all.len() == 1 && self.all.contains_key(&id)
    }

    /// Takes a new data event in. The rows are left to [`Frontier::write_step`] or [`Frontier::write_change`].
    pub(super) fn step(&mut self, event: &Event) {
        let header = event.header();
        for before in header.prev.iter().chain(header.deps.iter().map(|dep| &dep.id)) {
            self.all.remove(before);
        }
        self.all.insert(event.id(), Tip { event: event.reference(), lamport: header.lamport });
    }

    /// Writes that one tip of all events has moved.
    pub(super) fn write_step<R: Read>(&self, prefix: Prefix, rows: &mut Overlay<'_, R>, from: EventId, to: EventId) {
        let key = |id: &EventId| with(prefix.kind(Kind::Tip), &[&id.0]);
        rows.delete_put_once(ROWS, key(&from));
        rows.put(ROWS, key(&to), encode(&self.all[&to]));
    }

    /// Writes how the tips of all events differ from those `before`.
    pub(super) fn write_change<R: Read>(&self, prefix: Prefix, rows: &mut Overlay<'_, R>, before: &Tips) {
        let key = |id: &EventId| with(prefix.kind(Kind::Tip), &[&id.0]);
        for id in before.keys().filter(|id| !self.all.contains_key(id)) {
            rows.delete_put_once(ROWS, key(id));
        }
        for (id, tip) in self.all.iter().filter(|(id, _)| !before.contains_key(id)) {
            rows.put(ROWS, key(id), encode(tip));
        }
    }

    /// The tips of all events.
    pub(super) fn all(&self) -> &Tips {
        &self.all
    }

    /// The tip with this id.
    pub(super) fn find(&self, id: EventId) -> Option<&Tip> {
        self.all.get(&id).or_else(|| self.control.get(&id))
    }

    pub(super) fn tips(&self, control: bool) -> impl Iterator<Item = &Tip> {
        if control { self.control.values() } else { self.all.values() }
    }
}
