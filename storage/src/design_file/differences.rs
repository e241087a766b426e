//! What two designs have apart, in words.

use super::{Key, plan::is_nothing};
use crate::{
    fold::{Design, design::Element},
    lens::to_text,
};
use tandem_wire::{
    ElementId, Value,
    design::{ElementKind, Property},
};

/// One thing that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What became of it.
    pub kind: DifferenceKind,
    /// The list, field, choice, view, form or rule, by its name in the new design.
    pub place: String,
    /// What is other than before, in words: `required`, `type text → int`; empty where all of it is new or gone.
    pub what: String,
}

/// What became of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// It is new, or back.
    Added,
    /// It is another.
    Changed,
    /// It is dropped; its values are retained.
    Dropped,
}

/// Everything that is not the same in a new design.
pub fn differences(old: &Design, new: &Design) -> Vec<Difference> {
    let mut found = Vec::new();
    for (id, element) in &new.elements {
        let Some(kind) = ElementKind::from_number(element.kind) else { continue };
        let before = old.elements.get(id).filter(|before| !before.is_dropped());
        let of = |kind, place, what| Difference { kind, place, what };
        match (before, element.is_dropped()) {
            (None, true) => {}
            (None, false) => found.push(of(DifferenceKind::Added, place(new, kind, *id, element), about(new, *id))),
            (Some(_), true) => found.push(of(DifferenceKind::Dropped, place(new, kind, *id, element), String::new())),
            (Some(before), false) => {
                let what = changes((old, before), (new, element), *id);
                if !what.is_empty() {
                    found.push(of(DifferenceKind::Changed, place(new, kind, *id, element), what.join(", ")));
                }
            }
        }
    }
    found.sort_by(|a, b| (&a.place, a.kind).cmp(&(&b.place, b.kind)));
    found
}

/// What people call an element.
fn place(design: &Design, kind: ElementKind, id: ElementId, element: &Element) -> String {
    let name = design.name(id);
    let parent = element.parent.map(|parent| design.name(parent)).unwrap_or_default();
    let key = match kind {
        ElementKind::List => Key::list(&name),
        ElementKind::Choice => {
            let list = element.parent.and_then(|field| design.elements.get(&field)?.parent);
            Key::choice(&list.map(|list| design.name(list)).unwrap_or_default(), &parent, &name)
        }
        other => Key::of(other, &parent, &name),
    };
    key.place()
}

fn about(design: &Design, id: ElementId) -> String {
    design.field_type(id.as_field()).map(|ty| ty.describe()).unwrap_or_default()
}

fn changes(old: (&Design, &Element), new: (&Design, &Element), id: ElementId) -> Vec<String> {
    let mut changes = Vec::new();
    for property in Property::ALL {
        let (before, after) = (old.1.property(property), new.1.property(property));
        let is_none = |value: &Option<Value>| value.as_ref().is_none_or(|value| is_nothing(property, value));
        if before == after || is_none(&before) && is_none(&after) {
            continue;
        }
        changes.push(match property {
            Property::Name => format!("was {}", old.0.name(id)),
            Property::Type => format!("type {} → {}", about(old.0, id), about(new.0, id)),
            Property::Definition => "its definition".into(),
            Property::MadeOf => "what it is made of".into(),
            Property::Order => "its place".into(),
            Property::Dropped => continue,
            Property::MergedInto => match after {
                Some(Value::Choice(into)) => format!("merged into {}", new.0.name(into)),
                _own => "not merged any more".into(),
            },
            other => format!("{} {} → {}", named(other), shown(old.0, before), shown(new.0, after)),
        });
    }
    changes
}

fn named(property: Property) -> &'static str {
    match property {
        Property::Required => "required",
        Property::Unique => "unique",
        Property::Default => "default",
        Property::Help => "help",
        Property::Source => "source",
        Property::Indexed => "indexed",
        Property::Pattern => "pattern",
        Property::Min => "min",
        Property::Max => "max",
        Property::OnDelete => "on_delete",
        Property::FailingPercent => "failing_percent",
        Property::IndexedParts => "indexed parts",
        Property::RowNumber => "row_number",
        Property::Name | Property::Type | Property::Order | Property::Dropped => "place",
        Property::Definition | Property::MergedInto | Property::MadeOf => "definition",
    }
}

fn shown(design: &Design, value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => "nothing".into(),
        Some(Value::Choice(choice)) => design.name(choice),
        Some(value) => to_text(&value).filter(|text| !text.is_empty()).unwrap_or_else(|| "nothing".into()),
    }
}
