//! A row of another list of the server's, by its number, with the text that the server shows for it: `7;#Berlin`.

use super::{Composite, Home, Part, Parts, atom, in_a_row, many, numbers, text, text_of};
use tandem_wire::{Value, design::BaseType};

#[derive(Debug)]
pub(super) struct Lookup;

impl Composite for Lookup {
    fn base(&self) -> BaseType {
        BaseType::Lookup
    }

    fn example(&self) -> &'static str {
        "7;#Berlin"
    }

    fn parts(&self) -> &'static [Part] {
        const TEXT: Part = Part { name: "text", base: BaseType::Text, home: Home::Referred };
        const { &[atom("index", BaseType::Int), atom("label", BaseType::Text), TEXT] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let (index, rest) = many::pair(string)?;
        let index = numbers::whole(index).filter(|index| *index >= 0)?;
        let mut parts = Parts::from([("index", Value::Int(index))]);
        text(&mut parts, "label", many::unescape(rest)?);
        Some(parts)
    }

    fn write(&self, parts: &Parts, _like: &str) -> Option<String> {
        match parts.get("index") {
            Some(Value::Int(index)) => Some(format!("{index};#{}", many::escape(text_of(parts, "label")))),
            _none => parts.is_empty().then(String::new),
        }
    }

    fn derive(&self, part: &str, of: &str) -> Option<Value> {
        // Until the row is here, what the server wrote of it.
        self.read(of)?.remove(if part == "text" { "label" } else { part })
    }

    fn edit(&self, parts: &mut Parts, part: &'static str, value: Value) {
        if part == "index" {
            // The text is of the row that it was.
            parts.clear();
        }
        parts.insert(part, value);
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        match in_a_row(parts, &[("text", "")], None) {
            nothing if nothing.is_empty() => parts("index").map(|index| format!("no. {index}")).unwrap_or_default(),
            text => text,
        }
    }
}
