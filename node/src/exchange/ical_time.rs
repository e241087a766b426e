//! Times and spans as iCalendar writes them (RFC 5545 §3.3.4 to §3.3.6).

use calcard::common::timezone::Tz;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use std::str::FromStr;
use tandem_storage::guard::guarded;
use tandem_wire::limits::ZONE_BYTES_MAX;

const MS_PER_S: i64 = 1_000;
const MS_PER_DAY: i64 = 86_400 * MS_PER_S;
/// The longest name of a zone that is looked up.
const NAME_BYTES_MAX: usize = 256;

/// A time that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Time {
    /// Milliseconds since 1970.
    pub(super) ms: i64,
    /// The IANA name of its zone; empty for UTC, and for what has none that is known.
    pub(super) zone: String,
    /// Whether it is a date alone.
    pub(super) is_date: bool,
}

/// A date or a time, in the zone that a TZID names.
pub(super) fn read(text: &str, tzid: Option<&str>) -> Option<Time> {
    if !text.is_ascii() {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<i16>().ok()
    };
    let small = |range| number(range).and_then(|number| i8::try_from(number).ok());
    let (year, month, day) = (number(0..4)?, small(4..6)?, small(6..8)?);
    let is_date = text.len() == 8;
    let (hour, minute, second) = match text.as_bytes().get(8) {
        None => (0, 0, 0),
        Some(b'T') if text.len() == 15 || (text.len() == 16 && text.ends_with('Z')) => {
            (small(9..11)?, small(11..13)?, small(13..15)?)
        }
        Some(_) => return None,
    };
    let local = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let zone = tzid.filter(|_| !is_date && !text.ends_with('Z')).and_then(zone_of);
    let (zone, name) = zone.unwrap_or((TimeZone::UTC, String::new()));
    let ms = zone.to_timestamp(local).ok()?.as_millisecond();
    Some(Time { ms, zone: name, is_date })
}

const MIDNIGHT: &str = "000000";

/// Parameters, if any, colon and value of a time; as a date, where that is asked for and it is midnight in its zone.
pub(super) fn write(ms: i64, zone: &str, as_date: bool) -> Option<String> {
    let at = Timestamp::from_millisecond(ms).ok()?;
    let digits = |zone: TimeZone| {
        let local = at.to_zoned(zone).datetime();
        let date = format!("{:04}{:02}{:02}", local.year(), local.month(), local.day());
        (local.year() >= 0).then(|| (date, format!("{:02}{:02}{:02}", local.hour(), local.minute(), local.second())))
    };
    let known = zone_named(zone);
    let is_utc = known.is_none();
    let (date, time) = digits(known.unwrap_or(TimeZone::UTC))?;
    Some(match (as_date && time == MIDNIGHT, is_utc) {
        (true, _) => format!(";VALUE=DATE:{date}"),
        (false, true) => format!(":{date}T{time}Z"),
        (false, false) => format!(";TZID={zone}:{date}T{time}"),
    })
}

/// The zone that a TZID means, where it is one that is known, and its IANA name.
fn zone_of(tzid: &str) -> Option<(TimeZone, String)> {
    if tzid.len() > NAME_BYTES_MAX {
        return None;
    }
    // Names of Windows and of many programs are known there.
    let name = zone_named(tzid).map(|_| tzid.to_owned()).or_else(|| {
        let known = guarded(|| Tz::from_str(tzid).ok()?.name().map(|name| name.into_owned())).ok()??;
        Some(known)
    })?;
    Some((zone_named(&name)?, name))
}

/// The zone of an IANA name, as the name is written there.
fn zone_named(name: &str) -> Option<TimeZone> {
    let is_short = !name.is_empty() && name.len() <= ZONE_BYTES_MAX;
    TimeZone::get(name).ok().filter(|zone| is_short && zone.iana_name() == Some(name))
}

