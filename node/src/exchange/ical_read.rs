//! Calendars, one row for each entry, in the columns of [`super::ical`].

use super::{
    Cell, Entry, ImportError, ROWS_MAX, Rejected, Row,
    byte_source::{self, ByteSource},
    element::{Cells, Element, are_short, cell_bytes},
    ical::{CALENDAR, DEFAULT_LINES, Field, VERSION, kind_of},
    ical_lines::{Piece, Pieces, begun, ended},
    ical_property,
    row_keys::RowKeys,
    text_form,
};
use std::{borrow::Cow, collections::BTreeSet, io::Read};
use tandem_wire::Value;

/// The entries of a file's calendars, in its order; the file is read once. `Err` is the end: it cannot be read on.
///
/// Lines outside all calendars are [`Rejected`], and so is an entry beyond a limit. Entries that are in no calendar are
/// taken as if they were in one that says nothing of itself.
pub struct Calendars<R> {
    pieces: Pieces<ByteSource<R>>,
    keys: RowKeys,
    /// The calendar that entries are in now; empty for one without a record of its own.
    calendar: String,
    /// Nothing of that calendar has come yet.
    is_new: bool,
    /// Names of calendars so far.
    named: BTreeSet<String>,
    /// Calendars and entries so far.
    found: u64,
    is_over: bool,
}

impl<R: Read> Calendars<R> {
    /// Looks at the beginning of the file: whether it is text at all.
    pub fn open(input: R) -> Result<Self, ImportError> {
        Ok(Self {
            pieces: Pieces::new(byte_source::open(input)?),
            keys: RowKeys::default(),
            calendar: String::new(),
            is_new: false,
            named: BTreeSet::new(),
            found: 0,
            is_over: false,
        })
    }

    fn read(&mut self) -> Result<Option<Entry>, ImportError> {
        loop {
            let piece = self.pieces.next()?;
            self.is_over = piece.is_none();
            let is_new = std::mem::take(&mut self.is_new);
            self.found += u64::from(!matches!(piece, None | Some(Piece::Stray { .. })));
            if self.found > ROWS_MAX {
                return Err(ImportError::TooManyRows);
            }
            return Ok(Some(match piece {
                Some(Piece::Calendar) => {
                    (self.calendar, self.is_new) = (String::new(), true);
                    continue;
                }
                Some(Piece::Properties { properties, .. }) if is_new && properties == DEFAULT_LINES => continue,
                Some(Piece::Properties { line, properties }) => {
                    if is_new {
                        self.calendar = self.name(&properties);
                    }
                    Ok(self.row(line, CALENDAR, &properties))
                }
                Some(Piece::Component { line, name, lines }) => Ok(self.row(line, &kind_of(&name), &lines)),
                Some(Piece::Bad { line, reason, text }) => Err(Rejected::new(line, reason, &text)),
                Some(Piece::Stray { line, text }) => Err(Rejected::new(line, "text outside a calendar", &text)),
                None if self.found == 0 => return Err(ImportError::NoCalendars),
                None => return Ok(None),
            }));
        }
    }

    /// What a calendar with these properties is called, unlike all others of the file.
    fn name(&mut self, properties: &[String]) -> String {
        let told = properties.iter().find_map(|line| match ical_property::read(line, CALENDAR, false)? {
            (Field::Summary, elements) => elements.first().map(|element| element.text(Element::PLAIN)),
            _other => None,
        });
        let made = || {
            // Whatever their order is.
            let sorted: BTreeSet<&str> = properties.iter().map(String::as_str).collect();
            let hash = blake3::hash(sorted.into_iter().collect::<Vec<_>>().join("\n").as_bytes());
            format!("calendar {}", hash.to_hex().split_at(8).0)
        };
        let name = told.filter(|name| name.len() <= NAME_BYTES_MAX).unwrap_or_else(made);
        let mut unlike = name.clone();
        let mut number = 1;
        while !self.named.insert(unlike.clone()) {
            number += 1;
            unlike = format!("{name} {number}");
        }
        unlike
    }

    fn row(&mut self, line: u64, kind: &str, lines: &[String]) -> Row {
        let cells = cells_of(&self.calendar, kind, lines);
        let uid = cells.iter().find(|cell| cell.column == Field::Uid.index()).map(|cell| text_form::show(&cell.value));
        let content: Vec<Vec<u8>> = match uid {
            Some(uid) => {
                // Of a recurring entry one that was moved has its uid.
                let is_instance = |line: &&String| line.to_ascii_uppercase().starts_with("RECURRENCE-ID");
                let instance = lines.iter().find(is_instance).cloned().unwrap_or_default();
                vec![kind.as_bytes().to_vec(), uid.into_bytes(), instance.into_bytes()]
            }
            None => cells.iter().flat_map(cell_bytes).collect(),
        };
        Row { line, key: self.keys.next(content.iter().map(Vec::as_slice)), cells }
    }
}

/// The longest name that a calendar gives itself.
const NAME_BYTES_MAX: usize = 200;

impl<R: Read> Iterator for Calendars<R> {
    type Item = Result<Entry, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read();
        self.is_over |= read.is_err();
        read.transpose()
    }
}

fn cells_of(calendar: &str, kind: &str, lines: &[String]) -> Vec<Cell> {
    let mut cells = Cells::new();
    let mut plain = |field: Field, value: Value| cells.push::<&[u8]>(field.index(), [], value);
    if !calendar.is_empty() {
        plain(Field::Calendar, Value::Text(calendar.to_owned()));
    }
    plain(Field::Kind, Value::Text(kind.to_owned()));
    let own = own(lines);
    let is_all_day = Field::Start.property(kind).is_some() && own.iter().any(|text| ical_property::is_all_day(text));
    if is_all_day {
        plain(Field::AllDay, Value::Bool(true));
    }
    // As they are when written.
    let (first, rest): (Vec<_>, Vec<_>) = own.into_iter().partition(|text| text.starts_with(VERSION));
    for text in first.into_iter().chain(rest) {
        match ical_property::read(&text, kind, is_all_day) {
            Some((field, elements))
                if (field.is_repeated() || cells.is_empty(field.index())) && are_short(&elements) =>
            {
                elements.iter().for_each(|element| cells.add(field.index(), field.ty().many, element));
            }
            Some(_) | None => cells.add_other(Field::Other.index(), &text),
        }
    }
    cells.sorted()
}

/// The properties of a component, and the components in it as the lines that they are.
fn own(lines: &[String]) -> Vec<Cow<'_, str>> {
    let (mut own, mut depth) = (Vec::new(), 0_usize);
    for line in lines {
        match own.last_mut() {
            Some(last) if depth > 0 => {
                let inside: &mut String = Cow::to_mut(last);
                inside.push('\n');
                inside.push_str(line);
            }
            _outside => own.push(Cow::Borrowed(line.as_str())),
        }
        depth += usize::from(begun(line.as_bytes()).is_some());
        depth = depth.saturating_sub(usize::from(ended(line.as_bytes())));
    }
    own
}
