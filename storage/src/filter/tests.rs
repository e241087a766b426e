use super::*;
use crate::sort_order;
use proptest::prelude::*;
use std::{cmp::Ordering, collections::BTreeMap};
use tandem_wire::{Decimal, ElementId, FieldId, ListId, PartPath, RecordId, Value, design::BaseType};

mod bounds;
mod carets;
mod oracle;

const LIST: ListId = ListId([9; 16]);
const OTHER: ListId = ListId([8; 16]);
const OPEN: ElementId = ElementId([101; 16]);
const DONE: ElementId = ElementId([102; 16]);
const ID: RecordId = RecordId([0xab; 16]);
const DAY: i64 = 86_400_000;

fn field(number: u8) -> FieldId {
    FieldId([number; 16])
}

/// A list with a field of every type.
fn scope() -> Scope {
    let fields = [
        ("active", Kind::Bool, false),
        ("population", Kind::Int, false),
        ("price", Kind::Decimal, false),
        ("score", Kind::Float, false),
        ("country", Kind::Text, false),
        ("born", Kind::Date, false),
        ("seen", Kind::DateTime, false),
        ("took", Kind::Duration, false),
        ("status", Kind::Choice, false),
        ("owner", Kind::Reference(Some(OTHER)), false),
        ("photo", Kind::Opaque, false),
        ("address", Kind::Composite(BaseType::PostalAddress), false),
        ("stay", Kind::Composite(BaseType::DateRange), false),
        ("tags", Kind::Text, true),
        ("labels", Kind::Choice, true),
        ("phones", Kind::Composite(BaseType::Phone), true),
        ("größe", Kind::Int, false),
        ("Home phone", Kind::Text, false),
        ("in", Kind::Int, false),
        ("a`b", Kind::Int, false),
        ("area", Kind::Float, false),
        ("name", Kind::Text, false),
        ("twin", Kind::Int, false),
        ("twin", Kind::Int, false),
    ];
    let names = fields.into_iter().enumerate().map(|(at, (name, kind, many))| Name {
        name: name.into(),
        field: field(at as u8),
        part: PartPath::default(),
        kind,
        many,
        choices: if kind == Kind::Choice { vec![("open".into(), OPEN), ("done".into(), DONE)] } else { Vec::new() },
        list: None,
    });
    Scope { list: LIST, names: names.collect(), constants: Vec::new(), related: BTreeMap::new() }
}

/// A record in memory.
#[derive(Debug, Clone, Default)]
struct Row {
    cells: BTreeMap<(FieldId, PartPath), Value>,
    meta: BTreeMap<Meta, Value>,
}

impl Row {
    fn with(mut self, name: &str, part: &[&str], value: Value) -> Self {
        let at = scope().names.iter().position(|known| known.name == name).expect("a field");
        self.cells.insert((field(at as u8), PartPath::new(part).unwrap()), value);
        self
    }
}

impl Cells for Row {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        self.cells.get(&(field, part.clone())).map_or(Term::Null, Term::from)
    }

    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        let of_field = self.cells.iter().filter(|((of, _), _)| *of == field);
        of_field.map(|((_, part), value)| (part.clone(), Term::from(value))).collect()
    }

    fn meta(&self, meta: Meta) -> Term<'_> {
        self.meta.get(&meta).map_or(Term::Null, Term::from)
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn decimal(mantissa: i128, scale: u8) -> Value {
    Value::Decimal(Decimal::new(mantissa, scale).unwrap())
}

fn row() -> Row {
    let row = Row::default()
        .with("active", &[], Value::Bool(true))
        .with("population", &[], Value::Int(9_007_199_254_740_993))
        .with("price", &[], decimal(1050, 2))
        .with("score", &[], Value::Float(0.1))
        .with("country", &[], text("IR"))
        .with("born", &[], Value::Date(1))
        .with("seen", &[], Value::DateTime { ms: DAY + 5_000, zone: "Asia/Tehran".into() })
        .with("took", &[], Value::Duration { months: 0, ms: 5_400_000 })
        .with("status", &[], Value::Choice(OPEN))
        .with("owner", &[], Value::Reference { list: OTHER, record: ID })
        .with("photo", &[], Value::Blob { hash: [1; 32], bytes: 1, media_type: "image/png".into() })
        .with("address", &["city"], text("Shiraz"))
        .with("stay", &["from"], Value::Date(10))
        .with("tags", &["1"], text("red"))
        .with("tags", &["2"], text("blue"))
        .with("phones", &["1", "kind"], text("home"))
        .with("phones", &["1", "number"], text("+98 1"))
        .with("phones", &["2", "kind"], text("work"))
        .with("phones", &["2", "number"], text("+49 2"))
        .with("größe", &[], Value::Int(180))
        .with("Home phone", &[], text("+98"))
        .with("in", &[], Value::Int(1))
        .with("a`b", &[], Value::Int(2))
        .with("area", &[], text("kept raw"));
    let meta = BTreeMap::from([
        (Meta::Id, Value::Reference { list: LIST, record: ID }),
        (Meta::Created, Value::DateTime { ms: 2 * DAY, zone: String::new() }),
        (Meta::CreatedBy, text("Zoë")),
    ]);
    Row { meta, ..row }
}

