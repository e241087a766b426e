//! Links to peers. [`session`] is the dialogue about one workspace, [`frames`] how its messages stand in a stream.

pub mod frames;
#[cfg(feature = "iroh")]
pub mod iroh;
pub mod link;
pub mod memory;
pub mod mesh;
mod parts;
mod rounds;
pub mod session;
pub mod transport;

pub use frames::{Frames, framed};
pub use parts::{Closed, Ends, Output, Standing};
pub use session::PeerSession;
