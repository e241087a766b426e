//! A record's values as people and programs see them.

use crate::exchange::{Cell, field_text::field_text, text_form};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use tandem_actors::handle::State;
use tandem_storage::{
    composite::{self, Composite, Home, VERBATIM},
    fold::{
        Design, RecordState,
        record::{Content, Sibling, is_conflict},
    },
    query::{Record, flags},
};
use tandem_wire::{FieldId, ListId, PartPath, Value};

/// The cells of a field that show something, as the exchange formats take them: choices by their names.
pub fn cells_of(design: &Design, state: &RecordState, field: FieldId, column: usize) -> Vec<Cell> {
    let of_field = state.cells.iter().filter(|((of, _), _)| *of == field);
    let shown = of_field.filter_map(|((_, part), siblings)| {
        let value = siblings.first()?.value().filter(|value| *value != Value::Null)?;
        Some(Cell { column, part: part.clone(), value: named(design, value) })
    });
    shown.collect()
}

/// A choice as the text that it is called by; all else as it is.
pub fn named(design: &Design, value: Value) -> Value {
    match value {
        Value::Choice(choice) if design.elements.contains_key(&choice) => Value::Text(design.name(choice)),
        other => other,
    }
}

/// A field as one line of text; records of other lists by what they are called there now.
pub fn text_of(views: &State, state: &RecordState, field: FieldId) -> String {
    let ty = views.design().field_type(field);
    let called = |value: &Value| ty.as_ref().and_then(|ty| views.called(ty, value).ok().flatten());
    text_with(views.design(), state, field, &called)
}

/// The same where the other lists are not at hand.
pub fn text_alone(design: &Design, state: &RecordState, field: FieldId) -> String {
    text_with(design, state, field, &|_| None)
}

fn text_with(
    design: &Design,
    state: &RecordState,
    field: FieldId,
    called: &dyn Fn(&Value) -> Option<String>,
) -> String {
    let cells = cells_of(design, state, field, 0);
    let removed = state.cells.iter().any(|((of, _), siblings)| {
        *of == field && siblings.first().is_some_and(|winner| winner.content == Content::Removed)
    });
    match design.field_type(field) {
        _ if cells.is_empty() && removed => "(removed)".into(),
        Some(ty) => field_text(&ty, &cells.iter().collect::<Vec<_>>(), called),
        None => cells.iter().map(|cell| text_form::show(&cell.value)).collect::<Vec<_>>().join(" "),
    }
}

/// A record as `docs/cli.md` documents it.
pub fn record_json(views: &State, list: ListId, record: &Record) -> Json {
    let design = views.design();
    let mut fields = Map::new();
    for field in design.fields(list) {
        fields.insert(design.name(field), field_json(views, &record.state, field));
    }
    let mut siblings = Map::new();
    for ((field, part), all) in record.state.cells.iter().filter(|(_, siblings)| is_conflict(siblings)) {
        let shown = all.iter().map(|sibling| sibling_json(design, sibling)).collect();
        siblings.insert(place_text(design, &record.state, *field, part), Json::Array(shown));
    }
    json!({
        "id": record.id.to_string(),
        "list": design.name(list),
        "fields": fields,
        "flags": flags(design, list, &record.state),
        "siblings": siblings,
    })
}

fn sibling_json(design: &Design, sibling: &Sibling) -> Json {
    json!({
        "value": sibling.value().map_or(Json::Null, |value| value_json(&named(design, value))),
        "author": sibling.stamp.event.chain.device.to_string(),
        "wall_ms": sibling.stamp.wall_ms,
        "event": sibling.stamp.event.id.to_string(),
    })
}

