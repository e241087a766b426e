//! What a new design asks of the rows of one list.

use super::{
    glance::{Asked, Asking, Glance},
    row::RowOutcome,
};
use crate::{
    composite,
    constraint::Constraint,
    design_rule::{DesignRule, Finding, Severity, fields_of},
    filter::Filter,
    fold::Design,
    form::FormDefinition,
    index::{CellPath, Index, ViewDefinition},
    lens::{LensCells, MADE_MAX, is_raw, to_text},
    query::Condition,
    record_row::{self, CellRow, NOTHING},
};
use std::{borrow::Cow, cell::Cell, collections::BTreeSet};
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
    asked: Asked,
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
        let fields = new.fields(list).into_iter().filter_map(|field| FieldTrial::new(old, new, list, field));
        let fields: Vec<FieldTrial> = fields.collect();
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
        let of_list = || indexes.iter().enumerate().filter(|(_, index)| index.definition.list == list);
        let (rules, old_rules) = (new.rules().list(list).to_vec(), old.rules().list(list).to_vec());
        let by_conditions = conditions.iter().flat_map(|filter| fields_of(filter.reads()));
        let by_indexes = of_list().flat_map(|(_, index)| index.definition.paths()).map(|(field, _)| *field);
        let different = fields.iter().filter(|field| field.differs).map(|field| field.field);
        let asked = by_conditions.chain(rules.iter().flat_map(DesignRule::reads)).chain(by_indexes).chain(different);
        let asked = Asked::of(new, asked);
        let indexes = of_list().map(|(place, _)| place).collect();
        Self { fields, rules, old_rules, conditions, asked, indexes }
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

    /// A record, as the new design shows it.
    pub(super) fn glance<'l, 'a: 'l>(&'l self, new: &'l Design, cells: &'l [CellRow<'a>]) -> Glance<'l, 'a> {
        Glance::new(&self.asked, new, cells)
    }

    /// What becomes of a record.
    pub(super) fn look_at(&self, old: &Design, record: RecordId, glance: &Glance<'_, '_>) -> RowOutcome {
        let mut outcome = RowOutcome::default();
        for field in self.fields.iter().filter(|field| field.differs) {
            field.look_at(old, glance, &mut outcome);
        }
        let left = Cell::new(MADE_MAX);
        let shown = Asking { glance, record, left: &left };
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
            let was_broken = before.is_some_and(|before| {
                before.judge(&LensCells::new(old, &glance.cells, &Cell::new(MADE_MAX))) == finding
            });
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

    fn look_at(&self, old: &Design, glance: &Glance<'_, '_>, outcome: &mut RowOutcome) {
        let written = &glance.cells;
        let parts = written.iter().filter(|cell| cell.field == self.field).map(CellRow::part);
        let parts = parts.filter(|part| !part.is_empty());
        let mut shows_something = false;
        for part in std::iter::once(PartPath::default()).chain(parts) {
            // Bytes are canonical: they are alike where the values are.
            let something = |shows: &Cow<'_, [u8]>| **shows != NOTHING;
            let path = (self.field, part);
            let after = glance.shown(&path).filter(something);
            let part = path.1;
            let before = self.old.as_ref().and_then(|_| old.lenses().shown(written, self.field, &part));
            let before = before.filter(something);
            outcome.changed |= before != after;
            if let Some(value) = after.as_deref().and_then(record_row::value) {
                shows_something |= composite::shows(&self.ty, &part, &value);
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
