//! Lenses: what a design's fields show of what was written into them, under whatever design that was.
//!
//! Rows keep values as they were written, for ever; a lens is looked through whenever a value is read, be it for a
//! listing, an index, a filter, a rule or a server's judgement. So a change of a field's type rewrites nothing, a device
//! that was away for a year loses nothing, and a step back shows what was there before
//! (`docs/decisions/0017-values-are-converted-when-they-are-read.md`).
//!
//! - A value of another type is converted in one step ([`convert`]), or shown as it is and flagged `raw`.
//! - A field that held one value and now holds many has that one as an element, at the empty part. One that held many
//!   shows the first of them until it is given a value of its own.
//! - A field that was split off from others, or merged from several, shows what was in them until it is given a value of
//!   its own ([`Source`]).
//! - A field with a default shows it in records that were never given a value: those that are older than the field, and
//!   those of members who do not know it yet. A cleared cell shows nothing.
//! - A choice that was merged into another shows that one.
//! - A composite shows its parts, those without cells of their own taken from its string ([`crate::composite`]).

mod choices;
mod convert;
mod parts;
mod source;

pub use choices::Choices;
pub(crate) use convert::read_decimal;
pub use convert::{convert, to_text};
pub use source::{Join, Source, Split};

use crate::{
    composite::{self, Composite},
    design_rule::Body,
    field_type::{fits, is_of},
    filter::{Cells, Formula, Meta, Place, Term},
    fold::{
        Design, RecordState,
        record::{Content, Sibling},
    },
    guard::guarded,
    record_row::{self, CellRow, NOTHING},
};
use std::{
    borrow::Cow,
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
};
use tandem_wire::{
    FieldId, ListId, PartPath, Value,
    design::{BaseType, FieldType, Property},
};

/// Formulas and sources that are evaluated for one cell, or one rule, at most: what needs more shows nothing.
pub const MADE_MAX: u32 = 256;

/// Takes one of what is left.
fn may_make(left: &Cell<u32>) -> bool {
    let now = left.get();
    left.set(now.saturating_sub(1));
    now > 0
}

/// Canonical bytes of a value.
pub type Shown<'a> = Cow<'a, [u8]>;

/// The lenses of all fields of a design.
#[derive(Debug, Clone, Default)]
pub struct Lenses {
    fields: BTreeMap<FieldId, Lens>,
    /// The fields of each list that show something in cells that were never written.
    makers: BTreeMap<ListId, Vec<FieldId>>,
}

/// What one field shows.
#[derive(Debug, Clone)]
pub(crate) struct Lens {
    list: ListId,
    ty: FieldType,
    composite: Option<&'static dyn Composite>,
    /// The forms of values that are shown as they are.
    forms: u32,
    choices: Choices,
    default: Option<Vec<u8>>,
    source: Option<Source>,
    formula: Option<Computed>,
}

/// What a field shows by a rule of the design.
#[derive(Debug, Clone)]
struct Computed {
    formula: Formula,
    /// Whatever the field holds itself, or only where it holds nothing of its own.
    always: bool,
    /// Changes with the rule.
    hash: String,
}

/// The cells of a record, as they were written.
pub trait Written<'a> {
    /// Whether there is such a cell, and the canonical bytes of what it shows.
    fn cell(&self, field: FieldId, part: &PartPath) -> Option<Option<&'a [u8]>>;

    /// The canonical bytes of what the parts of a field show, in their order.
    fn parts(&self, field: FieldId) -> Vec<(PartPath, Option<&'a [u8]>)>;
}

