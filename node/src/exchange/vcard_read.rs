//! Contact cards, vCard 2.1, 3.0 and 4.0, one row each in the columns of [`super::vcard`].

use super::{
    Cell, Entry, ImportError, ROWS_MAX, Rejected, Row,
    encoding::{Encoding, Utf8Reader, read_start},
    row_keys::RowKeys,
    text_form,
    vcard::{Element, Field, element_key},
    vcard_lines::{Piece, Pieces},
    vcard_property::{self, Version},
};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use tandem_wire::{PartPath, Value};

/// The cards of a file, in its order; the file is read once. `Err` is the end: it cannot be read on.
///
/// Lines outside all cards are [`Rejected`], and so is a card beyond a limit. A card without END ends where the
/// next one begins, or with the file.
pub struct Cards<R> {
    pieces: Pieces<BufReader<Source<R>>>,
    keys: RowKeys,
    cards: u64,
    is_over: bool,
}

impl<R: Read> Cards<R> {
    /// Looks at the beginning of the file: whether it is text at all.
    pub fn open(mut input: R) -> Result<Self, ImportError> {
        let start = read_start(&mut input)?;
        if start.is_empty() {
            return Err(ImportError::Empty);
        }
        let utf16 = Encoding::of_byte_order_mark(&start);
        let whole = Cursor::new(start).chain(input);
        let source = match utf16 {
            Some(utf16) => Source::Utf16(Box::new(Utf8Reader::new(whole, utf16))),
            None => Source::Bytes(whole),
        };
        let mut source = BufReader::with_capacity(32 * 1024, source);
        if source.fill_buf()?.contains(&0) {
            return Err(ImportError::Binary);
        }
        Ok(Self { pieces: Pieces::new(source), keys: RowKeys::default(), cards: 0, is_over: false })
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
        let cells = Contact::of(properties).cells;
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

fn cell_bytes(cell: &Cell) -> Vec<Vec<u8>> {
    let column = (cell.column as u64).to_le_bytes().to_vec();
    let steps = cell.part.steps().map(<[u8]>::to_vec);
    std::iter::once(column).chain(steps).chain([cell.value.encode()]).collect()
}

/// Bytes of one value in our columns; a longer property is kept in chunks, in `other`.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// A card's cells while they are being collected.
#[derive(Default)]
struct Contact {
    cells: Vec<Cell>,
    /// Elements so far, by column.
    places: [u16; Field::ALL.len()],
}

impl Contact {
    fn of(properties: &[String]) -> Self {
        let mut contact = Self::default();
        let (versions, others): (Vec<&String>, Vec<&String>) =
            properties.iter().partition(|line| Version::of(line).is_some());
        let version = versions.first().and_then(|line| Version::of(line)).unwrap_or(Version::V4_0);
        // First, as they are when written.
        if versions.iter().any(|line| *line != "VERSION:4.0") {
            versions.iter().for_each(|line| contact.add_other(line));
        }
        others.iter().for_each(|line| contact.add(line, version));
        contact.name_anyway(properties, version);
        contact.cells.sort_by(|a, b| (a.column, &a.part).cmp(&(b.column, &b.part)));
        contact
    }

    fn add(&mut self, line: &str, version: Version) {
        match vcard_property::read(line, version) {
            Some((field, elements)) if self.has_room(field) && is_short(&elements) => {
                elements.iter().for_each(|element| self.add_element(field, element));
            }
            Some(_) | None => self.add_other(line),
        }
    }

    /// A property that a contact has once here goes to `other` the second time; so does a second list of categories.
    fn has_room(&self, field: Field) -> bool {
        let is_repeated = matches!(field, Field::Phones | Field::Emails | Field::Addresses | Field::Urls);
        is_repeated || self.cells.iter().all(|cell| cell.column != field.index())
    }

    fn add_element(&mut self, field: Field, element: &Element) {
        let key = field.ty().many.then(|| self.next_key(field, element));
        for (part, value) in element.parts() {
            let name = (part != Element::PLAIN).then_some(part.as_bytes());
            self.push(field, key.as_deref().into_iter().chain(name), value.clone());
        }
    }

    fn add_other(&mut self, line: &str) {
        let key = self.next_key(Field::Other, &Element::plain(Value::Text(line.to_owned())));
        if line.len() <= VALUE_BYTES_MAX {
            return self.push(Field::Other, [key.as_slice()], Value::Text(line.to_owned()));
        }
        let (mut rest, mut number) = (line, 0u16);
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(rest.floor_char_boundary(VALUE_BYTES_MAX));
            self.push(Field::Other, [key.as_slice(), &number.to_be_bytes()], Value::Text(chunk.to_owned()));
            (rest, number) = (others, number + 1);
        }
    }

    fn next_key(&mut self, field: Field, element: &Element) -> Vec<u8> {
        let place = &mut self.places[field.index()];
        let key = element_key(*place, element);
        *place += 1;
        key
    }

    /// A contact is never shown without a name when the card has one in some form.
    fn name_anyway(&mut self, properties: &[String], version: Version) {
        if !self.has_room(Field::Name) {
            return;
        }
        let formatted = properties.iter().find_map(|line| vcard_property::formatted_name(line, version));
        let name =
            formatted.or_else(|| properties.iter().find_map(|line| vcard_property::composed_name(line, version)));
        if let Some(name) = name.filter(|name| name.len() <= VALUE_BYTES_MAX) {
            self.push::<&[u8]>(Field::Name, [], Value::Text(name));
        }
    }

    fn push<S: AsRef<[u8]>>(&mut self, field: Field, steps: impl IntoIterator<Item = S>, value: Value) {
        let part = PartPath::new(steps).expect("an element's key and a part's name are short");
        self.cells.push(Cell { column: field.index(), part, value });
    }
}

fn is_short(elements: &[Element]) -> bool {
    let mut values = elements.iter().flat_map(Element::parts).map(|(_, value)| value);
    values.all(|value| text_form::show(value).len() <= VALUE_BYTES_MAX)
}

/// The file's bytes, but UTF-16 already as UTF-8: the lines of one file may have other encodings each.
enum Source<R> {
    Bytes(Chain<Cursor<Vec<u8>>, R>),
    Utf16(Box<Utf8Reader<Chain<Cursor<Vec<u8>>, R>>>),
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(bytes) => bytes.read(out),
            Self::Utf16(text) => text.read(out),
        }
    }
}
