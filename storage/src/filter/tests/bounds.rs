use super::*;

fn at(name: &str) -> Place {
    let at = scope().names.iter().position(|known| known.name == name).unwrap();
    Place::Cell(field(at as u8), PartPath::default())
}

fn instant(ms: i64) -> Value {
    Value::DateTime { ms, zone: String::new() }
}

#[test]
fn conjuncts_with_a_constant_are_bounds() {
    let check = |source: &str, expect: &[(Place, Limit)]| {
        let filter = Filter::parse(source, &scope()).unwrap();
        let bounds: Vec<_> = filter.bounds().iter().map(|bound| (bound.place.clone(), bound.limit.clone())).collect();
        assert_eq!(bounds, expect, "{source}");
    };
    use Limit::*;
    check(
        "population > 100000 && country == \"IR\"",
        &[(at("population"), Gt(Value::Int(100_000))), (at("country"), Eq(text("IR")))],
    );
    check(
        "(5 <= population && active) && country.startsWith('I')",
        &[
            (at("population"), Ge(Value::Int(5))),
            (at("active"), Eq(Value::Bool(true))),
            (at("country"), Prefix("I".into())),
        ],
    );
    check("population > 2.5", &[(at("population"), Ge(Value::Int(3)))]);
    check(
        "population >= 2.0 && population < -2.5",
        &[(at("population"), Ge(Value::Int(2))), (at("population"), Le(Value::Int(-3)))],
    );
    check("population == 2.5", &[(at("population"), In(vec![]))]);
    check("population in [1, 2.5, 3.0]", &[(at("population"), In(vec![Value::Int(1), Value::Int(3)]))]);
    check("price < 2", &[(at("price"), Lt(decimal(2, 0)))]);
    check("price == 0.1", &[(at("price"), Eq(decimal(1, 1)))]);
    check("score > 1", &[(at("score"), Gt(Value::Float(1.0)))]);
    check("score > 9007199254740993", &[]);
    check("born <= '1970-01-02'", &[(at("born"), Le(Value::Date(1)))]);
    check("born > timestamp('1970-01-02T05:00:00Z')", &[(at("born"), Gt(Value::Date(1)))]);
    check("seen == '1970-01-02'", &[(at("seen"), Ge(instant(DAY))), (at("seen"), Lt(instant(2 * DAY)))]);
    check(
        "created > timestamp('1970-01-02T00:00:00Z') - duration('1h')",
        &[(Place::Meta(Meta::Created), Gt(instant(DAY - 3_600_000)))],
    );
    check("modified <= '1970-01-02'", &[(Place::Meta(Meta::Modified), Lt(instant(2 * DAY)))]);
    check(
        "id == 'abababababababababababababababab'",
        &[(Place::Meta(Meta::Id), Eq(Value::Reference { list: LIST, record: ID }))],
    );
    check("status in ['open', 'done']", &[(at("status"), In(vec![Value::Choice(OPEN), Value::Choice(DONE)]))]);
    check(
        "owner == 'abababababababababababababababab'",
        &[(at("owner"), Eq(Value::Reference { list: OTHER, record: ID }))],
    );
    let Place::Cell(address, _) = at("address") else { panic!() };
    check("address.city == 'Shiraz'", &[(Place::Cell(address, PartPath::new(["city"]).unwrap()), Eq(text("Shiraz")))]);
    for none in [
        "population > 5 || active",
        "!(population > 5)",
        "population != 5",
        "name == null",
        "name in ['x', null]",
        "population > größe",
        "population + 1 > 5",
        "tags.exists(t, t == 'x')",
        "active ? population > 5 : population < 5",
        "seen in ['1970-01-02', '1970-01-03']",
    ] {
        check(none, &[]);
    }
}

impl Limit {
    fn admits(&self, value: &Value) -> bool {
        let order = |limit: &Value| sort_order::compare(value, limit);
        match self {
            Self::Eq(limit) => order(limit) == Ordering::Equal,
            Self::Lt(limit) => order(limit) == Ordering::Less,
            Self::Le(limit) => order(limit) != Ordering::Greater,
            Self::Gt(limit) => order(limit) == Ordering::Greater,
            Self::Ge(limit) => order(limit) != Ordering::Less,
            Self::In(limits) => limits.iter().any(|limit| order(limit) == Ordering::Equal),
            Self::Prefix(prefix) => matches!(value, Value::Text(text) if text.starts_with(prefix)),
        }
    }
}

