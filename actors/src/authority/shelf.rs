//! Where a node keeps its policies: beside the tables' other settings, by workspace. They are nobody else's.

use super::{Policy, Vocabulary, quota::Used};
use tandem_storage::{
    EngineError,
    engine::{Batch, Durability, Engine, Table},
};

fn key(workspace: u32) -> Vec<u8> {
    named(workspace, b"policy")
}

/// Where what was used of the members' shares is kept, with the verdicts of each sitting.
pub(crate) fn used_key(workspace: u32) -> Vec<u8> {
    named(workspace, b"quota")
}

/// What this node is to send again by itself.
pub(crate) fn wishes_key(workspace: u32) -> Vec<u8> {
    named(workspace, b"wishes")
}

/// What the server calls the lists and fields.
fn names_key(workspace: u32) -> Vec<u8> {
    named(workspace, b"names")
}

/// What the server calls the lists and fields; as everybody does where nothing was ever set.
pub(crate) fn names<E: Engine>(engine: &E, workspace: u32) -> Result<Vocabulary, EngineError> {
    let row = engine.get(Table::Meta, &names_key(workspace))?;
    Ok(row.map(|row| postcard::from_bytes(&row).expect("rows are our own")).unwrap_or_default())
}

/// Keeps the server's names, durably.
pub(crate) fn save_names<E: Engine>(engine: &E, workspace: u32, names: &Vocabulary) -> Result<(), EngineError> {
    let mut batch = Batch::default();
    batch.put(Table::Meta, names_key(workspace), postcard::to_allocvec(names).expect("a vector takes all bytes"));
    engine.commit(batch, Durability::Synced)
}

/// The policy of which members were told last.
pub(crate) fn announced_key(workspace: u32) -> Vec<u8> {
    named(workspace, b"announced")
}

/// The policy of which members were told last, if they ever were.
pub(crate) fn announced<E: Engine>(engine: &E, workspace: u32) -> Result<Option<Policy>, EngineError> {
    let row = engine.get(Table::Meta, &announced_key(workspace))?;
    Ok(row.map(|row| postcard::from_bytes(&row).expect("rows are our own")))
}

fn named(workspace: u32, name: &[u8]) -> Vec<u8> {
    [&workspace.to_be_bytes(), name].concat()
}

/// What was used of the members' shares.
pub(crate) fn used<E: Engine>(engine: &E, workspace: u32) -> Result<Used, EngineError> {
    let row = engine.get(Table::Meta, &used_key(workspace))?;
    Ok(row.map(|row| postcard::from_bytes(&row).expect("rows are our own")).unwrap_or_default())
}

/// The policy for a workspace; the default where none was ever set.
pub(crate) fn load<E: Engine>(engine: &E, workspace: u32) -> Result<Policy, EngineError> {
    let row = engine.get(Table::Meta, &key(workspace))?;
    Ok(row.map(|row| postcard::from_bytes(&row).expect("rows are our own")).unwrap_or_default())
}

/// Keeps a policy, durably.
pub(crate) fn save<E: Engine>(engine: &E, workspace: u32, policy: &Policy) -> Result<(), EngineError> {
    let mut batch = Batch::default();
    batch.put(Table::Meta, key(workspace), postcard::to_allocvec(policy).expect("a vector takes all bytes"));
    engine.commit(batch, Durability::Synced)
}

/// Forgets what is kept for a workspace that is taken off the node.
pub(crate) fn forget(batch: &mut Batch, workspace: u32) {
    for key in [key, used_key, wishes_key, announced_key, names_key] {
        batch.delete(Table::Meta, key(workspace));
    }
}
