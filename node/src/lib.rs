//! The product around the actors: what the `tandem` binary is made of, as a library, so that tests reach it.
//!
//! Two types to know: [`cli::Args`], everything that can be asked on the command line, and [`exchange::Row`], what a
//! file of another program is taken apart into.
//!
//! Never here: rules about events, conflicts or members. They live in the crates below, and this one only
//! turns files, commands and screens into their values and back.

pub mod cli;
#[cfg(unix)]
mod daemon;
pub mod exchange;
pub mod show;