impl Lenses {
    /// Of a design's fields.
    pub fn of(design: &Design) -> Self {
        let fields = design.lists().flat_map(|list| design.fields(list).into_iter().map(move |field| (list, field)));
        let of_field = |(list, field)| Some((field, Lens::of(design, list, field)?));
        let mut lenses: BTreeMap<FieldId, Lens> = fields.filter_map(of_field).collect();
        for (_, rule) in design.rules().all() {
            if let Ok(Body::Value { field, formula, always }) = &rule.body
                && let Some(lens) = lenses.get_mut(field)
            {
                let definition = rule.definition.to_value().encode();
                let (formula, hash) = (formula.clone(), blake3::hash(&definition).to_hex().to_string());
                lens.formula = Some(Computed { formula, always: *always, hash });
            }
        }
        let mut makers: BTreeMap<ListId, Vec<FieldId>> = BTreeMap::new();
        for (field, lens) in lenses.iter().filter(|(_, lens)| lens.makes_something()) {
            makers.entry(lens.list).or_default().push(*field);
        }
        Self { fields: lenses, makers }
    }

    /// What a cell shows.
    pub fn shown<'a>(&self, written: &impl Written<'a>, field: FieldId, part: &PartPath) -> Option<Shown<'a>> {
        self.shown_within(written, field, part, (0, &Cell::new(MADE_MAX)))
    }

    fn shown_within<'a>(
        &self,
        written: &impl Written<'a>,
        field: FieldId,
        part: &PartPath,
        (depth, left): (usize, &Cell<u32>),
    ) -> Option<Shown<'a>> {
        let Some(lens) = self.fields.get(&field) else { return written.cell(field, part).flatten().map(Cow::Borrowed) };
        if lens.is_computed() {
            return part.is_empty().then(|| self.compute(written, lens, (depth, left))).flatten();
        }
        if let Some(composite) = lens.composite
            && let Some(shown) = self.part(written, (lens, composite), (field, part), (depth, left))
        {
            return shown;
        }
        if let Some(shows) = written.cell(field, part) {
            return shows.map(|bytes| if parts::is_verbatim(part) { Cow::Borrowed(bytes) } else { lens.show(bytes) });
        }
        if let Some(composite) = lens.composite.filter(|_| lens.has_part_cells()) {
            let string = self.string(written, (lens, composite), (field, part), (depth, left));
            return string.map(|string| Cow::Owned(Value::Text(string).encode()));
        }
        if !part.is_empty() || lens.ty.many {
            return None;
        }
        lens.first_of_many(written, field)
            .or_else(|| self.made_of_others(written, lens, (depth, left)))
            .or_else(|| self.compute(written, lens, (depth, left)))
            .or_else(|| lens.default.clone().map(Cow::Owned))
    }

    /// What a rule says that a field shows.
    fn compute<'a>(
        &self,
        written: &impl Written<'a>,
        lens: &Lens,
        (depth, left): (usize, &Cell<u32>),
    ) -> Option<Shown<'a>> {
        let computed = lens.formula.as_ref().filter(|_| depth < source::DEPTH_MAX && may_make(left))?;
        let cells = LensCells { lenses: self, written, depth: depth + 1, left, row: PhantomData };
        // What cannot be computed is shown as nothing.
        let value = guarded(|| computed.formula.value(&cells)).ok()?.ok().filter(|value| *value != Value::Null)?;
        Some(Cow::Owned(lens.convert(&value).unwrap_or(value).encode()))
    }

    /// What a field was given by those that it was made of.
    fn made_of_others<'a>(
        &self,
        written: &impl Written<'a>,
        lens: &Lens,
        (depth, left): (usize, &Cell<u32>),
    ) -> Option<Shown<'a>> {
        let source = lens.source.as_ref().filter(|_| depth < source::DEPTH_MAX && may_make(left))?;
        let text = |field: FieldId| {
            let bytes = self.shown_within(written, field, &PartPath::default(), (depth + 1, left))?;
            let value = Value::decode(&bytes).ok().filter(|value| *value != Value::Null)?;
            let choices = self.fields.get(&field).map(|lens| &lens.choices);
            match value {
                Value::Choice(choice) => choices?.name(choice).map(str::to_owned),
                other => to_text(&other),
            }
        };
        let made = Value::Text(source.make(text)?);
        Some(Cow::Owned(lens.convert(&made).unwrap_or(made).encode()))
    }

    /// What each cell of a record of a list shows, in the order of their addresses; cells that show nothing are left out.
    pub fn all<'a>(&self, cells: &[CellRow<'a>], list: ListId) -> Vec<(FieldId, PartPath, Shown<'a>)> {
        self.all_written(cells, list).unwrap_or_else(|| self.all_looked_at(cells, list))
    }

    /// Where each cell shows what was written into it, and no other shows anything: without looking each one up.
    fn all_written<'a>(&self, cells: &[CellRow<'a>], list: ListId) -> Option<Vec<(FieldId, PartPath, Shown<'a>)>> {
        if self.makers.contains_key(&list) {
            return None;
        }
        let mut all = Vec::with_capacity(cells.len());
        for cell in cells {
            let lens = self.fields.get(&cell.field);
            let is_plain = |lens: &Lens| lens.list == list && lens.composite.is_none() && cell.is_whole();
            if !lens.is_none_or(is_plain) {
                return None;
            }
            let shown = cell.value().map(|bytes| lens.map_or(Cow::Borrowed(bytes), |lens| lens.show(bytes)));
            all.extend(shown.filter(|bytes| **bytes != NOTHING).map(|bytes| (cell.field, cell.part(), bytes)));
        }
        Some(all)
    }

    fn all_looked_at<'a>(&self, cells: &[CellRow<'a>], list: ListId) -> Vec<(FieldId, PartPath, Shown<'a>)> {
        let present = cells.iter().map(|cell| (cell.field, cell.part()));
        self.some(&cells, present, self.makers.get(&list).into_iter().flatten().copied())
    }

    /// What each cell of one field shows.
    pub fn of_field<'a>(&self, written: &impl Written<'a>, field: FieldId) -> Vec<(FieldId, PartPath, Shown<'a>)> {
        let present = written.parts(field).into_iter().map(|(part, _)| (field, part));
        self.some(written, present, Some(field).filter(|field| self.makes_something(*field)))
    }

    fn some<'a>(
        &self,
        written: &impl Written<'a>,
        present: impl Iterator<Item = (FieldId, PartPath)>,
        made: impl IntoIterator<Item = FieldId>,
    ) -> Vec<(FieldId, PartPath, Shown<'a>)> {
        let mut cells: BTreeSet<(FieldId, PartPath)> = present.collect();
        let hidden: Vec<_> = cells.iter().filter(|(field, part)| self.is_hidden(*field, part)).cloned().collect();
        for (field, part) in hidden {
            cells.remove(&(field, part));
            cells.insert((field, PartPath::default()));
        }
        // What a field held before it had parts is shown as these.
        let taken_apart = cells.iter().filter_map(|(field, place)| {
            let lens = self.fields.get(field).filter(|lens| lens.has_part_cells())?;
            let parts = self.taken_apart(written, (lens, lens.composite?), (*field, place));
            (!parts.is_empty()).then(|| ((*field, place.clone()), parts))
        });
        for ((field, place), parts) in taken_apart.collect::<Vec<_>>() {
            cells.remove(&(field, place));
            cells.extend(parts.into_iter().map(|part| (field, part)));
        }
        cells.extend(made.into_iter().map(|field| (field, PartPath::default())));
        let shown = cells.into_iter().filter_map(|(field, part)| {
            let bytes = self.shown(written, field, &part).filter(|bytes| **bytes != NOTHING)?;
            Some((field, part, bytes))
        });
        shown.collect()
    }

    /// Whether a cell is an element of a field that holds one value now.
    fn is_hidden(&self, field: FieldId, part: &PartPath) -> bool {
        self.fields.get(&field).is_some_and(|lens| lens.holds_one_plain() && is_element(part))
    }

    /// What a value that was written into a field is shown as.
    pub fn value(&self, field: FieldId, value: &Value) -> Value {
        self.fields.get(&field).and_then(|lens| lens.convert(value)).unwrap_or_else(|| value.clone())
    }

    /// The same of what was written into a cell of it.
    pub fn value_at(&self, field: FieldId, part: &PartPath, value: &Value) -> Value {
        if parts::is_verbatim(part) { value.clone() } else { self.value(field, value) }
    }

    /// Makes a record's state what the design shows of it: the values that lost as well. Cells that are only shown,
    /// without ever having been written, are stamped with what made the record.
    pub fn show_state(&self, list: ListId, state: &mut RecordState) {
        let made_by = state.creates.iter().map(|edit| edit.stamp).min_by_key(|stamp| (stamp.wall_ms, stamp.event));
        let written: BTreeSet<(FieldId, PartPath)> = state.cells.keys().cloned().collect();
        let mut made = Vec::new();
        for (field, lens) in self.fields.iter().filter(|(_, lens)| lens.list == list && !lens.ty.many) {
            let whole = (*field, PartPath::default());
            let may_show = lens.makes_something() || lens.holds_one_plain();
            if may_show && (lens.is_computed() || !written.contains(&whole)) {
                let shown = self.shown(&StateCells(state), *field, &whole.1).map(Cow::into_owned);
                let siblings = self.siblings_of_elements(state, *field);
                made.extend(shown.map(|bytes| (whole, bytes, siblings)));
            }
        }
        for ((field, part), siblings) in &mut state.cells {
            let Some(lens) = self.fields.get(field).filter(|_| !parts::is_verbatim(part)) else { continue };
            for sibling in siblings {
                if let Content::Value(bytes) = &mut sibling.content
                    && let Cow::Owned(shown) = lens.show(bytes)
                {
                    *bytes = shown;
                }
            }
        }
        for (whole, bytes, elements) in made {
            state.cells.retain(|(field, part), _| *field != whole.0 || !self.is_hidden(*field, part));
            let Some(stamp) = elements.or(made_by) else { continue };
            let content = Content::Value(bytes);
            let sibling = Sibling { stamp, rank: 0, time_ms: stamp.wall_ms, content, covered: false };
            state.cells.insert(whole, vec![sibling]);
        }
    }

    /// Who wrote the first element of a field that holds one value now.
    fn siblings_of_elements(&self, state: &RecordState, field: FieldId) -> Option<crate::fold::record::Stamp> {
        let mut elements = state.cells.iter().filter(|((of, part), _)| *of == field && self.is_hidden(field, part));
        elements.next().and_then(|(_, siblings)| siblings.first()).map(|sibling| sibling.stamp)
    }

    /// Whether a field shows something in cells that were never written.
    pub fn makes_something(&self, field: FieldId) -> bool {
        self.fields.get(&field).is_some_and(Lens::makes_something)
    }

    /// The lens of a field that shows nothing but what was written into it.
    pub(crate) fn plain(&self, field: FieldId) -> Option<&Lens> {
        self.fields.get(&field).filter(|lens| !lens.makes_something() && lens.composite.is_none())
    }

    /// The fields that one is made of or computed from.
    pub fn reads(&self, field: FieldId) -> Vec<FieldId> {
        self.fields.get(&field).map(Lens::reads).unwrap_or_default()
    }

    /// Changes with whatever a field's lens depends on.
    pub fn fingerprint(&self, field: FieldId) -> Vec<u8> {
        let Some(lens) = self.fields.get(&field) else { return Vec::new() };
        let mut all = BTreeSet::from([field]);
        let mut next = lens.reads();
        while let Some(of) = next.pop() {
            if all.insert(of) {
                next.extend(self.fields.get(&of).iter().flat_map(|lens| lens.reads()));
            }
        }
        all.into_iter().flat_map(|of| self.own_fingerprint(of)).collect()
    }

    fn own_fingerprint(&self, field: FieldId) -> Vec<u8> {
        let Some(lens) = self.fields.get(&field) else { return Vec::new() };
        let computed = lens.formula.as_ref().map(|computed| (computed.always, &computed.hash));
        let parts = lens.composite.map(|_| composite::VERSION);
        let own = (&lens.ty, &lens.default, &lens.source, lens.choices.fingerprint(), computed, parts);
        postcard::to_allocvec(&own).expect("a vector takes all bytes")
    }
}

