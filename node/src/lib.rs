//! The `tandem` program as a library: what its commands are made of.
//!
//! [`exchange`] turns files of other programs into rows and rows into such files.
#![forbid(unsafe_code)]

pub mod exchange;
