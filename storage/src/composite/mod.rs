//! Values that are several things at once, and the one string in which a server writes them.
//!
//! `123;#john@company.com` is a row number, an address and, by that row, a person. A [`Composite`] takes such a string
//! apart into strongly typed parts ([`decompose`]) and puts it together again ([`recompose`]), byte for byte where no part
//! was changed. There is one small file for each type, and [`of`] finds it.
//!
//! **What merges.** A part with a cell of its own ([`Home::Cell`]) merges by itself: street and city, a link and its title.
//! All other parts are views of one text, which is one atom ([`Home::Atom`]): a user's row number and address are written
//! together or not at all, since no cell holds only one of them.
//!
//! **What is kept.** A string that is not what its type would write itself, or no such thing at all, is kept verbatim: as
//! the atom, or beside the parts in the cell [`VERBATIM`]. It goes back unchanged as long as it says what the parts say;
//! once a part was changed, it is written anew, in the form that the string had.
//!
//! ```
//! use tandem_storage::composite::{decompose, of, recompose};
//! use tandem_wire::{Value, design::BaseType};
//!
//! let user = of(BaseType::User).unwrap();
//! let taken = decompose(user, "123;#john@company.com");
//! assert_eq!(taken.parts, [("email", Value::Text("john@company.com".into())), ("index", Value::Int(123))].into());
//! assert_eq!(recompose(user, &taken), "123;#john@company.com");
//! ```

mod currency;
mod date_range;
mod email;
mod field;
mod geo_point;
mod lookup;
mod many;
mod numbers;
mod person_name;
mod phone;
mod postal_address;
mod rich_text;
mod structured;
mod url;
mod user;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use tandem_wire::{Decimal, Value, design::BaseType};

pub use field::{FieldCells, cells_of, cells_of_element, shows, string_of};
pub use many::{ELEMENTS_MAX, join_elements, split_elements};

/// Changes whenever a string has other parts than before: indexes of parts are made anew.
pub const VERSION: u32 = 1;

/// The part, beside those with cells of their own, that keeps a string as a server wrote it.
pub const VERBATIM: &str = "=";

/// Typed parts by their names; those that hold nothing are left out.
pub type Parts = BTreeMap<&'static str, Value>;

/// A type whose values have parts.
pub trait Composite: std::fmt::Debug + Sync {
    /// Which it is.
    fn base(&self) -> BaseType;

    /// One of its strings, for errors and help.
    fn example(&self) -> &'static str;

    /// Its parts, in the order in which people expect them.
    fn parts(&self) -> &'static [Part];

    /// The parts with cells of their own, or the parts of the atom, that a string has; nothing where it is no such
    /// value. Never text for a number, and never an empty text.
    fn read(&self, text: &str) -> Option<Parts>;

    /// The string that has these parts, in the form of `like` where there are several; nothing where none has.
    fn write(&self, parts: &Parts, like: &str) -> Option<String>;

    /// What else is known from a part with a cell of its own, or, under the name of nothing, from the atom.
    fn derive(&self, part: &str, of: &str) -> Option<Value> {
        self.read(of)?.remove(part)
    }

    /// Gives a part of an atom another value; what does not go with it goes.
    fn edit(&self, parts: &mut Parts, part: &'static str, value: Value) {
        parts.insert(part, value);
    }

    /// As people read it, in one line.
    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String;
}

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its name, behind a dot.
    pub name: &'static str,
    /// The plain type of its values.
    pub base: BaseType,
    /// Where they are kept.
    pub home: Home,
}

/// Where the values of a part are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In a cell of its own: it merges by itself.
    Cell,
    /// The same, and no string says it.
    Aside,
    /// In the text of the field's own cell, with all others of its kind: they are one atom.
    Atom,
    /// Nowhere: it follows from that part, which has a cell.
    Of(&'static str),
    /// In the record that the atom refers to; until that is here, in what the atom says of it.
    Referred,
}

const fn cell(name: &'static str, base: BaseType) -> Part {
    Part { name, base, home: Home::Cell }
}

const fn aside(name: &'static str, base: BaseType) -> Part {
    Part { name, base, home: Home::Aside }
}

const fn atom(name: &'static str, base: BaseType) -> Part {
    Part { name, base, home: Home::Atom }
}

