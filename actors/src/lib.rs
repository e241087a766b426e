//! Tandem to embed: a node's actors behind one handle.
//!
//! Two types to know: [`Node`], an open data directory with its device key, and [`Handle`], one workspace in it:
//! commands go in, answers come out when they are durable and shown, and [`Handle::read`] gives a consistent state.
//!
//! ```
//! use tandem_actors::{Change, Command, Node, Options, Transaction, fresh_record};
//! use tandem_wire::{CellKey, PartPath, RecordKey, Value, design::{BaseType, FieldType}};
//!
//! # let dir = tempfile::tempdir()?;
//! let node = Node::open(dir.path(), Options::default())?;
//! let workspace = node.create_workspace("Field notes", "Ada")?;
//! let fields = vec![("what".to_string(), FieldType::one(BaseType::Text))];
//! let made = workspace.commit(Command::CreateList { name: "Notes".into(), fields })?;
//! let (list, what) = (made.elements[0].as_list(), made.elements[1].as_field());
//!
//! let record = RecordKey { list, record: fresh_record() };
//! let cell = CellKey { record, field: what, part: PartPath::default() };
//! let changes = vec![Change::Create(record), Change::Set(cell, Value::Text("a heron".into()))];
//! workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() }))?;
//!
//! assert_eq!(workspace.read().count(list)?, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Never here: rules of what events mean (they are in `tandem-storage`), bytes on the wire (`tandem-wire`), and
//! anything about terminals, files of other formats, or HTTP.

mod block;
pub mod command;
pub mod device_key;
pub mod keeper;
pub mod node;
pub mod recover;
mod registry;
pub mod undo;
pub mod workspace;

pub use command::{Change, Command, Committed, Expect, Refused, Stale, Transaction};
pub use node::{Handle, Node, NodeError, Options, WorkspaceInfo, fresh_batch, fresh_record};
pub use recover::Recovered;
pub use undo::{Undo, UndoOf, Undone};
pub use workspace::{Insert, Inserted, NewRecord};
