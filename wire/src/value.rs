//! What a cell can hold.
//!
//! Composite and multi-valued fields (names, phones, addresses …) have no form of their own here: each of
//! their parts is a cell (see [`crate::PartPath`]) that holds one of these values.

use crate::{ElementId, ListId, RecordId, limits::*, put};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value, self-describing and canonical: equal values have equal bytes.
///
/// Variants are only ever appended, before `Other`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Cleared: the cell shows nothing.
    Null,
    /// Yes or no; `true` also marks a present element of a multi-choice.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An exact decimal number.
    Decimal(Decimal),
    /// A finite binary number; never NaN, infinite or negative zero.
    Float(f64),
    /// Unicode text, kept as written.
    Text(String),
    /// A calendar day, in days since 1970-01-01.
    Date(i32),
    /// An instant, with the zone that it was written in.
    DateTime {
        /// Milliseconds since 1970-01-01T00:00Z.
        ms: i64,
        /// An IANA zone name or an offset such as `+02:00`; empty for UTC;
        /// at most [`ZONE_BYTES_MAX`] bytes.
        zone: String,
    },
    /// A span of time; months and milliseconds do not convert into each other.
    Duration {
        /// Whole months.
        months: i32,
        /// The rest, in milliseconds.
        ms: i64,
    },
    /// One of the choices that the design defines for the field.
    Choice(ElementId),
    /// Another record.
    Reference {
        /// The list it is in.
        list: ListId,
        /// Its id there.
        record: RecordId,
    },
    /// A place in a manual order, compared as bytes; at most [`RANK_BYTES_MAX`].
    Rank(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Raw bytes.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A file kept beside the log, by content.
    Blob {
        /// BLAKE3 of its content.
        hash: [u8; 32],
        /// Its length in bytes.
        bytes: u64,
        /// Its media type, `image/png`; at most [`MEDIA_TYPE_BYTES_MAX`] bytes.
        media_type: String,
    },
    /// A value of a later version: kept, forwarded and shown as *newer version needed*.
    #[serde(skip)]
    Other {
        /// The variant's number there.
        form: u32,
        /// Its content, opaque.
        bytes: Vec<u8>,
    },
}

/// Number of variants that this version knows.
const FORMS: u32 = 14;

/// `mantissa × 10^-scale`, without trailing zeros behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

impl Decimal {
    /// The canonical form of `mantissa × 10^-scale`; nothing when it has more than
    /// [`DECIMAL_SCALE_MAX`] places.
    pub fn new(mut mantissa: i128, mut scale: u8) -> Option<Self> {
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        (scale <= DECIMAL_SCALE_MAX).then_some(Self { mantissa, scale })
    }

    /// All digits, as if there were no decimal point.
    pub fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// How many of the digits stand behind the point.
    pub fn scale(self) -> u8 {
        self.scale
    }
}

/// Digits, a point where there are any behind it, and a sign.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        if fraction.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

/// The bytes are not the canonical form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a canonical value")]
pub struct BadValue;

