//! A telephone number as somebody wrote it, and, where it says its country, in the form that all telephones take: E.164.

use super::{Composite, Home, Part, Parts, aside, cell, in_a_row, text, text_of};
use tandem_wire::{Value, design::BaseType};

#[derive(Debug)]
pub(super) struct Phone;

/// Digits of an international number, by E.164.
const DIGITS_MIN: usize = 7;
const DIGITS_MAX: usize = 15;

impl Composite for Phone {
    fn base(&self) -> BaseType {
        BaseType::Phone
    }

    fn example(&self) -> &'static str {
        "+49 30 1234"
    }

    fn parts(&self) -> &'static [Part] {
        const E164: Part = Part { name: "e164", base: BaseType::Text, home: Home::Of("number") };
        const { &[cell("number", BaseType::Text), aside("kind", BaseType::Text), E164] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let mut parts = Parts::new();
        text(&mut parts, "number", string);
        Some(parts)
    }

    /// What kind of number it is no server's string says.
    fn write(&self, parts: &Parts, _like: &str) -> Option<String> {
        Some(text_of(parts, "number").to_owned())
    }

    fn derive(&self, part: &str, of: &str) -> Option<Value> {
        match part {
            "e164" => e164(of).map(Value::Text),
            _own => None,
        }
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        in_a_row(parts, &[("number", "")], Some("kind"))
    }
}

/// `+49 (0)30 / 12-34` is `+49301234`. A number without its country is none that all telephones take.
fn e164(number: &str) -> Option<String> {
    let number = number.strip_prefix("tel:").unwrap_or(number).trim();
    let international = number.strip_prefix('+').or_else(|| number.strip_prefix("00"))?;
    // The zero that is dialled inside the country only.
    let without_trunk = international.replacen("(0)", "", 1);
    let separates = |char: char| char.is_whitespace() || "-./()\u{2010}\u{2011}\u{2013}".contains(char);
    let digits: String = without_trunk.chars().filter(|char| !separates(*char)).collect();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
        && !digits.starts_with('0');
    is_number.then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_their_country_have_one_form() {
        let check = |number: &str, expect: Option<&str>| assert_eq!(e164(number).as_deref(), expect, "{number}");
        for number in ["+49 (0)30 / 12-34", "0049 30 1234", "tel:+49.30.1234", "+49301234"] {
            check(number, Some("+49301234"));
        }
        for none in ["030 1234", "+49", "+0301234567", "+4930123456789012", "+49 30 12 ext. 4", "", "+"] {
            check(none, None);
        }
    }
}
