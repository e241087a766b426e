use super::*;
use crate::fold::{
    RecordState,
    design::{Element, PropertyValue},
    record::{Content, Edit, Sibling},
};
use tandem_wire::{
    ChainId, ElementId, EventId, EventRef, EventTag, OpRef, Value,
    design::{BaseType, ElementKind, FieldType, Property},
};

const LIST: ListId = ListId([1; 16]);
const ADA: DeviceKey = DeviceKey([7; 32]);

fn field(n: u8) -> FieldId {
    FieldId([n; 16])
}

fn design() -> Design {
    let by = OpRef { chain: ChainId { device: ADA, number: 0 }, seq: 0, op: 0, tag: EventTag([0; 16]) };
    let value = |value: Value| PropertyValue { value: Some(value.encode()), by };
    let element = |kind: ElementKind, parent: Option<u8>, name: &str, ty: Option<BaseType>| {
        let mut element = Element {
            kind: kind.number(),
            parent: parent.map(|id| ElementId([id; 16])),
            by,
            properties: BTreeMap::new(),
        };
        element.properties.insert(Property::Name.number(), value(Value::Text(name.into())));
        if let Some(ty) = ty {
            element.properties.insert(Property::Type.number(), value(FieldType::one(ty).to_value()));
        }
        element
    };
    let elements = [
        (1, element(ElementKind::List, None, "Contacts", None)),
        (2, element(ElementKind::Field, Some(1), "email", Some(BaseType::Text))),
        (3, element(ElementKind::Field, Some(1), "Home phone", Some(BaseType::Text))),
        (4, element(ElementKind::Field, Some(1), "age", Some(BaseType::Int))),
    ];
    let elements = elements.into_iter().map(|(id, element)| (ElementId([id; 16]), element)).collect();
    Design::of(elements)
}

/// A record that shows these values; one without any does not exist.
fn state(cells: &[(u8, Value)]) -> RecordState {
    let stamp = |op| Stamp {
        event: EventRef { chain: ChainId { device: ADA, number: 1 }, seq: 0, id: EventId([3; 32]) },
        op,
        wall_ms: 86_400_000,
    };
    let mut state = RecordState::default();
    if !cells.is_empty() {
        state.creates.push(Edit { stamp: stamp(0), covered: false });
    }
    for (n, value) in cells {
        let content = Content::Value(value.encode());
        let sibling = Sibling { stamp: stamp(1), rank: 0, time_ms: 1, content, covered: false };
        state.cells.insert((field(*n), PartPath::default()), vec![sibling]);
    }
    state
}

fn allows(source: &str, before: &[(u8, Value)], after: &[(u8, Value)]) -> bool {
    let rule =
        Rule::parse(source, &design(), LIST, &BTreeMap::new()).unwrap_or_else(|error| panic!("{source}: {error}"));
    let names = BTreeMap::from([(ADA, "Ada".to_owned())]);
    let (before, after) = (state(before), state(after));
    let change = RecordChange {
        record: RecordId([9; 16]),
        before: &before,
        after: &after,
        author: "Bob",
        role: "writer",
        names: &names,
        lenses: &Lenses::default(),
    };
    rule.allows(&change).unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn a_rule_sees_the_record_before_and_after() {
    let (none, old, new) =
        (&[][..], &[(2, text("a@x.org")), (4, Value::Int(40))][..], &[(2, text("b@y.org")), (4, Value::Int(41))][..]);
    let check = |source: &str, expect: [bool; 3]| {
        let found = [allows(source, none, new), allows(source, old, new), allows(source, old, none)];
        assert_eq!(found, expect, "made, changed, removed: {source}");
    };
    check(r#"email.endsWith("@y.org")"#, [true, true, false]);
    check("before.email == null || before.email == email", [true, false, false]);
    check("age >= before.age", [false, true, false]);
    check("is_new", [true, false, false]);
    check("is_deleted", [false, false, true]);
    check(r#"author == "Bob" && role in ["writer", "manager"]"#, [true, true, true]);
    check(r#"created_by == "Ada""#, [true, true, false]);
    check(r#"before.`Home phone` == null"#, [true, true, true]);
    check(r#"created >= "1970-01-02""#, [true, true, false]);
}

#[test]
fn what_cannot_be_meant_is_told_with_its_place() {
    let check = |source: &str, part: &str| {
        let error = Rule::parse(source, &design(), LIST, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains(part), "{source}: {error}");
    };
    check("before.emial == null", "no field `before.emial`; did you mean `email`? There are: email, `Home phone`, age");
    check("emial == null", "did you mean `email`");
    check("before == null", "there is no field");
    check("email.domain == null", "has no part");
    check("email", "true or false");
    check("before.age == \"x\"", "age");
}

#[test]
fn a_rule_keeps_the_names_that_it_was_written_with() {
    let told = BTreeMap::from([("address".to_owned(), field(2))]);
    let rule = |source: &str| Rule::parse(source, &design(), LIST, &told);
    assert!(rule("address != before.address").is_ok());
    assert!(rule("email == null").is_err());
    // Another field has got the name since.
    let told = BTreeMap::from([("age".to_owned(), field(2))]);
    let rule = Rule::parse("age == null", &design(), LIST, &told).unwrap();
    assert!(!rule.asks_of_deletes());
    assert!(Rule::parse("!is_deleted", &design(), LIST, &told).unwrap().asks_of_deletes());
}
