//! The reference model: what one person's commands, done one after the other, leave behind.
//!
//! It knows nothing of events, logs or folds. With one author nobody is ever concurrent, so that maps are enough; what
//! commands mean between members who had not seen each other's is for models to come.

mod parts;

use crate::{disk::Disk, strings};
use std::collections::BTreeMap;
use tandem_actors::{Change, Command};
use tandem_storage::{
    Store,
    engine::Engine,
    field_type,
    fold::{RecordState, incremental::records_in},
    index::definition::{ViewCell, ViewDefinition},
    lens::Lenses,
};
use tandem_wire::{
    CellKey, ElementId, FieldId, ListId, PartPath, RecordKey, Value,
    design::{BaseType, ElementKind, FieldType, Property},
    limits::{EVENT_BYTES_MAX, NAME_BYTES_MAX},
};

/// What must be there, no more and no less.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// Every element ever defined: lists, fields and views.
    pub elements: BTreeMap<ElementId, Element>,
    /// Every record ever created.
    pub records: BTreeMap<RecordKey, Record>,
    /// The first answer that was another than it must be.
    pub wrong: Option<String>,
}

/// A list, a field or a view.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Which of them.
    pub kind: ElementKind,
    /// The list of a field or view.
    pub list: Option<ListId>,
    /// The type of a field.
    pub field_type: Option<FieldType>,
    /// What was put on it, its name too; by the property's number.
    pub properties: BTreeMap<u16, Value>,
}

/// A record that exists or did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Whether anybody made it.
    pub created: bool,
    /// Whether it does.
    pub exists: bool,
    /// What its cells show; those that show nothing are left out.
    pub cells: BTreeMap<(FieldId, PartPath), Value>,
    /// How many losers are beside what a cell shows; cells without are left out.
    pub beside: BTreeMap<(FieldId, PartPath), usize>,
    /// Removals that lost against an edit, and that nobody has answered.
    pub lost_deletes: usize,
    /// Changes that show only in the history.
    pub unseen: usize,
    /// Fields that were told to say a string: in what cells they do so is not known until it is seen.
    pub says: BTreeMap<FieldId, String>,
}

impl Record {
    fn of(state: &RecordState) -> Self {
        let mut record = Self {
            created: !state.creates.is_empty(),
            exists: state.exists(),
            lost_deletes: state.losing_deletes().count(),
            ..Self::default()
        };
        for (cell, siblings) in &state.cells {
            if let Some(value) = siblings[0].value().filter(|value| *value != Value::Null) {
                record.cells.insert(cell.clone(), value);
            }
            if siblings.len() > 1 {
                record.beside.insert(cell.clone(), siblings.len() - 1);
            }
        }
        record
    }

    /// As a design shows it.
    pub fn shown_by(&self, lenses: &Lenses) -> Self {
        let shown = |((field, part), value): (&(FieldId, PartPath), &Value)| {
            ((*field, part.clone()), lenses.value_at(*field, part, value))
        };
        let cells = self.cells.iter().map(shown).filter(|(_, value)| *value != Value::Null);
        Self { cells: cells.collect(), ..self.clone() }
    }

    fn set(&mut self, cell: &CellKey, value: &Value, resolves: bool) {
        let at = (cell.field, cell.part.clone());
        // A cell with losers is written anew also with the value that it shows.
        self.unseen += usize::from(self.beside.contains_key(&at));
        match value {
            Value::Null => drop(self.cells.remove(&at)),
            value => drop(self.cells.insert(at.clone(), value.clone())),
        }
        if resolves {
            self.beside.remove(&at);
        }
    }
}

/// The code of the refusal that a command must get.
pub type Code = &'static str;

impl Model {
    /// What a command makes of it, or the refusal it must get. `elements` are those that the answer says were made.
    pub fn after(&self, command: &Command, elements: &[ElementId]) -> Result<Self, Code> {
        let mut after = self.clone();
        match command {
            Command::Change(transaction) => {
                transaction.changes.iter().try_for_each(|change| after.change(change))?;
                after.forget_what_was_removed(self);
                // None was there before: only what this transaction leaves can be too large.
                if after.records.values().any(|record| record.cells.values().any(is_large)) {
                    return Err("too-large");
                }
            }
            Command::CreateList { name, fields } => after.create_list(name, fields, elements)?,
            Command::AddFields { list, fields } => after.add_fields(*list, fields, elements)?,
            Command::CreateView { list, name, definition } => after.create_view(*list, name, definition, elements)?,
            Command::AddChoices { .. } => unreachable!("the workload makes no choices"),
            Command::Put { element, property, value } => after.put(*element, *property, value)?,
            Command::ApplyDesign(_) | Command::RevertDesign(_) | Command::AdoptStep(_) | Command::Rehearsed { .. } => {
                unreachable!("the model knows no whole designs")
            }
            Command::Members(_) => unreachable!("the model knows no members"),
            Command::Undo(_) => unreachable!("the workload undoes nothing"),
            Command::Servers(_) | Command::Resend(_) | Command::Discard(_) | Command::HandOn { .. } => {
                unreachable!("the model knows no servers")
            }
        }
        Ok(after)
    }

