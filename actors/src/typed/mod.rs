//! Records as structs of your own, by `#[derive(Serialize, Deserialize)]`.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tandem_actors::{Command, Node, Options};
//! use tandem_storage::query::{Query, Sort};
//! use tandem_wire::design::{BaseType, FieldType};
//!
//! #[derive(Serialize, Deserialize, Debug, PartialEq)]
//! struct City {
//!     name: String,
//!     population: Option<u64>,
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! let node = Node::open(dir.path(), Options::default())?;
//! let workspace = node.create_workspace("Atlas", "Ada")?;
//! let field = |name: &str, base| (name.to_string(), FieldType::one(base));
//! let fields = vec![field("name", BaseType::Text), field("population", BaseType::Int)];
//! workspace.commit(Command::CreateList { name: "cities".into(), fields })?;
//!
//! let list = workspace.list("cities")?;
//! let cities = list.typed::<City>()?;
//! let oslo = cities.insert(&City { name: "Oslo".into(), population: None })?;
//! cities.insert(&City { name: "Lima".into(), population: Some(10_092_000) })?;
//! cities.update(oslo, &City { name: "Oslo".into(), population: Some(717_710) })?;
//!
//! let sort = Some(Sort::field(list.field("population")?).descending());
//! let found = cities.query(&Query { sort, ..Query::default() })?;
//! assert_eq!(found[0].1.name, "Lima");
//! assert_eq!(cities.get(oslo)?.unwrap().population, Some(717_710));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A struct's fields are the list's by name (`#[serde(rename = "…")]` where they differ). Each of them must be there; a
//! list may have more, which are left alone, unless the struct says `#[serde(deny_unknown_fields)]`. An empty cell is
//! `None`; where the struct has no `Option` it is an error ([`TypedError::Empty`]), or with `#[serde(default)]` the
//! default.
//!
//! | field | Rust types |
//! |---|---|
//! | bool | `bool` |
//! | int | whole numbers; `i64` holds all of them |
//! | decimal | texts of digits, as decimal types write them; `f64`, rounded; whole numbers |
//! | float | `f64`, `f32`; whole numbers up to 2⁵³ |
//! | text | `String`, `char`, enums without content |
//! | date | texts such as `1985-04-12`, as date types write them |
//! | date-time | RFC 3339 texts, as the types of date-time crates write them |
//! | duration | ISO 8601 texts such as `P1MT30M` |
//! | choice | enums without content, or texts: the choice's name |
//! | reference | [`tandem_wire::RecordId`], or its text |
//! | person-name, phone … | structs or maps with the parts' names |
//! | any number of these | `Vec`s of these; empty where there are none |

mod cells;
mod harvest;
mod text;
mod tree;

use self::{cells::Shape, tree::Tree};
use crate::{
    command::{Change, Command, Committed, Expect, Refused, Transaction},
    handle::Handle,
    node::{NodeError, fresh_bytes, fresh_record},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, marker::PhantomData};
use tandem_storage::{
    Heads,
    fold::RecordState,
    query::{Query, Record},
};
use tandem_wire::{CellKey, FieldId, ListId, RecordId, RecordKey};

/// One list of a workspace, by its name.
#[derive(Clone)]
pub struct List {
    workspace: Handle,
    id: ListId,
}

/// One list, with records of a type of your own. See the [module's documentation](self).
pub struct Typed<T> {
    list: List,
    of: PhantomData<fn() -> T>,
}

/// Why a record and a Rust type do not go together, or what the node says.
#[derive(Debug, thiserror::Error)]
pub enum TypedError {
    /// The node could not, or the command was refused.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The struct has a field that the list does not have.
    #[error("list {list} has no field {field}; its fields are: {known}")]
    NoField {
        /// The list's name.
        list: String,
        /// The struct's field.
        field: String,
        /// The list's.
        known: String,
    },
    /// The list has a field that the struct does not allow.
    #[error("the list has a field {field}, which the type does not know")]
    Extra {
        /// The list's field.
        field: String,
    },
    /// A cell is empty whose field is no `Option`.
    #[error("field {field} is empty; make it an Option, or give it a default")]
    Empty {
        /// The struct's field.
        field: String,
    },
    /// The Rust value is none of the field's type.
    #[error("field {field} holds {expected}, not {got}")]
    Type {
        /// The field.
        field: String,
        /// What it holds.
        expected: String,
        /// What the Rust value is.
        got: String,
    },
    /// The field has no such choice.
    #[error("field {field} has no choice {choice}; its choices are: {known}")]
    NoChoice {
        /// The field.
        field: String,
        /// What was asked for.
        choice: String,
        /// What there is.
        known: String,
    },
    /// What the record shows is no value of the Rust type, or the Rust value none that a record can show.
    #[error("{}{why}", if .field.is_empty() { String::new() } else { format!("field {field}: ") })]
    Value {
        /// The field, where it is in one.
        field: String,
        /// Why.
        why: String,
    },
}

