//! Values as a filter sees them: texts borrowed from the row, ids and instants without what does not compare.

use crate::sort_order;
use serde::Deserialize;
use std::{borrow::Cow, cmp::Ordering};
use tandem_wire::{Decimal, ElementId, ListId, PartPath, RecordId, Value};

/// Milliseconds of a day; filters know UTC only.
pub(super) const DAY_MS: i64 = 86_400_000;

/// A value while a filter is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub enum Term<'a> {
    /// An empty cell, and what cannot be computed.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An exact decimal number.
    Decimal(Decimal),
    /// A binary number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A day, counted from 1970-01-01.
    Date(i32),
    /// An instant, in milliseconds since 1970-01-01T00:00Z.
    DateTime(i64),
    /// A span of time.
    Duration {
        /// Whole months.
        months: i32,
        /// The rest, in milliseconds.
        ms: i64,
    },
    /// One of a field's choices.
    Choice(ElementId),
    /// A record, be it this one or one that is referred to.
    Record(RecordId),
    /// Values in an order.
    List(Vec<Term<'a>>),
    /// One element of a field that holds many composites: its parts.
    Parts(Vec<(PartPath, Term<'a>)>),
    /// A value without meaning here: kept raw under a wrong type, of a later version, or bytes.
    Opaque,
}

/// [`Value`] as [`Value::encode`] lays it out, as far as filters read it.
#[derive(Deserialize)]
enum Encoded<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Float(f64),
    Text(&'a str),
    Date(i32),
    DateTime {
        ms: i64,
        #[serde(rename = "zone")]
        _zone: &'a str,
    },
    Duration {
        months: i32,
        ms: i64,
    },
    Choice(ElementId),
    Reference {
        #[serde(rename = "list")]
        _list: ListId,
        record: RecordId,
    },
}

impl<'a> Term<'a> {
    /// Of the canonical bytes of a [`Value`], without copying its text.
    pub fn decode(value: &'a [u8]) -> Self {
        match postcard::from_bytes(value) {
            Ok(Encoded::Null) => Self::Null,
            Ok(Encoded::Bool(yes)) => Self::Bool(yes),
            Ok(Encoded::Int(number)) => Self::Int(number),
            Ok(Encoded::Decimal(number)) => Self::Decimal(number),
            Ok(Encoded::Float(number)) => Self::Float(number),
            Ok(Encoded::Text(text)) => Self::Text(text.into()),
            Ok(Encoded::Date(days)) => Self::Date(days),
            Ok(Encoded::DateTime { ms, .. }) => Self::DateTime(ms),
            Ok(Encoded::Duration { months, ms }) => Self::Duration { months, ms },
            Ok(Encoded::Choice(choice)) => Self::Choice(choice),
            Ok(Encoded::Reference { record, .. }) => Self::Record(record),
            Err(_) => Self::Opaque,
        }
    }

    /// Of canonical bytes, be they a row's or made of them.
    pub fn of_shown(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => Self::decode(bytes),
            Cow::Owned(bytes) => Term::decode(&bytes).into_owned(),
        }
    }

    /// Whether two terms are the same value. Numbers of all kinds compare by size, a day and an instant by the day;
    /// what has no meaning here equals nothing.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Choice(a), Self::Choice(b)) => a == b,
            (Self::Record(a), Self::Record(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
            (a, b) => a.order(b) == Some(Ordering::Equal),
        }
    }

    /// The order of two terms, where they have one.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::DateTime(a), Self::DateTime(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::DateTime(b)) => Some(i64::from(*a).cmp(&day_of(*b))),
            (Self::DateTime(a), Self::Date(b)) => Some(day_of(*a).cmp(&i64::from(*b))),
            (Self::Duration { months: a, ms: a_ms }, Self::Duration { months: b, ms: b_ms }) => {
                Some((a, a_ms).cmp(&(b, b_ms)))
            }
            (a, b) => Some(sort_order::compare(&a.number()?, &b.number()?)),
        }
    }

    /// As a numeric value, if it is one.
    pub(super) fn number(&self) -> Option<Value> {
        match self {
            Self::Int(number) => Some(Value::Int(*number)),
            Self::Decimal(number) => Some(Value::Decimal(*number)),
            Self::Float(number) => Some(Value::Float(*number)),
            _no_number => None,
        }
    }

    /// The same, with texts of its own.
    pub(crate) fn into_owned(self) -> Term<'static> {
        match self {
            Self::Null => Term::Null,
            Self::Bool(yes) => Term::Bool(yes),
            Self::Int(number) => Term::Int(number),
            Self::Decimal(number) => Term::Decimal(number),
            Self::Float(number) => Term::Float(number),
            Self::Text(text) => Term::Text(text.into_owned().into()),
            Self::Date(days) => Term::Date(days),
            Self::DateTime(ms) => Term::DateTime(ms),
            Self::Duration { months, ms } => Term::Duration { months, ms },
            Self::Choice(choice) => Term::Choice(choice),
            Self::Record(record) => Term::Record(record),
            Self::List(list) => Term::List(list.into_iter().map(Term::into_owned).collect()),
            Self::Parts(parts) => Term::Parts(parts.into_iter().map(|(at, term)| (at, term.into_owned())).collect()),
            Self::Opaque => Term::Opaque,
        }
    }

    /// Whether it is true: what is empty, or no truth value at all, is not.
    pub(super) fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }
}

