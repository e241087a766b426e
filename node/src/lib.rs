//! The product around the actors: what the `tandem` binary is made of, as a library, so that tests reach it.
//!
//! Two types to know: [`show::Table`], lists of records for people, and [`show::Progress`], work that takes a
//! while.
//!
//! Never here: rules about events, conflicts or members. They live in the crates below, and this one only
//! turns files, commands and screens into their values and back.

pub mod show;