impl Value {
    /// A finite number in its canonical form; nothing for NaN and the infinities.
    pub fn float(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Float(if number == 0.0 { 0.0 } else { number }))
    }

    /// Its bytes: the variant's number as a varint, then the content.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            // What most cells hold, by hand: the same bytes, faster.
            Self::Null => vec![0],
            Self::Bool(yes) => vec![1, u8::from(*yes)],
            Self::Int(number) => {
                let mut out = Vec::with_capacity(11);
                out.push(2);
                put::zigzag(&mut out, *number);
                out
            }
            Self::Float(number) => [&[4][..], &number.to_le_bytes()].concat(),
            Self::Text(text) => {
                let mut out = Vec::with_capacity(text.len() + 4);
                out.push(5);
                put::bytes(&mut out, text.as_bytes());
                out
            }
            Self::Other { form, bytes } => {
                let mut out = postcard::to_allocvec(form).expect("a vector takes all bytes");
                out.extend_from_slice(bytes);
                out
            }
            known => postcard::to_allocvec(known).expect("a vector takes all bytes"),
        }
    }

    /// Reads what [`Value::encode`] wrote, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadValue> {
        match Self::decode_common(bytes) {
            Some(value) => Ok(value),
            None => Self::decode_any(bytes),
        }
    }

    /// What most cells hold, by hand: the same values, faster. Nothing for any others, and for bytes of no value.
    fn decode_common(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0] => Some(Self::Null),
            [1, yes @ (0 | 1)] => Some(Self::Bool(*yes == 1)),
            [2, number @ ..] => put::take_zigzag(number).map(Self::Int),
            [4, number @ ..] => {
                let number = Self::Float(f64::from_le_bytes(number.try_into().ok()?));
                number.is_canonical().then_some(number)
            }
            [5, length, text @ ..] if *length < 0x80 && text.len() == usize::from(*length) => {
                Some(Self::Text(std::str::from_utf8(text).ok()?.to_owned()))
            }
            _rare => None,
        }
    }

    fn decode_any(bytes: &[u8]) -> Result<Self, BadValue> {
        let (form, rest) = postcard::take_from_bytes::<u32>(bytes).map_err(|_| BadValue)?;
        let value = if form >= FORMS {
            Self::Other { form, bytes: rest.to_vec() }
        } else {
            postcard::from_bytes(bytes).map_err(|_| BadValue)?
        };
        if value.is_canonical() && value.encode() == bytes { Ok(value) } else { Err(BadValue) }
    }

    /// Whether [`Value::decode`] reads these bytes; mostly without making the value.
    pub(crate) fn can_be_read(bytes: &[u8]) -> bool {
        match bytes {
            [0] | [1, 0 | 1] => true,
            [2, number] if *number < 0x80 => true,
            [4, number @ ..] => {
                let number = number.try_into().map(f64::from_le_bytes);
                number.is_ok_and(|number| number.is_finite() && (number != 0.0 || number.is_sign_positive()))
            }
            [5, length, text @ ..] if *length < 0x80 => {
                text.len() == usize::from(*length) && std::str::from_utf8(text).is_ok()
            }
            rare => Self::decode(rare).is_ok(),
        }
    }

    fn is_canonical(&self) -> bool {
        match self {
            Self::Float(number) => number.is_finite() && (*number != 0.0 || number.is_sign_positive()),
            Self::Decimal(decimal) => Decimal::new(decimal.mantissa, decimal.scale) == Some(*decimal),
            Self::DateTime { zone, .. } => zone.len() <= ZONE_BYTES_MAX,
            Self::Rank(rank) => rank.len() <= RANK_BYTES_MAX,
            Self::Blob { media_type, .. } => media_type.len() <= MEDIA_TYPE_BYTES_MAX,
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Text(_)
            | Self::Date(_)
            | Self::Duration { .. }
            | Self::Choice(_)
            | Self::Reference { .. }
            | Self::Bytes(_)
            | Self::Other { .. } => true,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every variant, with the edges of its content.
    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (any::<i64>(), 0u8..=28).prop_map(|(m, s)| Value::Decimal(Decimal::new(m.into(), s).unwrap())),
            any::<f64>().prop_filter_map("finite", Value::float),
            ".{0,40}".prop_map(Value::Text),
            any::<i32>().prop_map(Value::Date),
            (any::<i64>(), "[A-Za-z/_+:0-9]{0,20}").prop_map(|(ms, zone)| Value::DateTime { ms, zone }),
            (any::<i32>(), any::<i64>()).prop_map(|(months, ms)| Value::Duration { months, ms }),
            any::<[u8; 16]>().prop_map(|id| Value::Choice(ElementId(id))),
            any::<[u8; 16]>().prop_map(|id| Value::Reference { list: ListId(id), record: RecordId(id) }),
            any::<Vec<u8>>().prop_map(Value::Rank),
            any::<Vec<u8>>().prop_map(Value::Bytes),
            (any::<[u8; 32]>(), any::<u64>()).prop_map(|(hash, bytes)| Value::Blob {
                hash,
                bytes,
                media_type: "image/png".into()
            }),
            (FORMS..9999, any::<Vec<u8>>()).prop_map(|(form, bytes)| Value::Other { form, bytes }),
        ]
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(value in any_value()) {
            prop_assert_eq!(Value::decode(&value.encode()), Ok(value));
        }

        #[test]
        fn encode_gives_what_postcard_gives(value in any_value()) {
            if !matches!(value, Value::Other { .. }) {
                prop_assert_eq!(value.encode(), postcard::to_allocvec(&value).unwrap());
            }
        }

        #[test]
        fn the_short_look_agrees_with_decoding(bytes in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..12)) {
            prop_assert_eq!(Value::can_be_read(&bytes), Value::decode(&bytes).is_ok());
        }

        #[test]
        fn by_hand_it_decodes_the_same(value in any_value(), cut in 0usize..4, more in any::<[u8; 2]>(), extra in 0usize..3) {
            let mut bytes = value.encode();
            prop_assert_eq!(Value::decode(&bytes), Value::decode_any(&bytes));
            bytes.truncate(bytes.len().saturating_sub(cut));
            bytes.extend_from_slice(&more[..extra]);
            prop_assert_eq!(Value::decode(&bytes), Value::decode_any(&bytes));
        }

        #[test]
        fn by_hand_no_other_bytes_are_decoded(bytes in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..12)) {
            prop_assert_eq!(Value::decode(&bytes), Value::decode_any(&bytes));
        }

        #[test]
        fn the_short_look_sees_every_value(value in any_value()) {
            prop_assert!(Value::can_be_read(&value.encode()));
        }

        #[test]
        fn what_decodes_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = Value::decode(&bytes) {
                prop_assert_eq!(value.encode(), bytes);
            }
        }
    }

    #[test]
    fn golden_bytes() {
        let check = |value: Value, hex: &str| {
            let bytes: String = value.encode().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(bytes, hex, "{value:?}");
        };
        check(Value::Null, "00");
        check(Value::Bool(true), "0101");
        check(Value::Int(-3), "0205");
        check(Value::Decimal(Decimal::new(1250, 2).unwrap()), "03fa0101");
        check(Value::Float(1.5), "04000000000000f83f");
        check(Value::Text("Zoë".into()), "05045a6fc3ab");
        check(Value::Date(19_000), "06f0a802");
        check(Value::DateTime { ms: 1, zone: "+02:00".into() }, "0702062b30323a3030");
        check(Value::Duration { months: 1, ms: 2 }, "080204");
        check(Value::Choice(ElementId([9; 16])), "0909090909090909090909090909090909");
        check(Value::Rank(vec![7]), "0b0107");
        check(Value::Bytes(vec![]), "0c00");
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        let check = |bytes: &[u8]| assert_eq!(Value::decode(bytes), Err(BadValue), "{bytes:?}");
        check(&[]);
        check(&[0, 0]);
        check(&[0x80, 0]);
        check(&[1, 2]);
        check(&[3, 20, 1]);
        check(&[5, 1, 0xff]);
        check(&[4, 0, 0, 0, 0, 0, 0, 0, 0x80]);
        check(&[4, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]);
        check(&[5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    }
}
