//! Values as bytes that sort as people expect: the one order of lists, with an index or without.
//!
//! First the kind, then the value: numbers of all kinds by size, texts by the root collation of CLDR, choices by their
//! place in the design and their label. Keys of equal length limits are cut; what ties then goes by record id.

use crate::fold::Design;
use icu_collator::{Collator, CollatorBorrowed, options::CollatorOptions};
use std::sync::LazyLock;
use tandem_wire::{Decimal, ElementId, Value, design::Property};

/// The longest key of a value, in bytes. With the rest of an index key it stays below the engine's limit.
pub const SORT_KEY_BYTES_MAX: usize = 960;

/// Version of these keys: an index with others is made anew.
pub const SORT_KEY_VERSION: u32 = 1;

/// Of a text, at most so many bytes are looked at: more would not fit into a key.
const TEXT_BYTES_MAX: usize = 1024;

/// Ends a text's key: less than anything in it.
const END: u8 = 0;

pub(crate) static COLLATOR: LazyLock<CollatorBorrowed<'static>> = LazyLock::new(|| {
    Collator::try_new(Default::default(), CollatorOptions::default()).expect("the root collation is compiled in")
});

/// The key of a value; empty for [`Value::Null`], which sorts apart.
pub fn sort_key(value: &Value, design: &Design) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    put_sort_key(&mut key, value, design);
    key
}

/// The same, behind what is in `key` already.
pub(super) fn put_sort_key(key: &mut Vec<u8>, value: &Value, design: &Design) {
    let start = key.len();
    match value {
        Value::Null => {}
        Value::Bool(yes) => key.extend([kind::BOOL, u8::from(*yes)]),
        Value::Int(int) => {
            key.push(kind::NUMBER);
            put_number(key, *int < 0, int.unsigned_abs().into(), 0);
        }
        Value::Decimal(decimal) => {
            key.push(kind::NUMBER);
            put_decimal(key, *decimal);
        }
        Value::Float(float) => {
            key.push(kind::NUMBER);
            put_float(key, *float);
        }
        Value::Date(days) => put_parts(key, kind::DATE, &[&ascending_i32(*days)]),
        Value::DateTime { ms, .. } => put_parts(key, kind::DATE_TIME, &[&ascending_i64(*ms)]),
        Value::Duration { months, ms } => {
            put_parts(key, kind::DURATION, &[&ascending_i32(*months), &ascending_i64(*ms)]);
        }
        Value::Text(text) => {
            key.push(kind::TEXT);
            put_text(key, text);
        }
        Value::Choice(choice) => put_choice(key, *choice, design),
        Value::Reference { list, record } => put_parts(key, kind::REFERENCE, &[&list.0, &record.0]),
        Value::Rank(rank) => put_escaped(key, kind::RANK, rank),
        Value::Bytes(bytes) => put_escaped(key, kind::BYTES, bytes),
        Value::Blob { .. } => put_escaped(key, kind::BLOB, &value.encode()),
        Value::Other { .. } => put_escaped(key, kind::OTHER, &value.encode()),
    }
    key.truncate(start + SORT_KEY_BYTES_MAX);
}

/// The key of a number, whatever its kind.
pub(crate) fn number_key(number: &Value) -> Vec<u8> {
    sort_key(number, &Design::default())
}

/// The start that the keys of all texts have that start with `prefix`; none where that cannot be said. Some texts
/// with other starts have it too.
pub fn prefix_key(prefix: &str) -> Option<Vec<u8>> {
    // The last letter may melt with what follows it; and only of plain letters it is known that they sort one by one.
    let (start, _last) = prefix.split_at_checked(prefix.len().checked_sub(1)?)?;
    if !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let mut key = vec![kind::TEXT];
    put_text(&mut key, start);
    let primaries = key.iter().position(|byte| *byte <= LEVEL_SEPARATOR).unwrap_or(key.len());
    key.truncate(primaries.min(SORT_KEY_BYTES_MAX));
    Some(key)
}

/// Stands between the levels of a collation key; no weight has it.
const LEVEL_SEPARATOR: u8 = 1;

