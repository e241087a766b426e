//! Which type a column of text has: the narrowest that writes each of its values exactly as it stands.

use super::text_form;
use tandem_wire::design::{BaseType, FieldType};

/// From the narrowest to the widest. A column whose values fit none of them is text.
///
/// `Float` is for coordinates and measurements as programs write them, `44.0` beside `38.704022`: a decimal
/// number has no trailing zeros, so it could not give `44.0` back.
const CANDIDATES: [BaseType; 5] = [BaseType::Bool, BaseType::Int, BaseType::Decimal, BaseType::Float, BaseType::Date];

/// What the values seen so far leave open.
#[derive(Debug, Clone, Default)]
pub struct Guess {
    ruled_out: [bool; CANDIDATES.len()],
    has_seen_any: bool,
}

impl Guess {
    /// Takes the next value of the column into account; an empty one says nothing.
    pub fn see(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.has_seen_any = true;
        for (base, ruled_out) in CANDIDATES.iter().zip(&mut self.ruled_out) {
            *ruled_out = *ruled_out || text_form::read(*base, text).is_none();
        }
    }

    /// The type that fits all values seen.
    pub fn ty(&self) -> FieldType {
        FieldType::one(self.base())
    }

    fn base(&self) -> BaseType {
        let open = CANDIDATES.iter().zip(&self.ruled_out).find(|(_, ruled_out)| !**ruled_out);
        open.filter(|_| self.has_seen_any).map_or(BaseType::Text, |(base, _)| *base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_type_that_fits_all_values() {
        let check = |texts: &[&str], expect| {
            let mut guess = Guess::default();
            texts.iter().for_each(|text| guess.see(text));
            assert_eq!(guess.base(), expect, "{texts:?}");
        };
        check(&[], BaseType::Text);
        check(&["", ""], BaseType::Text);
        check(&["true", "", "false"], BaseType::Bool);
        check(&["true", "1"], BaseType::Text);
        check(&["3", "-7"], BaseType::Int);
        check(&["3", "007"], BaseType::Text);
        check(&["3", "38.704022"], BaseType::Decimal);
        check(&["99999999999999999999", "1"], BaseType::Decimal);
        check(&["44.0", "38.704022"], BaseType::Float);
        check(&["44.0", "44"], BaseType::Text);
        check(&["1.50"], BaseType::Text);
        check(&["1985-04-12", ""], BaseType::Date);
        check(&["1985-04-12", "unknown"], BaseType::Text);
    }
}