    /// What a node shows.
    pub fn shown_by(store: &Store<Disk>) -> Self {
        let (snapshot, mut model) = (store.engine().snapshot(), Self::default());
        let design = store.fold().design();
        for (id, element) in &design.elements {
            let Some(kind) = ElementKind::from_number(element.kind) else { continue };
            let properties = element.properties.keys().filter_map(|number| {
                let property = Property::from_number(*number)?;
                // What a field holds is no property that the model puts.
                Some((*number, element.property(property)?)).filter(|_| property != Property::Type)
            });
            let list = element.parent.map(ElementId::as_list);
            let field_type = if kind == ElementKind::Field { design.field_type(id.as_field()) } else { None };
            let element = Element { kind, list, field_type, properties: properties.collect() };
            model.elements.insert(*id, element);
        }
        for record in records_in(&snapshot, store.fold().prefix()) {
            let (key, state) = record.expect("memory can be read");
            model.records.insert(key, Record::of(&state));
        }
        model
    }

    /// The lists that are not dropped.
    pub fn lists(&self) -> impl Iterator<Item = ListId> + '_ {
        let lists = self.elements.iter().filter(|(_, element)| element.kind == ElementKind::List);
        lists.filter(|(_, list)| !list.is_dropped()).map(|(id, _)| id.as_list())
    }

    /// The fields of a list that are not dropped.
    pub fn fields(&self, list: ListId) -> impl Iterator<Item = (FieldId, &Element)> + '_ {
        let is_field = move |element: &Element| element.kind == ElementKind::Field && element.list == Some(list);
        let fields = self.elements.iter().filter(move |(_, element)| is_field(element));
        fields.filter(|(_, field)| !field.is_dropped()).map(|(id, field)| (id.as_field(), field))
    }

    /// The records of a list that exist, by id.
    pub fn existing(&self, list: ListId) -> impl Iterator<Item = (&RecordKey, &Record)> + '_ {
        self.records.iter().filter(move |(key, record)| key.list == list && record.exists)
    }

    /// What a person should be told about a record.
    pub fn flags(&self, record: &Record) -> Vec<&'static str> {
        let is_raw =
            |((field, part), value): (&(FieldId, PartPath), &Value)| !self.elements[&(*field).into()].fits(part, value);
        if record.cells.iter().any(is_raw) { vec!["raw"] } else { vec![] }
    }

    fn change(&mut self, change: &Change) -> Result<(), Code> {
        let key = match change {
            Change::Create(key) | Change::Delete(key) | Change::Restore(key) | Change::Keep(key) => *key,
            Change::Set(cell, _) | Change::SetRaw(cell, _) | Change::Resolve(cell, _) => cell.record,
            Change::SetText { cell, .. } => cell.record,
        };
        if !self.lists().any(|list| list == key.list) {
            return Err("unknown-list");
        }
        if let Change::SetText { cell, .. } = change
            && !self.fields(cell.record.list).any(|(id, _)| id == cell.field)
        {
            return Err("unknown-field");
        }
        let of_cell = match change {
            Change::Set(cell, value) => {
                let (cell, value) = self.of_cell(cell, value)?;
                Some(Change::Set(cell, value))
            }
            _other => None,
        };
        let change = of_cell.as_ref().unwrap_or(change);
        if let Change::Set(cell, value) | Change::SetRaw(cell, value) | Change::Resolve(cell, value) = change {
            let field = self.fields(cell.record.list).find(|(id, _)| *id == cell.field);
            let (_, field) = field.ok_or("unknown-field")?;
            let is_checked = matches!(change, Change::Set(..));
            if has_no_form(value) || (is_checked && !field.fits(&cell.part, value)) {
                return Err("type");
            }
        }
        let known = self.records.get(&key).filter(|record| record.created).map(|record| record.exists);
        match (change, known) {
            (Change::Create(_) | Change::Restore(_), Some(true)) => return Err("record-exists"),
            (Change::Restore(_), None)
            | (
                Change::Set(..)
                | Change::SetRaw(..)
                | Change::SetText { .. }
                | Change::Resolve(..)
                | Change::Keep(_)
                | Change::Delete(_),
                None | Some(false),
            ) => return Err("unknown-record"),
            _possible => {}
        }
        let record = self.records.entry(key).or_default();
        match change {
            Change::Create(_) | Change::Restore(_) => (record.created, record.exists) = (true, true),
            Change::Delete(_) => record.exists = false,
            Change::Set(cell, value) | Change::SetRaw(cell, value) => record.set(cell, value, false),
            Change::Resolve(cell, value) => record.set(cell, value, true),
            Change::Keep(_) => record.lost_deletes = 0,
            Change::SetText { cell, text, keep_raw } => return self.set_text(cell, text, *keep_raw),
        }
        Ok(())
    }

    /// What a transaction removes again it never did: such a record is as it was before, but gone.
    fn forget_what_was_removed(&mut self, before: &Self) {
        self.records.retain(|key, record| {
            let existed = before.records.get(key).is_some_and(|before| before.exists);
            if !record.exists || !existed {
                // It is gone, or what brought it back answers all removals.
                record.lost_deletes = 0;
            }
            if !record.exists {
                let Some(before) = before.records.get(key) else { return false };
                record.created = before.created;
                record.cells.clone_from(&before.cells);
                record.beside.clone_from(&before.beside);
                record.says.clone_from(&before.says);
                record.unseen = before.unseen;
            }
            true
        });
    }

    fn create_list(&mut self, name: &str, fields: &[(String, FieldType)], made: &[ElementId]) -> Result<(), Code> {
        let taken: Vec<&Value> = self.lists().filter_map(|list| self.elements[&list.into()].name()).collect();
        check_name(name, &taken)?;
        check_fields(fields, &[])?;
        if let [list, made @ ..] = made {
            self.elements.insert(*list, Element::new(ElementKind::List, None, None, name));
            self.define(list.as_list(), fields, made);
        }
        Ok(())
    }

    fn add_fields(&mut self, list: ListId, fields: &[(String, FieldType)], made: &[ElementId]) -> Result<(), Code> {
        if !self.lists().any(|known| known == list) {
            return Err("unknown-list");
        }
        let taken: Vec<&Value> = self.fields(list).filter_map(|(_, field)| field.name()).collect();
        check_fields(fields, &taken)?;
        self.define(list, fields, made);
        Ok(())
    }

    fn create_view(
        &mut self,
        list: ListId,
        name: &str,
        definition: &ViewDefinition,
        made: &[ElementId],
    ) -> Result<(), Code> {
        if !self.lists().any(|known| known == list) {
            return Err("unknown-list");
        }
        check_name(name, &[])?;
        let cells = definition.columns.iter().chain(definition.sort.iter().map(|sort| &sort.by));
        let is_known = |cell: &ViewCell| self.fields(list).any(|(field, _)| ViewCell::field(field).field == cell.field);
        if !cells.into_iter().all(is_known) {
            return Err("unknown-field");
        }
        if let [view] = made {
            self.elements.insert(*view, Element::new(ElementKind::View, Some(list), None, name));
        }
        Ok(())
    }

    fn define(&mut self, list: ListId, fields: &[(String, FieldType)], made: &[ElementId]) {
        for (id, (name, field_type)) in made.iter().zip(fields) {
            let field = Element::new(ElementKind::Field, Some(list), Some(field_type.clone()), name);
            self.elements.insert(*id, field);
        }
    }

    fn put(&mut self, id: ElementId, property: Property, value: &Value) -> Result<(), Code> {
        let element = self.elements.get(&id).ok_or("unknown-element")?;
        if element.properties.get(&property.number()) == Some(value) {
            return Ok(());
        }
        if property == Property::Name {
            let Value::Text(name) = value else { return Err("type") };
            let others: Vec<ElementId> = match element.list {
                _ if element.kind == ElementKind::View => vec![],
                Some(list) => self.fields(list).map(|(field, _)| field.into()).collect(),
                None => self.lists().map(ElementId::from).collect(),
            };
            let others = others.into_iter().filter(|other| *other != id);
            let taken: Vec<&Value> = others.filter_map(|other| self.elements[&other].name()).collect();
            check_name(name, &taken)?;
        }
        if is_large(value) {
            return Err("too-large");
        }
        self.elements.get_mut(&id).expect("known").properties.insert(property.number(), value.clone());
        Ok(())
    }
}

