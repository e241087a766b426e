//! A workspace's design as a file.

use super::spec::*;
use crate::{
    design_rule::{Example, Expected, RuleDefinition},
    fold::Design,
    form::FormDefinition,
    index::ViewDefinition,
    lens::{Source, to_text},
};
use std::collections::BTreeMap;
use tandem_wire::{
    ElementId, FieldId, ListId, Value,
    design::{BaseType, ElementKind, Property},
};

/// The file that a design is: applied to the same design, it changes nothing.
pub fn export(design: &Design) -> DesignFile {
    let lists = in_order(design, None, ElementKind::List);
    let lists = lists.into_iter().map(|list| list_of(design, list.as_list())).collect();
    DesignFile { format: DESIGN_FORMAT, description: String::new(), lists }
}

/// The elements of a kind and parent that are not dropped, in their order.
fn in_order(design: &Design, parent: Option<ElementId>, kind: ElementKind) -> Vec<ElementId> {
    let all = design
        .elements
        .iter()
        .filter(|(_, element)| element.kind == kind.number() && element.parent == parent && !element.is_dropped());
    let mut all: Vec<_> = all.map(|(id, _)| (rank(design, *id), *id)).collect();
    all.sort();
    all.into_iter().map(|(_, id)| id).collect()
}

fn rank(design: &Design, element: ElementId) -> Vec<u8> {
    match property(design, element, Property::Order) {
        Some(Value::Rank(rank)) => rank,
        _unordered => vec![0xff],
    }
}

fn property(design: &Design, element: impl Into<ElementId>, property: Property) -> Option<Value> {
    design.elements.get(&element.into())?.property(property).filter(|value| *value != Value::Null)
}

fn text(design: &Design, element: impl Into<ElementId>, of: Property) -> String {
    match property(design, element, of) {
        Some(Value::Text(text)) => text,
        _none => String::new(),
    }
}

fn list_of(design: &Design, list: ListId) -> ListSpec {
    let failing = match property(design, list, Property::FailingPercent) {
        Some(Value::Int(percent)) => u8::try_from(percent).unwrap_or(0),
        _none => 0,
    };
    let of_list = |kind| in_order(design, Some(list.into()), kind).into_iter();
    ListSpec {
        name: design.name(list),
        was: None,
        help: text(design, list, Property::Help),
        failing_percent: failing,
        fields: of_list(ElementKind::Field).map(|field| field_of(design, field.as_field())).collect(),
        views: of_list(ElementKind::View).filter_map(|view| view_of(design, view)).collect(),
        forms: of_list(ElementKind::Form).filter_map(|form| form_of(design, form)).collect(),
        rules: of_list(ElementKind::Rule).filter_map(|rule| rule_of(design, rule)).collect(),
    }
}

fn field_of(design: &Design, field: FieldId) -> FieldSpec {
    let is = |of| property(design, field, of) == Some(Value::Bool(true));
    let ty = design.field_type(field);
    let base = ty.as_ref().and_then(|ty| ty.base()).unwrap_or(BaseType::Text);
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let value = |of| property(design, field, of).and_then(|value| scalar(design, &value));
    let (split, join) = match Source::of(&design.elements[&field.into()]) {
        Some(Source::Split(split)) => {
            let of = named(design, &split.of);
            (Some(SplitSpec { of, at: split.at, part: split.part, parts: split.parts }), None)
        }
        Some(Source::Join(join)) => {
            (None, Some(JoinSpec { of: join.of.iter().map(|of| named(design, of)).collect(), with: join.with }))
        }
        None => (None, None),
    };
    FieldSpec {
        name: design.name(field),
        was: None,
        base: base.name().into(),
        many: ty.as_ref().is_some_and(|ty| ty.many),
        list: ty.and_then(|ty| ty.list).map(|list| design.name(list)),
        required: is(Property::Required),
        unique: is(Property::Unique),
        indexed: match some(text(design, field, Property::IndexedParts)) {
            Some(parts) => Indexed::Parts(parts.split(' ').map(str::to_owned).collect()),
            None => Indexed::Whole(is(Property::Indexed)),
        },
        row_number: is(Property::RowNumber),
        pattern: some(text(design, field, Property::Pattern)),
        min: value(Property::Min),
        max: value(Property::Max),
        default: value(Property::Default),
        on_delete: some(text(design, field, Property::OnDelete)),
        help: text(design, field, Property::Help),
        choices: in_order(design, Some(field.into()), ElementKind::Choice)
            .into_iter()
            .filter(|choice| property(design, *choice, Property::MergedInto).is_none())
            .map(|choice| ChoiceSpec::Name(design.name(choice)))
            .collect(),
        split,
        join,
    }
}

