//! A person's name. As one string it is that of a vCard: `Doe;John;Quincy;Dr.;Jr.`.

use super::{Composite, Part, Parts, cell, in_a_row, structured};
use tandem_wire::design::BaseType;

#[derive(Debug)]
pub(super) struct PersonName;

const ORDER: &[&str] = &["family", "given", "additional", "prefix", "suffix"];

impl Composite for PersonName {
    fn base(&self) -> BaseType {
        BaseType::PersonName
    }

    fn example(&self) -> &'static str {
        "Doe;John;;Dr.;"
    }

    fn parts(&self) -> &'static [Part] {
        const {
            &[
                cell("given", BaseType::Text),
                cell("family", BaseType::Text),
                cell("additional", BaseType::Text),
                cell("prefix", BaseType::Text),
                cell("suffix", BaseType::Text),
            ]
        }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        structured::read(string, ORDER)
    }

    fn write(&self, parts: &Parts, _like: &str) -> Option<String> {
        Some(structured::write(parts, ORDER))
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        let row = [("prefix", " "), ("given", " "), ("additional", " "), ("family", " "), ("suffix", ", ")];
        in_a_row(parts, &row, None)
    }
}
