//! Calendars from rows in the columns of [`super::ical`].

use super::{
    Cell,
    content_lines::write_line,
    element::{Element, by_column},
    ical::{CALENDAR, DEFAULT_LINES, Field, VERSION, component_of},
    ical_lines::{begun, ended},
    ical_property,
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};
use tandem_wire::Value;

/// Writes entries as calendars: those of one calendar have to come one after the other.
pub struct CalendarWriter<W> {
    out: W,
    /// The calendar that has begun.
    calendar: Option<String>,
}

impl<W: Write> CalendarWriter<W> {
    /// Writes to `out`, which may well be buffered.
    pub fn new(out: W) -> Self {
        Self { out, calendar: None }
    }

    /// Writes an entry of these cells, given in any order.
    pub fn write(&mut self, cells: &[Cell]) -> io::Result<()> {
        let entry = Entry::of(cells);
        let (calendar, kind) = (entry.text(Field::Calendar), entry.text(Field::Kind));
        let is_calendar = kind == CALENDAR;
        if self.calendar.as_deref() != Some(&calendar) {
            self.end()?;
            self.line("BEGIN:VCALENDAR")?;
            if !is_calendar || calendar.is_empty() {
                DEFAULT_LINES.iter().try_for_each(|line| self.line(line))?;
            }
            self.calendar = Some(calendar);
        }
        let component = component_of(&kind);
        if !is_calendar {
            self.line(&format!("BEGIN:{component}"))?;
        }
        entry.lines(&kind).iter().try_for_each(|line| self.line(line))?;
        if is_calendar { Ok(()) } else { self.line(&format!("END:{component}")) }
    }

    /// Ends the last calendar, flushes the output, and gives it back.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn end(&mut self) -> io::Result<()> {
        if self.calendar.take().is_some() { self.line("END:VCALENDAR") } else { Ok(()) }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        write_line(&mut self.out, line)
    }
}

/// The calendar that an entry of these cells is in.
pub fn calendar_of(cells: &[Cell]) -> String {
    Entry::of(cells).text(Field::Calendar)
}

/// The cells of an entry, put together again.
struct Entry(BTreeMap<usize, Vec<Element>>);

impl Entry {
    fn of(cells: &[Cell]) -> Self {
        let is_many = |column: usize| Field::ALL.get(column).is_some_and(|field| field.ty().many);
        Self(by_column(cells, is_many, Field::Other.index()))
    }

    fn elements(&self, field: Field) -> &[Element] {
        self.0.get(&field.index()).map(Vec::as_slice).unwrap_or_default()
    }

    fn text(&self, field: Field) -> String {
        self.elements(field).first().map(|element| element.text(Element::PLAIN)).unwrap_or_default()
    }

    /// All lines but BEGIN and END.
    fn lines(&self, kind: &str) -> Vec<String> {
        let all_day = self.elements(Field::AllDay).first().and_then(|element| element.value(Element::PLAIN));
        let is_all_day = all_day == Some(&Value::Bool(true));
        let lines = |field: Field| ical_property::write(field, kind, self.elements(field), is_all_day);
        let known = Field::ALL.into_iter().filter(|field| *field != Field::Other).flat_map(lines);
        let others = self.elements(Field::Other).iter().map(|element| element.text(Element::PLAIN));
        // VERSION is expected first; of all else the first counts where there are several.
        let (first, rest): (Vec<_>, Vec<_>) = others.partition(|text| text.starts_with(VERSION));
        let (first, rest) = (first.iter().flat_map(|text| lines_of(text)), rest.iter().flat_map(|text| lines_of(text)));
        first.chain(known).chain(rest).collect()
    }
}

/// The lines of a text of `other`: those of a whole component, or one property. Whatever somebody wrote there, nothing that
/// is around it ends with it, and nothing begins that it does not end.
fn lines_of(text: &str) -> Vec<String> {
    let is_whole = |lines: &[&str]| {
        let mut depth = 0_usize;
        lines.iter().enumerate().all(|(number, line)| {
            depth += usize::from(begun(line.as_bytes()).is_some());
            let is_inside = depth > 0;
            depth -= usize::from(is_inside && ended(line.as_bytes()));
            is_inside && (depth == 0) == (number + 1 == lines.len())
        })
    };
    let lines: Vec<&str> = text.lines().collect();
    if is_whole(&lines) {
        return lines.into_iter().map(str::to_owned).collect();
    }
    let line = text.replace(['\r', '\n'], " ");
    let is_boundary = begun(line.as_bytes()).is_some() || ended(line.as_bytes());
    if is_boundary { Vec::new() } else { vec![line] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_his_way_out_of_an_entry() {
        let check = |text: &str, expect: &[&str]| assert_eq!(lines_of(text), expect, "{text:?}");
        check("X-A:1", &["X-A:1"]);
        check("BEGIN:VALARM\nX:1\nEND:VALARM", &["BEGIN:VALARM", "X:1", "END:VALARM"]);
        check("END:VEVENT", &[]);
        check("X-A:1\nEND:VEVENT\nBEGIN:VEVENT", &["X-A:1 END:VEVENT BEGIN:VEVENT"]);
        check("BEGIN:VALARM\nEND:VALARM\nEND:VEVENT\nBEGIN:VEVENT", &[]);
        check("BEGIN:VALARM\nX:1", &[]);
        check("BEGIN:A\nEND:A\nBEGIN:B\nEND:B", &[]);
    }
}
