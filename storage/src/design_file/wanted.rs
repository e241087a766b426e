//! The properties that a file asks for, of every element in it.

use super::{DesignFault, keys::Key, spec::*};
use crate::{
    design_rule::{EVALUATOR, Example, Expected, RuleDefinition, RuleKind},
    fold::Design,
    form::{FormDefinition, FormField, FormSection},
    index::{
        ViewDefinition,
        definition::{ViewCell, ViewSort},
    },
    lens::{Choices, Join, Source, Split, convert},
};
use std::collections::BTreeMap;
use tandem_wire::{
    ElementId, FieldId, Value,
    design::{BaseType, ElementKind, FieldType, Property},
};

/// Every property of every element of a file, set or not.
pub(super) struct Wanted(pub(super) Vec<(ElementId, Property, Value)>);

struct Maker<'a> {
    ids: &'a dyn Fn(&Key) -> ElementId,
    file: &'a DesignFile,
    puts: Vec<(ElementId, Property, Value)>,
    faults: Vec<DesignFault>,
}

impl Wanted {
    pub(super) fn of(
        design: &Design,
        file: &DesignFile,
        ids: &dyn Fn(&Key) -> ElementId,
    ) -> Result<Self, Vec<DesignFault>> {
        let mut maker = Maker { ids, file, puts: Vec::new(), faults: Vec::new() };
        for (place, list) in file.lists.iter().enumerate() {
            maker.list(design, place, list);
        }
        let Maker { puts, faults, .. } = maker;
        if faults.is_empty() { Ok(Self(puts)) } else { Err(faults) }
    }
}

/// A text where there is one.
fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::Text(text.into()) }
}

