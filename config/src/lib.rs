//! A node's settings: one TOML file made into validated plain values, each default with its reason.
//!
//! Two types to know: [`Config`], what the rest of the product reads, and [`ConfigError`], what a person who
//! edits the file reads. [`Config::from_toml`] takes the text and gives one or the other; an empty text is the
//! defaults. `tandem.toml` beside this crate's manifest lists every key with its default. [`Rules`] is the
//! file of a server's rules.
//!
//! Never here: files, environment variables, the platform's folders or clocks. Who calls reads the file and
//! lays the command line over the result.

mod config;
mod error;
mod key;
mod names;
mod parse;
mod rules;
mod text;

pub use config::{Config, Log, LogFormat, LogLevel, Network, Storage, Workspace};
pub use error::ConfigError;
pub use names::{FieldNames, ListNames, ServerNames};
pub use rules::{ListRules, Quota, Rule, Rules, StaleRule};
pub use text::{from_toml, to_toml};