impl Lens {
    fn of(design: &Design, list: ListId, field: FieldId) -> Option<Self> {
        let element = design.elements.get(&field.into())?;
        let ty = design.field_type(field)?;
        let base = ty.base()?;
        let choices = Choices::of(design, field);
        let default = element.property(Property::Default).filter(|value| *value != Value::Null);
        let mut lens = Self {
            list,
            composite: composite::of(base),
            forms: forms(base, &choices),
            choices,
            default: None,
            source: Source::of(element),
            formula: None,
            ty,
        };
        lens.default = default.map(|value| lens.convert(&value).unwrap_or(value).encode());
        Some(lens)
    }

    /// What a field shows that shows nothing but what was written into it; as a whole, where `whole` was written.
    pub(crate) fn plainly_shown<'a>(
        &self,
        written: &impl Written<'a>,
        field: FieldId,
        whole: Option<Option<&'a [u8]>>,
    ) -> Option<Shown<'a>> {
        match whole {
            Some(shows) => shows.map(|bytes| self.show(bytes)),
            None => self.first_of_many(written, field),
        }
    }

    fn show<'a>(&self, bytes: &'a [u8]) -> Shown<'a> {
        let is_as_it_is = bytes.first().is_none_or(|form| *form < 32 && self.forms & (1 << form) != 0);
        if is_as_it_is {
            return Cow::Borrowed(bytes);
        }
        let value = Value::decode(bytes).expect("bodies were checked");
        match self.convert(&value) {
            Some(converted) if converted != value => Cow::Owned(converted.encode()),
            _as_it_is => Cow::Borrowed(bytes),
        }
    }

    fn convert(&self, value: &Value) -> Option<Value> {
        convert(value, self.ty.base()?, &self.choices)
    }

    fn first_of_many<'a>(&self, written: &impl Written<'a>, field: FieldId) -> Option<Shown<'a>> {
        if !self.holds_one_plain() {
            return None;
        }
        let parts = written.parts(field).into_iter().filter(|(part, _)| is_element(part));
        let mut shown = parts.filter_map(|(_, bytes)| bytes).filter(|bytes| **bytes != NOTHING);
        shown.next().map(|bytes| self.show(bytes))
    }

    /// Whether it shows something in cells that were never written.
    fn makes_something(&self) -> bool {
        self.default.is_some() || self.source.is_some() || self.formula.is_some()
    }

    fn is_computed(&self) -> bool {
        self.formula.as_ref().is_some_and(|computed| computed.always)
    }

    /// The other fields that it looks at.
    fn reads(&self) -> Vec<FieldId> {
        let places = self.formula.iter().flat_map(|computed| computed.formula.reads());
        let computed = places.filter_map(|place| match place {
            Place::Cell(field, _) | Place::Cells(field) => Some(*field),
            Place::Through(route) => Some(route.links[0].from.0),
            Place::Meta(_) => None,
        });
        computed.chain(self.source.iter().flat_map(Source::fields)).collect()
    }

    fn holds_one_plain(&self) -> bool {
        !self.ty.many && !self.has_part_cells()
    }

    fn has_part_cells(&self) -> bool {
        self.composite.is_some_and(|composite| !composite::is_atom(composite.base()))
    }
}

