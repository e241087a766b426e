//! The entries of an index, and keeping them true as records change.
//!
//! A key is the generation's prefix, the index's number, whether there is a value, the value's sort key, and the record.
//! The value holds what the columns show, or nothing where there are none.

use super::{Index, definition::CellPath, sort_key::put_sort_key};
use crate::{
    bytes::{Take, put_varint},
    engine::{Batch, Bytes, EngineError, Key, Read, Slice, Table, prefix_end},
    fold::{
        Design,
        incremental::{Prefix, rows_of_list},
    },
    lens::Shown,
    record_row::{self, CellRow},
};
use std::collections::BTreeMap;
use tandem_wire::{FieldId, ListId, PartPath, RecordId, RecordKey, Value};

/// Between the number and the sort key: records with a value come before those without.
pub(crate) const WITH_VALUE: u8 = 0;
pub(crate) const WITHOUT_VALUE: u8 = 1;

/// The key of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EntryKey(pub(crate) Slice);

impl EntryKey {
    /// The place in the order: without the record.
    pub(crate) fn place(&self) -> &[u8] {
        self.parts().0
    }

    /// The record.
    pub(crate) fn record(&self) -> RecordId {
        RecordId(*self.parts().1)
    }

    fn parts(&self) -> (&[u8], &[u8; 16]) {
        self.0[PREFIX_BYTES..].split_last_chunk().expect("keys are our own")
    }
}

impl Index {
    /// The start of its keys.
    pub fn prefix(&self, generation: Prefix) -> Key {
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
        Some(self.entry_of(generation, design, record, &cells_of(row)?))
    }

    /// Whether two rows of a record have the same entry.
    fn shows_alike(&self, design: &Design, one: &[CellRow<'_>], other: &[CellRow<'_>]) -> bool {
        self.definition.paths().all(|path| shown(design, one, path) == shown(design, other, path))
    }

    /// The entry of a record with these cells.
    pub(crate) fn entry_of(
        &self,
        generation: Prefix,
        design: &Design,
        record: RecordId,
        cells: &[CellRow<'_>],
    ) -> (Key, Bytes) {
        let (mut key, mut columns) = (Vec::with_capacity(96), Vec::new());
        self.put_entry((&mut key, &mut columns), (generation, design, record), |path| shown(design, cells, path));
        (key, columns)
    }

    /// Makes these bytes the entry of a record whose cells show this.
    pub(crate) fn put_entry<'a>(
        &self,
        (key, columns): (&mut Vec<u8>, &mut Bytes),
        (generation, design, record): (Prefix, &Design, RecordId),
        shows: impl Fn(&CellPath) -> Option<Shown<'a>>,
    ) {
        key.clear();
        key.extend_from_slice(&generation.bytes());
        key.extend_from_slice(&self.number.to_be_bytes());
        put_place(key, shows(&self.definition.by).as_deref(), design);
        key.extend_from_slice(&record.0);
        columns.clear();
        put_columns(columns, self.definition.columns.iter().map(&shows));
    }
}

/// The canonical bytes of what one of these cells shows.
fn shown<'a>(design: &Design, cells: &[CellRow<'a>], (field, part): &CellPath) -> Option<Shown<'a>> {
    design.lenses().shown(&cells, *field, part)
}

/// Bytes of a key before the place.
const PREFIX_BYTES: usize = 8 + 4;

/// Records of a list that show a value in a field, by an index of it: perhaps also some whose value sorts alike. Without
/// such an index every record is looked at, in each of the field's parts.
pub fn holders<R: Read>(
    rows: &R,
    generation: Prefix,
    indexes: &[Index],
    design: &Design,
    (list, field): (ListId, FieldId),
    value: &Value,
) -> Result<Vec<RecordKey>, EngineError> {
    let by = (field, PartPath::default());
    let index = indexes.iter().find(|index| index.definition.list == list && index.definition.by == by);
    let Some(index) = index else {
        let all = rows_of_list(rows, generation, list);
        let value = value.encode();
        let shows = |row: &[u8]| cells_of(row).is_some_and(|cells| shows_anywhere(design, &cells, field, &value));
        let fits = all.filter_map(|pair| match pair {
            Ok((key, row)) => shows(&row).then_some(Ok(key)),
            Err(error) => Some(Err(error)),
        });
        return fits.collect();
    };
    let mut from = index.prefix(generation);
    from.extend_from_slice(&place_of(value, design));
    let entries = rows.range(Table::Index, &from, prefix_end(&from).as_deref());
    entries.map(|pair| Ok(RecordKey { list, record: EntryKey(pair?.0).record() })).collect()
}

