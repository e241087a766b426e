//! A field with all its elements and parts as one line of text, the way people write such things.

use super::{Cell, text_form};
use std::collections::BTreeMap;
use tandem_storage::composite::{self, Home, VERBATIM};
use tandem_wire::{
    Value,
    design::{BaseType, FieldType},
};

/// All cells of a column, in the order of their parts, as one text. `called` knows what the records of other lists are
/// called that a value refers to.
pub fn field_text(ty: &FieldType, cells: &[&Cell], called: &dyn Fn(&Value) -> Option<String>) -> String {
    let base = ty.base().unwrap_or(BaseType::Text);
    let depth = usize::from(ty.many);
    let mut elements = BTreeMap::<Vec<&[u8]>, Vec<(&[u8], String)>>::new();
    let shown = cells.iter().filter(|cell| cell.value != Value::Null && composite::shows(ty, &cell.part, &cell.value));
    for cell in shown {
        let element: Vec<&[u8]> = cell.part.steps().take(depth).collect();
        let part = cell.part.steps().nth(depth).unwrap_or_default();
        let text = match called(&cell.value).filter(|_| part.is_empty()) {
            Some(name) if base == BaseType::Reference => name,
            name => {
                let of = composite::of(base).into_iter().flat_map(|composite| composite.parts());
                let referred = of.filter(|part| part.home == Home::Referred).map(|part| part.name.as_bytes());
                elements.entry(element.clone()).or_default().extend(referred.zip(name));
                text_form::show(&cell.value)
            }
        };
        elements.entry(element).or_default().push((part, text));
    }
    let texts: Vec<String> = elements.values().map(|parts| element_text(base, parts)).collect();
    texts.join("; ")
}

fn element_text(base: BaseType, parts: &[(&[u8], String)]) -> String {
    let whole: String = parts.iter().filter(|(part, _)| part.is_empty()).map(|(_, text)| text.as_str()).collect();
    let Some(composite) = composite::of(base) else {
        // A long text may be in chunks.
        return parts.iter().map(|(_, text)| text.as_str()).collect();
    };
    let part = |name: &str| {
        let found = parts.iter().find(|(part, _)| *part == name.as_bytes()).map(|(_, text)| text.clone());
        found.or_else(|| {
            composite.derive(composite::part(base, name.as_bytes())?.name, &whole).map(|it| text_form::show(&it))
        })
    };
    match composite.show(&part) {
        // What could not be taken apart is shown as it is.
        shown if shown.is_empty() && whole.is_empty() => part(VERBATIM).unwrap_or_default(),
        shown if shown.is_empty() => whole,
        shown => shown,
    }
}