fn eval(source: &str) -> bool {
    let filter =
        Filter::parse(source, &scope()).unwrap_or_else(|error| panic!("{source}: {error}\n{}", error.caret(source)));
    filter.matches(&row()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

#[test]
fn conditions_hold_or_not() {
    let holds = [
        "population > 100000 && country == \"IR\"",
        "population == 9007199254740993",
        "population > 9007199254740992.5",
        "population < 9007199254740993.5",
        "price == 10.5",
        "price > 10 && price < 10.6",
        "price * 2 == 21",
        "price + 0.01 == 10.51",
        "score == 0.1",
        "score + 0.1 == 0.2",
        "active",
        "active == true",
        "!(active == false)",
        "country in ['IR', 'IQ']",
        "!(country in ['DE'])",
        "country.startsWith('I') && country.endsWith('R') && country.contains('R')",
        "country.matches('^I.$')",
        "matches(country, '^[A-Z]{2}$')",
        "country.lowerAscii() == 'ir'",
        "size(country) == 2 && country.size() == 2",
        "country + 'x' == 'IRx'",
        "born == '1970-01-02' && '1970-01-02' == born",
        "born < '1970-01-03' && born >= date('1970-01-02')",
        "born.getFullYear() == 1970",
        "seen == '1970-01-02'",
        "seen > '1970-01-02T00:00:00Z' && seen < timestamp('1970-01-02T00:00:06Z')",
        "seen <= '1970-01-02' && !(seen > '1970-01-02')",
        "seen - duration('5s') == timestamp('1970-01-02T00:00:00Z')",
        "born == seen",
        "seen - born == duration('5s')",
        "took == '1h30m' && took > '1h'",
        "status == 'open' && status in ['open', 'done'] && status != 'done'",
        "owner == 'abababababababababababababababab' && id == owner",
        "photo != null",
        "!has(address.größe) && !has(address.`x y`) && !(has(address . street))",
        "has(phones[0].kind) && phones.exists(p, has(p.number)) && phones.filter(p, p.kind == 'work')[0].number == '+49 2'",
        "address.city == 'Shiraz' && has(address.city) && !has(address.street)",
        "address.city.startsWith('Shi')",
        "address.`city` == 'Shiraz'",
        "stay.from == '1970-01-11' && stay.to == null",
        "'red' in tags && !('green' in tags)",
        "tags.exists(t, t.startsWith('bl')) && tags.all(t, size(t) > 2)",
        "tags.size() == 2 && tags[0] == 'red' && tags[7] == null",
        "tags.map(t, size(t)) == [3, 4]",
        "tags.filter(t, t != 'red') == ['blue']",
        "tags.exists_one(t, t == 'red')",
        "phones.exists(p, p.kind == 'home' && p.number.startsWith('+98'))",
        "!phones.exists(p, p.kind == 'home' && p.number.startsWith('+49'))",
        "phones[1].number == '+49 2'",
        "phones.all(p, tags.exists(t, t != p.kind))",
        "größe > 100 && größe < population",
        "`Home phone` == '+98' && field('Home phone') == \"+98\" && field(\"Home phone\").startsWith('+')",
        "`in` == 1 && field('in') == 1 && field('a`b') == 2",
        "created == '1970-01-03' && created > seen && modified == null",
        "created_by == 'Zoë' && created_by == 'Zo\\u00eb'",
        "name == null && !(name != null)",
        "population > 1 ? country == 'IR' : country == 'IQ'",
        "int(price) == 10 && double(population) > 9e15",
        "population % 2 == 1 && -population < 0",
        "population > -5",
        "true || population / 0 > 1",
        "// a remark\ncountry == 'IR' // another",
        "[1, 2].exists(x, x == 2)",
        "'IR' == country && 5 < population",
    ];
    let fails = [
        "population > 9007199254740993",
        "population == 9007199254740992.0",
        "!active",
        "false",
        "status == 'done'",
        "created > '1970-01-03'",
        "labels.exists(l, l == 'open')",
        "tags == []",
    ];
    holds.iter().for_each(|source| assert!(eval(source), "{source}"));
    fails.iter().for_each(|source| assert!(!eval(source), "{source}"));
}

#[test]
fn what_is_empty_equals_null_only() {
    // `name` is empty.
    for fails in [
        "name == 'x'",
        "name < 'x'",
        "name > 'x'",
        "name <= 'x'",
        "name >= 'x'",
        "name in ['x']",
        "name.startsWith('')",
    ] {
        assert!(!eval(fails), "{fails}");
        assert!(eval(&format!("!({fails})")), "{fails}");
    }
    for holds in [
        "name == null",
        "name != 'x'",
        "!(name != null)",
        "name in [null]",
        "population / 0 == null",
        "size(name) == null",
    ] {
        assert!(eval(holds), "{holds}");
    }
}

#[test]
fn what_is_kept_raw_equals_nothing() {
    for fails in ["area == 1.5", "area < 1.5", "area >= 1.5", "area == null", "area in [1.5]", "area + 1.0 > 0.0"] {
        assert!(!eval(fails), "{fails}");
    }
    assert!(eval("area != 1.5 && area != null"));
}

#[test]
fn choices_marked_as_present_are_elements() {
    let hex = |id: ElementId| id.0.to_vec();
    let mut row = Row::default();
    let at = scope().names.iter().position(|known| known.name == "labels").unwrap();
    row.cells.insert((field(at as u8), PartPath::new([hex(OPEN)]).unwrap()), Value::Bool(true));
    row.cells.insert((field(at as u8), PartPath::new([hex(DONE)]).unwrap()), Value::Bool(false));
    let matches = |source: &str| Filter::parse(source, &scope()).unwrap().matches(&row).unwrap();
    assert!(matches("'open' in labels && !('done' in labels) && labels.size() == 1"));
}

#[test]
fn only_what_is_needed_is_read() {
    struct Watched(std::cell::RefCell<Vec<FieldId>>);
    impl Cells for Watched {
        fn cell(&self, field: FieldId, _: &PartPath) -> Term<'_> {
            self.0.borrow_mut().push(field);
            Term::Int(5)
        }
        fn cells(&self, _: FieldId) -> Vec<(PartPath, Term<'_>)> {
            panic!("holds many")
        }
        fn meta(&self, _: Meta) -> Term<'_> {
            panic!("not asked for")
        }
    }
    let of = |name: &str| field(scope().names.iter().position(|known| known.name == name).unwrap() as u8);
    let reads = |source: &str| Filter::parse(source, &scope()).unwrap().reads().iter().cloned().collect::<Vec<_>>();
    let cell = |name: &str, part: &[&str]| Place::Cell(of(name), PartPath::new(part).unwrap());
    assert_eq!(
        reads(
            "!(population > 5) || tags.exists(t, t == address.city) || created == modified || country + country == 'x'"
        ),
        [
            cell("population", &[]),
            cell("country", &[]),
            cell("address", &["city"]),
            Place::Cells(of("tags")),
            Place::Meta(Meta::Created),
            Place::Meta(Meta::Modified),
        ]
    );
    assert_eq!(
        reads("active ? phones[0].number.matches('x') : -price in [score, 1.0]"),
        [cell("active", &[]), cell("price", &[]), cell("score", &[]), Place::Cells(of("phones"))]
    );
    let watched = Watched(Default::default());
    let filter = Filter::parse("population > 5 && größe > 1", &scope()).unwrap();
    assert!(!filter.matches(&watched).unwrap());
    assert_eq!(*watched.0.borrow(), [field(1)]);
}

