//! The entries of an index, and keeping them true as records change.
//!
//! A key is the generation's prefix, the index's number, whether there is a value, the value's sort key, and the record.
//! The value holds what the columns show, or nothing where there are none.

use super::{Index, definition::CellPath, sort_key::sort_key};
use crate::{
    engine::{Batch, Bytes, EngineError, Key, Read, Table},
    fold::{Design, incremental::Prefix},
    record_row,
};
use tandem_wire::{ListId, RecordId, Value};

/// Between the number and the sort key: records with a value come before those without.
pub(crate) const WITH_VALUE: u8 = 0;
pub(crate) const WITHOUT_VALUE: u8 = 1;

/// An index's entry, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The place in the order: without the record.
    pub place: Vec<u8>,
    /// The record.
    pub record: RecordId,
    /// What the columns show.
    pub columns: Bytes,
}

impl Index {
    /// The start of its keys.
    pub(crate) fn prefix(&self, generation: Prefix) -> Key {
        let mut key = generation.bytes().to_vec();
        key.extend_from_slice(&self.number.to_be_bytes());
        key
    }

    /// The entry of a record's row; none where the record does not exist.
    pub(crate) fn entry(
        &self,
        generation: Prefix,
        design: &Design,
        record: RecordId,
        row: &[u8],
    ) -> Option<(Key, Bytes)> {
        if !record_row::exists(row) {
            return None;
        }
        let IndexShows { by, columns } = IndexShows::of(row, &self.definition.by, &self.definition.columns);
        let mut key = self.prefix(generation);
        key.extend(place(by, design));
        key.extend_from_slice(&record.0);
        let columns = match columns.is_empty() {
            true => Vec::new(),
            false => postcard::to_allocvec(&columns).expect("a vector takes all bytes"),
        };
        Some((key, columns))
    }

    /// Reads an entry.
    pub(crate) fn read(&self, key: &[u8], columns: Bytes) -> Entry {
        let (rest, record) = key.split_last_chunk().expect("keys are our own");
        Entry { place: rest[PREFIX_BYTES..].to_vec(), record: RecordId(*record), columns }
    }
}

/// Bytes of a key before the place.
const PREFIX_BYTES: usize = 8 + 4;

/// What a row shows of the cells of an index.
struct IndexShows<'a> {
    by: Option<&'a [u8]>,
    columns: Vec<Option<serde_bytes::ByteBuf>>,
}

impl<'a> IndexShows<'a> {
    fn of(row: &'a [u8], by: &CellPath, columns: &[CellPath]) -> Self {
        let mut shows = Self { by: None, columns: vec![None; columns.len()] };
        for (field, part, value) in record_row::winners(row) {
            let is_it = |path: &CellPath| path.0 == field && path.1 == part;
            if is_it(by) {
                shows.by = Some(value);
            }
            for (column, shown) in columns.iter().zip(&mut shows.columns) {
                if is_it(column) {
                    *shown = Some(serde_bytes::ByteBuf::from(value));
                }
            }
        }
        shows
    }
}

/// The canonical bytes of what an entry's columns show.
pub(crate) fn columns(entry: &[u8]) -> Vec<Option<serde_bytes::ByteBuf>> {
    match entry {
        [] => Vec::new(),
        entry => postcard::from_bytes(entry).expect("entries are our own"),
    }
}

/// The values of columns; none where a cell shows nothing.
pub(crate) fn values(columns: &[Option<serde_bytes::ByteBuf>]) -> Vec<Option<Value>> {
    let decode = |bytes: &serde_bytes::ByteBuf| Value::decode(bytes).expect("bodies were checked");
    columns.iter().map(|column| column.as_ref().map(decode).filter(|value| *value != Value::Null)).collect()
}

/// Where a record that shows these bytes stands in an order: the same with an index or without.
pub fn place(shows: Option<&[u8]>, design: &Design) -> Vec<u8> {
    let value = shows.map(|bytes| Value::decode(bytes).expect("bodies were checked"));
    match value.filter(|value| *value != Value::Null) {
        Some(value) => place_of(&value, design),
        None => vec![WITHOUT_VALUE],
    }
}

/// Where a record that shows this value stands.
pub fn place_of(value: &Value, design: &Design) -> Vec<u8> {
    let mut place = vec![WITH_VALUE];
    place.extend(sort_key(value, design));
    place
}

/// Whether a place is that of a record without a value.
pub fn is_without_value(place: &[u8]) -> bool {
    place.first() == Some(&WITHOUT_VALUE)
}

/// Adds to a batch that changes records what it changes in their indexes. `base` is what the batch will be applied to.
pub(crate) fn follow<R: Read>(
    batch: &mut Batch,
    base: &R,
    generation: Prefix,
    indexes: &[Index],
    design: &Design,
) -> Result<(), EngineError> {
    if indexes.is_empty() {
        return Ok(());
    }
    let mut changes: Vec<(Key, Option<Bytes>)> = Vec::new();
    for (key, row) in batch.writes(Table::Records) {
        let (list, record) = record_of(key);
        let mut concerned = indexes.iter().filter(|index| index.definition.list == list).peekable();
        if concerned.peek().is_none() {
            continue;
        }
        let before = base.get(Table::Records, key)?;
        for index in concerned {
            let entry = |row: &Bytes| index.entry(generation, design, record, row);
            let (old, new) = (before.as_ref().and_then(entry), row.and_then(entry));
            if old == new {
                continue;
            }
            if let Some((key, _)) = old.filter(|(key, _)| new.as_ref().is_none_or(|(new, _)| new != key)) {
                changes.push((key, None));
            }
            changes.extend(new.map(|(key, columns)| (key, Some(columns))));
        }
    }
    for (key, columns) in changes {
        match columns {
            Some(columns) => batch.put(Table::Index, key, columns),
            None => batch.delete(Table::Index, key),
        }
    }
    Ok(())
}

/// The list and record of a key in [`Table::Records`].
pub(crate) fn record_of(key: &[u8]) -> (ListId, RecordId) {
    let (list, record) = key[8..].split_first_chunk().expect("keys are our own");
    (ListId(*list), RecordId(record.try_into().expect("keys are our own")))
}
