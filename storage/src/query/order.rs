//! The order of records.

use super::related::Follow;
use crate::{
    filter::{FilterError, Formula, Meta, Place, Route, Scope},
    fold::Design,
    index::{
        CellPath,
        entry::{is_without_value, place},
    },
    lens::{RowCells, Shown},
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
    /// What a cell of a record shows that they refer to.
    Through(Route),
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
    pub(super) fn place(&self, row: &[u8], design: &Design, related: &dyn Follow) -> Vec<u8> {
        place(self.by.shown(row, design, related).as_deref(), design)
    }
}

impl SortBy {
    /// What a name with its dots stands for, as filters write it: a cell, a part, or a cell of a record that is referred to.
    pub fn parse(text: &str, scope: &Scope) -> Result<Self, FilterError> {
        Ok(match Formula::parse(text, scope)?.place() {
            Some(Place::Cell(field, part)) => Self::Cell(field, part),
            Some(Place::Through(route)) => Self::Through(route),
            Some(Place::Meta(Meta::Created)) => Self::Created,
            Some(Place::Meta(Meta::Modified)) => Self::Modified,
            _no_cell => return Err(FilterError::of_whole(text, "records are sorted by a field, or one of its parts")),
        })
    }

    /// The canonical bytes of what a row shows there.
    pub(super) fn shown<'r>(&self, row: &'r [u8], design: &Design, related: &dyn Follow) -> Option<Shown<'r>> {
        let instant = |touch: Option<record_row::Touch>| {
            let value = Value::DateTime { ms: touch?.wall_ms as i64, zone: String::new() };
            Some(Shown::Owned(value.encode()))
        };
        match self {
            Self::Cell(field, part) => design.lenses().shown(&RowCells(row), *field, part),
            Self::Through(route) => related.shown(row, route).map(Shown::Owned),
            Self::Created => instant(record_row::created(row)),
            Self::Modified => instant(record_row::modified(row)),
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
