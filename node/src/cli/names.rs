//! From what people type to ids: lists, fields with their parts and elements, records, values.

use super::CliError;
use crate::exchange::reading::Reading;
use std::collections::BTreeSet;
use tandem_actors::{Change, Refused};
use tandem_storage::{
    Reader, composite,
    engine::Read,
    fold::{
        Design, RecordState,
        record::{Content, Sibling, Stamp},
    },
};
use tandem_wire::{
    CellKey, ChainId, DeviceKey, EventId, EventRef, FieldId, ListId, PartPath, RecordId, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// The list with this name.
pub fn list(design: &Design, name: &str) -> Result<ListId, CliError> {
    let found = design.lists().find(|list| design.name(*list) == name);
    found.ok_or_else(|| Refused::UnknownList(name.into()).into())
}

/// The field with this name.
pub fn field(design: &Design, list: ListId, name: &str) -> Result<FieldId, CliError> {
    let fields = design.fields(list);
    let found = fields.iter().find(|field| design.name(**field) == name).copied();
    found.ok_or_else(|| {
        let known = fields.iter().map(|field| design.name(*field)).collect::<Vec<_>>().join(", ");
        Refused::UnknownField { list: design.name(list), field: name.into(), known }.into()
    })
}

/// A place in a record as it is typed: `name`, `person name.family`, `phones[2].number`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The field.
    pub field: FieldId,
    /// Which element of a multi-value, from 1.
    pub element: Option<usize>,
    /// Which part of a composite.
    pub part: Option<String>,
}

/// Reads a place. The longest field name that `text` begins with counts.
pub fn place(design: &Design, list: ListId, text: &str) -> Result<Place, CliError> {
    let fields = design.fields(list).into_iter().map(|field| (design.name(field), field));
    let begins = |name: &str| text.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let longest = fields.filter(|(name, _)| begins(name).is_some()).max_by_key(|(name, _)| name.len());
    let Some((name, id)) = longest else {
        let name = text.split(['.', '[']).next().unwrap_or(text);
        return Err(field(design, list, name).err().unwrap_or_else(|| malformed(text)));
    };
    let mut rest = begins(&name).expect("chosen by that");
    let mut element = None;
    if let Some(inside) = rest.strip_prefix('[') {
        let (number, after) = inside.split_once(']').ok_or_else(|| malformed(text))?;
        element = Some(number.parse().ok().filter(|number| *number > 0).ok_or_else(|| malformed(text))?);
        rest = after;
    }
    let part = match rest.strip_prefix('.') {
        Some("") => return Err(malformed(text)),
        Some(part) => Some(part.to_owned()),
        None if rest.is_empty() => None,
        None => return Err(malformed(text)),
    };
    Ok(Place { field: id, element, part })
}

fn malformed(text: &str) -> CliError {
    CliError::Usage(format!("{text} is no field; write `field`, `field.part`, `field[1]` or `field[1].part`"))
}

impl Place {
    /// Whether what is said there is a string that may say several things: elements, or parts.
    fn is_string(&self, ty: &FieldType) -> bool {
        let has_parts = ty.base().is_some_and(BaseType::is_composite);
        self.part.is_none() && (has_parts || ty.many && self.element.is_none())
    }

    /// Where in the record this is. An element one behind the last is a new one; `fresh` makes its key unique.
    pub fn path(&self, design: &Design, state: &RecordState, fresh: [u8; 6]) -> Result<PartPath, CliError> {
        let name = design.name(self.field);
        let Some(ty) = design.field_type(self.field) else {
            return Err(CliError::Usage(format!("field {name} has a type of a newer version; update to change it")));
        };
        let mut steps: Vec<Vec<u8>> = Vec::new();
        match (ty.many, self.element) {
            (true, None) => {
                return Err(CliError::Usage(format!("{name} holds several; say which: {name}[1], or the next number")));
            }
            (false, Some(_)) => return Err(CliError::Usage(format!("{name} holds one value; write {name}"))),
            (true, Some(number)) => steps.push(element_key(state, self.field, number, fresh, &name)?),
            (false, None) => {}
        }
        let base = ty.base().unwrap_or(BaseType::Text);
        match (&self.part, composite::of(base)) {
            (Some(part), Some(_)) => {
                // Those of other programs can be changed where they are.
                let is_known = composite::part(base, part.as_bytes()).is_some();
                let mut cells = state.cells.keys().filter(|(of, _)| *of == self.field);
                if !is_known && !cells.any(|(_, path)| path.steps().last() == Some(part.as_bytes())) {
                    let text = format!("{name} has no part {part}; its parts are: {}", parts_of(base));
                    return Err(CliError::Usage(text));
                }
                steps.push(part.clone().into_bytes());
            }
            (None, Some(_)) if !composite::is_atom(base) => {
                let parts = parts_of(base);
                return Err(CliError::Usage(format!("{name} has parts; say which: {name}.part ({parts})")));
            }
            (None, _) => {}
            (Some(_), None) => return Err(CliError::Usage(format!("{name} has no parts"))),
        }
        PartPath::new(steps).ok_or_else(|| CliError::Usage(format!("the part of {name} is longer than 64 bytes")))
    }
}

