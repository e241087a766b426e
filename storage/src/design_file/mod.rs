//! Designs as files: what a person writes, and what it makes of a workspace's design.
//!
//! [`DesignFile`] is the whole of a design by names, [`Plan::make`] the steps that lead there, [`export`] the way back:
//! the plan of an exported file is empty. [`check`] finds what cannot be meant, in a file as in what a server proposes,
//! and [`differences`] says what two designs have apart.

mod check;
mod differences;
mod export;
mod keys;
mod plan;
mod rename;
mod spec;
mod wanted;

pub use check::check;
pub use differences::{Difference, DifferenceKind, differences};
pub use export::export;
pub use keys::Key;
pub use plan::Plan;
pub use spec::*;

/// What is wrong with a design, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct DesignFault {
    /// The list, field, view, form or rule.
    pub place: String,
    /// What is wrong with it.
    pub message: String,
}

impl DesignFault {
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

#[cfg(test)]
mod tests;
