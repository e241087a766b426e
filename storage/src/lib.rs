//! .

pub mod engine;
