//! The inbox: what somebody has to look at. Conflicts, removals that lost against an edit, and events that wait.

use crate::{
    EngineError,
    engine::{Read, Table, prefix_end},
    fold::{
        incremental::Prefix,
        record::{Removal, Sibling, is_conflict},
    },
    query::Reader,
    record_row,
};
use std::fmt;
use tandem_wire::{CellKey, EventId, ListId, PartPath, RecordId, RecordKey};

/// One thing to look at.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A cell was given several values side by side.
    Conflict {
        /// The cell.
        cell: CellKey,
        /// What it was given: the winner, which is shown, first.
        siblings: Vec<Sibling>,
    },
    /// A record was removed by somebody who had not seen an edit of it: it stays.
    DeleteLost {
        /// The record.
        record: RecordKey,
        /// The removals.
        removals: Vec<Removal>,
    },
    /// An event waits for others that have not come.
    Held {
        /// The event.
        event: EventId,
    },
}

/// Names an entry, for as long as what it is about is in the inbox. Equal on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(pub [u8; 8]);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Entry {
    /// See [`EntryId`].
    pub fn id(&self) -> EntryId {
        let mut hasher = blake3::Hasher::new();
        match self {
            Self::Conflict { cell, .. } => {
                let CellKey { record, field, part } = cell;
                hasher.update(b"c").update(&record.list.0).update(&record.record.0).update(&field.0);
                for step in part.steps() {
                    hasher.update(&[step.len() as u8]).update(step);
                }
            }
            Self::DeleteLost { record, .. } => {
                hasher.update(b"d").update(&record.list.0).update(&record.record.0);
            }
            Self::Held { event } => {
                hasher.update(b"h").update(&event.0);
            }
        }
        EntryId(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes"))
    }

    /// The record that it is about.
    pub fn record(&self) -> Option<RecordKey> {
        match self {
            Self::Conflict { cell, .. } => Some(cell.record),
            Self::DeleteLost { record, .. } => Some(*record),
            Self::Held { .. } => None,
        }
    }
}

impl<R: Read> Reader<R> {
    /// Everything in the inbox: by list and record, the events that wait last. Costs a look at every record.
    pub fn inbox(&self) -> Result<Vec<Entry>, EngineError> {
        let mut entries = Vec::new();
        for list in self.design().lists() {
            self.inbox_of(list, &mut entries)?;
        }
        let held = self.fold().control_view(self.rows())?.held;
        entries.extend(held.into_iter().map(|event| Entry::Held { event }));
        Ok(entries)
    }

    fn inbox_of(&self, list: ListId, entries: &mut Vec<Entry>) -> Result<(), EngineError> {
        let prefix: Prefix = self.fold().prefix();
        let from = [&prefix.bytes()[..], &list.0].concat();
        for row in self.rows().range(Table::Records, &from, prefix_end(&from).as_deref()) {
            let (key, row) = row?;
            if !record_row::has_several_events(&row) {
                continue;
            }
            let record = RecordKey { list, record: RecordId(*key.last_chunk().expect("keys are our own")) };
            let state = record_row::decode(&row);
            if !state.exists() {
                continue;
            }
            let removals: Vec<Removal> = state.losing_deletes().cloned().collect();
            if !removals.is_empty() {
                entries.push(Entry::DeleteLost { record, removals });
            }
            for ((field, part), siblings) in state.cells.into_iter().filter(|(_, siblings)| is_conflict(siblings)) {
                let part: PartPath = part;
                entries.push(Entry::Conflict { cell: CellKey { record, field, part }, siblings });
            }
        }
        Ok(())
    }
}