/// Values near each other, so that limits are met.
fn value() -> impl Strategy<Value = Value> {
    let small = -3i64..4;
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        small.clone().prop_map(Value::Int),
        (1i64 << 53..(1 << 53) + 4).prop_map(Value::Int),
        any::<i64>().prop_map(Value::Int),
        (-30i128..40, 0u8..2).prop_map(|(mantissa, scale)| decimal(mantissa, scale)),
        small.clone().prop_map(|number| Value::Float(number as f64 / 2.0 + 0.0)),
        "[ab]{0,3}".prop_map(Value::Text),
        (-2i32..3).prop_map(Value::Date),
        (-2 * DAY..3 * DAY).prop_map(instant),
        small.clone().prop_map(|day| instant(day * DAY)),
        (0i32..2, small).prop_map(|(months, ms)| Value::Duration { months, ms: ms * 60_000 }),
        prop::sample::select(vec![OPEN, DONE]).prop_map(Value::Choice),
    ]
}

fn constant() -> impl Strategy<Value = String> {
    prop_oneof![
        (-3i64..4).prop_map(|number| number.to_string()),
        (-30i64..40).prop_map(|number| format!("{:?}", number as f64 / 10.0)),
        (1i64 << 53..(1 << 53) + 4).prop_map(|number| number.to_string()),
        "'[ab]{0,2}'",
        prop::sample::select(vec![
            "'1969-12-31'",
            "'1970-01-01'",
            "'1970-01-02'",
            "timestamp('1970-01-01T12:00:00Z')",
            "'1970-01-02T00:00:00Z'",
            "'1m'",
            "'1mo'",
            "'open'",
            "true",
            "null",
        ])
        .prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "active",
        "population",
        "price",
        "score",
        "country",
        "born",
        "seen",
        "took",
        "status",
        "address.city",
        "created",
    ]);
    let operator = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    prop_oneof![
        4 => (name.clone(), operator.clone(), constant()).prop_map(|(name, operator, to)| format!("{name} {operator} {to}")),
        1 => (name.clone(), operator, constant()).prop_map(|(name, operator, to)| format!("{to} {operator} {name}")),
        1 => (name.clone(), proptest::collection::vec(constant(), 0..4))
            .prop_map(|(name, items)| format!("{name} in [{}]", items.join(", "))),
        1 => (name.clone(), "'[ab]{0,2}'").prop_map(|(name, prefix)| format!("{name}.startsWith({prefix})")),
        1 => name.prop_map(|name| format!("!({name} == null)")),
        1 => Just("active".to_owned()),
    ]
}

fn any_row() -> impl Strategy<Value = Row> {
    proptest::collection::vec(value(), 11).prop_map(|values| {
        let names = ["active", "population", "price", "score", "country", "born", "seen", "took", "status"];
        let row =
            names.iter().zip(&values).fold(Row::default(), |row, (name, value)| row.with(name, &[], value.clone()));
        let row = row.with("address", &["city"], values[9].clone());
        Row { meta: BTreeMap::from([(Meta::Created, values[10].clone())]), ..row }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn every_match_is_within_the_bounds(
        conditions in proptest::collection::vec(condition(), 1..4),
        rows in proptest::collection::vec(any_row(), 1..20),
    ) {
        let good: Vec<&str> = conditions.iter().map(String::as_str).filter(|one| Filter::parse(one, &scope()).is_ok()).collect();
        if good.is_empty() {
            return Ok(());
        }
        let filter = Filter::parse(&good.join(" && "), &scope()).unwrap();
        for row in &rows {
            if !filter.matches(row).unwrap() {
                continue;
            }
            for bound in filter.bounds() {
                let value = match &bound.place {
                    Place::Cell(field, part) => row.cells.get(&(*field, part.clone())),
                    Place::Cells(_) | Place::Through(_) => None,
                    Place::Meta(meta) => row.meta.get(meta),
                };
                prop_assert!(value.is_some_and(|value| bound.limit.admits(value)), "{:?} {:?} {:?}", good, bound, value);
            }
        }
    }
}
