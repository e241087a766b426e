//! Values with parts, as the model has them: which string a field is to say.

use super::{Code, Model, Record};
use tandem_storage::{
    composite::{self, Home, reads, split_elements, string_of, with_part},
    lens::Choices,
};
use tandem_wire::{CellKey, FieldId, PartPath, Value, design::FieldType};

impl Record {
    /// What a field says, in one string.
    pub fn string(&self, field: FieldId, ty: &FieldType) -> String {
        if let Some(said) = self.says.get(&field) {
            return said.clone();
        }
        let own = self.cells.range((field, PartPath::default())..).take_while(|((of, _), _)| *of == field);
        let cells = own.map(|((_, part), value)| (part.clone(), value.clone())).collect();
        string_of(ty, &Choices::default(), &cells)
    }

    /// The places of a field's elements.
    pub fn elements(&self, field: FieldId) -> impl Iterator<Item = &PartPath> {
        let own = self.cells.range((field, PartPath::default())..).take_while(move |((of, _), _)| *of == field);
        // Keys of elements are longer than the names of cells that say how a row was written.
        own.map(|((_, part), _)| part).filter(|part| part.steps().len() == 1 && part.steps().all(|key| key.len() > 1))
    }

    /// Whether it shows what it is to show, where that is known cell by cell, and says what it is to say.
    pub fn is_as(&self, expected: &Self, model: &Model) -> bool {
        let types = |field: FieldId| model.elements.get(&field.into())?.field_type.clone();
        let mut own = self.clone();
        own.unseen = expected.unseen;
        own.says.clone_from(&expected.says);
        own.cells.retain(|(field, _), _| !expected.says.contains_key(field));
        own.beside.retain(|(field, _), _| !expected.says.contains_key(field));
        let says =
            |(field, said): (&FieldId, &String)| types(*field).is_none_or(|ty| self.string(*field, &ty) == *said);
        own == *expected && expected.says.iter().all(says)
    }

    fn say(&mut self, field: FieldId, text: &str) {
        self.cells.retain(|(of, _), _| *of != field);
        self.beside.retain(|(of, _), _| *of != field);
        self.says.insert(field, text.to_owned());
    }
}

impl Model {
    /// Has a field say a string.
    pub(super) fn set_text(&mut self, cell: &CellKey, text: &str, keep_raw: bool) -> Result<(), Code> {
        let ty = self.elements[&cell.field.into()].field_type.clone().expect("fields have types");
        let record = self.records.get_mut(&cell.record).expect("it exists");
        if record.string(cell.field, &ty) == text {
            return Ok(());
        }
        let base = ty.base().expect("a type of this version");
        let is_well_formed = composite::of(base).is_none()
            || text.is_empty()
            || match ty.many {
                true => split_elements(base, text).is_some_and(|all| all.iter().all(|one| reads(base, one))),
                false => reads(base, text),
            };
        if !keep_raw && !is_well_formed {
            return Err("type");
        }
        record.say(cell.field, text);
        Ok(())
    }

    /// The cell that a change of a part sets, and to what: a part without a cell of its own makes another string.
    pub(super) fn of_cell(&self, cell: &CellKey, value: &Value) -> Result<(CellKey, Value), Code> {
        let of_itself = || Ok((cell.clone(), value.clone()));
        let ty = self.elements.get(&cell.field.into()).and_then(|field| field.field_type.clone());
        let Some((ty, base)) = ty.and_then(|ty| ty.base().map(|base| (ty, base))) else { return of_itself() };
        let depth = usize::from(ty.many);
        let name = cell.part.steps().last().filter(|_| cell.part.steps().len() == depth + 1);
        let part = name.and_then(|name| composite::part(base, name)).filter(|_| composite::is_atom(base));
        let Some(part) = part else { return of_itself() };
        if part.home == Home::Referred {
            return Err("type");
        }
        let place = PartPath::new(cell.part.steps().take(depth)).expect("shorter than before");
        let shown = self.records.get(&cell.record).and_then(|it| it.cells.get(&(cell.field, place.clone())));
        let before = match shown {
            Some(Value::Text(text)) => text,
            _nothing => "",
        };
        let text = with_part(composite::of(base).expect("an atom"), before, part.name, value.clone());
        let value = match text.map_err(|_| "type")? {
            nothing if nothing.is_empty() => Value::Null,
            text => Value::Text(text),
        };
        Ok((CellKey { part: place, ..cell.clone() }, value))
    }
}
