//! A person, as a server has it: the number of its row in the server's own list, and an address.
//!
//! `123;#john@company.com`, or `123;#John Doe` where the server writes the name. A row of `-1` asks the server to find the
//! person by the address.

use super::{Composite, Home, Part, Parts, atom, in_a_row, many, numbers, text, text_of};
use tandem_wire::{Value, design::BaseType};

#[derive(Debug)]
pub(super) struct User;

/// The row of somebody whom the server has to look for.
const UNKNOWN: i64 = -1;

impl Composite for User {
    fn base(&self) -> BaseType {
        BaseType::User
    }

    fn example(&self) -> &'static str {
        "123;#john@company.com"
    }

    fn parts(&self) -> &'static [Part] {
        const NAME: Part = Part { name: "name", base: BaseType::Text, home: Home::Referred };
        const { &[atom("index", BaseType::Int), atom("email", BaseType::Text), atom("label", BaseType::Text), NAME] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let (index, rest) = many::pair(string)?;
        let index = numbers::whole(index).filter(|index| *index >= UNKNOWN)?;
        let rest = many::unescape(rest)?;
        let mut parts = Parts::from([("index", Value::Int(index))]);
        text(&mut parts, if is_address(&rest) { "email" } else { "label" }, rest);
        Some(parts)
    }

    fn write(&self, parts: &Parts, _like: &str) -> Option<String> {
        if parts.is_empty() {
            return Some(String::new());
        }
        let index = match parts.get("index") {
            Some(Value::Int(index)) => *index,
            _none => UNKNOWN,
        };
        let rest = match (text_of(parts, "email"), text_of(parts, "label")) {
            ("", label) => label,
            (email, _) => email,
        };
        Some(format!("{index};#{}", many::escape(rest)))
    }

    fn derive(&self, part: &str, of: &str) -> Option<Value> {
        // Until the row is here, what the server wrote of it.
        self.read(of)?.remove(if part == "name" { "label" } else { part })
    }

    fn edit(&self, parts: &mut Parts, part: &'static str, value: Value) {
        // Who is meant by one of them is not who is meant by the others.
        parts.clear();
        if part != "index" {
            parts.insert("index", Value::Int(UNKNOWN));
        }
        parts.insert(part, value);
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        match in_a_row(parts, &[("name", ""), ("email", ", ")], None) {
            nobody if nobody.is_empty() => parts("index").map(|index| format!("no. {index}")).unwrap_or_default(),
            somebody => somebody,
        }
    }
}

/// Something on both sides of one `@`, and nothing that is in no address.
fn is_address(text: &str) -> bool {
    let has_odd = |part: &str| part.is_empty() || part.chars().any(|char| char.is_whitespace() || char.is_control());
    text.split_once('@').is_some_and(|(user, host)| !has_odd(user) && !has_odd(host) && !host.contains('@'))
}
