//! Contact cards, vCard 2.1, 3.0 and 4.0, one row each in the columns of [`super::vcard`].

use super::{
    Cell, Entry, ImportError, ROWS_MAX, Rejected, Row,
    byte_source::{self, ByteSource},
    element::{Cells, VALUE_BYTES_MAX, are_short, cell_bytes},
    row_keys::RowKeys,
    text_form,
    vcard::Field,
    vcard_lines::{Piece, Pieces},
    vcard_property::{self, Version},
};
use std::io::Read;
use tandem_wire::Value;

/// The cards of a file, in its order; the file is read once. `Err` is the end: it cannot be read on.
///
/// Lines outside all cards are [`Rejected`], and so is a card beyond a limit. A card without END ends where the
/// next one begins, or with the file.
pub struct Cards<R> {
    pieces: Pieces<ByteSource<R>>,
    keys: RowKeys,
    cards: u64,
    is_over: bool,
}

impl<R: Read> Cards<R> {
    /// Looks at the beginning of the file: whether it is text at all.
    pub fn open(input: R) -> Result<Self, ImportError> {
        Ok(Self { pieces: Pieces::new(byte_source::open(input)?), keys: RowKeys::default(), cards: 0, is_over: false })
    }

    fn read(&mut self) -> Result<Option<Entry>, ImportError> {
        let piece = self.pieces.next()?;
        self.is_over = piece.is_none();
        let entry = match piece {
            Some(Piece::Card { line, properties }) => Ok(self.row(line, &properties)),
            Some(Piece::BadCard { line, reason, text }) => Err(Rejected::new(line, reason, &text)),
            Some(Piece::Stray { line, text }) => {
                return Ok(Some(Err(Rejected::new(line, "text outside a card", &text))));
            }
            None if self.cards == 0 => return Err(ImportError::NoCards),
            None => return Ok(None),
        };
        self.cards += 1;
        if self.cards > ROWS_MAX { Err(ImportError::TooManyRows) } else { Ok(Some(entry)) }
    }

    fn row(&mut self, line: u64, properties: &[String]) -> Row {
        let cells = cells_of(properties);
        let uid = cells.iter().find(|cell| cell.column == Field::Uid.index()).map(|cell| text_form::show(&cell.value));
        let content: Vec<Vec<u8>> = match uid {
            Some(uid) => vec![uid.into_bytes()],
            None => cells.iter().flat_map(cell_bytes).collect(),
        };
        Row { line, key: self.keys.next(content.iter().map(Vec::as_slice)), cells }
    }
}

impl<R: Read> Iterator for Cards<R> {
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

/// A card's cells.
fn cells_of(properties: &[String]) -> Vec<Cell> {
    let mut cells = Cells::new();
    let (versions, others): (Vec<&String>, Vec<&String>) =
        properties.iter().partition(|line| Version::of(line).is_some());
    let version = versions.first().and_then(|line| Version::of(line)).unwrap_or(Version::V4_0);
    // First, as they are when written.
    if versions.iter().any(|line| *line != "VERSION:4.0") {
        versions.iter().for_each(|line| cells.add_other(Field::Other.index(), line));
    }
    others.iter().for_each(|line| add(&mut cells, line, version));
    name_anyway(&mut cells, properties, version);
    cells.sorted()
}

fn add(cells: &mut Cells, line: &str, version: Version) {
    match vcard_property::read(line, version) {
        Some((field, elements)) if has_room(cells, field) && are_short(&elements) => {
            elements.iter().for_each(|element| cells.add(field.index(), field.ty().many, element));
        }
        Some(_) | None => cells.add_other(Field::Other.index(), line),
    }
}

/// A property that a contact has once here goes to `other` the second time; so does a second list of categories.
fn has_room(cells: &Cells, field: Field) -> bool {
    let is_repeated = matches!(field, Field::Phones | Field::Emails | Field::Addresses | Field::Urls);
    is_repeated || cells.is_empty(field.index())
}

/// A contact is never shown without a name when the card has one in some form.
fn name_anyway(cells: &mut Cells, properties: &[String], version: Version) {
    if !has_room(cells, Field::Name) {
        return;
    }
    let formatted = properties.iter().find_map(|line| vcard_property::formatted_name(line, version));
    let name = formatted.or_else(|| properties.iter().find_map(|line| vcard_property::composed_name(line, version)));
    if let Some(name) = name.filter(|name| name.len() <= VALUE_BYTES_MAX) {
        cells.push::<&[u8]>(Field::Name.index(), [], Value::Text(name));
    }
}