fn scalar(design: &Design, value: &Value) -> Option<Scalar> {
    Some(match value {
        Value::Bool(yes) => Scalar::Bool(*yes),
        Value::Int(number) => Scalar::Int(*number),
        Value::Float(number) => Scalar::Float(*number),
        Value::Choice(choice) => Scalar::Text(design.name(*choice)),
        other => Scalar::Text(to_text(other)?),
    })
}

/// The name of a field that a definition has by its id.
fn named(design: &Design, id: &str) -> String {
    id.parse().map(|field: FieldId| design.name(field)).unwrap_or_default()
}

/// A source with the names that its fields have now.
fn renamed(design: &Design, source: &str, names: &BTreeMap<String, String>) -> String {
    let mut source = source.to_owned();
    for (told, id) in names {
        let now = named(design, id);
        if !now.is_empty() && now != *told {
            source = super::rename::rename(&source, told, &now);
        }
    }
    source
}

fn view_of(design: &Design, view: ElementId) -> Option<ViewSpec> {
    let definition = ViewDefinition::of(design, view)?;
    let field = |id: &String| named(design, id);
    Some(ViewSpec {
        name: design.name(view),
        was: None,
        kind: definition.kind,
        filter: definition.filter.as_ref().map(|filter| renamed(design, filter, &definition.names)),
        sort: definition.sort.as_ref().map(|sort| named(design, &sort.by.field)),
        descending: definition.sort.as_ref().is_some_and(|sort| sort.descending),
        group: definition.group.as_ref().map(field),
        columns: definition.columns.iter().map(|cell| named(design, &cell.field)).collect(),
        start: definition.start.as_ref().map(field),
        end: definition.end.as_ref().map(field),
        after: definition.after.as_ref().map(field),
    })
}

fn form_of(design: &Design, form: ElementId) -> Option<FormSpec> {
    let definition = FormDefinition::of(design, form)?;
    let sections = definition.sections.iter().map(|section| {
        let fields = section.fields.iter().map(|field| match &field.when {
            None => FormFieldSpec::Name(named(design, &field.field)),
            Some(when) => FormFieldSpec::When(ConditionalField {
                name: named(design, &field.field),
                when: renamed(design, when, &definition.names),
            }),
        });
        SectionSpec { title: section.title.clone(), fields: fields.collect() }
    });
    Some(FormSpec { name: design.name(form), was: None, sections: sections.collect() })
}

fn rule_of(design: &Design, rule: ElementId) -> Option<RuleSpec> {
    let definition = RuleDefinition::of(design, rule)?;
    let source = |source: &Option<String>| source.as_ref().map(|it| renamed(design, it, &definition.names));
    let set =
        definition.set.iter().map(|(id, formula)| (named(design, id), renamed(design, formula, &definition.names)));
    Some(RuleSpec {
        name: design.name(rule),
        was: None,
        kind: definition.kind,
        when: source(&definition.when),
        check: source(&definition.check),
        message: definition.message.clone(),
        field: definition.field.as_ref().map(|id| named(design, id)),
        severity: definition.severity,
        value: source(&definition.value),
        set: set.collect(),
        examples: definition.examples.iter().filter_map(|example| example_of(design, example)).collect(),
    })
}

fn example_of(design: &Design, example: &Example) -> Option<ExampleSpec> {
    let value = |bytes: &[u8]| Value::decode(bytes).ok().and_then(|value| scalar(design, &value));
    let record = example.record.iter().filter_map(|(id, bytes)| Some((named(design, id), value(bytes)?))).collect();
    let (holds, gives) = match &example.expect {
        Expected::Holds(holds) => (Some(*holds), None),
        Expected::Gives(bytes) => (None, Some(value(bytes)?)),
    };
    Some(ExampleSpec { record, holds, gives })
}
