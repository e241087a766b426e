//! What cannot be meant in a design, whoever made it: by a file, or proposed by a server.

use super::DesignFault;
use crate::{
    composite::{self, Home},
    constraint::{Constraint, OnDelete, check_pattern},
    design_rule::{Body, Finding, RuleDefinition, Severity, Unread},
    field_type::fits,
    fold::{Design, RecordState},
    form::FormDefinition,
    index::ViewDefinition,
    lens::{LensCells, MADE_MAX, StateCells},
    rule::Workflow,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};
use tandem_wire::{
    ElementId, FieldId, ListId, PartPath, Value,
    design::{BaseType, ElementKind, Property},
};

/// Everything that is wrong with a design; nothing: it can be rehearsed.
pub fn check(design: &Design) -> Vec<DesignFault> {
    let mut checking = Checking { design, faults: Vec::new() };
    let lists: Vec<ListId> = design.lists().collect();
    checking.names(lists.iter().map(|list| (*list).into()).collect(), "list");
    for list in lists {
        checking.list(list);
    }
    checking.faults
}

struct Checking<'a> {
    design: &'a Design,
    faults: Vec<DesignFault>,
}

impl Checking<'_> {
    fn fault(&mut self, place: String, message: impl Into<String>) {
        self.faults.push(DesignFault::new(place, message));
    }

    fn place(&self, kind: &str, list: ListId, element: ElementId) -> String {
        format!("{kind} {}.{}", self.design.name(list), self.design.name(element))
    }

    /// Names that are empty, or shared.
    fn names(&mut self, elements: Vec<ElementId>, kind: &str) {
        let mut names = BTreeSet::new();
        for element in elements {
            let name = self.design.name(element);
            if name.trim().is_empty() {
                self.fault(format!("a {kind}"), "it has no name");
            } else if !names.insert(name.clone()) {
                self.fault(format!("{kind} {name}"), format!("two are called {name:?}"));
            }
        }
    }

    fn list(&mut self, list: ListId) {
        let fields = self.design.fields(list);
        self.names(fields.iter().map(|field| (*field).into()).collect(), "field");
        for field in &fields {
            self.field(list, *field);
        }
        self.goes_round(list, &fields);
        for (kind, name) in [(ElementKind::View, "view"), (ElementKind::Form, "form"), (ElementKind::Rule, "rule")] {
            let elements = self.of_list(list, kind);
            self.names(elements.clone(), name);
            for element in elements {
                match kind {
                    ElementKind::View => self.view(list, element),
                    ElementKind::Form => self.form(list, element),
                    _rule => self.rule(list, element),
                }
            }
        }
        self.workflows(list);
        if self.faults.is_empty() {
            self.defaults(list, &fields);
        }
    }

    fn of_list(&self, list: ListId, kind: ElementKind) -> Vec<ElementId> {
        let all = self.design.elements.iter().filter(|(_, element)| {
            element.kind == kind.number() && element.parent == Some(list.into()) && !element.is_dropped()
        });
        all.map(|(id, _)| *id).collect()
    }

    fn field(&mut self, list: ListId, field: FieldId) {
        let (design, place) = (self.design, self.place("field", list, field.into()));
        let Some(ty) = design.field_type(field) else { return self.fault(place, "it has no type") };
        let Some(base) = ty.base() else {
            return self.fault(place, "its type is one of a newer version");
        };
        if let Some(of) = ty.list.filter(|of| !design.has_list(of.as_list())) {
            self.fault(place.clone(), format!("it refers to the list {}, which there is not", design.name(of)));
        }
        let choices = design.choices(field);
        if base == BaseType::Choice {
            self.names(choices, "choice");
        } else if !choices.is_empty() {
            self.fault(place.clone(), format!("it has choices, and its type is {}", base.name()));
        }
        let property = |property| design.elements[&field.into()].property(property).filter(|it| *it != Value::Null);
        match property(Property::Pattern) {
            Some(Value::Text(pattern)) if base == BaseType::Text => {
                if let Err(why) = check_pattern(&pattern) {
                    self.fault(place.clone(), format!("its pattern cannot be used: {why}"));
                }
            }
            Some(Value::Text(pattern)) if pattern.is_empty() => {}
            Some(_) => self.fault(place.clone(), "only texts have a pattern"),
            None => {}
        }
        match property(Property::OnDelete) {
            Some(Value::Text(name)) if base == BaseType::Reference && OnDelete::named(&name).is_some() => {}
            Some(Value::Text(name)) if name.is_empty() => {}
            Some(_) => self.fault(place.clone(), "on_delete is `restrict` or `set-null`, of a reference"),
            None => {}
        }
        if let Some(Value::Text(parts)) = property(Property::IndexedParts) {
            for part in parts.split(' ') {
                match composite::part(base, part.as_bytes()) {
                    Some(part) if part.home == Home::Referred => {
                        let text = format!("its {} is another record's: it is sorted by without an index", part.name);
                        self.fault(place.clone(), text);
                    }
                    Some(_) if !ty.many => {}
                    Some(_) => self.fault(place.clone(), "it holds several values, which have no index"),
                    None => {
                        let parts = composite::of(base).map_or(&[][..], |composite| composite.parts());
                        let known: Vec<&str> = parts.iter().map(|part| part.name).collect();
                        self.fault(place.clone(), format!("it has no part {part:?}; there are: {}", known.join(", ")));
                    }
                }
            }
        }
        if property(Property::RowNumber) == Some(Value::Bool(true)) {
            let numbers = |field: &FieldId| {
                let element = &design.elements[&(*field).into()];
                element.property(Property::RowNumber) == Some(Value::Bool(true))
            };
            if base != BaseType::Int || ty.many {
                self.fault(place.clone(), "only a field of whole numbers numbers its list's records");
            }
            if design.fields(list).into_iter().find(numbers) != Some(field) {
                self.fault(place.clone(), "another field numbers the list's records already");
            }
        }
        let whole = PartPath::default();
        for (name, of) in [("min", Property::Min), ("max", Property::Max), ("default", Property::Default)] {
            let value = property(of).map(|value| design.lenses().value(field, &value));
            if value.is_some_and(|value| ty.many || !fits(&ty, &whole, &value)) {
                self.fault(place.clone(), format!("its {name} is no single {}", base.name()));
            }
        }
    }

    /// Fields that are made of each other.
    fn goes_round(&mut self, list: ListId, fields: &[FieldId]) {
        let lenses = self.design.lenses();
        let reads: BTreeMap<FieldId, Vec<FieldId>> =
            fields.iter().map(|field| (*field, lenses.reads(*field))).collect();
        for field in fields {
            let (mut seen, mut next) = (BTreeSet::new(), reads[field].clone());
            while let Some(of) = next.pop() {
                if of == *field {
                    let place = self.place("field", list, (*field).into());
                    self.fault(place, "it is computed from itself, directly or by way of others");
                    break;
                }
                if seen.insert(of) {
                    next.extend(reads.get(&of).into_iter().flatten());
                }
            }
        }
    }

    fn view(&mut self, list: ListId, view: ElementId) {
        let place = self.place("view", list, view);
        let Some(definition) = ViewDefinition::of(self.design, view) else {
            return self.fault(place, "its definition cannot be read");
        };
        let fields = self.design.fields(list);
        let cells =
            definition.columns.iter().chain(definition.sort.iter().map(|sort| &sort.by)).map(|cell| &cell.field);
        let unknown = cells
            .chain(definition.other_fields())
            .find(|id| id.parse::<FieldId>().ok().is_none_or(|field| !fields.contains(&field)));
        if unknown.is_some() {
            self.fault(place.clone(), "it shows a field that its list does not have");
        }
        if let Some(Err(error)) = definition.condition(self.design, list, "me") {
            self.fault(place.clone(), format!("its filter: {error}"));
        }
        for missing in missing_of(&definition) {
            self.fault(place.clone(), missing);
        }
    }

    fn form(&mut self, list: ListId, form: ElementId) {
        let place = self.place("form", list, form);
        let Some(definition) = FormDefinition::of(self.design, form) else {
            return self.fault(place, "its definition cannot be read");
        };
        let (fields, scope) = (self.design.fields(list), definition.scope(self.design, list));
        for field in definition.sections.iter().flat_map(|section| &section.fields) {
            if field.id().is_none_or(|id| !fields.contains(&id)) {
                self.fault(place.clone(), "it asks for a field that its list does not have");
            }
            if let Some(Err(error)) = field.condition(&scope) {
                self.fault(place.clone(), format!("its condition: {error}"));
            }
        }
    }

    fn rule(&mut self, list: ListId, rule: ElementId) {
        let place = self.place("rule", list, rule);
        if RuleDefinition::of(self.design, rule).is_none() {
            return self.fault(place, "its definition cannot be read");
        }
        let Some(rule) = self.design.rules().list(list).iter().find(|one| one.id == rule) else { return };
        match &rule.body {
            // Of a later version: it is not guessed at, here or elsewhere.
            Err(Unread::Newer(_)) => return,
            Err(Unread::Broken(why)) => return self.fault(place, why.clone()),
            Ok(Body::Validation { .. }) if rule.definition.message.trim().is_empty() => {
                self.fault(place.clone(), "it needs a `message` for whoever breaks it");
            }
            Ok(_) => {}
        }
        let fields = self.design.fields(list);
        if rule.definition.field().is_some_and(|field| !fields.contains(&field)) {
            self.fault(place.clone(), "it is about a field that its list does not have");
        }
        for (index, why) in rule.wrong_examples() {
            self.fault(place.clone(), format!("its example {} comes out otherwise: {why}", index + 1));
        }
    }

    /// Workflows that set off each other, or themselves.
    fn workflows(&mut self, list: ListId) {
        let rules = self.design.rules().list(list).iter();
        let flows: Vec<(ElementId, &Workflow)> = rules
            .filter_map(|rule| match &rule.body {
                Ok(Body::Workflow(workflow)) => Some((rule.id, workflow)),
                _other => None,
            })
            .collect();
        for (id, workflow) in &flows {
            let (mut seen, mut next) = (BTreeSet::new(), vec![*workflow]);
            while let Some(one) = next.pop() {
                let set: BTreeSet<FieldId> = one.sets().collect();
                let set_off = flows.iter().filter(|(_, other)| !other.waits_for().is_disjoint(&set));
                next.extend(set_off.filter(|(other, _)| seen.insert(*other)).map(|(_, workflow)| *workflow));
            }
            if seen.contains(id) {
                let place = self.place("rule", list, *id);
                self.fault(place, "it sets what it waits for, itself or by way of others: it would trigger itself");
            }
        }
    }

    /// Defaults that break what is asked of their own field.
    fn defaults(&mut self, list: ListId, fields: &[FieldId]) {
        let empty = RecordState::default();
        let written = StateCells(&empty);
        let left = Cell::new(MADE_MAX);
        let cells = LensCells::new(self.design, &written, &left);
        let shows = |field: FieldId| {
            let bytes = self.design.lenses().shown(&written, field, &PartPath::default())?;
            Value::decode(&bytes).ok().filter(|value| *value != Value::Null)
        };
        let mut faults = Vec::new();
        for field in fields {
            let Some(value) = shows(*field) else { continue };
            if Constraint::of(self.design, *field).is_some_and(|constraint| constraint.breach(&value).is_some()) {
                let place = self.place("field", list, (*field).into());
                faults.push(DesignFault::new(place, "its default is not what it asks of its own values"));
            }
        }
        for rule in self.design.rules().list(list) {
            let reads = rule.reads();
            let of_defaults = !reads.is_empty() && reads.iter().all(|field| shows(*field).is_some());
            if of_defaults && rule.definition.severity == Severity::Error && rule.judge(&cells) == Finding::Broken {
                let place = self.place("rule", list, rule.id);
                faults.push(DesignFault::new(place, "the defaults of the fields that it speaks of break it"));
            }
        }
        self.faults.extend(faults);
    }
}

/// What a view of its kind cannot do without.
fn missing_of(view: &ViewDefinition) -> Vec<&'static str> {
    use super::ViewKind;
    let mut missing = Vec::new();
    if view.kind == ViewKind::Board && view.group.is_none() {
        missing.push("a board needs a `group`: the choice field of its columns");
    }
    if matches!(view.kind, ViewKind::Calendar | ViewKind::Gantt) && view.start.is_none() {
        missing.push("a calendar or Gantt view needs a `start`: the field of the first day");
    }
    missing
}
