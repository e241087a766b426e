//! A subscriber, as the tests of live queries have one.

use std::collections::BTreeSet;
use tandem_actors::RowChange;
use tandem_storage::query::{Record, Sort};
use tandem_wire::{FieldId, RecordId};

/// A result as a subscriber keeps it.
#[derive(Default)]
pub struct Client(pub Vec<Record>);

impl Client {
    pub fn apply(&mut self, changes: &[RowChange]) {
        let named = |change: &RowChange| match change {
            RowChange::Upsert { record, .. } => record.id,
            RowChange::Remove { id } => *id,
        };
        let out: BTreeSet<RecordId> = changes.iter().map(named).collect();
        assert_eq!(out.len(), changes.len(), "each is named once");
        self.0.retain(|record| !out.contains(&record.id));
        for change in changes {
            if let RowChange::Upsert { record, position } = change {
                self.0.insert(position.unwrap_or(self.0.len()), record.clone());
            }
        }
    }

    pub fn by_id(mut self) -> Vec<Record> {
        self.0.sort_by_key(|record| record.id);
        self.0
    }
}

pub fn sorted_by(field: FieldId, descending: bool) -> Option<Sort> {
    Some(Sort { descending, ..Sort::field(field) })
}
