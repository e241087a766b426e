//! Texts that a spreadsheet would take for formulas and run.
//!
//! Written to a table, such a text gets an apostrophe before it; read back, that one is taken off. A text that has
//! apostrophes already gets one more, so that both are undone exactly: for every text, `arm(defuse(text)) == text`.

use std::borrow::Cow;

/// `text` so that no spreadsheet runs it. A plain number, `-1.5`, stays one.
pub fn defuse(text: &str) -> Cow<'_, str> {
    if is_formula(text.trim_start_matches('\'')) { format!("'{text}").into() } else { text.into() }
}

/// Undoes [`defuse`].
pub fn arm(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _untouched => text,
    }
}

fn is_formula(text: &str) -> bool {
    // The wide forms are those that spreadsheets in East Asian languages take for the narrow ones.
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) && !is_number(text)
}

/// A sign, digits with marks between them, and perhaps an exponent.
fn is_number(text: &str) -> bool {
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let digits = |text: &str| text.starts_with(|char: char| char.is_ascii_digit());
    let number = unsigned(number);
    let exponent = unsigned(exponent);
    digits(&number)
        && number.chars().all(|char| char.is_ascii_digit() || char == '.' || char == ',')
        && digits(&exponent)
        && exponent.chars().all(|char| char.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_are_defused_and_numbers_are_not() {
        let check = |text: &str, expect: &str| {
            assert_eq!(defuse(text), expect);
            assert_eq!(arm(expect), text);
        };
        check("=1+1", "'=1+1");
        check("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")");
        check("@SUM(A1)", "'@SUM(A1)");
        check("+49 30 1", "'+49 30 1");
        check("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0");
        check("\t=1", "'\t=1");
        check("\r=1", "'\r=1");
        check("＝1", "'＝1");
        check("-", "'-");
        check("'=1", "''=1");
        check("'-5", "'-5");
        check("-5", "-5");
        check("+49.5", "+49.5");
        check("-1,234.5", "-1,234.5");
        check("-1.5E-7", "-1.5E-7");
        check("-1E", "'-1E");
        check("'tis", "'tis");
        check("a=1", "a=1");
        check("", "");
    }

    proptest! {
        #[test]
        fn what_was_defused_is_armed_again(text in "['=+@\t\r0-9.,eEx-]{0,8}") {
            let defused = defuse(&text);
            prop_assert_eq!(arm(&defused), text.as_str());
            prop_assert!(!is_formula(&defused));
        }
    }
}
