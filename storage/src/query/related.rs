//! Cells of records that a record refers to, for filters, orders and groups that ask for them.

use super::Reader;
use crate::{
    composite,
    engine::{EngineError, Read, Slice, Table},
    filter::{Link, Route, row_number, title},
    index::{CellPath, holders},
    lens::{RowCells, Shown},
    record_row,
    store::Views,
};
use std::{cell::RefCell, collections::BTreeMap};
use tandem_wire::{
    ElementId, ListId, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// Rows of other lists that are kept while one query is answered.
const ROWS_MAX: usize = 50_000;

/// A list, and the canonical bytes of what refers to a record of it.
type Refers = (ListId, Vec<u8>);

/// What a query has seen of other lists.
pub(super) struct Related<'a, R> {
    rows: &'a R,
    views: &'a Views,
    /// By what refers to it, in canonical bytes.
    found: RefCell<BTreeMap<Refers, Option<Slice>>>,
    failed: RefCell<Option<EngineError>>,
}

/// Where a way over references ends.
pub(super) trait Follow {
    /// The canonical bytes of what the cell there shows, from this row.
    fn shown(&self, row: &[u8], route: &Route) -> Option<Vec<u8>>;
}

impl<'a, R: Read> Related<'a, R> {
    pub(super) fn new(rows: &'a R, views: &'a Views) -> Self {
        Self { rows, views, found: RefCell::default(), failed: RefCell::default() }
    }

    /// What went wrong on the way, if something did: what was shown then is no answer.
    pub(super) fn failed(&self) -> Result<(), EngineError> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// The canonical bytes of what a way's cell shows that starts at what its first link shows.
    pub(super) fn behind(&self, refers: &[u8], route: &Route) -> Option<Vec<u8>> {
        let (first, rest) = route.links.split_first()?;
        let mut row = self.row(first, refers)?;
        for link in rest {
            let refers = self.cell(&row, &link.from)?.into_owned();
            row = self.row(link, &refers)?;
        }
        Some(self.cell(&row, &route.cell)?.into_owned())
    }

    fn cell<'r>(&self, row: &'r [u8], (field, part): &CellPath) -> Option<Shown<'r>> {
        self.views.fold.design().lenses().shown(&RowCells(row), *field, part)
    }

    /// The row of the record that exists and is meant by what a link shows.
    fn row(&self, link: &Link, refers: &[u8]) -> Option<Slice> {
        let key = (link.to, refers.to_vec());
        if let Some(known) = self.found.borrow().get(&key) {
            return known.clone();
        }
        let row = self.read(link, refers).unwrap_or_else(|error| {
            self.failed.replace(Some(error));
            None
        });
        let mut found = self.found.borrow_mut();
        if found.len() >= ROWS_MAX {
            found.clear();
        }
        found.insert(key, row.clone());
        row
    }

    fn read(&self, link: &Link, refers: &[u8]) -> Result<Option<Slice>, EngineError> {
        let Some(value) = record_row::value(refers) else { return Ok(None) };
        let record = match (value, link.number) {
            (Value::Reference { list, record }, None) if list == link.to => Some(record),
            // Of several, which nothing forbids apart, the one with the least id.
            (number @ Value::Int(_), Some(field)) => {
                let (views, by) = (self.views, (link.to, field));
                let found = holders(self.rows, views.fold.prefix(), &views.indexes, views.fold.design(), by, &number)?;
                found.into_iter().map(|key| key.record).min()
            }
            _other => None,
        };
        let Some(record) = record else { return Ok(None) };
        let key = RecordKey { list: link.to, record };
        let row = self.rows.get(Table::Records, &self.views.fold.prefix().record(key))?;
        Ok(row.filter(|row| record_row::exists(row)))
    }
}

impl<R: Read> Follow for Related<'_, R> {
    fn shown(&self, row: &[u8], route: &Route) -> Option<Vec<u8>> {
        let refers = self.cell(row, &route.links.first()?.from)?;
        self.behind(&refers, route)
    }
}

impl<R: Read> Reader<R> {
    /// What people call the record that a value of a field refers to: what its first text shows. Nothing where the value
    /// refers to none that exists.
    pub fn called(&self, ty: &FieldType, value: &Value) -> Result<Option<String>, EngineError> {
        let Some(list) = ty.list.map(ElementId::as_list) else { return Ok(None) };
        let design = self.design();
        let Some(title) = title(design, list) else { return Ok(None) };
        let (number, refers) = match (ty.base(), value) {
            (Some(BaseType::Reference), reference) => (None, reference.clone()),
            (Some(base), Value::Text(text)) => {
                let index = composite::of(base).and_then(|composite| composite.derive("index", text));
                let (Some(index), Some(number)) = (index, row_number(design, list)) else { return Ok(None) };
                (Some(number), index)
            }
            _other => return Ok(None),
        };
        let link = Link { from: (title, PartPath::default()), to: list, number };
        let route = Route { links: vec![link], cell: (title, PartPath::default()) };
        let related = Related::new(&self.rows, &self.views);
        let shown = related.behind(&refers.encode(), &route);
        related.failed()?;
        Ok(shown.and_then(|bytes| match record_row::value(&bytes)? {
            Value::Text(text) => Some(text),
            _raw => None,
        }))
    }
}
