//! Records as structs.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use tandem_actors::{Change, Command, Handle, Node, Options, Transaction, Typed, TypedError};
use tandem_storage::{Query, lens::StateCells, query::winner};
use tandem_wire::{
    CellKey, PartPath, RecordId, RecordKey, Value,
    design::{BaseType, FieldType},
};

struct Bench {
    _dir: tempfile::TempDir,
    _node: Node,
    workspace: Handle,
}

impl Bench {
    /// With one list, `things`, of these fields.
    fn new(fields: Vec<(&str, FieldType)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::open(dir.path(), Options::default()).unwrap();
        let workspace = node.create_workspace("w", "Ada").unwrap();
        let fields = fields.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect();
        workspace.commit(Command::CreateList { name: "things".into(), fields }).unwrap();
        Self { _dir: dir, _node: node, workspace }
    }

    fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T> {
        self.workspace.list("things").unwrap().typed().unwrap()
    }

    /// The value of a plain field.
    fn value(&self, record: RecordId, field: &str) -> Option<Value> {
        let list = self.workspace.list("things").unwrap();
        let key = tandem_wire::RecordKey { list: list.id(), record };
        winner(&self.workspace.read().state(key).unwrap(), list.field(field).unwrap(), &PartPath::default())
    }
}

fn one(base: BaseType) -> FieldType {
    FieldType::one(base)
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Size {
    Small,
    Large,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Name {
    given: String,
    family: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    count: i64,
    price: String,
    weight: f64,
    title: String,
    day: Option<String>,
    at: Option<String>,
    lasts: Option<String>,
    size: Option<Size>,
    other: Option<RecordId>,
    #[serde(rename = "full name")]
    name: Option<Name>,
    tags: Vec<String>,
    phones: Vec<BTreeMap<String, String>>,
}

fn everything() -> Bench {
    let b = Bench::new(vec![
        ("flag", one(BaseType::Bool)),
        ("count", one(BaseType::Int)),
        ("price", one(BaseType::Decimal)),
        ("weight", one(BaseType::Float)),
        ("title", one(BaseType::Text)),
        ("day", one(BaseType::Date)),
        ("at", one(BaseType::DateTime)),
        ("lasts", one(BaseType::Duration)),
        ("size", one(BaseType::Text)),
        ("full name", one(BaseType::PersonName)),
        ("tags", FieldType::many(BaseType::Text)),
        ("phones", FieldType::many(BaseType::Phone)),
    ]);
    // A reference says into which list it points.
    let things = b.workspace.list("things").unwrap().id();
    let mut ty = one(BaseType::Reference);
    ty.list = Some(things.into());
    b.workspace.commit(Command::AddFields { list: things, fields: vec![("other".into(), ty)] }).unwrap();
    b
}

fn full() -> Everything {
    let phone = |number: &str| BTreeMap::from([("number".to_owned(), number.to_owned())]);
    Everything {
        flag: true,
        count: i64::MIN,
        price: "12.5".into(),
        weight: -0.1,
        title: "Zoë".into(),
        day: Some("2024-02-29".into()),
        at: Some("2024-02-29T12:00:00+02:00".into()),
        lasts: Some("PT1H30M".into()),
        size: Some(Size::Large),
        other: Some(RecordId([7; 16])),
        name: Some(Name { given: "Ada".into(), family: None }),
        tags: vec!["b".into(), "a".into(), "b".into()],
        phones: vec![phone("1"), phone("2")],
    }
}

#[test]
fn every_type_goes_in_and_comes_out_and_can_be_cleared() {
    let b = everything();
    let things = b.typed::<Everything>();
    let record = things.insert(&full()).unwrap();
    assert_eq!(things.get(record).unwrap(), Some(full()));
    assert_eq!(b.value(record, "day"), Some(Value::Date(19_782)));
    assert_eq!(b.value(record, "count"), Some(Value::Int(i64::MIN)));
    assert!(
        matches!(b.value(record, "price"), Some(Value::Decimal(price)) if (price.mantissa(), price.scale()) == (125, 1))
    );

    assert!(things.update(record, &full()).unwrap().events.is_empty(), "equal values are no change");
    let less = Everything {
        day: None,
        at: None,
        lasts: None,
        size: None,
        other: None,
        name: Some(Name { given: "Eva".into(), family: Some("Byron".into()) }),
        tags: vec!["c".into()],
        phones: vec![],
        ..full()
    };
    things.update(record, &less).unwrap();
    assert_eq!(things.get(record).unwrap(), Some(less.clone()));
    let more = Everything { tags: vec!["c".into(), "d".into(), "e".into()], name: None, ..less };
    things.update(record, &more).unwrap();
    assert_eq!(things.get(record).unwrap(), Some(more.clone()));
    assert_eq!(things.query(&Query::default()).unwrap(), [(record, more)]);
    things.remove(record).unwrap();
    assert_eq!(things.get(record).unwrap(), None);
}

#[test]
fn structs_and_lists_need_not_be_the_same() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Part {
        title: Option<String>,
        #[serde(default)]
        count: i64,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Stranger {
        title: String,
        colour: String,
    }
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        title: String,
    }
    let b = everything();
    let parts = b.typed::<Part>();
    let record = b.typed::<Everything>().insert(&full()).unwrap();
    parts.update(record, &Part { title: Some("new".into()), count: 1 }).unwrap();
    let rest = Everything { title: "new".into(), count: 1, ..full() };
    assert_eq!(b.typed::<Everything>().get(record).unwrap(), Some(rest), "the rest is left alone");
    let bare = parts.insert(&Part { title: None, count: 0 }).unwrap();
    assert_eq!(parts.get(bare).unwrap(), Some(Part { title: None, count: 0 }));

    let error = b.typed::<Everything>().get(bare).unwrap_err();
    assert!(matches!(&error, TypedError::Empty { field } if field == "flag"), "{error}");
    assert_eq!(error.code(), "empty-field");
    let error = b.workspace.list("things").unwrap().typed::<Stranger>().map(drop).unwrap_err();
    assert!(error.to_string().starts_with("list things has no field colour; its fields are: flag, count"), "{error}");
    let error = b.typed::<Strict>().get(record).unwrap_err();
    assert!(matches!(&error, TypedError::Extra { .. }), "{error}");
    assert_eq!(b.workspace.list("nothing").map(drop).unwrap_err().code(), "unknown-list");
    let error = b.typed::<Vec<i64>>().insert(&vec![1]).unwrap_err();
    assert_eq!(error.to_string(), "a list of 1 is no record: use a struct or a map");
}

#[test]
fn wrong_values_are_told_by_field_and_nothing_is_done() {
    let b = everything();
    let check = |field: &str, value: &dyn Fn(&BTreeMap<String, Json>) -> Json, message: &str, code: &str| {
        let things = b.typed::<BTreeMap<String, Json>>();
        let map = BTreeMap::from([(field.to_owned(), value(&BTreeMap::new()))]);
        let error = things.insert(&map).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.code()), (message, code));
    };
    let text = |text: &'static str| move |_: &BTreeMap<String, Json>| Json::Text(text.into());
    let float = |number: f64| move |_: &BTreeMap<String, Json>| Json::Float(number);
    check("count", &text("3"), "field count holds int, not the text \"3\"", "type");
    check("count", &float(3.5), "field count holds int, not the number 3.5", "type");
    check("weight", &float(f64::NAN), "field weight holds float, not the number NaN", "type");
    check("price", &text("12,5"), "field price holds decimal, not the text \"12,5\"", "type");
    check("day", &text("yesterday"), "field day holds date, not the text \"yesterday\"", "type");
    check("at", &text("2024-02-29T12:00:00"), "field at holds date-time, not the text \"2024-02-29T12:00:00\"", "type");
    check("tags", &text("a"), "field tags holds a list of values, not the text \"a\"", "type");
    check("full name", &text("Ada"), "field full name holds named parts, not the text \"Ada\"", "type");
    assert_eq!(b.typed::<BTreeMap<String, Json>>().query(&Query::default()).unwrap().len(), 0);
    // What the type of the field cannot hold came from elsewhere: it is told where it is read.
    let list = b.workspace.list("things").unwrap();
    let record = b.typed::<Everything>().insert(&full()).unwrap();
    let key = tandem_wire::RecordKey { list: list.id(), record };
    let cell = tandem_actors::workspace::plain_cell(key, list.field("count").unwrap());
    let raw = vec![tandem_actors::Change::SetRaw(cell, Value::Text("many".into()))];
    let transaction = tandem_actors::Transaction { changes: raw, ..Default::default() };
    b.workspace.commit(Command::Change(transaction)).unwrap();
    let error = b.typed::<Everything>().get(record).unwrap_err();
    assert_eq!(error.to_string(), "field count: invalid type: string \"many\", expected i64");
    assert_eq!(error.code(), "value");
}

