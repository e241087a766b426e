//! One property of an entry: its line, and the values that it has in our columns.
//!
//! [`read`] gives values only where [`write`] makes the same line of them: where it would be another one, the line stays
//! beside the value.

use super::{content_lines::is_quoted_printable, element::Element, ical::Field, ical_time, text_form};
use tandem_storage::composite::{self, Parts, VERBATIM};
use tandem_wire::{Value, design::BaseType};

/// A line, cut where its name and its value end.
struct Line<'l> {
    name: &'l str,
    /// From the first `;` on; empty where there are none.
    params: &'l str,
    value: &'l str,
}

impl<'l> Line<'l> {
    fn of(line: &'l str) -> Option<Self> {
        let mut is_quoted = false;
        let colon = line.bytes().position(|byte| {
            is_quoted ^= byte == b'"';
            byte == b':' && !is_quoted
        })?;
        let (head, value) = (&line[..colon], &line[colon + 1..]);
        let end = head.find(';').unwrap_or(head.len());
        Some(Self { name: &head[..end], params: &head[end..], value })
    }

    /// The value of a parameter.
    fn param(&self, name: &str) -> Option<&'l str> {
        let params = self.params.split(';').filter_map(|param| param.split_once('='));
        params.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_matches('"'))
    }
}

/// A property of an entry of a kind: the field that it is, and one element, but of several values as many as it names.
pub(super) fn read(line: &str, kind: &str, is_all_day: bool) -> Option<(Field, Vec<Element>)> {
    let cut = Line::of(line)?;
    let field = Field::of(cut.name, kind)?;
    if is_quoted_printable(line) || cut.param("ENCODING").is_some() {
        return None;
    }
    let with_line = |value: Value, line: &str| {
        let is_its_own = canonical(field, kind, std::slice::from_ref(&value), is_all_day).as_deref() == Some(line);
        let mut element = plain(field, value);
        if !is_its_own {
            element.push(VERBATIM, Value::Text(line.to_owned()));
        }
        element
    };
    match field {
        Field::Categories => {
            let values = split_texts(cut.value)?.into_iter().map(Value::Text).collect::<Vec<_>>();
            let is_its_own = canonical(field, kind, &values, is_all_day).as_deref() == Some(line);
            is_its_own.then(|| (field, values.into_iter().map(Element::plain).collect()))
        }
        Field::AlsoOn | Field::NotOn => {
            let head = &line[..line.len() - cut.value.len()];
            let one =
                |text: &str| Some(with_line(value(field, &Line { value: text, ..cut })?, &format!("{head}{text}")));
            Some((field, cut.value.split(',').map(one).collect::<Option<_>>()?))
        }
        Field::Url => {
            // No other string may stand beside a link than one that is read as one.
            let value = value(field, &cut)?;
            let is_its_own = canonical(field, kind, std::slice::from_ref(&value), is_all_day).as_deref() == Some(line);
            is_its_own.then(|| (field, vec![plain(field, value)]))
        }
        _one => Some((field, vec![with_line(value(field, &cut)?, line)])),
    }
}

/// Whether a line of DTSTART has a date, and no time.
pub(super) fn is_all_day(line: &str) -> bool {
    let start = Line::of(line).filter(|cut| cut.name.eq_ignore_ascii_case("DTSTART"));
    start.and_then(|cut| ical_time::read(cut.value, None)).is_some_and(|time| time.is_date)
}

/// The lines of a field with these elements.
pub(super) fn write(field: Field, kind: &str, elements: &[Element], is_all_day: bool) -> Vec<String> {
    let values: Vec<Value> = elements.iter().filter_map(|element| element.value(part_of(field)).cloned()).collect();
    if field == Field::Categories {
        return canonical(field, kind, &values, is_all_day).into_iter().collect();
    }
    let line = |element: &Element| {
        let value = element.value(part_of(field))?;
        // A line is one, whatever somebody wrote there.
        let kept = Some(element.text(VERBATIM)).filter(|kept| !kept.contains(['\r', '\n'])).unwrap_or_default();
        let says_it = || {
            let read = read(&kept, kind, is_all_day).filter(|(of, _)| *of == field)?;
            Some(matches!(&read.1[..], [one] if one.value(part_of(field)) == Some(value)))
        };
        let is_of_its_kind = field != Field::Start || self::is_all_day(&kept) == is_all_day;
        match is_of_its_kind && !kept.is_empty() && says_it() == Some(true) {
            true => Some(kept),
            false => canonical(field, kind, std::slice::from_ref(value), is_all_day),
        }
    };
    elements.iter().filter_map(line).collect()
}

