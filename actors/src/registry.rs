//! The workspaces that a node holds: rows under workspace number 0, which no workspace has.

use serde::{Deserialize, Serialize};
use tandem_storage::{
    EngineError,
    engine::{Batch, Durability, Engine, Table, prefix_end},
};
use tandem_wire::WorkspaceId;

const PREFIX: &[u8] = b"\0\0\0\0workspace";

/// One workspace of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: WorkspaceId,
    /// It was left: its copy is for reading only.
    pub(crate) left: bool,
}

/// All of them, by number.
pub(crate) fn entries<E: Engine>(engine: &E) -> Result<Vec<(u32, Entry)>, EngineError> {
    let rows = engine.range(Table::Meta, PREFIX, prefix_end(PREFIX).as_deref());
    rows.map(|pair| {
        let (key, value) = pair?;
        let number = u32::from_be_bytes(*key.last_chunk().expect("keys are our own"));
        Ok((number, postcard::from_bytes(&value).expect("rows are our own")))
    })
    .collect()
}

/// Puts the row of a workspace into a batch.
pub(crate) fn put(batch: &mut Batch, number: u32, entry: &Entry) {
    batch.put(Table::Meta, key(number), postcard::to_allocvec(entry).expect("a vector takes all bytes"));
}

/// Takes a workspace off the list, durably.
pub(crate) fn delete<E: Engine>(engine: &E, number: u32) -> Result<(), EngineError> {
    let mut batch = Batch::default();
    batch.delete(Table::Meta, key(number));
    engine.commit(batch, Durability::Synced)
}

fn key(number: u32) -> Vec<u8> {
    let mut key = PREFIX.to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}
