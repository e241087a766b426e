//! A field with all its elements and parts as one line of text, the way people write such things.

use super::{Cell, text_form};
use std::collections::BTreeMap;
use tandem_wire::{
    Value,
    design::{BaseType, FieldType},
};

/// All cells of a column, in the order of their parts, as one text.
pub fn field_text(ty: &FieldType, cells: &[&Cell]) -> String {
    let base = ty.base().unwrap_or(BaseType::Text);
    let depth = usize::from(ty.many);
    let mut elements = BTreeMap::<Vec<&[u8]>, Vec<(&[u8], String)>>::new();
    for cell in cells.iter().filter(|cell| cell.value != Value::Null) {
        let element = cell.part.steps().take(depth).collect();
        let part = cell.part.steps().nth(depth).filter(|_| base.is_composite()).unwrap_or_default();
        elements.entry(element).or_default().push((part, text_form::show(&cell.value)));
    }
    let texts: Vec<String> = elements.values().map(|parts| element_text(base, parts)).collect();
    texts.join("; ")
}

/// The parts that a reader expects, in order, with what stands before each.
fn layout(base: BaseType) -> &'static [(&'static str, &'static str)] {
    match base {
        BaseType::PersonName => {
            &[("prefix", " "), ("given", " "), ("additional", " "), ("family", " "), ("suffix", ", ")]
        }
        BaseType::Phone => &[("number", "")],
        BaseType::Email => &[("address", "")],
        BaseType::PostalAddress => &[
            ("box", ", "),
            ("extended", ", "),
            ("street", ", "),
            ("city", ", "),
            ("region", ", "),
            ("code", " "),
            ("country", ", "),
        ],
        BaseType::User => &[("name", ""), ("email", ", ")],
        BaseType::Lookup => &[("text", "")],
        BaseType::Url => &[("url", "")],
        BaseType::Currency => &[("amount", ""), ("currency", " ")],
        BaseType::GeoPoint => &[("lat", ""), ("lon", ", ")],
        BaseType::RichText => &[("text", "")],
        BaseType::DateRange => &[("from", ""), ("to", " – ")],
        BaseType::Bool
        | BaseType::Int
        | BaseType::Decimal
        | BaseType::Float
        | BaseType::Text
        | BaseType::Date
        | BaseType::DateTime
        | BaseType::Duration
        | BaseType::Choice
        | BaseType::Reference
        | BaseType::Rank
        | BaseType::Blob => &[],
    }
}

fn element_text(base: BaseType, parts: &[(&[u8], String)]) -> String {
    if !base.is_composite() {
        return parts.iter().map(|(_, text)| text.as_str()).collect();
    }
    let part = |name: &str| {
        let found = parts.iter().find(|(part, _)| *part == name.as_bytes());
        found.map(|(_, text)| text.as_str()).filter(|text| !text.is_empty())
    };
    let mut out = String::new();
    for (name, before) in layout(base) {
        if let Some(text) = part(name) {
            out.push_str(if out.is_empty() { "" } else { before });
            out.push_str(text);
        }
    }
    if let Some(aside) = part("kind").or_else(|| part("title")) {
        out.push_str(&format!("{}({aside})", if out.is_empty() { "" } else { " " }));
    }
    out
}
