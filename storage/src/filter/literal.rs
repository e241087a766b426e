//! Days, instants and spans of time as they are written in quotes.

use super::term::Term;
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

const EPOCH: Date = Date::constant(1970, 1, 1);

/// A day, `2024-05-01`.
pub(crate) fn date(text: &str) -> Option<Term<'static>> {
    if text.len() != "2024-05-01".len() {
        return None;
    }
    let date = Date::strptime("%Y-%m-%d", text).ok()?;
    Some(Term::Date(date.since(EPOCH).ok()?.get_days()))
}

/// An instant, `2024-05-01T10:30:00Z` or with an offset; without either it is in UTC. Finer than milliseconds is none.
pub(crate) fn date_time(text: &str) -> Option<Term<'static>> {
    if text.contains('[') || date(text).is_some() {
        return None;
    }
    let instant = match text.parse::<Timestamp>() {
        Ok(instant) => instant,
        Err(_) => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    (instant.subsec_nanosecond() % 1_000_000 == 0).then(|| Term::DateTime(instant.as_millisecond()))
}

/// A span of time, `1h30m`, `250ms`, `-7d`; `y` and `mo` are of the calendar, `w` and `d` are 7 × 24 and 24 hours.
pub(crate) fn duration(text: &str) -> Option<Term<'static>> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if rest.is_empty() {
        return None;
    }
    let (mut months, mut ms) = (0i32, 0i64);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|char: char| !char.is_ascii_digit() && char != '.')?);
        let (unit, after) = after.split_at(after.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(after.len()));
        let unit_ms: i64 = match unit {
            "y" | "mo" => {
                let unit_months = if unit == "y" { 12 } else { 1 };
                months = months.checked_add(number.parse::<i32>().ok()?.checked_mul(unit_months)?)?;
                rest = after;
                continue;
            }
            "w" => 7 * 86_400_000,
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        ms = ms.checked_add(scaled(number, unit_ms)?)?;
        rest = after;
    }
    Some(Term::Duration { months: sign * months, ms: i64::from(sign) * ms })
}

/// `number × unit`, where that is a whole number.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 9)?;
    let part = i128::from(fraction.parse::<u64>().ok()?) * i128::from(unit);
    let one = 10i128.pow(places);
    let whole = i128::from(whole.parse::<u64>().ok()?).checked_mul(unit.into())?;
    if part % one != 0 { None } else { i64::try_from(whole + part / one).ok() }
}

/// The day with this number, in the calendar.
pub(super) fn civil(days: i64) -> Option<Date> {
    let days = i32::try_from(days).ok()?;
    EPOCH.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

/// A day some months and days later.
pub(super) fn later(days: i32, months: i32, more_days: i64) -> Option<i32> {
    let moved = if months == 0 {
        i64::from(days)
    } else {
        let date = civil(days.into())?.checked_add(jiff::Span::new().try_months(months).ok()?).ok()?;
        date.since(EPOCH).ok()?.get_days().into()
    };
    i32::try_from(moved.checked_add(more_days)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants() {
        assert_eq!(date("1970-01-02"), Some(Term::Date(1)));
        assert_eq!(date("1969-12-31"), Some(Term::Date(-1)));
        for bad in ["2024-02-30", "2024-5-1", "01.05.2024", "2024-05-01T00:00:00Z", ""] {
            assert_eq!(date(bad), None, "{bad}");
        }
        assert_eq!(date_time("1970-01-01T00:00:01.5Z"), Some(Term::DateTime(1500)));
        assert_eq!(date_time("1970-01-01T02:00:00+02:00"), Some(Term::DateTime(0)));
        assert_eq!(date_time("1970-01-01T00:01"), Some(Term::DateTime(60_000)));
        assert_eq!(date_time("1970-01-01 00:01:00"), Some(Term::DateTime(60_000)));
        for bad in
            ["1970-01-01", "1970-01-01T25:00:00Z", "1970-01-01T00:00:00.0001Z", "x", "1970-01-01T00:00[Europe/Berlin]"]
        {
            assert_eq!(date_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn spans() {
        let check = |text: &str, months, ms| assert_eq!(duration(text), Some(Term::Duration { months, ms }), "{text}");
        check("1h30m", 0, 5_400_000);
        check("1.5h", 0, 5_400_000);
        check("-250ms", 0, -250);
        check("1y2mo", 14, 0);
        check("1w1d", 0, 8 * 86_400_000);
        for bad in ["", "-", "5", "h", "1 h", "1.5mo", "0.1ms", "99999999999999999999h", "1x", "1..5h", "3000000000mo"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn months_are_of_the_calendar() {
        let Some(Term::Date(january)) = date("2024-01-31") else { panic!() };
        let Some(Term::Date(february)) = date("2024-02-29") else { panic!() };
        assert_eq!(later(january, 1, 0), Some(february));
        assert_eq!(later(january, 0, 29), Some(february));
        assert_eq!(later(i32::MAX, 0, 1), None);
        assert_eq!(later(i32::MAX, 1, 0), None);
    }
}
