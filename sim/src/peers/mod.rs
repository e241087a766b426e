//! Several members' nodes, and the network between them: they edit apart, come together, crash and are cut off, and in
//! the end must have the same.

mod checks;
mod ending;
mod faults;
mod links;
mod members;
mod net;
mod peer;
mod world;

pub use world::World;
