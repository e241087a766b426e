//! What must hold for any bytes from outside. Each function panics when it does not.
//!
//! The fuzz targets call these; tests of the crates that they are about include the same files and replay the seeds on
//! stable: `wire/tests/format/fuzz.rs` and `actors/tests/frames.rs`.
//!
//! Never here: anything that is part of what is built to be used.

pub mod format;
pub mod session;
