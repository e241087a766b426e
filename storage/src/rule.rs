//! Rules: conditions on a change of a record, written in CEL like filters.
//!
//! ```text
//! email.endsWith("@example.org")
//! before.status != "closed" || role == "manager"
//! !is_deleted || author == created_by
//! ```
//!
//! A field's name stands for what the record shows after the change, `before.` and its name for what it showed before;
//! `author` is the name of who made the change, `role` what they may do there (`reader`, `writer`, `designer`,
//! `manager`), `is_new` and `is_deleted` whether the change makes or removes the record. A field of the same name hides
//! these. The rest is as in [`crate::filter`].

use crate::{
    design_rule::fields_of,
    filter::{Cells, EvalError, Filter, FilterError, Formula, Kind, Meta, Name, Place, Scope, Term},
    fold::{
        Design, RecordState,
        record::{Content, Sibling, Stamp},
    },
    guard::{Panicked, guarded},
    lens::{Lenses, StateCells},
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{
    DeviceKey, FieldId, ListId, PartPath, RecordId, Value,
    design::{BaseType, FieldType},
};

/// A rule of one list.
#[derive(Debug, Clone)]
pub struct Rule {
    filter: Filter,
    /// What the names stand for in the filter.
    stand_ins: StandIns,
}

/// What follows from a change of one record: fields that are set as part of it.
#[derive(Debug, Clone)]
pub struct Workflow {
    when: Option<Filter>,
    set: Vec<(FieldId, Formula)>,
    stand_ins: StandIns,
}

/// A change of one record.
#[derive(Debug, Clone, Copy)]
pub struct RecordChange<'a> {
    /// The record.
    pub record: RecordId,
    /// As it was.
    pub before: &'a RecordState,
    /// As it would be.
    pub after: &'a RecordState,
    /// The name of who makes the change.
    pub author: &'a str,
    /// What they may do: the name of a role.
    pub role: &'a str,
    /// Who the devices are.
    pub names: &'a BTreeMap<DeviceKey, String>,
    /// What the fields show, as it was shown in both states.
    pub lenses: &'a Lenses,
}