/// The composite type of this number; none for plain types.
pub fn of(base: BaseType) -> Option<&'static dyn Composite> {
    Some(match base {
        BaseType::PersonName => &person_name::PersonName,
        BaseType::Phone => &phone::Phone,
        BaseType::Email => &email::Email,
        BaseType::PostalAddress => &postal_address::PostalAddress,
        BaseType::User => &user::User,
        BaseType::Lookup => &lookup::Lookup,
        BaseType::Url => &url::Url,
        BaseType::Currency => &currency::Currency,
        BaseType::GeoPoint => &geo_point::GeoPoint,
        BaseType::DateRange => &date_range::DateRange,
        BaseType::RichText => &rich_text::RichText,
        BaseType::Bool
        | BaseType::Int
        | BaseType::Decimal
        | BaseType::Float
        | BaseType::Text
        | BaseType::Date
        | BaseType::DateTime
        | BaseType::Duration
        | BaseType::Choice
        | BaseType::Reference
        | BaseType::Rank
        | BaseType::Blob => return None,
    })
}

/// Whether a type's values are one text in the field's own cell, whatever parts that has.
pub fn is_atom(base: BaseType) -> bool {
    of(base).is_some_and(|composite| composite.parts().iter().any(|part| part.home == Home::Atom))
}

/// Whether a string is a value of a type.
pub fn reads(base: BaseType, text: &str) -> bool {
    of(base).is_some_and(|composite| composite.read(text).is_some())
}

/// The part of a type with this name.
pub fn part(base: BaseType, name: &[u8]) -> Option<Part> {
    of(base)?.parts().iter().find(|part| part.name.as_bytes() == name).copied()
}

/// A string, taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decomposed {
    /// Its parts; none where it is no value of the type.
    pub parts: Parts,
    /// The string itself, where the type would write these parts otherwise.
    pub verbatim: Option<String>,
}

/// Takes a string apart. Nothing of it is lost: [`recompose`] gives it back.
pub fn decompose(composite: &dyn Composite, text: &str) -> Decomposed {
    let parts = composite.read(text).unwrap_or_default();
    let is_its_own = composite.write(&parts, "").unwrap_or_default() == text;
    Decomposed { parts, verbatim: (!is_its_own).then(|| text.to_owned()) }
}

/// The string that has these parts: the one that was kept, where it still says the same.
pub fn recompose(composite: &dyn Composite, taken: &Decomposed) -> String {
    let verbatim = taken.verbatim.as_deref().unwrap_or_default();
    if taken.verbatim.is_some() && composite.read(verbatim).unwrap_or_default() == taken.parts {
        return verbatim.to_owned();
    }
    composite.write(&taken.parts, verbatim).unwrap_or_else(|| verbatim.to_owned())
}

/// The string whose part has another value, or none; an error where no string has such parts.
pub fn with_part(
    composite: &dyn Composite,
    text: &str,
    part: &'static str,
    value: Value,
) -> Result<String, Unwritable> {
    let mut parts = composite.read(text).unwrap_or_default();
    match value {
        Value::Null => drop(parts.remove(part)),
        // A part has one kind of number.
        Value::Int(number)
            if self::part(composite.base(), part.as_bytes()).is_some_and(|it| it.base == BaseType::Decimal) =>
        {
            composite.edit(&mut parts, part, Value::Decimal(Decimal::new(number.into(), 0).expect("no places")));
        }
        value => composite.edit(&mut parts, part, value),
    }
    let unwritable = || Unwritable { base: composite.base().name(), part };
    let written = composite.write(&parts, text).ok_or_else(unwritable)?;
    let says_it = composite.read(&written).unwrap_or_default() == parts;
    if says_it { Ok(written) } else { Err(unwritable()) }
}

/// No string of the type has a part with this value beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no {base} can have that as its {part}, with the other parts as they are")]
pub struct Unwritable {
    /// The type.
    pub base: &'static str,
    /// The part.
    pub part: &'static str,
}

/// A text, unless it is empty.
fn text(parts: &mut Parts, name: &'static str, of: impl Into<String>) {
    let of = of.into();
    if !of.is_empty() {
        parts.insert(name, Value::Text(of));
    }
}

/// The text of a part; empty where there is none.
fn text_of<'p>(parts: &'p Parts, name: &str) -> &'p str {
    match parts.get(name) {
        Some(Value::Text(text)) => text,
        _nothing => "",
    }
}

/// Parts in a row, each behind what stands before it unless it is the first.
fn in_a_row(parts: &dyn Fn(&str) -> Option<String>, row: &[(&str, &str)], aside: Option<&str>) -> String {
    let mut out = String::new();
    let part = |name: &str| parts(name).filter(|text| !text.is_empty());
    for (name, before) in row {
        if let Some(text) = part(name) {
            out.push_str(if out.is_empty() { "" } else { before });
            out.push_str(&text);
        }
    }
    if let Some(aside) = aside.and_then(part) {
        out.push_str(&format!("{}({aside})", if out.is_empty() { "" } else { " " }));
    }
    out
}