/// Whether a part is an element, of the time when the field held many.
fn is_element(part: &PartPath) -> bool {
    part.steps().len() == 1 && !parts::is_verbatim(part)
}

/// The forms, by their numbers, that a type holds as they are: those of no value and of its own.
fn forms(base: BaseType, choices: &Choices) -> u32 {
    let mut forms = 1;
    for (form, value) in [
        (1, Value::Bool(true)),
        (2, Value::Int(0)),
        (3, Value::Decimal(tandem_wire::Decimal::new(0, 0).expect("no places"))),
        (4, Value::Float(0.0)),
        (5, Value::Text(String::new())),
        (6, Value::Date(0)),
        (7, Value::DateTime { ms: 0, zone: String::new() }),
        (8, Value::Duration { months: 0, ms: 0 }),
    ] {
        forms |= u32::from(is_of(base, &value)) << form;
    }
    forms | u32::from(base == BaseType::Choice && !choices.are_merged()) << 9
}

/// Whether what a cell shows is kept raw: it was written under another type, and the present one cannot hold it.
pub fn is_raw(ty: &FieldType, part: &PartPath, value: &Value) -> bool {
    let is_kept_element = || {
        let mut one = ty.clone();
        one.many = false;
        ty.many && part.is_empty() && fits(&one, part, value)
    };
    !fits(ty, part, value) && !is_kept_element()
}

