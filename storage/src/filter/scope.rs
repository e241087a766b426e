//! The names that a filter may use, and what they stand for.

use super::route::{Related, list_of};
use crate::{composite, fold::Design};
use std::collections::BTreeMap;
use tandem_wire::{
    ElementId, FieldId, ListId, PartPath,
    design::{BaseType, ElementKind, FieldType},
};

/// Bytes of a mistyped name that another one is looked for.
const GUESSED_BYTES_MAX: usize = 64;

/// Names shown in an error.
const LISTED_MAX: usize = 24;

/// What names mean in the filters of one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The list whose records are filtered.
    pub list: ListId,
    /// Every name; of two that are equal neither can be used.
    pub names: Vec<Name>,
    /// Names that stand for a text, whatever the record. A field of the same name hides them.
    pub constants: Vec<(String, String)>,
    /// The lists that fields refer to, where those can be looked into.
    pub related: BTreeMap<ListId, Related>,
}

/// A name and the field, or the part of one, that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As it is written in a filter; any text.
    pub name: String,
    /// The field.
    pub field: FieldId,
    /// Where inside the field; empty for the field itself.
    pub part: PartPath,
    /// The type of its values.
    pub kind: Kind,
    /// Whether a record holds any number of them.
    pub many: bool,
    /// Of a choice: its choices.
    pub choices: Vec<(String, ElementId)>,
    /// The list whose records it refers to.
    pub list: Option<ListId>,
}

/// What type the values of a field have, as far as it matters for comparing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Bool,
    /// Whole numbers.
    Int,
    /// Exact decimals, whole numbers among them.
    Decimal,
    /// Binary numbers.
    Float,
    /// Text.
    Text,
    /// Days.
    Date,
    /// Instants.
    DateTime,
    /// Spans of time.
    Duration,
    /// One of the choices of a field.
    Choice,
    /// A record of this list, where it is known.
    Reference(Option<ListId>),
    /// Values in named parts.
    Composite(BaseType),
    /// Nothing that compares: it is there or not.
    Opaque,
    /// Not known before the record is read.
    Any,
}

/// What every record has besides its fields. A field of the same name hides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meta {
    /// `id`: the record.
    Id,
    /// `created`: when it was made, an instant.
    Created,
    /// `modified`: when it was last changed, an instant.
    Modified,
    /// `created_by`: who made it, a text.
    CreatedBy,
    /// `modified_by`: who last changed it, a text.
    ModifiedBy,
}

impl Meta {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Id, Self::Created, Self::Modified, Self::CreatedBy, Self::ModifiedBy];

    /// Its name in filters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Created => "created",
            Self::Modified => "modified",
            Self::CreatedBy => "created_by",
            Self::ModifiedBy => "modified_by",
        }
    }

    pub(super) fn kind(self, list: ListId) -> Kind {
        match self {
            Self::Id => Kind::Reference(Some(list)),
            Self::Created | Self::Modified => Kind::DateTime,
            Self::CreatedBy | Self::ModifiedBy => Kind::Text,
        }
    }
}

/// Why a name stands for nothing.
pub(super) enum NoName {
    Unknown,
    Twice,
}

impl Scope {
    /// The fields of a list as they are now. Fields without a name or of a type of a later version are left out.
    pub fn of(design: &Design, list: ListId) -> Self {
        let choices = |field: FieldId| {
            let of_field = design.elements.iter().filter(|(_, element)| {
                element.kind == ElementKind::Choice.number()
                    && element.parent == Some(field.into())
                    && !element.is_dropped()
            });
            of_field.map(|(id, _)| (design.name(*id), *id)).collect()
        };
        let name = |field: FieldId| {
            let (name, ty) = (design.name(field), design.field_type(field)?);
            let (kind, many) = (Kind::of(&ty)?, ty.many);
            let choices = if kind == Kind::Choice { choices(field) } else { Vec::new() };
            let list = list_of(&ty);
            (!name.is_empty()).then_some(Name { name, field, part: PartPath::default(), kind, many, choices, list })
        };
        let names = design.fields(list).into_iter().filter_map(name).collect();
        Self { list, names, constants: Vec::new(), related: BTreeMap::new() }
    }

    /// The same; `names` are those of fields that are to be called otherwise than in the design.
    pub fn of_named(design: &Design, list: ListId, names: &BTreeMap<String, FieldId>) -> Self {
        let mut scope = Self::of(design, list);
        // A field that has got the name of another one since is not the one that was meant.
        scope.names.retain(|name| names.get(&name.name).is_none_or(|meant| *meant == name.field));
        for name in &mut scope.names {
            if let Some((told, _)) = names.iter().find(|(_, field)| **field == name.field) {
                name.name.clone_from(told);
            }
        }
        scope
    }

