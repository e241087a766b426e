//! Files of other programs, in and out: CSV tables, vCard address books and iCalendar calendars.
//!
//! Reading gives [`Column`]s and [`Row`]s; what cannot be read is a [`Rejected`] and the rest goes on.
//! Writing takes the same columns and the cells of a record.
//!
//! | file | read | write |
//! |---|---|---|
//! | CSV | [`csv_read::CsvFile`]: encoding, separator and types first, then the rows | [`csv_write::CsvWriter`] |
//! | vCard 2.1, 3.0, 4.0 | [`vcard_read::Cards`]: the columns of [`vcard::columns`], nothing of a card is lost | [`vcard_write::CardWriter`] |
//! | iCalendar | [`ical_read::Calendars`]: the columns of [`ical::columns`], nothing of an entry is lost | [`ical_write::CalendarWriter`] |
//!
//! And [`backup_file`]: a workspace's log, which is no file of another program, but has to be read as carefully.
//!
//! Files are hostile until proven otherwise: nothing here panics on them, and every length that they choose is
//! held against a named maximum, so that memory stays bounded.
//!
//! Never here: storage, workspaces, record ids (a [`Row::key`] is only what one is derived from), file names.

pub mod backup_file;
mod byte_source;
mod content_lines;
pub mod csv_infer;
pub mod csv_read;
mod csv_records;
pub mod csv_write;
pub mod date_form;
mod element;
mod encoding;
mod error;
pub mod field_text;
pub mod formula;
pub mod ical;
mod ical_lines;
mod ical_property;
pub mod ical_read;
mod ical_time;
pub mod ical_write;
pub mod number_form;
pub mod reading;
mod row_keys;
pub mod text_form;
pub mod vcard;
mod vcard_lines;
mod vcard_property;
pub mod vcard_read;
pub mod vcard_write;

pub use error::ImportError;

use tandem_wire::{PartPath, Value, design::FieldType};

/// Bytes of one record of a file: a line of a table, or a card.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Records of one file.
pub const ROWS_MAX: u64 = 10_000_000;
/// Columns of one table.
pub const COLUMNS_MAX: usize = 1_000;
/// Bytes of the values of one row of a table.
pub const ROW_VALUE_BYTES_MAX: usize = 48 * 1024;
/// Bytes of the cells that [`Row::events`] puts together, as [`Cell::event_bytes`] counts them. The rest of an
/// event's 64 KiB is for its header and the predecessors of its ops.
pub const EVENT_CELL_BYTES_MAX: usize = 48 * 1024;
/// Bytes that a rejected record is quoted with.
pub const REJECTED_TEXT_BYTES_MAX: usize = 4 * 1024;

/// A column of a file, and so a field of the list that the file becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name: not empty, and different from those of the file's other columns.
    pub name: String,
    /// What it holds.
    pub ty: FieldType,
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The line that it begins at, from 1.
    pub line: u64,
    /// What the id of its record is derived from, together with list and source: the same whenever the same file
    /// is read, and different for each row of a file. Empty where nobody asked for it.
    pub key: Vec<u8>,
    /// Its values, by column and part; a column may have none.
    pub cells: Vec<Cell>,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Index of its column.
    pub column: usize,
    /// Where inside the column: empty for a plain value.
    pub part: PartPath,
    /// The value.
    pub value: Value,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The line that it begins at, from 1.
    pub line: u64,
    /// What is wrong with it, as a sentence's second half: `line 7: 3 fields instead of 4`.
    pub reason: String,
    /// The record itself, cut after [`REJECTED_TEXT_BYTES_MAX`].
    pub text: String,
}

/// What a file has at one place: a row, or something that is none.
pub type Entry = Result<Row, Rejected>;

impl Row {
    /// The cells in groups that fit into an event each. Nearly always this is one group; a card with a big
    /// photograph has several.
    pub fn events(&self) -> impl Iterator<Item = &[Cell]> {
        let mut rest = self.cells.as_slice();
        std::iter::from_fn(move || {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|cell| {
                bytes += cell.event_bytes();
                bytes <= EVENT_CELL_BYTES_MAX
            });
            let count = fits.count().max(1).min(rest.len());
            let (group, others) = rest.split_at(count);
            rest = others;
            (!group.is_empty()).then_some(group)
        })
    }
}

impl Cell {
    /// A value that is its whole column's.
    pub fn plain(column: usize, value: Value) -> Self {
        Self { column, part: PartPath::default(), value }
    }

    /// About what it takes in an event: list, record and field of its op, its part path, its value.
    pub fn event_bytes(&self) -> usize {
        const OP_BYTES: usize = 64;
        let part: usize = self.part.steps().map(|step| step.len() + 1).sum();
        OP_BYTES + part + self.value.encode().len()
    }
}

impl Rejected {
    /// What is wrong with the record at a line, and its text.
    pub fn new(line: u64, reason: impl Into<String>, text: &str) -> Self {
        Self { line, reason: reason.into(), text: text[..text.floor_char_boundary(REJECTED_TEXT_BYTES_MAX)].to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_grouped_into_events_in_order_and_none_is_lost() {
        let check = |sizes: &[usize], expect: &[usize]| {
            let cells = sizes.iter().map(|size| Cell::plain(0, Value::Text("x".repeat(*size)))).collect();
            let row = Row { line: 1, key: Vec::new(), cells };
            let groups: Vec<usize> = row.events().map(<[Cell]>::len).collect();
            assert_eq!(groups, expect, "{sizes:?}");
            assert_eq!(row.events().flatten().collect::<Vec<_>>(), row.cells.iter().collect::<Vec<_>>());
        };
        check(&[], &[]);
        check(&[1, 1], &[2]);
        check(&[30_000, 30_000, 10_000], &[1, 2]);
        check(&[60_000, 1], &[1, 1]);
    }

    #[test]
    fn a_rejected_text_is_cut_between_characters() {
        let rejected = Rejected::new(1, "too long", &"ä".repeat(REJECTED_TEXT_BYTES_MAX));
        assert_eq!(rejected.text.len(), REJECTED_TEXT_BYTES_MAX);
        assert!(Rejected::new(1, "", &format!("x{}", "ä".repeat(REJECTED_TEXT_BYTES_MAX))).text.ends_with('ä'));
    }
}
