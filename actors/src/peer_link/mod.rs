//! Links to peers. [`session`] is the dialogue about one workspace, [`frames`] how its messages stand in a stream.

pub mod frames;
pub mod session;

pub use frames::{Frames, framed};
pub use session::{Closed, Ends, Output, PeerSession, Standing};