    pub(super) fn find(&self, name: &str) -> Result<&Name, NoName> {
        let mut same = self.names.iter().filter(|known| known.name == name);
        match (same.next(), same.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(NoName::Twice),
            (None, _) => Err(NoName::Unknown),
        }
    }

    /// Whether there are names that begin with this and a dot, and none that is this alone.
    pub(super) fn is_dotted(&self, before: &str) -> bool {
        let begins = |known: &Name| known.name.strip_prefix(before).is_some_and(|rest| rest.starts_with('.'));
        self.find(before).is_err() && self.names.iter().any(begins)
    }

    /// What may have been meant, and what there is: the end of a sentence.
    pub(super) fn suggest(&self, name: &str) -> String {
        // Of names with a dot, those behind the same one.
        let before = name.split_once('.').map(|(before, _)| before);
        let behind = |known: &'_ Name| match known.name.split_once('.') {
            Some((dotted, _)) if self.is_dotted(dotted) => Some(dotted) == before,
            _plain => before.is_none_or(|before| !self.is_dotted(before)),
        };
        let strip = |name: &'_ str| match before.filter(|before| self.is_dotted(before)) {
            Some(before) => name.len().min(before.len() + 1),
            None => 0,
        };
        let own = self.names.iter().filter(|known| behind(known)).map(|known| &known.name[strip(&known.name)..]);
        let meta = Meta::ALL.map(Meta::name).into_iter().filter(|_| strip(name) == 0);
        let known: Vec<&str> = own.chain(meta).collect();
        suggest(&name[strip(name)..], &known, written)
    }
}

/// What may have been meant, and what there is: the end of a sentence.
pub(super) fn suggest(name: &str, known: &[&str], written: fn(&str) -> String) -> String {
    let nearest = if name.len() <= GUESSED_BYTES_MAX { nearest(name, known) } else { None };
    let mut names: Vec<String> = known.iter().take(LISTED_MAX).map(|name| written(name)).collect();
    if known.len() > LISTED_MAX {
        names.push(format!("… ({} in all)", known.len()));
    }
    let names = names.join(", ");
    match nearest {
        Some(nearest) => format!("did you mean `{}`? There are: {names}", written(nearest)),
        None => format!("there are: {names}"),
    }
}

/// The one that differs least, if that is by few letters.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let others = known.iter().filter(|other| other.len() <= 2 * GUESSED_BYTES_MAX);
    let distances = others.map(|other| (strsim::damerau_levenshtein(&lower, &other.to_lowercase()), *other));
    let least = distances.min_by_key(|(distance, _)| *distance);
    least.filter(|(distance, _)| *distance <= 1 + name.chars().count() / 4).map(|(_, other)| other)
}

/// A field's name as it must be written in a filter.
pub(super) fn written(name: &str) -> String {
    let plain = !name.is_empty()
        && !name.starts_with(|char: char| char.is_ascii_digit())
        && name.chars().all(|char| char == '_' || char.is_alphanumeric())
        && !RESERVED.contains(&name);
    if plain {
        return name.to_owned();
    }
    let name = super::error::shown(name);
    if name.contains('`') { format!("field({name:?})") } else { format!("`{name}`") }
}

/// Words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

impl Kind {
    /// Of a field's type, where this version knows it.
    pub fn of(ty: &FieldType) -> Option<Self> {
        Some(match ty.base()? {
            BaseType::Bool => Self::Bool,
            BaseType::Int => Self::Int,
            BaseType::Decimal => Self::Decimal,
            BaseType::Float => Self::Float,
            BaseType::Text => Self::Text,
            BaseType::Date => Self::Date,
            BaseType::DateTime => Self::DateTime,
            BaseType::Duration => Self::Duration,
            BaseType::Choice => Self::Choice,
            BaseType::Reference => Self::Reference(ty.list.map(ElementId::as_list)),
            BaseType::Rank | BaseType::Blob => Self::Opaque,
            composite @ (BaseType::PersonName
            | BaseType::Phone
            | BaseType::Email
            | BaseType::PostalAddress
            | BaseType::User
            | BaseType::Lookup
            | BaseType::Url
            | BaseType::Currency
            | BaseType::GeoPoint
            | BaseType::RichText
            | BaseType::DateRange) => Self::Composite(composite),
        })
    }

    /// Of one part of a composite.
    pub(super) fn of_part(composite: BaseType, part: &str) -> Self {
        let part = composite::part(composite, part.as_bytes());
        part.and_then(|part| Self::of(&FieldType::one(part.base))).unwrap_or(Self::Any)
    }

