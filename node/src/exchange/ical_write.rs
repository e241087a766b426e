//! Calendars from rows in the columns of [`super::ical`].

use super::{
    Cell,
    content_lines::write_line,
    element::{Element, by_column},
    ical::{CALENDAR, DEFAULT_LINES, Field, VERSION, component_of},
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
        let texts = first.into_iter().chain(known).chain(rest);
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}
