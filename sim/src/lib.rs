//! The deterministic simulator: Tandem's cores in a world where disks fail, power goes and clocks lie.
//!
//! Two types to know: [`World`], which lets one seed's history happen event by event, and [`Model`], which says in a
//! few lines what the commands that were acknowledged must have left. After every step small [`checks`] compare the
//! two. [`seed::run`] does one seed; the program `tandem-sim` does many, and repeats any of them.
//!
//! A seed gives everything: each subsystem draws from a stream of its own, named after it, so that a change of one
//! leaves the others' draws as they were. Time is a number, and happenings are ordered by (time, number). First
//! everything breaks, then it heals and must get on.
//!
//! That is the first storey: cores without their actors, thousands of seeds in minutes. On the second ([`actors`]) the
//! real actors run, with real tables, on a thread whose time is paused.
//!
//! [`play`] tells short stories with servers, each a file under `sim/scenarios`, as timelines.
//!
//! Never here: a wall clock, threads, hash order, floating-point odds, or a rule of what events mean.

pub mod actors;
pub mod chance;
pub mod checks;
pub mod disk;
mod faults;
pub mod ledger;
pub mod model;
pub mod node;
pub mod options;
pub mod peers;
pub mod planted;
mod play;
pub mod queue;
pub mod seed;
mod site;
mod strings;
pub mod trace;
pub mod workload;
pub mod world;

pub use checks::Violation;
pub use model::Model;
pub use options::Options;
pub use planted::Planted;
pub use play::{BadScript, expected, play};
pub use world::World;
