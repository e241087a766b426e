//! Makes any text safe for a terminal, whoever wrote it.
//!
//! A record's text comes from other people. Printed as it is, it could move the cursor, rename the window, or
//! show one name and mean another. So whatever steers a terminal, reorders text or cannot be seen is shown as
//! an escape such as `\u{202e}`; all that can be read in any script stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with everything that a reader could not see, or a terminal would obey, written as an escape.
///
/// Line feed, carriage return and tab become `\n`, `\r`, `\t`, so the result is always one line; the rest
/// becomes `\u{…}`. Joiners and variation selectors stay where the script or an emoji needs them. Backslashes
/// in the text stay single: the result is for eyes, not for a parser.
pub fn escape(text: &str) -> Cow<'_, str> {
    let mut chars = text.char_indices().peekable();
    let mut previous = None;
    let mut out: Option<String> = None;
    while let Some((at, char)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        if is_safe(previous, char, next) {
            out.iter_mut().for_each(|out| out.push(char));
        } else {
            write_escape(out.get_or_insert_with(|| text[..at].to_owned()), char);
        }
        previous = Some(char);
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

fn is_safe(previous: Option<char>, char: char, next: Option<char>) -> bool {
    match char {
        ZERO_WIDTH_NON_JOINER | ZERO_WIDTH_JOINER => previous.is_some_and(joins) && next.is_some_and(joins),
        '\u{fe0e}' | '\u{fe0f}' => previous.is_some_and(takes_emoji_style),
        '\u{e0100}'..='\u{e01ef}' => previous.is_some_and(is_ideograph),
        _ => !char.is_control() && !is_bidi_control(char) && !is_invisible(char),
    }
}

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Whether a joiner beside this character can mean something: in Persian or Hindi words and in emoji it does,
/// between Latin, Greek or Cyrillic letters, digits and spaces it only hides.
fn joins(char: char) -> bool {
    char == '\u{fe0f}' || (char >= '\u{0590}' && !char.is_whitespace() && !is_bidi_control(char) && !is_invisible(char))
}

/// Whether the character has a text and an emoji form to choose from: symbols, and the keycaps `0`–`9`, `#`, `*`.
fn takes_emoji_style(char: char) -> bool {
    matches!(char, '0'..='9' | '#' | '*' | '©' | '®' | '\u{2010}'..='\u{3299}' | '\u{1f000}'..='\u{1faff}')
        && !is_bidi_control(char)
        && !is_invisible(char)
}

fn is_ideograph(char: char) -> bool {
    matches!(char, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The characters that set the direction of what follows (UAX #9, table 4).
fn is_bidi_control(char: char) -> bool {
    matches!(char, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Separators of lines and paragraphs, and all that Unicode calls default-ignorable: drawn as nothing.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{00ad}' | '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2028}' | '\u{2029}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn write_escape(out: &mut String, char: char) {
    match char {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(other));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn readable_text_of_any_script_is_untouched() {
        let texts = [
            "",
            "Jürgen Groß, 12 € – ½ \\u{1b}",
            "محمد عبد الله",
            "می‌خواهم",
            "דָּוִד",
            "क्‍षत्रिय श्री",
            "王小明・葛\u{e0100}城",
            "Ελένη Жанна 김민준",
            "👩‍👩‍👧‍👦 👁️‍🗨️ ❤️ 1️⃣ 🇩🇪 👍🏽 🏳️‍🌈",
            "e\u{301}",
        ];
        for text in texts {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text} became {}", escape(text));
        }
    }

    #[test]
    fn what_steers_reorders_or_hides_is_shown() {
        let check = |text: &str, expect: &str| assert_eq!(escape(text), expect, "{text:?}");
        check("a\x1b[2Jb", "a\\u{1b}[2Jb");
        check("\x07\x08\0\x7f", "\\u{7}\\u{8}\\u{0}\\u{7f}");
        check("csi \u{9b}31m", "csi \\u{9b}31m");
        check("two\r\nlines\tand\u{2028}more\u{2029}\u{85}", "two\\r\\nlines\\tand\\u{2028}more\\u{2029}\\u{85}");
        check("invoice\u{202e}fdp.exe", "invoice\\u{202e}fdp.exe");
        check("\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}", "\\u{2066}a\\u{2069}\\u{200e}\\u{200f}\\u{61c}");
        check("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}");
        check("soft\u{ad}hyphen\u{3164}", "soft\\u{ad}hyphen\\u{3164}");
        check("tag\u{e0041}", "tag\\u{e0041}");
    }

    #[test]
    fn joiners_and_selectors_stay_only_where_they_mean_something() {
        let check = |text: &str, expect: &str| assert_eq!(escape(text), expect, "{text:?}");
        check("pay\u{200d}pal", "pay\\u{200d}pal");
        check("Ан\u{200c}на", "Ан\\u{200c}на");
        check("\u{200d}क", "\\u{200d}क");
        check("क\u{200d}", "क\\u{200d}");
        check("क\u{200d}\u{200d}ष", "क\\u{200d}\\u{200d}ष");
        check("क\u{200d}\u{202e}ष", "क\\u{200d}\\u{202e}ष");
        check("a\u{fe0f}", "a\\u{fe0f}");
        check("❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}\\u{fe0f}");
        check("a\u{e0100}", "a\\u{e0100}");
    }

    /// Characters that do harm, ones that join, and some of everything else.
    fn char_strategy() -> impl Strategy<Value = char> {
        prop_oneof![
            any::<char>(),
            proptest::char::range('\0', '\u{ff}'),
            proptest::char::range('\u{2000}', '\u{206f}'),
            proptest::char::range('\u{fe00}', '\u{feff}'),
            proptest::char::range('\u{e0000}', '\u{e01ff}'),
            Just('\u{061c}'),
            Just('क'),
            Just('👩'),
        ]
    }

    fn text_strategy() -> impl Strategy<Value = String> {
        prop::collection::vec(char_strategy(), 0..40).prop_map(String::from_iter)
    }

    proptest! {
        /// The law. Stated over the standard's own lists, written out again so that a slip above shows here.
        #[test]
        fn no_control_or_bidi_character_ever_leaves(text in text_strategy()) {
            const BIDI: [u32; 12] = [
                0x061c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
            ];
            for char in escape(&text).chars() {
                let code = u32::from(char);
                prop_assert!(!(code < 0x20 || (0x7f..0xa0).contains(&code)), "control {code:x}");
                prop_assert!(!BIDI.contains(&code), "bidi {code:x}");
                prop_assert!(![0x2028, 0x2029, 0x200b, 0xfeff].contains(&code), "separator {code:x}");
            }
        }

        #[test]
        fn escaping_twice_changes_nothing_more(text in text_strategy()) {
            let once = escape(&text).into_owned();
            prop_assert_eq!(escape(&once), once.as_str());
        }
    }
}
