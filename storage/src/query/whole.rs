//! Reading all of something: a list's records whatever became of them, the log, and what a workspace takes.

use super::{Reader, Record};
use crate::{
    engine::{EngineError, Read, Slice, Table, prefix_end},
    log::{RunEvents, events_of, runs_from},
};
use tandem_wire::{ListId, RecordId, RecordKey};

/// What a workspace takes in one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize {
    /// The table.
    pub table: Table,
    /// Its rows, those of generations that are on their way out included.
    pub rows: u64,
    /// Bytes of their keys and values; on the disk they are compressed.
    pub bytes: u64,
}

impl<R: Read> Reader<R> {
    /// All records of a list whose id is at least `from`, by id, those that do not exist any more included. Read
    /// lazily: a list of any length takes little memory.
    pub fn records(&self, list: ListId, from: RecordId) -> impl Iterator<Item = Result<Record, EngineError>> + '_ {
        let key = |record| self.prefix().record(RecordKey { list, record });
        let first = key(from);
        let of_list = &first[..first.len() - from.0.len()];
        let rows = self.rows.range(Table::Records, &first, prefix_end(of_list).as_deref());
        rows.map(move |pair| {
            let (key, row) = pair?;
            let id = RecordId(*key.last_chunk().expect("keys are our own"));
            Ok(Record { id, state: self.shown(list, &row) })
        })
    }

    /// The stored bytes of each run of the log from the one with number `from` on, in order of arrival.
    pub fn runs_from(&self, from: u64) -> impl Iterator<Item = Result<Slice, EngineError>> + '_ {
        runs_from(&self.rows, self.prefix().workspace, from).map(|run| Ok(run?.1))
    }

    /// The events of the last `count` runs of the log, the last run first.
    pub fn last_runs(&self, count: usize) -> impl Iterator<Item = Result<RunEvents, EngineError>> + '_ {
        let from = self.prefix().workspace.to_be_bytes();
        let runs = self.rows.range_rev(Table::Log, &from, prefix_end(&from).as_deref()).take(count);
        runs.map(|run| Ok(events_of(&run?.1)))
    }

    /// What the workspace takes, table by table. Reads all of it.
    pub fn sizes(&self) -> Result<Vec<TableSize>, EngineError> {
        let from = self.prefix().workspace.to_be_bytes();
        let size = |table| {
            let mut size = TableSize { table, rows: 0, bytes: 0 };
            for row in self.rows.range(table, &from, prefix_end(&from).as_deref()) {
                let (key, value) = row?;
                size.rows += 1;
                size.bytes += (key.len() + value.len()) as u64;
            }
            Ok(size)
        };
        Table::ALL.into_iter().map(size).collect()
    }
}
