//! What a new design asks of the rows of one list.

use super::row::RowOutcome;
use crate::{
    constraint::Constraint,
    design_rule::{DesignRule, Finding, Severity, fields_of},
    filter::{Cells, Filter, Meta, Term},
    fold::Design,
    form::FormDefinition,
    index::{CellPath, Index, ViewDefinition},
    lens::{LensCells, MADE_MAX, Written, is_raw, to_text},
    query::Condition,
    record_row::{self, CellRow, NOTHING},
};
use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::BTreeSet,
};
use tandem_wire::{
    ElementId, FieldId, ListId, PartPath, RecordId, Value,
    design::{ElementKind, FieldType, Property},
};

/// The lists of the new design in which anything is other than in the old one.
pub(super) fn touched(old: &Design, new: &Design) -> BTreeSet<ListId> {
    let list_of = |design: &Design, id: ElementId| {
        let mut at = id;
        // A list, what is in it, and a field's choices: no deeper.
        for _ in 0..3 {
            match design.elements.get(&at)?.parent {
                Some(parent) => at = parent,
                None => return Some(at.as_list()),
            }
        }
        None
    };
    let all = old.elements.keys().chain(new.elements.keys());
    let differs = |id: &&ElementId| match (old.elements.get(id), new.elements.get(id)) {
        (Some(before), Some(after)) => Property::ALL.iter().any(|it| before.property(*it) != after.property(*it)),
        _one_only => true,
    };
    let lists = all.filter(differs).filter_map(|id| list_of(new, *id));
    lists.filter(|list| new.has_list(*list)).collect()
}

/// A list, with all that is tried on its rows.
pub(super) struct ListTrial {
    fields: Vec<FieldTrial>,
    rules: Vec<DesignRule>,
    /// By name, so that a rule that is not new counts only where it held before.
    old_rules: Vec<DesignRule>,
    /// Conditions of views and forms: they decide, or they do not.
    conditions: Vec<Filter>,
    /// Fields that these and the rules read and that show what was written: what they show is looked up once a record.
    read: Vec<FieldId>,
    /// Places of the new indexes of this list.
    indexes: Vec<usize>,
}

struct FieldTrial {
    field: FieldId,
    name: String,
    ty: FieldType,
    constraint: Option<Constraint>,
    is_required: bool,
    is_newly_unique: bool,
    /// As it was before; none for a field that is new.
    old: Option<OldField>,
    /// Whether anything that is asked of its values, or what they show, may be other than before.
    differs: bool,
}

struct OldField {
    ty: Option<FieldType>,
    constraint: Option<Constraint>,
    is_required: bool,
}

impl ListTrial {
    pub(super) fn new(old: &Design, new: &Design, list: ListId, indexes: &[Index]) -> Self {
        let fields = new.fields(list).into_iter().filter_map(|field| FieldTrial::new(old, new, list, field)).collect();
        let of_list = |kind: ElementKind| {
            new.elements.iter().filter(move |(_, element)| {
                element.kind == kind.number() && element.parent == Some(list.into()) && !element.is_dropped()
            })
        };
        let mut conditions = Vec::new();
        for (id, _) in of_list(ElementKind::View) {
            let condition = ViewDefinition::of(new, *id).and_then(|view| view.condition(new, list, ""));
            let filter = condition.and_then(Result::ok).map(|condition: Condition| condition.filter().clone());
            conditions.extend(filter);
        }
        for (id, _) in of_list(ElementKind::Form) {
            let Some(form) = FormDefinition::of(new, *id) else { continue };
            let scope = form.scope(new, list);
            let fields = form.sections.iter().flat_map(|section| &section.fields);
            conditions.extend(fields.filter_map(|field| field.condition(&scope)?.ok()));
        }
        let of_index = |(_, index): &(usize, &Index)| index.definition.list == list;
        let indexes = indexes.iter().enumerate().filter(of_index).map(|(place, _)| place).collect();
        let (rules, old_rules) = (new.rules().list(list).to_vec(), old.rules().list(list).to_vec());
        let by_conditions = conditions.iter().flat_map(|filter| fields_of(filter.reads()));
        let read: BTreeSet<FieldId> = by_conditions.chain(rules.iter().flat_map(DesignRule::reads)).collect();
        let read = read.into_iter().filter(|field| !new.lenses().makes_something(*field)).collect();
        Self { fields, rules, old_rules, conditions, read, indexes }
    }

    /// The new indexes of this list.
    pub(super) fn indexes<'i>(&self, all: &'i [Index]) -> impl Iterator<Item = &'i Index> {
        self.indexes.iter().map(|place| &all[*place])
    }

    /// The fields of which no two records may share a value, where that is new.
    pub(super) fn unique_cells(&self) -> impl Iterator<Item = CellPath> {
        let unique = self.fields.iter().filter(|field| field.is_newly_unique);
        unique.map(|field| (field.field, PartPath::default()))
    }

    /// The name of a field of which no two records may share a value, if that is new.
    pub(super) fn newly_unique(&self, (by, part): &CellPath) -> Option<String> {
        let of = |field: &&FieldTrial| field.field == *by && part.is_empty() && field.is_newly_unique;
        self.fields.iter().find(of).map(|field| format!("unique {}", field.name))
    }

    /// What becomes of a record.
    pub(super) fn look_at(
        &self,
        (old, new): (&Design, &Design),
        record: RecordId,
        written: &[CellRow<'_>],
    ) -> RowOutcome {
        let mut outcome = RowOutcome::default();
        for field in self.fields.iter().filter(|field| field.differs) {
            field.look_at((old, new), &written, &mut outcome);
        }
        let left = Cell::new(MADE_MAX);
        let seen = RefCell::new(vec![None; self.read.len()]);
        let shown = Shown { cells: LensCells::new(new, &written, &left), record, read: &self.read, seen };
        for filter in &self.conditions {
            outcome.undecided += u64::from(filter.matches(&shown).is_err());
        }
        for rule in &self.rules {
            left.set(MADE_MAX);
            let finding = rule.judge(&shown);
            if finding == Finding::Holds {
                continue;
            }
            let before = self.old_rules.iter().find(|before| before.id == rule.id);
            let was_broken = before
                .is_some_and(|before| before.judge(&LensCells::new(old, &written, &Cell::new(MADE_MAX))) == finding);
            match finding {
                Finding::Unchecked(_) if rule.is_newer() || was_broken => outcome.unchecked += 1,
                Finding::Unchecked(why) => outcome.broken.push((rule.name.clone(), format!("unchecked: {why}"))),
                _broken if was_broken => {}
                _broken if rule.definition.severity == Severity::Warning => outcome.warnings += 1,
                _broken => outcome.broken.push((rule.name.clone(), rule.definition.message.clone())),
            }
        }
        outcome
    }
}