/// Whether a record shows a value in any part of a field.
fn shows_anywhere(design: &Design, cells: &[CellRow<'_>], field: FieldId, value: &[u8]) -> bool {
    let shown = design.lenses().of_field(&cells, field);
    shown.iter().any(|(_, _, bytes)| **bytes == *value)
}

/// The columns of an entry, from the canonical bytes of what they show.
pub(crate) fn put_columns<'a>(columns: &mut Bytes, shows: impl Iterator<Item = Option<Shown<'a>>>) {
    for value in shows {
        match value {
            None => columns.push(0),
            Some(value) => {
                put_varint(columns, value.len() as u64 + 1);
                columns.extend_from_slice(&value);
            }
        }
    }
}

/// What [`put_columns`] was given.
pub(crate) fn columns(columns: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Take(columns);
    std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| match rest.varint() {
            0 => None,
            length => Some(rest.slice(length as usize - 1)),
        })
    })
}

/// Where a record that shows these bytes stands in an order: the same with an index or without.
pub fn place(shows: Option<&[u8]>, design: &Design) -> Vec<u8> {
    let mut place = Vec::with_capacity(48);
    put_place(&mut place, shows, design);
    place
}

fn put_place(out: &mut Vec<u8>, shows: Option<&[u8]>, design: &Design) {
    let value = shows.map(|bytes| Value::decode(bytes).expect("bodies were checked"));
    match value.filter(|value| *value != Value::Null) {
        Some(value) => {
            out.push(WITH_VALUE);
            put_sort_key(out, &value, design);
        }
        None => out.push(WITHOUT_VALUE),
    }
}

/// Where a record that shows this value stands.
pub fn place_of(value: &Value, design: &Design) -> Vec<u8> {
    let mut place = vec![WITH_VALUE];
    put_sort_key(&mut place, value, design);
    place
}

/// Whether a place is that of a record without a value.
pub fn is_without_value(place: &[u8]) -> bool {
    place.first() == Some(&WITHOUT_VALUE)
}

/// Rows of records as they were before a batch, as far as they were looked at.
pub(crate) type Before = BTreeMap<Key, Option<Vec<u8>>>;

/// Adds to a batch that changes records what it changes in their indexes. `base` is what the batch will be applied to,
/// of which some rows are known `before`.
pub(crate) fn follow<R: Read>(
    batch: &mut Batch,
    (base, before): (&R, &Before),
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
        let stored = match before.get(key) {
            Some(_) => None,
            None => base.get(Table::Records, key)?,
        };
        let old = before.get(key).map_or(stored.as_deref(), |row| row.as_deref());
        let (old, new) = (old.and_then(cells_of), row.and_then(|row| cells_of(row)));
        for index in concerned {
            if let (Some(old), Some(new)) = (&old, &new)
                && index.shows_alike(design, old, new)
            {
                continue;
            }
            let entry = |cells: &Vec<CellRow<'_>>| index.entry_of(generation, design, record, cells);
            let (old, new) = (old.as_ref().map(entry), new.as_ref().map(entry));
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

/// The cells of a record's row, where it exists.
fn cells_of(row: &[u8]) -> Option<Vec<CellRow<'_>>> {
    record_row::exists(row).then(|| record_row::all_cells(row))
}

/// The list and record of a key in [`Table::Records`].
pub(crate) fn record_of(key: &[u8]) -> (ListId, RecordId) {
    let (list, record) = key[8..].split_first_chunk().expect("keys are our own");
    (ListId(*list), RecordId(record.try_into().expect("keys are our own")))
}
