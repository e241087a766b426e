//! Links to peers: [`session`] is the dialogue about one workspace.

pub mod session;

pub use session::{Closed, Ends, Output, PeerSession, Standing};
