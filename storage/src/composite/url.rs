//! A link and what it is called: `https://example.org/a, The title`. A comma of the link itself is written twice.

use super::{Composite, Part, Parts, cell, in_a_row, text, text_of};
use tandem_wire::design::BaseType;

#[derive(Debug)]
pub(super) struct Url;

impl Composite for Url {
    fn base(&self) -> BaseType {
        BaseType::Url
    }

    fn example(&self) -> &'static str {
        "https://example.org, The title"
    }

    fn parts(&self) -> &'static [Part] {
        const { &[cell("url", BaseType::Text), cell("title", BaseType::Text)] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let (url, title) = split(string);
        if !has_scheme(url) {
            return None;
        }
        let mut parts = Parts::new();
        text(&mut parts, "url", url.replace(",,", ","));
        text(&mut parts, "title", title);
        Some(parts)
    }

    fn write(&self, parts: &Parts, _like: &str) -> Option<String> {
        let (url, title) = (text_of(parts, "url").replace(',', ",,"), text_of(parts, "title"));
        Some(if title.is_empty() { url } else { format!("{url}, {title}") })
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        in_a_row(parts, &[("url", "")], Some("title"))
    }
}

/// At the first comma that stands alone, with the one space behind it.
fn split(string: &str) -> (&str, &str) {
    let bytes = string.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b',', Some(b',')) => at += 2,
            (b',', _) => {
                let title = &string[at + 1..];
                return (&string[..at], title.strip_prefix(' ').unwrap_or(title));
            }
            _other => at += 1,
        }
    }
    (string, "")
}

/// `https:`, `mailto:` … and something behind it.
fn has_scheme(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|char: char| char.is_ascii_alphabetic())
        && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char));
    is_scheme && !rest.is_empty() && !rest.chars().any(|char| char.is_control() || char.is_whitespace())
}
