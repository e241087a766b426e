//! Any plain values as TOML, both ways.

use crate::{ConfigError, parse::line_at};
use serde::{Serialize, de::DeserializeOwned};

/// Reads a file as its type has it. What is wrong is told with its line.
pub fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let reason = error.message().lines().collect::<Vec<_>>().join(", ");
        let line = line_at(text, error.span().map_or(0, |span| span.start));
        ConfigError::Syntax { line, reason }
    })
}

/// Writes a file; nothing for what TOML has no form for.
pub fn to_toml<T: Serialize>(value: &T) -> Option<String> {
    toml::to_string_pretty(value).ok()
}
