//! What can be wrong with a file, said to the person who edits it.

/// Why a text is not a configuration. Each variant names the place and says what to do about it.
///
/// Lines are counted from 1. Texts from the file are shortened and quoted, so that a message is safe to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML: mend the line.
    #[error("line {line}: not valid TOML: {reason}")]
    Syntax {
        /// Where the parser gave up.
        line: usize,
        /// What it says is wrong.
        reason: String,
    },
    /// A key that does not exist: correct its spelling, or take it out.
    #[error("line {line}: there is no key `{key}`; {}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// The key with its section, as written.
        key: String,
        /// Where it stands.
        line: usize,
        /// The known key that looks most like it, if any does.
        nearest: Option<&'static str>,
    },
    /// A value of another type than the key takes.
    #[error("line {line}: `{key}` is {found}; it takes {allowed}")]
    WrongType {
        /// The key with its section.
        key: String,
        /// Where its value begins.
        line: usize,
        /// The type of the value, with an article.
        found: &'static str,
        /// What the key takes.
        allowed: String,
    },
    /// A value of the right type that the key does not allow.
    #[error("line {line}: `{key}` is {value}; it takes {allowed}")]
    NotAllowed {
        /// The key with its section.
        key: String,
        /// Where its value begins.
        line: usize,
        /// The value as written.
        value: String,
        /// What the key takes.
        allowed: String,
    },
}

impl ConfigError {
    /// The line that the error is about, counted from 1.
    pub fn line(&self) -> usize {
        match self {
            Self::Syntax { line, .. }
            | Self::UnknownKey { line, .. }
            | Self::WrongType { line, .. }
            | Self::NotAllowed { line, .. } => *line,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    match nearest {
        Some(key) => format!("did you mean `{key}`?"),
        None => "take the line out".to_owned(),
    }
}
