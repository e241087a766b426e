//! What a person reads when something cannot be done, and what a script sees of it.

use crate::{exchange::ImportError, show::escape};
use serde::{Deserialize, Serialize};
use std::{
    fmt, io,
    path::{Path, PathBuf},
};
use tandem_actors::{NetworkError, NodeError, Refused};
use tandem_config::ConfigError;
use tandem_storage::{EngineError, design_file::DesignFault};

/// An error of a command. Its text says what happened, to what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The node, its data folder or the workspace.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The configuration file.
    #[error("{}: {error}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// A file that is to be imported.
    #[error("{}: {error}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ImportError,
    },
    /// A file that cannot be opened or written.
    #[error("{}: {error}; check the path and its permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// Standard output.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// Standard input.
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    /// The node that runs here has another version.
    #[error(
        "a node of version {theirs} runs here as process {process}, and this program has version {}; restart the node \
         with this one",
        env!("CARGO_PKG_VERSION")
    )]
    OtherVersion {
        /// Its version.
        theirs: String,
        /// The number of its process.
        process: u32,
    },
    /// A second node is to run here.
    #[error("a node runs here already, as process {process}; stop that one first, or choose another data folder")]
    RunsAlready {
        /// The number of its process.
        process: u32,
    },
    /// The node that runs here says nothing.
    #[error("the node that runs here does not answer; look at its log, or stop it")]
    Silent,
    /// The connection to the node that runs here.
    #[error("the node that runs here did not finish the command: {0}; what was saved by then stays")]
    Lost(io::Error),
    /// A name or id that nothing, or too much, answers to.
    #[error("{0}")]
    NotFound(String),
    /// A filter that cannot be read.
    #[error("{message}")]
    Filter {
        /// What is wrong, and what to write instead.
        message: String,
        /// The filter and a mark under the place, safe for a terminal.
        place: String,
    },
    /// What was asked for does not make sense.
    #[error("{0}")]
    Usage(String),
    /// Nobody waits for the command any more, or the node stops.
    #[error("stopped before the end")]
    Stopped,
    /// Something is wrong with the data.
    #[error("{0}")]
    Unsound(String),
}

/// How the process ends. Documented in `docs/cli.md`; never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// All done.
    Success = 0,
    /// It was refused, or could not be done.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// No such workspace, list, field or record.
    NotFound = 3,
    /// The data folder cannot be used: in use, of a newer format, damaged, full.
    Data = 4,
    /// Done, but some rows of the file could not be read.
    Partial = 5,
}

impl CliError {
    /// A design that cannot be meant.
    pub fn design(faults: Vec<DesignFault>) -> Self {
        Self::Node(NodeError::Refused(Refused::Design(faults)))
    }

    /// A file that cannot be opened or written.
    pub fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }

    /// How the process ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Node(NodeError::Engine(_) | NodeError::Key(_))
            | Self::OtherVersion { .. }
            | Self::RunsAlready { .. }
            | Self::Silent
            | Self::Unsound(_) => Exit::Data,
            Self::Node(NodeError::UnknownWorkspace(_)) | Self::NotFound(_) => Exit::NotFound,
            Self::Node(NodeError::Refused(refused)) => match refused {
                Refused::UnknownList(_)
                | Refused::UnknownField { .. }
                | Refused::UnknownElement(_)
                | Refused::UnknownRecord { .. }
                | Refused::UnknownEvent(_)
                | Refused::UnknownMember(_)
                | Refused::UnknownBinding(_)
                | Refused::UnknownProposal(_)
                | Refused::UnknownBatch(_) => Exit::NotFound,
                Refused::DiskLow { .. } => Exit::Data,
                Refused::Design(_) => Exit::Usage,
                Refused::RecordExists(_)
                | Refused::Type { .. }
                | Refused::TooLarge(_)
                | Refused::Name { .. }
                | Refused::Role { .. }
                | Refused::Stale(_)
                | Refused::NotOwn { .. }
                | Refused::NotUndoable(_)
                | Refused::MemberExists(_)
                | Refused::UnknownPerson(_)
                | Refused::DeviceRemoved(_)
                | Refused::Senior(_)
                | Refused::NotInvited(_)
                | Refused::NotOwner
                | Refused::BoundAlready(_)
                | Refused::NotRefused(_)
                | Refused::NothingLeft(_)
                | Refused::ValuesMissing(_)
                | Refused::NoControlChain(_)
                | Refused::WorkspaceExists(_)
                | Refused::TooManyRetries(_)
                | Refused::DesignOwned(_)
                | Refused::NotTheServer
                | Refused::NoStep(_)
                | Refused::Rule { .. }
                | Refused::Rehearsing
                | Refused::Left => Exit::Failure,
            },
            Self::Node(NodeError::Busy | NodeError::Stopped | NodeError::Offline | NodeError::Link(_))
            | Self::Stopped
            | Self::Network(_)
            | Self::Import { .. }
            | Self::File { .. }
            | Self::Input(_)
            | Self::Lost(_)
            | Self::Output(_) => Exit::Failure,
            Self::Config { .. } | Self::Filter { .. } | Self::Usage(_) => Exit::Usage,
        }
    }
}

impl CliError {
    /// Its text, safe for a terminal.
    pub fn shown(&self) -> String {
        match self {
            Self::Node(NodeError::Refused(Refused::Design(faults))) => {
                let lines = faults.iter().map(|fault| escape(&fault.to_string()).into_owned());
                lines.collect::<Vec<_>>().join("\n")
            }
            Self::Filter { message, place } => format!("{}\n{place}", escape(message)),
            other => escape(&other.to_string()).into_owned(),
        }
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        Self::Node(error.into())
    }
}

impl From<Refused> for CliError {
    fn from(refused: Refused) -> Self {
        Self::Node(refused.into())
    }
}

impl From<fmt::Error> for CliError {
    fn from(_: fmt::Error) -> Self {
        Self::Output(io::Error::other("formatting failed"))
    }
}
