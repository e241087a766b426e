//! The order of values where they are compared: in filters.

use crate::index::sort_key::number_key;
use std::cmp::Ordering;
use tandem_wire::{Decimal, Value};

/// Compares two values: by kind first, then within the kind. Numbers of all kinds compare by size, texts by code
/// point. Lists are sorted otherwise: see [`crate::index::sort_key`].
pub fn compare(a: &Value, b: &Value) -> Ordering {
    kind(a).cmp(&kind(b)).then_with(|| match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::DateTime { ms: a, .. }, Value::DateTime { ms: b, .. }) => a.cmp(b),
        (Value::Duration { months: a, ms: a_ms }, Value::Duration { months: b, ms: b_ms }) => (a, a_ms).cmp(&(b, b_ms)),
        (Value::Rank(a), Value::Rank(b)) | (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => compare_numbers(a, b),
            _no_numbers => a.encode().cmp(&b.encode()),
        },
    })
}

/// Values of one kind are compared with each other.
pub(crate) fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Decimal(_) | Value::Float(_) => 2,
        Value::Date(_) => 3,
        Value::DateTime { .. } => 4,
        Value::Duration { .. } => 5,
        Value::Text(_) => 6,
        Value::Choice(_) => 7,
        Value::Reference { .. } => 8,
        Value::Rank(_) => 9,
        Value::Bytes(_) => 10,
        Value::Blob { .. } => 11,
        Value::Other { .. } => 12,
    }
}

#[derive(Clone, Copy)]
enum Number {
    Exact(Decimal),
    Float(f64),
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Int(int) => Decimal::new((*int).into(), 0).map(Number::Exact),
        Value::Decimal(decimal) => Some(Number::Exact(*decimal)),
        Value::Float(float) => Some(Number::Float(*float)),
        _not_a_number => None,
    }
}

fn compare_numbers(a: Number, b: Number) -> Ordering {
    match (a, b) {
        (Number::Exact(a), Number::Exact(b)) if a.scale() == b.scale() => a.mantissa().cmp(&b.mantissa()),
        (Number::Float(a), Number::Float(b)) => a.total_cmp(&b),
        // Exactly, a float by its shortest decimal form, as indexes sort them.
        (a, b) => key(a).cmp(&key(b)),
    }
}

fn key(number: Number) -> Vec<u8> {
    match number {
        Number::Exact(decimal) => number_key(&Value::Decimal(decimal)),
        Number::Float(float) => number_key(&Value::Float(float)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_within_and_across_kinds() {
        let decimal = |mantissa, scale| Value::Decimal(Decimal::new(mantissa, scale).unwrap());
        let ascending = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            decimal(i128::MIN, 0),
            Value::Int(-5),
            decimal(-49, 1),
            Value::Float(-0.5),
            Value::Int(0),
            decimal(1, 28),
            decimal(25, 1),
            Value::Int(3),
            Value::Float(3.5),
            decimal(i128::MAX, 0),
            Value::Date(-1),
            Value::Date(1),
            Value::Text(String::new()),
            Value::Text("Zoe".into()),
            Value::Text("Zoë".into()),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a:?} and {b:?}");
            }
        }
    }
}
