//! What a design's file says: lists, fields, views, forms and rules, all by their names.

use crate::design_rule::{RuleKind, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the file's form.
pub const DESIGN_FORMAT: u32 = 1;

/// A design as a file has it: all of it. What a workspace has besides is dropped when the file is applied; values are
/// retained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DesignFile {
    /// The version of this form: 1.
    pub format: u32,
    /// What the design is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// `[[list]]`: the lists, in their order.
    #[serde(default, rename = "list", skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListSpec>,
}

/// `[[list]]`: a typed table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// Its name; no two lists share one.
    pub name: String,
    /// What it was called before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What belongs into it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// How many of its records, in percent, may fail a rehearsal that still counts as valid; none, if it does not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failing_percent: u8,
    /// `[[list.field]]`: its fields, in their order.
    #[serde(default, rename = "field", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldSpec>,
    /// `[[list.view]]`: ways to look at it.
    #[serde(default, rename = "view", skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<ViewSpec>,
    /// `[[list.form]]`: ways to fill a record in.
    #[serde(default, rename = "form", skip_serializing_if = "Vec::is_empty")]
    pub forms: Vec<FormSpec>,
    /// `[[list.rule]]`: what must hold of its records, and what follows from them.
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSpec>,
}

/// `[[list.field]]`: a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldSpec {
    /// Its name; no two fields of a list share one.
    pub name: String,
    /// What it was called before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What it holds: `text`, `int`, `decimal`, `float`, `bool`, `date`, `date-time`, `duration`, `choice`, `reference` …
    #[serde(rename = "type")]
    pub base: String,
    /// Whether a record holds any number of values.
    #[serde(default, skip_serializing_if = "is_false")]
    pub many: bool,
    /// Of a reference: the list whose records it points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Whether every record needs a value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether no two records may have the same value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// Whether records are found and sorted by it quickly: `true`, or of a field with parts by which: `["email"]`.
    #[serde(default, skip_serializing_if = "Indexed::is_none")]
    pub indexed: Indexed,
    /// Whether it has the numbers by which users and lookups name this list's records.
    #[serde(default, skip_serializing_if = "is_false")]
    pub row_number: bool,
    /// Of a text: a regular expression that must be found in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Scalar>,
    /// The greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Scalar>,
    /// What records show that were never given a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Scalar>,
    /// Of a reference: `restrict` or `set-null` when what it points to is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<String>,
    /// What to write in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// Of a choice: what can be chosen, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ChoiceSpec>,
    /// The piece of another field's text that it shows until it has a value of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSpec>,
    /// The other fields whose texts it shows until it has a value of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinSpec>,
}

/// By what records are found and sorted quickly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Indexed {
    /// By the field, or not.
    Whole(bool),
    /// By some of its parts.
    Parts(Vec<String>),
}

impl Default for Indexed {
    fn default() -> Self {
        Self::Whole(false)
    }
}

impl Indexed {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A plain value; dates and the like are texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// `true`
    Bool(bool),
    /// `12`
    Int(i64),
    /// `1.5`
    Float(f64),
    /// `"open"`, `"2024-05-01"`
    Text(String),
}

/// One of the choices of a field: its name, or more about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ChoiceSpec {
    /// `"open"`
    Name(String),
    /// `{ name = "open", was = ["new", "to do"] }`
    Named(NamedChoice),
}

/// A choice that was called otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedChoice {
    /// Its name.
    pub name: String,
    /// Choices that it takes the place of: the first is renamed, if there is none of its name yet, the others are merged
    /// into it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<String>,
}

/// `split`: a piece of another field's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    /// The other field.
    pub of: String,
    /// What stands between the pieces.
    pub at: String,
    /// Which piece, from 0.
    pub part: usize,
    /// How many pieces: the last one has all of the rest.
    pub parts: usize,
}

/// `join`: several fields' texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinSpec {
    /// The other fields, in their order.
    pub of: Vec<String>,
    /// What is put between their texts.
    pub with: String,
}

/// How a view shows its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ViewKind {
    /// One below the other.
    #[default]
    List,
    /// In a column for each choice of a field.
    Board,
    /// On the days of a month.
    Calendar,
    /// As bars from a start to an end.
    Gantt,
}

impl ViewKind {
    /// As a file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Board => "board",
            Self::Calendar => "calendar",
            Self::Gantt => "gantt",
        }
    }
}

/// `[[list.view]]`: a way to look at a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewSpec {
    /// Its name; no two views of a list share one.
    pub name: String,
    /// What it was called before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// How it shows them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: ViewKind,
    /// Which records, as a condition in CEL; `me` is the name of who looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The field by which they are sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// Greatest first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub descending: bool,
    /// The field by which they are grouped; of a board: its columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The fields that are shown; all, if it does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Of a calendar or Gantt view: the field of the first day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Of a calendar or Gantt view: the field of the last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Of a Gantt view: the field of references to what must end before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// `[[list.form]]`: a way to fill a record in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormSpec {
    /// Its name; no two forms of a list share one.
    pub name: String,
    /// What it was called before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// `[[list.form.section]]`: its sections, in their order.
    #[serde(default, rename = "section")]
    pub sections: Vec<SectionSpec>,
}

/// `[[list.form.section]]`: some fields under a title.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SectionSpec {
    /// Its title.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Its fields, in their order.
    pub fields: Vec<FormFieldSpec>,
}

/// A field in a form: its name, or also when it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FormFieldSpec {
    /// `"Due"`
    Name(String),
    /// `{ name = "Reason", when = 'status == "dropped"' }`
    When(ConditionalField),
}

/// A field that is asked for under a condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionalField {
    /// The field.
    pub name: String,
    /// The condition, in CEL, on what was filled in before.
    pub when: String,
}

/// `[[list.rule]]`: what must hold of a list's records, or follows from them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Its name; no two rules of a list share one.
    pub name: String,
    /// What it was called before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What it does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: RuleKind,
    /// When it asks or acts at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Of a validation: what must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Of a validation: a sentence for whoever breaks it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Of a validation: the field at fault. Of a computed field or a default: that field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Of a validation: how much it matters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub severity: Severity,
    /// Of a computed field or a default: what it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Of a workflow: what it sets, each a formula, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// `[[list.rule.example]]`: records, and what it says of them. Tried whenever the design is read.
    #[serde(default, rename = "example", skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<ExampleSpec>,
}

/// `[[list.rule.example]]`: a record, and what a rule says of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleSpec {
    /// Its values, by field.
    pub record: BTreeMap<String, Scalar>,
    /// Of a validation: whether it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<bool>,
    /// Of a computed field or a default: what it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gives: Option<Scalar>,
}

impl DesignFile {
    /// The JSON Schema of such files.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}

impl ChoiceSpec {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Named(named) => &named.name,
        }
    }

    /// What it was called before.
    pub fn was(&self) -> &[String] {
        match self {
            Self::Name(_) => &[],
            Self::Named(named) => &named.was,
        }
    }
}

impl FormFieldSpec {
    /// The field's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::When(field) => &field.name,
        }
    }

    /// When it is asked for.
    pub fn when(&self) -> Option<&String> {
        match self {
            Self::Name(_) => None,
            Self::When(field) => Some(&field.when),
        }
    }
}

fn is_false(yes: &bool) -> bool {
    !yes
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