/// Why a rule said neither yes nor no.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RuleFailed {
    /// It would have cost too much.
    #[error(transparent)]
    Cost(#[from] EvalError),
    /// What evaluates it broke.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// What a name that is no field stands for, by its stand-in.
const AUTHOR: FieldId = FieldId(*b"rule: author....");
const ROLE: FieldId = FieldId(*b"rule: role......");
const IS_NEW: FieldId = FieldId(*b"rule: is new....");
const IS_DELETED: FieldId = FieldId(*b"rule: is deleted");

impl Rule {
    /// Reads a rule; everything that can be wrong with it is known here. `names` are those of fields that are to be
    /// called otherwise than in the design.
    pub fn parse(
        source: &str,
        design: &Design,
        list: ListId,
        names: &BTreeMap<String, FieldId>,
    ) -> Result<Self, FilterError> {
        let (scope, stand_ins) = scope(design, list, names);
        Ok(Self { filter: Filter::parse(source, &scope)?, stand_ins })
    }

    /// Whether it is meant for the removal of records, too: it says `is_deleted`.
    pub fn asks_of_deletes(&self) -> bool {
        self.filter.reads().contains(&Place::Cell(IS_DELETED, PartPath::default()))
    }

    /// Whether the rule lets a change through.
    pub fn allows(&self, change: &RecordChange<'_>) -> Result<bool, RuleFailed> {
        let cells = ChangeCells { stand_ins: &self.stand_ins, change };
        Ok(guarded(|| self.filter.matches(&cells))??)
    }
}

impl Workflow {
    /// Reads a workflow: when it acts, and what it sets then. The names are those of rules.
    pub fn parse(
        when: Option<&str>,
        set: impl Iterator<Item = (FieldId, String)>,
        design: &Design,
        list: ListId,
        names: &BTreeMap<String, FieldId>,
    ) -> Result<Self, FilterError> {
        let (scope, stand_ins) = scope(design, list, names);
        let when = when.map(|when| Filter::parse(when, &scope)).transpose()?;
        let set = set.map(|(field, source)| Ok((field, Formula::parse(&source, &scope)?)));
        Ok(Self { when, set: set.collect::<Result<_, FilterError>>()?, stand_ins })
    }

    /// What it sets, if the change is one that it waits for.
    pub fn follows(&self, change: &RecordChange<'_>) -> Result<Vec<(FieldId, Value)>, RuleFailed> {
        let cells = ChangeCells { stand_ins: &self.stand_ins, change };
        let all = guarded(|| {
            let matches = self.when.as_ref().map_or(Ok(true), |when| when.matches(&cells))?;
            let set = self.set.iter().filter(|_| matches);
            set.map(|(field, formula)| Ok((*field, formula.value(&cells)?))).collect::<Result<_, EvalError>>()
        });
        Ok(all??)
    }

    /// The fields of which a change may set it off.
    pub fn waits_for(&self) -> BTreeSet<FieldId> {
        let read = self.when.as_ref().map(|when| fields_of(when.reads())).unwrap_or_default();
        read.into_iter().map(|field| self.stand_ins.field(field)).collect()
    }

    /// The fields that it sets.
    pub fn sets(&self) -> impl Iterator<Item = FieldId> {
        self.set.iter().map(|(field, _)| *field)
    }
}

/// What stands for other fields in a rule.
#[derive(Debug, Clone, Default)]
struct StandIns {
    /// By a stand-in: the field, before the change.
    before: BTreeMap<FieldId, FieldId>,
    /// By a stand-in: the field, and the type as which it is read.
    typed: BTreeMap<FieldId, (FieldId, BaseType)>,
}

impl StandIns {
    /// The field that is meant.
    fn field(&self, field: FieldId) -> FieldId {
        let field = self.before.get(&field).copied().unwrap_or(field);
        self.typed.get(&field).map_or(field, |(field, _)| *field)
    }
}

/// The fields of a list that some of these names stand for under other types.
fn typed(design: &Design, list: ListId, names: &BTreeMap<String, FieldId>) -> BTreeMap<FieldId, (FieldId, BaseType)> {
    let known = design.fields(list);
    // Mostly they stand for the fields themselves.
    if names.values().all(|field| known.contains(field)) {
        return BTreeMap::new();
    }
    let types = || BaseType::ALL.into_iter();
    let all = known.iter().flat_map(|field| types().map(|base| (as_type(*field, base), (*field, base))));
    let asked: BTreeSet<FieldId> = names.values().copied().collect();
    all.filter(|(stand_in, _)| asked.contains(stand_in)).collect()
}

fn scope(design: &Design, list: ListId, names: &BTreeMap<String, FieldId>) -> (Scope, StandIns) {
    let mut scope = Scope::of_named(design, list, names);
    let typed = typed(design, list, names);
    for (name, stand_in) in names {
        if let Some((field, base)) = typed.get(stand_in)
            && let Some(kind) = Kind::of(&FieldType::one(*base))
        {
            // The field has this name alone.
            scope.names.retain(|known| known.field != *field && known.name != *name);
            let (name, part, choices) = (name.clone(), PartPath::default(), Vec::new());
            scope.names.push(Name { name, field: *stand_in, part, kind, many: false, choices, list: None });
        }
    }
    let mut before = BTreeMap::new();
    let mut dotted = Vec::new();
    for name in &scope.names {
        let stand_in = before_of(name.field);
        before.insert(stand_in, name.field);
        dotted.push(Name { name: format!("before.{}", name.name), field: stand_in, ..name.clone() });
    }
    let told = [("author", AUTHOR, Kind::Text), ("role", ROLE, Kind::Text)]
        .into_iter()
        .chain([("is_new", IS_NEW, Kind::Bool), ("is_deleted", IS_DELETED, Kind::Bool)]);
    for (name, field, kind) in told {
        if !scope.names.iter().any(|known| known.name == name) {
            let name = name.to_owned();
            let (part, choices) = (PartPath::default(), Vec::new());
            dotted.push(Name { name, field, part, kind, many: false, choices, list: None });
        }
    }
    scope.names.extend(dotted);
    (scope, StandIns { before, typed })
}

/// Stands for a field as somebody sees it who has it under another type: the string of all that it shows, read as that
/// type.
pub fn as_type(field: FieldId, base: BaseType) -> FieldId {
    let hash =
        blake3::derive_key("tandem 1 rule: as another type", &[&field.0[..], &base.number().to_be_bytes()].concat());
    FieldId(*hash.first_chunk().expect("32 bytes"))
}

/// Stands for a field as it was before the change.
fn before_of(field: FieldId) -> FieldId {
    let hash = blake3::derive_key("tandem 1 rule: before", &field.0);
    FieldId(*hash.first_chunk().expect("32 bytes"))
}

/// The canonical bytes of what a cell shows.
fn shown(siblings: &[Sibling]) -> Option<&[u8]> {
    match &siblings.first()?.content {
        Content::Value(bytes) => Some(bytes),
        Content::Removed | Content::NewerVersionNeeded => None,
    }
}

struct ChangeCells<'a> {
    stand_ins: &'a StandIns,
    change: &'a RecordChange<'a>,
}

