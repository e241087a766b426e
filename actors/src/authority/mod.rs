//! Judging: what a node does for a workspace that its owner has bound it to (rules R7 and R9).
//!
//! A *case* is an event that a term has still to judge ([`tandem_storage::docket`]). Cases are heard one after the other,
//! in causal order, each against the records as they have been accepted so far; what is decided in one *sitting* becomes
//! verdict events of the authority's own control chain, in one group, durable before anybody is told.
//!
//! [`Policy`] is what the operator asks for besides the design: rules that no client has, what is done about stale
//! edits, and how much each member may send ([`quota`]). [`judge`](judge::Bench::judge) decides one case, and is pure;
//! [`verdicts`] puts a sitting's decisions into ops.
//! The shell is the workspace's actor: it holds a sitting whenever something new is in the views.

pub mod judge;
pub mod policy;
pub mod quota;
pub(crate) mod shelf;
pub mod verdicts;
pub mod vocabulary;

pub use judge::{Bench, Ruling};
pub use policy::{ListPolicy, Policy, RuleText, Stale};
pub use vocabulary::{FieldWords, ListWords, Vocabulary};