#[test]
fn limits_hold() {
    let error = |source: &str| Filter::parse(source, &scope()).map(|_| ()).expect_err(source);
    let costly = |source: &str| {
        let error = error(source);
        assert_eq!(error.code(), "filter-too-costly", "{source:.80}: {error}");
    };
    let half = SOURCE / 2;
    const SOURCE: usize = limits::SOURCE_BYTES_MAX;
    costly(&format!("active{}", " ".repeat(SOURCE)));
    costly(&format!("{}active{}", "(".repeat(half - 3), ")".repeat(half - 3)));
    costly(&"(".repeat(SOURCE));
    costly(&"[".repeat(SOURCE));
    costly(&"!(".repeat(half));
    costly(&"f(".repeat(half));
    costly(&"a?".repeat(half));
    costly(&"a?b:".repeat(SOURCE / 4));
    costly(&"-".repeat(SOURCE));
    costly(&"a.".repeat(half));
    costly(&"a+".repeat(half));
    costly(&"1,".repeat(half));
    costly(&format!("active{}", " && active".repeat(100)));
    costly(&format!("population in [{}]", vec!["1"; 200].join(",")));
    costly("tags.exists(a, tags.exists(b, tags.exists(c, true)))");
    assert!(Filter::parse(&format!("population in [{}]", vec!["1"; 190].join(",")), &scope()).is_ok());
    assert!(Filter::parse(&format!("{}active{}", "(".repeat(30), ")".repeat(30)), &scope()).is_ok());

    let run = |source: &str, row: &Row| Filter::parse(source, &scope()).unwrap().matches(row);
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("{number:05}")).collect();
        names.iter().fold(Row::default(), |row, name| row.with("tags", &[name], text(name)))
    };
    let (most, too_many) = (many(limits::LIST_MAX), many(limits::LIST_MAX + 1));
    assert_eq!(run("tags.size() == 1000 && tags.map(t, t).size() == 1000", &most), Ok(true));
    assert_eq!(run("tags.size() > 5", &too_many), Err(EvalError::ListTooLong { found: 1001, max: 1000 }));
    assert_eq!(run("(tags + ['x']).size() > 5", &most), Err(EvalError::ListTooLong { found: 1001, max: 1000 }));
    let nested = "tags.exists(a, tags.exists(b, a + b == ''))";
    assert!(matches!(run(nested, &most), Err(EvalError::TooManySteps { .. } | EvalError::ResultTooLarge { .. })));
    assert_eq!(run("tags.all(a, tags.all(b, a == a))", &most), Err(EvalError::TooManySteps { max: 10_000 }));
    let long = most.clone().with("name", &[], text(&"x".repeat(60_000)));
    assert_eq!(run("tags.all(t, name.contains('y'))", &long), Ok(false));
    assert_eq!(run("tags.all(t, !name.contains('y'))", &long), Err(EvalError::TooManySteps { max: 10_000 }));
    assert_eq!(run("tags.all(t, !name.matches('y'))", &long), Err(EvalError::TooManySteps { max: 10_000 }));
    let long = Row::default().with("name", &[], text(&"x".repeat(40_000)));
    assert_eq!(run("name + 'y' == ''", &long), Ok(false));
    assert_eq!(run("name + name == ''", &long), Err(EvalError::ResultTooLarge { max: 65_536 }));
}

