//! Whether values fit the types of fields.

use tandem_wire::{
    PartPath, Value,
    design::{BaseType, FieldType},
};

/// Whether a field of this type can hold `value` at `part`. `Null` clears, and fits wherever a value does.
pub fn fits(field_type: &FieldType, part: &PartPath, value: &Value) -> bool {
    let Some(base) = field_type.base() else { return false };
    let steps_above = usize::from(field_type.many);
    let depth = part.steps().len();
    if base.is_composite() {
        // Each part is a plain value; a registry of part types comes with the composite types themselves.
        return depth > steps_above && !matches!(value, Value::Other { .. });
    }
    // A long text may be cut into chunks, each a part of its own.
    let is_chunk = base == BaseType::Text && depth == steps_above + 1;
    (depth == steps_above || is_chunk) && (*value == Value::Null || is_of(base, value))
}

/// Whether a value is of a plain type.
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
        BaseType::PersonName
        | BaseType::Phone
        | BaseType::Email
        | BaseType::PostalAddress
        | BaseType::User
        | BaseType::Lookup
        | BaseType::Url
        | BaseType::Currency
        | BaseType::GeoPoint
        | BaseType::RichText
        | BaseType::DateRange => false,
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
    }
}
