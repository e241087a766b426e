//! The laws of lenses, each by its name: total, one step, get after put, identity on what is not touched, and that two
//! ways between designs agree.

use super::*;
use crate::fold::{
    design::{Element, PropertyValue},
    record::{Edit, Stamp},
};
use proptest::prelude::*;
use tandem_wire::{
    ChainId, Decimal, DeviceKey, ElementId, EventId, EventRef, EventTag, ListId, OpRef,
    design::{ElementKind, FieldType},
};

const LIST: ListId = ListId([1; 16]);
const NAME: FieldId = FieldId([2; 16]);
const OTHER: FieldId = FieldId([3; 16]);
const CHAIN: ChainId = ChainId { device: DeviceKey([9; 32]), number: 1 };

const PLAIN: [BaseType; 9] = [
    BaseType::Bool,
    BaseType::Int,
    BaseType::Decimal,
    BaseType::Float,
    BaseType::Text,
    BaseType::Date,
    BaseType::DateTime,
    BaseType::Duration,
    BaseType::Choice,
];

/// A design of one list, step by step.
#[derive(Clone, Default)]
struct Sketch(Design);

impl Sketch {
    fn new() -> Self {
        Self::default().with(LIST.into(), ElementKind::List, None)
    }

    fn with(mut self, id: ElementId, kind: ElementKind, parent: Option<ElementId>) -> Self {
        let by = OpRef { chain: CHAIN, seq: 0, op: 0, tag: EventTag([0; 16]) };
        self.0.elements.insert(id, Element { kind: kind.number(), parent, by, properties: BTreeMap::new() });
        self
    }

    fn field(self, id: FieldId, ty: FieldType) -> Self {
        self.with(id.into(), ElementKind::Field, Some(LIST.into())).put(id, Property::Type, ty.to_value())
    }

    fn choice(self, id: u8, of: FieldId, name: &str) -> Self {
        let id = ElementId([id; 16]);
        self.with(id, ElementKind::Choice, Some(of.into())).put(id, Property::Name, Value::Text(name.into()))
    }

    fn put(self, element: impl Into<ElementId>, property: Property, value: Value) -> Self {
        // A copy, so that what was made of the elements before is not kept.
        let mut design = self.0.clone();
        let element = design.elements.get_mut(&element.into()).unwrap();
        let by = element.by;
        element.properties.insert(property.number(), PropertyValue { value: Some(value.encode()), by });
        Self(design)
    }
}

fn stamp(seq: u64) -> Stamp {
    Stamp { event: EventRef { chain: CHAIN, seq, id: EventId([seq as u8; 32]) }, op: 0, wall_ms: seq }
}

fn record(cells: &[(FieldId, &[&str], Value)]) -> RecordState {
    let mut state = RecordState { creates: vec![Edit { stamp: stamp(1), covered: false }], ..RecordState::default() };
    for (seq, (field, part, value)) in cells.iter().enumerate() {
        let (stamp, content) = (stamp(seq as u64 + 2), Content::Value(value.encode()));
        let sibling = Sibling { stamp, rank: 0, time_ms: stamp.wall_ms, content, covered: false };
        state.cells.insert((*field, PartPath::new(*part).unwrap()), vec![sibling]);
    }
    state
}

/// What a record shows in a field: the same by its row, by its cells taken apart, and by its state.
fn shows(design: &Design, state: &RecordState, field: FieldId) -> Option<Value> {
    shows_at(design, state, field, &PartPath::default())
}

