//! Where a page ended.

use super::{Query, SortBy};
use std::{fmt, str::FromStr};
use tandem_wire::{ListId, RecordId};

/// Where a page ended, to go on from there. It belongs to one query and holds no state: records that come or go
/// meanwhile are listed, or not, by their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    query: [u8; 8],
    pub(super) place: Vec<u8>,
    pub(super) record: RecordId,
}

/// A text that is no cursor, or one of another query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCursor {
    /// Not written by [`Cursor`].
    #[error("this is no cursor; take the one that the page before ended with")]
    Damaged,
    /// Of a query with another list, filter or order.
    #[error("this cursor is of another query; repeat the list, filter and order that it came from")]
    OfAnotherQuery,
}

/// Version of the text form.
const VERSION: u8 = 1;

impl Cursor {
    pub(super) fn new(list: ListId, query: &Query, place: Vec<u8>, record: RecordId) -> Self {
        Self { query: fingerprint(list, query), place, record }
    }

    /// Whether it can go on in this query.
    pub fn check(&self, list: ListId, query: &Query) -> Result<(), BadCursor> {
        if self.query == fingerprint(list, query) { Ok(()) } else { Err(BadCursor::OfAnotherQuery) }
    }
}

/// What decides on the order and choice of records.
pub(crate) fn fingerprint(list: ListId, query: &Query) -> [u8; 8] {
    let sort = query.sort.as_ref().map(|sort| {
        let by = match &sort.by {
            SortBy::Cell(field, part) => (0u8, Some((field, part)), Vec::new()),
            SortBy::Created => (1, None, Vec::new()),
            SortBy::Modified => (2, None, Vec::new()),
            SortBy::Through(route) => {
                let links = route.links.iter().map(|link| (&link.from, link.to, link.number));
                (3, Some((&route.cell.0, &route.cell.1)), links.collect())
            }
        };
        (by, sort.descending)
    });
    let filters: Vec<_> = query.filters.iter().map(|(field, part, value)| (field, part, value.encode())).collect();
    let condition = query.condition.as_ref().map(super::Condition::text);
    let bytes = postcard::to_allocvec(&(list, sort, filters, condition)).expect("a vector takes all bytes");
    *blake3::hash(&bytes).as_bytes().first_chunk().expect("32 bytes")
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&[VERSION][..], &self.query, &self.record.0, &self.place];
        parts.into_iter().flatten().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let digits = text.as_bytes().chunks(2);
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let bytes: Vec<u8> = digits.map(byte).collect::<Option<_>>().ok_or(BadCursor::Damaged)?;
        let parts = || {
            let (version, rest) = bytes.split_first()?;
            let (query, rest) = rest.split_first_chunk()?;
            let (record, place) = rest.split_first_chunk()?;
            let cursor = Self { query: *query, place: place.to_vec(), record: RecordId(*record) };
            (*version == VERSION && cursor.to_string() == text).then_some(cursor)
        };
        parts().ok_or(BadCursor::Damaged)
    }
}
