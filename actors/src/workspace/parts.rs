//! Changes of what has parts: a part without a cell of its own becomes a new string of all of them, and a string becomes
//! the cells that say it.

use super::{check, compose::Draft};
use crate::command::{Change, Refused};
use std::borrow::Cow;
use tandem_storage::{
    composite::{self, FieldCells, Home, cells_of, cells_of_element, with_part},
    engine::Read,
    fold::{Design, RecordState},
    lens::{Choices, StateCells},
};
use tandem_wire::{
    CellKey, FieldId, PartPath, Value,
    design::{BaseType, FieldType},
};

/// The changes of cells that a change means, of a record that is so now.
pub(super) fn of_cells<'c, R: Read>(
    draft: &Draft<'_, R>,
    state: &RecordState,
    change: &'c Change,
) -> Result<Vec<Cow<'c, Change>>, Refused> {
    let design = draft.fold.design();
    match change {
        Change::Set(cell, value) => Ok(vec![match part_of_string(design, cell) {
            Some((base, part, place)) => {
                let whole = CellKey { part: place, ..cell.clone() };
                Cow::Owned(Change::Set(whole.clone(), of_parts(design, state, &whole, (base, part), value)?))
            }
            None => Cow::Borrowed(change),
        }]),
        Change::SetText { cell: of, text, keep_raw } => {
            let cells = of_text(draft, state, of, text);
            let make = |(part, value)| {
                let cell = CellKey { part, ..of.clone() };
                Cow::Owned(if *keep_raw { Change::SetRaw(cell, value) } else { Change::Set(cell, value) })
            };
            Ok(cells.into_iter().map(make).collect())
        }
        _of_cells => Ok(vec![Cow::Borrowed(change)]),
    }
}

/// The part that a cell would be, if it is no cell: one of the parts of a string, which is at that place.
fn part_of_string(design: &Design, cell: &CellKey) -> Option<(BaseType, composite::Part, PartPath)> {
    let ty = design.field_type(cell.field)?;
    let depth = cell.part.steps().len().checked_sub(1).filter(|depth| *depth == usize::from(ty.many))?;
    let base = ty.base().filter(|base| composite::is_atom(*base))?;
    let part = composite::part(base, cell.part.steps().last()?)?;
    Some((base, part, PartPath::new(cell.part.steps().take(depth))?))
}

/// The string in which one part is so, and the others as they are.
fn of_parts(
    design: &Design,
    state: &RecordState,
    whole: &CellKey,
    (base, part): (BaseType, composite::Part),
    value: &Value,
) -> Result<Value, Refused> {
    let refused = |expected: String| check::wrong_type(design, whole.field, &expected, value);
    let composite = composite::of(base).expect("it has parts");
    if part.home == Home::Referred {
        return Err(refused(format!("its {} as it is in the record that it refers to; change it there", part.name)));
    }
    let shown = design.lenses().shown(&StateCells(state), whole.field, &whole.part);
    let text = match shown.and_then(|bytes| Value::decode(&bytes).ok()) {
        Some(Value::Text(text)) => text,
        _nothing => String::new(),
    };
    match with_part(composite, &text, part.name, value.clone()) {
        Ok(text) if text.is_empty() => Ok(Value::Null),
        Ok(text) => Ok(Value::Text(text)),
        Err(why) => Err(refused(format!("{}: {why}; write all of it, such as {}", base.name(), composite.example()))),
    }
}

/// What the cells of a field, or of an element of it, are to be for it to say a text.
fn of_text<R: Read>(draft: &Draft<'_, R>, state: &RecordState, of: &CellKey, text: &str) -> FieldCells {
    let CellKey { record, field, part } = of;
    let (field, choices) = (*field, Choices::of(draft.fold.design(), *field));
    let design = draft.fold.design();
    let ty = design.field_type(field).unwrap_or_else(|| FieldType::one(BaseType::Text));
    let present = cells_of_field(state, field);
    if let (true, Some(key), Some(base)) = (ty.many, part.steps().next(), ty.base()) {
        return cells_of_element(base, &choices, &present, key, text);
    }
    let mut count = 0_u64;
    // Unlike any that another device makes, or this one makes in another event.
    let fresh = || {
        count += 1;
        let place = (draft.device(), draft.next_lamport(), record.list, record.record, field, count);
        let bytes = postcard::to_allocvec(&place).expect("a vector takes all bytes");
        *blake3::hash(&bytes).as_bytes().first_chunk().expect("32 bytes")
    };
    cells_of(&ty, &choices, &present, text, fresh)
}

/// What the cells of a field show, as they were written.
fn cells_of_field(state: &RecordState, field: FieldId) -> FieldCells {
    let own = state.cells.range((field, PartPath::default())..).take_while(|((of, _), _)| *of == field);
    own.filter_map(|((_, part), siblings)| Some((part.clone(), siblings.first()?.value()?))).collect()
}
