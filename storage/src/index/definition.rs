//! Which indexes a design asks for.

use super::sort_key::SORT_KEY_VERSION;
use crate::{
    composite,
    design_file::ViewKind,
    filter::{FilterError, Scope},
    fold::{Design, design::Element},
    form::names,
    query::Condition,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{
    ElementId, FieldId, ListId, PartPath, Value,
    design::{BaseType, ElementKind, Property},
};

/// The most indexes of one list: each makes every write slower.
pub const INDEXES_PER_LIST_MAX: usize = 32;

/// A cell of a record: a field, or a part of it.
pub type CellPath = (FieldId, PartPath);

/// An index: the records of a list by what one of their cells shows, with what some others show beside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// The list.
    pub list: ListId,
    /// By what its records are sorted.
    pub by: CellPath,
    /// What is stored with each entry, so that it need not be fetched.
    pub columns: Vec<CellPath>,
    /// Changes with whatever else the keys depend on: their version, and the choices of the field.
    pub made_by: u64,
}

impl IndexDefinition {
    /// The cells that an entry depends on.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &CellPath> {
        std::iter::once(&self.by).chain(&self.columns)
    }
}

/// How a view sorts and what it shows, as [`Property::Definition`] of its element holds it in JSON. What this version
/// does not know is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// By what it sorts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<ViewSort>,
    /// The columns that it shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ViewCell>,
    /// How it shows its records.
    #[serde(default, skip_serializing_if = "is_a_list")]
    pub kind: ViewKind,
    /// Which records, as a condition in CEL; `me` is the name of who looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// What the names in the filter stand for, by the fields' ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// The id of the field by which they are grouped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The id of the field of the first day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The id of the field of the last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The id of the field of what must end before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

fn is_a_list(kind: &ViewKind) -> bool {
    *kind == ViewKind::List
}

/// A cell in a [`ViewDefinition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewCell {
    /// The field's id.
    pub field: String,
    /// The steps to a part of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub part: Vec<String>,
}

/// An order in a [`ViewDefinition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewSort {
    /// By which cell.
    #[serde(flatten)]
    pub by: ViewCell,
    /// Greatest first.
    #[serde(default)]
    pub descending: bool,
}

impl ViewCell {
    /// A whole field.
    pub fn field(field: FieldId) -> Self {
        Self { field: field.to_string(), part: Vec::new() }
    }

    /// The cell, if this is one.
    pub fn path(&self) -> Option<CellPath> {
        Some((self.field.parse().ok()?, PartPath::new(&self.part)?))
    }
}

impl ViewDefinition {
    /// Of a view in a design, if it has one that can be read.
    pub fn of(design: &Design, view: ElementId) -> Option<Self> {
        let element = design.elements.get(&view).filter(|element| element.kind == ElementKind::View.number())?;
        match element.property(Property::Definition) {
            Some(Value::Bytes(json)) => serde_json::from_slice(&json).ok(),
            _none => None,
        }
    }

    /// Reads its filter, where it has one, for somebody of this name.
    pub fn condition(&self, design: &Design, list: ListId, me: &str) -> Option<Result<Condition, FilterError>> {
        let mut scope = Scope::of_named(design, list, &names(&self.names));
        scope.constants.push(("me".into(), me.into()));
        self.filter.as_ref().map(|filter| Condition::parse(filter, &scope))
    }

    /// The fields that it speaks of besides what it sorts by and shows.
    pub fn other_fields(&self) -> impl Iterator<Item = &String> {
        self.group.iter().chain(&self.start).chain(&self.end).chain(&self.after)
    }

    /// As the value of [`Property::Definition`].
    pub fn to_value(&self) -> Value {
        Value::Bytes(serde_json::to_vec(self).expect("plain data"))
    }
}