fn parts_of(base: BaseType) -> String {
    let parts = composite::of(base).map_or(&[][..], |composite| composite.parts());
    parts.iter().map(|part| part.name).collect::<Vec<_>>().join(", ")
}

/// The keys of a field's elements that show something, in order.
pub fn elements(state: &RecordState, field: FieldId) -> BTreeSet<Vec<u8>> {
    let cells = state.cells.iter().filter(|((of, _), _)| *of == field);
    let shown = cells.filter(|(_, siblings)| {
        siblings.first().and_then(|winner| winner.value()).is_some_and(|value| value != Value::Null)
    });
    let keys = shown.filter_map(|((_, part), _)| part.steps().next().map(<[u8]>::to_vec));
    // Beside the elements, what nobody could take apart into some.
    keys.filter(|key| key != composite::VERBATIM.as_bytes()).collect()
}

fn element_key(
    state: &RecordState,
    field: FieldId,
    number: usize,
    fresh: [u8; 6],
    name: &str,
) -> Result<Vec<u8>, CliError> {
    let elements = elements(state, field);
    if let Some(key) = elements.iter().nth(number - 1) {
        return Ok(key.clone());
    }
    if number != elements.len() + 1 {
        let next = elements.len() + 1;
        return Err(CliError::NotFound(format!("{name} has no element {number}; the next new one is {name}[{next}]")));
    }
    let last = elements.last().and_then(|key| key.first_chunk::<2>()).map_or(0, |place| u16::from_be_bytes(*place) + 1);
    Ok([&last.to_be_bytes()[..], &fresh].concat())
}

/// The record of a list with this id, or the only one that exists and whose id starts like this.
pub fn record<R: Read>(reader: &Reader<R>, list: ListId, text: &str) -> Result<RecordKey, CliError> {
    find_record(reader, list, text, false)
}

/// The same among the records that were removed.
pub fn removed_record<R: Read>(reader: &Reader<R>, list: ListId, text: &str) -> Result<RecordKey, CliError> {
    find_record(reader, list, text, true)
}

fn find_record<R: Read>(reader: &Reader<R>, list: ListId, text: &str, is_removed: bool) -> Result<RecordKey, CliError> {
    if let Ok(record) = text.parse::<RecordId>() {
        return Ok(RecordKey { list, record });
    }
    let name = reader.design().name(list);
    let is_start = text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_start {
        return Err(CliError::Usage(format!("{text} is no record id; give at least 4 of its digits")));
    }
    let start = text.to_ascii_lowercase();
    let from: RecordId = format!("{start:0<32}").parse().map_err(|_| CliError::Usage(format!("{text} is too long")))?;
    let mut found = Vec::new();
    for record in reader.records(list, from) {
        let record = record?;
        if !record.id.to_string().starts_with(&start) || found.len() == 2 {
            break;
        }
        if record.state.exists() != is_removed {
            found.push(record.id);
        }
    }
    match found.as_slice() {
        [record] => Ok(RecordKey { list, record: *record }),
        [] if is_removed => Err(CliError::NotFound(format!(
            "list {name} has no removed record {text}; `tandem log` shows what was removed"
        ))),
        [] => {
            Err(CliError::NotFound(format!("list {name} has no record {text}; `tandem ls {name}` shows its records")))
        }
        _several => Err(CliError::Usage(format!("several records of {name} start with {text}; give more digits"))),
    }
}

/// Splits `FIELD=VALUE`.
pub fn assignment(text: &str) -> Result<(&str, &str), CliError> {
    text.split_once('=').ok_or_else(|| CliError::Usage(format!("{text} is no FIELD=VALUE")))
}

