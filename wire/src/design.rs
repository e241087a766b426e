//! Kinds and properties of design elements, and the types of fields.
//!
//! A design is made of two steps only: an element is *defined*, and a *property* of it is put. New kinds and
//! properties need no new format: unknown ones are kept and shown as *newer version needed*.

use crate::{ElementId, Value};
use serde::{Deserialize, Serialize};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Its number on the wire, never reused.
            pub fn number(self) -> u16 {
                match self { $(Self::$variant => $number),* }
            }

            /// All of them.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$variant),*];

            /// The one with this number, where this version knows it.
            pub fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

numbered! {
    /// What an element of a design is.
    ElementKind {
        /// A typed table; no parent.
        List = 1,
        /// A column; its parent is a list.
        Field = 2,
        /// One value that a choice field allows; its parent is a field.
        Choice = 3,
        /// A way to look at a list.
        View = 4,
        /// A way to fill a record in.
        Form = 5,
        /// A validation, computed field, default or workflow.
        Rule = 6,
    }
}

numbered! {
    /// What can be put on an element.
    Property {
        /// Its label (text).
        Name = 1,
        /// Of a field: its [`FieldType`] (bytes).
        Type = 2,
        /// Its place among its siblings (rank).
        Order = 3,
        /// Dropped, but its values retained (bool).
        Dropped = 4,
        /// Of a field: whether a record needs it (bool).
        Required = 5,
        /// Of a field: whether no two records may share a value (bool).
        Unique = 6,
        /// Of a field: the value of a new record (any).
        Default = 7,
        /// Help for who fills it in (text).
        Help = 8,
        /// Where records of a list come from, for derived ids (text).
        Source = 9,
        /// Everything else about a view, form or rule (bytes of JSON).
        Definition = 10,
        /// Of a field: whether records are found and sorted by it without looking at all of them (bool).
        Indexed = 11,
        /// Of a field of texts: a regular expression that is to be found in each (text).
        Pattern = 12,
        /// Of a field: its least value (of its type).
        Min = 13,
        /// Of a field: its greatest value (of its type).
        Max = 14,
        /// Of a field of references: what becomes of them when the record that they refer to is removed (text: `restrict`
        /// or `set-null`).
        OnDelete = 15,
        /// Of a choice: the one of its field that it was merged into (choice).
        MergedInto = 16,
        /// Of a field: the fields that it was split off or merged from (bytes of JSON).
        MadeOf = 17,
        /// Of a list: how many of its records, in percent, may fail a rehearsal that counts as valid (int).
        FailingPercent = 18,
        /// Of a field with parts: those by which records are found and sorted without looking at all of them (text: their
        /// names, with spaces between).
        IndexedParts = 19,
        /// Of a field: whether it has the numbers by which users and lookups name the list's records (bool).
        RowNumber = 20,
    }
}

numbered! {
    /// The strong types. The composites (from `PersonName` on) live in parts.
    BaseType {
        /// [`Value::Bool`].
        Bool = 1,
        /// [`Value::Int`].
        Int = 2,
        /// [`Value::Decimal`].
        Decimal = 3,
        /// [`Value::Float`].
        Float = 4,
        /// [`Value::Text`].
        Text = 5,
        /// [`Value::Date`].
        Date = 6,
        /// [`Value::DateTime`].
        DateTime = 7,
        /// [`Value::Duration`].
        Duration = 8,
        /// [`Value::Choice`].
        Choice = 9,
        /// [`Value::Reference`].
        Reference = 10,
        /// [`Value::Rank`].
        Rank = 11,
        /// [`Value::Blob`].
        Blob = 12,
        /// Parts `given`, `family`, `prefix` …
        PersonName = 32,
        /// Parts `number`, `kind`.
        Phone = 33,
        /// Parts `address`, `kind`.
        Email = 34,
        /// Parts `street`, `city`, `region`, `code`, `country`.
        PostalAddress = 35,
        /// Parts `index`, `email`, `name`.
        User = 36,
        /// Parts `index`, `text`.
        Lookup = 37,
        /// Parts `url`, `title`.
        Url = 38,
        /// Parts `amount`, `currency`.
        Currency = 39,
        /// Parts `lat`, `lon`.
        GeoPoint = 40,
        /// Parts `html`, `text`.
        RichText = 41,
        /// Parts `from`, `to`.
        DateRange = 42,
    }
}

/// The type of a field: a base type, one or many, and what the base type needs besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldType {
    base: u16,
    /// Whether a record holds any number of them, each an element with a part path of its own.
    pub many: bool,
    /// Of a reference or lookup: the list it points into.
    pub list: Option<ElementId>,
}

impl FieldType {
    /// One value of this type.
    pub fn one(base: BaseType) -> Self {
        Self { base: base.number(), many: false, list: None }
    }

    /// Any number of values of this type.
    pub fn many(base: BaseType) -> Self {
        Self { many: true, ..Self::one(base) }
    }

    /// What people call it: `text`, `many choice`.
    pub fn describe(&self) -> String {
        let base = self.base().map_or("a newer type", BaseType::name);
        if self.many { format!("many {base}") } else { base.to_owned() }
    }

    /// Its base type, where this version knows it.
    pub fn base(&self) -> Option<BaseType> {
        BaseType::from_number(self.base)
    }

    /// As the value of [`Property::Type`].
    pub fn to_value(&self) -> Value {
        Value::Bytes(postcard::to_allocvec(self).expect("a vector takes all bytes"))
    }

    /// Reads what [`FieldType::to_value`] made, and nothing else.
    pub fn from_value(value: &Value) -> Option<Self> {
        let Value::Bytes(bytes) = value else { return None };
        let field_type: Self = postcard::from_bytes(bytes).ok()?;
        (field_type.to_value() == *value).then_some(field_type)
    }
}

impl BaseType {
    /// Its name in listings and options: `text`, `date-time`, `person-name` …
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Float => "float",
            Self::Text => "text",
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Duration => "duration",
            Self::Choice => "choice",
            Self::Reference => "reference",
            Self::Rank => "rank",
            Self::Blob => "blob",
            Self::PersonName => "person-name",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::PostalAddress => "postal-address",
            Self::User => "user",
            Self::Lookup => "lookup",
            Self::Url => "url",
            Self::Currency => "currency",
            Self::GeoPoint => "geo-point",
            Self::RichText => "rich-text",
            Self::DateRange => "date-range",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|base| base.name() == name)
    }

    /// Whether its values live in named parts.
    pub fn is_composite(self) -> bool {
        self.number() >= 32
    }
}