impl Maker<'_> {
    fn put(&mut self, key: &Key, property: Property, value: Value) {
        self.puts.push(((self.ids)(key), property, value));
    }

    fn fault(&mut self, key: &Key, message: impl Into<String>) {
        self.faults.push(DesignFault::new(key.place(), message));
    }

    fn common(&mut self, key: &Key, name: &str, place: usize) {
        self.put(key, Property::Name, Value::Text(name.into()));
        self.put(key, Property::Order, Value::Rank((place as u32).to_be_bytes().to_vec()));
        self.put(key, Property::Dropped, Value::Bool(false));
    }

    fn list(&mut self, design: &Design, place: usize, list: &ListSpec) {
        let key = Key::list(&list.name);
        self.common(&key, &list.name, place);
        self.put(&key, Property::Help, text(&list.help));
        if list.failing_percent > 100 {
            self.fault(&key, "failing_percent is more than 100");
        }
        self.put(&key, Property::FailingPercent, Value::Int(list.failing_percent.into()));
        for (place, field) in list.fields.iter().enumerate() {
            self.field(design, list, place, field);
        }
        for (place, view) in list.views.iter().enumerate() {
            self.view(list, place, view);
        }
        for (place, form) in list.forms.iter().enumerate() {
            self.form(list, place, form);
        }
        for (place, rule) in list.rules.iter().enumerate() {
            self.rule(list, place, rule);
        }
    }

    fn field(&mut self, design: &Design, list: &ListSpec, place: usize, field: &FieldSpec) {
        let key = Key::of(ElementKind::Field, &list.name, &field.name);
        self.common(&key, &field.name, place);
        self.put(&key, Property::Help, text(&field.help));
        self.put(&key, Property::Required, Value::Bool(field.required));
        self.put(&key, Property::Unique, Value::Bool(field.unique));
        let (whole, parts) = match &field.indexed {
            Indexed::Whole(whole) => (*whole, Value::Null),
            Indexed::Parts(parts) => (false, text(&parts.join(" "))),
        };
        self.put(&key, Property::Indexed, Value::Bool(whole));
        self.put(&key, Property::IndexedParts, parts);
        self.put(&key, Property::RowNumber, Value::Bool(field.row_number));
        self.put(&key, Property::Pattern, field.pattern.as_deref().map_or(Value::Null, text));
        self.put(&key, Property::OnDelete, field.on_delete.as_deref().map_or(Value::Null, text));
        for (place, choice) in field.choices.iter().enumerate() {
            self.choice(design, list, field, place, choice);
        }
        let Some(base) = BaseType::named(&field.base) else {
            let known = BaseType::ALL.map(BaseType::name).join(", ");
            return self.fault(&key, format!("there is no type {:?}; there are: {known}", field.base));
        };
        let mut ty = if field.many { FieldType::many(base) } else { FieldType::one(base) };
        match &field.list {
            Some(of) if self.file.lists.iter().any(|list| list.name == *of) => {
                ty.list = Some((self.ids)(&Key::list(of)))
            }
            Some(of) => self.fault(&key, format!("it refers to the list {of:?}, which there is not")),
            None => {}
        }
        self.put(&key, Property::Type, ty.to_value());
        for (property, scalar) in
            [(Property::Min, &field.min), (Property::Max, &field.max), (Property::Default, &field.default)]
        {
            let value = scalar.as_ref().map_or(Some(Value::Null), |scalar| self.value(list, field, base, scalar));
            match value {
                Some(value) => self.put(&key, property, value),
                None => self.fault(&key, format!("its {property:?} is no {}", base.name()).to_lowercase()),
            }
        }
        let source = self.source(&key, list, field);
        self.put(&key, Property::MadeOf, source.map_or(Value::Null, |source| source.to_value()));
    }

    /// A plain value of a field's type.
    fn value(&self, list: &ListSpec, field: &FieldSpec, base: BaseType, scalar: &Scalar) -> Option<Value> {
        let value = plain(scalar)?;
        if base == BaseType::Choice {
            let Value::Text(name) = &value else { return None };
            let is_there = field.choices.iter().any(|choice| choice.name() == name);
            return is_there.then(|| Value::Choice((self.ids)(&Key::choice(&list.name, &field.name, name))));
        }
        convert(&value, base, &Choices::default())
    }

    fn source(&mut self, key: &Key, list: &ListSpec, field: &FieldSpec) -> Option<Source> {
        match (&field.split, &field.join) {
            (None, None) => None,
            (Some(split), None) => {
                let of = self.field_id(key, list, &split.of)?.to_string();
                let SplitSpec { at, part, parts, .. } = split.clone();
                if part >= parts {
                    self.fault(key, "its part is not one of its parts; they are counted from 0");
                }
                Some(Source::Split(Split { of, at, part, parts }))
            }
            (None, Some(join)) => {
                let of: Option<Vec<String>> =
                    join.of.iter().map(|of| self.field_id(key, list, of).map(|id| id.to_string())).collect();
                Some(Source::Join(Join { of: of?, with: join.with.clone() }))
            }
            (Some(_), Some(_)) => {
                self.fault(key, "it is split off one field, or joined of several: not both");
                None
            }
        }
    }

    /// A field of the same list, by its name.
    fn field_id(&mut self, key: &Key, list: &ListSpec, name: &str) -> Option<FieldId> {
        if !list.fields.iter().any(|field| field.name == name) {
            let known: Vec<&str> = list.fields.iter().map(|field| field.name.as_str()).collect();
            self.fault(key, format!("there is no field {name:?}; there are: {}", known.join(", ")));
            return None;
        }
        Some((self.ids)(&Key::of(ElementKind::Field, &list.name, name)).as_field())
    }

    fn choice(&mut self, design: &Design, list: &ListSpec, field: &FieldSpec, place: usize, choice: &ChoiceSpec) {
        let key = Key::choice(&list.name, &field.name, choice.name());
        self.common(&key, choice.name(), place);
        let id = (self.ids)(&key);
        self.put(&key, Property::MergedInto, Value::Null);
        let of_field = (self.ids)(&Key::of(ElementKind::Field, &list.name, &field.name)).as_field();
        let all = design.elements.iter().filter(|(_, element)| {
            element.kind == ElementKind::Choice.number() && element.parent == Some(of_field.into())
        });
        for (other, _) in all.filter(|(other, _)| **other != id && choice.was().contains(&design.name(**other))) {
            self.puts.push((*other, Property::MergedInto, Value::Choice(id)));
        }
    }

    fn view(&mut self, list: &ListSpec, place: usize, view: &ViewSpec) {
        let key = Key::of(ElementKind::View, &list.name, &view.name);
        self.common(&key, &view.name, place);
        let mut cell = |name: &String| self.field_id(&key, list, name).map(ViewCell::field);
        let columns: Vec<ViewCell> = view.columns.iter().filter_map(&mut cell).collect();
        let sort = view.sort.as_ref().and_then(&mut cell);
        let mut field = |name: &Option<String>| name.as_ref().and_then(&mut cell).map(|cell| cell.field);
        let (group, start, end, after) = (field(&view.group), field(&view.start), field(&view.end), field(&view.after));
        let definition = ViewDefinition {
            sort: sort.map(|by| ViewSort { by, descending: view.descending }),
            columns,
            kind: view.kind,
            names: self.names(list, view.filter.iter()),
            filter: view.filter.clone(),
            group,
            start,
            end,
            after,
        };
        self.put(&key, Property::Definition, definition.to_value());
    }

    fn form(&mut self, list: &ListSpec, place: usize, form: &FormSpec) {
        let key = Key::of(ElementKind::Form, &list.name, &form.name);
        self.common(&key, &form.name, place);
        let mut sections = Vec::new();
        for section in &form.sections {
            let mut fields = Vec::new();
            for field in &section.fields {
                let Some(id) = self.field_id(&key, list, field.name()) else { continue };
                fields.push(FormField { field: id.to_string(), when: field.when().cloned() });
            }
            sections.push(FormSection { title: section.title.clone(), fields });
        }
        let conditions = form.sections.iter().flat_map(|section| &section.fields).filter_map(FormFieldSpec::when);
        let names = self.names(list, conditions);
        self.put(&key, Property::Definition, FormDefinition { sections, names }.to_value());
    }

    fn rule(&mut self, list: &ListSpec, place: usize, rule: &RuleSpec) {
        let key = Key::of(ElementKind::Rule, &list.name, &rule.name);
        self.common(&key, &rule.name, place);
        let field = rule.field.as_ref().and_then(|name| self.field_id(&key, list, name));
        let mut set = BTreeMap::new();
        for (name, formula) in &rule.set {
            set.extend(self.field_id(&key, list, name).map(|id| (id.to_string(), formula.clone())));
        }
        let sources = [&rule.when, &rule.check, &rule.value].into_iter().flatten().chain(rule.set.values());
        let names = self.names(list, sources);
        let examples = rule.examples.iter().filter_map(|example| self.example(&key, list, rule, example)).collect();
        let mut definition = RuleDefinition {
            kind: rule.kind,
            evaluator: EVALUATOR,
            when: rule.when.clone(),
            check: rule.check.clone(),
            value: rule.value.clone(),
            set,
            field: field.map(|field| field.to_string()),
            message: rule.message.clone(),
            severity: rule.severity,
            names,
            examples,
            hash: String::new(),
        };
        definition.hash = definition.source_hash();
        self.put(&key, Property::Definition, definition.to_value());
    }

    fn example(&mut self, key: &Key, list: &ListSpec, rule: &RuleSpec, example: &ExampleSpec) -> Option<Example> {
        let mut record = BTreeMap::new();
        for (name, scalar) in &example.record {
            let id = self.field_id(key, list, name)?;
            record.insert(id.to_string(), self.value_of(key, list, name, scalar)?.encode());
        }
        let expect = match (rule.kind, example.holds, &example.gives) {
            (RuleKind::Validation, Some(holds), None) => Expected::Holds(holds),
            (RuleKind::Computed | RuleKind::Default, None, Some(gives)) => {
                let field = rule.field.clone().unwrap_or_default();
                Expected::Gives(self.value_of(key, list, &field, gives)?.encode())
            }
            _other => {
                self.fault(key, "an example says `holds` of a validation, `gives` of a computed field or a default");
                return None;
            }
        };
        Some(Example { record, expect })
    }

    fn value_of(&mut self, key: &Key, list: &ListSpec, name: &str, scalar: &Scalar) -> Option<Value> {
        let field = list.fields.iter().find(|field| field.name == name)?;
        let base = BaseType::named(&field.base)?;
        let value = self.value(list, field, base, scalar);
        if value.is_none() {
            self.fault(key, format!("in an example, {name} is no {}", base.name()));
        }
        value
    }

    /// The fields that some sources may speak of, by their names.
    fn names<'f>(
        &self,
        list: &ListSpec,
        sources: impl Iterator<Item = &'f String> + Clone,
    ) -> BTreeMap<String, String> {
        let spoken = list.fields.iter().filter(|field| sources.clone().any(|source| source.contains(&field.name)));
        let id = |name: &str| (self.ids)(&Key::of(ElementKind::Field, &list.name, name)).as_field().to_string();
        spoken.map(|field| (field.name.clone(), id(&field.name))).collect()
    }
}

/// As a value; nothing for numbers that are none.
fn plain(scalar: &Scalar) -> Option<Value> {
    match scalar {
        Scalar::Bool(yes) => Some(Value::Bool(*yes)),
        Scalar::Int(number) => Some(Value::Int(*number)),
        Scalar::Float(number) => Value::float(*number),
        Scalar::Text(text) => Some(Value::Text(text.clone())),
    }
}
