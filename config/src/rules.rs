//! The file of a server's rules: what it asks of changes that the members' nodes do not know.

use crate::{ConfigError, text::from_toml};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most rules of one file.
const RULES_MAX: usize = 1_000;

/// A file of rules, as it is written: lists and fields by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// `[[rule]]`, in their order.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    /// `[list.NAME]`.
    #[serde(default, rename = "list")]
    pub lists: BTreeMap<String, ListRules>,
    /// `[quota]`.
    #[serde(default)]
    pub quota: Quota,
}

/// `[quota]`: how much is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Bytes of one member's data that are taken a day (UTC); without, all.
    pub bytes_per_member_and_day: Option<u64>,
}

/// One `[[rule]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The list whose records it is about.
    pub list: String,
    /// Its name: shown with each refusal, and different from those of the others.
    pub name: String,
    /// What must hold, in CEL.
    pub check: String,
    /// A sentence for whoever is refused.
    pub message: String,
    /// The field at fault, where it is one.
    pub field: Option<String>,
}

/// One `[list.NAME]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRules {
    /// What is done about an edit whose author had not seen the accepted value.
    #[serde(default)]
    pub stale: StaleRule,
}

/// `stale = …`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaleRule {
    /// `"merge"`: it stands beside the other value, as anywhere.
    #[default]
    Merge,
    /// `"refuse"`: it is refused as `STALE`.
    Refuse,
}

impl Rules {
    /// Reads a file. Whether its conditions make sense only a workspace's design can tell.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let syntax = |line, reason: String| ConfigError::Syntax { line, reason };
        let rules: Self = from_toml(text)?;
        if rules.rules.len() > RULES_MAX {
            return Err(syntax(1, format!("more than {RULES_MAX} rules")));
        }
        for (index, rule) in rules.rules.iter().enumerate() {
            let is_twice = rules.rules[..index].iter().any(|other| other.name == rule.name);
            if is_twice || rule.name.trim().is_empty() {
                let why = if is_twice { "is the name of two rules" } else { "is no name" };
                return Err(syntax(line_of_rule(text, index), format!("{:?} {why}", rule.name)));
            }
        }
        Ok(rules)
    }
}

/// Where the rule with this number begins, counted from 1.
pub(crate) fn line_of_rule(text: &str, index: usize) -> usize {
    let mut begins = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("[[rule]]"));
    begins.nth(index).map_or(1, |(line, _)| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[rule]]
        list = "contacts"
        name = "our-addresses"
        check = 'email.endsWith("@example.org")'
        message = "only addresses at example.org"
        field = "email"

        [[rule]]
        list = "contacts"
        name = "grown-up"
        check = "age >= 18"
        message = "nobody under 18"

        [list.contacts]
        stale = "refuse"

        [quota]
        bytes_per_member_and_day = 1_000_000
    "#;

    #[test]
    fn a_file_is_read() {
        let rules = Rules::from_toml(FILE).unwrap();
        assert_eq!(rules.rules.len(), 2);
        assert_eq!(rules.rules[0].field.as_deref(), Some("email"));
        assert_eq!(rules.lists["contacts"].stale, StaleRule::Refuse);
        assert_eq!(rules.quota.bytes_per_member_and_day, Some(1_000_000));
        assert_eq!(Rules::from_toml("").unwrap(), Rules::default());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let check = |from: &str, to: &str, line: usize, part: &str| {
            let text = FILE.replacen(from, to, 1);
            assert_ne!(text, FILE);
            let error = Rules::from_toml(&text).unwrap_err();
            assert_eq!(error.line(), line, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        check("field =", "fild =", 7, "fild");
        check("\"grown-up\"", "\"our-addresses\"", 9, "name of two rules");
        check("\"grown-up\"", "\" \"", 9, "is no name");
        check("stale = \"refuse\"", "stale = \"maybe\"", 16, "maybe");
        check("name = \"grown-up\"", "", 9, "name");
        check("1_000_000", "-1", 19, "invalid");
        check("[[rule]]", "[[rule]", 2, "TOML");
    }
}
