//! What the columns of a table hold, learnt from all their texts in bounded memory.

use super::{
    Column,
    date_form::DateForm,
    number_form::{Mark, NumberForm},
    reading::{Many, Reading, read_bool, read_exponent},
    text_form,
};
use std::collections::BTreeSet;
use tandem_wire::{design::BaseType, limits::NAME_BYTES_MAX};

/// Different texts that make a column one of choices, at most.
pub const CHOICES_MAX: usize = 20;
/// Rows for each choice that make a column one of choices, on the average and at least.
pub const ROWS_PER_CHOICE_MIN: u64 = 20;
/// Different texts of a column that are counted; of more it is only known that they are more.
pub const DISTINCT_MAX: usize = 1_000;
/// Bytes that they may have together.
const DISTINCT_BYTES_MAX: usize = 64 * 1024;
/// Texts that are kept to show what a column holds.
const EXAMPLES_MAX: usize = 3;
/// Bytes of such a text.
const EXAMPLE_BYTES_MAX: usize = 64;

/// A column of a table.
#[derive(Debug, Clone)]
pub struct TableColumn {
    /// Its name: not empty, and different from those of the others.
    pub name: String,
    /// How its texts become values.
    pub reading: Reading,
    /// What was learnt about it.
    pub seen: Seen,
}

/// What the texts of a column have in common.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Texts that are not empty.
    pub filled: u64,
    /// Those that are.
    pub empty: u64,
    /// The first different ones, cut to a length that can be shown.
    pub examples: Vec<String>,
    /// All different ones, unless they are more than [`DISTINCT_MAX`].
    pub distinct: Option<BTreeSet<String>>,
    distinct_bytes: usize,
    bools: u64,
    numbers: [u64; NumberForm::ALL.len()],
    wholes: [u64; NumberForm::ALL.len()],
    floats: u64,
    dates: [u64; DateForm::ALL.len()],
    instants: u64,
}

/// Why a column cannot be read as the type that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Days that fit both orders.
    #[error("its days can be read both ways; say date:dmy for day first or date:mdy for month first")]
    DayOrMonth,
    /// Too many different texts.
    #[error("it has more than {DISTINCT_MAX} different texts; a field of choices is for few")]
    TooManyChoices,
    /// A text that no choice can be called.
    #[error(
        "one of its texts is longer than {NAME_BYTES_MAX} bytes or has a control character; no choice can be called so"
    )]
    Unnameable,
    /// The type has no form as a text in a table.
    #[error("an import cannot read this type; choose one of {}", readable_names())]
    NotPlain,
}

/// The types that a column can be read as, as `--type` takes them.
pub fn readable_names() -> String {
    let composites = BaseType::ALL.into_iter().filter(|base| base.is_composite()).map(BaseType::name);
    let plain = "text, choice, bool, int, decimal, float, date, date:dmy, date:mdy, date-time, duration";
    format!("{plain}, {}; each also as `many …`", composites.collect::<Vec<_>>().join(", "))
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            filled: 0,
            empty: 0,
            examples: Vec::new(),
            distinct: Some(BTreeSet::new()),
            distinct_bytes: 0,
            bools: 0,
            numbers: [0; _],
            wholes: [0; _],
            floats: 0,
            dates: [0; _],
            instants: 0,
        }
    }
}

impl Seen {
    /// Takes the next text of the column into account.
    pub fn see(&mut self, text: &str) {
        if text.is_empty() {
            self.empty += 1;
            return;
        }
        self.filled += 1;
        self.see_distinct(text);
        let first = text.as_bytes()[0];
        if first == b'-' || first.is_ascii_digit() {
            if self.see_plain_whole(text) {
                return;
            }
            self.see_number(text);
        }
        if first.is_ascii_digit() {
            for (form, count) in DateForm::ALL.iter().zip(&mut self.dates) {
                *count += u64::from(form.read(text).is_some());
            }
            self.instants += u64::from(text_form::read(BaseType::DateTime, text).is_some());
        }
        self.bools += u64::from(read_bool(text).is_some());
    }

