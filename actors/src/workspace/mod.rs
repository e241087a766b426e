//! The workspace actor: one at a time, it decides what commands become, makes that durable, and shows it.
//!
//! [`Core`] is pure: it decides and composes events, and gives batches to commit. The shell ([`Workspace`]) collects
//! what waits in the mailbox into one group, and for each group carries out, in this order and no other: decide →
//! append and apply, in one batch → durable → show and release the answers. While one group is written, the next is
//! decided.

mod adopt;
mod check;
mod clearing;
mod compose;
mod core;
mod design;
mod designs;
mod expect;
mod insert;
mod members;
mod parts;
mod rehearsing;
mod resend;
mod retry;
mod rules;
mod servers;
mod shell;
mod sitting;
mod transaction;
mod undo;
mod writer;

pub(crate) use check::name as name_among;
pub(crate) use designs::{owner_of_design, proposing_term};
pub(crate) use members::{invited_role, person_name};

pub use self::core::{Core, Group, found, plain_cell};
pub(crate) use self::core::{last_event, names};
pub use insert::{Insert, Inserted, NewRecord};
pub use rehearsing::{Ended, Rehearsing};
pub use shell::{OfficeInfo, Perform, Progress, Published, Workspace};
