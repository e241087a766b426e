//! Contact cards from rows in the columns of [`super::vcard`].
//!
//! A card has the version that it came with, else 4.0. Lines are folded at 75 bytes, but not those in
//! quoted-printable, where a fold is no fold. `name` is not written where an FN in `other` says the same.

use super::{
    Cell,
    content_lines::write_line,
    element::{Element, by_column},
    vcard::Field,
    vcard_lines::is_boundary,
    vcard_property::{self, Version},
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

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
        let field = |column: usize| Field::ALL.get(column).copied();
        let is_many = |column| field(column).is_some_and(|field| field.ty().many);
        let columns = by_column(cells, is_many, Field::Other.index()).into_iter();
        Self { fields: columns.filter_map(|(column, elements)| Some((field(column)?, elements))).collect() }
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