/// The first key of each kind of value, in their order.
mod kind {
    pub(super) const BOOL: u8 = 1;
    pub(super) const NUMBER: u8 = 2;
    pub(super) const DATE: u8 = 3;
    pub(super) const DATE_TIME: u8 = 4;
    pub(super) const DURATION: u8 = 5;
    pub(super) const TEXT: u8 = 6;
    pub(super) const CHOICE: u8 = 7;
    pub(super) const REFERENCE: u8 = 8;
    pub(super) const RANK: u8 = 9;
    pub(super) const BYTES: u8 = 10;
    pub(super) const BLOB: u8 = 11;
    pub(super) const OTHER: u8 = 12;
}

fn put_parts(key: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
}

fn ascending_i32(number: i32) -> [u8; 4] {
    (number ^ i32::MIN).to_be_bytes()
}

fn ascending_i64(number: i64) -> [u8; 8] {
    (number ^ i64::MIN).to_be_bytes()
}

/// Raw bytes, so that the end sorts before everything that could follow.
fn put_escaped(key: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    key.push(kind);
    for byte in bytes {
        key.push(*byte);
        if *byte == END {
            key.push(u8::MAX);
        }
    }
    key.extend([END, END]);
}

fn put_text(key: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let Ok(()) = COLLATOR.write_sort_key_to(text, key);
    key.push(END);
}

fn put_choice(key: &mut Vec<u8>, choice: ElementId, design: &Design) {
    let property = |property| design.elements.get(&choice).and_then(|element| element.property(property));
    let rank = match property(Property::Order) {
        Some(Value::Rank(rank)) => rank,
        _none => Vec::new(),
    };
    put_escaped(key, kind::CHOICE, &rank);
    if let Some(Value::Text(label)) = property(Property::Name) {
        put_text(key, &label);
    }
    key.extend_from_slice(&choice.0);
}

fn put_decimal(key: &mut Vec<u8>, decimal: Decimal) {
    let mantissa = decimal.mantissa();
    put_number(key, mantissa < 0, mantissa.unsigned_abs(), i32::from(decimal.scale()));
}

/// A float by its shortest decimal form, so that it sorts with decimals as it is shown.
fn put_float(key: &mut Vec<u8>, float: f64) {
    let shortest = format!("{:e}", float.abs());
    let (digits, exponent) = shortest.split_once('e').expect("floats have an exponent in this form");
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa: u128 = format!("{whole}{fraction}").parse().expect("17 digits at most");
    let exponent: i32 = exponent.parse().expect("a small number");
    put_number(key, float < 0.0, mantissa, fraction.len() as i32 - exponent);
}

