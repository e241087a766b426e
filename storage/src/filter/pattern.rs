//! The patterns of `matches`: regular expressions, found anywhere in a text unless they say `^` and `$`.

use super::{error::shown, limits::*};
use crate::guard::guarded;
use regex::{Regex, RegexBuilder};

/// A pattern ready to use, within [`PATTERN_BYTES_MAX`].
///
/// As in CEL, `\w`, `\d` and `\s` are of ASCII: those of all scripts, `\p{L}` and the like, are large, and must be asked
/// for.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let built = guarded(|| {
        RegexBuilder::new(&ascii_classes(pattern))
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(4 * PATTERN_BYTES_MAX)
            .nest_limit(DEPTH_MAX as u32)
            .build()
    });
    match built {
        Ok(Ok(regex)) => Ok(regex),
        Ok(Err(regex::Error::CompiledTooBig(_))) => {
            Err(format!("the pattern takes more than {PATTERN_BYTES_MAX} bytes when it is compiled; make it simpler"))
        }
        Ok(Err(error)) => {
            let said = error.to_string();
            let why = said.lines().last().unwrap_or("").trim_start_matches("error: ");
            Err(format!("this is no pattern: {}", shown(why)))
        }
        Err(panicked) => Err(format!("the pattern cannot be used: {panicked}")),
    }
}

/// The pattern with its classes of ASCII spelled out.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('s') => out.push_str("[\\t\\n\\x0c\\r\\x20]"),
            Some('S') => out.push_str("[^\\t\\n\\x0c\\r\\x20]"),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_of_ascii() {
        let check = |pattern: &str, text: &str, expect: bool| {
            assert_eq!(compile(pattern).unwrap().is_match(text), expect, "{pattern} {text}");
        };
        check(r"^\w+$", "az_09", true);
        check(r"^\w+$", "ä", false);
        check(r"^\W$", "ä", true);
        check(r"^[\w-]+$", "a-b", true);
        check(r"^[^\d\s]+$", "a-b", true);
        check(r"^[^\d\s]+$", "a b", false);
        check(r"^\\w$", r"\w", true);
        check(r"^\p{L}+$", "größe", true);
        check(r"(?i)^ÄHRE$", "ähre", true);
        check(r"(?x) a \s b", "a b", true);
        check(r"\bb", "a b", true);
    }

    #[test]
    fn bounded_and_practical() {
        for good in [
            r"^\+98",
            r"\d+",
            r"[A-Z]{2}-\d{4}",
            "(?i)ähre|straße",
            "^.{3,20}$",
            r"\b(foo|bar)\b",
            r"\w+@\w+\.\w{2,20}",
        ] {
            assert!(compile(good).is_ok(), "{good} {:?}", compile(good).err());
        }
        let check =
            |bad: &str, says: &str| assert!(compile(bad).unwrap_err().contains(says), "{bad} {:?}", compile(bad));
        check("a{1000}{1000}", "more than 65536 bytes");
        check(r"\pL{500}", "more than 65536 bytes");
        check("(", "unclosed group");
        check("[", "unclosed character class");
        check(r"(a)\1", "backreferences are not supported");
        check("\\", "incomplete escape");
        check(&"(".repeat(3000), "");
    }
}
