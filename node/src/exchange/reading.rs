//! How the texts of one column become values.

use super::{date_form::DateForm, number_form::NumberForm, text_form};
use std::fmt;
use tandem_wire::{
    Decimal, Value,
    design::{BaseType, FieldType},
};

/// What a column holds, and how it writes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As it stands.
    Text,
    /// One of few texts; read as text, and made a choice where the choices are known.
    Choice,
    /// `true` or `false`, in any case.
    Bool,
    /// Whole numbers.
    Int(NumberForm),
    /// Numbers with a fraction, kept exactly.
    Decimal(NumberForm),
    /// Measurements, also with an exponent.
    Float(NumberForm),
    /// Days.
    Date(DateForm),
    /// Instants in UTC, `2024-02-29T12:00:00Z`.
    DateTime,
    /// Strings that say several things, the way servers write them.
    Parts(BaseType, Many),
}

/// Whether a text is one value, or a row of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Many {
    /// One value.
    One,
    /// Any number of values.
    Many,
}

impl Reading {
    /// The type of a field for such a column.
    pub fn base(self) -> BaseType {
        match self {
            Self::Text => BaseType::Text,
            Self::Choice => BaseType::Choice,
            Self::Bool => BaseType::Bool,
            Self::Int(_) => BaseType::Int,
            Self::Decimal(_) => BaseType::Decimal,
            Self::Float(_) => BaseType::Float,
            Self::Date(_) => BaseType::Date,
            Self::DateTime => BaseType::DateTime,
            Self::Parts(base, _) => base,
        }
    }

    /// The whole type of a field for such a column.
    pub fn field_type(self) -> FieldType {
        match self {
            Self::Parts(base, Many::Many) => FieldType::many(base),
            one => FieldType::one(one.base()),
        }
    }

    /// As servers write values of this type, whatever it is.
    pub fn as_strings(ty: &FieldType) -> Self {
        Self::Parts(ty.base().unwrap_or(BaseType::Text), if ty.many { Many::Many } else { Many::One })
    }

    /// As a person or a program writes one value of this type by itself; nothing for types without such a form.
    pub fn plain(base: BaseType) -> Option<Self> {
        match base {
            BaseType::Text => Some(Self::Text),
            BaseType::Bool => Some(Self::Bool),
            BaseType::Int => Some(Self::Int(NumberForm::PLAIN)),
            BaseType::Decimal => Some(Self::Decimal(NumberForm::PLAIN)),
            BaseType::Float => Some(Self::Float(NumberForm::PLAIN)),
            BaseType::Date => Some(Self::Date(DateForm::Iso)),
            BaseType::DateTime => Some(Self::DateTime),
            BaseType::Duration
            | BaseType::Choice
            | BaseType::Reference
            | BaseType::Rank
            | BaseType::Blob
            | BaseType::PersonName
            | BaseType::Phone
            | BaseType::Email
            | BaseType::PostalAddress
            | BaseType::User
            | BaseType::Lookup
            | BaseType::Url
            | BaseType::Currency
            | BaseType::GeoPoint
            | BaseType::RichText
            | BaseType::DateRange => None,
        }
    }

    /// The value that `text` is; nothing where it is none.
    pub fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Text | Self::Choice | Self::Parts(..) => Some(Value::Text(text.to_owned())),
            Self::Bool => read_bool(text).map(Value::Bool),
            Self::Int(form) => {
                let digits = form.read(text).filter(|digits| digits.places == 0)?;
                digits.mantissa.try_into().ok().map(Value::Int)
            }
            Self::Decimal(form) => {
                let digits = form.read(text)?;
                Decimal::new(digits.mantissa, digits.places).map(Value::Decimal)
            }
            Self::Float(form) => read_float(form, text).and_then(Value::float),
            Self::Date(form) => form.read(text).map(Value::Date),
            Self::DateTime => text_form::read(BaseType::DateTime, text),
        }
    }
}

/// As spreadsheets (`TRUE`) and programs (`true`, `True`) write it.
pub(super) fn read_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "TRUE" | "True" => Some(true),
        "false" | "FALSE" | "False" => Some(false),
        _neither => None,
    }
}

/// A number of this form, or one with an exponent, `-1.5e-7`.
fn read_float(form: NumberForm, text: &str) -> Option<f64> {
    match form.read(text) {
        Some(digits) => format!("{}e-{}", digits.mantissa, digits.places).parse().ok(),
        None => read_exponent(text),
    }
}

/// A number with a point and an exponent, as programs write measurements.
pub(super) fn read_exponent(text: &str) -> Option<f64> {
    let (number, exponent) = text.split_once(['e', 'E'])?;
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_exponent = (1..=3).contains(&exponent.len()) && exponent.bytes().all(|byte| byte.is_ascii_digit());
    let has_point = NumberForm::PLAIN.read(number).is_some_and(|digits| digits.places > 0);
    (is_exponent && has_point).then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::number_form::Mark;
        let how = match self {
            Self::Int(form) | Self::Decimal(form) | Self::Float(form) if form.mark == Mark::Comma => ", comma",
            Self::Date(DateForm::DaySlash | DateForm::DayDot | DateForm::DayDash) => ", day first",
            Self::Date(DateForm::MonthSlash) => ", month first",
            Self::Text
            | Self::Choice
            | Self::Bool
            | Self::Int(_)
            | Self::Decimal(_)
            | Self::Float(_)
            | Self::Date(DateForm::Iso | DateForm::YearSlash)
            | Self::DateTime
            | Self::Parts(_, Many::One) => "",
            Self::Parts(_, Many::Many) => ", many",
        };
        write!(f, "{}{how}", self.base().name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_values() {
        let check = |reading: Reading, text: &str, expect: Option<Value>| {
            assert_eq!(reading.read(text), expect, "{reading:?} {text:?}");
        };
        let comma = NumberForm::ALL[4];
        let decimal = |mantissa, places| Decimal::new(mantissa, places).map(Value::Decimal);
        check(Reading::Bool, "TRUE", Some(Value::Bool(true)));
        check(Reading::Bool, "yes", None);
        check(Reading::Int(NumberForm::PLAIN), "-12", Some(Value::Int(-12)));
        check(Reading::Int(NumberForm::PLAIN), "12.0", None);
        check(Reading::Int(comma), "1.234", Some(Value::Int(1234)));
        check(Reading::Int(NumberForm::PLAIN), "9223372036854775808", None);
        check(Reading::Decimal(NumberForm::PLAIN), "1.50", decimal(15, 1));
        check(Reading::Decimal(comma), "1.234,56", decimal(123_456, 2));
        check(Reading::Decimal(NumberForm::PLAIN), &format!("0.{}1", "0".repeat(40)), None);
        check(Reading::Float(NumberForm::PLAIN), "44.10", Some(Value::Float(44.1)));
        check(Reading::Float(NumberForm::PLAIN), "1.5E-7", Some(Value::Float(1.5e-7)));
        check(Reading::Float(comma), "1.234,5", Some(Value::Float(1234.5)));
        check(Reading::Float(NumberForm::PLAIN), "12e5", None);
        check(Reading::Float(NumberForm::PLAIN), "1.0e999", None);
        check(Reading::Date(DateForm::DayDot), "2.1.1970", Some(Value::Date(1)));
        check(Reading::DateTime, "1970-01-01T00:00:01Z", Some(Value::DateTime { ms: 1000, zone: String::new() }));
        check(Reading::DateTime, "1970-01-01T00:00:01+02:00", None);
    }
}
