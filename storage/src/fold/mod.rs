//! What a set of events means: `View(E)`, a pure function, computed in two ways.
//!
//! [`naive`] is the specification; the incremental fold gives the same, event by event, over an engine. Both are
//! made of the same stages, one file each: [`validity`] (R2), [`terms`], [`standing`] and
//! [`refusals`] (R3, R7, R8), [`members`] and
//! [`status`] (R4, R10), [`design`] (R11), [`record`] (R4 to R6).
//!
//! Never here: clocks, files, threads, randomness, locale, floating-point formatting.

#[cfg(test)]
mod checking;
pub mod design;
pub mod incremental;
pub mod members;
pub mod naive;
mod order;
pub mod past;
pub mod record;
pub mod refusals;
pub mod standing;
pub mod status;
pub mod terms;
#[cfg(test)]
pub(crate) mod testing;
pub mod validity;
pub mod view;

pub use design::Design;
pub use incremental::Look;
pub use members::{Members, Standings};
pub use order::control_order;
pub use past::{Chains, ControlEvent, Past, counts_as_past, is_beyond};
pub use record::{RecordOp, RecordState};
pub use standing::{Judged, Standing, Stops, VerdictPlace, standing};
pub use status::{Status, is_authority_written, status};
pub use terms::Terms;
pub use validity::{Found, Known, Validity};
pub use view::{ControlView, View, ViewHasher};
