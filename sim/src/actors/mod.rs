//! The real actors of several members' nodes, with real tables, on one thread with paused time, over streams that are slow,
//! stall and break.
//!
//! What [`crate::peers`] cannot see is seen here: mailboxes, timers, who dials whom, links that end while runs are on their
//! way, nodes that stop and open again. In return it does not crash them: their disks are the machine's.
//!
//! Time stands still while anything can go on, and then jumps to the next timer, so that the same seed is the same run,
//! byte for byte on every stream. What would break that is banned here and in the actors where they run
//! [`here`](tandem_actors::outside::Outside::here): other threads, and choices at random.

mod clock;
mod faults;
mod member;
mod wires;
mod world;

pub use world::World;
