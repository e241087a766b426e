//! The functions of filters. Given what they are not for, they give `Null`.

use super::{
    literal::civil,
    term::{DAY_MS, Term, day_of},
};
use tandem_wire::Value;

macro_rules! functions {
    ($($variant:ident $name:literal $arguments:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function { $($variant),* }

        impl Function {
            /// Names of all functions that are looked up here.
            pub(super) const NAMES: &'static [&'static str] = &[$($name),*];

            /// The function and how many arguments it takes, the one before the dot included.
            pub(super) fn find(name: &str) -> Option<(Self, usize)> {
                match name {
                    $($name => Some((Self::$variant, $arguments)),)*
                    _ => None,
                }
            }
        }
    };
}

functions! {
    Size "size" 1,
    StartsWith "startsWith" 2,
    EndsWith "endsWith" 2,
    Contains "contains" 2,
    LowerAscii "lowerAscii" 1,
    UpperAscii "upperAscii" 1,
    Trim "trim" 1,
    Int "int" 1,
    Double "double" 1,
    FullYear "getFullYear" 1,
    Month "getMonth" 1,
    Date "getDate" 1,
    DayOfMonth "getDayOfMonth" 1,
    DayOfYear "getDayOfYear" 1,
    DayOfWeek "getDayOfWeek" 1,
    Hours "getHours" 1,
    Minutes "getMinutes" 1,
    Seconds "getSeconds" 1,
    Milliseconds "getMilliseconds" 1,
}

/// What a function takes before the dot or as its first argument, and what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    /// Text and text: yes or no.
    TextTest,
    /// Text: text.
    TextToText,
    /// Text or list: a whole number.
    Size,
    /// A number or text: a number.
    ToInt,
    /// The same, a binary number.
    ToFloat,
    /// A day or instant: a whole number.
    OfTime,
}

impl Function {
    pub(super) fn signature(self) -> Signature {
        match self {
            Self::Size => Signature::Size,
            Self::StartsWith | Self::EndsWith | Self::Contains => Signature::TextTest,
            Self::LowerAscii | Self::UpperAscii | Self::Trim => Signature::TextToText,
            Self::Int => Signature::ToInt,
            Self::Double => Signature::ToFloat,
            Self::FullYear
            | Self::Month
            | Self::Date
            | Self::DayOfMonth
            | Self::DayOfYear
            | Self::DayOfWeek
            | Self::Hours
            | Self::Minutes
            | Self::Seconds
            | Self::Milliseconds => Signature::OfTime,
        }
    }

    /// Calls it with as many arguments as it takes.
    pub(super) fn call<'a>(self, arguments: &[Term<'a>]) -> Term<'a> {
        let result = match (self.signature(), arguments) {
            (Signature::TextTest, [Term::Text(text), Term::Text(other)]) => Some(Term::Bool(self.test(text, other))),
            // What is no text starts with nothing.
            (Signature::TextTest, _) => Some(Term::Bool(false)),
            (Signature::TextToText, [Term::Text(text)]) => Some(Term::Text(self.change(text).into())),
            (Signature::Size, [Term::Text(text)]) => i64::try_from(text.chars().count()).ok().map(Term::Int),
            (Signature::Size, [Term::List(list)]) => i64::try_from(list.len()).ok().map(Term::Int),
            (Signature::ToInt, [term]) => to_int(term).map(Term::Int),
            (Signature::ToFloat, [term]) => to_float(term).map(Term::Float),
            (Signature::OfTime, [Term::Date(days)]) => self.of_time(i64::from(*days) * DAY_MS).map(Term::Int),
            (Signature::OfTime, [Term::DateTime(ms)]) => self.of_time(*ms).map(Term::Int),
            _not_for_it => None,
        };
        result.unwrap_or(Term::Null)
    }

    fn test(self, text: &str, other: &str) -> bool {
        match self {
            Self::StartsWith => text.starts_with(other),
            Self::EndsWith => text.ends_with(other),
            _contains => text.contains(other),
        }
    }

    fn change(self, text: &str) -> String {
        match self {
            Self::LowerAscii => text.to_ascii_lowercase(),
            Self::UpperAscii => text.to_ascii_uppercase(),
            _trim => text.trim().to_owned(),
        }
    }

    /// In UTC; months, days of the month and of the year count from 0 as CEL has them, but `getDate` from 1, and the
    /// week begins with Sunday, 0.
    fn of_time(self, ms: i64) -> Option<i64> {
        let of_day = ms.rem_euclid(DAY_MS);
        let day = || civil(day_of(ms));
        Some(match self {
            Self::Hours => of_day / 3_600_000,
            Self::Minutes => of_day / 60_000 % 60,
            Self::Seconds => of_day / 1_000 % 60,
            Self::Milliseconds => of_day % 1_000,
            Self::FullYear => day()?.year().into(),
            Self::Month => i64::from(day()?.month()) - 1,
            Self::Date => day()?.day().into(),
            Self::DayOfMonth => i64::from(day()?.day()) - 1,
            Self::DayOfYear => i64::from(day()?.day_of_year()) - 1,
            _day_of_week => day()?.weekday().to_sunday_zero_offset().into(),
        })
    }
}

