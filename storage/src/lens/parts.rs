//! The parts of composite values: what of a string shows as which part, and what string the parts make.

use super::{Choices, Lens, Lenses, Shown, Written, convert};
use crate::{
    composite::{self, Composite, Decomposed, Home, Parts, VERBATIM, recompose},
    record_row::{self, NOTHING},
};
use std::{borrow::Cow, cell::Cell, collections::BTreeSet};
use tandem_wire::{FieldId, PartPath, Value, design::BaseType};

/// The path of a part of the element, or field, at a place.
pub(super) fn below(place: &PartPath, part: &str) -> Option<PartPath> {
    PartPath::new(place.steps().chain([part.as_bytes()]))
}

/// The place whose part this is, and the part's name.
fn split(path: &PartPath) -> Option<(PartPath, &[u8])> {
    let depth = path.steps().len().checked_sub(1)?;
    Some((PartPath::new(path.steps().take(depth))?, path.steps().last()?))
}

/// Whether it is the cell of a string as somebody wrote it, whatever the field's type is.
pub(super) fn is_verbatim(path: &PartPath) -> bool {
    path.steps().last() == Some(VERBATIM.as_bytes())
}

/// A text of canonical bytes.
fn text(bytes: &[u8]) -> Option<String> {
    match record_row::value(bytes)? {
        Value::Text(text) => Some(text),
        _other => None,
    }
}

impl Lens {
    /// Whether a path is of a part, and not of an element or the field itself.
    fn is_of_part(&self, path: &PartPath) -> bool {
        path.steps().len() == usize::from(self.ty.many) + 1
    }
}

impl Lenses {
    /// These cells of a field, with the parts of its elements that have no cells of their own.
    pub(crate) fn with_parts(&self, field: FieldId, written: BTreeSet<PartPath>) -> BTreeSet<PartPath> {
        let Some(lens) = self.fields.get(&field) else { return written };
        let Some(composite) = lens.composite else { return written };
        let depth = usize::from(lens.ty.many);
        let places: BTreeSet<PartPath> =
            written.iter().filter_map(|path| PartPath::new(path.steps().take(depth))).collect();
        let without_cells = composite.parts().iter().filter(|part| !matches!(part.home, Home::Cell | Home::Aside));
        let derived = without_cells.flat_map(|part| places.iter().filter_map(|place| below(place, part.name)));
        written.iter().cloned().chain(derived).collect()
    }

    /// The string of all that a field shows.
    pub fn text<'a>(&self, written: &impl Written<'a>, field: FieldId) -> String {
        let Some(lens) = self.fields.get(&field) else { return String::new() };
        let shown = self.of_field(written, field).into_iter();
        let cells = shown.filter_map(|(_, part, bytes)| Some((part, record_row::value(&bytes)?)));
        composite::string_of(&lens.ty, &lens.choices, &cells.collect())
    }

    /// A field, or a part of it, as somebody sees it who has it under another type.
    pub(crate) fn read_as<'a>(
        &self,
        written: &impl Written<'a>,
        field: FieldId,
        base: BaseType,
        part: &PartPath,
    ) -> Option<Value> {
        let text = self.text(written, field);
        let Some(name) = part.steps().next() else {
            return convert(&Value::Text(text), base, &Choices::default()).filter(|value| *value != Value::Null);
        };
        composite::of(base)?.derive(composite::part(base, name)?.name, &text)
    }

    /// What a part shows that has no cell of its own.
    pub(crate) fn derived<'a>(&self, written: &impl Written<'a>, field: FieldId, path: &PartPath) -> Option<Shown<'a>> {
        let lens = self.fields.get(&field)?;
        self.part(written, (lens, lens.composite?), (field, path), (0, &Cell::new(super::MADE_MAX))).flatten()
    }

    /// What a part of a composite shows.
    pub(super) fn part<'a>(
        &self,
        written: &impl Written<'a>,
        (lens, composite): (&Lens, &dyn Composite),
        (field, path): (FieldId, &PartPath),
        within: (usize, &Cell<u32>),
    ) -> Option<Option<Shown<'a>>> {
        if !lens.is_of_part(path) {
            return None;
        }
        let (place, name) = split(path)?;
        let part = composite.parts().iter().find(|part| part.name.as_bytes() == name)?;
        let derived = |of: &PartPath| {
            let text = text(&self.shown_within(written, field, of, within)?)?;
            Some(Cow::Owned(composite.derive(part.name, &text)?.encode()))
        };
        Some(match part.home {
            Home::Atom | Home::Referred | Home::Of("") => derived(&place),
            Home::Of(source) => derived(&below(&place, source)?),
            // What the field held before it had parts.
            Home::Cell if written.cell(field, path).is_none() => {
                let whole = text(written.cell(field, &place)??)?;
                let value = composite.read(&whole)?.remove(part.name)?;
                Some(Cow::Owned(value.encode()))
            }
            Home::Cell | Home::Aside => return None,
        })
    }

    /// The string of an element, or of the field, that has parts with cells of their own.
    pub(super) fn string<'a>(
        &self,
        written: &impl Written<'a>,
        (lens, composite): (&Lens, &dyn Composite),
        (field, place): (FieldId, &PartPath),
        within: (usize, &Cell<u32>),
    ) -> Option<String> {
        if place.steps().len() != usize::from(lens.ty.many) {
            return None;
        }
        let shown = |name: &str| {
            let path = below(place, name)?;
            let bytes = self.shown_within(written, field, &path, within).filter(|bytes| **bytes != NOTHING)?;
            record_row::value(&bytes)
        };
        let own = composite.parts().iter().filter(|part| part.home == Home::Cell);
        let parts: Parts = own.filter_map(|part| Some((part.name, shown(part.name)?))).collect();
        let verbatim = match shown(VERBATIM) {
            Some(Value::Text(text)) => Some(text),
            _none => None,
        };
        let string = recompose(composite, &Decomposed { parts, verbatim });
        (!string.is_empty()).then_some(string)
    }

    /// The cells that a string written into a field is shown as, of a type whose parts have cells of their own.
    pub(super) fn taken_apart<'a>(
        &self,
        written: &impl Written<'a>,
        (lens, composite): (&Lens, &dyn Composite),
        (field, place): (FieldId, &PartPath),
    ) -> Vec<PartPath> {
        if place.steps().len() != usize::from(lens.ty.many) {
            return Vec::new();
        }
        let string = written.cell(field, place).flatten().and_then(text);
        let parts = string.and_then(|string| composite.read(&string)).unwrap_or_default();
        parts.keys().filter_map(|name| below(place, name)).collect()
    }
}
