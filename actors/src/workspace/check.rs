//! Whether what a command says fits the design.

use crate::command::{NameKind, Refused};
use tandem_storage::{
    composite::{self, Home},
    constraint::{OnDelete, check_pattern},
    field_type::{fits, is_of},
    fold::Design,
    index::ViewDefinition,
};
use tandem_wire::{
    CellKey, ElementId, FieldId, ListId, PartPath, Value,
    design::{BaseType, ElementKind, FieldType, Property},
    limits::{EVENT_BYTES_MAX, NAME_BYTES_MAX},
};

pub(super) fn list(design: &Design, list: ListId) -> Result<(), Refused> {
    if design.has_list(list) { Ok(()) } else { Err(Refused::UnknownList(list.to_string())) }
}

/// The field exists and holds choices.
pub(super) fn choice_field(design: &Design, field: FieldId) -> Result<(), Refused> {
    if !design.elements.contains_key(&field.into()) {
        return Err(Refused::UnknownElement(field.into()));
    }
    match design.field_type(field).and_then(|ty| ty.base()) {
        Some(BaseType::Choice) => Ok(()),
        other => {
            let got = other.map_or("newer version needed", BaseType::name).to_owned();
            Err(Refused::Type { field: design.name(field), expected: "the type choice, to have choices".into(), got })
        }
    }
}

/// The list and field exist, and the field can hold the value there.
pub(super) fn cell(design: &Design, cell: &CellKey, value: &Value) -> Result<(), Refused> {
    raw_cell(design, cell, value)?;
    let Some(field_type) = design.field_type(cell.field) else {
        return Err(wrong_type(design, cell.field, "a type of a newer version", value));
    };
    if fits(&field_type, &cell.part, value) {
        return Ok(());
    }
    let base = field_type.base().map_or("a type of a newer version", BaseType::name);
    if let Some(expected) = composite_form(&field_type, &cell.part) {
        return Err(wrong_type(design, cell.field, &expected, value));
    }
    let expected =
        if field_type.many { format!("any number of {base}, each in a part of its own") } else { base.into() };
    Err(wrong_type(design, cell.field, &expected, value))
}

/// What is expected at a part of a field that has parts.
fn composite_form(ty: &FieldType, part: &PartPath) -> Option<String> {
    let base = ty.base()?;
    let composite = composite::of(base)?;
    let depth = usize::from(ty.many);
    if part.steps().len() == depth + 1
        && let Some(known) = composite::part(base, part.steps().last()?)
    {
        let name = known.name;
        return Some(match known.home {
            Home::Of(source) => format!("another {source}, from which its {name} follows"),
            _cell => format!("{} as its {name}", known.base.name()),
        });
    }
    let many = if ty.many { ", each an element of its own" } else { "" };
    Some(format!("{} such as {}{many}", base.name(), composite.example()))
}

/// The list and field exist, and the format can hold the value.
pub(super) fn raw_cell(design: &Design, cell: &CellKey, value: &Value) -> Result<(), Refused> {
    list(design, cell.record.list)?;
    if !design.has_field(cell.record.list, cell.field) {
        let fields = design.fields(cell.record.list);
        return Err(Refused::UnknownField {
            list: design.name(cell.record.list),
            field: cell.field.to_string(),
            known: fields.iter().map(|field| design.name(*field)).collect::<Vec<_>>().join(", "),
        });
    }
    if has_form(value) { Ok(()) } else { Err(wrong_type(design, cell.field, "values that have a form", value)) }
}

/// The property can have this value on this element of the design. A new name is checked as a first one is.
pub(super) fn property(design: &Design, element: ElementId, property: Property, value: &Value) -> Result<(), Refused> {
    if !has_form(value) {
        return Err(wrong_type(design, element, "values that have a form", value));
    }
    match property {
        Property::Name => {}
        Property::Pattern | Property::Min | Property::Max | Property::OnDelete => {
            return constraint(design, element, property, value);
        }
        _any => return Ok(()),
    }
    let Value::Text(text) = value else { return Err(wrong_type(design, element, "a text as its name", value)) };
    let (kind, siblings) = named_alike(design, element);
    let others = siblings.into_iter().filter(|other| *other != element);
    let taken: Vec<String> = others.map(|other| design.name(other)).collect();
    name(kind, text, taken.iter().map(String::as_str))
}

