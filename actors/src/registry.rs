//! The workspaces that a node holds: rows under workspace number 0, which no workspace has.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tandem_storage::{
    EngineError,
    engine::{Batch, Durability, Engine, Table, prefix_end},
    store,
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

/// The number of the next workspace.
pub(crate) fn free_number<E: Engine>(engine: &E) -> Result<u32, EngineError> {
    Ok(entries(engine)?.last().map_or(1, |(number, _)| number + 1))
}

/// Takes away what a crash left of workspaces that were being removed: they are off the list, and their numbers will
/// be used again.
pub(crate) fn finish_removals<E: Engine>(engine: &E) -> Result<(), EngineError> {
    let listed: BTreeSet<u32> = entries(engine)?.into_iter().map(|(number, _)| number).collect();
    let removed = numbers_with_logs(engine)?.into_iter().filter(|number| !listed.contains(number));
    removed.into_iter().try_for_each(|number| store::delete(engine, number))
}

/// The numbers under which there is a log, listed or not.
pub(crate) fn numbers_with_logs<E: Engine>(engine: &E) -> Result<Vec<u32>, EngineError> {
    let (mut numbers, mut next) = (Vec::new(), Some(0));
    while let Some(number) = next {
        let first = engine.range(Table::Log, &u32::to_be_bytes(number), None).next().transpose()?;
        let Some((key, _)) = first else { break };
        let found = u32::from_be_bytes(*key.first_chunk().expect("keys are our own"));
        numbers.push(found);
        next = found.checked_add(1);
    }
    Ok(numbers)
}

/// Takes a workspace off the list, durably, and with it what else there is beside its log.
pub(crate) fn delete<E: Engine>(engine: &E, number: u32, forget: impl FnOnce(&mut Batch)) -> Result<(), EngineError> {
    let mut batch = Batch::default();
    batch.delete(Table::Meta, key(number));
    forget(&mut batch);
    engine.commit(batch, Durability::Synced)
}

fn key(number: u32) -> Vec<u8> {
    let mut key = PREFIX.to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_storage::{
        engine::{MemoryEngine, Read},
        log,
    };

    #[test]
    fn what_a_crash_leaves_of_a_removal_is_taken_away() {
        let engine = MemoryEngine::default();
        let mut batch = Batch::default();
        for number in 1..=3 {
            put(&mut batch, number, &Entry { id: WorkspaceId([number as u8; 32]), left: false });
            for arrival in 0..2 {
                batch.put(Table::Log, log::key(number, arrival), b"run");
            }
        }
        engine.commit(batch, Durability::Synced).unwrap();
        for number in [1, 3] {
            delete(&engine, number, |_| ()).unwrap();
        }
        let engine = engine.crash(0);
        finish_removals(&engine).unwrap();
        let rows: Vec<_> = engine.range(Table::Log, &[0], None).map(|row| row.unwrap().0).collect();
        assert_eq!(rows, [log::key(2, 0), log::key(2, 1)]);
        assert_eq!(free_number(&engine).unwrap(), 3);
    }
}
