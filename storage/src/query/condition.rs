//! Filters over rows.

use super::related::Follow;
use crate::{
    filter::{Cells, EvalError, Filter, FilterError, Meta, Place, Route, Scope, Term},
    fold::{Design, incremental::Fold},
    history::Author,
    index::CellPath,
    lens,
    record_row::{self, Touch},
};
use std::{collections::BTreeMap, sync::Arc};
use tandem_wire::{DeviceKey, FieldId, PartPath, RecordId};

/// A filter with its text.
#[derive(Debug, Clone)]
pub struct Condition {
    text: Arc<str>,
    filter: Arc<Filter>,
}

/// By their texts: of two of one list, equal texts read at one time mean the same.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Condition {
    /// Reads a filter.
    pub fn parse(text: &str, scope: &Scope) -> Result<Self, FilterError> {
        Ok(Self { text: text.into(), filter: Arc::new(Filter::parse(text, scope)?) })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether it reads nothing but these cells.
    pub(super) fn is_covered_by<'a>(&self, mut cells: impl Iterator<Item = &'a CellPath> + Clone) -> bool {
        self.filter.reads().iter().all(|place| match place {
            Place::Cell(field, part) => cells.any(|(own, own_part)| own == field && own_part == part),
            Place::Cells(_) | Place::Through(_) | Place::Meta(_) => false,
        })
    }
}

/// Who the devices are, for filters that ask.
#[derive(Default)]
pub(super) struct Names(BTreeMap<DeviceKey, String>);

impl Names {
    pub(super) fn of(fold: &Fold, condition: &Condition) -> Self {
        let asks = |meta| condition.filter.reads().contains(&Place::Meta(meta));
        if !asks(Meta::CreatedBy) && !asks(Meta::ModifiedBy) {
            return Self(BTreeMap::new());
        }
        let devices = fold.members().grants.keys();
        Self(devices.map(|device| (*device, Author::of(fold, *device, None).name)).collect())
    }
}

/// A record's row as a filter sees it.
pub(super) struct RowCells<'a> {
    pub(super) id: RecordId,
    pub(super) row: &'a [u8],
    pub(super) names: &'a Names,
    pub(super) design: &'a Design,
    pub(super) related: &'a dyn Follow,
}

impl RowCells<'_> {
    pub(super) fn fit(&self, condition: &Condition) -> Result<bool, EvalError> {
        condition.filter.matches(self)
    }

    fn name(&self, touch: Option<Touch>) -> Term<'_> {
        let name = touch.and_then(|touch| self.names.0.get(&touch.event.chain.device));
        name.map_or(Term::Null, |name| Term::Text(name.as_str().into()))
    }
}

impl Cells for RowCells<'_> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        self.design.lenses().shown(&lens::RowCells(self.row), field, part).map_or(Term::Null, Term::of_shown)
    }

    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        let (lenses, row) = (self.design.lenses(), lens::RowCells(self.row));
        let written = lenses.of_field(&row, field).into_iter().map(|(_, part, _)| part);
        let parts = lenses.with_parts(field, written.collect()).into_iter();
        parts.filter_map(|part| lenses.shown(&row, field, &part).map(|bytes| (part, Term::of_shown(bytes)))).collect()
    }

    fn through(&self, route: &Route) -> Term<'_> {
        let shown = self.related.shown(self.row, route);
        shown.map_or(Term::Null, |bytes| Term::of_shown(bytes.into()))
    }

    fn meta(&self, meta: Meta) -> Term<'_> {
        let instant = |touch: Option<Touch>| touch.map_or(Term::Null, |touch| Term::DateTime(touch.wall_ms as i64));
        match meta {
            Meta::Id => Term::Record(self.id),
            Meta::Created => instant(record_row::created(self.row)),
            Meta::Modified => instant(record_row::modified(self.row)),
            Meta::CreatedBy => self.name(record_row::created(self.row)),
            Meta::ModifiedBy => self.name(record_row::modified(self.row)),
        }
    }
}

/// The columns of an index's entry as a filter sees them.
pub(super) struct ColumnCells<'a> {
    pub(super) cells: &'a [CellPath],
    pub(super) shows: &'a [Option<&'a [u8]>],
}

impl ColumnCells<'_> {
    pub(super) fn fit(&self, condition: &Condition) -> Result<bool, EvalError> {
        condition.filter.matches(self)
    }
}

impl Cells for ColumnCells<'_> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        let at = self.cells.iter().position(|(own, own_part)| *own == field && own_part == part);
        at.and_then(|at| self.shows[at]).map_or(Term::Null, Term::decode)
    }

    fn cells(&self, _field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        unreachable!("a filter that reads only what is covered")
    }

    fn meta(&self, _meta: Meta) -> Term<'_> {
        unreachable!("a filter that reads only what is covered")
    }
}
