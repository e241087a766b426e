//! What both know, CEL's own evaluator and ours decide alike.

use super::*;
use cel::{Context, Env};
use std::sync::Arc;

fn number() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof![Just("population".to_owned()), Just("größe".to_owned()), (0i64..9).prop_map(|n| n.to_string())];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), prop::sample::select(vec!["+", "-", "*"]), inner)
            .prop_map(|(a, op, b)| format!("({a} {op} {b})"))
    })
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("country".to_owned()),
        Just("name".to_owned()),
        "'[abä]{0,2}'",
        Just("(country + name)".to_owned()),
        Just("tags[0]".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let compare = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (number(), compare(), number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (Just("score"), compare(), -2i64..3).prop_map(|(a, op, b)| format!("{a} {op} {}", b as f64 / 2.0 + 0.25)),
        (words(), compare(), words()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (words(), prop::sample::select(vec!["startsWith", "endsWith", "contains"]), words())
            .prop_map(|(a, function, b)| format!("{a}.{function}({b})")),
        (words(), 0i64..3).prop_map(|(a, size)| format!("size({a}) == {size}")),
        (words(), words(), words()).prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]")),
        words().prop_map(|a| format!("{a} in tags")),
        (prop::sample::select(vec!["exists", "all", "exists_one"]), compare(), words())
            .prop_map(|(function, op, a)| format!("tags.{function}(t, t {op} {a})")),
        words().prop_map(|a| format!("tags.filter(t, t != {a}).map(t, size(t)) == tags.map(t, t != {a}, size(t))")),
        Just("active".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn both_evaluators_agree(
        source in condition(),
        population in -4i64..9, size in -4i64..9, score in -2i64..3, active: bool,
        country in "[abä]{0,2}", name in "[abä]{0,2}", tags in proptest::collection::vec("[abä]{0,2}", 1..4),
    ) {
        let score = score as f64 / 4.0 + 0.0;
        let row = Row::default()
            .with("population", &[], Value::Int(population))
            .with("größe", &[], Value::Int(size))
            .with("score", &[], Value::Float(score))
            .with("active", &[], Value::Bool(active))
            .with("country", &[], text(&country))
            .with("name", &[], text(&name));
        let row = tags.iter().enumerate().fold(row, |row, (at, tag)| row.with("tags", &[&at.to_string()], text(tag)));
        let ours = match Filter::parse(&source, &scope()) {
            Ok(filter) => filter.matches(&row).unwrap(),
            Err(error) => {
                prop_assert_eq!(error.code(), "filter-too-costly", "{}: {}", source, error);
                return Ok(());
            }
        };
        let env = Arc::new(Env::stdlib());
        let program = env.compile(&source.replace("größe", "groesse")).unwrap();
        let mut context = Context::with_env(env);
        context.add_variable_from_value("population", population);
        context.add_variable_from_value("groesse", size);
        context.add_variable_from_value("score", score);
        context.add_variable_from_value("active", active);
        context.add_variable_from_value("country", country);
        context.add_variable_from_value("name", name);
        context.add_variable_from_value("tags", tags);
        prop_assert_eq!(program.execute(&context).unwrap(), cel::Value::Bool(ours), "{}", source);
    }
}
