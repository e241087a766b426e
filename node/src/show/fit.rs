//! Fits titles of any script into cells of a terminal, and cells into a page.
//!

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The narrowest page that is drawn; a narrower one is drawn this wide.
pub const NARROWEST: usize = 20;

/// The widest page that is drawn; on a wider one the rest stays blank.
pub const WIDEST: usize = 500;

const UNTITLED: &str = "(untitled)";
const BYTES_PER_CELL: usize = 64;
const CHARS_PER_CLUSTER: usize = 16;
const JOINER: char = '\u{200D}';

/// The width a page is drawn at when `asked` is what the terminal has.
pub fn page_width(asked: usize) -> usize {
    asked.clamp(NARROWEST, WIDEST)
}

/// The cells that `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` with every character that could move the cursor, break the line or turn its direction replaced by `�`.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) { '\u{FFFD}' } else { c }).collect()
}

/// `title` made clean, or `(untitled)` when nothing of it would be seen.
pub fn label(title: &str) -> String {
    let cleaned = clean(title);
    let seen = cleaned.trim();
    if width(seen) == 0 { UNTITLED.to_owned() } else { seen.to_owned() }
}

/// `text` cut to at most `cells` cells, with `…` at its end when something is missing.
pub fn shorten(text: &str, cells: usize) -> String {
    if fits(text, cells) {
        return text.to_owned();
    }
    if cells == 0 {
        return String::new();
    }
    let mut head = prefix(text, cells - 1).trim_end();
    loop {
        let cut = format!("{head}…");
        if width(&cut) <= cells {
            return cut;
        }
        head = without_last(head);
    }
}

/// `text` broken at blanks into at most `most` lines of at most `cells` cells; the last ends in `…` if more was to come.
pub fn wrap(text: &str, cells: usize, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && lines.len() < most {
        if lines.len() + 1 == most {
            lines.push(shorten(rest, cells));
            break;
        }
        let (line, tail) = break_line(rest, cells);
        lines.push(line.to_owned());
        rest = tail.trim_start();
    }
    lines
}

/// `text` with blanks behind it until it is `cells` wide.
pub fn pad(text: &str, cells: usize) -> String {
    let blanks = cells.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(blanks))
}

