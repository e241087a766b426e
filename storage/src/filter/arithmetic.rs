//! Sums and products of terms. What overflows, divides by zero or adds unlike things is `Null`: it compares with nothing.

use super::{
    literal::later,
    term::{DAY_MS, Term, day_of},
};
use std::cmp::Ordering;
use tandem_wire::{Decimal, Value};

/// An operator between two terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// The result; text and lists are joined by the caller, who counts them.
    pub(super) fn apply<'a>(self, a: &Term<'a>, b: &Term<'a>) -> Term<'a> {
        let result = match (self, a, b) {
            (Self::Add, Term::Duration { .. }, Term::Date(_) | Term::DateTime(_)) => Self::Add.in_time(b, a),
            (Self::Add | Self::Subtract, Term::Date(_) | Term::DateTime(_) | Term::Duration { .. }, _) => {
                self.in_time(a, b)
            }
            (_, Term::Int(a), Term::Int(b)) => self.whole(*a, *b).map(Term::Int),
            _ => a.number().zip(b.number()).and_then(|(a, b)| self.numbers(&a, &b)),
        };
        result.unwrap_or(Term::Null)
    }

    fn whole(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Subtract => a.checked_sub(b),
            Self::Multiply => a.checked_mul(b),
            Self::Divide => a.checked_div(b),
            Self::Remainder => a.checked_rem(b),
        }
    }

    fn numbers(self, a: &Value, b: &Value) -> Option<Term<'static>> {
        if let (Some(a), Some(b)) = (exact(a), exact(b))
            && let Some(exact) = self.decimals(a, b)
        {
            return Some(Term::Decimal(exact));
        }
        let (a, b) = (approximate(a), approximate(b));
        let result = match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => return None,
        };
        match Value::float(result)? {
            Value::Float(number) => Some(Term::Float(number)),
            _not_finite => None,
        }
    }

    /// Nothing for quotients, and beyond 128 bits: those are approximated.
    fn decimals(self, a: Decimal, b: Decimal) -> Option<Decimal> {
        let scale = a.scale().max(b.scale());
        let at_scale =
            |number: Decimal| number.mantissa().checked_mul(10i128.checked_pow((scale - number.scale()).into())?);
        match self {
            Self::Add => Decimal::new(at_scale(a)?.checked_add(at_scale(b)?)?, scale),
            Self::Subtract => Decimal::new(at_scale(a)?.checked_sub(at_scale(b)?)?, scale),
            Self::Multiply => Decimal::new(a.mantissa().checked_mul(b.mantissa())?, a.scale() + b.scale()),
            Self::Divide | Self::Remainder => None,
        }
    }

    fn in_time(self, a: &Term<'_>, b: &Term<'_>) -> Option<Term<'static>> {
        let sign: i64 = if self == Self::Add { 1 } else { -1 };
        match (a, b) {
            (Term::Duration { months, ms }, Term::Duration { months: b_months, ms: b_ms }) => Some(Term::Duration {
                months: months.checked_add(b_months.checked_mul(sign as i32)?)?,
                ms: ms.checked_add(b_ms.checked_mul(sign)?)?,
            }),
            (Term::Date(days), Term::Duration { months, ms }) if ms % DAY_MS == 0 => {
                later(*days, months.checked_mul(sign as i32)?, ms.checked_mul(sign)? / DAY_MS).map(Term::Date)
            }
            (Term::Date(days), Term::Duration { .. }) => self.in_time(&Term::DateTime(i64::from(*days) * DAY_MS), b),
            (Term::DateTime(at), Term::Duration { months, ms }) => {
                let day = i32::try_from(day_of(*at)).ok()?;
                let day = later(day, months.checked_mul(sign as i32)?, 0)?;
                let at = i64::from(day).checked_mul(DAY_MS)?.checked_add(at.rem_euclid(DAY_MS))?;
                at.checked_add(ms.checked_mul(sign)?).map(Term::DateTime)
            }
            (Term::Date(_) | Term::DateTime(_), Term::Date(_) | Term::DateTime(_)) if self == Self::Subtract => {
                Some(Term::Duration { months: 0, ms: instant(a)?.checked_sub(instant(b)?)? })
            }
            _unlike => None,
        }
    }
}

/// The number or span of the other sign.
pub(super) fn negate(term: &Term<'_>) -> Term<'static> {
    let negative = match term {
        Term::Int(number) => number.checked_neg().map(Term::Int),
        Term::Decimal(number) => number
            .mantissa()
            .checked_neg()
            .and_then(|mantissa| Decimal::new(mantissa, number.scale()))
            .map(Term::Decimal),
        Term::Float(number) => Some(Term::Float(if *number == 0.0 { 0.0 } else { -number })),
        Term::Duration { months, ms } => {
            months.checked_neg().zip(ms.checked_neg()).map(|(months, ms)| Term::Duration { months, ms })
        }
        _no_number => None,
    };
    negative.unwrap_or(Term::Null)
}

/// The decimal that a binary number is written as, `0.1`; nothing where that has too many places or digits.
pub(super) fn as_written(number: f64) -> Option<Decimal> {
    let text = format!("{number}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    Decimal::new(format!("{whole}{fraction}").parse().ok()?, u8::try_from(fraction.len()).ok()?)
}

/// The greatest whole number at or below a decimal, and whether that is the number itself.
pub(super) fn floor(number: Decimal) -> (i128, bool) {
    let one = 10i128.pow(number.scale().into());
    let floor = number.mantissa().div_euclid(one);
    (floor, number.mantissa().rem_euclid(one) == 0)
}

fn instant(term: &Term<'_>) -> Option<i64> {
    match term {
        Term::Date(days) => i64::from(*days).checked_mul(DAY_MS),
        Term::DateTime(ms) => Some(*ms),
        _no_time => None,
    }
}

fn exact(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(number) => Decimal::new((*number).into(), 0),
        Value::Decimal(number) => Some(*number),
        _binary => None,
    }
}

fn approximate(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Decimal(number) => number.mantissa() as f64 / 10f64.powi(number.scale().into()),
        Value::Float(number) => *number,
        _no_number => f64::NAN,
    }
}