impl<'a> ChangeCells<'a> {
    /// The state that a field is of, and the field.
    fn of(&self, field: FieldId) -> (&'a RecordState, FieldId) {
        match self.stand_ins.before.get(&field) {
            Some(field) => (self.change.before, *field),
            None => (self.change.after, field),
        }
    }
}

impl Cells for ChangeCells<'_> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        let RecordChange { before, after, author, role, .. } = *self.change;
        match field {
            AUTHOR => Term::Text(author.into()),
            ROLE => Term::Text(role.into()),
            IS_NEW => Term::Bool(!before.exists() && after.exists()),
            IS_DELETED => Term::Bool(before.exists() && !after.exists()),
            field => {
                let (state, field) = self.of(field);
                if let Some((field, base)) = self.stand_ins.typed.get(&field) {
                    return self
                        .change
                        .lenses
                        .read_as(&StateCells(state), *field, *base, part)
                        .map_or(Term::Null, |value| Term::decode(&value.encode()).into_owned());
                }
                match state.cells.get(&(field, part.clone())) {
                    Some(siblings) => shown(siblings).map_or(Term::Null, Term::decode),
                    None => {
                        let derived = self.change.lenses.derived(&StateCells(state), field, part);
                        derived.map_or(Term::Null, Term::of_shown)
                    }
                }
            }
        }
    }

    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        let (state, own) = self.of(field);
        let written = state.cells.keys().filter(|(of, _)| *of == own).map(|(_, part)| part.clone());
        let parts = self.change.lenses.with_parts(own, written.collect()).into_iter();
        let shown = parts.map(|part| {
            let term = self.cell(field, &part);
            (part, term)
        });
        shown.filter(|(_, term)| *term != Term::Null).collect()
    }

    fn meta(&self, meta: Meta) -> Term<'_> {
        let state = self.change.after;
        let first = state.creates.iter().map(|edit| edit.stamp).min_by_key(|stamp| stamp.wall_ms);
        let edits = state.creates.iter().chain(&state.restores).map(|edit| edit.stamp);
        let all = edits.chain(state.cells.values().flatten().map(|sibling| sibling.stamp));
        let last = all.max_by_key(|stamp| stamp.wall_ms);
        let name = |stamp: Option<Stamp>| {
            let name = stamp.and_then(|stamp| self.change.names.get(&stamp.event.chain.device));
            name.map_or(Term::Null, |name| Term::Text(name.as_str().into()))
        };
        let instant = |stamp: Option<Stamp>| stamp.map_or(Term::Null, |stamp| Term::DateTime(stamp.wall_ms as i64));
        match meta {
            Meta::Id => Term::Record(self.change.record),
            Meta::Created => instant(first),
            Meta::Modified => instant(last),
            Meta::CreatedBy => name(first),
            Meta::ModifiedBy => name(last),
        }
    }
}

#[cfg(test)]
mod tests;
