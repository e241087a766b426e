//! `docs/format.md` against the code: its tables list what there is, by the right numbers, and nothing else.

use crate::{samples, sizes};
use std::collections::BTreeSet;
use tandem_wire::{
    design::{BaseType, ElementKind, Property},
    *,
};

const DOCUMENT: &str = include_str!("../../../docs/format.md");
const SOURCES: [&str; 3] =
    [include_str!("../../src/event.rs"), include_str!("../../src/id.rs"), include_str!("../../src/key.rs")];

/// The first two columns of the table whose header begins with these.
fn table(first: &str, second: &str) -> BTreeSet<(String, String)> {
    let header = format!("| {first} | {second} |");
    let mut rows = DOCUMENT.lines().skip_while(|line| !line.starts_with(&header)).skip(2).peekable();
    assert!(rows.peek().is_some(), "no table {header}");
    let cells = |line: &str| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().to_string());
        (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
    };
    rows.take_while(|line| line.starts_with('|')).map(cells).collect()
}

fn numbered<T>(all: impl Fn(u16) -> Option<T>) -> BTreeSet<(String, T)>
where
    T: Ord,
{
    (0..=u16::MAX).filter_map(|number| Some((number.to_string(), all(number)?))).collect()
}

#[test]
fn kinds_of_op() {
    let acts: Vec<Act> = samples::all()
        .iter()
        .flat_map(|sample| sample.run.events().to_vec())
        .flat_map(|event| event.header().ops.clone())
        .map(|op| op.act)
        .filter(|act| Act::is_known(act.kind()))
        .collect();
    let expected: BTreeSet<(String, String)> =
        acts.iter().map(|act| (act.kind().to_string(), act.name().to_string())).collect();
    assert_eq!(table("kind", "name"), expected);
    assert_eq!(expected.len(), numbered(|kind| Act::is_known(kind).then_some(())).len(), "a sample for each kind");
}

#[test]
fn refusal_codes() {
    assert_eq!(table("code", "name"), numbered(|code| RefusalCode(code).name().map(str::to_string)));
}

#[test]
fn forms_of_value() {
    let values = samples::one_of_each_value();
    let known = values.iter().filter(|value| !matches!(value, Value::Other { .. }));
    let expected = known.map(|value| {
        let name = format!("{value:?}");
        let name = name.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
        (value.encode()[0].to_string(), name.to_string())
    });
    let expected: BTreeSet<(String, String)> = expected.collect();
    let next = expected.len() as u8;
    assert_eq!(table("form", "name"), expected);
    assert_eq!(Value::decode(&[next]), Ok(Value::Other { form: next.into(), bytes: vec![] }), "a sample for each form");
}

#[test]
fn elements_properties_and_base_types() {
    let name = |number| Some(format!("{:?}", ElementKind::from_number(number)?));
    assert_eq!(table("number", "kind"), numbered(name));
    let name = |number| Some(format!("{:?}", Property::from_number(number)?));
    assert_eq!(table("number", "property"), numbered(name));
    assert_eq!(
        table("number", "base type"),
        numbered(|number| Some(BaseType::from_number(number)?.name().to_string()))
    );
}

macro_rules! values_of {
    ($($name:ident)*) => { [$((stringify!($name).to_string(), limits::$name.to_string())),*] };
}

#[test]
fn limits_and_their_values() {
    let expected = values_of! {
        RUN_EVENTS_MAX RUN_BYTES_MAX EVENT_BYTES_MAX EVENT_OPS_MAX DEPS_MAX PREDS_MAX PART_STEPS_MAX
        PART_STEP_BYTES_MAX ARGS_BYTES_MAX MARKS_MAX REFUSAL_TEXT_BYTES_MAX BLAME_MAX RULES_NAMED_MAX NAME_BYTES_MAX SCOPE_LISTS_MAX
        BINDING_ENDS_MAX VERDICT_EVENTS_MAX DESIGN_STEPS_MAX ZONE_BYTES_MAX RANK_BYTES_MAX MEDIA_TYPE_BYTES_MAX
        WALL_MS_MAX SEQ_MAX DECIMAL_SCALE_MAX OPENING_BYTES_MAX FRAME_BYTES_MAX BATCH_BYTES_MAX BATCH_RUNS_MAX
        WINDOW_BYTES_MAX TABLE_PART_ENDS_MAX POINTS_MAX TABLE_ENDS_MAX PEERS_MAX PLACES_MAX HELD_BYTES_MAX
    };
    assert_eq!(table("name", "most"), BTreeSet::from(expected.clone()));
    let declared = include_str!("../../src/limits.rs").matches("pub const ").count();
    assert_eq!(declared, expected.len(), "every limit is in the table");
}

#[test]
fn hashing_domains() {
    let quoted = |text: &str, quote: char| -> BTreeSet<String> {
        text.split(quote).filter(|part| part.starts_with("tandem 1 ")).map(str::to_string).collect()
    };
    let in_code: BTreeSet<String> = SOURCES.iter().flat_map(|source| quoted(source, '"')).collect();
    assert_eq!(quoted(DOCUMENT, '`'), in_code);
}

#[test]
fn measured_sizes() {
    for (alone, further) in [sizes::EDIT, sizes::CREATE] {
        assert!(DOCUMENT.contains(&format!(" | {alone} | {further} |")), "{alone} and {further}");
    }
    assert!(DOCUMENT.contains(&format!("takes {} bytes whatever", sizes::RUN)));
}
