//! Filters: conditions on records, written in CEL, the Common Expression Language.
//!
//! ```text
//! population > 100000 && country == "IR"
//! created >= "2024-05-01" && !(status in ["done", "dropped"])
//! phones.exists(p, p.kind == "home") || `Home phone`.startsWith("+98")
//! ```
//!
//! [`Filter::parse`] turns a text into a tree that refers to fields by their ids, so that a rename breaks none, and
//! reports what cannot be meant, with its place. [`Filter::matches`] decides on one record and reads only what it needs.
//! [`Filter::bounds`] says what every match must satisfy: a caller with an index reads less, and checks again.
//!
//! The language is CEL's: its parser is the `cel` crate, and what both know, both decide alike. Evaluation is our own,
//! over values as Tandem has them:
//!
//! - **Empty cells**, and what cannot be computed (a quotient by zero), are `null`. It equals only `null`; it is neither
//!   less nor greater than anything. So `x != 5` holds for an empty `x`, and `x > 5` does not, but `!(x > 5)` does:
//!   every record is on one side of a condition.
//! - **Values kept raw** under a field of another type, and those of later versions, equal nothing, not even `null`.
//! - **Numbers** of all kinds compare by value; `0.1` is exact beside a decimal.
//! - **Time** is UTC. A text beside a date, date-time or duration is read as one. A date beside a date-time compares the
//!   days: `created <= "2024-05-01"` includes that day.
//! - **Choices** are written by their names, records by their ids; both only equal.
//! - **Names** that are no words of CEL stand in back quotes, `` `Home phone` ``, or in `field("Home phone")`. Letters of
//!   all scripts need neither. Parts follow a dot, `address.city`, also of the elements of a field that holds many; and so do
//!   the fields of a record that a field refers to, `assignee.team.name`, where the records of other lists are at hand.
//!
//! Left out are maps, messages, bytes and time zones.

mod arithmetic;
mod bounds;
mod check;
mod error;
mod formula;
mod functions;
pub mod limits;
mod literal;
pub(crate) mod pattern;
mod route;
mod scope;
mod syntax;
mod term;
mod tree;
mod types;

pub use bounds::{Bound, Limit, Place};
pub use error::{EvalError, Fault, FilterError};
pub use formula::Formula;
pub(crate) use literal::{date as read_date, date_time as read_date_time, duration as read_duration};
pub(crate) use route::row_number;
pub use route::{LINKS_MAX, Link, Related, Route, title};
pub use scope::{Kind, Meta, Name, Scope};
pub use term::Term;
pub use tree::Cells;

use std::collections::BTreeSet;
use tree::{Node, Run};

/// A condition on the records of one list.
#[derive(Debug, Clone)]
pub struct Filter {
    root: Node,
    bounds: Vec<Bound>,
    reads: BTreeSet<Place>,
}

impl Filter {
    /// Reads a filter; everything that can be wrong with it is known here.
    pub fn parse(source: &str, scope: &Scope) -> Result<Self, FilterError> {
        let syntax = syntax::Syntax::parse(source)?;
        let root = check::Checker::check(&syntax, scope)?;
        let bounds = bounds::of(&root);
        let reads = bounds::read_by(&root);
        Ok(Self { root, bounds, reads })
    }

    /// Whether a record is one of those that the filter asks for.
    pub fn matches(&self, cells: &dyn Cells) -> Result<bool, EvalError> {
        Run::over(cells).holds(&self.root)
    }

    /// All that it may read of a record: a caller whose index has these columns needs no rows.
    pub fn reads(&self) -> &BTreeSet<Place> {
        &self.reads
    }

    /// What every record that matches satisfies, by the order of [`crate::sort_order`]: all of it, but it may not be
    /// enough.
    pub fn bounds(&self) -> &[Bound] {
        &self.bounds
    }
}

#[cfg(test)]
mod tests;
