//! Draws commands: mostly legal ones, which it asks the model for, and some of every kind that must be refused.

use crate::{
    chance::{Ratio, Stream},
    model::{Model, Record},
    strings,
    trace::short,
};
use tandem_actors::{
    Change, Command, Transaction,
    command::{RehearsalOutcome, ServerChange},
};
use tandem_storage::index::definition::{ViewCell, ViewDefinition, ViewSort};
use tandem_wire::{
    BatchId, CellKey, ElementId, FieldId, ListId, PartPath, RecordId, RecordKey, Value,
    design::{BaseType, FieldType, Property},
    limits::{EVENT_BYTES_MAX, NAME_BYTES_MAX},
};

/// Few, so that commands meet.
const RECORDS: u64 = 16;
const LISTS_MAX: usize = 4;

/// What fields hold where none has parts.
pub const PLAIN: [BaseType; 4] = [BaseType::Text, BaseType::Int, BaseType::Bool, BaseType::Float];
/// What they hold where most have.
pub const WITH_PARTS: [BaseType; 15] = [
    BaseType::User,
    BaseType::User,
    BaseType::Lookup,
    BaseType::Url,
    BaseType::Currency,
    BaseType::Phone,
    BaseType::Email,
    BaseType::PersonName,
    BaseType::PostalAddress,
    BaseType::GeoPoint,
    BaseType::DateRange,
    BaseType::RichText,
    BaseType::Text,
    BaseType::Text,
    BaseType::Int,
];

/// A command that somebody might hand in, in a world whose fields hold these.
pub fn draw(stream: &mut Stream, model: &Model, types: &[BaseType]) -> Command {
    let lists: Vec<ListId> = model.lists().collect();
    let make_list = if lists.len() < LISTS_MAX { Ratio(1, 8) } else { Ratio(1, 60) };
    if lists.is_empty() || stream.happens(make_list) {
        return create_list(stream, types);
    }
    if stream.happens(Ratio(1, 40)) {
        let (list, first) = (*stream.pick(&lists).expect("there are some"), stream.below(20));
        return Command::AddFields { list, fields: fields(stream, types, first, 1) };
    }
    if stream.happens(Ratio(1, 10)) {
        return put(stream, model);
    }
    if stream.happens(Ratio(1, 30)) {
        let list = *stream.pick(&lists).expect("there are some");
        return create_view(stream, model, list);
    }
    // Made with many changes now and then, so that they concern one record more than once.
    let count = if stream.happens(Ratio(1, 6)) { 2 + stream.below(8) } else { 1 + stream.below(2) };
    let mut changes = vec![change(stream, model, &lists)];
    let mut so_far = None;
    for _ in 1..count {
        // What a string leaves is known when it is there.
        if changes.last().is_some_and(strings::is_one) {
            break;
        }
        // Later changes are drawn on what those before leave.
        let last = changes.last().cloned().expect("there is one");
        let one = Command::Change(Transaction { changes: vec![last], ..Transaction::default() });
        so_far = so_far.as_ref().unwrap_or(model).after(&one, &[]).ok().or(so_far);
        changes.push(change(stream, so_far.as_ref().unwrap_or(model), &lists));
    }
    let batch = stream.happens(Ratio(1, 5)).then(|| BatchId([stream.below(3) as u8; 16]));
    Command::Change(Transaction { changes, batch, ..Transaction::default() })
}

/// A command in a few words, for traces.
pub fn describe(command: &Command) -> String {
    match command {
        Command::Change(transaction) => format!("{} changes", transaction.changes.len()),
        Command::CreateList { name, fields } => format!("create list {name:?} with {} fields", fields.len()),
        Command::AddFields { list, fields } => format!("add {} fields to {list:?}", fields.len()),
        Command::CreateView { list, name, .. } => format!("create view {name:?} of {list:?}"),
        Command::AddChoices { field, choices } => format!("add {} choices to {field:?}", choices.len()),
        Command::Put { element, property, .. } => format!("put {property:?} on {element:?}"),
        Command::ApplyDesign(file) => format!("apply a design of {} lists", file.lists.len()),
        Command::RevertDesign(event) => format!("take {} back", short(&event.0)),
        Command::AdoptStep(event) => format!("adopt {}", short(&event.0)),
        Command::Rehearsed { proposal, outcome } => {
            let what = if *outcome == RehearsalOutcome::Valid { "merge" } else { "fail" };
            format!("{what} {}", proposal.tag)
        }
        Command::Members(change) => format!("{change:?}").split([' ', '(']).next().unwrap_or_default().to_lowercase(),
        Command::Undo(undo) => format!("undo {} events", undo.events.len()),
        Command::Servers(ServerChange::Bind { .. }) => "bind".into(),
        Command::Servers(ServerChange::Unbind(_)) => "unbind".into(),
        Command::Resend(resend) => format!("resend {}", short(&resend.event.id.0)),
        Command::Discard(event) => format!("discard {}", short(&event.id.0)),
        Command::HandOn { event, .. } => format!("hand on {}", short(&event.id.0)),
    }
}

