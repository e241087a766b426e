//! How tables write numbers: which sign stands before the fraction, and which one groups the thousands.

/// One way to write numbers. A number without a fraction and without groups is written the same in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberForm {
    /// What stands before the fraction.
    pub mark: Mark,
    group: Group,
}

/// What stands before the fraction of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `1234.5`
    Point,
    /// `1234,5`
    Comma,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    None,
    /// The mark that does not stand before the fraction.
    Other,
    /// A space, also one that does not break, or an apostrophe.
    Space,
}

/// The digits of a number: `mantissa × 10^-places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    /// All digits, as if there were no fraction.
    pub mantissa: i128,
    /// How many of them stand behind the mark, trailing zeros included.
    pub places: u8,
}

impl NumberForm {
    /// What programs write: `1234.5`.
    pub const PLAIN: Self = Self { mark: Mark::Point, group: Group::None };

    /// All of them, the likeliest first.
    pub const ALL: [Self; 6] = [
        Self::PLAIN,
        Self { mark: Mark::Point, group: Group::Other },
        Self { mark: Mark::Point, group: Group::Space },
        Self { mark: Mark::Comma, group: Group::None },
        Self { mark: Mark::Comma, group: Group::Other },
        Self { mark: Mark::Comma, group: Group::Space },
    ];

    /// Its place in [`NumberForm::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|form| *form == self).expect("all are listed")
    }

    /// The number that `text` is in this form. None with leading zeros, which are a code's (`007`), not a number's.
    pub fn read(self, text: &str) -> Option<Digits> {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let mark = match self.mark {
            Mark::Point => '.',
            Mark::Comma => ',',
        };
        let (whole, fraction) = match digits.split_once(mark) {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (digits, ""),
        };
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) || !self.is_grouped_right(whole) {
            return None;
        }
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().filter(u8::is_ascii_digit).chain(fraction.bytes()) {
            let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
            mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
        }
        let places = u8::try_from(fraction.len()).ok()?;
        Some(Digits { mantissa: if is_negative { -mantissa } else { mantissa }, places })
    }

    /// Digits alone, or one to three of them and then groups of three.
    fn is_grouped_right(self, whole: &str) -> bool {
        if whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return true;
        }
        let Some(sign) = whole.chars().find(|char| !char.is_ascii_digit()).filter(|sign| self.groups_by(*sign)) else {
            return false;
        };
        let mut groups = whole.split(sign);
        let first = groups.next().unwrap_or_default();
        let is_group = |group: &str| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit());
        (1..=3).contains(&first.len()) && groups.all(is_group)
    }

    fn groups_by(self, sign: char) -> bool {
        match (self.group, self.mark) {
            (Group::None, _) => false,
            (Group::Other, Mark::Point) => sign == ',',
            (Group::Other, Mark::Comma) => sign == '.',
            (Group::Space, _) => matches!(sign, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '’'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_reads_its_own_numbers() {
        let forms = |text: &str| -> Vec<(usize, i128, u8)> {
            let read = |form: &NumberForm| form.read(text).map(|digits| (form.index(), digits.mantissa, digits.places));
            NumberForm::ALL.iter().filter_map(read).collect()
        };
        let all = |mantissa| (0..6).map(|form| (form, mantissa, 0)).collect::<Vec<_>>();
        assert_eq!(forms("0"), all(0));
        assert_eq!(forms("-1234"), all(-1234));
        assert_eq!(forms("1.50"), [(0, 150, 2), (1, 150, 2), (2, 150, 2)]);
        assert_eq!(forms("1,5"), [(3, 15, 1), (4, 15, 1), (5, 15, 1)]);
        assert_eq!(forms("1,234"), [(1, 1234, 0), (3, 1234, 3), (4, 1234, 3), (5, 1234, 3)]);
        assert_eq!(forms("1.234,56"), [(4, 123_456, 2)]);
        assert_eq!(forms("-1,234,567.8"), [(1, -12_345_678, 1)]);
        assert_eq!(forms("1 234.50"), [(2, 123_450, 2)]);
        assert_eq!(forms("1\u{202f}234,5"), [(5, 12_345, 1)]);
        assert_eq!(forms("12'345'678"), [(2, 12_345_678, 0), (5, 12_345_678, 0)]);
        for text in [
            "",
            "-",
            "007",
            "00.5",
            ".5",
            "5.",
            "1,23,456",
            "1234,567.8",
            "1 2345",
            "1e5",
            "+1",
            "1.2.3",
            "--1",
            "٣",
            " 1",
        ] {
            assert_eq!(forms(text), [], "{text:?}");
        }
        assert_eq!(forms(&"9".repeat(60)), []);
    }
}