    /// What it is called in errors.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Bool => "yes or no",
            Self::Int => "a whole number",
            Self::Decimal => "a decimal number",
            Self::Float => "a number",
            Self::Text => "a text",
            Self::Date => "a date",
            Self::DateTime => "a date-time",
            Self::Duration => "a duration",
            Self::Choice => "a choice",
            Self::Reference(_) => "a record",
            Self::Composite(_) => "made of parts",
            Self::Opaque => "nothing that compares",
            Self::Any => "a value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::design::{Element, PropertyValue};
    use tandem_wire::{ChainId, DeviceKey, EventTag, OpRef, Value, design::Property};

    const BY: OpRef =
        OpRef { chain: ChainId { device: DeviceKey([0; 32]), number: 0 }, seq: 0, op: 0, tag: EventTag([0; 16]) };

    fn element(kind: ElementKind, parent: Option<u8>, name: &str, ty: Option<FieldType>) -> Element {
        let value = |value: Value| PropertyValue { value: Some(value.encode()), by: BY };
        let mut element = Element {
            kind: kind.number(),
            parent: parent.map(|id| ElementId([id; 16])),
            by: BY,
            properties: Default::default(),
        };
        element.properties.insert(Property::Name.number(), value(Value::Text(name.into())));
        if let Some(ty) = ty {
            element.properties.insert(Property::Type.number(), value(ty.to_value()));
        }
        element
    }

    #[test]
    fn names_are_those_of_the_list_as_it_is() {
        let field = |name: &str, ty: FieldType| element(ElementKind::Field, Some(1), name, Some(ty));
        let dropped = |mut element: Element| {
            let value = Some(Value::Bool(true).encode());
            element.properties.insert(Property::Dropped.number(), PropertyValue { value, by: BY });
            element
        };
        let mut owner = FieldType::one(BaseType::Reference);
        owner.list = Some(ElementId([9; 16]));
        let elements = [
            (1, element(ElementKind::List, None, "Cities", None)),
            (2, field("größe", FieldType::one(BaseType::Int))),
            (3, field("status", FieldType::many(BaseType::Choice))),
            (4, element(ElementKind::Choice, Some(3), "open", None)),
            (5, dropped(element(ElementKind::Choice, Some(3), "done", None))),
            (6, dropped(field("old", FieldType::one(BaseType::Int)))),
            (7, field("", FieldType::one(BaseType::Int))),
            (8, element(ElementKind::Field, Some(9), "elsewhere", Some(FieldType::one(BaseType::Int)))),
            (10, element(ElementKind::Field, Some(1), "untyped", None)),
            (11, field("owner", owner)),
        ];
        let elements = elements.into_iter().map(|(id, element)| (ElementId([id; 16]), element));
        let design = Design::of(elements.collect());
        let scope = Scope::of(&design, ListId([1; 16]));
        let name = |name: &str, id: u8, kind: Kind| Name {
            name: name.into(),
            field: FieldId([id; 16]),
            part: PartPath::default(),
            kind,
            many: false,
            choices: Vec::new(),
            list: None,
        };
        let status = name("status", 3, Kind::Choice);
        let choices = vec![("open".to_owned(), ElementId([4; 16]))];
        let expect = [
            name("größe", 2, Kind::Int),
            Name { many: true, choices, ..status },
            Name { list: Some(ListId([9; 16])), ..name("owner", 11, Kind::Reference(Some(ListId([9; 16])))) },
        ];
        assert_eq!(
            scope,
            Scope { list: ListId([1; 16]), names: expect.to_vec(), constants: Vec::new(), related: BTreeMap::new() }
        );
    }

    #[test]
    fn suggestions_are_near_and_written_as_they_must_be() {
        let known = ["Home phone", "population", "a`b", "in", "größe"];
        let check = |name: &str, expect: Option<&str>| {
            let said = suggest(name, &known, written);
            assert_eq!(said.split('`').nth(1).filter(|_| said.starts_with("did")), expect, "{said}");
            assert!(said.ends_with(r#"here are: `Home phone`, population, field("a`b"), `in`, größe"#), "{said}");
        };
        check("Population", Some("population"));
        check("popluation", Some("population"));
        check("GRÖSSE", Some("größe"));
        check("Größe", Some("größe"));
        check("zzz", None);
        check(&"population".repeat(400), None);
        let many: Vec<String> = (0..100).map(|number| format!("f{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(suggest("zzz", &many, written).ends_with("f23, … (100 in all)"));
    }
}