fn create_list(stream: &mut Stream, types: &[BaseType]) -> Command {
    let (index, name_index) = (stream.below(6), stream.below(6));
    // Now and then so many that their definitions take several events.
    let count = if stream.happens(Ratio(1, 40)) { 300 } else { 1 + stream.below(4) };
    Command::CreateList { name: name(stream, "list", index), fields: fields(stream, types, name_index, count) }
}

/// One that sorts by a field of the list, and shows some of them.
fn create_view(stream: &mut Stream, model: &Model, list: ListId) -> Command {
    let fields: Vec<ViewCell> = model.fields(list).map(|(field, _)| ViewCell::field(field)).collect();
    let sort = stream.pick(&fields).cloned().map(|by| ViewSort { by, descending: stream.happens(Ratio(1, 2)) });
    let columns = fields.into_iter().filter(|_| stream.happens(Ratio(1, 2))).collect();
    Command::CreateView {
        list,
        name: name(stream, "view", 0),
        definition: ViewDefinition { sort, columns, ..ViewDefinition::default() },
    }
}

fn fields(stream: &mut Stream, types: &[BaseType], first: u64, count: u64) -> Vec<(String, FieldType)> {
    let field = |index| {
        let base = *stream.pick(types).expect("there are some");
        let field_type = if stream.happens(Ratio(1, 4)) { FieldType::many(base) } else { FieldType::one(base) };
        (name(stream, "field", index), field_type)
    };
    (first..first + count).map(field).collect()
}

fn name(stream: &mut Stream, kind: &str, index: u64) -> String {
    if !stream.happens(Ratio(1, 60)) {
        return format!("{kind} {index}");
    }
    let bad = [String::new(), " ".into(), "a\nb".into(), "x".repeat(NAME_BYTES_MAX + 1)];
    stream.pick(&bad).expect("there are some").clone()
}

fn put(stream: &mut Stream, model: &Model) -> Command {
    let elements: Vec<ElementId> = model.elements.keys().copied().collect();
    let unknown = ElementId(stream.bytes());
    let element = if stream.happens(Ratio(1, 12)) { unknown } else { *stream.pick(&elements).unwrap_or(&unknown) };
    let index = stream.below(6);
    let (property, value) = match stream.below(11) {
        0..=2 => (Property::Name, Value::Text(name(stream, "name", index))),
        3 => (Property::Name, Value::Int(7)),
        4 | 5 => (Property::Help, Value::Text(text(stream))),
        6..=8 => indexed(stream, model, element),
        9 => (Property::Dropped, Value::Bool(stream.happens(Ratio(1, 3)))),
        _ => (Property::Dropped, Value::Bool(false)),
    };
    Command::Put { element, property, value }
}

fn indexed(stream: &mut Stream, model: &Model, element: ElementId) -> (Property, Value) {
    let is_to_be = stream.happens(Ratio(3, 4));
    let parts = model.elements.get(&element).and_then(|element| strings::indexable(element.field_type.as_ref()?));
    match parts {
        Some(parts) if is_to_be => (Property::IndexedParts, Value::Text(parts)),
        Some(_) => (Property::IndexedParts, Value::Null),
        None => (Property::Indexed, Value::Bool(is_to_be)),
    }
}

