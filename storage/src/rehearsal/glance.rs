//! One record, as the new design shows it, while rules, conditions and indexes ask for it: each cell is looked for,
//! converted and read once, however many ask.

use crate::{
    filter::{Cells, Meta, Term},
    fold::Design,
    index::CellPath,
    lens::{Lens, LensCells, Shown},
    record_row::CellRow,
};
use std::cell::{Cell, OnceCell};
use tandem_wire::{FieldId, PartPath, RecordId};

/// Fields that are asked for and show what was written into them, in their order. What others show is made, and within
/// what may be made for one who asks; so it is made anew for each.
pub(super) struct Asked(Vec<(FieldId, Lens)>);

impl Asked {
    pub(super) fn of(design: &Design, fields: impl IntoIterator<Item = FieldId>) -> Self {
        let fields: std::collections::BTreeSet<FieldId> = fields.into_iter().collect();
        Self(fields.into_iter().filter_map(|field| Some((field, design.lenses().plain(field)?.clone()))).collect())
    }
}

/// See above.
pub(super) struct Glance<'l, 'a: 'l> {
    asked: &'l Asked,
    design: &'l Design,
    pub(super) cells: &'l [CellRow<'a>],
    seen: Vec<Seen<'a>>,
}

/// What one field shows as a whole.
#[derive(Default)]
struct Seen<'a> {
    /// Whether there is such a cell, and what was written into it.
    written: Option<Option<&'a [u8]>>,
    shown: OnceCell<Option<Shown<'a>>>,
    term: OnceCell<Term<'a>>,
}

impl<'l, 'a: 'l> Glance<'l, 'a> {
    pub(super) fn new(asked: &'l Asked, design: &'l Design, cells: &'l [CellRow<'a>]) -> Self {
        // Both are in the order of the fields; the whole of a field comes before its parts.
        let mut rest = cells;
        let look = |(field, _): &(FieldId, Lens)| {
            while let [cell, after @ ..] = rest
                && cell.field < *field
            {
                rest = after;
            }
            let whole = rest.first().filter(|cell| cell.field == *field && cell.is_whole());
            Seen { written: whole.map(CellRow::value), ..Seen::default() }
        };
        let seen = asked.0.iter().map(look).collect();
        Self { asked, design, cells, seen }
    }

    fn place(&self, field: FieldId, part: &PartPath) -> Option<usize> {
        self.asked.0.iter().position(|(asked, _)| *asked == field).filter(|_| part.is_empty())
    }

    /// The canonical bytes of what a cell shows.
    pub(super) fn shown(&self, (field, part): &CellPath) -> Option<Shown<'_>> {
        match self.place(*field, part) {
            Some(place) => self.shown_at(place).as_deref().map(Into::into),
            None => self.design.lenses().shown(&self.cells, *field, part),
        }
    }

    fn shown_at(&self, place: usize) -> &Option<Shown<'a>> {
        let (seen, (field, lens)) = (&self.seen[place], &self.asked.0[place]);
        seen.shown.get_or_init(|| lens.plainly_shown(&self.cells, *field, seen.written))
    }

    fn term(&self, field: FieldId, part: &PartPath, left: &Cell<u32>) -> Term<'a> {
        let Some(place) = self.place(field, part) else {
            return LensCells::new(self.design, &self.cells, left).term(field, part);
        };
        let read = || self.shown_at(place).clone().map_or(Term::Null, Term::of_shown);
        self.seen[place].term.get_or_init(read).clone()
    }
}

/// A record for one rule or condition, which may have so much made.
pub(super) struct Asking<'g, 'l, 'a: 'l> {
    pub(super) glance: &'g Glance<'l, 'a>,
    pub(super) record: RecordId,
    pub(super) left: &'g Cell<u32>,
}

impl Cells for Asking<'_, '_, '_> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        self.glance.term(field, part, self.left)
    }

    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        let own = self.glance.cells.iter().filter(|cell| cell.field == field).map(CellRow::part);
        let parts = self.glance.design.lenses().with_parts(field, own.collect()).into_iter();
        parts.map(|part| (part.clone(), self.cell(field, &part))).filter(|(_, term)| *term != Term::Null).collect()
    }

    fn meta(&self, meta: Meta) -> Term<'_> {
        match meta {
            Meta::Id => Term::Record(self.record),
            _times_and_authors => Term::Null,
        }
    }
}