/// The part of an element that has its value.
fn part_of(field: Field) -> &'static str {
    if field == Field::Url { "url" } else { Element::PLAIN }
}

fn plain(field: Field, value: Value) -> Element {
    let mut element = Element::default();
    element.push(part_of(field), value);
    element
}

/// What a line says.
fn value(field: Field, line: &Line<'_>) -> Option<Value> {
    let text = line.value;
    let value = match field {
        Field::Start | Field::End | Field::Due | Field::Completed | Field::AlsoOn | Field::NotOn => {
            let time = ical_time::read(text, line.param("TZID"))?;
            Value::DateTime { ms: time.ms, zone: time.zone }
        }
        Field::Duration => Value::Duration { months: 0, ms: ical_time::read_span(text)? },
        Field::Priority | Field::Progress => Value::Int(text.parse().ok()?),
        Field::Organizer | Field::Attendees => {
            let address = text.get(..MAILTO.len()).filter(|scheme| scheme.eq_ignore_ascii_case(MAILTO));
            let address = address.map(|_| &text[MAILTO.len()..])?;
            let parts = Parts::from([("email", Value::Text(address.to_owned()))]);
            let user = composite::of(BaseType::User)?;
            let written = user.write(&parts, "")?;
            user.read(&written)?.contains_key("email").then_some(Value::Text(written))?
        }
        Field::Position => {
            let point = text.replacen(';', ",", 1);
            composite::reads(BaseType::GeoPoint, &point).then_some(Value::Text(point))?
        }
        Field::Recurrence => Value::Text(text.to_owned()),
        Field::Url => composite::reads(BaseType::Url, text).then(|| Value::Text(text.to_owned()))?,
        Field::Summary | Field::Location | Field::Description | Field::Status | Field::Uid => {
            Value::Text(unescape(text))
        }
        Field::Calendar | Field::Kind | Field::AllDay | Field::Categories | Field::Other => return None,
    };
    (value != Value::Text(String::new())).then_some(value)
}

const MAILTO: &str = "mailto:";

