//! The choices of a field, by id and by name.

use crate::fold::Design;
use std::collections::BTreeMap;
use tandem_wire::{
    ElementId, FieldId, Value,
    design::{ElementKind, Property},
};

/// Steps from a choice to the one that it was merged into, and on.
const MERGES_MAX: usize = 16;

/// The choices of a field, dropped ones included: what was chosen keeps its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    names: BTreeMap<ElementId, String>,
    by_name: BTreeMap<String, ElementId>,
    merged: BTreeMap<ElementId, ElementId>,
}

impl Choices {
    /// Of a field, whatever its type is now.
    pub fn of(design: &Design, field: FieldId) -> Self {
        let mut choices = Self::default();
        let of_field = design.elements.iter().filter(|(_, element)| {
            element.kind == ElementKind::Choice.number() && element.parent == Some(field.into())
        });
        for (id, element) in of_field {
            choices.names.insert(*id, design.name(*id));
            match element.property(Property::MergedInto) {
                Some(Value::Choice(into)) => drop(choices.merged.insert(*id, into)),
                _own if !element.is_dropped() => drop(choices.by_name.entry(design.name(*id)).or_insert(*id)),
                _dropped => {}
            }
        }
        choices
    }

    /// The name of a choice, or of the one that it was merged into.
    pub fn name(&self, choice: ElementId) -> Option<&str> {
        self.names.get(&self.present(choice)).map(String::as_str)
    }

    /// The choice with this name that can be chosen now.
    pub fn named(&self, name: &str) -> Option<ElementId> {
        self.by_name.get(name).copied()
    }

    /// The choice itself, or the one that it was merged into.
    pub fn present(&self, choice: ElementId) -> ElementId {
        let mut present = choice;
        for _ in 0..MERGES_MAX {
            match self.merged.get(&present) {
                Some(into) => present = *into,
                None => break,
            }
        }
        present
    }

    pub(super) fn are_merged(&self) -> bool {
        !self.merged.is_empty()
    }

    pub(super) fn fingerprint(&self) -> impl serde::Serialize {
        (&self.names, &self.by_name, &self.merged)
    }
}
