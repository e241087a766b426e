//! The `tandem` program, run as a person would run it.

mod cli;
mod docs;
mod import;
mod keeping;
mod scratch;