fn to_int(term: &Term<'_>) -> Option<i64> {
    match term {
        Term::Int(number) => Some(*number),
        Term::Decimal(number) => i64::try_from(number.mantissa() / 10i128.pow(number.scale().into())).ok(),
        // 2^63 is a binary number, but no whole number of 64 bits.
        Term::Float(number) => (number.abs() < 9_223_372_036_854_775_808.0).then_some(*number as i64),
        Term::Text(text) => text.parse().ok(),
        _no_number => None,
    }
}

fn to_float(term: &Term<'_>) -> Option<f64> {
    let number = match term {
        Term::Int(number) => *number as f64,
        Term::Decimal(number) => number.mantissa() as f64 / 10f64.powi(number.scale().into()),
        Term::Float(number) => *number,
        Term::Text(text) => text.parse().ok()?,
        _no_number => return None,
    };
    match Value::float(number)? {
        Value::Float(number) => Some(number),
        _not_finite => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn functions_give_what_cel_gives() {
        let check = |name: &str, arguments: &[Term<'static>], expect: Term<'_>| {
            let (function, count) = Function::find(name).unwrap();
            assert_eq!(count, arguments.len());
            assert_eq!(function.call(arguments), expect, "{name} {arguments:?}");
        };
        let text = |text: &'static str| Term::Text(Cow::Borrowed(text));
        check("size", &[text("Zoë")], Term::Int(3));
        check("size", &[Term::List(vec![Term::Null])], Term::Int(1));
        check("size", &[Term::Null], Term::Null);
        check("startsWith", &[text("Zoë"), text("Zo")], Term::Bool(true));
        check("endsWith", &[text("Zoë"), text("Zo")], Term::Bool(false));
        check("contains", &[text("Zoë"), text("o")], Term::Bool(true));
        check("contains", &[Term::Null, text("o")], Term::Bool(false));
        check("lowerAscii", &[text("ZOË")], text("zoË"));
        check("trim", &[text("\t x ")], text("x"));
        check("int", &[Term::Float(-1.9)], Term::Int(-1));
        check("int", &[Term::Float(1e19)], Term::Null);
        check("int", &[text("12")], Term::Int(12));
        check("double", &[text("inf")], Term::Null);
        check("double", &[Term::Int(2)], Term::Float(2.0));
        // 2024-02-29T23:59:58.007Z, a Thursday.
        let at = Term::DateTime(1_709_251_198_007);
        for (name, expect) in [
            ("getFullYear", 2024),
            ("getMonth", 1),
            ("getDate", 29),
            ("getDayOfMonth", 28),
            ("getDayOfYear", 59),
            ("getDayOfWeek", 4),
            ("getHours", 23),
            ("getMinutes", 59),
            ("getSeconds", 58),
            ("getMilliseconds", 7),
        ] {
            check(name, std::slice::from_ref(&at), Term::Int(expect));
        }
        check("getFullYear", &[Term::Date(-1)], Term::Int(1969));
        check("getFullYear", &[Term::DateTime(i64::MAX)], Term::Null);
        check("getHours", &[Term::DateTime(-1)], Term::Int(23));
    }
}