impl TypedError {
    /// A code for programs, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Node(error) => error.code(),
            Self::NoField { .. } => "unknown-field",
            Self::Extra { .. } => "extra-field",
            Self::Empty { .. } => "empty-field",
            Self::Type { .. } => "type",
            Self::NoChoice { .. } => "unknown-choice",
            Self::Value { .. } => "value",
        }
    }

    fn value(why: String) -> Self {
        Self::Value { field: String::new(), why }
    }

    /// Says in which field it is, the outermost first.
    fn in_field(self, outer: &str) -> Self {
        let path = |field: String| if field.is_empty() { outer.to_owned() } else { format!("{outer}.{field}") };
        match self {
            Self::Value { field, why } => Self::Value { field: path(field), why },
            Self::Empty { field } => Self::Empty { field: path(field) },
            Self::Extra { field } => Self::Extra { field: path(field) },
            other => other,
        }
    }
}

impl From<Refused> for TypedError {
    fn from(refused: Refused) -> Self {
        Self::Node(refused.into())
    }
}

impl serde::ser::Error for TypedError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::value(message.to_string())
    }
}

impl serde::de::Error for TypedError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::value(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Empty { field: field.into() }
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Extra { field: field.into() }
    }
}

impl Handle {
    /// The list with this name. Names change; keep what this gives, which stays the same list.
    pub fn list(&self, name: &str) -> Result<List, NodeError> {
        let reader = self.read();
        let found = reader.design().lists().find(|list| reader.design().name(*list) == name);
        let id = found.ok_or_else(|| Refused::UnknownList(name.into()))?;
        Ok(List { workspace: self.clone(), id })
    }
}

impl List {
    /// Its id.
    pub fn id(&self) -> ListId {
        self.id
    }

    /// The field with this name.
    pub fn field(&self, name: &str) -> Result<FieldId, TypedError> {
        Ok(self.shape().field(name)?.id)
    }

    /// The list with records of a type of your own.
    ///
    /// # Errors
    /// [`TypedError::NoField`] where the type is a struct with a field that the list does not have.
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Result<Typed<T>, TypedError> {
        let shape = self.shape();
        for name in harvest::fields_of::<T>().unwrap_or_default() {
            shape.field(name)?;
        }
        Ok(Typed { list: self.clone(), of: PhantomData })
    }

    fn shape(&self) -> Shape {
        Shape::of(self.workspace.fold().design(), self.id)
    }

    fn key(&self, record: RecordId) -> RecordKey {
        RecordKey { list: self.id, record }
    }
}

impl<T: Serialize + DeserializeOwned> Typed<T> {
    /// The list.
    pub fn list(&self) -> &List {
        &self.list
    }

    /// Makes a record. Blocks the thread, as the others here do that change something.
    pub fn insert(&self, value: &T) -> Result<RecordId, TypedError> {
        let record = fresh_record();
        self.list.workspace.commit(self.inserting(record, value)?)?;
        Ok(record)
    }

    /// The same, for async code.
    pub async fn insert_async(&self, value: &T) -> Result<RecordId, TypedError> {
        let record = fresh_record();
        let command = self.inserting(record, value)?;
        self.list.workspace.commit_async(command).await?;
        Ok(record)
    }

    /// Makes a record show this: changes the cells that show something else, and leaves fields alone that the type does
    /// not have.
    pub fn update(&self, record: RecordId, value: &T) -> Result<Committed, TypedError> {
        Ok(self.list.workspace.commit(self.updating(record, value, None)?)?)
    }

    /// The same, for async code.
    pub async fn update_async(&self, record: RecordId, value: &T) -> Result<Committed, TypedError> {
        let command = self.updating(record, value, None)?;
        Ok(self.list.workspace.commit_async(command).await?)
    }

    /// The same, unless the record was changed since its heads were read (see [`Typed::get_with_heads`]): then it is
    /// refused as stale.
    pub fn update_if(&self, record: RecordId, value: &T, seen: Heads) -> Result<Committed, TypedError> {
        Ok(self.list.workspace.commit(self.updating(record, value, Some(seen))?)?)
    }

