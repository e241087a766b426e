//! The `tandem` program, run as a person would run it.

mod cli;
#[cfg(unix)]
mod daemon;
mod docs;
mod import;
mod keeping;
#[cfg(unix)]
mod peers;
#[cfg(unix)]
mod running;
mod scratch;
