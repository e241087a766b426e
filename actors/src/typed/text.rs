//! Values that Rust types know as texts: days, instants, spans of time, decimals.

use jiff::{Span, SpanRound, Timestamp, Unit, civil::Date, fmt::temporal::Pieces, tz::Offset};
use tandem_wire::{Decimal, Value, limits::DECIMAL_SCALE_MAX};

const EPOCH: Date = Date::constant(1970, 1, 1);
const MS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

/// `1985-04-12`; none beyond the year 9999.
pub(super) fn show_date(days: i32) -> Option<String> {
    let days = Span::new().try_days(days).ok()?;
    Some(EPOCH.checked_add(days).ok()?.to_string())
}

pub(super) fn read_date(text: &str) -> Option<Value> {
    let date: Date = text.parse().ok()?;
    Some(Value::Date(date.since(EPOCH).ok()?.get_days()))
}

/// RFC 3339, at its own offset where it has one. Where its zone is a name, the instant alone is told.
pub(super) fn show_instant(ms: i64, zone: &str) -> Option<String> {
    let instant = Timestamp::from_millisecond(ms).ok()?;
    Some(match offset(zone) {
        Some(offset) => instant.display_with_offset(offset).to_string(),
        None => instant.to_string(),
    })
}

/// RFC 3339, RFC 9557 with a zone.
pub(super) fn read_instant(text: &str) -> Option<Value> {
    let ms = text.parse::<Timestamp>().ok()?.as_millisecond();
    let pieces = Pieces::parse(text).ok()?;
    let zone = match (pieces.time_zone_annotation(), pieces.to_numeric_offset()) {
        (Some(_), _) => text.split_once('[')?.1.split_once(']')?.0.trim_start_matches('!').to_owned(),
        (None, Some(offset)) if !text.ends_with(['Z', 'z']) => show_offset(offset),
        (None, _) => String::new(),
    };
    Some(Value::DateTime { ms, zone })
}

fn offset(zone: &str) -> Option<Offset> {
    let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    Offset::from_seconds(if zone.starts_with('-') { -seconds } else { seconds }).ok()
}

fn show_offset(offset: Offset) -> String {
    let seconds = offset.seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// ISO 8601; none where the months and the rest have opposite signs, which it cannot say.
pub(super) fn show_duration(months: i32, ms: i64) -> Option<String> {
    let span = Span::new().try_months(months).ok()?;
    let same_sign = months == 0 || ms == 0 || (months < 0) == (ms < 0);
    same_sign.then_some(())?;
    let rest = Span::new().try_milliseconds(ms).ok()?;
    let rest = rest.round(SpanRound::new().largest(Unit::Hour)).ok()?;
    let span = span.try_hours(rest.get_hours()).ok()?.try_minutes(rest.get_minutes()).ok()?;
    let span = span.try_seconds(rest.get_seconds()).ok()?.try_milliseconds(rest.get_milliseconds()).ok()?;
    Some(span.to_string())
}

/// ISO 8601; a day has 24 hours, a year twelve months.
pub(super) fn read_duration(text: &str) -> Option<Value> {
    let span: Span = text.parse().ok()?;
    let months = i32::from(span.get_years()).checked_mul(12)?.checked_add(span.get_months())?;
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let seconds = i64::from(span.get_hours()) * 3600 + span.get_minutes() * 60 + span.get_seconds();
    let below = span.get_milliseconds() + span.get_microseconds() / 1000 + span.get_nanoseconds() / 1_000_000;
    let ms = days.checked_mul(MS_PER_DAY)?.checked_add(seconds.checked_mul(1000)?)?.checked_add(below)?;
    Some(Value::Duration { months, ms })
}

/// Digits with at most one point, as they are shown, trailing zeros allowed.
pub(super) fn read_decimal(text: &str) -> Option<Value> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !are_digits(digits) || !are_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= DECIMAL_SCALE_MAX)?;
    let mantissa = format!("{whole}{fraction}").parse().ok()?;
    Decimal::new(mantissa, scale).map(Value::Decimal)
}

/// The nearest binary number.
pub(super) fn approximate(decimal: Decimal) -> f64 {
    decimal.to_string().parse().expect("digits with a point are a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_values_go_both_ways() {
        for text in ["1985-04-12", "0001-01-01", "9999-12-31"] {
            let Some(Value::Date(days)) = read_date(text) else { panic!("{text}") };
            assert_eq!(show_date(days).as_deref(), Some(text));
        }
        for (text, expect) in [
            ("1970-01-01T00:00:01.5Z", (1500, "")),
            ("1970-01-01T02:00:00+02:00", (0, "+02:00")),
            ("1969-12-31T19:30:00-04:30", (0, "-04:30")),
        ] {
            let Some(Value::DateTime { ms, zone }) = read_instant(text) else { panic!("{text}") };
            assert_eq!((ms, zone.as_str()), expect, "{text}");
            assert_eq!(show_instant(ms, &zone).as_deref(), Some(text));
        }
        let named = read_instant("1970-01-01T01:00:00+01:00[Europe/Berlin]");
        assert_eq!(named, Some(Value::DateTime { ms: 0, zone: "Europe/Berlin".into() }));
        assert_eq!(show_instant(0, "Europe/Berlin").as_deref(), Some("1970-01-01T00:00:00Z"));
        for (text, expect) in [("P1M", (1, 0)), ("PT1H30M0.5S", (0, 5_400_500)), ("-P14MT1S", (-14, -1000))] {
            let Some(Value::Duration { months, ms }) = read_duration(text) else { panic!("{text}") };
            assert_eq!((months, ms), expect, "{text}");
            assert_eq!(show_duration(months, ms).as_deref(), Some(text));
        }
        assert_eq!(read_duration("P1Y2M1W1DT1H"), Some(Value::Duration { months: 14, ms: 8 * MS_PER_DAY + 3_600_000 }));
        assert_eq!(show_duration(1, -1), None);
        for text in ["", ".", "-", "1e3", "--1", "1.-5", "+1", "1,5"] {
            assert_eq!(read_decimal(text), None, "{text}");
        }
        for (text, shown) in [("1.50", "1.5"), ("-0.05", "-0.05"), ("12345678901234567890", "12345678901234567890")] {
            let Some(Value::Decimal(decimal)) = read_decimal(text) else { panic!("{text}") };
            assert_eq!(decimal.to_string(), shown);
        }
    }
}
