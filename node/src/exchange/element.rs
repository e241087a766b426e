//! Values of several columns: what a record of a file has in one place.

use super::{Cell, text_form};
use std::collections::BTreeMap;
use tandem_wire::{PartPath, Value};

/// Bytes of one value in our columns; a longer property is kept in chunks, among what has no column.
pub(super) const VALUE_BYTES_MAX: usize = 16 * 1024;

/// One value of a column with its parts; a plain value is the part without a name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Element {
    parts: Vec<(String, Value)>,
}

impl Element {
    /// The part without a name.
    pub(super) const PLAIN: &str = "";

    pub(super) fn plain(value: Value) -> Self {
        Self { parts: vec![(Self::PLAIN.to_owned(), value)] }
    }

    /// With one more part, unless its text is empty.
    pub(super) fn with(mut self, part: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.push(part, Value::Text(text));
        }
        self
    }

    pub(super) fn push(&mut self, part: &str, value: Value) {
        self.parts.push((part.to_owned(), value));
    }

    pub(super) fn parts(&self) -> &[(String, Value)] {
        &self.parts
    }

    pub(super) fn value(&self, part: &str) -> Option<&Value> {
        self.parts.iter().find(|(name, _)| name == part).map(|(_, value)| value)
    }

    /// A part as text; empty where there is none.
    pub(super) fn text(&self, part: &str) -> String {
        self.value(part).map(text_form::show).unwrap_or_default()
    }
}

/// The first step of an element's path: its place among its kind, so that bytes sort like the file, and six bytes
/// of a hash of its parts, so that equal elements of two imports are the same cells and different ones are not.
pub(super) fn element_key(place: u16, element: &Element) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key("tandem 1 exchange element");
    for (part, value) in element.parts() {
        for bytes in [part.as_bytes(), &value.encode()] {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
    }
    [&place.to_be_bytes(), &hasher.finalize().as_bytes()[..6]].concat()
}

/// Cells of a record while they are being collected.
pub(super) struct Cells {
    pub(super) cells: Vec<Cell>,
    /// Elements so far, by column.
    places: BTreeMap<usize, u16>,
}

impl Cells {
    pub(super) fn new() -> Self {
        Self { cells: Vec::new(), places: BTreeMap::new() }
    }

    /// Whether a column has nothing yet.
    pub(super) fn is_empty(&self, column: usize) -> bool {
        self.cells.iter().all(|cell| cell.column != column)
    }

    /// Adds a value with its parts: one of several in the column, or its only one.
    pub(super) fn add(&mut self, column: usize, is_many: bool, element: &Element) {
        let key = is_many.then(|| self.next_key(column, element));
        for (part, value) in element.parts() {
            let name = (part != Element::PLAIN).then_some(part.as_bytes());
            self.push(column, key.as_deref().into_iter().chain(name), value.clone());
        }
    }

    /// Adds a text that has no column of its own; a long one in chunks, `[element, chunk]`, that fit into an event each.
    pub(super) fn add_other(&mut self, column: usize, text: &str) {
        let key = self.next_key(column, &Element::plain(Value::Text(text.to_owned())));
        if text.len() <= VALUE_BYTES_MAX {
            return self.push(column, [key.as_slice()], Value::Text(text.to_owned()));
        }
        let (mut rest, mut number) = (text, 0u16);
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(rest.floor_char_boundary(VALUE_BYTES_MAX));
            self.push(column, [key.as_slice(), &number.to_be_bytes()], Value::Text(chunk.to_owned()));
            (rest, number) = (others, number + 1);
        }
    }

    pub(super) fn push<S: AsRef<[u8]>>(&mut self, column: usize, steps: impl IntoIterator<Item = S>, value: Value) {
        let part = PartPath::new(steps).expect("an element's key and a part's name are short");
        self.cells.push(Cell { column, part, value });
    }

    /// In the order of their columns and places.
    pub(super) fn sorted(mut self) -> Vec<Cell> {
        self.cells.sort_by(|a, b| (a.column, &a.part).cmp(&(b.column, &b.part)));
        self.cells
    }

    fn next_key(&mut self, column: usize, element: &Element) -> Vec<u8> {
        let place = self.places.entry(column).or_default();
        let key = element_key(*place, element);
        *place += 1;
        key
    }
}

/// All that makes a cell what it is.
pub(super) fn cell_bytes(cell: &Cell) -> Vec<Vec<u8>> {
    let column = (cell.column as u64).to_le_bytes().to_vec();
    let steps = cell.part.steps().map(<[u8]>::to_vec);
    std::iter::once(column).chain(steps).chain([cell.value.encode()]).collect()
}

/// Whether all values of these are short enough for columns of their own.
pub(super) fn are_short(elements: &[Element]) -> bool {
    let mut values = elements.iter().flat_map(Element::parts).map(|(_, value)| value);
    values.all(|value| text_form::show(value).len() <= VALUE_BYTES_MAX)
}

/// What each column has, put together again; the column of long texts has theirs whole.
pub(super) fn by_column(
    cells: &[Cell],
    is_many: impl Fn(usize) -> bool,
    of_long_texts: usize,
) -> BTreeMap<usize, Vec<Element>> {
    let mut elements = BTreeMap::<(usize, &[u8]), Element>::new();
    let mut cells: Vec<&Cell> = cells.iter().filter(|cell| cell.value != Value::Null).collect();
    cells.sort_by(|a, b| a.part.cmp(&b.part));
    for cell in cells {
        let mut steps = cell.part.steps();
        let key = if is_many(cell.column) { steps.next().unwrap_or_default() } else { &[] };
        let name = steps.next().filter(|_| cell.column != of_long_texts);
        let name = name.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
        elements.entry((cell.column, key)).or_default().push(&name, cell.value.clone());
    }
    let mut columns = BTreeMap::<usize, Vec<Element>>::new();
    for ((column, _), element) in elements {
        columns.entry(column).or_default().push(if column == of_long_texts { joined(&element) } else { element });
    }
    columns
}

/// The chunks of a long text, in their order, as one.
fn joined(element: &Element) -> Element {
    Element::plain(Value::Text(element.parts().iter().map(|(_, value)| text_form::show(value)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_keys_sort_by_place_and_differ_by_content() {
        let element = |text: &str| Element::default().with("number", text);
        assert!(element_key(255, &element("1")) < element_key(256, &element("1")));
        assert_ne!(element_key(0, &element("1")), element_key(0, &element("2")));
        assert_eq!(element_key(0, &element("1")), element_key(0, &element("1")));
    }
}
