//! From one day to another, both included: `2026-03-01/2026-03-07`, as in ISO 8601. Neither end is before the other.

use super::{Composite, Part, Parts, atom, in_a_row};
use crate::filter::{Term, read_date};
use tandem_wire::{Value, design::BaseType};

#[derive(Debug)]
pub(super) struct DateRange;

impl Composite for DateRange {
    fn base(&self) -> BaseType {
        BaseType::DateRange
    }

    fn example(&self) -> &'static str {
        "2026-03-01/2026-03-07"
    }

    fn parts(&self) -> &'static [Part] {
        const { &[atom("from", BaseType::Date), atom("to", BaseType::Date)] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let (from, to) = string.split_once('/')?;
        let (Term::Date(from), Term::Date(to)) = (read_date(from)?, read_date(to)?) else { return None };
        (from <= to).then(|| Parts::from([("from", Value::Date(from)), ("to", Value::Date(to))]))
    }

    fn write(&self, parts: &Parts, _like: &str) -> Option<String> {
        match (parts.get("from"), parts.get("to")) {
            (Some(from), Some(to)) => Some(format!("{}/{}", crate::lens::to_text(from)?, crate::lens::to_text(to)?)),
            _incomplete => parts.is_empty().then(String::new),
        }
    }

    fn edit(&self, parts: &mut Parts, part: &'static str, value: Value) {
        parts.insert(part, value.clone());
        // The first day that is given is the last as well.
        for end in ["from", "to"] {
            parts.entry(end).or_insert_with(|| value.clone());
        }
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        in_a_row(parts, &[("from", ""), ("to", " – ")], None)
    }
}
