//! Forms: ways to fill a record in.

use crate::{
    filter::{Filter, FilterError, Scope},
    fold::Design,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_wire::{
    ElementId, FieldId, ListId, Value,
    design::{ElementKind, Property},
};

/// A form, as [`Property::Definition`] of its element holds it in JSON. Fields are by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormDefinition {
    /// Its sections, in their order.
    #[serde(default)]
    pub sections: Vec<FormSection>,
    /// What the names in its conditions stand for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
}

/// Some fields under a title.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormSection {
    /// The title; may be empty.
    #[serde(default)]
    pub title: String,
    /// The fields, in their order.
    #[serde(default)]
    pub fields: Vec<FormField>,
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormField {
    /// Its id.
    pub field: String,
    /// When it is asked for: a condition in CEL on what was filled in before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

impl FormDefinition {
    /// Of a form in a design, if it has one that can be read.
    pub fn of(design: &Design, form: ElementId) -> Option<Self> {
        let element = design.elements.get(&form).filter(|element| element.kind == ElementKind::Form.number())?;
        match element.property(Property::Definition)? {
            Value::Bytes(json) => serde_json::from_slice(&json).ok(),
            _other => None,
        }
    }

    /// As the value of [`Property::Definition`].
    pub fn to_value(&self) -> Value {
        Value::Bytes(serde_json::to_vec(self).expect("plain data"))
    }

    /// The names that its conditions may use.
    pub fn scope(&self, design: &Design, list: ListId) -> Scope {
        Scope::of_named(design, list, &names(&self.names))
    }
}

impl FormField {
    /// The field, if this is one.
    pub fn id(&self) -> Option<FieldId> {
        self.field.parse().ok()
    }

    /// Reads its condition, where it has one.
    pub fn condition(&self, scope: &Scope) -> Option<Result<Filter, FilterError>> {
        self.when.as_ref().map(|when| Filter::parse(when, scope))
    }
}

/// What names stand for, as definitions keep it.
pub(crate) fn names(names: &BTreeMap<String, String>) -> BTreeMap<String, FieldId> {
    names.iter().filter_map(|(name, id)| Some((name.clone(), id.parse().ok()?))).collect()
}
