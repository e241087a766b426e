//! Contact cards from rows in the columns of [`super::vcard`].
//!
//! A card has the version that it came with, else 4.0. Lines are folded at 75 bytes, but not those in
//! quoted-printable, where a fold is no fold. `name` is not written where an FN in `other` says the same.

use super::{
    Cell,
    content_lines::write_line,
    vcard::{Element, Field},
    vcard_lines::is_boundary,
    vcard_property::{self, Version},
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};
use tandem_wire::Value;

/// Writes contacts as cards.
pub struct CardWriter<W> {
    out: W,
}

impl<W: Write> CardWriter<W> {
    /// Writes to `out`, which may well be buffered.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes a card of these cells, given in any order.
    pub fn write(&mut self, cells: &[Cell]) -> io::Result<()> {
        let contact = Contact::of(cells);
        self.line("BEGIN:VCARD")?;
        contact.lines().iter().try_for_each(|line| self.line(line))?;
        self.line("END:VCARD")
    }

    /// Flushes the output, and gives it back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        write_line(&mut self.out, line)
    }
}

/// The cells of a contact, put together again.
struct Contact {
    fields: BTreeMap<Field, Vec<Element>>,
}

impl Contact {
    fn of(cells: &[Cell]) -> Self {
        let mut elements = BTreeMap::<(Field, &[u8]), Element>::new();
        let mut cells: Vec<&Cell> = cells.iter().filter(|cell| cell.value != Value::Null).collect();
        cells.sort_by(|a, b| a.part.cmp(&b.part));
        for cell in cells {
            if let Some(field) = Field::ALL.get(cell.column) {
                let mut steps = cell.part.steps();
                let key = if field.ty().many { steps.next().unwrap_or_default() } else { &[] };
                let element = elements.entry((*field, key)).or_default();
                element.push(&part_name(*field, steps.next()), cell.value.clone());
            }
        }
        let mut fields = BTreeMap::<Field, Vec<Element>>::new();
        for ((field, _), element) in elements {
            fields.entry(field).or_default().push(if field == Field::Other { joined(&element) } else { element });
        }
        Self { fields }
    }

    /// Its lines but BEGIN and END, the version first.
    fn lines(&self) -> Vec<String> {
        let others = self.fields.get(&Field::Other).map(Vec::as_slice).unwrap_or_default();
        let as_line = |other| vcard_property::write(Field::Other, std::slice::from_ref(other), Version::V4_0);
        let others: Vec<String> = others.iter().map(as_line).filter(|line| !is_boundary(line.as_bytes())).collect();
        let version_line = others.iter().position(|line| Version::of(line).is_some());
        let version = version_line.and_then(|index| Version::of(&others[index])).unwrap_or(Version::V4_0);

        let mut lines = vec![version_line.map_or("VERSION:4.0".to_owned(), |index| others[index].clone())];
        for (field, elements) in &self.fields {
            match field {
                Field::Name if self.is_in_others(&others, version) => {}
                Field::Categories => lines.push(vcard_property::write(*field, elements, version)),
                Field::Other => {
                    let rest = others.iter().enumerate().filter(|(index, _)| Some(*index) != version_line);
                    lines.extend(rest.map(|(_, line)| line.clone()));
                }
                Field::Name
                | Field::PersonName
                | Field::Phones
                | Field::Emails
                | Field::Addresses
                | Field::Organization
                | Field::Title
                | Field::Role
                | Field::Birthday
                | Field::Urls
                | Field::Note
                | Field::Uid => {
                    lines.extend(
                        elements
                            .iter()
                            .map(|element| vcard_property::write(*field, std::slice::from_ref(element), version)),
                    );
                }
            }
        }
        lines
    }

    /// Whether an FN in `others` says the name, and will be read as the name again: none there is a plain FN, which
    /// would be taken for it first.
    fn is_in_others(&self, others: &[String], version: Version) -> bool {
        let name = self.fields.get(&Field::Name).and_then(|names| names.first()).map(|name| name.text(Element::PLAIN));
        let says_it = |line: &String| vcard_property::formatted_name(line, version) == name;
        let is_plain = |line: &String| matches!(vcard_property::read(line, version), Some((Field::Name, _)));
        others.iter().any(says_it) && !others.iter().any(is_plain)
    }
}

fn part_name(field: Field, step: Option<&[u8]>) -> String {
    match step {
        Some(name) if field != Field::Other => String::from_utf8_lossy(name).into_owned(),
        Some(_) | None => Element::PLAIN.to_owned(),
    }
}

/// The chunks of a long line, in their order, as one.
fn joined(element: &Element) -> Element {
    let texts: String = element.parts().iter().map(|(_, value)| super::text_form::show(value)).collect();
    Element::plain(Value::Text(texts))
}
