//! Tandem's log and what it means.
//!
//! Two types to know: [`Store`], one workspace's log and views, kept together through crashes and rebuilds, and
//! [`Reader`], one state of them to query. Below them, [`fold`] says what events mean, and [`engine`] holds the tables.
//!
//! Never here: actors, sockets, clocks, and any judgement of what a server may refuse.

mod bytes;
pub mod composite;
pub mod constraint;
pub mod design_file;
pub mod design_rule;
pub mod docket;
pub mod engine;
pub mod fence;
pub mod field_type;
pub mod filter;
pub mod fold;
pub mod form;
pub mod guard;
pub mod heads;
pub mod history;
pub mod inbox;
pub mod index;
pub mod lacking;
pub mod lens;
pub mod live;
mod load;
pub mod log;
pub mod outbox;
pub mod query;
pub mod record_row;
pub mod rehearsal;
mod replay;
pub mod rescue;
pub mod rule;
pub mod sort_order;
pub mod store;
pub mod take;

pub use engine::EngineError;
pub use heads::Heads;
pub use load::{Load, LoadBuilder};
pub use query::{Query, Reader};
pub use store::Store;