/// A value that is not known before.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Json {
    Int(i64),
    Float(f64),
    Text(String),
}

#[test]
fn numbers_fit_where_nothing_is_lost() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Numbers {
        price: f64,
        weight: u32,
    }
    let b = Bench::new(vec![("price", one(BaseType::Decimal)), ("weight", one(BaseType::Float))]);
    let numbers = b.typed::<Numbers>();
    let record = numbers.insert(&Numbers { price: 0.1, weight: 3 }).unwrap();
    assert!(
        matches!(b.value(record, "price"), Some(Value::Decimal(price)) if (price.mantissa(), price.scale()) == (1, 1))
    );
    assert_eq!(b.value(record, "weight"), Value::float(3.0));
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Read {
        price: f64,
        weight: f64,
    }
    assert_eq!(b.typed::<Read>().get(record).unwrap(), Some(Read { price: 0.1, weight: 3.0 }));
}

#[test]
fn choices_go_by_their_names() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        size: Option<Size>,
    }
    let b = Bench::new(vec![("size", one(BaseType::Choice))]);
    let field = b.workspace.list("things").unwrap().field("size").unwrap();
    b.workspace.commit(Command::AddChoices { field, choices: vec!["small".into()] }).unwrap();
    let things = b.typed::<Thing>();
    let record = things.insert(&Thing { size: Some(Size::Small) }).unwrap();
    assert!(matches!(b.value(record, "size"), Some(Value::Choice(_))));
    assert_eq!(things.get(record).unwrap(), Some(Thing { size: Some(Size::Small) }));
    let error = things.update(record, &Thing { size: Some(Size::Large) }).unwrap_err();
    assert_eq!(error.to_string(), "field size has no choice large; its choices are: small");
    assert_eq!(error.code(), "unknown-choice");
}

