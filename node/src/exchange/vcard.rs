//! What a contact is here: the columns that every vCard file has.
//!
//! | column | type | parts |
//! |---|---|---|
//! | name | text | |
//! | person name | person-name | `given` `family` `additional` `prefix` `suffix` |
//! | phones | phone, many | `number` `kind` |
//! | emails | email, many | `address` `kind` |
//! | addresses | postal-address, many | `street` `city` `region` `code` `country` `box` `extended` `kind` |
//! | organization, title, role | text | |
//! | birthday | date; kept as text where it is no full date | |
//! | urls | url, many | `url` |
//! | note | text | |
//! | categories | text, many | |
//! | uid | text | |
//! | other | text, many | |
//!
//! An element of a multi-value has a first step of its own ([`element_key`]). Parts named `vcard` keep group and
//! parameters that nothing else holds, `item1;PREF=1`. A property that would lose anything in these columns is an
//! element of `other`, as its line in the file: so is every property of another kind. Long ones are cut into
//! chunks, `[element, chunk]`, that fit into an event each.
//!
//! `VERSION:4.0` is what a card without a version is written as, and is not kept; other versions are in `other`.

use super::{Column, text_form};
use tandem_wire::{
    Value,
    design::{BaseType, FieldType},
};

/// The columns, in the order of [`Field::ALL`].
pub fn columns() -> Vec<Column> {
    Field::ALL.iter().map(|field| Column { name: field.name().to_owned(), ty: field.ty() }).collect()
}

/// A column of a contact; its number is its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The name to show: FN, or what N makes of it.
    Name,
    /// N.
    PersonName,
    /// TEL.
    Phones,
    /// EMAIL.
    Emails,
    /// ADR.
    Addresses,
    /// ORG, its units behind `; `.
    Organization,
    /// TITLE.
    Title,
    /// ROLE.
    Role,
    /// BDAY.
    Birthday,
    /// URL.
    Urls,
    /// NOTE.
    Note,
    /// CATEGORIES.
    Categories,
    /// UID.
    Uid,
    /// Every other property, as its line.
    Other,
}

impl Field {
    /// All of them, by index.
    pub const ALL: [Self; 14] = [
        Self::Name,
        Self::PersonName,
        Self::Phones,
        Self::Emails,
        Self::Addresses,
        Self::Organization,
        Self::Title,
        Self::Role,
        Self::Birthday,
        Self::Urls,
        Self::Note,
        Self::Categories,
        Self::Uid,
        Self::Other,
    ];

    /// The index of its column.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its column's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::PersonName => "person name",
            Self::Phones => "phones",
            Self::Emails => "emails",
            Self::Addresses => "addresses",
            Self::Organization => "organization",
            Self::Title => "title",
            Self::Role => "role",
            Self::Birthday => "birthday",
            Self::Urls => "urls",
            Self::Note => "note",
            Self::Categories => "categories",
            Self::Uid => "uid",
            Self::Other => "other",
        }
    }

    /// Its column's type.
    pub fn ty(self) -> FieldType {
        match self {
            Self::Name | Self::Organization | Self::Title | Self::Role | Self::Note | Self::Uid => {
                FieldType::one(BaseType::Text)
            }
            Self::PersonName => FieldType::one(BaseType::PersonName),
            Self::Phones => FieldType::many(BaseType::Phone),
            Self::Emails => FieldType::many(BaseType::Email),
            Self::Addresses => FieldType::many(BaseType::PostalAddress),
            Self::Birthday => FieldType::one(BaseType::Date),
            Self::Urls => FieldType::many(BaseType::Url),
            Self::Categories | Self::Other => FieldType::many(BaseType::Text),
        }
    }
}

/// One value of a column with its parts; a plain value is the part without a name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Element {
    parts: Vec<(String, Value)>,
}

impl Element {
    /// The part without a name.
    pub(super) const PLAIN: &str = "";
    /// The part for group and parameters that no other part holds.
    pub(super) const EXTRA: &str = "vcard";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_numbered_as_they_stand() {
        assert!(Field::ALL.iter().enumerate().all(|(index, field)| field.index() == index));
        let names: std::collections::BTreeSet<_> = columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names.len(), Field::ALL.len());
    }

    #[test]
    fn element_keys_sort_by_place_and_differ_by_content() {
        let element = |text: &str| Element::default().with("number", text);
        assert!(element_key(255, &element("1")) < element_key(256, &element("1")));
        assert_ne!(element_key(0, &element("1")), element_key(0, &element("2")));
        assert_eq!(element_key(0, &element("1")), element_key(0, &element("1")));
    }
}
