//! Tandem's log and what it means.
//!
//! Two types to know: [`fold::View`], the meaning of a set of events, and [`engine::Engine`], the ordered tables
//! that log and views live in.
//!
//! Never here: actors, sockets, clocks, and any judgement of what a server may refuse.

pub mod engine;
pub mod fold;

pub use engine::EngineError;
