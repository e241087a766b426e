//! What refers to a record.

use super::{Query, Reader};
use crate::{
    composite,
    engine::{EngineError, Read},
    filter::row_number,
    fold::incremental::rows_of_list,
    lens::RowCells,
    record_row,
};
use tandem_wire::{
    FieldId, ListId, PartPath, RecordId, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// A record that refers to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backlink {
    /// Its list.
    pub list: ListId,
    /// The field that refers.
    pub field: FieldId,
    /// The record.
    pub record: RecordId,
}

impl<R: Read> Reader<R> {
    /// The records that refer to this one, by list, field and id: by its id, or as users and lookups by the number of its
    /// row. Where there is an index of what a field refers to it is asked; of other fields' lists every record is looked at.
    pub fn backlinks(&self, to: RecordKey) -> Result<Vec<Backlink>, EngineError> {
        let design = self.design();
        let number = match row_number(design, to.list) {
            Some(field) => self.values(to)?.and_then(|mut values| values.take(field, &PartPath::default())),
            None => None,
        };
        let mut found = Vec::new();
        for list in design.lists() {
            for field in design.fields(list) {
                let Some(ty) = design.field_type(field).filter(|ty| ty.list == Some(to.list.into())) else { continue };
                let (part, refers) = match (ty.base(), &number) {
                    (Some(BaseType::Reference), _) => {
                        (PartPath::default(), Value::Reference { list: to.list, record: to.record })
                    }
                    (Some(BaseType::User | BaseType::Lookup), Some(number)) => {
                        (PartPath::new(["index"]).expect("short"), number.clone())
                    }
                    _by_nothing_it_has => continue,
                };
                let records = match ty.many {
                    true => self.referring(list, (field, &ty), &refers)?,
                    false => {
                        let query = Query { filters: vec![(field, part, refers)], ..Query::default() };
                        self.plan(list, &query).records()?.rows.into_iter().map(|found| found.id).collect()
                    }
                };
                found.extend(records.into_iter().map(|record| Backlink { list, field, record }));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The records with a value that refers so, in a field of several.
    fn referring(
        &self,
        list: ListId,
        (field, ty): (FieldId, &FieldType),
        refers: &Value,
    ) -> Result<Vec<RecordId>, EngineError> {
        let mut found = Vec::new();
        let says_it = |value: Value| match (&value, ty.base().and_then(composite::of)) {
            (Value::Text(text), Some(composite)) => composite.derive("index", text).as_ref() == Some(refers),
            _whole => value == *refers,
        };
        for pair in rows_of_list(&self.rows, self.prefix(), list) {
            let (key, row) = pair?;
            let shown = self.design().lenses().of_field(&RowCells(&row), field).into_iter();
            let mut values = shown.filter_map(|(_, _, bytes)| record_row::value(&bytes));
            if record_row::exists(&row) && values.any(says_it) {
                found.push(key.record);
            }
        }
        Ok(found)
    }
}