fn shows_at(design: &Design, state: &RecordState, field: FieldId, part: &PartPath) -> Option<Value> {
    let (lenses, row) = (design.lenses(), record_row::encode(state));
    let by_row = lenses.shown(&RowCells(&row), field, part).map(Cow::into_owned);
    let cells: Vec<CellRow<'_>> = record_row::cells(&row).collect();
    assert_eq!(lenses.shown(&&cells[..], field, part).as_deref(), by_row.as_deref());
    assert_eq!(lenses.shown(&StateCells(state), field, part).as_deref(), by_row.as_deref());
    let value = by_row.map(|bytes| Value::decode(&bytes).unwrap()).filter(|value| *value != Value::Null);
    let all = lenses.all(&cells, LIST);
    assert_eq!(all, lenses.all_looked_at(&cells, LIST));
    let found = all.iter().find(|(of, at, _)| (*of, at) == (field, part));
    assert_eq!(found.map(|(.., bytes)| Value::decode(bytes).unwrap()), value.clone(), "among all");
    let mut shown = state.clone();
    lenses.show_state(LIST, &mut shown);
    let winner = shown.cells.get(&(field, part.clone())).and_then(|siblings| siblings[0].value());
    assert_eq!(winner.filter(|value| *value != Value::Null), value, "in the state");
    value
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn decimal(mantissa: i128, scale: u8) -> Value {
    Value::Decimal(Decimal::new(mantissa, scale).unwrap())
}

fn instant(ms: i64) -> Value {
    Value::DateTime { ms, zone: String::new() }
}

/// A field of this type, with the choices `open` and `done`.
fn typed(base: BaseType) -> Sketch {
    Sketch::new().field(NAME, FieldType::one(base)).choice(11, NAME, "open").choice(12, NAME, "done")
}

const OPEN: Value = Value::Choice(ElementId([11; 16]));

#[test]
fn every_sensible_change_of_type_converts() {
    let check = |value: Value, base: BaseType, expect: Option<Value>| {
        let state = record(&[(NAME, &[], value.clone())]);
        let Sketch(design) = typed(base);
        assert_eq!(shows(&design, &state, NAME), Some(expect.clone().unwrap_or(value.clone())), "{value:?} {base:?}");
        let ty = FieldType::one(base);
        let shown = shows(&design, &state, NAME).unwrap();
        assert_eq!(is_raw(&ty, &PartPath::default(), &shown), expect.is_none(), "{value:?} {base:?}");
    };
    check(text(" 42 "), BaseType::Int, Some(Value::Int(42)));
    check(text("42.0"), BaseType::Int, Some(Value::Int(42)));
    check(text("42.5"), BaseType::Int, None);
    check(text("4 2"), BaseType::Int, None);
    check(text("9223372036854775808"), BaseType::Int, None);
    check(Value::Float(3.0), BaseType::Int, Some(Value::Int(3)));
    check(Value::Float(3.5), BaseType::Int, None);
    check(Value::Bool(true), BaseType::Int, Some(Value::Int(1)));
    check(Value::Int(7), BaseType::Decimal, Some(Value::Int(7)));
    check(Value::Float(0.1), BaseType::Decimal, Some(decimal(1, 1)));
    check(text("-12.50"), BaseType::Decimal, Some(decimal(-125, 1)));
    check(text("1e5"), BaseType::Decimal, None);
    check(text("0.5"), BaseType::Float, Some(Value::Float(0.5)));
    check(text("inf"), BaseType::Float, None);
    check(text("NaN"), BaseType::Float, None);
    check(Value::Int((1 << 53) + 1), BaseType::Float, None);
    check(decimal(1, 1), BaseType::Float, Some(Value::Float(0.1)));
    check(text("Yes"), BaseType::Bool, Some(Value::Bool(true)));
    check(text("maybe"), BaseType::Bool, None);
    check(Value::Int(2), BaseType::Bool, None);
    check(text("1970-01-02"), BaseType::Date, Some(Value::Date(1)));
    check(text("1970-02-30"), BaseType::Date, None);
    check(instant(86_400_000), BaseType::Date, Some(Value::Date(1)));
    check(instant(1), BaseType::Date, None);
    check(Value::Date(1), BaseType::DateTime, Some(instant(86_400_000)));
    check(text("1970-01-01T00:00:01Z"), BaseType::DateTime, Some(instant(1_000)));
    check(text("90m"), BaseType::Duration, Some(Value::Duration { months: 0, ms: 5_400_000 }));
    check(text("open"), BaseType::Choice, Some(OPEN));
    check(text("Open"), BaseType::Choice, None);
    check(OPEN, BaseType::Text, Some(text("open")));
    check(Value::Date(1), BaseType::Text, Some(text("1970-01-02")));
    check(Value::Date(i32::MAX), BaseType::Text, None);
    check(Value::Duration { months: 1, ms: -1 }, BaseType::Text, None);
    check(Value::Rank(vec![1]), BaseType::Text, None);
    check(Value::Bytes(vec![1]), BaseType::Int, None);
    check(Value::Other { form: 99, bytes: vec![1] }, BaseType::Int, None);
}

#[test]
fn a_rename_and_a_new_order_show_the_same() {
    let state = record(&[(NAME, &[], text("Ada"))]);
    let before = typed(BaseType::Text);
    let Sketch(after) = before
        .clone()
        .put(NAME, Property::Name, text("Full name"))
        .put(NAME, Property::Order, Value::Rank(vec![7]))
        .put(NAME, Property::Required, Value::Bool(true));
    assert_eq!(shows(&before.0, &state, NAME), shows(&after, &state, NAME));
}

#[test]
fn a_dropped_field_is_back_after_a_revert() {
    let state = record(&[(NAME, &[], text("Ada"))]);
    let before = typed(BaseType::Text);
    let dropped = before.clone().put(NAME, Property::Dropped, Value::Bool(true));
    assert!(dropped.0.fields(LIST).is_empty());
    let reverted = dropped.put(NAME, Property::Dropped, Value::Bool(false));
    assert_eq!(shows(&reverted.0, &state, NAME), Some(text("Ada")));
}

#[test]
fn a_default_is_shown_until_there_is_a_value_and_not_in_a_cleared_cell() {
    let Sketch(design) = typed(BaseType::Choice).put(NAME, Property::Default, text("open"));
    assert_eq!(shows(&design, &record(&[]), NAME), Some(OPEN));
    let done = Value::Choice(ElementId([12; 16]));
    assert_eq!(shows(&design, &record(&[(NAME, &[], done.clone())]), NAME), Some(done));
    assert_eq!(shows(&design, &record(&[(NAME, &[], Value::Null)]), NAME), None);
    // A record that nobody made has nothing to show.
    let mut waiting = RecordState::default();
    design.lenses().show_state(LIST, &mut waiting);
    assert_eq!(waiting, RecordState::default());
}

#[test]
fn one_value_becomes_an_element_and_the_first_element_becomes_the_value() {
    let one = typed(BaseType::Int);
    let many = one.clone().put(NAME, Property::Type, FieldType::many(BaseType::Int).to_value());
    let state = record(&[(NAME, &[], Value::Int(1)), (NAME, &["b"], text("3")), (NAME, &["a"], Value::Int(2))]);
    let Sketch(design) = &many;
    assert_eq!(shows(design, &state, NAME), Some(Value::Int(1)));
    assert_eq!(shows_at(design, &state, NAME, &PartPath::new(["b"]).unwrap()), Some(Value::Int(3)));
    assert!(!is_raw(&FieldType::many(BaseType::Int), &PartPath::default(), &Value::Int(1)));
    let state = record(&[(NAME, &["a"], Value::Null), (NAME, &["b"], text("3")), (NAME, &["c"], Value::Int(2))]);
    assert_eq!(shows(&one.0, &state, NAME), Some(Value::Int(3)));
    let own = record(&[(NAME, &[], Value::Null), (NAME, &["b"], Value::Int(3))]);
    assert_eq!(shows(&one.0, &own, NAME), None, "it has a value of its own: nothing");
}

#[test]
fn a_field_is_split_and_each_part_goes_its_own_way() {
    let (given, family) = (FieldId([21; 16]), FieldId([22; 16]));
    let part = |part| Source::Split(Split { of: NAME.to_string(), at: " ".into(), part, parts: 2 }).to_value();
    let Sketch(design) = typed(BaseType::Text)
        .field(given, FieldType::one(BaseType::Text))
        .field(family, FieldType::one(BaseType::Text))
        .put(given, Property::MadeOf, part(0))
        .put(family, Property::MadeOf, part(1))
        .put(NAME, Property::Dropped, Value::Bool(true));
    let check = |cells: &[(FieldId, &[&str], Value)], expect: [Option<&str>; 2]| {
        let state = record(cells);
        let found = [given, family].map(|field| shows(&design, &state, field));
        assert_eq!(found, expect.map(|name| name.map(text)));
    };
    check(&[(NAME, &[], text("Ada King Lovelace"))], [Some("Ada"), Some("King Lovelace")]);
    check(&[(NAME, &[], text("Ada"))], [Some("Ada"), None]);
    check(&[(NAME, &[], text("Ada King")), (family, &[], text("Lovelace"))], [Some("Ada"), Some("Lovelace")]);
    check(&[(NAME, &[], text("Ada King")), (given, &[], Value::Null)], [None, Some("King")]);
    check(&[], [None, None]);
}

#[test]
fn several_fields_are_merged_into_one() {
    let whole = FieldId([21; 16]);
    let join = Source::Join(Join { of: vec![NAME.to_string(), OTHER.to_string()], with: ", ".into() });
    let Sketch(design) = typed(BaseType::Text)
        .field(OTHER, FieldType::one(BaseType::Int))
        .field(whole, FieldType::one(BaseType::Text))
        .put(whole, Property::MadeOf, join.to_value());
    let both = record(&[(NAME, &[], text("Main St")), (OTHER, &[], Value::Int(5))]);
    assert_eq!(shows(&design, &both, whole), Some(text("Main St, 5")));
    assert_eq!(shows(&design, &record(&[(OTHER, &[], Value::Int(5))]), whole), Some(text("5")));
    assert_eq!(shows(&design, &record(&[]), whole), None);
}

#[test]
fn fields_made_of_each_other_show_nothing() {
    let of = |field: FieldId| Source::Join(Join { of: vec![field.to_string()], with: String::new() }).to_value();
    let Sketch(design) = typed(BaseType::Text)
        .field(OTHER, FieldType::one(BaseType::Text))
        .put(NAME, Property::MadeOf, of(OTHER))
        .put(OTHER, Property::MadeOf, of(NAME));
    assert_eq!(shows(&design, &record(&[]), NAME), None);
}

#[test]
fn what_is_made_of_too_much_shows_nothing_and_soon() {
    let whole = FieldId([21; 16]);
    let of = |field: FieldId| vec![field.to_string(); 16];
    let join = |field| Source::Join(Join { of: of(field), with: String::new() }).to_value();
    let Sketch(design) = typed(BaseType::Text)
        .field(OTHER, FieldType::one(BaseType::Text))
        .field(whole, FieldType::one(BaseType::Text))
        .put(NAME, Property::MadeOf, join(whole))
        .put(OTHER, Property::MadeOf, join(NAME))
        .put(whole, Property::MadeOf, join(whole));
    // 16 to the eighth, if every mention were followed.
    assert_eq!(shows(&design, &record(&[]), OTHER), None);
}

#[test]
fn a_choice_keeps_its_values_when_it_is_renamed_or_merged() {
    let state = record(&[(NAME, &[], OPEN)]);
    let renamed = typed(BaseType::Choice).put(ElementId([11; 16]), Property::Name, text("to do"));
    assert_eq!(shows(&renamed.0, &state, NAME), Some(OPEN));
    let done = Value::Choice(ElementId([12; 16]));
    let merged = typed(BaseType::Choice).put(ElementId([11; 16]), Property::MergedInto, done.clone());
    assert_eq!(shows(&merged.0, &state, NAME), Some(done));
    let round = merged.put(ElementId([12; 16]), Property::MergedInto, OPEN);
    assert!(shows(&round.0, &state, NAME).is_some(), "round and round, it ends");
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1000..1000_i64).prop_map(Value::Int),
        (any::<i64>(), 0..20_u8).prop_map(|(mantissa, scale)| decimal(mantissa.into(), scale)),
        any::<f64>().prop_filter_map("finite", Value::float),
        "\\PC{0,12}".prop_map(Value::Text),
        "[+-]?[0-9]{1,20}(\\.[0-9]{0,4})?".prop_map(Value::Text),
        "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](T1[0-9]:00:00Z)?".prop_map(Value::Text),
        any::<i32>().prop_map(Value::Date),
        (-800_000..3_000_000_i32).prop_map(Value::Date),
        any::<i64>().prop_map(instant),
        (any::<i32>(), any::<i64>()).prop_map(|(months, ms)| Value::Duration { months, ms }),
        Just(OPEN),
        Just(text("done")),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
        proptest::collection::vec(any::<u8>(), 1..9).prop_map(Value::Rank),
    ]
}

