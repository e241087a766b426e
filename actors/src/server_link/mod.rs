//! Links to servers: what becomes of what this node wrote, as a server judges it.
//!
//! The events themselves, and the verdicts on them, go over peer links like all events, by whatever way there is: the server
//! need not be linked to this node. [`pushes`] is the pure core: it is told what waits in the outbox, and keeps a report for
//! each time that this came to be empty again. [`link`] is the actor that looks whenever the workspace shows something new.

pub(crate) mod link;
pub mod pushes;

pub use pushes::{Pushes, Report};
