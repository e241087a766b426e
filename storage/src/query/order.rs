//! The order of records.

use crate::{
    fold::Design,
    index::{
        CellPath,
        entry::{is_without_value, place, place_of},
    },
    lens::RowCells,
    record_row,
};
use std::cmp::Ordering;
use tandem_wire::{FieldId, PartPath, RecordId, Value};

/// An order of records. Records that tie go by their ids; those without a value come last either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Greatest first.
    pub descending: bool,
}

/// What records can be sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortBy {
    /// What a cell shows.
    Cell(FieldId, PartPath),
    /// When they were made, by their authors' clocks.
    Created,
    /// When they were last changed, by their authors' clocks.
    Modified,
}

impl Sort {
    /// By a whole field, least first.
    pub fn field(field: FieldId) -> Self {
        Self { by: SortBy::Cell(field, PartPath::default()), descending: false }
    }

    /// The other way round.
    pub fn descending(self) -> Self {
        Self { descending: true, ..self }
    }

    pub(super) fn is_by(&self, (field, part): &CellPath) -> bool {
        matches!(&self.by, SortBy::Cell(own, own_part) if own == field && own_part == part)
    }

    /// Where a record with this row stands.
    pub(super) fn place(&self, row: &[u8], design: &Design) -> Vec<u8> {
        let instant = |touch: Option<record_row::Touch>| match touch {
            Some(touch) => place_of(&Value::DateTime { ms: touch.wall_ms as i64, zone: String::new() }, design),
            None => place(None, design),
        };
        match &self.by {
            SortBy::Cell(field, part) => place(design.lenses().shown(&RowCells(row), *field, part).as_deref(), design),
            SortBy::Created => instant(record_row::created(row)),
            SortBy::Modified => instant(record_row::modified(row)),
        }
    }
}

/// A record's place in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(super) place: Vec<u8>,
    pub(crate) id: RecordId,
    pub(super) descending: bool,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let least_first = || self.place.cmp(&other.place).then_with(|| self.id.cmp(&other.id));
        let last = |rank: &Self| is_without_value(&rank.place);
        last(self).cmp(&last(other)).then_with(|| match self.descending {
            true => least_first().reverse(),
            false => least_first(),
        })
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
