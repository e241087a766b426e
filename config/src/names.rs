//! The file of a server's own names: what it calls the lists and fields of a workspace, and how it types them.

use crate::{ConfigError, text::from_toml};
use serde::Deserialize;

/// Most lists of one file, and most fields of one list.
const NAMES_MAX: usize = 1_000;

/// A file of names, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerNames {
    /// `[[list]]`.
    #[serde(default, rename = "list")]
    pub lists: Vec<ListNames>,
}

/// One `[[list]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListNames {
    /// As the workspace calls it.
    pub name: String,
    /// As the server does; without, the same.
    pub server: Option<String>,
    /// `[[list.field]]`.
    #[serde(default, rename = "field")]
    pub fields: Vec<FieldNames>,
}

/// One `[[list.field]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldNames {
    /// As the workspace calls it.
    pub name: String,
    /// As the server does; without, the same.
    pub server: Option<String>,
    /// The type that it has there, such as `text`; without, the same.
    #[serde(rename = "type")]
    pub ty: Option<String>,
}

impl ServerNames {
    /// Reads a file. Whether there are such lists, fields and types only a workspace's design can tell.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let names: Self = from_toml(text)?;
        let twice = |what: &str, name: &str| {
            let line = text.lines().position(|line| line.contains(name)).map_or(1, |line| line + 1);
            ConfigError::Syntax { line, reason: format!("two {what} are called {name:?} by the server") }
        };
        if names.lists.len() > NAMES_MAX || names.lists.iter().any(|list| list.fields.len() > NAMES_MAX) {
            return Err(ConfigError::Syntax {
                line: 1,
                reason: format!("more than {NAMES_MAX} lists, or fields of one"),
            });
        }
        let of_server = |own: &str, server: &Option<String>| server.clone().unwrap_or_else(|| own.to_owned());
        if let Some(name) = double(names.lists.iter().map(|list| of_server(&list.name, &list.server))) {
            return Err(twice("lists", &name));
        }
        for list in &names.lists {
            if let Some(name) = double(list.fields.iter().map(|field| of_server(&field.name, &field.server))) {
                return Err(twice("fields of one list", &name));
            }
        }
        Ok(names)
    }
}

/// A text that comes twice.
fn double(texts: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    texts.into_iter().find(|text| !seen.insert(text.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_what_is_called_twice_is_told() {
        let file = r#"
            [[list]]
            name = "contacts"
            server = "Kontakte"

            [[list.field]]
            name = "phone"
            server = "Tel"
            type = "text"
        "#;
        let names = ServerNames::from_toml(file).unwrap();
        assert_eq!(names.lists[0].server.as_deref(), Some("Kontakte"));
        assert_eq!(names.lists[0].fields[0].ty.as_deref(), Some("text"));
        let twice = format!("{file}\n[[list.field]]\nname = \"mobile\"\nserver = \"Tel\"");
        let error = ServerNames::from_toml(&twice).unwrap_err().to_string();
        assert!(error.contains("two fields of one list are called \"Tel\""), "{error}");
        assert!(ServerNames::from_toml("[[list]]\nname = \"x\"\ntyp = 1").is_err());
        assert_eq!(ServerNames::from_toml("").unwrap(), ServerNames::default());
    }
}