/// `lines` as one text: no blanks at the ends of lines, and a line break behind each.
pub fn page<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> String {
    lines.into_iter().fold(String::new(), |mut page, line| {
        page.push_str(line.as_ref().trim_end());
        page.push('\n');
        page
    })
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn fits(text: &str, cells: usize) -> bool {
    text.len() <= cells.saturating_mul(BYTES_PER_CELL) && width(text) <= cells
}

/// The longest head of `text` that fits and splits no cluster.
fn prefix(text: &str, cells: usize) -> &str {
    let (mut end, mut used) = (0, 0);
    while end < text.len() {
        let cluster = first_cluster(&text[end..]);
        used += width(cluster);
        if used > cells || end + cluster.len() > cells.saturating_mul(BYTES_PER_CELL) {
            break;
        }
        end += cluster.len();
    }
    let mut head = &text[..end];
    while width(head) > cells {
        head = without_last(head);
    }
    head
}

fn break_line(text: &str, cells: usize) -> (&str, &str) {
    if fits(text, cells) {
        return (text, "");
    }
    let head = prefix(text, cells);
    let at_blank = text[head.len()..].starts_with(char::is_whitespace);
    let end = match head.rfind(char::is_whitespace) {
        _ if at_blank => head.len(),
        Some(blank) if !head[..blank].trim().is_empty() => blank,
        _ if head.is_empty() => text.chars().next().map_or(0, char::len_utf8),
        _ => head.len(),
    };
    (text[..end].trim_end(), &text[end..])
}

fn without_last(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next_back();
    chars.as_str()
}

/// What a terminal shows as one character, roughly: a base with its marks, a flag, joined emoji.
fn first_cluster(text: &str) -> &str {
    let mut previous = None;
    for (count, (at, c)) in text.char_indices().enumerate() {
        let joined = previous.is_none_or(|before| count < CHARS_PER_CLUSTER && joins(before, c, count));
        if !joined {
            return &text[..at];
        }
        previous = Some(c);
    }
    text
}

fn joins(before: char, c: char, count: usize) -> bool {
    let is_flag_letter = |c| matches!(c, '\u{1F1E6}'..='\u{1F1FF}');
    let is_skin_tone = matches!(c, '\u{1F3FB}'..='\u{1F3FF}');
    let is_flag = count == 1 && is_flag_letter(before) && is_flag_letter(c);
    UnicodeWidthChar::width(c) == Some(0) || before == JOINER || is_skin_tone || is_flag
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    const NASTY: &[char] = &[
        ' ',
        '1',
        '#',
        '=',
        '\t',
        '\r',
        '\n',
        '\u{1B}',
        '\u{7F}',
        '\u{85}',
        '\u{AD}',
        '\u{338}',
        '\u{301}',
        'ل',
        'ا',
        'א',
        '\u{E33}',
        '\u{17D2}',
        '\u{1780}',
        'ᄀ',
        'ᅡ',
        'ᆨ',
        '한',
        '日',
        '\u{200B}',
        '\u{200D}',
        '\u{2028}',
        '\u{202E}',
        '\u{20E3}',
        '\u{3000}',
        'ꓲ',
        'ꓻ',
        '\u{FDFD}',
        '\u{FE01}',
        '\u{FE0E}',
        '\u{FE0F}',
        '👩',
        '❤',
        '©',
        '\u{1F1E9}',
        '\u{1F1EA}',
        '\u{1F3FB}',
        '\u{1F3F4}',
        '\u{E0067}',
        '\u{E007F}',
        '\u{2D7F}',
        '\u{2D31}',
        'ᨖ',
        '\u{1A17}',
        '\u{1A10}',
        '\u{16D63}',
        '\u{16D67}',
        '\u{10C32}',
        '\u{10C03}',
        '‘',
        '…',
        '→',
        '│',
        '\u{2E3B}',
    ];

    pub(crate) fn title() -> impl Strategy<Value = String> {
        let nasty = prop::sample::select(NASTY);
        let c = prop_oneof![4 => nasty, 1 => any::<char>(), 2 => prop::char::range('a', 'z')];
        prop::collection::vec(c, 0..60).prop_map(String::from_iter)
    }

    pub(crate) fn assert_page(page: &str, asked: usize) {
        assert!(page.ends_with('\n'));
        for line in page.lines() {
            assert!(width(line) <= page_width(asked), "{} > {asked}: {line:?}", width(line));
            assert_eq!(line, line.trim_end(), "blanks at the end of {line:?}");
            assert!(!line.contains(is_unsafe), "control character in {line:?}");
        }
    }

    #[test]
    fn a_cut_splits_no_emoji_and_no_marked_letter() {
        assert_eq!(shorten("👩\u{200D}🚀👩\u{200D}🚀👩\u{200D}🚀", 5), "👩\u{200D}🚀👩\u{200D}🚀…");
        assert_eq!(shorten("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(shorten("🇩🇪🇫🇷", 3), "🇩🇪…");
        assert_eq!(shorten("anything", 0), "");
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(clean("a\u{1B}[1m\n\u{202E}b"), "a�[1m��b");
        assert_eq!(label(" \u{200B} "), UNTITLED);
    }

    #[test]
    fn words_longer_than_the_line_are_broken() {
        assert_eq!(wrap("a photosynthesis of it", 6, 9), ["a", "photos", "ynthes", "is of", "it"]);
        assert_eq!(wrap("one two three four", 7, 2), ["one two", "three…"]);
    }

    #[test]
    fn a_title_of_a_million_marks_is_cut() {
        assert!(shorten(&format!("a{}", "\u{301}".repeat(1_000_000)), 10).len() <= 10 * BYTES_PER_CELL);
    }

    proptest! {
        #[test]
        fn cut_and_wrapped_text_fits(text in title(), cells in 0usize..40, most in 0usize..5) {
            let text = clean(&text);
            prop_assert!(width(&shorten(&text, cells)) <= cells);
            let lines = wrap(&text, cells.max(2), most);
            prop_assert!(lines.len() <= most);
            prop_assert!(lines.iter().all(|line| width(line) <= cells.max(2)), "{lines:?}");
        }
    }
}
