//! Tandem to embed: a node's actors behind one handle.
//!
//! Two types to know: [`Node`], an open data directory with its device key, and [`Handle`], one workspace in it:
//! commands go in, answers come out when they are durable and shown, and [`Handle::read`] gives a consistent state.
//!
//! # A walk through
//!
//! A program opens a node, founds a workspace and makes a list. That is done once; what is made has ids that stay, and
//! names that people change.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tandem_actors::{Command, Node, Options, Begin, UndoOf, Update};
//! use tandem_storage::Query;
//! use tandem_wire::design::{BaseType, FieldType};
//!
//! # let dir = tempfile::tempdir()?;
//! let node = Node::open(dir.path(), Options::default())?;
//! let workspace = node.create_workspace("Field notes", "Ada")?;
//! let fields = vec![
//!     ("what".to_string(), FieldType::one(BaseType::Text)),
//!     ("how many".to_string(), FieldType::one(BaseType::Int)),
//! ];
//! workspace.commit(Command::CreateList { name: "Birds".into(), fields })?;
//!
//! // Records are structs, by serde (see the module `typed`) …
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! struct Sighting {
//!     what: String,
//!     #[serde(rename = "how many")]
//!     how_many: Option<u32>,
//! }
//! let birds = workspace.list("Birds")?.typed::<Sighting>()?;
//!
//! // … and a query can be followed (see `live`).
//! let mut news = workspace.subscribe(birds.list().id(), Query::default(), Begin::Now)?.blocking();
//! let seen = Sighting { what: "heron".into(), how_many: None };
//! let id = birds.insert(&seen)?;
//! assert!(matches!(news.next(), Some(Ok(Update::Changes { changes, .. })) if changes.len() == 1));
//!
//! // What somebody else changed in between is not overwritten, if one asks for that.
//! let (read, heads) = birds.get_with_heads(id)?.unwrap();
//! let counted = birds.update(id, &Sighting { how_many: Some(2), ..read.clone() })?;
//! let refused = birds.update_if(id, &Sighting { how_many: Some(3), ..read }, heads).unwrap_err();
//! assert_eq!(refused.code(), "stale");
//!
//! // Everything that was ever written is there, and can be taken back (see `undo`).
//! let undone = workspace.undo(UndoOf::Event(counted.events[0]))?;
//! assert_eq!((undone.cells, birds.get(id)?), (1, Some(seen)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Below the typed records are cells and [`Value`](tandem_wire::Value)s. A [`Transaction`] is one event: all of it is
//! done, or nothing.
//!
//! ```
//! use tandem_actors::{Change, Command, Node, Options, Transaction, fresh_record};
//! use tandem_wire::{CellKey, PartPath, RecordKey, Value, design::{BaseType, FieldType}};
//!
//! # let dir = tempfile::tempdir()?;
//! # let node = Node::open(dir.path(), Options::default())?;
//! # let workspace = node.create_workspace("Field notes", "Ada")?;
//! let fields = vec![("what".to_string(), FieldType::one(BaseType::Text))];
//! let made = workspace.commit(Command::CreateList { name: "Notes".into(), fields })?;
//! let (list, what) = (made.elements[0].as_list(), made.elements[1].as_field());
//!
//! let record = RecordKey { list, record: fresh_record() };
//! let cell = CellKey { record, field: what, part: PartPath::default() };
//! let changes = vec![Change::Create(record), Change::Set(cell, Value::Text("a heron".into()))];
//! workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() }))?;
//!
//! let state = workspace.read();
//! assert_eq!(state.count(list)?, 1);
//! // Who changed what, and what the record was as of any event.
//! let history = state.changes_of(record)?;
//! assert_eq!((history.len(), history[0].author.name.as_str()), (2, "Ada"));
//! assert!(state.record_as_of(record, history[0].event.id)?.unwrap().exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threads, tokio, actix
//!
//! A node owns the thread that its actors run on. Its handles are cheap to clone and work from any thread: from a plain
//! `main`, from tokio, from inside an actix system, and several nodes live in one process. Calls that wait block the
//! calling thread, on whatever runtime it is; each has a form for async code ([`Handle::commit_async`],
//! [`Handle::undo_async`], [`Typed::insert_async`] …), and a [`Subscription`] is a stream. Reads run on the calling
//! thread, beside the writer: a state that was read stays as it was while one holds it.
//!
//! To be fast, hand in many commands at once ([`Handle::submit`]): they share a signature and one wait for the disk, and
//! each is still decided, and refused, on its own. Several threads that commit at once get the same for nothing.
//!
//! # Errors
//!
//! [`NodeError`], [`Refused`] and [`TypedError`] say what to do, and have codes for programs: [`codes`] lists them.
//!
//! Never here: rules of what events mean (they are in `tandem-storage`), bytes on the wire (`tandem-wire`), and
//! anything about terminals, files of other formats, or HTTP.

pub mod authority;
mod block;
pub mod codes;
pub mod command;
pub mod device_key;
pub mod handle;
pub mod join;
pub mod keeper;
pub mod live;
pub mod network;
mod news;
pub mod node;
pub mod outside;
pub mod peer_link;
mod places;
pub mod recover;
mod registry;
mod runtime;
mod schema_migrator;
pub mod server_link;
pub mod ticket;
pub mod typed;
pub mod undo;
pub mod workspace;

pub use command::{Change, Command, Committed, Expect, Refused, Stale, Transaction};
pub use handle::Handle;
pub use join::Invitation;
pub use live::{Begin, RowChange, Subscription, Update, Updates};
pub use network::{JoinRequest, PeerStatus, ServerStatus};
pub use node::{Node, NodeError, Options, WorkspaceInfo, fresh_batch, fresh_record};
#[cfg(feature = "iroh")]
pub use peer_link::iroh::{NetworkError, NetworkOptions};
pub use recover::Recovered;
pub use ticket::Ticket;
pub use typed::{List, Typed, TypedError};
pub use undo::{Undo, UndoOf, Undone};
pub use workspace::{Insert, Inserted, NewRecord};
