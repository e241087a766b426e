//! Numbers as servers write them.

use crate::lens::read_decimal;
use tandem_wire::Decimal;

/// A whole number in the one form that gives it back: no sign but a minus, no zeros in front.
pub(super) fn whole(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

/// A decimal number: digits, at most one point with digits on both sides, a minus. Zeros at the end do not count.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    read_decimal(text).filter(|_| !text.starts_with('+') && !text.ends_with('.'))
}
