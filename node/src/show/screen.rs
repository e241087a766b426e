//! What the output can show: how wide it is, and whether it takes colour.

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::IsTerminal;

/// The place that standard output goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screen {
    /// Columns of a line; none when piped, since a program that reads a table wants all of it.
    pub width: Option<u16>,
    /// Whether emphasis may be used.
    pub color: bool,
}

/// Columns of a terminal that does not say.
const WIDTH_DEFAULT: u16 = 80;

/// Narrower than this a table is not readable; `COLUMNS` below it is taken for a mistake.
const WIDTH_MIN: u16 = 20;

impl Screen {
    /// A pipe or a file: as wide as the text, no colour.
    pub const PIPE: Self = Self { width: None, color: false };

    /// The standard output of this process.
    pub fn of_stdout() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::PIPE;
        }
        let size = console::Term::stdout().size_checked().map(|(_, columns)| columns);
        Self::of_terminal(|name| std::env::var_os(name), size)
    }

    /// A terminal of `size` columns, as its environment has it: `COLUMNS` goes before its size, `NO_COLOR` (set
    /// to anything but nothing, no-color.org) and `TERM=dumb` turn colour off.
    fn of_terminal(env: impl Fn(&str) -> Option<OsString>, size: Option<u16>) -> Self {
        let columns = env("COLUMNS").and_then(|text| text.to_str()?.parse().ok()).filter(|width| *width >= WIDTH_MIN);
        let no_color = env("NO_COLOR").is_some_and(|text| !text.is_empty());
        let dumb = env("TERM").is_none_or(|term| term == "dumb");
        Self { width: Some(columns.or(size).unwrap_or(WIDTH_DEFAULT)), color: !no_color && !dumb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_goes_before_the_terminal() {
        let check = |env: &[(&str, &str)], size: Option<u16>, width: u16, color: bool| {
            let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
            assert_eq!(Screen::of_terminal(get, size), Screen { width: Some(width), color }, "{env:?} {size:?}");
        };
        check(&[("TERM", "xterm")], Some(132), 132, true);
        check(&[("TERM", "xterm")], None, 80, true);
        check(&[("TERM", "xterm"), ("COLUMNS", "40")], Some(132), 40, true);
        check(&[("TERM", "xterm"), ("COLUMNS", "wide")], Some(132), 132, true);
        check(&[("TERM", "xterm"), ("COLUMNS", "0")], Some(132), 132, true);
        check(&[("TERM", "xterm"), ("COLUMNS", "99999999")], None, 80, true);
        check(&[("TERM", "xterm"), ("NO_COLOR", "1")], Some(80), 80, false);
        check(&[("TERM", "xterm"), ("NO_COLOR", "")], Some(80), 80, true);
        check(&[("TERM", "dumb")], Some(80), 80, false);
        check(&[], Some(80), 80, false);
    }
}
