//! What the pure core decides, with a second member and without a disk.

mod ahead;
mod bench;
#[path = "../client/mod.rs"]
mod client;
mod undo;
mod watch;
