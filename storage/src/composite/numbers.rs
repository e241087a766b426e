//! Numbers as servers write them.

use tandem_wire::{Decimal, limits::DECIMAL_SCALE_MAX};

/// A whole number in the one form that gives it back: no sign but a minus, no zeros in front.
pub(super) fn whole(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

/// A decimal number: digits, at most one point with digits on both sides, a minus. Zeros at the end do not count.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= DECIMAL_SCALE_MAX)?;
    let mut digits = whole.bytes().chain(fraction.bytes()).map(|digit| i128::from(digit - b'0'));
    let mantissa = digits.try_fold(0_i128, |all, digit| all.checked_mul(10)?.checked_add(digit))?;
    Decimal::new(if text.starts_with('-') { -mantissa } else { mantissa }, scale)
}