fn change(stream: &mut Stream, model: &Model, lists: &[ListId]) -> Change {
    let unknown = ListId(stream.bytes());
    let list = if stream.happens(Ratio(1, 60)) { unknown } else { *stream.pick(lists).expect("there are some") };
    let all: Vec<RecordKey> = (0..RECORDS).map(|n| RecordKey { list, record: RecordId([n as u8; 16]) }).collect();
    let known = |key: &RecordKey| model.records.get(key).filter(|record| record.created).map(|record| record.exists);
    let mut one = |wanted: &[Option<bool>]| {
        let fitting: Vec<RecordKey> = all.iter().copied().filter(|key| wanted.contains(&known(key))).collect();
        // Mostly one that the change is legal on; now and then any.
        let from = if fitting.is_empty() || stream.happens(Ratio(1, 20)) { &all } else { &fitting };
        *stream.pick(from).expect("there are some")
    };
    let (new, gone, there) = (one(&[None]), one(&[Some(false)]), one(&[Some(true)]));
    let something_to_set = model.existing(list).next().is_some() && model.fields(list).next().is_some();
    let conflicted = model.existing(list).find(|(_, record)| !record.beside.is_empty());
    if let Some((key, record)) = conflicted.filter(|_| stream.happens(Ratio(1, 8))) {
        return resolve(stream, *key, record);
    }
    if let Some((key, _)) = model.existing(list).find(|(_, record)| record.lost_deletes > 0)
        && stream.happens(Ratio(1, 8))
    {
        return Change::Keep(*key);
    }
    match stream.below(20) {
        0..=3 => Change::Create(new),
        4 => Change::Create(gone),
        _ if !something_to_set => Change::Create(new),
        5 | 6 => Change::Delete(there),
        7 | 8 => Change::Restore(gone),
        _ => set(stream, model, there),
    }
}

fn resolve(stream: &mut Stream, key: RecordKey, record: &Record) -> Change {
    let cells: Vec<_> = record.beside.keys().collect();
    let (field, part) = *stream.pick(&cells).expect("there are some");
    let value = record.cells.get(&(*field, part.clone())).cloned().unwrap_or(Value::Null);
    Change::Resolve(CellKey { record: key, field: *field, part: part.clone() }, value)
}

fn set(stream: &mut Stream, model: &Model, record: RecordKey) -> Change {
    let fields: Vec<(FieldId, FieldType)> =
        model.fields(record.list).filter_map(|(id, field)| Some((id, field.field_type.clone()?))).collect();
    let unknown = (FieldId(stream.bytes()), FieldType::one(BaseType::Int));
    let (field, field_type) =
        if stream.happens(Ratio(1, 60)) { &unknown } else { stream.pick(&fields).unwrap_or(&unknown) };
    // What is shown of elements in a field of one, and the other way round, is for the lenses' laws: the model does not
    // know it. The draw stays, so that seeds stay what they were.
    let _at_the_wrong_depth = stream.happens(Ratio(1, 200));
    if let Some(base) = field_type.base().filter(|base| strings::have_parts(*base)) {
        let nothing = Record::default();
        let present = model.records.get(&record).unwrap_or(&nothing);
        return strings::change(stream, present, (record, *field), (base, field_type));
    }
    let is_element = field_type.many;
    let step = [b'a' + stream.below(3) as u8];
    let part = if is_element { PartPath::new([step]).expect("short") } else { PartPath::default() };
    let base = if stream.happens(Ratio(1, 60)) { PLAIN.first().copied() } else { field_type.base() };
    let value = value(stream, base.expect("a type of this version"));
    let cell = CellKey { record, field: *field, part };
    if stream.happens(Ratio(1, 10)) { Change::SetRaw(cell, value) } else { Change::Set(cell, value) }
}

/// Of few values, so that some are what the cell shows already.
pub(crate) fn value(stream: &mut Stream, base: BaseType) -> Value {
    if stream.happens(Ratio(1, 10)) {
        return Value::Null;
    }
    match base {
        BaseType::Int | BaseType::Decimal => Value::Int(stream.below(5) as i64),
        BaseType::Bool => Value::Bool(stream.happens(Ratio(1, 2))),
        // A caller can pass any float; those that are not finite must be refused.
        BaseType::Float if stream.happens(Ratio(1, 30)) => Value::Float(f64::NAN),
        BaseType::Float => Value::float(stream.below(4) as f64 / 2.0).expect("finite"),
        BaseType::Date => Value::Date(stream.below(9) as i32),
        base if strings::have_parts(base) => Value::Text(strings::string(stream, base)),
        _ => Value::Text(text(stream)),
    }
}

fn text(stream: &mut Stream) -> String {
    if stream.happens(Ratio(1, 80)) {
        return "x".repeat(EVENT_BYTES_MAX);
    }
    let texts = ["", "Zoë", "Grüße", "山田", "عبد", "a longer text, so that runs differ in size"];
    (*stream.pick(&texts).expect("there are some")).to_owned()
}
