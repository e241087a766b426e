//! Ways from a record to a cell of another one, by what it refers to: `assignee.team.name`, `owner.name`.

use super::scope::{Kind, Name, Scope};
use crate::{composite, fold::Design, index::CellPath};
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{
    ElementId, FieldId, ListId, PartPath, Value,
    design::{BaseType, Property},
};

/// References that a way may follow one after the other.
pub const LINKS_MAX: usize = 3;

/// A way to a cell of another record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The references on it; never none.
    pub links: Vec<Link>,
    /// The cell of the last record.
    pub cell: CellPath,
}

/// One reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The cell that refers, of the record that it is in.
    pub from: CellPath,
    /// The list of the record that it refers to.
    pub to: ListId,
    /// The field that has the number by which it refers; without, it refers by the record's id.
    pub number: Option<FieldId>,
}

/// What is known of a list that is referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    pub(super) names: Vec<Name>,
    number: Option<FieldId>,
    /// What its records are called by.
    title: Option<FieldId>,
}

impl Scope {
    /// The same as [`Scope::of`], and what the fields refer to: for who can look into other lists.
    pub fn with_related(design: &Design, list: ListId) -> Self {
        let mut scope = Self::of(design, list);
        let referred = |names: &[Name]| names.iter().filter_map(|name| name.list).collect::<BTreeSet<ListId>>();
        let mut next = referred(&scope.names);
        for _ in 0..LINKS_MAX {
            let mut found = BTreeSet::new();
            for list in std::mem::take(&mut next) {
                if design.has_list(list) && !scope.related.contains_key(&list) {
                    let related = Related::of(design, list);
                    found.extend(referred(&related.names));
                    scope.related.insert(list, related);
                }
            }
            next = found;
        }
        scope
    }
}

impl Related {
    fn of(design: &Design, list: ListId) -> Self {
        Self { names: Scope::of(design, list).names, number: row_number(design, list), title: title(design, list) }
    }

    /// The field of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Name> {
        self.names.iter().find(|known| known.name == name)
    }
}

/// The field by which users and lookups name a list's records.
pub(crate) fn row_number(design: &Design, list: ListId) -> Option<FieldId> {
    let numbers = |field: &FieldId| {
        let element = &design.elements[&(*field).into()];
        element.property(Property::RowNumber) == Some(Value::Bool(true))
    };
    design.fields(list).into_iter().find(numbers)
}

/// The field that people call a list's records by: the first text.
pub fn title(design: &Design, list: ListId) -> Option<FieldId> {
    let is_text =
        |field: &FieldId| design.field_type(*field).is_some_and(|ty| !ty.many && ty.base() == Some(BaseType::Text));
    design.fields(list).into_iter().find(is_text)
}

/// What a name behind the dot of something that refers stands for: the links to it, the cell there, and its type.
pub(super) struct Step<'s> {
    pub(super) link: Link,
    pub(super) cell: CellPath,
    pub(super) kind: Kind,
    /// The field there; none of a title.
    pub(super) name: Option<&'s Name>,
}

/// Why a name behind a dot stands for nothing.
pub(super) enum NoStep {
    /// The list has no such field; these it has.
    Unknown(Vec<String>),
    /// The field holds several.
    Many,
    /// No field of the list numbers its records.
    NoNumber,
    /// Too many references.
    TooFar,
}

/// What a name stands for behind a cell that refers to records of a list.
pub(super) fn step<'s>(
    related: &'s BTreeMap<ListId, Related>,
    (from, kind, list): (&CellPath, Kind, ListId),
    name: &str,
) -> Option<Result<Step<'s>, NoStep>> {
    let there = related.get(&list)?;
    let (from, number) = match kind {
        Kind::Composite(_) => {
            let Some(number) = there.number else { return Some(Err(NoStep::NoNumber)) };
            let index = PartPath::new(from.1.steps().chain([&b"index"[..]]))?;
            ((from.0, index), Some(number))
        }
        _reference => (from.clone(), None),
    };
    let link = Link { from, to: list, number };
    // What a user or a row is called, by whatever field that is.
    let is_title = match kind {
        Kind::Composite(base) => {
            composite::part(base, name.as_bytes()).is_some_and(|part| part.home == composite::Home::Referred)
        }
        _reference => false,
    };
    if let Some(title) = there.title.filter(|_| is_title) {
        return Some(Ok(Step { link, cell: (title, PartPath::default()), kind: Kind::Text, name: None }));
    }
    Some(match there.find(name) {
        Some(known) if known.many => Err(NoStep::Many),
        Some(known) => Ok(Step { link, cell: (known.field, known.part.clone()), kind: known.kind, name: Some(known) }),
        None => Err(NoStep::Unknown(there.names.iter().map(|name| name.name.clone()).collect())),
    })
}

/// The list that a field refers to.
pub(super) fn list_of(ty: &tandem_wire::design::FieldType) -> Option<ListId> {
    ty.list.map(ElementId::as_list)
}