/// A record as its lenses show it, for formulas and rules.
pub struct LensCells<'l, 'a: 'l, W> {
    lenses: &'l Lenses,
    written: &'l W,
    depth: usize,
    left: &'l Cell<u32>,
    row: PhantomData<&'a [u8]>,
}

impl<'l, 'a: 'l, W: Written<'a>> LensCells<'l, 'a, W> {
    /// A record's cells as a design shows them, as long as what is made for that is within what is `left`.
    pub fn new(design: &'l Design, written: &'l W, left: &'l Cell<u32>) -> Self {
        Self { lenses: design.lenses(), written, depth: 0, left, row: PhantomData }
    }

    /// What a cell shows.
    pub(crate) fn term(&self, field: FieldId, part: &PartPath) -> Term<'a> {
        let shown = self.lenses.shown_within(self.written, field, part, (self.depth, self.left));
        shown.map_or(Term::Null, Term::of_shown)
    }
}

impl<'a, W: Written<'a>> Cells for LensCells<'_, 'a, W> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        self.term(field, part)
    }

    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        let written = self.written.parts(field).into_iter().map(|(part, _)| part).collect();
        let parts = self.lenses.with_parts(field, written).into_iter();
        let shown = parts.map(|part| {
            let term = self.cell(field, &part);
            (part, term)
        });
        shown.filter(|(_, term)| *term != Term::Null).collect()
    }

    fn meta(&self, _meta: Meta) -> Term<'_> {
        Term::Null
    }
}

