//! Calendars.
//!
//! calcard's own reading of a file is the reference: whatever component and property it finds must be in our rows, and come
//! out again.

use calcard::{
    Entry, Parser,
    icalendar::{
        ICalendar, ICalendarComponentType, ICalendarEntry, ICalendarParameterValue, ICalendarProperty, ICalendarValue,
    },
};
use std::{collections::BTreeMap, fs};
use tandem::exchange::{
    Rejected, Row,
    ical::{CALENDAR, DEFAULT_LINES, Field, columns},
    ical_read::Calendars,
    ical_write::CalendarWriter,
};
use tandem_storage::field_type::fits;

/// Files without a calendar: noise.
const NOT_READ: [&str; 2] = ["049.ics", "050.ics"];

/// Files in which calcard finds no calendar, since only returns end their lines.
const OLD_LINES: std::ops::RangeInclusive<&str> = "459.ics"..="467.ics";

/// Damaged files that calcard reads other properties of: ours have more.
const READ_OTHERWISE: [&str; 3] = [
    "110.ics", // Names of properties go on behind an empty line.
    "168.ics", // Characters are cut in two where lines are, and some lines are no UTF-8.
    "631.ics", // A text goes on in lines that are not folded.
];

#[test]
fn nothing_of_a_calendar_is_lost() {
    let mut not_read = Vec::new();
    let mut counts = BTreeMap::new();
    let columns = columns();
    for path in super::files("ical", "ics", 900) {
        let name = super::name_of(&path);
        let bytes = fs::read(&path).unwrap();
        let reference = components(&text_of(&bytes));
        if reference.is_empty() && !OLD_LINES.contains(&name.as_str()) {
            let reason = import(&bytes).unwrap_err();
            assert!(reason.starts_with("the file holds no calendar (no line BEGIN:VCALENDAR)"), "{name}: {reason}");
            not_read.push(name);
            continue;
        }
        // A return alone is none of a text, but between lines; and zero bytes are nothing.
        let text = text_of(&bytes).replace('\0', "");
        let text = if reference.is_empty() { text.replace('\r', "\n") } else { text.replace('\r', "") };
        let reference = components(&text);
        let (rows, rejected) = import(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = export(&rows);
        if !rows.is_empty() {
            let (again, left_out) = import(&written).unwrap_or_else(|error| panic!("{name}, written: {error}"));
            assert_eq!(left_out, [], "{name}: rejected of what was written");
            super::assert_same_rows(&name, &rows, &again);
        }
        if !READ_OTHERWISE.contains(&name.as_str()) {
            assert_same_components(&name, &reference, &components(&String::from_utf8(written).unwrap()));
        }
        for cell in rows.iter().flat_map(|row| &row.cells) {
            assert!(fits(&columns[cell.column].ty, &cell.part, &cell.value), "{name}: {cell:?} is raw");
        }
        let has = |field: Field| move |row: &&Row| row.cells.iter().any(|cell| cell.column == field.index());
        *counts.entry("files").or_insert(0) += 1;
        *counts.entry("entries").or_insert(0) += rows.len();
        for field in [Field::Start, Field::Attendees, Field::Recurrence, Field::NotOn] {
            *counts.entry(field.name()).or_insert(0) += rows.iter().filter(has(field)).count();
        }
        *counts.entry("rejected pieces").or_insert(0) += rejected.len();
    }
    println!("{counts:?}");
    println!("not read: {not_read:?}");
    assert_eq!(not_read, NOT_READ);
}

/// Damaged calendars are read without panic, and what is read of them survives being written.
#[test]
fn damaged_calendars_survive_as_rows() {
    let tokens = [
        ";",
        ":",
        "\\",
        "=",
        "\"",
        ",",
        "\n",
        "\r\n ",
        "BEGIN:VEVENT\n",
        "END:VEVENT\n",
        "END:VCALENDAR\n",
        "BEGIN:VCALENDAR\n",
        "TZID=",
        "é",
        "\u{feff}",
        "20210101",
    ];
    for (context, damaged) in super::damaged(&super::files("ical", "ics", 900), &tokens) {
        if let Ok((rows, _)) = import(&damaged) {
            let again =
                if rows.is_empty() { (Vec::new(), Vec::new()) } else { import(&export(&rows)).unwrap_or_default() };
            super::assert_same_rows(&context, &rows, &again.0);
        }
    }
}

/// A component of a calendar, or of another component.
#[derive(Debug, Clone, PartialEq)]
struct Component {
    path: Vec<ICalendarComponentType>,
    entries: Vec<ICalendarEntry>,
}

/// Every component and every property is in `ours`, with the same meaning.
fn assert_same_components(context: &str, reference: &[Component], ours: &[Component]) {
    let (reference, mut rest) = (told(reference), told(ours));
    for component in reference {
        let found = rest.iter().position(|other| *other == component);
        let found = found.unwrap_or_else(|| {
            let alike = rest.iter().filter(|other| other.path == component.path);
            let lacks = |other: &Component| {
                let lacks = component.entries.iter().filter(|entry| !other.entries.contains(entry));
                lacks.cloned().collect::<Vec<_>>()
            };
            let least = alike.map(lacks).min_by_key(Vec::len);
            panic!("{context}: lost of a {:?}: {least:#?}", component.path)
        });
        rest.remove(found);
    }
    assert!(rest.is_empty(), "{context}: invented {rest:#?}");
}

/// Without what means nothing: the order of properties, and calendars that say nothing of themselves.
fn told(components: &[Component]) -> Vec<Component> {
    let default: Vec<ICalendarEntry> =
        self::components(&format!("BEGIN:VCALENDAR\n{}\nEND:VCALENDAR", DEFAULT_LINES.join("\n"))).remove(0).entries;
    let told = components.iter().map(|component| {
        let mut entries: Vec<ICalendarEntry> = component.entries.iter().flat_map(one_by_one).collect();
        entries.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        Component { entries, path: component.path.clone() }
    });
    let mut default = default;
    default.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
    let is_calendar = |component: &Component| component.path.last() == Some(&ICalendarComponentType::VCalendar);
    let says_nothing = |component: &Component| {
        is_calendar(component) && (component.entries.is_empty() || component.entries == default)
    };
    told.filter(|component| !says_nothing(component)).collect()
}

/// Several dates of one line are a line each; and where a line is folded behind a parameter, calcard takes the blank for a
/// part of it.
fn one_by_one(entry: &ICalendarEntry) -> Vec<ICalendarEntry> {
    let mut entry = entry.clone();
    for param in &mut entry.params {
        if let ICalendarParameterValue::Text(text) = &mut param.value {
            *text = text.trim().to_owned();
        }
    }
    if !matches!(entry.name, ICalendarProperty::Exdate | ICalendarProperty::Rdate) || entry.values.len() < 2 {
        return vec![entry];
    }
    let one = |value: &ICalendarValue| ICalendarEntry { values: vec![value.clone()], ..entry.clone() };
    entry.values.iter().map(one).collect()
}

/// As we read it: lines that are no UTF-8 are Windows-1252.
fn text_of(bytes: &[u8]) -> String {
    let windows = |line: &[u8]| encoding_rs::WINDOWS_1252.decode_without_bom_handling(line).0.into_owned();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| String::from_utf8(line.to_vec()).unwrap_or_else(|_| windows(line))).collect()
}