/// The indexes that a design asks for, in their order: one for each field that is to be indexed, and one for each
/// view that sorts.
pub fn wanted(design: &Design) -> Vec<IndexDefinition> {
    let lists: BTreeSet<ListId> = design.lists().collect();
    let mut wanted = BTreeSet::new();
    for (id, element) in &design.elements {
        let Some(list) = element.parent.map(ElementId::as_list).filter(|list| lists.contains(list)) else { continue };
        if element.is_dropped() {
            continue;
        }
        let found: Vec<(CellPath, Vec<CellPath>)> = match ElementKind::from_number(element.kind) {
            Some(ElementKind::Field) => {
                let whole = is_found_by(element).then(PartPath::default);
                let parts = indexed_parts(design, id.as_field());
                whole.into_iter().chain(parts).map(|part| ((id.as_field(), part), Vec::new())).collect()
            }
            Some(ElementKind::View) => {
                sorted_view(design, *id).map(|view| (view.by, view.columns)).into_iter().collect()
            }
            _other => Vec::new(),
        };
        for (by, columns) in found.into_iter().filter(|(by, _)| shows_one_value(design, by)) {
            let made_by = made_by(design, &by, &columns);
            wanted.insert(IndexDefinition { list, by, columns, made_by });
        }
    }
    let mut counts = std::collections::BTreeMap::new();
    let count = |index: &IndexDefinition| {
        let count: &mut usize = counts.entry(index.list).or_default();
        *count += 1;
        *count <= INDEXES_PER_LIST_MAX
    };
    wanted.into_iter().filter(count).collect()
}

/// Whether records are found by the values of a field: because that was asked for, since no two may share one, or since it
/// matters who refers to what.
fn is_found_by(field: &Element) -> bool {
    let is = |property| field.property(property) == Some(Value::Bool(true));
    is(Property::Indexed)
        || is(Property::Unique)
        || is(Property::RowNumber)
        || field.property(Property::OnDelete).is_some()
}

/// The parts of a field by which records are found: those that were asked for, and the number of a row that it refers to.
fn indexed_parts(design: &Design, field: FieldId) -> Vec<PartPath> {
    let asked = match design.elements[&field.into()].property(Property::IndexedParts) {
        Some(Value::Text(parts)) => parts,
        _none => String::new(),
    };
    let ty = design.field_type(field);
    let base = ty.as_ref().and_then(|ty| ty.base()).unwrap_or(BaseType::Text);
    let refers = matches!(base, BaseType::User | BaseType::Lookup) && ty.is_some_and(|ty| ty.list.is_some());
    let known = asked.split(' ').chain(refers.then_some("index"));
    let has_values =
        |name: &&str| composite::part(base, name.as_bytes()).is_some_and(|part| part.home != composite::Home::Referred);
    known.filter(has_values).filter_map(|name| PartPath::new([name])).collect()
}

/// A view that sorts.
pub(crate) struct SortedView {
    /// By what.
    pub(crate) by: CellPath,
    /// Greatest first.
    pub(crate) descending: bool,
    /// What it shows.
    pub(crate) columns: Vec<CellPath>,
}

/// A view's order and columns; none of one that does not sort.
pub(crate) fn sorted_view(design: &Design, view: ElementId) -> Option<SortedView> {
    let ViewDefinition { sort, columns, .. } = ViewDefinition::of(design, view)?;
    let ViewSort { by, descending } = sort?;
    Some(SortedView { by: by.path()?, descending, columns: columns.iter().filter_map(ViewCell::path).collect() })
}

/// A field of many values has no single one to sort by.
fn shows_one_value(design: &Design, (field, _): &CellPath) -> bool {
    design.field_type(*field).is_some_and(|field_type| !field_type.many)
}

fn made_by(design: &Design, (field, _): &CellPath, columns: &[CellPath]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&SORT_KEY_VERSION.to_be_bytes());
    for shown in std::iter::once(field).chain(columns.iter().map(|(column, _)| column)) {
        hasher.update(&design.lenses().fingerprint(*shown));
    }
    let field = *field;
    if design.field_type(field).and_then(|field_type| field_type.base()) == Some(BaseType::Choice) {
        for (id, choice) in design.elements.iter().filter(|(_, element)| element.parent == Some(field.into())) {
            for property in [Property::Name, Property::Order] {
                let value = choice.property(property).map(|value| value.encode());
                hasher.update(&postcard::to_allocvec(&(id, value)).expect("a vector takes all bytes"));
            }
        }
    }
    u64::from_be_bytes(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes"))
}