#[test]
fn an_update_of_what_was_changed_meanwhile_is_stale() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        title: String,
    }
    let thing = |title: &str| Thing { title: title.into() };
    let b = Bench::new(vec![("title", one(BaseType::Text))]);
    let things = b.typed::<Thing>();
    let record = things.insert(&thing("a")).unwrap();
    let (_, seen) = things.get_with_heads(record).unwrap().unwrap();
    things.update_if(record, &thing("b"), seen.clone()).unwrap();
    let error = things.update_if(record, &thing("c"), seen).unwrap_err();
    assert_eq!(error.code(), "stale");
    assert_eq!(things.get(record).unwrap(), Some(thing("b")));
}

#[test]
fn a_zone_that_texts_do_not_tell_is_kept() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Event {
        at: String,
    }
    let b = Bench::new(vec![("at", one(BaseType::DateTime))]);
    let events = b.typed::<Event>();
    let record = events.insert(&Event { at: "2024-07-01T12:00:00+02:00[Europe/Berlin]".into() }).unwrap();
    let read = events.get(record).unwrap().unwrap();
    assert_eq!(read.at, "2024-07-01T10:00:00Z");
    assert!(events.update(record, &read).unwrap().events.is_empty());
    assert!(matches!(b.value(record, "at"), Some(Value::DateTime { zone, .. }) if zone == "Europe/Berlin"));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Priced {
    title: String,
    cost: Option<BTreeMap<String, String>>,
    page: Option<BTreeMap<String, String>>,
    odd: Option<BTreeMap<String, String>>,
}

#[test]
fn strings_of_values_with_parts_stay_as_they_were_written_where_nothing_changes_them() {
    let b = Bench::new(vec![
        ("title", one(BaseType::Text)),
        ("cost", one(BaseType::Currency)),
        ("page", one(BaseType::Url)),
        ("odd", one(BaseType::Url)),
    ]);
    let things = b.typed::<Priced>();
    let record = things.insert(&Priced { title: "a".into(), cost: None, page: None, odd: None }).unwrap();
    let list = b.workspace.list("things").unwrap().id();
    let key = RecordKey { list, record };
    let design = b.workspace.read().design().clone();
    let written = [("cost", "EUR 12.50"), ("page", "https://x.org,The page"), ("odd", "no link")];
    let field = |name: &str| design.fields(list).into_iter().find(|field| design.name(*field) == name).unwrap();
    let cell = |name| CellKey { record: key, field: field(name), part: PartPath::default() };
    let changes = written.map(|(name, text)| Change::SetText { cell: cell(name), text: text.into(), keep_raw: true });
    b.workspace.commit(Command::Change(Transaction { changes: changes.into(), ..Transaction::default() })).unwrap();
    let string = |name: &str| {
        let state = b.workspace.read();
        let record = state.state(key).unwrap();
        state.design().lenses().text(&StateCells(&record), field(name))
    };
    let mut read = things.get(record).unwrap().unwrap();
    assert_eq!(read.cost.as_ref().unwrap()["amount"], "12.5");
    assert_eq!(read.page.as_ref().unwrap()["title"], "The page");
    assert!(things.update(record, &read).unwrap().events.is_empty(), "equal values are no change");
    read.title = "b".into();
    things.update(record, &read).unwrap();
    written.iter().for_each(|(name, text)| assert_eq!(string(name), *text, "{name}"));
    read.cost.as_mut().unwrap().insert("amount".into(), "13".into());
    things.update(record, &read).unwrap();
    assert_eq!(string("cost"), "EUR 13", "in the form that it had");
}
