//! Fields made of others: one split into several, or several merged into one. The old cells stay as they are; a part
//! shows what it is given by them until somebody gives it a value of its own, so that edits of two parts never meet in
//! one cell.

use crate::fold::design::Element;
use serde::{Deserialize, Serialize};
use tandem_wire::{FieldId, Value, design::Property};

/// A field made of one that is made of another, and so on: so many times. What is deeper, or goes round, shows nothing.
pub(super) const DEPTH_MAX: usize = 8;

/// Bytes of a text that is made: of a longer one nothing is shown.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Most fields that one is merged from.
const FIELDS_MAX: usize = 16;

/// What a field is made of, as [`Property::Source`] has it in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// One piece of another field's text.
    Split(Split),
    /// The texts of several fields.
    Join(Join),
}

/// `split`: one piece of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The id of the field.
    pub of: String,
    /// What stands between the pieces.
    pub at: String,
    /// The number of the piece, from 0. The last part has all of the rest.
    pub part: usize,
    /// How many pieces there are.
    pub parts: usize,
}

/// `join`: several texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The ids of the fields, in their order.
    pub of: Vec<String>,
    /// What is put between them.
    pub with: String,
}

impl Source {
    /// Of a field, where it has one that this version knows.
    pub(crate) fn of(element: &Element) -> Option<Self> {
        match element.property(Property::MadeOf)? {
            Value::Bytes(json) => serde_json::from_slice(&json).ok(),
            _other => None,
        }
    }

    /// As the value of [`Property::MadeOf`].
    pub fn to_value(&self) -> Value {
        Value::Bytes(serde_json::to_vec(self).expect("plain data"))
    }

    /// The fields that it reads.
    pub fn fields(&self) -> Vec<FieldId> {
        match self {
            Self::Split(split) => split.of.parse().into_iter().collect(),
            Self::Join(join) => join.of.iter().take(FIELDS_MAX).filter_map(|of| of.parse().ok()).collect(),
        }
    }

    pub(super) fn make(&self, text: impl Fn(FieldId) -> Option<String>) -> Option<String> {
        match self {
            Self::Split(split) => {
                let whole = text(split.of.parse().ok()?)?;
                if split.at.is_empty() {
                    return (split.part == 0).then_some(whole);
                }
                let piece = whole.splitn(split.parts.max(1), split.at.as_str()).nth(split.part)?;
                Some(piece.trim().to_owned()).filter(|piece| !piece.is_empty())
            }
            Self::Join(join) => {
                let texts: Vec<String> = self.fields().into_iter().filter_map(text).collect();
                let bytes: usize = texts.iter().map(|text| text.len() + join.with.len()).sum();
                (!texts.is_empty() && bytes <= TEXT_BYTES_MAX).then(|| texts.join(&join.with))
            }
        }
    }
}
