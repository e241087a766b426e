//! What the operator of an authority asks for besides the design.

use crate::command::{NameKind, Refused};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tandem_storage::{
    constraint::{Constraint, OnDelete},
    filter::FilterError,
    fold::Design,
    rule::Rule,
};
use tandem_wire::{
    DesignDigest, FieldId, ListId, RuleName, Value,
    design::{ElementKind, Property},
    limits::{NAME_BYTES_MAX, RULES_NAMED_MAX},
};

/// Bytes of a policy.
const POLICY_BYTES_MAX: usize = 512 * 1024;

/// Rules and settings of one authority in one workspace. No member has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The rules, in the order in which they are asked.
    pub rules: Vec<RuleText>,
    /// Settings by list; a list that is not named has the default.
    pub lists: BTreeMap<ListId, ListPolicy>,
    /// So many bytes of a member's data are accepted a day (UTC), by the server's clock; what is beyond is refused.
    pub bytes_a_member_and_day: Option<u64>,
}

/// A rule as it is kept: by ids, so that a rename in the design breaks none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// The list whose records it is about.
    pub list: ListId,
    /// Its name, shown with each refusal.
    pub name: String,
    /// What must hold of a change: see [`tandem_storage::rule`].
    pub check: String,
    /// A sentence for the author.
    pub message: String,
    /// The field at fault, where it is one.
    pub field: Option<FieldId>,
    /// What `check` calls the fields.
    pub names: BTreeMap<String, FieldId>,
}

/// What holds for one list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPolicy {
    /// What is done about an edit whose author had not seen the accepted value.
    pub stale: Stale,
}

/// See [`ListPolicy::stale`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stale {
    /// It is accepted, and stands beside the other one like any concurrent edit.
    #[default]
    Merge,
    /// It is refused as `STALE`.
    Refuse,
}

/// A policy's rules, read for one design.
#[derive(Debug, Default)]
pub struct Compiled {
    policy: Policy,
    design: Option<DesignDigest>,
    rules: BTreeMap<ListId, Vec<ReadRule>>,
    /// What the design asks of its fields.
    constraints: BTreeMap<FieldId, Constraint>,
    /// Fields that must have a value, or one of their own.
    asked: BTreeMap<ListId, Vec<Asked>>,
    clears_references: bool,
}

/// What the design asks of a field beside its values.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The field.
    pub field: FieldId,
    /// It must have a value.
    pub is_required: bool,
    /// No two records may have the same.
    pub is_unique: bool,
}

/// A rule by its place in the policy, or why it cannot be read.
type ReadRule = (usize, Result<Rule, String>);

impl Policy {
    /// Tells policies apart.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&postcard::to_allocvec(self).expect("a vector takes all bytes")).as_bytes()
    }

    /// Whether it is small enough to be kept, and its rules to be named.
    pub fn check(&self) -> Result<(), Refused> {
        if let Some(rule) = self.rules.iter().find(|rule| rule.name.len() > NAME_BYTES_MAX) {
            let kind = NameKind::Rule;
            return Err(Refused::Name { kind, name: rule.name.clone(), why: "is longer than 256 bytes" });
        }
        if postcard::to_allocvec(self).expect("a vector takes all bytes").len() > POLICY_BYTES_MAX {
            return Err(Refused::TooLarge("a policy takes at most 512 KiB".into()));
        }
        Ok(())
    }

    /// The rules that are others here than in `before`, or in one of both only; an empty list where settings differ, or
    /// more rules than can be named. Nothing where all is the same to who is judged.
    pub fn changed_rules(&self, before: &Self) -> Option<Vec<RuleName>> {
        let all = |policy: &Self| -> BTreeMap<RuleName, RuleText> {
            let named = policy.rules.iter().map(|rule| {
                let name = super::judge::cut(rule.name.clone(), NAME_BYTES_MAX);
                let mut rule = rule.clone();
                // Fields that it does not speak of are none of its.
                rule.names.retain(|name, _| rule.check.contains(name.as_str()));
                (RuleName { list: rule.list, name }, rule)
            });
            named.collect()
        };
        let (old, new) = (all(before), all(self));
        let names: BTreeSet<&RuleName> = old.keys().chain(new.keys()).collect();
        let changed = names.into_iter().filter(|name| old.get(name) != new.get(name)).cloned();
        let changed: Vec<RuleName> = changed.collect();
        let settings = |policy: &Self| (policy.lists.clone(), policy.bytes_a_member_and_day);
        if settings(self) != settings(before) || changed.len() > RULES_NAMED_MAX {
            return Some(Vec::new());
        }
        Some(changed).filter(|changed| !changed.is_empty())
    }
}

impl RuleText {
    /// Reads the rule for a design.
    pub fn read(&self, design: &Design) -> Result<Rule, FilterError> {
        Rule::parse(&self.check, design, self.list, &self.names)
    }
}

impl Compiled {
    /// For the next design that it is asked about.
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What holds for a list.
    pub fn list(&self, list: ListId) -> ListPolicy {
        self.policy.lists.get(&list).copied().unwrap_or_default()
    }

    /// Reads the rules anew if this is another design. A rule that the design no longer knows the fields of is kept, with
    /// the reason: it fails on every change of its list until it or the design is put right.
    pub fn read_for(&mut self, design: &Design, digest: DesignDigest) {
        if self.design == Some(digest) {
            return;
        }
        self.design = Some(digest);
        self.rules.clear();
        let fields = || design.lists().flat_map(|list| design.fields(list));
        self.constraints = fields().filter_map(|field| Some((field, Constraint::of(design, field)?))).collect();
        let asked = |field: FieldId| {
            let is_set = |property| design.elements[&field.into()].property(property) == Some(Value::Bool(true));
            Asked { field, is_required: is_set(Property::Required), is_unique: is_set(Property::Unique) }
        };
        let of_list = |list: ListId| {
            let fields = design.fields(list).into_iter().map(asked);
            (list, fields.filter(|asked| asked.is_required || asked.is_unique).collect())
        };
        // Of dropped lists as well: they may be brought back, with what came to them meanwhile.
        let lists = design.elements.iter().filter(|(_, element)| element.kind == ElementKind::List.number());
        self.asked = lists.map(|(id, _)| of_list(id.as_list())).collect();
        self.clears_references = fields().any(|field| OnDelete::of(design, field) == Some(OnDelete::SetNull));
        for (index, text) in self.policy.rules.iter().enumerate() {
            let rule = text.read(design).map_err(|error| error.to_string());
            if let Err(error) = &rule {
                tracing::error!(
                    rule = text.name,
                    error,
                    "a rule cannot be read any more: its list's changes are refused"
                );
            }
            self.rules.entry(text.list).or_default().push((index, rule));
        }
    }

    /// What the design asks of a field's values, if anything.
    pub fn constraint(&self, field: FieldId) -> Option<&Constraint> {
        self.constraints.get(&field)
    }

    /// The fields of a list of which the design asks something beside their values, in its order.
    pub fn asked(&self, list: ListId) -> &[Asked] {
        self.asked.get(&list).map_or(&[], Vec::as_slice)
    }

    /// Whether the design asks for references to be cleared when what they refer to is removed.
    pub fn clears_references(&self) -> bool {
        self.clears_references
    }

    /// The rules of a list, in their order.
    pub fn rules(&self, list: ListId) -> impl Iterator<Item = (&RuleText, &Result<Rule, String>)> {
        self.rules.get(&list).into_iter().flatten().map(|(index, rule)| (&self.policy.rules[*index], rule))
    }
}
