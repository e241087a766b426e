//! What a node knows about its own writes besides the tables: enough to see, when it is opened, that something is
//! missing, and to put it back.
//!
//! - [`Head`], a small synced file: how far the node's own chains go, where the directory is, and whether the node was
//!   stopped in good order.
//! - [`Segments`], the rescue file: the node's own runs once more, appended with each group and synced every second by
//!   whoever holds it. About [`RESCUE_BYTES_MAX`] of them are kept, the last ones.
//! - [`Place`], by which a directory knows that it is still the same one, on the same machine, in the same boot.
//!
//! Neither file is ever ahead of the log: a run comes here when the log has it on the disk. So a head or a run that is
//! here and not in the log was lost there. `docs/decisions/0007-head-and-rescue.md` goes through the crashes.
//!
//! Never here: what is done about it, and any other device's runs.

mod head;
mod place;
mod segments;

pub use head::{Head, HeadFile, Tip, WorkspaceHead};
pub use place::Place;
pub use segments::{Entry, RESCUE_BYTES_MAX, Segments, Unsynced, read};

use std::{fs::File, io, path::Path};

/// Makes names that were made, changed or removed in a folder durable.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere folders cannot be synced.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Bytes of a checksum: it tells torn and rotten bytes, not forged ones.
const SUM_BYTES: usize = 8;

fn sum(bytes: &[u8]) -> [u8; SUM_BYTES] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("a hash is longer")
}
