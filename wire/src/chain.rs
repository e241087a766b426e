//! Chains and the ways to point into them.

use crate::{DeviceKey, EventId, EventTag};
use serde::{Deserialize, Serialize};

/// One hash-linked sequence of events by one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainId {
    /// The author of all its events.
    pub device: DeviceKey,
    /// Even for control, odd for data; the next pair is a fresh start.
    pub number: u32,
}

impl ChainId {
    /// Whether membership, bindings, designs and verdicts go here.
    pub fn is_control(self) -> bool {
        self.number.is_multiple_of(2)
    }
}

/// An event by place and id. Dependencies carry the place, so that who misses one knows where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventRef {
    /// Its chain.
    pub chain: ChainId,
    /// Its place there, from 0.
    pub seq: u64,
    /// Its id: of two events at one place, this one.
    pub id: EventId,
}

/// One op of an event, with proof of having seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpRef {
    /// The event's chain.
    pub chain: ChainId,
    /// The event's place there.
    pub seq: u64,
    /// The op's place in the event.
    pub op: u16,
    /// The start of the event's id.
    pub tag: EventTag,
}

impl EventRef {
    /// The event's `op`-th op.
    pub fn op(&self, op: u16) -> OpRef {
        OpRef { chain: self.chain, seq: self.seq, op, tag: self.id.tag() }
    }
}
