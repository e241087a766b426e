//! Values as plain text, the way people write them in tables: the same on every machine, in every language.

use jiff::{Span, Timestamp, civil::Date};
use tandem_wire::{Decimal, Value, design::BaseType, limits::DECIMAL_SCALE_MAX};

/// The text of a value. Bool, int, decimal, float, date, text and instants in UTC give back what [`read`] took; the
/// others have a readable form of their own. `Null` is empty.
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Decimal(decimal) => decimal.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => text.clone(),
        Value::Date(days) => show_date(*days),
        Value::DateTime { ms, zone } => show_instant(*ms, zone),
        Value::Duration { months, ms } => show_duration(*months, *ms),
        Value::Choice(element) => element.to_string(),
        Value::Reference { record, .. } => record.to_string(),
        Value::Rank(bytes) | Value::Bytes(bytes) => hex(bytes),
        Value::Blob { hash, .. } => hex(hash),
        Value::Other { .. } => "(newer version needed)".to_owned(),
    }
}

/// The value of type `base` that `text` is; nothing where it is none, or where [`show`] would write it
/// differently. Types without a form that people write have none.
pub fn read(base: BaseType, text: &str) -> Option<Value> {
    let value = match base {
        BaseType::Bool => text.parse().ok().map(Value::Bool),
        BaseType::Int => text.parse().ok().map(Value::Int),
        BaseType::Decimal => read_decimal(text).map(Value::Decimal),
        BaseType::Float => text.parse().ok().and_then(Value::float),
        BaseType::Date => read_date(text).map(Value::Date),
        BaseType::Text => return Some(Value::Text(text.to_owned())),
        BaseType::DateTime => read_instant(text),
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
    };
    value.filter(|value| show(value) == text)
}

fn read_decimal(text: &str) -> Option<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= DECIMAL_SCALE_MAX)?;
    let mantissa = format!("{whole}{fraction}").parse().ok()?;
    Decimal::new(mantissa, scale)
}

const EPOCH: Date = Date::constant(1970, 1, 1);

fn read_date(text: &str) -> Option<i32> {
    let date = Date::strptime("%Y-%m-%d", text).ok()?;
    Some(date.since(EPOCH).ok()?.get_days())
}

/// The day of the calendar, `1985-04-12`; beyond the year 9999, the number of days.
fn show_date(days: i32) -> String {
    match Span::new().try_days(days).and_then(|days| EPOCH.checked_add(days)) {
        Ok(date) => date.to_string(),
        Err(_) => format!("day {days}"),
    }
}

fn show_instant(ms: i64, zone: &str) -> String {
    let instant = match Timestamp::from_millisecond(ms) {
        Ok(instant) => instant.to_string(),
        Err(_) => format!("{ms} ms"),
    };
    if zone.is_empty() { instant } else { format!("{instant}[{zone}]") }
}

/// An instant in UTC, to the millisecond.
fn read_instant(text: &str) -> Option<Value> {
    let instant: Timestamp = text.strip_suffix('Z').and_then(|_| text.parse().ok())?;
    Some(Value::DateTime { ms: instant.as_millisecond(), zone: String::new() })
}

fn show_duration(months: i32, ms: i64) -> String {
    match (months, ms) {
        (0, ms) => format!("{ms} ms"),
        (months, 0) => format!("{months} months"),
        (months, ms) => format!("{months} months {ms} ms"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_only_what_it_would_write() {
        let check = |base, good: &[&str], bad: &[&str]| {
            good.iter().for_each(|text| assert!(read(base, text).is_some(), "{base:?} {text}"));
            bad.iter().for_each(|text| assert_eq!(read(base, text), None, "{base:?} {text}"));
        };
        check(BaseType::Bool, &["true", "false"], &["True", "1", "yes", ""]);
        check(
            BaseType::Int,
            &["0", "-3", "9223372036854775807"],
            &["007", "+1", "-0", "9223372036854775808", " 1", ""],
        );
        check(
            BaseType::Decimal,
            &["38.704022", "-0.5", "0", "12345678901234567890", "0.0000000000000000000000000001"],
            &["1.50", ".5", "5.", "1e3", "--1", "1.-5", "0.00000000000000000000000000001", "1,5", "", "."],
        );
        check(BaseType::Float, &["44.0", "-38.704022", "0.0"], &["44", "1.50", "NaN", "inf", "-0.0", "1e5", ""]);
        check(
            BaseType::Date,
            &["1985-04-12", "2024-02-29", "0001-01-01", "9999-12-31", "1969-12-31"],
            &["1985-4-12", "2023-02-29", "19850412", "1985-04-12T00:00", "12.04.1985", "-001-01-01", ""],
        );
        check(
            BaseType::DateTime,
            &["1985-04-12T23:20:50Z", "1985-04-12T23:20:50.52Z"],
            &["1985-04-12T23:20:50+02:00", "1985-04-12T23:20:50.1234Z", "1985-04-12", "Z", ""],
        );
    }

    #[test]
    fn values_have_a_readable_form() {
        let check = |value: Value, text: &str| assert_eq!(show(&value), text);
        check(Value::Null, "");
        check(Value::Date(0), "1970-01-01");
        check(Value::Date(i32::MAX), "day 2147483647");
        check(Value::DateTime { ms: 0, zone: String::new() }, "1970-01-01T00:00:00Z");
        check(Value::DateTime { ms: 1_500, zone: "Europe/Berlin".into() }, "1970-01-01T00:00:01.5Z[Europe/Berlin]");
        check(Value::DateTime { ms: i64::MAX, zone: String::new() }, "9223372036854775807 ms");
        check(Value::Bytes(vec![0, 255]), "00ff");
        check(Value::Decimal(Decimal::new(-5, 2).unwrap()), "-0.05");
    }

    proptest! {
        #[test]
        fn show_is_total(days in any::<i32>(), ms in any::<i64>(), mantissa in any::<i128>(), scale in 0u8..=28) {
            show(&Value::Date(days));
            show(&Value::DateTime { ms, zone: "x".into() });
            let decimal = Value::Decimal(Decimal::new(mantissa, scale).unwrap());
            prop_assert_eq!(read(BaseType::Decimal, &show(&decimal)), Some(decimal));
        }

        #[test]
        fn dates_survive(days in -719_162i32..=2_932_896) {
            prop_assert_eq!(read(BaseType::Date, &show(&Value::Date(days))), Some(Value::Date(days)));
        }
    }
}
