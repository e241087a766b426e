//! What a record shows: the cheapest way to read one.

use super::Reader;
use crate::{
    engine::{EngineError, Read, Table},
    fold::Design,
    record_row,
};
use tandem_wire::{FieldId, ListId, PartPath, RecordKey, Value};

/// The value that each cell of a record shows, without who wrote it and what it won over. In the order of the cells'
/// addresses; cells that show nothing are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values(Vec<(FieldId, PartPath, Value)>);

impl<R: Read> Reader<R> {
    /// What a record shows, if it exists. Cheaper than [`Reader::record`], which knows everything about it.
    pub fn values(&self, key: RecordKey) -> Result<Option<Values>, EngineError> {
        let row = self.rows.get(Table::Records, &self.prefix().record(key))?;
        Ok(row.filter(|row| record_row::exists(row)).map(|row| Values::of(&row, self.design(), key.list)))
    }
}

impl Values {
    pub(super) fn of(row: &[u8], design: &Design, list: ListId) -> Self {
        let shown = design.lenses().all(&record_row::all_cells(row), list).into_iter();
        Self(shown.filter_map(|(field, part, bytes)| Some((field, part, record_row::value(&bytes)?))).collect())
    }

    /// What a cell shows.
    pub fn get(&self, field: FieldId, part: &PartPath) -> Option<&Value> {
        Some(&self.0[self.find(field, part)?].2)
    }

    /// Takes out what a cell shows.
    pub fn take(&mut self, field: FieldId, part: &PartPath) -> Option<Value> {
        Some(self.0.remove(self.find(field, part)?).2)
    }

    fn find(&self, field: FieldId, part: &PartPath) -> Option<usize> {
        self.0.binary_search_by(|(of, at, _)| (of, at).cmp(&(&field, part))).ok()
    }

    /// All cells that show something.
    pub fn iter(&self) -> impl Iterator<Item = (FieldId, &PartPath, &Value)> {
        self.0.iter().map(|(field, part, value)| (*field, part, value))
    }
}