fn any_base() -> impl Strategy<Value = BaseType> {
    prop::sample::select(PLAIN.to_vec())
}

proptest! {
    #[test]
    fn total_any_value_shows_something_canonical_under_any_type(value in any_value(), base in any_base()) {
        let state = record(&[(NAME, &[], value.clone())]);
        let shown = shows(&typed(base).0, &state, NAME);
        let is_blank = base != BaseType::Text && matches!(&value, Value::Text(text) if text.trim().is_empty());
        prop_assert_eq!(shown.is_none(), value == Value::Null || is_blank);
        if let Some(shown) = shown {
            prop_assert!(shown == value || fits(&FieldType::one(base), &PartPath::default(), &shown));
        }
    }

    #[test]
    fn identity_on_values_of_the_type_itself(value in any_value(), base in any_base()) {
        let Sketch(design) = typed(base);
        if fits(&FieldType::one(base), &PartPath::default(), &value) {
            prop_assert_eq!(design.lenses().value(NAME, &value), value);
        }
    }

    #[test]
    fn identity_on_what_a_design_does_not_touch(value in any_value(), base in any_base(), to in any_base()) {
        let before = typed(base).field(OTHER, FieldType::one(BaseType::Text));
        let after = before.clone().put(OTHER, Property::Type, FieldType::one(to).to_value());
        let state = record(&[(NAME, &[], value), (OTHER, &[], text("12"))]);
        prop_assert_eq!(shows(&before.0, &state, NAME), shows(&after.0, &state, NAME));
    }

    #[test]
    fn put_then_get_gives_what_was_put(value in any_value(), base in any_base(), old in any_value()) {
        // An edit under the present design, whatever was there before.
        if fits(&FieldType::one(base), &PartPath::default(), &value) {
            let mut state = record(&[(NAME, &[], old)]);
            let cell = state.cells.get_mut(&(NAME, PartPath::default())).unwrap();
            cell[0].content = Content::Value(value.encode());
            prop_assert_eq!(shows(&typed(base).0, &state, NAME), Some(value).filter(|value| *value != Value::Null));
        }
    }

    #[test]
    fn what_converts_there_and_back_is_what_it_was(value in any_value(), to in any_base()) {
        let own = PLAIN.into_iter().find(|base| is_of(*base, &value) && !matches!(value, Value::Null));
        let Sketch(there) = typed(to);
        let shown = there.lenses().value(NAME, &value);
        // A member edits it there, to just what it shows; the design is put back.
        let inverts = |own: BaseType| match (own, to) {
            (BaseType::Int, BaseType::Decimal | BaseType::Float | BaseType::Text) => true,
            (BaseType::Bool, BaseType::Int | BaseType::Text) => true,
            (BaseType::Decimal | BaseType::Float, BaseType::Text) => true,
            (BaseType::Date, BaseType::DateTime | BaseType::Text) => true,
            (BaseType::DateTime | BaseType::Duration | BaseType::Choice, BaseType::Text) => true,
            _lossy => false,
        };
        if let Some(own) = own.filter(|own| inverts(*own)) {
            let back = typed(own).0.lenses().value(NAME, &shown);
            prop_assert!(back == value || crate::sort_order::compare(&back, &value).is_eq(), "{shown:?} {back:?}");
        }
    }

    #[test]
    fn one_step_two_ways_between_designs_agree(
        value in any_value(), between in proptest::collection::vec(any_base(), 0..10), last in any_base(),
    ) {
        // Ten designs in between, or none: what is shown depends on the last one only.
        let mut by_steps = typed(BaseType::Text);
        for base in between.into_iter().chain([last]) {
            by_steps = by_steps.put(NAME, Property::Type, FieldType::one(base).to_value());
        }
        let state = record(&[(NAME, &[], value)]);
        prop_assert_eq!(shows(&by_steps.0, &state, NAME), shows(&typed(last).0, &state, NAME));
    }
}
