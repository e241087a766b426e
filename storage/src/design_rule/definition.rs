//! A rule as the design has it.

use crate::fold::Design;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_wire::{
    ElementId, FieldId, Value,
    design::{ElementKind, Property},
};

/// The version of what evaluates rules: of the language, its functions and its patterns. A rule of a later one is not
/// guessed at.
pub const EVALUATOR: u32 = 1;

/// A rule, as [`Property::Definition`] of its element holds it in JSON. Fields are by their ids, also those that its
/// sources speak of by name. What this version does not know is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDefinition {
    /// What it does.
    pub kind: RuleKind,
    /// The least version of what can evaluate it.
    pub evaluator: u32,
    /// When it asks or acts at all; always, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Of a validation: what must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Of a computed field or a default: what the field shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Of a workflow: what it sets, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// The field at fault, or the one that is computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A sentence for whoever breaks it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How much it matters.
    #[serde(default)]
    pub severity: Severity,
    /// What the names in its sources stand for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// Records and what it says of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    /// BLAKE3 of the sources, in hex: what the author of the rule saw is what is evaluated.
    pub hash: String,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKind {
    /// It asks for something to hold.
    #[default]
    Validation,
    /// It says what a field shows.
    Computed,
    /// It says what a field shows until it has a value of its own.
    Default,
    /// It sets fields when a change matches, as part of that change.
    Workflow,
}

/// How much a broken rule matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The change is refused.
    #[default]
    Error,
    /// It is shown beside the record.
    Warning,
}

/// A record, and what a rule says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Canonical bytes of values, by field.
    pub record: BTreeMap<String, Vec<u8>>,
    /// What is expected.
    pub expect: Expected,
}

/// What a rule says of an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// It holds, or does not.
    Holds(bool),
    /// Canonical bytes of the value that it gives.
    Gives(Vec<u8>),
}

impl RuleDefinition {
    /// Of a rule in a design, where it has one that can be read at all.
    pub fn of(design: &Design, rule: ElementId) -> Option<Self> {
        let element = design.elements.get(&rule).filter(|element| element.kind == ElementKind::Rule.number())?;
        match element.property(Property::Definition)? {
            Value::Bytes(json) => serde_json::from_slice(&json).ok(),
            _other => None,
        }
    }

    /// As the value of [`Property::Definition`].
    pub fn to_value(&self) -> Value {
        Value::Bytes(serde_json::to_vec(self).expect("plain data"))
    }

    /// What the sources hash to.
    pub fn source_hash(&self) -> String {
        let sources = (&self.when, &self.check, &self.value, &self.set);
        let bytes = postcard::to_allocvec(&sources).expect("a vector takes all bytes");
        blake3::hash(&bytes).to_hex().to_string()
    }

    /// The field at fault, or the one that is computed.
    pub fn field(&self) -> Option<FieldId> {
        self.field.as_ref()?.parse().ok()
    }

    /// All its sources.
    pub fn sources(&self) -> impl Iterator<Item = &String> {
        self.when.iter().chain(&self.check).chain(&self.value).chain(self.set.values())
    }
}
