//! What a server calls the lists and fields of a workspace, and how it types them.
//!
//! These names are the server's own: they stay on its node, beside its policy, and are in no event, so that neither the
//! members nor another server ever see them. They are used where the server's world begins: in its rules, and in the tables
//! that come from there and go back (`docs/decisions/0022-a-servers-names-stay-with-it.md`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_storage::{fold::Design, rule::as_type};
use tandem_wire::{FieldId, ListId, design::FieldType};

/// The names of one server in one workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// By list; one that is not named is called as everybody calls it.
    pub lists: BTreeMap<ListId, ListWords>,
}

/// What a server calls a list and its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListWords {
    /// The list.
    pub name: String,
    /// Its fields; one that is not named is called as everybody calls it, unless that is another one's name here.
    pub fields: BTreeMap<FieldId, FieldWords>,
}

/// What a server calls a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldWords {
    /// Its name.
    pub name: String,
    /// The type that it has there, where that is another one.
    pub ty: Option<FieldType>,
}

impl Vocabulary {
    /// The list that the server calls so.
    pub fn list(&self, design: &Design, name: &str) -> Option<ListId> {
        let named = self.lists.iter().find(|(list, words)| words.name == name && design.has_list(**list));
        let plain = || design.lists().find(|list| !self.lists.contains_key(list) && design.name(*list) == name);
        named.map(|(list, _)| *list).or_else(plain)
    }

    /// What the server calls a list.
    pub fn list_name(&self, design: &Design, list: ListId) -> String {
        self.lists.get(&list).map_or_else(|| design.name(list), |words| words.name.clone())
    }

    /// The field that the server calls so.
    pub fn field(&self, design: &Design, list: ListId, name: &str) -> Option<FieldId> {
        design.fields(list).into_iter().find(|field| self.field_name(design, list, *field).as_deref() == Some(name))
    }

    /// What the server calls a field; nothing where it has no name for it.
    pub fn field_name(&self, design: &Design, list: ListId, field: FieldId) -> Option<String> {
        let words = self.lists.get(&list);
        if let Some(words) = words.and_then(|words| words.fields.get(&field)) {
            return Some(words.name.clone());
        }
        let name = design.name(field);
        let is_taken = words.is_some_and(|words| words.fields.values().any(|other| other.name == name));
        (!is_taken).then_some(name)
    }

    /// What the names stand for in the server's rules.
    pub fn names(&self, design: &Design, list: ListId) -> BTreeMap<String, FieldId> {
        let words = self.lists.get(&list);
        let of_field = |field: FieldId| {
            let told = words.and_then(|words| words.fields.get(&field)?.ty.clone());
            let ty = told.filter(|told| design.field_type(field).as_ref() != Some(told)).and_then(|told| told.base());
            Some((self.field_name(design, list, field)?, ty.map_or(field, |base| as_type(field, base))))
        };
        design.fields(list).into_iter().filter_map(of_field).collect()
    }
}