/// The value that `text` is at a place in a field of this type; nothing clears.
pub fn value_at(
    design: &Design,
    (field, ty): (FieldId, &FieldType),
    part: &PartPath,
    text: &str,
) -> Result<Value, CliError> {
    let is_part = part.steps().len() > usize::from(ty.many);
    let known = ty.base().zip(part.steps().last()).and_then(|(base, name)| composite::part(base, name));
    match known.filter(|_| is_part && !text.is_empty()) {
        // What is none of the part's type is refused with the reason.
        Some(known) => {
            let reading = Reading::plain(known.base).and_then(|reading| reading.read(text));
            Ok(reading.unwrap_or_else(|| Value::Text(text.into())))
        }
        None => value(design, field, ty, text),
    }
}

/// The value that `text` is for a field of this type; nothing clears.
pub fn value(design: &Design, field: FieldId, ty: &FieldType, text: &str) -> Result<Value, CliError> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let Some(base) = ty.base() else { return Ok(Value::Text(text.into())) };
    if base.is_composite() {
        return Ok(Value::Text(text.into()));
    }
    if base == BaseType::Choice {
        return choice(design, field, text);
    }
    if let (BaseType::Reference, Some(list), Ok(record)) = (base, ty.list, text.parse()) {
        return Ok(Value::Reference { list: list.as_list(), record });
    }
    Reading::plain(base).and_then(|reading| reading.read(text)).ok_or_else(|| {
        let expected = match base {
            BaseType::Bool => "true or false".into(),
            BaseType::Date => "a date such as 1985-04-12".into(),
            BaseType::Int => "a whole number such as 12".into(),
            BaseType::Decimal => "a decimal number such as 12.5".into(),
            BaseType::Float => "a number such as 44.0".into(),
            BaseType::Reference => "the id of a record, all its 32 digits".into(),
            BaseType::DateTime => "an instant in UTC, such as 1985-04-12T23:20:50Z".into(),
            other => format!("a {}", other.name()),
        };
        Refused::Type { field: design.name(field), expected, got: format!("{text:?}") }.into()
    })
}

fn choice(design: &Design, field: FieldId, text: &str) -> Result<Value, CliError> {
    let choices = design.choices(field);
    let found = choices.iter().find(|choice| design.name(**choice) == text);
    found.map(|choice| Value::Choice(*choice)).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|choice| design.name(*choice)).collect();
        let expected = format!("one of {}", names.join(", "));
        Refused::Type { field: design.name(field), expected, got: format!("{text:?}") }.into()
    })
}

/// A value that nobody has written.
pub fn not_written_yet(value: &Value) -> Sibling {
    let chain = ChainId { device: DeviceKey([0; 32]), number: 1 };
    let stamp = Stamp { event: EventRef { chain, seq: 0, id: EventId([0; 32]) }, op: 0, wall_ms: 0 };
    Sibling { stamp, rank: 0, time_ms: 0, content: Content::Value(value.encode()), covered: false }
}

/// The changes that `FIELD=VALUE`s mean for a record.
pub fn changes(
    design: &Design,
    key: RecordKey,
    state: &RecordState,
    assignments: &[String],
    mut fresh: impl FnMut() -> [u8; 6],
) -> Result<Vec<Change>, CliError> {
    let mut changes = Vec::new();
    // With the changes so far: several parts of one new element share its key, and the next is behind it.
    let mut state = state.clone();
    for text in assignments {
        let (place_text, value_text) = assignment(text)?;
        let place = place(design, key.list, place_text)?;
        let ty = design.field_type(place.field).unwrap_or(FieldType::one(BaseType::Text));
        let is_string = place.is_string(&ty);
        let part = match place.element {
            Some(number) if is_string => {
                let key = element_key(&state, place.field, number, fresh(), &design.name(place.field))?;
                PartPath::new([key]).expect("keys are short")
            }
            None if is_string => PartPath::default(),
            _one_cell => place.path(design, &state, fresh())?,
        };
        if place.element.is_some() {
            // It is there also where its first part is empty.
            let there = || vec![not_written_yet(&Value::Bool(true))];
            state.cells.entry((place.field, part.clone())).or_insert_with(there);
        }
        let cell = CellKey { record: key, field: place.field, part };
        changes.push(if is_string {
            Change::SetText { cell, text: value_text.to_owned(), keep_raw: false }
        } else {
            let value = value_at(design, (place.field, &ty), &cell.part, value_text)?;
            Change::Set(cell, value)
        });
    }
    Ok(changes)
}
