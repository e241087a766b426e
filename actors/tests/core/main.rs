//! What the pure core decides, with a second member and without a disk.

mod bench;
mod undo;
mod watch;