#[test]
fn the_largest_filters_need_little_stack() {
    let deepest = [
        format!("{}active{}", "(".repeat(32), ")".repeat(32)),
        format!("{}active{}", "!(".repeat(32), ")".repeat(32)),
        format!("population == 1{}", " + 1".repeat(96)),
        format!("country == 'a'{}", " + 'a'".repeat(96)),
        format!("{} true", "active ? false : ".repeat(32)),
        format!("{}tags{}.size() == 0", "(".repeat(30), ".filter(x, true))".repeat(9) + &")".repeat(21)),
        format!("address.{} == 1", vec!["a"; 190].join(".")),
    ];
    let work = move || {
        for source in &deepest {
            if let Ok(filter) = Filter::parse(source, &scope()) {
                filter.matches(&row()).unwrap();
            }
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_rename_breaks_no_filter() {
    let filter = Filter::parse("population > 5", &scope()).unwrap();
    let mut renamed = scope();
    renamed.names[1].name = "inhabitants".into();
    assert!(filter.matches(&row()).unwrap());
    assert!(Filter::parse("population > 5", &renamed).is_err());
    fn is_shared_by_threads<T: Send + Sync>(_: &T) {}
    is_shared_by_threads(&filter);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(source in ".{0,200}") {
        if let Err(error) = Filter::parse(&source, &scope()) {
            error.caret(&source);
        }
    }

    #[test]
    fn any_tokens_are_read_or_refused(tokens in proptest::collection::vec(token(), 0..40)) {
        let source = tokens.join("");
        match Filter::parse(&source, &scope()) {
            Ok(filter) => { let _ = filter.matches(&row()); }
            Err(error) => {
                prop_assert!(error.span.start <= error.span.end && error.span.end <= source.len(), "{:?}", error);
                prop_assert!(source.get(error.span.clone()).is_some(), "{:?}", error);
                prop_assert_ne!(error.fault, Fault::RuleFailed, "{}", error);
                error.caret(&source);
            }
        }
    }
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "population",
        "price",
        "score",
        "country",
        "born",
        "seen",
        "took",
        "status",
        "owner",
        "tags",
        "phones",
        "größe",
        "`Home phone`",
        "address",
        ".city",
        ".number",
        "active",
        "id",
        "created",
        "null",
        "true",
        "1",
        "2.5",
        "-",
        "'x'",
        "\"1970-01-01\"",
        "'open'",
        "r'\\d'",
        "\"\"\"x\"\"\"",
        " ",
        "\n",
        "// x\n",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "?",
        ":",
        " && ",
        " || ",
        "!",
        " == ",
        " != ",
        " < ",
        " >= ",
        " in ",
        "+",
        "*",
        "/",
        "%",
        ".exists(x, ",
        ".all(x, ",
        ".map(x, ",
        "x",
        ".size()",
        ".startsWith(",
        ".matches(",
        "has(",
        "field(",
        "date(",
        "duration(",
        "{",
        "}",
        "`",
        "ä",
        "\u{301}",
        "0x1f",
        "1u",
        "1e9",
        "'",
        "@",
        "\\",
        "b'x'",
        "_",
        "__",
    ])
}
