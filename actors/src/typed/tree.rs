//! What serde sees of a record: values, lists of them, and named parts.

use super::TypedError;
use serde::{
    Serialize,
    ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct},
};
use tandem_wire::{Decimal, RecordId};

/// Between a Rust value and cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Nothing,
    Bool(bool),
    Int(i128),
    Float(f64),
    Decimal(Decimal),
    Text(String),
    Id(RecordId),
    Bytes(Vec<u8>),
    Many(Vec<Tree>),
    Parts(Vec<(String, Tree)>),
}

impl Tree {
    /// Of a Rust value.
    pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, TypedError> {
        value.serialize(Planter)
    }

    /// What it is, in messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Nothing => "nothing".into(),
            Self::Bool(value) => format!("the bool {value}"),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value:?}"),
            Self::Decimal(_) => "a decimal number".into(),
            Self::Text(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
            Self::Id(id) => format!("the record {id}"),
            Self::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Self::Many(items) => format!("a list of {}", items.len()),
            Self::Parts(parts) => {
                format!("parts ({})", parts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Makes trees.
struct Planter;

macro_rules! leaves {
    ($($method:ident($of:ty) => $tree:expr;)*) => {
        $(fn $method(self, value: $of) -> Result<Tree, TypedError> { $tree(value) })*
    };
}

fn int(value: impl Into<i128>) -> Result<Tree, TypedError> {
    Ok(Tree::Int(value.into()))
}

fn text(value: impl Into<String>) -> Result<Tree, TypedError> {
    Ok(Tree::Text(value.into()))
}

fn variant_with_content<T>(name: &'static str) -> Result<T, TypedError> {
    Err(TypedError::value(format!("variant {name} holds more than its name, which no field can")))
}

impl ser::Serializer for Planter {
    type Ok = Tree;
    type Error = TypedError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Impossible<Tree, TypedError>;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Impossible<Tree, TypedError>;

    leaves! {
        serialize_bool(bool) => |value| Ok(Tree::Bool(value));
        serialize_i8(i8) => int;
        serialize_i16(i16) => int;
        serialize_i32(i32) => int;
        serialize_i64(i64) => int;
        serialize_i128(i128) => int;
        serialize_u8(u8) => int;
        serialize_u16(u16) => int;
        serialize_u32(u32) => int;
        serialize_u64(u64) => int;
        serialize_f32(f32) => |value: f32| Ok(Tree::Float(shortest(value)));
        serialize_f64(f64) => |value| Ok(Tree::Float(value));
        serialize_char(char) => text;
        serialize_str(&str) => text;
        serialize_bytes(&[u8]) => |value: &[u8]| Ok(Tree::Bytes(value.to_vec()));
    }

    fn serialize_none(self) -> Result<Tree, TypedError> {
        Ok(Tree::Nothing)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree, TypedError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Tree, TypedError> {
        Ok(Tree::Nothing)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Tree, TypedError> {
        Ok(Tree::Nothing)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Tree, TypedError> {
        text(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Tree, TypedError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: &T,
    ) -> Result<Tree, TypedError> {
        variant_with_content(name)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, TypedError> {
        Ok(Items(Vec::new()))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, TypedError> {
        Ok(Items(Vec::new()))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items, TypedError> {
        Ok(Items(Vec::new()))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, TypedError> {
        variant_with_content(name)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts, TypedError> {
        Ok(Parts { parts: Vec::new(), key: None })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts, TypedError> {
        Ok(Parts { parts: Vec::new(), key: None })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, TypedError> {
        variant_with_content(name)
    }
}

/// The number that a person would write for it, not its nearest neighbour in twice the digits.
fn shortest(value: f32) -> f64 {
    format!("{value:?}").parse().unwrap_or_else(|_| f64::from(value))
}

struct Items(Vec<Tree>);

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TypedError> {
        self.0.push(Tree::of(value)?);
        Ok(())
    }
}

impl SerializeSeq for Items {
    type Ok = Tree;
    type Error = TypedError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TypedError> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, TypedError> {
        Ok(Tree::Many(self.0))
    }
}

impl SerializeTuple for Items {
    type Ok = Tree;
    type Error = TypedError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TypedError> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, TypedError> {
        Ok(Tree::Many(self.0))
    }
}

impl SerializeTupleStruct for Items {
    type Ok = Tree;
    type Error = TypedError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TypedError> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, TypedError> {
        Ok(Tree::Many(self.0))
    }
}

struct Parts {
    parts: Vec<(String, Tree)>,
    key: Option<String>,
}

impl SerializeMap for Parts {
    type Ok = Tree;
    type Error = TypedError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), TypedError> {
        match Tree::of(key)? {
            Tree::Text(key) => self.key = Some(key),
            other => return Err(TypedError::value(format!("{} names no field: names are texts", other.describe()))),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TypedError> {
        let key = self.key.take().expect("serde gives the key first");
        let tree = Tree::of(value).map_err(|error| error.in_field(&key))?;
        self.parts.push((key, tree));
        Ok(())
    }

    fn end(self) -> Result<Tree, TypedError> {
        Ok(Tree::Parts(self.parts))
    }
}

impl SerializeStruct for Parts {
    type Ok = Tree;
    type Error = TypedError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), TypedError> {
        let tree = Tree::of(value).map_err(|error| error.in_field(name))?;
        self.parts.push((name.to_owned(), tree));
        Ok(())
    }

    fn end(self) -> Result<Tree, TypedError> {
        Ok(Tree::Parts(self.parts))
    }
}