/// A span in milliseconds.
pub(super) fn read_span(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, times) = rest.split_once('T').unwrap_or((rest, ""));
    if rest.is_empty() || rest.ends_with('T') {
        return None;
    }
    let mut ms = 0_i64;
    for (part, units) in [(days, &[('W', 7 * MS_PER_DAY), ('D', MS_PER_DAY)][..]), (times, &TIME_UNITS[..])] {
        let mut rest = part;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let count: i64 = rest[..digits].parse().ok()?;
            let letter = rest[digits..].chars().next()?;
            let (_, unit) = units.iter().find(|(name, _)| *name == letter)?;
            ms = ms.checked_add(count.checked_mul(*unit)?)?;
            rest = &rest[digits + letter.len_utf8()..];
        }
    }
    Some(sign * ms)
}

const TIME_UNITS: [(char, i64); 3] = [('H', 3_600 * MS_PER_S), ('M', 60 * MS_PER_S), ('S', MS_PER_S)];

/// A span of whole seconds.
pub(super) fn write_span(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let mut rest = ms.unsigned_abs();
    let mut text = String::new();
    let days = rest / MS_PER_DAY as u64;
    rest %= MS_PER_DAY as u64;
    if days > 0 {
        text.push_str(&format!("{days}D"));
    }
    let mut times = String::new();
    for (name, unit) in TIME_UNITS {
        let count = rest / unit as u64;
        rest %= unit as u64;
        if count > 0 {
            times.push_str(&format!("{count}{name}"));
        }
    }
    match (text.is_empty(), times.is_empty()) {
        (true, true) => "PT0S".to_owned(),
        (_, true) => format!("{sign}P{text}"),
        (_, false) => format!("{sign}P{text}T{times}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_in_their_zones() {
        let check = |text: &str, tzid: Option<&str>, expect: Option<(&str, &str, bool)>| {
            let read = read(text, tzid)
                .map(|time| (Timestamp::from_millisecond(time.ms).unwrap().to_string(), time.zone, time.is_date));
            let expect = expect.map(|(at, zone, is_date)| (at.to_owned(), zone.to_owned(), is_date));
            assert_eq!(read, expect, "{text} {tzid:?}");
        };
        check("20210325T103500Z", None, Some(("2021-03-25T10:35:00Z", "", false)));
        check("20210325T103500", Some("Europe/Berlin"), Some(("2021-03-25T09:35:00Z", "Europe/Berlin", false)));
        check(
            "20210725T103500",
            Some("W. Europe Standard Time"),
            Some(("2021-07-25T08:35:00Z", "Europe/Berlin", false)),
        );
        check("20210325", Some("Europe/Berlin"), Some(("2021-03-25T00:00:00Z", "", true)));
        // As if in UTC.
        check("20210325T103500", None, Some(("2021-03-25T10:35:00Z", "", false)));
        check("20210325T103500", Some("Customized Time Zone 1"), Some(("2021-03-25T10:35:00Z", "", false)));
        for bad in ["20210230", "2021-03-25", "20210325T250000Z", "20210325T1035", "ä", "", "20210325T103500ZZ"] {
            check(bad, None, None);
        }
    }

    #[test]
    fn spans() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(read_span(text), expect, "{text}");
        check("PT15M", Some(900_000));
        check("-P1DT2H", Some(-93_600_000));
        check("P2W", Some(14 * MS_PER_DAY));
        check("PT0S", Some(0));
        for bad in ["", "P", "PT", "P1", "1D", "PT1X", "P1H", "P99999999999999999999D", "P1ä"] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(s in -10_000_000_000_i64..100_000_000_000, zone in prop::sample::select(vec!["", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])) {
            let ms = s * MS_PER_S;
            let text = write(ms, zone, false).unwrap();
            let (head, value) = text.split_once(':').unwrap();
            let again = read(value, head.strip_prefix(";TZID=")).unwrap();
            // In the hour that comes twice the first is meant.
            let is_twice = again.ms != ms && (again.ms - ms).abs() <= 3_600 * MS_PER_S;
            prop_assert!(again.ms == ms || is_twice, "{text}");
            prop_assert_eq!(again.zone, zone);
            prop_assert_eq!(read_span(&write_span(ms)), Some(ms));
        }
    }
}
