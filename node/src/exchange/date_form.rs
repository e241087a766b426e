//! How tables write days.

use jiff::civil::Date;

/// One way to write a day; the year always has four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    /// `1985-04-12`
    Iso,
    /// `12.4.1985`
    DayDot,
    /// `12/4/1985`
    DaySlash,
    /// `4/12/1985`
    MonthSlash,
    /// `12-4-1985`
    DayDash,
    /// `1985/4/12`
    YearSlash,
}

impl DateForm {
    /// All of them, the likeliest first.
    pub const ALL: [Self; 6] =
        [Self::Iso, Self::DayDot, Self::DaySlash, Self::MonthSlash, Self::DayDash, Self::YearSlash];

    /// Its place in [`DateForm::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|form| *form == self).expect("all are listed")
    }

    /// The day that `text` is in this form, as days since 1970-01-01.
    pub fn read(self, text: &str) -> Option<i32> {
        let sign = match self {
            Self::Iso | Self::DayDash => '-',
            Self::DayDot => '.',
            Self::DaySlash | Self::MonthSlash | Self::YearSlash => '/',
        };
        let mut parts = text.split(sign);
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let (year, month, day) = match self {
            Self::Iso | Self::YearSlash => (first, second, third),
            Self::DayDot | Self::DaySlash | Self::DayDash => (third, second, first),
            Self::MonthSlash => (third, first, second),
        };
        let short = if self == Self::Iso { 2..=2 } else { 1..=2 };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_right = year.len() == 4 && short.contains(&month.len()) && short.contains(&day.len());
        if !is_right || ![year, month, day].into_iter().all(is_number) {
            return None;
        }
        let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
        Some(date.since(Date::constant(1970, 1, 1)).ok()?.get_days())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_reads_its_own_days() {
        let forms = |text: &str| -> Vec<(DateForm, i32)> {
            DateForm::ALL.iter().filter_map(|form| form.read(text).map(|day| (*form, day))).collect()
        };
        assert_eq!(forms("1970-01-02"), [(DateForm::Iso, 1)]);
        assert_eq!(forms("2.1.1970"), [(DateForm::DayDot, 1)]);
        assert_eq!(forms("1/2/1970"), [(DateForm::DaySlash, 31), (DateForm::MonthSlash, 1)]);
        assert_eq!(forms("31/01/1970"), [(DateForm::DaySlash, 30)]);
        assert_eq!(forms("02-01-1970"), [(DateForm::DayDash, 1)]);
        assert_eq!(forms("1970/1/2"), [(DateForm::YearSlash, 1)]);
        for text in
            ["", "1970-1-2", "1970-02-30", "1.2.70", "1.2.", "+1.1.1970", "1970-01-02T00:00", "1-2", "１.1.1970"]
        {
            assert_eq!(forms(text), [], "{text:?}");
        }
    }
}