/// A field: a value, an object of parts, or an array of either.
fn field_json(views: &State, state: &RecordState, field: FieldId) -> Json {
    let design = views.design();
    let cells = cells_of(design, state, field, 0);
    let Some(ty) = design.field_type(field) else { return Json::Null };
    let composite = ty.base().and_then(composite::of);
    let is_composite = composite.is_some();
    let element = |cells: &[(Vec<String>, Value)]| {
        if let Some(composite) = composite {
            parts_json(composite, cells, views.called(&ty, whole_of(cells)).ok().flatten())
        } else if let [(_, value)] = cells {
            value_json(value)
        } else {
            // A long text in chunks.
            Json::String(cells.iter().map(|(_, value)| text_form::show(value)).collect())
        }
    };
    let mut elements: BTreeMap<Vec<u8>, Vec<(Vec<String>, Value)>> = BTreeMap::new();
    for cell in cells {
        let mut steps = cell.part.steps();
        if !composite::shows(&ty, &cell.part, &cell.value) {
            continue;
        }
        let key = if ty.many { steps.next().unwrap_or_default().to_vec() } else { Vec::new() };
        elements.entry(key).or_default().push((steps.map(step_text).collect(), cell.value));
    }
    match (ty.many, elements.values().next()) {
        (true, _) => elements.values().map(|cells| element(cells)).collect(),
        (false, Some(cells)) => element(cells),
        (false, None) if is_composite => json!({}),
        (false, None) => Json::Null,
    }
}

/// The text of one value.
fn whole_of(cells: &[(Vec<String>, Value)]) -> &Value {
    cells.iter().find(|(steps, _)| steps.is_empty()).map_or(&Value::Null, |(_, value)| value)
}

/// The parts of one value: those that were written, and those that follow from them. What could not be taken apart is the
/// text that it is.
fn parts_json(composite: &dyn Composite, cells: &[(Vec<String>, Value)], called: Option<String>) -> Json {
    let text = |name: &str| {
        let cell = cells.iter().find(|(steps, _)| steps.join(".") == name);
        cell.map(|(_, value)| text_form::show(value)).unwrap_or_default()
    };
    let (written, whole) = (cells.iter().filter(|(steps, _)| !steps.is_empty()), text(""));
    let mut parts: Map<String, Json> = written.map(|(steps, value)| (steps.join("."), value_json(value))).collect();
    for part in composite.parts() {
        let derived = match part.home {
            Home::Cell | Home::Aside => None,
            Home::Of(source) if !source.is_empty() => composite.derive(part.name, &text(source)),
            Home::Referred if called.is_some() => called.clone().map(Value::Text),
            Home::Of(_) | Home::Atom | Home::Referred => composite.derive(part.name, &whole),
        };
        parts.extend(derived.map(|value| (part.name.to_owned(), value_json(&value))));
    }
    let verbatim = parts.remove(VERBATIM);
    match verbatim.filter(|_| parts.is_empty()) {
        Some(verbatim) => verbatim,
        None if parts.is_empty() => Json::String(whole),
        None => Json::Object(parts),
    }
}

/// A step of a part path: as text where it is some, else as hex digits.
pub fn step_text(step: &[u8]) -> String {
    match std::str::from_utf8(step) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => text.to_owned(),
        _bytes => format!("0x{}", step.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

/// A place the way it is typed: `phones[2].number`.
pub fn place_text(design: &Design, state: &RecordState, field: FieldId, part: &PartPath) -> String {
    let mut text = design.name(field);
    let mut steps = part.steps();
    if design.field_type(field).is_some_and(|ty| ty.many)
        && let Some(key) = steps.next()
    {
        let elements = super::names::elements(state, field);
        match elements.iter().position(|element| element == key) {
            Some(at) => text.push_str(&format!("[{}]", at + 1)),
            None => text.push_str(&format!("[{}]", step_text(key))),
        }
    }
    for step in steps {
        text.push('.');
        text.push_str(&step_text(step));
    }
    text
}

/// A value: numbers and bools as such, all else as text; decimals as text too, so that no digit is lost.
pub fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(yes) => json!(yes),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Reference { list, record } => json!({ "list": list.to_string(), "record": record.to_string() }),
        Value::Blob { hash, bytes, media_type } => {
            json!({ "hash": hash.iter().map(|b| format!("{b:02x}")).collect::<String>(), "bytes": bytes, "media_type": media_type })
        }
        Value::Decimal(_)
        | Value::Text(_)
        | Value::Date(_)
        | Value::DateTime { .. }
        | Value::Duration { .. }
        | Value::Choice(_)
        | Value::Rank(_)
        | Value::Bytes(_)
        | Value::Other { .. } => json!(text_form::show(value)),
    }
}
