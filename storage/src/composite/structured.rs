//! Texts in a row with `;` between, as vCard writes names and addresses (RFC 6350, 3.4): a `;`, `,` or `\` of a text has a
//! `\` in front, a line break is `\n`.

use super::{Parts, text, text_of};

/// The texts of a row, in the order of these parts; nothing where the row is longer, or has but one text.
pub(super) fn read(string: &str, order: &'static [&'static str]) -> Option<Parts> {
    let mut texts = vec![String::new()];
    let mut chars = string.chars();
    while let Some(char) = chars.next() {
        let last = texts.last_mut().expect("never empty");
        match char {
            '\\' => match chars.next()? {
                'n' | 'N' => last.push('\n'),
                escaped @ ('\\' | ';' | ',') => last.push(escaped),
                _unknown => return None,
            },
            ';' => texts.push(String::new()),
            other => last.push(other),
        }
    }
    if texts.len() < 2 || texts.len() > order.len() {
        return None;
    }
    let mut parts = Parts::new();
    for (name, of) in order.iter().zip(texts) {
        text(&mut parts, name, of);
    }
    Some(parts)
}

/// The row of these parts.
pub(super) fn write(parts: &Parts, order: &[&str]) -> String {
    let texts: Vec<String> = order.iter().map(|name| escape(text_of(parts, name))).collect();
    if texts.iter().all(String::is_empty) { String::new() } else { texts.join(";") }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\\' | ';' | ',' => out.extend(['\\', char]),
            other => out.push(other),
        }
    }
    out
}
