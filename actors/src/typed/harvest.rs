//! Rust values from what a record shows.

use super::{TypedError, text, tree::Tree};
use serde::{
    Deserializer,
    de::{
        DeserializeSeed, IntoDeserializer, MapAccess, Visitor,
        value::{SeqDeserializer, StringDeserializer},
    },
    forward_to_deserialize_any,
};

/// The names of the fields that a struct has, where it is one.
pub(super) fn fields_of<'de, T: serde::Deserialize<'de>>() -> Option<&'static [&'static str]> {
    let mut fields = None;
    // It ends with an error in any case: nothing is there to be read.
    let _ = T::deserialize(Probe(&mut fields));
    fields
}

/// Asks for the names of the fields and gives nothing.
struct Probe<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, TypedError> {
        Err(TypedError::value("only asked".into()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        *self.0 = Some(fields);
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, TypedError> for Tree {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
            match self {
                Self::Decimal(decimal) if decimal.scale() == 0 => visitor.visit_i128(decimal.mantissa()),
                other => other.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Tree {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self {
            Self::Nothing => visitor.visit_none(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Int(value) => match i64::try_from(value) {
                Ok(value) => visitor.visit_i64(value),
                Err(_) => visitor.visit_i128(value),
            },
            Self::Float(value) => visitor.visit_f64(value),
            Self::Decimal(value) => visitor.visit_string(value.to_string()),
            Self::Text(value) => visitor.visit_string(value),
            Self::Id(id) => visitor.visit_string(id.to_string()),
            Self::Bytes(value) => visitor.visit_byte_buf(value),
            Self::Many(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Parts(parts) => visitor.visit_map(Fields { parts: parts.into_iter(), next: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self {
            Self::Nothing => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        match self {
            Self::Text(name) => visitor.visit_enum(StringDeserializer::new(name)),
            other => Err(TypedError::value(format!("{} is the name of no variant", other.describe()))),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self {
            Self::Decimal(decimal) => visitor.visit_f64(text::approximate(decimal)),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        self.deserialize_f64(visitor)
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, TypedError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        let bytes = |bytes: Vec<u8>| SeqDeserializer::new(bytes.into_iter());
        match self {
            Self::Id(id) => visitor.visit_seq(bytes(id.0.to_vec())),
            Self::Bytes(value) => visitor.visit_seq(bytes(value)),
            other => other.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct tuple_struct map struct identifier ignored_any
    }
}

/// The fields of a record, or the parts of a field; errors name the one that they are in.
struct Fields {
    parts: std::vec::IntoIter<(String, Tree)>,
    next: Option<(String, Tree)>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = TypedError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TypedError> {
        self.next = self.parts.next();
        self.next.as_ref().map(|(name, _)| seed.deserialize(StringDeserializer::new(name.clone()))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TypedError> {
        let (name, tree) = self.next.take().expect("serde asks for the key first");
        seed.deserialize(tree).map_err(|error| error.in_field(&name))
    }
}