impl FieldTrial {
    fn new(old: &Design, new: &Design, list: ListId, field: FieldId) -> Option<Self> {
        let of = |design: &Design, property| {
            design.elements.get(&field.into()).and_then(|it| it.property(property)) == Some(Value::Bool(true))
        };
        let was_there = old.has_field(list, field);
        let before = was_there.then(|| OldField {
            ty: old.field_type(field),
            constraint: Constraint::of(old, field),
            is_required: of(old, Property::Required),
        });
        let asks = [Property::Required, Property::Pattern, Property::Min, Property::Max];
        let property =
            |design: &Design, it| design.elements.get(&field.into()).and_then(|element| element.property(it));
        let is_alike = was_there
            && asks.iter().all(|it| property(old, *it) == property(new, *it))
            && old.lenses().fingerprint(field) == new.lenses().fingerprint(field);
        Some(Self {
            field,
            name: new.name(field),
            ty: new.field_type(field)?,
            constraint: Constraint::of(new, field),
            is_required: of(new, Property::Required),
            is_newly_unique: of(new, Property::Unique) && !of(old, Property::Unique),
            old: before,
            differs: !is_alike,
        })
    }

    fn look_at(&self, (old, new): (&Design, &Design), written: &&[CellRow<'_>], outcome: &mut RowOutcome) {
        let parts = written.iter().filter(|cell| cell.field == self.field).map(CellRow::part);
        let parts = parts.filter(|part| !part.is_empty());
        let mut shows_something = false;
        for part in std::iter::once(PartPath::default()).chain(parts) {
            // Bytes are canonical: they are alike where the values are.
            let something = |shows: &Cow<'_, [u8]>| **shows != NOTHING;
            let after = new.lenses().shown(written, self.field, &part).filter(something);
            let before = self.old.as_ref().and_then(|_| old.lenses().shown(written, self.field, &part));
            let before = before.filter(something);
            shows_something |= after.is_some();
            outcome.changed |= before != after;
            if let Some(value) = after.as_deref().and_then(record_row::value) {
                self.look_at_value((before, &value), &part, outcome);
            }
        }
        let newly_required = self.is_required && self.old.as_ref().is_none_or(|old| !old.is_required);
        if newly_required && !shows_something {
            outcome.broken.push((format!("required {}", self.name), "it must have a value".into()));
        }
    }

    fn look_at_value(
        &self,
        (before, value): (Option<Cow<'_, [u8]>>, &Value),
        part: &PartPath,
        outcome: &mut RowOutcome,
    ) {
        let before = || before.as_deref().and_then(record_row::value);
        if is_raw(&self.ty, part, value) {
            let before = before();
            let old = self.old.as_ref().and_then(|old| old.ty.as_ref()).zip(before.as_ref());
            if old.is_none_or(|(ty, before)| !is_raw(ty, part, before)) {
                let text = to_text(value).unwrap_or_else(|| "a value without a text".into());
                outcome.raw.push((self.name.clone(), text));
            }
            return;
        }
        let breaches = self.constraint.as_ref().is_some_and(|constraint| constraint.breach(value).is_some());
        let breached = || {
            let before = before();
            let old = self.old.as_ref().and_then(|old| old.constraint.as_ref()).zip(before.as_ref());
            old.is_some_and(|(constraint, before)| constraint.breach(before).is_some())
        };
        if breaches && !breached() {
            let text = to_text(value).unwrap_or_default();
            outcome.broken.push((format!("values of {}", self.name), format!("{text:?} is not what it may hold")));
        }
    }
}

/// A record as the new design shows it.
struct Shown<'l, 'a: 'l, W> {
    cells: LensCells<'l, 'a, W>,
    record: RecordId,
    /// See [`ListTrial::read`].
    read: &'l [FieldId],
    /// What these show, once it was asked for.
    seen: RefCell<Vec<Option<Term<'a>>>>,
}

impl<'a, W: Written<'a>> Cells for Shown<'_, 'a, W> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        let place = self.read.iter().position(|read| *read == field).filter(|_| part.is_empty());
        let Some(place) = place else { return self.cells.term(field, part) };
        self.seen.borrow_mut()[place].get_or_insert_with(|| self.cells.term(field, part)).clone()
    }

    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        self.cells.cells(field)
    }

    fn meta(&self, meta: Meta) -> Term<'_> {
        match meta {
            Meta::Id => Term::Record(self.record),
            _times_and_authors => Term::Null,
        }
    }
}