/// A record's row.
pub struct RowCells<'a>(pub &'a [u8]);

impl<'a> Written<'a> for RowCells<'a> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Option<Option<&'a [u8]>> {
        record_row::cell(self.0, field, part)
    }

    fn parts(&self, field: FieldId) -> Vec<(PartPath, Option<&'a [u8]>)> {
        let own = record_row::cells(self.0).filter(|cell| cell.field == field);
        own.map(|cell| (cell.part(), cell.value())).collect()
    }
}

// Cells of a row that were taken apart already.
impl<'a> Written<'a> for &[CellRow<'a>] {
    fn cell(&self, field: FieldId, part: &PartPath) -> Option<Option<&'a [u8]>> {
        self.iter().find(|cell| cell.is(field, part)).map(CellRow::value)
    }

    fn parts(&self, field: FieldId) -> Vec<(PartPath, Option<&'a [u8]>)> {
        self.iter().filter(|cell| cell.field == field).map(|cell| (cell.part(), cell.value())).collect()
    }
}

/// A record's state.
pub struct StateCells<'a>(pub &'a RecordState);

impl<'a> Written<'a> for StateCells<'a> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Option<Option<&'a [u8]>> {
        self.0.cells.get(&(field, part.clone())).map(|siblings| shows(siblings))
    }

    fn parts(&self, field: FieldId) -> Vec<(PartPath, Option<&'a [u8]>)> {
        let own = self.0.cells.iter().filter(|((of, _), _)| *of == field);
        own.map(|((_, part), siblings)| (part.clone(), shows(siblings))).collect()
    }
}

fn shows(siblings: &[Sibling]) -> Option<&[u8]> {
    match &siblings.first()?.content {
        Content::Value(bytes) => Some(bytes),
        Content::Removed | Content::NewerVersionNeeded => None,
    }
}

#[cfg(test)]
mod tests;