    /// Whether it is a whole number without groups, which is the same in every form, and nothing else but that.
    fn see_plain_whole(&mut self, text: &str) -> bool {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_code = digits.len() > 1 && digits.starts_with('0');
        // Of 18 digits any is an i64.
        let is_whole = are_digits && !is_code && (1..=18).contains(&digits.len());
        if is_whole {
            self.numbers.iter_mut().chain(&mut self.wholes).for_each(|count| *count += 1);
            self.floats += 1;
        }
        is_whole
    }

    fn see_number(&mut self, text: &str) {
        let mut is_number = false;
        for (index, form) in NumberForm::ALL.iter().enumerate() {
            if let Some(digits) = form.read(text) {
                is_number = true;
                self.numbers[index] += 1;
                self.wholes[index] += u64::from(digits.places == 0 && i64::try_from(digits.mantissa).is_ok());
            }
        }
        self.floats += u64::from(is_number || read_exponent(text).is_some());
    }

    fn see_distinct(&mut self, text: &str) {
        let Some(distinct) = &mut self.distinct else { return };
        if distinct.contains(text) {
            return;
        }
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text[..text.floor_char_boundary(EXAMPLE_BYTES_MAX)].to_owned());
        }
        self.distinct_bytes += text.len();
        if distinct.len() == DISTINCT_MAX || self.distinct_bytes > DISTINCT_BYTES_MAX {
            self.distinct = None;
        } else {
            distinct.insert(text.to_owned());
        }
    }

    /// The mark before fractions that this column proves: it fits numbers with one of the two only.
    fn proves(&self) -> Option<Mark> {
        let fits = |mark| self.fitting().any(|form| form.mark == mark);
        match (fits(Mark::Point), fits(Mark::Comma)) {
            (true, false) => Some(Mark::Point),
            (false, true) => Some(Mark::Comma),
            _both_or_neither => None,
        }
    }

    /// The forms that all texts are numbers in.
    fn fitting(&self) -> impl Iterator<Item = NumberForm> + '_ {
        NumberForm::ALL.into_iter().filter(|form| self.are_all(self.numbers[form.index()]))
    }

    fn are_all(&self, count: u64) -> bool {
        self.filled > 0 && count == self.filled
    }

    /// The narrowest reading that fits all texts; text where none does, or where two give other values.
    fn narrowest(&self, mark: Option<Mark>) -> Reading {
        if self.are_all(self.bools) {
            Reading::Bool
        } else if let Some(form) = self.number_form(mark) {
            let are_whole = self.are_all(self.wholes[form.index()]);
            if are_whole { Reading::Int(form) } else { Reading::Decimal(form) }
        } else if self.are_all(self.floats) && self.fitting().next().is_none() {
            Reading::Float(NumberForm::PLAIN)
        } else if let Some(form) = self.date_form() {
            Reading::Date(form)
        } else if self.are_all(self.instants) {
            Reading::DateTime
        } else if self.is_of_choices() {
            Reading::Choice
        } else {
            Reading::Text
        }
    }

    /// The form of numbers that all texts have. `1,234` fits two that give other numbers: only with `mark` known.
    fn number_form(&self, mark: Option<Mark>) -> Option<NumberForm> {
        let of_mark = mark.and_then(|mark| self.fitting().find(|form| form.mark == mark));
        let first = of_mark.or_else(|| self.fitting().next())?;
        let are_whole = |form: &NumberForm| self.are_all(self.wholes[form.index()]);
        let spaced = [NumberForm::ALL[2], NumberForm::ALL[5]];
        let is_certain =
            mark.is_some() || first == NumberForm::PLAIN || self.proves().is_some() || spaced.iter().all(are_whole);
        is_certain.then_some(first)
    }

    fn date_form(&self) -> Option<DateForm> {
        let mut fitting = DateForm::ALL.into_iter().filter(|form| self.are_all(self.dates[form.index()]));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }

    fn is_of_choices(&self) -> bool {
        let Some(distinct) = &self.distinct else { return false };
        (2..=CHOICES_MAX).contains(&distinct.len())
            && self.filled >= ROWS_PER_CHOICE_MIN * distinct.len() as u64
            && distinct.iter().all(|text| can_be_named(text))
    }

    /// The reading as a type that was asked for, in the form that most of the texts have.
    pub fn reading_as(&self, base: BaseType, mark: Option<Mark>) -> Result<Reading, Unreadable> {
        let reading = match base {
            BaseType::Text => Reading::Text,
            BaseType::Bool => Reading::Bool,
            BaseType::Int => Reading::Int(self.likeliest_number(mark)),
            BaseType::Decimal => Reading::Decimal(self.likeliest_number(mark)),
            BaseType::Float => Reading::Float(self.likeliest_number(mark)),
            BaseType::Date => Reading::Date(self.likeliest_date()?),
            BaseType::DateTime => Reading::DateTime,
            BaseType::Choice => Reading::Choice,
            BaseType::Duration => Reading::Parts(base, Many::One),
            base if base.is_composite() => Reading::Parts(base, Many::One),
            _references_and_files => return Err(Unreadable::NotPlain),
        };
        Ok(reading)
    }

    /// The texts as names of choices.
    pub fn choices(&self) -> Result<Vec<String>, Unreadable> {
        let distinct = self.distinct.as_ref().ok_or(Unreadable::TooManyChoices)?;
        let are_fine = distinct.iter().all(|text| can_be_named(text));
        are_fine.then(|| distinct.iter().cloned().collect()).ok_or(Unreadable::Unnameable)
    }

    fn likeliest_number(&self, mark: Option<Mark>) -> NumberForm {
        let of_mark = |form: &NumberForm| mark.is_none_or(|mark| form.mark == mark);
        let forms = NumberForm::ALL.into_iter().filter(of_mark).rev();
        forms.max_by_key(|form| self.numbers[form.index()]).unwrap_or(NumberForm::PLAIN)
    }

    fn likeliest_date(&self) -> Result<DateForm, Unreadable> {
        let count = |form: DateForm| self.dates[form.index()];
        let best = DateForm::ALL.into_iter().rev().max_by_key(|form| count(*form)).unwrap_or(DateForm::Iso);
        let is_slash = matches!(best, DateForm::DaySlash | DateForm::MonthSlash) && count(best) > 0;
        let is_open = is_slash && count(DateForm::DaySlash) == count(DateForm::MonthSlash);
        if is_open { Err(Unreadable::DayOrMonth) } else { Ok(best) }
    }
}

