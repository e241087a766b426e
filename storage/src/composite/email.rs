//! An e-mail address, and what it is for.

use super::{Composite, Home, Part, Parts, aside, cell, in_a_row, text, text_of};
use tandem_wire::{Value, design::BaseType};

#[derive(Debug)]
pub(super) struct Email;

impl Composite for Email {
    fn base(&self) -> BaseType {
        BaseType::Email
    }

    fn example(&self) -> &'static str {
        "john@company.com"
    }

    fn parts(&self) -> &'static [Part] {
        const DOMAIN: Part = Part { name: "domain", base: BaseType::Text, home: Home::Of("address") };
        const { &[cell("address", BaseType::Text), aside("kind", BaseType::Text), DOMAIN] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let mut parts = Parts::new();
        text(&mut parts, "address", string);
        Some(parts)
    }

    /// What an address is for no server's string says.
    fn write(&self, parts: &Parts, _like: &str) -> Option<String> {
        Some(text_of(parts, "address").to_owned())
    }

    fn derive(&self, part: &str, of: &str) -> Option<Value> {
        let (_, domain) = of.rsplit_once('@').filter(|(_, domain)| part == "domain" && !domain.is_empty())?;
        Some(Value::Text(domain.to_lowercase()))
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        in_a_row(parts, &[("address", "")], Some("kind"))
    }
}
