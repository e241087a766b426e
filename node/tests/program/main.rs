//! The `tandem` program, run as a person would run it.

mod cli;
mod import;
mod scratch;