fn components(text: &str) -> Vec<Component> {
    let mut parser = Parser::new(text);
    let mut components = Vec::new();
    loop {
        match parser.entry() {
            Entry::ICalendar(calendar) => add(&calendar, 0, &[], &mut components),
            Entry::Eof => return components,
            _other => {}
        }
    }
}

fn add(calendar: &ICalendar, index: usize, above: &[ICalendarComponentType], out: &mut Vec<Component>) {
    let component = &calendar.components[index];
    let mut path = above.to_vec();
    path.push(match &component.component_type {
        ICalendarComponentType::Other(name) => ICalendarComponentType::Other(name.trim().to_uppercase()),
        known => known.clone(),
    });
    // Whether an entry stands in a calendar that says nothing of itself means nothing.
    if path[0] == ICalendarComponentType::VCalendar && path.len() > 1 {
        path.remove(0);
    }
    out.push(Component { path: path.clone(), entries: component.entries.clone() });
    let above = if component.component_type == ICalendarComponentType::VCalendar { Vec::new() } else { path };
    component.component_ids.iter().for_each(|id| add(calendar, *id as usize, &above, out));
}

fn import(bytes: &[u8]) -> Result<(Vec<Row>, Vec<Rejected>), String> {
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    for entry in Calendars::open(bytes).map_err(|error| error.to_string())? {
        match entry.map_err(|error| error.to_string())? {
            Ok(row) => rows.push(row),
            Err(piece) => rejected.push(piece),
        }
    }
    Ok((rows, rejected))
}

fn export(rows: &[Row]) -> Vec<u8> {
    let mut writer = CalendarWriter::new(Vec::new());
    rows.iter().for_each(|row| writer.write(&row.cells).unwrap());
    writer.finish().unwrap()
}

#[test]
fn a_calendar_is_a_record_where_it_says_something_of_itself() {
    let text = "BEGIN:VCALENDAR\nVERSION:2.0\nX-WR-CALNAME:Team\nBEGIN:VEVENT\nUID:1\nEND:VEVENT\nEND:VCALENDAR\n";
    let (rows, _) = import(text.as_bytes()).unwrap();
    let kind =
        |row: &Row| row.cells.iter().find(|cell| cell.column == Field::Kind.index()).map(|cell| cell.value.clone());
    let kinds: Vec<_> = rows.iter().filter_map(kind).collect();
    assert_eq!(kinds, [CALENDAR, "event"].map(|kind| tandem_wire::Value::Text(kind.into())));
}
