//! Whether values fit the types of fields.

use crate::composite::{self, Home, VERBATIM};
use tandem_wire::{
    PartPath, Value,
    design::{BaseType, FieldType},
};

/// Whether a field of this type can hold `value` at `part`. `Null` clears, and fits wherever a value does.
pub fn fits(field_type: &FieldType, part: &PartPath, value: &Value) -> bool {
    let Some(base) = field_type.base() else { return false };
    let steps_above = usize::from(field_type.many);
    let depth = part.steps().len();
    // Several values in one string that is not the one that they would make.
    if field_type.many && depth == 1 && part.steps().next() == Some(VERBATIM.as_bytes()) {
        return is_nothing_or_text(value, |text| composite::split_elements(base, text).is_some());
    }
    // How somebody wrote a value who writes it otherwise.
    let is_beside = depth == steps_above + 1 && part.steps().last() == Some(VERBATIM.as_bytes());
    let is_plain = composite::of(base).is_none() || composite::is_atom(base);
    if is_beside && is_plain {
        return is_nothing_or_text(value, |_any| true);
    }
    if composite::is_atom(base) {
        return depth == steps_above && is_nothing_or_text(value, |text| composite::reads(base, text));
    }
    if let Some(composite) = composite::of(base) {
        let name = part.steps().last().unwrap_or_default();
        let known = composite.parts().iter().find(|part| part.name.as_bytes() == name);
        return depth > steps_above
            && match known.filter(|_| depth == steps_above + 1) {
                Some(known) if matches!(known.home, Home::Cell | Home::Aside) => {
                    *value == Value::Null || is_of(known.base, value)
                }
                Some(_follows_from_others) => false,
                None if name == VERBATIM.as_bytes() => is_nothing_or_text(value, |text| composite::reads(base, text)),
                // Parts of other programs.
                None => !matches!(value, Value::Other { .. }),
            };
    }
    // A long text may be cut into chunks, each a part of its own.
    let is_chunk = base == BaseType::Text && depth == steps_above + 1;
    (depth == steps_above || is_chunk) && (*value == Value::Null || is_of(base, value))
}

fn is_nothing_or_text(value: &Value, fits: impl Fn(&str) -> bool) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty() || fits(text),
        _other => false,
    }
}

/// Whether a value is of a plain type, or of one whose values are strings with parts.
pub fn is_of(base: BaseType, value: &Value) -> bool {
    match base {
        BaseType::Bool => matches!(value, Value::Bool(_)),
        BaseType::Int => matches!(value, Value::Int(_)),
        BaseType::Decimal => matches!(value, Value::Decimal(_) | Value::Int(_)),
        BaseType::Float => matches!(value, Value::Float(_)),
        BaseType::Text => matches!(value, Value::Text(_)),
        BaseType::Date => matches!(value, Value::Date(_)),
        BaseType::DateTime => matches!(value, Value::DateTime { .. }),
        BaseType::Duration => matches!(value, Value::Duration { .. }),
        BaseType::Choice => matches!(value, Value::Choice(_) | Value::Bool(_)),
        BaseType::Reference => matches!(value, Value::Reference { .. }),
        BaseType::Rank => matches!(value, Value::Rank(_)),
        BaseType::Blob => matches!(value, Value::Blob { .. }),
        BaseType::User
        | BaseType::Lookup
        | BaseType::Currency
        | BaseType::GeoPoint
        | BaseType::RichText
        | BaseType::DateRange => matches!(value, Value::Text(_)),
        BaseType::PersonName | BaseType::Phone | BaseType::Email | BaseType::PostalAddress | BaseType::Url => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_type_at_its_depth() {
        let check = |field_type: FieldType, part: &[&str], value: Value, expect: bool| {
            let part = PartPath::new(part).unwrap();
            assert_eq!(fits(&field_type, &part, &value), expect, "{field_type:?} {part:?} {value:?}");
        };
        let text = || Value::Text("x".into());
        check(FieldType::one(BaseType::Text), &[], text(), true);
        check(FieldType::one(BaseType::Text), &[], Value::Int(1), false);
        check(FieldType::one(BaseType::Int), &[], Value::Int(1), true);
        check(FieldType::one(BaseType::Int), &["x"], Value::Int(1), false);
        check(FieldType::one(BaseType::Decimal), &[], Value::Int(1), true);
        check(FieldType::one(BaseType::Date), &[], Value::Null, true);
        check(FieldType::one(BaseType::Date), &[], text(), false);
        check(FieldType::many(BaseType::Text), &[], text(), false);
        check(FieldType::many(BaseType::Text), &["e"], text(), true);
        check(FieldType::many(BaseType::Text), &["e", "chunk"], text(), true);
        check(FieldType::many(BaseType::Int), &["e", "chunk"], Value::Int(1), false);
        check(FieldType::one(BaseType::PersonName), &[], text(), false);
        check(FieldType::one(BaseType::PersonName), &["given"], text(), true);
        check(FieldType::many(BaseType::Phone), &["e"], text(), false);
        check(FieldType::many(BaseType::Phone), &["e", "number"], text(), true);
        check(FieldType::many(BaseType::Phone), &["e", "number"], Value::Int(1), false);
        check(FieldType::many(BaseType::Phone), &["e", "e164"], text(), false);
        check(FieldType::many(BaseType::Phone), &["e", "of another program"], Value::Int(1), true);
        let user = || Value::Text("1;#a@b".into());
        check(FieldType::one(BaseType::User), &[], user(), true);
        check(FieldType::one(BaseType::User), &[], Value::Text(String::new()), true);
        check(FieldType::one(BaseType::User), &[], text(), false);
        check(FieldType::one(BaseType::User), &["email"], text(), false);
        check(FieldType::many(BaseType::User), &["e"], user(), true);
        check(FieldType::many(BaseType::User), &[], user(), false);
        check(FieldType::many(BaseType::User), &["e", "="], text(), true);
        check(FieldType::one(BaseType::Url), &["="], Value::Text("x:y,z".into()), true);
        check(FieldType::one(BaseType::Url), &["="], text(), false);
    }
}