/// Whether a comparison holds for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it holds. What is empty or of another type is neither less nor greater, and is not equal.
    pub(super) fn holds(self, a: &Term<'_>, b: &Term<'_>) -> bool {
        match self {
            Self::Equal => a.equals(b),
            Self::NotEqual => !a.equals(b),
            Self::Less => a.order(b) == Some(Ordering::Less),
            Self::LessOrEqual => a.order(b).is_some_and(Ordering::is_le),
            Self::Greater => a.order(b) == Some(Ordering::Greater),
            Self::GreaterOrEqual => a.order(b).is_some_and(Ordering::is_ge),
        }
    }

    /// The same with its sides changed.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::NotEqual => Self::NotEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(mantissa: i128, scale: u8) -> Term<'static> {
        Term::Decimal(Decimal::new(mantissa, scale).unwrap())
    }

    #[test]
    fn numbers() {
        use Operator::*;
        let check = |a: Term<'static>, operator: Operator, b: Term<'static>, expect: Term<'_>| {
            assert_eq!(operator.apply(&a, &b), expect, "{a:?} {operator:?} {b:?}");
        };
        check(Term::Int(7), Divide, Term::Int(2), Term::Int(3));
        check(Term::Int(7), Divide, Term::Int(0), Term::Null);
        check(Term::Int(-7), Remainder, Term::Int(2), Term::Int(-1));
        check(Term::Int(i64::MAX), Add, Term::Int(1), Term::Null);
        check(Term::Int(i64::MIN), Divide, Term::Int(-1), Term::Null);
        check(decimal(1, 1), Add, decimal(2, 1), decimal(3, 1));
        check(decimal(1, 1), Subtract, Term::Int(1), decimal(-9, 1));
        check(decimal(15, 1), Multiply, Term::Int(3), decimal(45, 1));
        check(decimal(1, 0), Divide, Term::Int(4), Term::Float(0.25));
        check(decimal(1, 0), Divide, Term::Int(0), Term::Null);
        check(Term::Float(f64::MAX), Multiply, Term::Float(2.0), Term::Null);
        check(decimal(i128::MAX, 0), Add, decimal(i128::MAX, 0), Term::Float(i128::MAX as f64 * 2.0));
        check(Term::Int(1), Add, Term::Null, Term::Null);
        check(Term::Bool(true), Add, Term::Int(1), Term::Null);
    }

    #[test]
    fn time() {
        use Operator::*;
        let check = |a: Term<'static>, operator: Operator, b: Term<'static>, expect: Term<'_>| {
            assert_eq!(operator.apply(&a, &b), expect, "{a:?} {operator:?} {b:?}");
        };
        let span = |months, ms| Term::Duration { months, ms };
        check(Term::DateTime(DAY_MS + 5), Subtract, span(0, 10), Term::DateTime(DAY_MS - 5));
        check(span(0, 10), Add, Term::DateTime(5), Term::DateTime(15));
        check(Term::DateTime(5), Add, span(1, 0), Term::DateTime(31 * DAY_MS + 5));
        check(Term::DateTime(5), Subtract, Term::DateTime(15), span(0, -10));
        check(Term::Date(1), Subtract, Term::Date(0), span(0, DAY_MS));
        check(Term::Date(1), Add, span(0, DAY_MS), Term::Date(2));
        check(Term::Date(1), Add, span(0, 1), Term::DateTime(DAY_MS + 1));
        check(span(1, 2), Subtract, span(0, 5), span(1, -3));
        check(Term::Date(1), Add, Term::Date(0), Term::Null);
        check(Term::DateTime(i64::MAX), Add, span(0, 1), Term::Null);
        check(Term::DateTime(i64::MIN), Add, span(1, 1), Term::Null);
        check(span(1, i64::MIN), Subtract, span(i32::MIN, i64::MIN), Term::Null);
    }

    #[test]
    fn binary_numbers_as_they_are_written() {
        let check = |number, expect: Option<(i128, u8)>| {
            assert_eq!(as_written(number), expect.map(|(m, s)| Decimal::new(m, s).unwrap()), "{number}");
        };
        check(0.1, Some((1, 1)));
        check(-2.5, Some((-25, 1)));
        check(1e20, Some((100_000_000_000_000_000_000, 0)));
        check(1e300, None);
        check(1e-300, None);
        assert_eq!(floor(Decimal::new(-25, 1).unwrap()), (-3, false));
        assert_eq!(floor(Decimal::new(30, 0).unwrap()), (30, true));
    }
}
