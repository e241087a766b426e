//! Secondary indexes: the records of a list in the order of one of their cells.
//!
//! Derived like all views: they follow from the records and the design, and are made anew when they are missing. Which
//! there are is told by the design ([`definition::wanted`]); each gets a number, under which its entries are.

pub mod definition;
pub mod entry;
pub mod sort_key;
mod upkeep;

pub use definition::{CellPath, IndexDefinition, ViewDefinition};
pub use entry::holders;
pub(crate) use upkeep::{bad_entries, forget_others, load, next_number, upkeep};

use serde::{Deserialize, Serialize};

/// An index that is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its number in this generation of the views.
    pub number: u32,
    /// What it is.
    pub definition: IndexDefinition,
}
