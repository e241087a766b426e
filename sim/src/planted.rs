//! Faults that a programmer could have made, put in on purpose, to see that the checks can fail.

use crate::{disk::Disk, node::WORKSPACE};
use clap::ValueEnum;
use std::{collections::BTreeSet, fmt};
use tandem_actors::{Committed, Refused};
use tandem_storage::{
    engine::{Batch, Durability, Engine, Table},
    log,
};
use tandem_wire::{EventId, Run};

/// One of them. Each is there to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planted {
    /// Answers go out when the log is written, not when it is durable.
    ReleaseBeforeDurable,
    /// The views are committed before the log.
    ViewsBeforeLog,
    /// The views do not say how much of the log they reflect.
    PointerNotAdvanced,
    /// After a crash, durable events that nobody was told of are thrown away, and their places used again.
    SeqReusedAfterCrash,
    /// The runs of a group are committed one by one.
    GroupInPieces,
    /// One row of the views is not written.
    RowLost,
    /// A command that was done is answered with a refusal.
    DoneShownAsRefused,
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is hidden").get_name())
    }
}

/// The same writes, a commit for each.
pub(crate) fn pieces(batch: &Batch) -> Vec<Batch> {
    batch.iter().map(|(table, key, value)| one_write(Batch::default(), table, key, value)).collect()
}

/// The views' batch without the mark of how much of the log it reflects.
pub(crate) fn without_pointer(batch: &Batch) -> Batch {
    without(batch, |table, _| table == Table::Meta)
}

/// Without the rows of one record in 32.
pub(crate) fn without_some_rows(batch: &Batch) -> Batch {
    without(batch, |table, key| {
        table == Table::Records && key.iter().map(|byte| u32::from(*byte)).sum::<u32>().is_multiple_of(32)
    })
}

/// Says of one command in 16 that it was refused, though it was done.
pub(crate) fn refuse_some(answers: &mut [Result<Committed, Refused>]) {
    for answer in answers {
        if answer.as_ref().is_ok_and(|done| done.events.first().is_some_and(|event| event.0[0].is_multiple_of(16))) {
            *answer = Err(Refused::Left);
        }
    }
}

/// Takes the runs off the end of the log that hold only these events.
pub(crate) fn throw_away(disk: &Disk, events: &BTreeSet<EventId>) {
    let mut deletes = Batch::default();
    for run in log::runs_from(disk, WORKSPACE, 0) {
        let (arrival, bytes) = run.expect("memory can be read");
        let run = Run::decode_trusted(&bytes).expect("it was read before");
        if run.events().iter().all(|event| events.contains(&event.id())) {
            deletes.delete(Table::Log, log::key(WORKSPACE, arrival));
        }
    }
    disk.commit(deletes, Durability::Synced).expect("memory can be written");
}

fn without(batch: &Batch, lost: impl Fn(Table, &[u8]) -> bool) -> Batch {
    let kept = batch.iter().filter(|(table, key, _)| !lost(*table, key));
    kept.fold(Batch::default(), |batch, (table, key, value)| one_write(batch, table, key, value))
}

fn one_write(mut batch: Batch, table: Table, key: &[u8], value: Option<&Vec<u8>>) -> Batch {
    match value {
        Some(value) => batch.put(table, key, value.as_slice()),
        None => batch.delete(table, key),
    }
    batch
}