impl<'a> From<&'a Value> for Term<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(yes) => Self::Bool(*yes),
            Value::Int(number) => Self::Int(*number),
            Value::Decimal(number) => Self::Decimal(*number),
            Value::Float(number) => Self::Float(*number),
            Value::Text(text) => Self::Text(text.into()),
            Value::Date(days) => Self::Date(*days),
            Value::DateTime { ms, .. } => Self::DateTime(*ms),
            Value::Duration { months, ms } => Self::Duration { months: *months, ms: *ms },
            Value::Choice(choice) => Self::Choice(*choice),
            Value::Reference { record, .. } => Self::Record(*record),
            Value::Rank(_) | Value::Bytes(_) | Value::Blob { .. } | Value::Other { .. } => Self::Opaque,
        }
    }
}

/// The day that an instant is on, in UTC.
pub(super) fn day_of(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values_give_the_same_terms() {
        let check = |value: Value, term: Term<'_>| {
            assert_eq!(Term::from(&value), term, "{value:?}");
            assert_eq!(Term::decode(&value.encode()), term, "{value:?}");
        };
        check(Value::Null, Term::Null);
        check(Value::Bool(true), Term::Bool(true));
        check(Value::Int(-7), Term::Int(-7));
        let decimal = Decimal::new(125, 2).unwrap();
        check(Value::Decimal(decimal), Term::Decimal(decimal));
        check(Value::Float(0.5), Term::Float(0.5));
        check(Value::Text("Zoë".into()), Term::Text("Zoë".into()));
        check(Value::Date(-1), Term::Date(-1));
        check(Value::DateTime { ms: -5, zone: "Europe/Berlin".into() }, Term::DateTime(-5));
        check(Value::Duration { months: 1, ms: -2 }, Term::Duration { months: 1, ms: -2 });
        check(Value::Choice(ElementId([3; 16])), Term::Choice(ElementId([3; 16])));
        let (list, record) = (ListId([1; 16]), RecordId([2; 16]));
        check(Value::Reference { list, record }, Term::Record(record));
        check(Value::Rank(vec![1]), Term::Opaque);
        check(Value::Bytes(vec![1]), Term::Opaque);
        check(Value::Blob { hash: [1; 32], bytes: 1, media_type: "image/png".into() }, Term::Opaque);
        check(Value::Other { form: 99, bytes: vec![1] }, Term::Opaque);
    }

    #[test]
    fn numbers_compare_by_size_and_days_with_instants() {
        let decimal = |mantissa, scale| Term::Decimal(Decimal::new(mantissa, scale).unwrap());
        let check = |a: Term<'_>, b: Term<'_>, order: Option<Ordering>| {
            assert_eq!(a.order(&b), order, "{a:?} {b:?}");
            assert_eq!(b.order(&a), order.map(Ordering::reverse), "{b:?} {a:?}");
        };
        use Ordering::{Equal, Less};
        check(Term::Int(5), decimal(50, 1), Some(Equal));
        check(Term::Int((1 << 53) + 1), Term::Int((1 << 53) + 2), Some(Less));
        check(Term::Int(1 << 53), decimal((1 << 53) * 10 + 1, 1), Some(Less));
        check(Term::Float(0.1), decimal(1, 1), Some(Equal));
        check(Term::Date(0), Term::DateTime(DAY_MS - 1), Some(Equal));
        check(Term::Date(-1), Term::DateTime(-1), Some(Equal));
        check(Term::Date(0), Term::DateTime(DAY_MS), Some(Less));
        check(Term::Duration { months: 1, ms: 0 }, Term::Duration { months: 0, ms: i64::MAX }, Some(Ordering::Greater));
        check(Term::Text("5".into()), Term::Int(5), None);
        check(Term::Null, Term::Int(5), None);
        check(Term::Opaque, Term::Opaque, None);
    }
}
