//! A postal address. As one string it is that of a vCard: `;;Weg 1;Ulm;;89073;Germany`.

use super::{Composite, Part, Parts, aside, cell, in_a_row, structured};
use tandem_wire::design::BaseType;

#[derive(Debug)]
pub(super) struct PostalAddress;

const ORDER: &[&str] = &["box", "extended", "street", "city", "region", "code", "country"];

impl Composite for PostalAddress {
    fn base(&self) -> BaseType {
        BaseType::PostalAddress
    }

    fn example(&self) -> &'static str {
        ";;Weg 1;Ulm;;89073;Germany"
    }

    fn parts(&self) -> &'static [Part] {
        const {
            &[
                cell("street", BaseType::Text),
                cell("city", BaseType::Text),
                cell("region", BaseType::Text),
                cell("code", BaseType::Text),
                cell("country", BaseType::Text),
                aside("kind", BaseType::Text),
                cell("box", BaseType::Text),
                cell("extended", BaseType::Text),
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
        let row = [
            ("box", ", "),
            ("extended", ", "),
            ("street", ", "),
            ("city", ", "),
            ("region", ", "),
            ("code", " "),
            ("country", ", "),
        ];
        in_a_row(parts, &row, Some("kind"))
    }
}