/// Whether a choice can be called so.
fn can_be_named(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

impl TableColumn {
    /// As a column of any file.
    pub fn column(&self) -> Column {
        Column { name: self.name.clone(), ty: self.reading.field_type() }
    }
}

/// Decides what each column holds. Numbers of all columns are written by one hand: what one of them proves about the
/// mark before fractions, others that could be read both ways follow; `mark` overrules that.
pub(super) fn decide(columns: impl IntoIterator<Item = (String, Seen)>, mark: Option<Mark>) -> Vec<TableColumn> {
    let columns: Vec<(String, Seen)> = columns.into_iter().collect();
    let mark = mark.or_else(|| proved_mark(columns.iter().map(|(_, seen)| seen)));
    let decide = |(name, seen): (String, Seen)| TableColumn { name, reading: seen.narrowest(mark), seen };
    columns.into_iter().map(decide).collect()
}

/// What the columns prove together; nothing where they disagree.
pub(super) fn proved_mark<'a>(columns: impl Iterator<Item = &'a Seen>) -> Option<Mark> {
    let mut proved = columns.filter_map(Seen::proves);
    let first = proved.next()?;
    proved.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(texts: &[&str]) -> Seen {
        let mut seen = Seen::default();
        texts.iter().for_each(|text| seen.see(text));
        seen
    }

    fn readings(columns: &[&[&str]], mark: Option<Mark>) -> Vec<String> {
        let columns = columns.iter().map(|texts| (String::new(), seen(texts)));
        decide(columns, mark).iter().map(|column| column.reading.to_string()).collect()
    }

    #[test]
    fn the_narrowest_type_that_fits_all_values() {
        let check = |texts: &[&str], expect: &str| assert_eq!(readings(&[texts], None), [expect], "{texts:?}");
        check(&[], "text");
        check(&["", ""], "text");
        check(&["true", "", "FALSE"], "bool");
        check(&["true", "1"], "text");
        check(&["3", "-7"], "int");
        check(&["3", "007"], "text");
        check(&["3", "38.704022"], "decimal");
        check(&["99999999999999999999", "1"], "decimal");
        check(&["44.0", "38.704022"], "decimal");
        check(&["1.50"], "decimal");
        check(&["1.234"], "decimal");
        check(&["1,50", "2"], "decimal, comma");
        check(&["1.234,56", "2.000"], "decimal, comma");
        check(&["1,234.50", "2,000"], "decimal");
        check(&["1 234", "12"], "int");
        check(&["1 234,5"], "decimal, comma");
        check(&["1,234"], "text");
        check(&["1.5e-7", "2.0"], "float");
        check(&["12e5"], "text");
        check(&["1985-04-12", ""], "date");
        check(&["1985-04-12", "unknown"], "text");
        check(&["12.4.1985", "1.1.2000"], "date, day first");
        check(&["31/12/1999", "1/2/2000"], "date, day first");
        check(&["12/31/1999", "1/2/2000"], "date, month first");
        check(&["1/2/2000"], "text");
        check(&["2024-02-29T12:00:00Z"], "date-time");
    }

    #[test]
    fn what_one_column_proves_others_follow() {
        assert_eq!(
            readings(&[&["1,5"], &["1.234"], &["1,234"]], None),
            ["decimal, comma", "int, comma", "decimal, comma"]
        );
        assert_eq!(readings(&[&["1.5"], &["1,234"]], None), ["decimal", "int"]);
        assert_eq!(readings(&[&["1.5"], &["1,5"], &["1,234"]], None), ["decimal", "decimal, comma", "text"]);
        assert_eq!(
            readings(&[&["1,234"], &["1.234"], &["1.5"]], Some(Mark::Comma)),
            ["decimal, comma", "int, comma", "decimal"]
        );
    }

    #[test]
    fn few_texts_in_many_rows_are_choices() {
        let reading = |distinct: u64, rows: u64| {
            let mut seen = Seen::default();
            (0..rows).for_each(|row| seen.see(&format!("kind {}", row % distinct)));
            seen.narrowest(None)
        };
        assert_eq!(reading(2, 40), Reading::Choice);
        assert_eq!(reading(2, 39), Reading::Text);
        assert_eq!(reading(20, 400), Reading::Choice);
        assert_eq!(reading(21, 4000), Reading::Text);
        assert_eq!(reading(1, 400), Reading::Text);
        let mut long = Seen::default();
        (0..100).for_each(|row| long.see(&"x".repeat(300 + row % 2)));
        assert_eq!(long.narrowest(None), Reading::Text);
        assert_eq!(long.choices(), Err(Unreadable::Unnameable));
    }

    #[test]
    fn a_type_that_was_asked_for_takes_the_likeliest_form() {
        let check = |texts: &[&str], base, expect: Result<&str, Unreadable>| {
            let reading = seen(texts).reading_as(base, None);
            assert_eq!(reading.map(|reading| reading.to_string()), expect.map(str::to_owned), "{texts:?}");
        };
        check(&["1,5", "n/a"], BaseType::Decimal, Ok("decimal, comma"));
        check(&["5", "n/a"], BaseType::Int, Ok("int"));
        check(&["x"], BaseType::Float, Ok("float"));
        check(&["31.12.1999", "soon"], BaseType::Date, Ok("date, day first"));
        check(&["1/2/1999", "soon"], BaseType::Date, Err(Unreadable::DayOrMonth));
        check(&["1/2/1999", "13/1/1999"], BaseType::Date, Ok("date, day first"));
        check(&["x"], BaseType::Date, Ok("date"));
        check(&["x"], BaseType::Phone, Ok("phone"));
        check(&["x"], BaseType::Blob, Err(Unreadable::NotPlain));
    }

    #[test]
    fn memory_is_bounded_whatever_the_texts() {
        let mut seen = Seen::default();
        (0..10_000).for_each(|row| seen.see(&format!("{row} {}", "x".repeat(1000))));
        assert_eq!((seen.filled, seen.distinct.is_none()), (10_000, true));
        assert!(seen.examples.iter().all(|text| text.len() <= EXAMPLE_BYTES_MAX));
        let mut short = Seen::default();
        (0..=DISTINCT_MAX).for_each(|row| short.see(&row.to_string()));
        assert_eq!(short.distinct, None);
    }
}
