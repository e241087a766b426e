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
//! An element of a multi-value has a first step of its own ([`super::element::element_key`]). Parts named `vcard` keep group and
//! parameters that nothing else holds, `item1;PREF=1`. A property that would lose anything in these columns is an
//! element of `other`, as its line in the file: so is every property of another kind. Long ones are cut into
//! chunks, `[element, chunk]`, that fit into an event each.
//!
//! `VERSION:4.0` is what a card without a version is written as, and is not kept; other versions are in `other`.

use super::Column;
use tandem_wire::design::{BaseType, FieldType};

/// The part for group and parameters that no other part holds.
pub(super) const EXTRA: &str = "vcard";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_numbered_as_they_stand() {
        assert!(Field::ALL.iter().enumerate().all(|(index, field)| field.index() == index));
        let names: std::collections::BTreeSet<_> = columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names.len(), Field::ALL.len());
    }
}
