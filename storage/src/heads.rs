//! What somebody has seen of a record or a cell: its heads.

use crate::fold::{RecordState, record::Stamp};
use serde::{Deserialize, Serialize};
use tandem_wire::{FieldId, OpRef, PartPath};

/// The ops that make a record, or a cell, what it is. They differ after every change of it, and stay as they are while
/// nothing changes; who has seen nothing has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads(Vec<OpRef>);

impl Heads {
    fn of<'a>(stamps: impl Iterator<Item = &'a Stamp>) -> Self {
        let mut ops: Vec<OpRef> = stamps.map(|stamp| stamp.event.op(stamp.op)).collect();
        ops.sort_unstable();
        Self(ops)
    }

    /// The ops, ascending.
    pub fn ops(&self) -> &[OpRef] {
        &self.0
    }
}

impl RecordState {
    /// What has been seen by who read this: creates, restores, deletes and the siblings of all cells.
    pub fn heads(&self) -> Heads {
        let edits = self.creates.iter().chain(&self.restores).map(|edit| &edit.stamp);
        let deletes = self.deletes.iter().map(|removal| &removal.stamp);
        Heads::of(edits.chain(deletes).chain(self.cells.values().flatten().map(|sibling| &sibling.stamp)))
    }

    /// What has been seen of one cell: its siblings.
    pub fn heads_of(&self, field: FieldId, part: &PartPath) -> Heads {
        let siblings = self.cells.get(&(field, part.clone()));
        Heads::of(siblings.into_iter().flatten().map(|sibling| &sibling.stamp))
    }
}
