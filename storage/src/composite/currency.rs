//! An amount of money: `12.50 EUR`, or `EUR 12.50`. The currency is a code of three letters, as in ISO 4217.

use super::{Composite, Part, Parts, atom, in_a_row, numbers};
use tandem_wire::{Value, design::BaseType};

#[derive(Debug)]
pub(super) struct Currency;

impl Composite for Currency {
    fn base(&self) -> BaseType {
        BaseType::Currency
    }

    fn example(&self) -> &'static str {
        "12.50 EUR"
    }

    fn parts(&self) -> &'static [Part] {
        const { &[atom("amount", BaseType::Decimal), atom("currency", BaseType::Text)] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let (first, second) = string.split_once(' ')?;
        let (amount, code) = if is_code(first) { (second, first) } else { (first, second) };
        let amount = numbers::decimal(amount).filter(|_| is_code(code))?;
        Some(Parts::from([("amount", Value::Decimal(amount)), ("currency", Value::Text(code.into()))]))
    }

    fn write(&self, parts: &Parts, like: &str) -> Option<String> {
        match (parts.get("amount"), parts.get("currency")) {
            (Some(amount @ Value::Decimal(_)), Some(Value::Text(code))) => {
                let amount = crate::lens::to_text(amount)?;
                let code_first = like.split_once(' ').is_some_and(|(first, _)| is_code(first));
                Some(if code_first { format!("{code} {amount}") } else { format!("{amount} {code}") })
            }
            _incomplete => parts.is_empty().then(String::new),
        }
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        in_a_row(parts, &[("amount", ""), ("currency", " ")], None)
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