/// The line of these values, of which there are several only where one line has them all.
fn canonical(field: Field, kind: &str, values: &[Value], is_all_day: bool) -> Option<String> {
    let name = field.property(kind)?;
    let [value, ..] = values else { return None };
    let text = text_form::show(value);
    let rest = match (field, value) {
        (Field::Categories, _) => {
            let texts: Vec<String> = values.iter().map(|value| escape(&text_form::show(value))).collect();
            format!(":{}", texts.join(","))
        }
        (_, Value::DateTime { ms, zone }) => ical_time::write(*ms, zone, is_all_day)?,
        (_, Value::Duration { months: 0, ms }) => format!(":{}", ical_time::write_span(*ms)),
        (_, Value::Duration { .. }) => return None,
        (Field::Organizer | Field::Attendees, _) => {
            let parts = composite::of(BaseType::User)?.read(&text).unwrap_or_default();
            match (parts.get("email"), parts.get("label")) {
                (Some(Value::Text(email)), _) => format!(":{MAILTO}{}", one_line(email)),
                // Somebody without an address is nobody whom a calendar can name, but by a name.
                (_, Some(Value::Text(label))) => format!(";CN={}:invalid:nomail", quoted(label)),
                _nobody => return None,
            }
        }
        (Field::Position, _) => format!(":{}", one_line(&text).replacen(',', ";", 1)),
        (Field::Recurrence | Field::Url, _) => format!(":{}", one_line(&text)),
        _text => format!(":{}", escape(&text)),
    };
    Some(format!("{name}{rest}"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(&text.replace('"', "'")))
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// RFC 5545 §3.3.11.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,");
    text.replace("\r\n", "\\n").replace(['\n', '\r'], "\\n")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other @ (';' | ',' | '\\')) => out.push(other),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

/// Texts between commas; nothing where one says nothing.
fn split_texts(text: &str) -> Option<Vec<String>> {
    let (mut texts, mut from, mut is_escaped) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        if byte == b',' && !is_escaped {
            texts.push(unescape(&text[from..at]));
            from = at + 1;
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    texts.push(unescape(&text[from..]));
    texts.iter().all(|text| !text.is_empty()).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_property_goes_back_as_it_came() {
        let check = |line: &str, is_known: bool| {
            let is_all_day = is_all_day(line);
            let read = read(line, "event", is_all_day);
            assert_eq!(read.is_some(), is_known, "{line}");
            if let Some((field, elements)) = read {
                let again = write(field, "event", &elements, is_all_day).join("|");
                assert_eq!(again, line);
            }
        };
        for line in [
            "SUMMARY:Lunch\\, or not",
            "SUMMARY;LANGUAGE=en:yo",
            "Summary:odd case",
            "DESCRIPTION:one\\ntwo\\Nthree",
            "DTSTART;TZID=\"Europe/Berlin\":20210325T103500",
            "DTSTART;TZID=Eastern:20050411T090000",
            "DTSTART;VALUE=DATE:20210325",
            "DTSTART:20210325T103500",
            "DURATION:P1W",
            "ATTENDEE;CN=\"Doe: Jane\";PARTSTAT=ACCEPTED:MAILTO:jane@x.org",
            "ORGANIZER:mailto:a@x.org",
            "GEO:37.386013;-122.082932",
            "RRULE:FREQ=WEEKLY;BYDAY=MO",
            "CATEGORIES:a,b\\,c",
            "URL:https://x.org/a,b",
            "EXDATE;VALUE=DATE:20210325",
            "PRIORITY:05",
        ] {
            check(line, true);
        }
        for line in [
            "SUMMARY:",
            "SUMMARY;ENCODING=QUOTED-PRINTABLE:a=20b",
            "ATTENDEE:urn:uuid:1",
            "URL;VALUE=URI:https://x.org",
            "CATEGORIES:a,,b",
            "DTSTART:tomorrow",
            "RDATE;VALUE=PERIOD:20210325T103500Z/PT1H",
            "X-SOMETHING:else",
            "no colon",
        ] {
            check(line, false);
        }
    }

    #[test]
    fn several_dates_of_one_line_are_several() {
        let (_, elements) = read("EXDATE;TZID=Eastern:20210325T103500,20210326T103500", "event", false).unwrap();
        let lines = write(Field::NotOn, "event", &elements, false);
        assert_eq!(lines, ["EXDATE;TZID=Eastern:20210325T103500", "EXDATE;TZID=Eastern:20210326T103500"]);
    }

    #[test]
    fn what_was_edited_is_written_anew() {
        let check = |line: &str, value: Value, is_all_day: bool, expect: &str| {
            let (field, mut elements) = read(line, "event", false).unwrap();
            let mut edited = Element::plain(value);
            elements[0].parts().iter().skip(1).for_each(|(part, value)| edited.push(part, value.clone()));
            elements[0] = edited;
            assert_eq!(write(field, "event", &elements, is_all_day), [expect]);
        };
        let day = |ms| Value::DateTime { ms, zone: String::new() };
        check("SUMMARY;LANGUAGE=en:yo", Value::Text("hi".into()), false, "SUMMARY:hi");
        check("DTSTART;VALUE=DATE:19700102", day(86_400_000), true, "DTSTART;VALUE=DATE:19700102");
        check("DTSTART;VALUE=DATE:19700102", day(86_400_000), false, "DTSTART:19700102T000000Z");
        check("DTSTART:19700102T000000", day(86_400_000), true, "DTSTART;VALUE=DATE:19700102");
        let two_lines = "SUMMARY:x\nEND:VEVENT";
        let mut element = Element::plain(Value::Text("x\nEND:VEVENT".into()));
        element.push(VERBATIM, Value::Text(two_lines.into()));
        assert_eq!(write(Field::Summary, "event", &[element], false), ["SUMMARY:x\\nEND:VEVENT"]);
        let in_berlin = Value::DateTime { ms: 82_800_000, zone: "Europe/Berlin".into() };
        check("DTSTART:19700102T000000", in_berlin, true, "DTSTART;VALUE=DATE:19700102");
        let user = || Value::Text("7;#Zoë \"Z\" Doe".into());
        check("ORGANIZER:mailto:a@x.org", user(), false, "ORGANIZER;CN=\"Zoë 'Z' Doe\":invalid:nomail");
    }

    proptest! {
        #[test]
        fn any_line_goes_back_as_it_came(
            name in prop::sample::select(vec!["SUMMARY", "DTSTART", "ATTENDEE", "EXDATE", "GEO", "CATEGORIES", "DURATION", "URL"]),
            rest in r#"[;:][;:,\\"A-Za-z0-9@.=TZ -]{0,24}"#,
            is_all_day in any::<bool>(),
        ) {
            let line = format!("{name}{rest}");
            if let Some((field, elements)) = read(&line, "event", is_all_day) {
                let again = write(field, "event", &elements, is_all_day);
                let back: Vec<Element> =
                    again.iter().flat_map(|line| read(line, "event", is_all_day).unwrap().1).collect();
                prop_assert_eq!(back, elements.clone());
                prop_assert!(again.len() > 1 || field == Field::Start || again[0] == line, "{:?}", again);
            }
        }
    }
}