impl Element {
    fn new(kind: ElementKind, list: Option<ListId>, field_type: Option<FieldType>, name: &str) -> Self {
        let properties = BTreeMap::from([(Property::Name.number(), Value::Text(name.into()))]);
        Self { kind, list, field_type, properties }
    }

    /// Whether it is a field that can hold the value there.
    fn fits(&self, part: &PartPath, value: &Value) -> bool {
        let field_type = self.field_type.as_ref().expect("fields have types");
        let base = field_type.base().expect("a type of this version");
        if strings::have_parts(base) {
            return field_type::fits(field_type, part, value);
        }
        let (depth, own) = (part.steps().len(), usize::from(field_type.many));
        // A long text may be in chunks, each a part of its own.
        let in_place = depth == own || (base == BaseType::Text && depth == own + 1);
        let fits = match base {
            BaseType::Text => matches!(value, Value::Text(_)),
            BaseType::Int => matches!(value, Value::Int(_)),
            BaseType::Bool => matches!(value, Value::Bool(_)),
            BaseType::Float => matches!(value, Value::Float(_)),
            BaseType::Decimal => matches!(value, Value::Int(_) | Value::Decimal(_)),
            BaseType::Date => matches!(value, Value::Date(_)),
            BaseType::Choice => matches!(value, Value::Choice(_) | Value::Bool(_)),
            other => unreachable!("the workload makes no {}", other.name()),
        };
        in_place && (fits || *value == Value::Null)
    }