/// What is asked of a field's values can be asked of values of its type. Nothing takes it back.
fn constraint(design: &Design, element: ElementId, property: Property, value: &Value) -> Result<(), Refused> {
    let wrong = |expected: &str| Err(wrong_type(design, element, expected, value));
    let field_type = design.elements.get(&element).and_then(|_| design.field_type(element.as_field()));
    let base = field_type.as_ref().and_then(FieldType::base);
    match (property, value) {
        (_, Value::Null) => Ok(()),
        (Property::Pattern, Value::Text(text)) if base == Some(BaseType::Text) => match check_pattern(text) {
            Ok(()) => Ok(()),
            Err(why) => wrong(&format!("a pattern ({why})")),
        },
        (Property::Pattern, _) => wrong("a pattern, on a field of texts"),
        (Property::OnDelete, Value::Text(name))
            if base == Some(BaseType::Reference) && OnDelete::named(name).is_some() =>
        {
            Ok(())
        }
        (Property::OnDelete, _) => wrong("restrict or set-null, on a field of references"),
        _bound if base.is_some_and(|base| is_of(base, value)) => Ok(()),
        _bound => wrong("a bound of the field's own type"),
    }
}

/// A view speaks of fields that its list has, and is small enough for one event.
pub(super) fn view(design: &Design, list: ListId, view: &ViewDefinition) -> Result<(), Refused> {
    let fields = design.fields(list);
    let cells = view.columns.iter().chain(view.sort.iter().map(|sort| &sort.by));
    for cell in cells {
        if cell.path().is_none_or(|(field, _)| !fields.contains(&field)) {
            return Err(Refused::UnknownField {
                list: design.name(list),
                field: cell.field.clone(),
                known: fields.iter().map(|field| design.name(*field)).collect::<Vec<_>>().join(", "),
            });
        }
    }
    let Value::Bytes(bytes) = view.to_value() else { unreachable!("a definition is bytes") };
    if bytes.len() > EVENT_BYTES_MAX / 2 {
        return Err(Refused::TooLarge("the view's definition is beyond its limit".into()));
    }
    Ok(())
}

/// What must not share a name with an element, itself included: lists, and the fields of one list. What else has a
/// name is never looked up by it.
fn named_alike(design: &Design, element: ElementId) -> (NameKind, Vec<ElementId>) {
    let known = design.elements.get(&element);
    match known.map(|known| (ElementKind::from_number(known.kind), known.parent)) {
        Some((Some(ElementKind::List), _)) => (NameKind::List, design.lists().map(Into::into).collect()),
        Some((Some(ElementKind::Field), Some(list))) => {
            (NameKind::Field, design.fields(list.as_list()).into_iter().map(Into::into).collect())
        }
        _other => (NameKind::Field, vec![]),
    }
}

/// Whether the format can hold it: of numbers, not those that are none, and only one of the two zeros.
pub(super) fn has_form(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Date(_) => true,
        other => Value::decode(&other.encode()).as_ref() == Ok(other),
    }
}

pub(super) fn wrong_type(design: &Design, field: impl Into<ElementId>, expected: &str, value: &Value) -> Refused {
    Refused::Type { field: design.name(field), expected: expected.into(), got: describe(value) }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(value) => format!("the bool {value}"),
        Value::Int(value) => format!("the number {value}"),
        Value::Decimal(_) => "a decimal number".into(),
        Value::Float(value) => format!("the number {value}"),
        Value::Text(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
        Value::Date(_) => "a date".into(),
        Value::DateTime { .. } => "a date-time".into(),
        Value::Duration { .. } => "a duration".into(),
        Value::Choice(_) => "a choice".into(),
        Value::Reference { .. } => "a reference".into(),
        Value::Rank(_) => "a rank".into(),
        Value::Bytes(_) => "bytes".into(),
        Value::Blob { .. } => "a file".into(),
        Value::Other { .. } => "a value of a newer version".into(),
    }
}

/// A name that people can use: not empty, not too long, not taken, on one line.
pub(crate) fn name<'a>(kind: NameKind, name: &str, mut taken: impl Iterator<Item = &'a str>) -> Result<(), Refused> {
    let refuse = |why| Err(Refused::Name { kind, name: name.into(), why });
    if name.trim().is_empty() {
        return refuse("is empty");
    }
    if name.len() > NAME_BYTES_MAX {
        return refuse("is longer than 256 bytes");
    }
    if name.chars().any(char::is_control) {
        return refuse("has a control character in it");
    }
    if taken.any(|other| other == name) {
        return refuse("is taken");
    }
    Ok(())
}
