//! Several values in one string, as SharePoint writes them.
//!
//! Users and lookups are pairs in a row, `1;#a;#2;#b`; all others are between separators, `;#red;#blue;#`. In both a `;`
//! of a value is written twice.

use tandem_wire::design::BaseType;

/// Values of one string, at most: one event has to hold all their cells.
pub const ELEMENTS_MAX: usize = 256;

const SEPARATOR: &str = ";#";

/// Strings of one value each; nothing where the string is no row of values, or one of too many.
pub fn split_elements(base: BaseType, text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    elements(base, text).filter(|elements| elements.len() <= ELEMENTS_MAX)
}

fn elements(base: BaseType, text: &str) -> Option<Vec<String>> {
    if matches!(base, BaseType::User | BaseType::Lookup) {
        let pieces = split(text);
        if pieces.len() % 2 == 1 {
            return None;
        }
        return Some(pieces.chunks(2).map(|pair| format!("{}{SEPARATOR}{}", pair[0], pair[1])).collect());
    }
    let inside = text.strip_prefix(SEPARATOR)?.strip_suffix(SEPARATOR)?;
    split(inside).into_iter().map(unescape).collect()
}

/// The string of these values; nothing where one of them can be in none.
pub fn join_elements(base: BaseType, elements: &[String]) -> Option<String> {
    if elements.is_empty() {
        return Some(String::new());
    }
    let text = if matches!(base, BaseType::User | BaseType::Lookup) {
        elements.join(SEPARATOR)
    } else {
        let escaped: Vec<String> = elements.iter().map(|element| escape(element)).collect();
        format!("{SEPARATOR}{}{SEPARATOR}", escaped.join(SEPARATOR))
    };
    (split_elements(base, &text)? == elements).then_some(text)
}

/// At each separator that is none of a value: with an even number of `;` in front, those of a value being in pairs.
fn split(text: &str) -> Vec<&str> {
    let (mut pieces, mut from, mut at) = (Vec::new(), 0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        if bytes[at] != b';' {
            at += 1;
        } else if bytes.get(at + 1) == Some(&b';') {
            at += 2;
        } else if bytes.get(at + 1) == Some(&b'#') {
            pieces.push(&text[from..at]);
            at += 2;
            from = at;
        } else {
            at += 1;
        }
    }
    pieces.push(&text[from..]);
    pieces
}

/// The first two pieces of a string; nothing where there are more or fewer.
pub(super) fn pair(text: &str) -> Option<(&str, &str)> {
    match split(text).as_slice() {
        [first, second] => Some((first, second)),
        _other => None,
    }
}

/// What a piece says; nothing where a `;` stands alone.
pub(super) fn unescape(piece: &str) -> Option<String> {
    let whole = piece.replace(";;", "");
    (!whole.contains(';')).then(|| piece.replace(";;", ";"))
}

/// A value as a piece.
pub(super) fn escape(value: &str) -> String {
    value.replace(';', ";;")
}
