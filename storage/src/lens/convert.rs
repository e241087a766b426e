//! One value, as a field of another type shows it.
//!
//! Every conversion is *one step*, from the type that the value was written under to the present one: whatever types a
//! field had in between changes nothing. What a type cannot hold is not converted at all, never rounded or cut.

use super::Choices;
use crate::{
    field_type::is_of,
    filter::{Term, read_date, read_date_time, read_duration},
};
use jiff::{Span, Timestamp, civil::Date};
use std::borrow::Cow;
use tandem_wire::{Decimal, Value, design::BaseType, limits::DECIMAL_SCALE_MAX};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Whole numbers up to this one are exact as binary numbers.
const EXACT_FLOAT_MAX: i64 = 1 << 53;

/// What a field of plain type `base` shows of a value that was written under any type; nothing where it cannot hold it.
pub fn convert(value: &Value, base: BaseType, choices: &Choices) -> Option<Value> {
    if *value == Value::Null || (is_of(base, value) && !matches!(value, Value::Choice(_))) {
        return Some(value.clone());
    }
    // A text of nothing is nothing.
    if matches!(value, Value::Text(text) if text.trim().is_empty()) {
        return Some(Value::Null);
    }
    if base == BaseType::Choice {
        return to_choice(value, choices);
    }
    let plain = plain(value, choices)?;
    match base {
        BaseType::Bool => to_bool(&plain),
        BaseType::Int => to_int(&plain),
        BaseType::Decimal => to_decimal(&plain),
        BaseType::Float => to_float(&plain),
        BaseType::Text => to_text(&plain).map(Value::Text),
        BaseType::Date => to_date(&plain),
        BaseType::DateTime => to_date_time(&plain),
        BaseType::Duration => to_duration(&plain),
        _no_values_of_other_types => None,
    }
}

/// A choice stands for its name where choices are not what is asked for.
fn plain<'v>(value: &'v Value, choices: &Choices) -> Option<Cow<'v, Value>> {
    match value {
        Value::Choice(choice) => choices.name(*choice).map(|name| Cow::Owned(Value::Text(name.into()))),
        other => Some(Cow::Borrowed(other)),
    }
}

fn to_bool(value: &Value) -> Option<Value> {
    match value {
        Value::Int(0) => Some(Value::Bool(false)),
        Value::Int(1) => Some(Value::Bool(true)),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "0" => Some(Value::Bool(false)),
            _neither => None,
        },
        _other => None,
    }
}

fn to_int(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(yes) => Some(Value::Int(i64::from(*yes))),
        Value::Decimal(number) if number.scale() == 0 => i64::try_from(number.mantissa()).ok().map(Value::Int),
        Value::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT_FLOAT_MAX as f64 => {
            Some(Value::Int(*number as i64))
        }
        Value::Text(text) => match read_decimal(text.trim())? {
            number if number.scale() == 0 => i64::try_from(number.mantissa()).ok().map(Value::Int),
            _broken => None,
        },
        _other => None,
    }
}

fn to_decimal(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(yes) => Some(Value::Int(i64::from(*yes))),
        Value::Float(number) => read_decimal(&number.to_string()).map(Value::Decimal),
        Value::Text(text) => read_decimal(text.trim()).map(Value::Decimal),
        _other => None,
    }
}

fn to_float(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(yes) => Some(Value::Float(f64::from(u8::from(*yes)))),
        Value::Int(number) if number.unsigned_abs() <= EXACT_FLOAT_MAX as u64 => Some(Value::Float(*number as f64)),
        Value::Decimal(number) => {
            let near: f64 = number.to_string().parse().ok()?;
            // The nearest binary number has to tell the decimal again.
            (read_decimal(&near.to_string()) == Some(*number)).then(|| Value::float(near)).flatten()
        }
        Value::Text(text) => {
            let text = text.trim();
            let is_number = text.starts_with(|char: char| char.is_ascii_digit() || "+-.".contains(char))
                && text.ends_with(|char: char| char.is_ascii_digit() || char == '.');
            text.parse().ok().filter(|_| is_number).and_then(Value::float)
        }
        _other => None,
    }
}

/// As people write it, and as [`convert`] reads it again.
pub fn to_text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Date(days) => civil(*days)?.to_string(),
        // With a zone of its own it would come back without.
        Value::DateTime { ms, zone } if zone.is_empty() => Timestamp::from_millisecond(*ms).ok()?.to_string(),
        Value::Duration { months, ms } => show_duration(*months, *ms)?,
        _no_text => return None,
    })
}

fn to_date(value: &Value) -> Option<Value> {
    match value {
        Value::DateTime { ms, zone } if zone.is_empty() && ms.rem_euclid(DAY_MS) == 0 => {
            i32::try_from(ms.div_euclid(DAY_MS)).ok().map(Value::Date)
        }
        Value::Text(text) => match read_date(text.trim())? {
            Term::Date(days) => Some(Value::Date(days)),
            _other => None,
        },
        _other => None,
    }
}

fn to_date_time(value: &Value) -> Option<Value> {
    let utc = |ms| Value::DateTime { ms, zone: String::new() };
    match value {
        Value::Date(days) => Some(utc(i64::from(*days) * DAY_MS)),
        Value::Text(text) => match read_date(text.trim()).or_else(|| read_date_time(text.trim()))? {
            Term::Date(days) => Some(utc(i64::from(days) * DAY_MS)),
            Term::DateTime(ms) => Some(utc(ms)),
            _other => None,
        },
        _other => None,
    }
}

fn to_duration(value: &Value) -> Option<Value> {
    let Value::Text(text) = value else { return None };
    match read_duration(text.trim())? {
        Term::Duration { months, ms } => Some(Value::Duration { months, ms }),
        _other => None,
    }
}

fn to_choice(value: &Value, choices: &Choices) -> Option<Value> {
    let found = match value {
        Value::Choice(choice) => Some(choices.present(*choice)),
        other => choices.named(to_text(other)?.trim()),
    };
    found.map(Value::Choice)
}

/// A decimal number as it is written: digits, at most one point, a sign.
pub(crate) fn read_decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= DECIMAL_SCALE_MAX)?;
    let mut digits = whole.bytes().chain(fraction.bytes()).map(|digit| i128::from(digit - b'0'));
    let mantissa = digits.try_fold(0_i128, |all, digit| all.checked_mul(10)?.checked_add(digit))?;
    Decimal::new(if text.starts_with('-') { -mantissa } else { mantissa }, scale)
}

/// `1mo250ms`: both parts have one sign, or there is no text for it.
fn show_duration(months: i32, ms: i64) -> Option<String> {
    let (negative, positive) = (months < 0 || ms < 0, months > 0 || ms > 0);
    if negative && positive {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let months_part = if months == 0 { String::new() } else { format!("{}mo", months.unsigned_abs()) };
    let ms_part = if ms == 0 && months != 0 { String::new() } else { format!("{}ms", ms.unsigned_abs()) };
    let text = format!("{sign}{months_part}{ms_part}");
    read_duration(&text).is_some().then_some(text)
}

fn civil(days: i32) -> Option<Date> {
    let date = Date::constant(1970, 1, 1).checked_add(Span::new().try_days(days).ok()?).ok()?;
    (date.year() >= 1 && read_date(&date.to_string()).is_some()).then_some(date)
}