    /// Its name.
    pub fn name(&self) -> Option<&Value> {
        self.properties.get(&Property::Name.number())
    }

    /// Whether it is dropped.
    pub fn is_dropped(&self) -> bool {
        self.properties.get(&Property::Dropped.number()) == Some(&Value::Bool(true))
    }
}

fn check_fields(fields: &[(String, FieldType)], taken: &[&Value]) -> Result<(), Code> {
    let names: Vec<Value> = fields.iter().map(|(name, _)| Value::Text(name.clone())).collect();
    fields.iter().enumerate().try_for_each(|(index, (name, _))| {
        let before: Vec<&Value> = names[..index].iter().chain(taken.iter().copied()).collect();
        check_name(name, &before)
    })
}

/// A number that is none: the format has no form for it.
fn has_no_form(value: &Value) -> bool {
    matches!(value, Value::Float(number) if !number.is_finite())
}

fn check_name(name: &str, taken: &[&Value]) -> Result<(), Code> {
    let is_taken = taken.iter().any(|other| matches!(other, Value::Text(other) if other == name));
    let is_bad = name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control);
    if is_taken || is_bad { Err("name") } else { Ok(()) }
}

/// Whether a value alone is beyond what one event holds; the workload makes none that are near it.
fn is_large(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.len() >= EVENT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_actors::Transaction;
    use tandem_wire::RecordId;

    #[test]
    fn a_command_is_done_whole_or_refused_whole() {
        let id = |n: u8| ElementId([n; 16]);
        let fields = vec![("n".to_string(), FieldType::one(BaseType::Int))];
        let create = Command::CreateList { name: "List".into(), fields };
        let model = Model::default().after(&create, &[id(1), id(2)]).unwrap();
        assert_eq!(model.after(&create, &[]).unwrap_err(), "name");
        let key = RecordKey { list: id(1).as_list(), record: RecordId([9; 16]) };
        let cell = CellKey { record: key, field: id(2).as_field(), part: PartPath::default() };
        let change = |changes: Vec<Change>| Command::Change(Transaction { changes, ..Transaction::default() });
        let made = model.after(&change(vec![Change::Create(key), Change::Set(cell.clone(), Value::Int(1))]), &[]);
        let made = made.unwrap();
        let check = |changes: Vec<Change>, expect: Result<&Model, Code>| {
            assert_eq!(made.after(&change(changes.clone()), &[]).as_ref().map_err(|code| *code), expect, "{changes:?}");
        };
        check(vec![Change::Delete(key), Change::Restore(key)], Ok(&made));
        check(vec![Change::Delete(key), Change::Set(cell.clone(), Value::Int(1))], Err("unknown-record"));
        check(vec![Change::Set(cell.clone(), Value::Bool(true))], Err("type"));
        check(vec![Change::Create(key)], Err("record-exists"));

        let mut gone = made.after(&change(vec![Change::Delete(key)]), &[]).unwrap();
        gone.records.get_mut(&key).unwrap().beside.insert((cell.field, PartPath::default()), 1);
        let resolves = vec![Change::Restore(key), Change::Resolve(cell, Value::Int(1)), Change::Delete(key)];
        assert_eq!(gone.after(&change(resolves), &[]), Ok(gone));
    }
}