/// `mantissa × 10^-scale`: sign, then the place of the first digit, then the digits, two to a byte, without trailing
/// zeros. Everything behind the sign is inverted in negative numbers.
fn put_number(key: &mut Vec<u8>, negative: bool, mut mantissa: u128, scale: i32) {
    const NEGATIVE: u8 = 1;
    const ZERO: u8 = 2;
    const POSITIVE: u8 = 3;
    if mantissa == 0 {
        key.push(ZERO);
        return;
    }
    let mut digits = [0u8; 40];
    let mut first = digits.len();
    let mut magnitude = -scale;
    while mantissa > 0 {
        // Most numbers fit 64 bits, whose division is much faster.
        let digit = match u64::try_from(mantissa) {
            Ok(small) => {
                mantissa = (small / 10).into();
                (small % 10) as u8
            }
            Err(_large) => {
                let digit = (mantissa % 10) as u8;
                mantissa /= 10;
                digit
            }
        };
        magnitude += 1;
        first -= 1;
        digits[first] = digit;
    }
    let digits = &digits[first..];
    let significant = digits.iter().rposition(|digit| *digit != 0).expect("not zero") + 1;
    key.push(if negative { NEGATIVE } else { POSITIVE });
    let start = key.len();
    // Places go from -340 to 340.
    key.extend_from_slice(&((magnitude + 0x4000) as u16).to_be_bytes());
    for pair in digits[..significant].chunks(2) {
        key.push(pair[0] * 10 + pair.get(1).unwrap_or(&0) + 1);
    }
    key.push(END);
    if negative {
        key[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(value: &Value) -> Vec<u8> {
        sort_key(value, &Design::default())
    }

    fn decimal(mantissa: i128, scale: u8) -> Value {
        Value::Decimal(Decimal::new(mantissa, scale).unwrap())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn orders_within_and_across_kinds() {
        let ascending = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Float(-1.5e300),
            decimal(i128::MIN, 0),
            Value::Int(i64::MIN),
            Value::Int(-5),
            decimal(-49, 1),
            Value::Float(-0.5),
            Value::Int(0),
            decimal(1, 28),
            Value::Float(0.1),
            decimal(25, 1),
            Value::Int(3),
            Value::Float(3.5),
            Value::Int(12),
            Value::Int(100),
            Value::Int(123),
            Value::Int(i64::MAX),
            decimal(i128::MAX, 0),
            Value::Date(-1),
            Value::Date(1),
            Value::DateTime { ms: -1, zone: "Z".into() },
            Value::DateTime { ms: 1, zone: String::new() },
            Value::Duration { months: -1, ms: 5 },
            Value::Duration { months: 0, ms: 0 },
            text(""),
            text("a"),
            text("A"),
            text("ab"),
            text("ä"),
            text("äb"),
            text("z"),
            text("Zoe"),
            text("Zoë"),
            Value::Rank(vec![]),
            Value::Rank(vec![0]),
            Value::Rank(vec![0, 1]),
            Value::Rank(vec![1]),
        ];
        // `ä` comes after `ab` only by its second letter: the collation says so, this list must not.
        let keys: Vec<_> = ascending.iter().map(key).collect();
        for (i, a) in keys.iter().enumerate() {
            for (j, b) in keys.iter().enumerate() {
                if !matches!((i, j), (29..=31, 29..=31)) {
                    assert_eq!(a.cmp(b), i.cmp(&j), "{:?} and {:?}", ascending[i], ascending[j]);
                }
            }
        }
        assert!(key(&text("ä")) < key(&text("ab")) && key(&text("ab")) < key(&text("äb")));
    }

    #[test]
    fn equal_numbers_of_different_kinds_have_one_key() {
        assert_eq!(key(&Value::Int(250)), key(&decimal(250, 0)));
        assert_eq!(key(&Value::Float(2.5)), key(&decimal(25, 1)));
        assert_eq!(key(&Value::Float(1e21)), key(&decimal(10i128.pow(21), 0)));
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "ü".repeat(100_000);
        assert_eq!(key(&text(&long)).len(), SORT_KEY_BYTES_MAX);
        assert!(key(&text(&long)) > key(&text(&long[..200])));
    }

    proptest! {
        #[test]
        fn numbers_sort_by_size(a in any::<i64>(), b in any::<i64>(), scale in 0u8..20) {
            prop_assert_eq!(key(&Value::Int(a)).cmp(&key(&Value::Int(b))), a.cmp(&b));
            let scaled = |number: i64| key(&decimal(number.into(), scale));
            prop_assert_eq!(scaled(a).cmp(&scaled(b)), a.cmp(&b));
        }

        #[test]
        fn floats_sort_by_size(a in any::<f64>(), b in any::<f64>()) {
            if let (Some(a), Some(b)) = (Value::float(a), Value::float(b)) {
                let (Value::Float(x), Value::Float(y)) = (&a, &b) else { unreachable!() };
                prop_assert_eq!(key(&a).cmp(&key(&b)), x.total_cmp(y));
            }
        }

        #[test]
        fn texts_sort_by_the_collation(a in ".{0,20}", b in ".{0,20}") {
            // Texts that the collation takes for equal have equal keys.
            prop_assert_eq!(key(&text(&a)).cmp(&key(&text(&b))), COLLATOR.compare(&a, &b));
        }

        #[test]
        fn texts_have_the_key_of_their_prefix(prefix in "[a-zA-Z0-9]{1,6}", rest in ".{0,10}") {
            let start = prefix_key(&prefix).unwrap();
            let all = key(&text(&format!("{prefix}{rest}")));
            prop_assert!(all.starts_with(&start), "{:x?} {:x?}", all, start);
        }
    }
}
