//! What is wrong with a filter, and where.

use std::ops::Range;

/// Bytes of a line that [`FilterError::caret`] shows.
const SHOWN_BYTES_MAX: usize = 160;

/// Characters of the source that a message repeats.
const QUOTED_CHARS_MAX: usize = 40;

/// A filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// What kind of fault it is.
    pub fault: Fault,
    /// What is wrong, in a sentence that says what to write instead.
    pub message: String,
    /// Where in the source, in bytes; empty at its end.
    pub span: Range<usize>,
}

/// Kinds of faults; their codes are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Beyond one of the limits of [`super::limits`].
    TooCostly,
    /// Not the language.
    Syntax,
    /// A name that the list does not have.
    UnknownField,
    /// A function that there is not.
    UnknownFunction,
    /// A value where one of another type belongs.
    Type,
    /// A text that is no date, duration, choice … though one is needed.
    Literal,
    /// A pattern that is none, or too large.
    Pattern,
    /// A part of the language that filters leave out.
    Unsupported,
    /// The parser itself failed.
    RuleFailed,
}

impl Fault {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooCostly => "filter-too-costly",
            Self::Syntax => "filter-syntax",
            Self::UnknownField => "filter-unknown-field",
            Self::UnknownFunction => "filter-unknown-function",
            Self::Type => "filter-type",
            Self::Literal => "filter-literal",
            Self::Pattern => "filter-pattern",
            Self::Unsupported => "filter-unsupported",
            Self::RuleFailed => crate::guard::Panicked::CODE,
        }
    }
}

impl FilterError {
    pub(super) fn new(fault: Fault, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), span }
    }

    /// A whole text that is something else than what is needed.
    pub(crate) fn of_whole(source: &str, message: &str) -> Self {
        Self::new(Fault::Type, 0..source.len(), message)
    }

    /// A rule without what its kind needs.
    pub(crate) fn missing(what: &str) -> Self {
        Self::new(Fault::Syntax, 0..0, format!("a rule of this kind needs a `{what}`"))
    }

    /// A formula that asks more of a record than what its cells show.
    pub(crate) fn of_record(source: &str) -> Self {
        let message = "a rule of the design depends on the record's fields only, not on its id, times or authors";
        Self::new(Fault::Unsupported, 0..source.len(), message)
    }

    /// See [`Fault::code`].
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }

    /// The line of `source` at fault and a second line that marks the place with `^`, both safe for a terminal: control
    /// characters are escaped, a long line is cut on both sides. Columns count characters, as a terminal without wide
    /// ones shows them.
    pub fn caret(&self, source: &str) -> String {
        let start = floor(source, self.span.start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let end = floor(source, self.span.end).clamp(start, line_end);
        let from = if start - line_start > SHOWN_BYTES_MAX / 2 {
            floor(source, start - SHOWN_BYTES_MAX / 2)
        } else {
            line_start
        };
        let to = if line_end - from > SHOWN_BYTES_MAX { floor(source, from + SHOWN_BYTES_MAX) } else { line_end };
        let end = end.min(to);
        let before = if from > line_start { "…" } else { "" };
        let after = if to < line_end { "…" } else { "" };
        let lead = shown(&source[from..start]);
        let fault = shown(&source[start..end]);
        let rest = shown(&source[end..to]);
        let indent = " ".repeat(before.chars().count() + lead.chars().count());
        let marks = "^".repeat(fault.chars().count().max(1));
        format!("{before}{lead}{fault}{rest}{after}\n{indent}{marks}")
    }
}

/// A record that a filter could not be decided on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A field holds more elements than filters look through.
    #[error("a list has {found} elements; filters look through at most {max}")]
    ListTooLong {
        /// How many it has.
        found: usize,
        /// [`super::limits::LIST_MAX`].
        max: usize,
    },
    /// What the filter builds on the way is too large.
    #[error("the filter builds more than {max} bytes of text and lists on this record")]
    ResultTooLarge {
        /// [`super::limits::RESULT_BYTES_MAX`].
        max: usize,
    },
    /// Loops within loops take too long.
    #[error("the filter takes more than {max} steps in its loops on this record")]
    TooManySteps {
        /// [`super::limits::STEPS_MAX`].
        max: usize,
    },
}

impl EvalError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ListTooLong { .. } | Self::ResultTooLarge { .. } | Self::TooManySteps { .. } => "filter-too-costly",
        }
    }
}

/// The next boundary of a character at or before a byte.
pub(super) fn floor(source: &str, at: usize) -> usize {
    let at = at.min(source.len());
    (0..=at).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0)
}

/// A text of the source in back quotes, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    let short = shown(&short);
    if short.starts_with('`') { format!("{short}{dots}") } else { format!("`{short}{dots}`") }
}

/// Safe for a terminal: control characters, and those that turn the direction of text, as escapes.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        let turns =
            matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if char.is_control() || turns {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_the_fault() {
        let check = |source: &str, span: Range<usize>, expect: &str| {
            let error = FilterError::new(Fault::Type, span.clone(), "x");
            assert_eq!(error.caret(source), expect, "{source:?} {span:?}");
        };
        check("a > \"x\"", 4..7, "a > \"x\"\n    ^^^");
        check("größe > x", 10..11, "größe > x\n        ^");
        check("größe > x", 0..7, "größe > x\n^^^^^");
        check("größe", 3..4, "größe\n  ^");
        check("a &&", 4..4, "a &&\n    ^");
        check("", 0..0, "\n^");
        check("a ==\n  b", 7..8, "  b\n  ^");
        check("a ==\n  b", 0..8, "a ==\n^^^^");
        check("a == '\u{1b}[2J' x", 12..13, "a == '\\u{1b}[2J' x\n                 ^");
        check("a\tb", 2..3, "a\\tb\n   ^");
        check("a \u{202e}b", 5..6, "a \\u{202e}b\n          ^");
        check("a", 7..9, "a\n ^");
    }

    #[test]
    fn long_lines_are_cut_around_the_fault() {
        let source = format!("{}x{}", "ä".repeat(1000), "ö".repeat(1000));
        let shown = FilterError::new(Fault::Type, 2000..2001, "x").caret(&source);
        let (line, marks) = shown.split_once('\n').unwrap();
        assert!(line.chars().count() <= SHOWN_BYTES_MAX && line.starts_with('…') && line.ends_with('…'), "{line}");
        let at = marks.chars().position(|char| char == '^').unwrap();
        assert_eq!((line.chars().nth(at), marks.chars().filter(|char| *char == '^').count()), (Some('x'), 1));
    }
}
