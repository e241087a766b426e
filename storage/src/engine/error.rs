//! What can go wrong between the tables and the disk.

use std::{io, path::PathBuf};

/// Why the tables could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another process has the directory open.
    #[error("{} is in use by another process; stop that process, or choose another data directory", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },

    /// The directory was written by a newer program. Nothing in it was touched.
    #[error(
        "{} has format {found}, but this program reads formats up to {supported}; \
         install the program that wrote it, or a newer one",
        path.display()
    )]
    NewerFormat {
        /// The data directory.
        path: PathBuf,
        /// The format in the directory.
        found: u32,
        /// The newest format that this program reads.
        supported: u32,
    },

    /// The directory holds something that no version of the program writes.
    #[error(
        "{} is damaged ({detail}); start again: what can be proved is built anew, and the damaged files are kept",
        path.display()
    )]
    Damaged {
        /// The data directory.
        path: PathBuf,
        /// What was found.
        detail: String,
    },

    /// The operating system refused to open or read a file.
    #[error("cannot use {}: {source}; check its permissions and the disk", path.display())]
    Io {
        /// The data directory.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },

    /// A write failed because the disk is full. Fatal: what of it was kept shows on reopening.
    #[error("the disk of {} is full; free some space and start again", path.display())]
    DiskFull {
        /// The data directory.
        path: PathBuf,
    },

    /// A write failed, or an earlier one did. Fatal: what of it was kept shows on reopening.
    #[error("writing to {} failed ({detail}); the process must stop; check the disk and start again", path.display())]
    WriteFailed {
        /// The data directory.
        path: PathBuf,
        /// What the disk or the database said.
        detail: String,
    },
}

impl EngineError {
    /// Whether memory and disk may now disagree, so that the process must stop (and nothing more be shown as
    /// saved) and the tables be opened again.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::DiskFull { .. } | Self::WriteFailed { .. } => true,
            Self::Locked { .. } | Self::NewerFormat { .. } | Self::Damaged { .. } | Self::Io { .. } => false,
        }
    }
}
