//! What a server's operator might ask for: simple rules on whatever fields the lists have.

use crate::chance::{Ratio, Stream};
use std::collections::BTreeMap;
use tandem_actors::authority::{ListPolicy, Policy, RuleText, Stale};
use tandem_storage::fold::Design;
use tandem_wire::{FieldId, ListId, design::BaseType};

/// How often a list's rules are all lifted, its stale edits refused, and a rule is one that cannot be read.
const LENIENT: Ratio = Ratio(1, 6);
const STALE: Ratio = Ratio(1, 3);
const BROKEN: Ratio = Ratio(1, 60);

/// Rules for the lists of a design, at most so many for each.
pub(super) fn draw(stream: &mut Stream, design: &Design, rules_max: u64) -> Policy {
    let mut policy = Policy::default();
    for list in design.lists() {
        if stream.happens(STALE) {
            policy.lists.insert(list, ListPolicy { stale: Stale::Refuse });
        }
        if stream.happens(LENIENT) {
            continue;
        }
        for index in 0..=stream.below(rules_max) {
            let fields = design.fields(list);
            let one = |field: &FieldId| design.field_type(*field).filter(|of| !of.many).and_then(|of| of.base());
            let fields: Vec<(FieldId, BaseType)> =
                fields.into_iter().filter_map(|field| Some((field, one(&field)?))).collect();
            policy.rules.push(rule(stream, list, index, &fields));
        }
    }
    policy
}

fn rule(stream: &mut Stream, list: ListId, index: u64, fields: &[(FieldId, BaseType)]) -> RuleText {
    let field = if stream.happens(Ratio(1, 10)) { None } else { stream.pick(fields) };
    let checks: &[&str] = match field {
        _ if stream.happens(BROKEN) => &["nobody_has_this > 1"],
        None => &[r#"!is_deleted || role != "writer""#, r#"role != "designer" || !is_new"#],
        Some((_, BaseType::Text)) => &[
            r#"f == null || !f.contains("ü")"#,
            r#"f != "Zoë" && f != """#,
            r#"role == "manager" || f != "山田""#,
            r#"before.f == null || f == null || f != "عبد""#,
        ],
        Some((_, BaseType::Int)) => &[
            "f == null || f < 3",
            "before.f == null || f == null || f >= before.f",
            r#"role == "manager" || f != 2"#,
            "is_new || f == null || f > 0",
        ],
        Some((_, BaseType::Bool)) => &["f == null || !f", "is_new || before.f == null || f == before.f"],
        Some((_, BaseType::Float)) => &["f == null || f <= 1.0", "f == null || f > 0.0"],
        Some(_) => &["true"],
    };
    let check = (*stream.pick(checks).expect("there are some")).to_owned();
    let names = field.map(|(field, _)| BTreeMap::from([("f".to_owned(), *field)])).unwrap_or_default();
    let (name, message) = (format!("rule {index}"), format!("rule {index} says no: {check}"));
    RuleText { list, name, check, message, field: field.map(|(field, _)| *field), names }
}
