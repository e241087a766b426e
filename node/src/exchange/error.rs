use super::{COLUMNS_MAX, RECORD_BYTES_MAX, ROWS_MAX};
use std::io;

/// Why a file as a whole cannot be imported. The caller puts the file's name before it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is nothing in it.
    #[error("the file is empty; check that it was exported or copied in full")]
    Empty,
    /// A table without rows.
    #[error("the file has column names but no rows; check that it was exported in full")]
    HeaderOnly,
    /// Not text at all.
    #[error(
        "the file is not text (it has zero bytes), perhaps an image or a spreadsheet; save it as CSV, vCard or iCalendar"
    )]
    Binary,
    /// It claims to be UTF-16 and is not.
    #[error("the file begins like UTF-16 text but is none; save it again, as UTF-8")]
    NotUtf16,
    /// An address book where a table was expected.
    #[error("the file holds contact cards, not a table; import it as vCard (name it .vcf)")]
    IsVCard,
    /// Anything else where an address book was expected.
    #[error("the file holds no contact card (no line BEGIN:VCARD); if it is a table, import it as CSV (name it .csv)")]
    NoCards,
    /// Anything else where a calendar was expected.
    #[error("the file holds no calendar (no line BEGIN:VCALENDAR); if it is a table, import it as CSV (name it .csv)")]
    NoCalendars,
    /// More columns than a list may have.
    #[error("the table has {count} columns, more than {COLUMNS_MAX}; check the separator, or remove columns")]
    TooManyColumns {
        /// How many.
        count: usize,
    },
    /// More rows than one import may have.
    #[error("the file has more than {ROWS_MAX} rows; split it")]
    TooManyRows,
    /// A row that does not end.
    #[error("the row at line {line} is longer than {RECORD_BYTES_MAX} bytes; a closing quote may be missing there")]
    RecordTooLong {
        /// Where it begins.
        line: u64,
    },
    /// It could not be read.
    #[error("the file could not be read: {0}")]
    Io(io::Error),
}

impl From<io::Error> for ImportError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::Io(error),
        }
    }
}

impl From<ImportError> for io::Error {
    /// Carries the error through a [`io::Read`]; the way back gives the same error again.
    fn from(error: ImportError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
