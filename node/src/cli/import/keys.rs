//! Which record a row is about, when one of its columns says so.
//!
//! The record is the one whose field shows the row's value, whoever made it. Where none does, the id of a new one is
//! derived from list, field and value, so that two members who import one file apart make one set of records.

use super::{super::CliError, target::Target};
use crate::exchange::{Rejected, Row, text_form};
use std::collections::BTreeMap;
use tandem_actors::Handle;
use tandem_storage::query::winner;
use tandem_wire::{FieldId, ListId, PartPath, RecordId, RecordKey, Value};

/// The record of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: RecordId,
    pub(super) is_there: bool,
}

/// The records of a list by what one of their fields shows.
pub(super) struct Keys {
    list: ListId,
    column: usize,
    field: FieldId,
    source: String,
    /// Read anew for each row: a state that is held for long pins all that was written since. What the import itself
    /// makes does not matter, as no two of its rows have one key.
    workspace: Handle,
    /// Of values whose record has another id than the derived one: the records that show them, by that id. In a list
    /// that came from a file with the same key there are none, so that this is small.
    strangers: BTreeMap<RecordId, Vec<RecordId>>,
    /// Records of the list before the import.
    present: u64,
    /// The rows so far by their derived id, each with its line.
    rows: BTreeMap<RecordId, u64>,
    found: u64,
}

impl Keys {
    /// Looks through the list, whose keys are in `column`.
    pub(super) fn of(workspace: &Handle, target: &Target, column: usize) -> Result<Self, CliError> {
        let field = target.fields[column].id;
        let mut keys = Self {
            list: target.list,
            column,
            field,
            source: format!("csv by {field}"),
            workspace: workspace.clone(),
            strangers: BTreeMap::new(),
            present: 0,
            rows: BTreeMap::new(),
            found: 0,
        };
        let mut strangers: BTreeMap<RecordId, Vec<RecordId>> = BTreeMap::new();
        for record in workspace.read().records(target.list, RecordId([0; 16])) {
            let record = record?;
            if !record.state.exists() {
                continue;
            }
            keys.present += 1;
            let Some(value) = winner(&record.state, field, &PartPath::default()) else { continue };
            let derived = keys.derived(&value, 0);
            if derived != record.id {
                strangers.entry(derived).or_default().push(record.id);
            }
        }
        keys.strangers = strangers;
        Ok(keys)
    }

    /// The record that a row is about, or why the row cannot be taken.
    pub(super) fn place(&mut self, target: &Target, row: &Row) -> Result<Result<Place, Rejected>, CliError> {
        let text = || {
            let texts: Vec<String> = row.cells.iter().map(|cell| text_form::show(&cell.value)).collect();
            texts.join(", ")
        };
        let rejected = |reason: String| Ok(Err(Rejected::new(row.line, reason, &text())));
        let Some(cell) = row.cells.iter().find(|cell| cell.column == self.column) else {
            return rejected("the key is empty".into());
        };
        let value = target.fields[self.column].value(&cell.value);
        let derived = self.derived(&value, 0);
        if let Some(line) = self.rows.get(&derived) {
            return rejected(format!("the key is that of line {line}, whose row was taken"));
        }
        self.rows.insert(derived, row.line);
        let place = match self.shown(derived, &value)?.as_slice() {
            [] => Place { id: self.free(&value)?, is_there: false },
            [one] => Place { id: *one, is_there: true },
            several => {
                return rejected(format!("{} records of the list have this key; it is not clear which", several.len()));
            }
        };
        self.found += u64::from(place.is_there);
        Ok(Ok(place))
    }

    /// Records of the list that no row was about.
    pub(super) fn elsewhere(&self) -> u64 {
        self.present - self.found
    }

    /// The records that show the key.
    fn shown(&self, derived: RecordId, value: &Value) -> Result<Vec<RecordId>, CliError> {
        let mut shown = self.strangers.get(&derived).cloned().unwrap_or_default();
        let key = RecordKey { list: self.list, record: derived };
        let state = self.workspace.read().record(key)?;
        let shows = state.and_then(|record| winner(&record.state, self.field, &PartPath::default()));
        if shows.as_ref() == Some(value) {
            shown.push(derived);
        }
        Ok(shown)
    }

    /// The id of a new record: derived, unless a record has it that was given another key since.
    fn free(&self, value: &Value) -> Result<RecordId, CliError> {
        let mut number = 0;
        loop {
            let id = self.derived(value, number);
            if self.workspace.read().record(RecordKey { list: self.list, record: id })?.is_none() {
                return Ok(id);
            }
            number += 1;
        }
    }

    fn derived(&self, value: &Value, number: u8) -> RecordId {
        let mut key = value.encode();
        key.push(number);
        RecordId::derived(self.list, &self.source, &key)
    }
}