    /// The same, for async code.
    pub async fn update_if_async(&self, record: RecordId, value: &T, seen: Heads) -> Result<Committed, TypedError> {
        let command = self.updating(record, value, Some(seen))?;
        Ok(self.list.workspace.commit_async(command).await?)
    }

    /// Removes a record.
    pub fn remove(&self, record: RecordId) -> Result<Committed, TypedError> {
        Ok(self.list.workspace.commit(self.removing(record))?)
    }

    /// The same, for async code.
    pub async fn remove_async(&self, record: RecordId) -> Result<Committed, TypedError> {
        Ok(self.list.workspace.commit_async(self.removing(record)).await?)
    }

    /// A record, if it exists.
    pub fn get(&self, record: RecordId) -> Result<Option<T>, TypedError> {
        Ok(self.get_with_heads(record)?.map(|(value, _)| value))
    }

    /// A record with what to bring to [`Typed::update_if`].
    pub fn get_with_heads(&self, record: RecordId) -> Result<Option<(T, Heads)>, TypedError> {
        let found = self.list.workspace.read().record(self.list.key(record)).map_err(NodeError::from)?;
        found.map(|found| Ok((self.of(&found)?, found.state.heads()))).transpose()
    }

    /// The records that a query gives, in its order. A record that is no value of the type is an error: read with
    /// [`Typed::of`] one by one to pass over such ones.
    pub fn query(&self, query: &Query) -> Result<Vec<(RecordId, T)>, TypedError> {
        let records = self.list.workspace.read().list(self.list.id, query).map_err(NodeError::from)?;
        let shape = self.list.shape();
        records.iter().map(|record| Ok((record.id, of(&shape, &record.state)?))).collect()
    }

    /// A record as a query, a live query or a history gives it, as a value of the type.
    pub fn of(&self, record: &Record) -> Result<T, TypedError> {
        of(&self.list.shape(), &record.state)
    }

    /// The changes that make a record, which exists or not, show a value: to be done with others in one transaction.
    pub fn changes(&self, record: RecordId, value: &T) -> Result<Vec<Change>, TypedError> {
        let key = self.list.key(record);
        let state = self.list.workspace.read().state(key).map_err(NodeError::from)?;
        let mut changes = if state.exists() { Vec::new() } else { vec![Change::Create(key)] };
        changes.extend(self.sets(key, value, &state)?);
        Ok(changes)
    }

    fn inserting(&self, record: RecordId, value: &T) -> Result<Command, TypedError> {
        let key = self.list.key(record);
        let mut changes = vec![Change::Create(key)];
        changes.extend(self.sets(key, value, &RecordState::default())?);
        Ok(Command::Change(Transaction { changes, ..Transaction::default() }))
    }

    fn updating(&self, record: RecordId, value: &T, seen: Option<Heads>) -> Result<Command, TypedError> {
        let key = self.list.key(record);
        let state = self.list.workspace.read().state(key).map_err(NodeError::from)?;
        let changes = self.sets(key, value, &state)?;
        let expect = seen.map(|heads| Expect::Record(key, heads)).into_iter().collect();
        Ok(Command::Change(Transaction { changes, expect, ..Transaction::default() }))
    }

    fn removing(&self, record: RecordId) -> Command {
        let changes = vec![Change::Delete(self.list.key(record))];
        Command::Change(Transaction { changes, ..Transaction::default() })
    }

    fn sets(&self, record: RecordKey, value: &T, state: &RecordState) -> Result<Vec<Change>, TypedError> {
        let shape = self.list.shape();
        let fields = match Tree::of(value)? {
            Tree::Parts(fields) => fields,
            other => {
                return Err(TypedError::value(format!("{} is no record: use a struct or a map", other.describe())));
            }
        };
        let mut changes = Vec::new();
        for (name, tree) in fields {
            let field = shape.field(&name)?;
            for (part, value) in field.cells(tree, state, fresh_bytes)? {
                changes.push(Change::Set(CellKey { record, field: field.id, part }, value));
            }
        }
        Ok(changes)
    }
}

fn of<T: DeserializeOwned>(shape: &Shape, state: &RecordState) -> Result<T, TypedError> {
    T::deserialize(shape.tree(state)?)
}

impl<T> Clone for Typed<T> {
    fn clone(&self) -> Self {
        Self { list: self.list.clone(), of: PhantomData }
    }
}
