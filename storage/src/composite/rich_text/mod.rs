//! Text with emphasis, links and lists: HTML as the server has it, and what people see and edit of it.
//!
//! The server's HTML is the atom, kept verbatim and never shown as HTML. Shown are `html`, made harmless, `markdown` and
//! plain `text`; who edits one of these writes new HTML, who edits none leaves the server's as it was.
//!
//! HTML is hostile: what would cost too much to parse ([`gate`]) is kept and has no such parts. All of it runs in a guard,
//! for the parsers are other people's.

mod convert;
mod gate;

use super::{Composite, Home, Part, Parts, atom, text_of};
use crate::guard::guarded;
use tandem_wire::{Value, design::BaseType};

#[derive(Debug)]
pub(super) struct RichText;

impl Composite for RichText {
    fn base(&self) -> BaseType {
        BaseType::RichText
    }

    fn example(&self) -> &'static str {
        "<p>Hello <b>you</b></p>"
    }

    fn parts(&self) -> &'static [Part] {
        const HTML: Part = Part { name: "html", base: BaseType::Text, home: Home::Of("") };
        const MARKDOWN: Part = Part { name: "markdown", ..HTML };
        const TEXT: Part = Part { name: "text", ..HTML };
        const { &[atom("source", BaseType::Text), HTML, MARKDOWN, TEXT] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let is_harmless = guarded(|| gate::is_cheap(string)).unwrap_or(false);
        (is_harmless && !string.is_empty()).then(|| Parts::from([("source", Value::Text(string.into()))]))
    }

    fn write(&self, parts: &Parts, _like: &str) -> Option<String> {
        Some(text_of(parts, "source").to_owned())
    }

    fn derive(&self, part: &str, of: &str) -> Option<Value> {
        let source = self.read(of)?.remove("source")?;
        let Value::Text(html) = &source else { return None };
        let made = guarded(|| match part {
            "html" => convert::sanitised(html),
            "markdown" => convert::markdown(html),
            "text" => convert::text(html),
            _source => None,
        });
        match part {
            "source" => Some(source),
            _shown => made.ok()?.filter(|made| !made.is_empty()).map(Value::Text),
        }
    }

    fn edit(&self, parts: &mut Parts, part: &'static str, value: Value) {
        let Value::Text(written) = value else { return };
        let made = guarded(|| match part {
            "markdown" => convert::from_markdown(&written),
            "text" => Some(convert::from_text(&written)),
            "html" => convert::sanitised(&written),
            _source => Some(written.clone()),
        });
        // Of what cannot be converted no string is written, and who asked is told.
        match made.ok().flatten() {
            Some(html) => parts.insert("source", Value::Text(html)),
            None => parts.insert(part, Value::Text(written)),
        };
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        parts("text").unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
