//! What can break, and how often.

use crate::{
    chance::Stream,
    node::{Flight, Step},
};
use tandem_storage::engine::Fault;

/// Something breaks, or is done at a bad time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Break {
    /// What is not synced is kept in part.
    PowerCut,
    /// One of the next writes fails.
    Fuse(Fault),
    /// The clock jumps, back or ahead.
    ClockJump,
    /// The clock shows a time that no calendar has.
    ClockBroken,
    /// The views are made anew; often a crash ends it.
    Rebuild,
}

/// The next fault.
pub(crate) fn draw(stream: &mut Stream) -> Break {
    match stream.below(12) {
        0..=4 => Break::PowerCut,
        5 => Break::Fuse(Fault::DiskFull),
        6 | 7 => Break::Fuse(Fault::SyncFailed),
        8 => Break::ClockJump,
        9 => Break::ClockBroken,
        _ => Break::Rebuild,
    }
}

/// Where a crash came, in words.
pub(crate) fn crash_mark(flight: Option<&Flight>) -> &'static str {
    match flight.map(|flight| flight.done) {
        None => "crash-at-rest",
        Some(Step::Decide) => "crash-after-decide",
        Some(Step::Append) => "crash-between-append-and-sync",
        Some(Step::Sync) => "crash-between-sync-and-apply",
        Some(Step::Apply | Step::Release) => "crash-between-apply-and-release",
    }
}
