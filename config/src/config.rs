//! The values themselves. A default's reason stands in the doc of its field; its range in `key.rs`.

use std::{net::SocketAddr, path::PathBuf};

/// Everything that one node can be told by its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where the node keeps its data; an absolute path.
    ///
    /// Default: none, that is, the platform's own folder for application data. Relative paths are refused,
    /// because they would mean another directory whenever the node is started from another place.
    pub data_dir: Option<PathBuf>,
    /// How much memory and disk the database engine may use.
    pub storage: Storage,
    /// How a workspace takes in work.
    pub workspace: Workspace,
    /// How the node is on the network while `tandem node` runs.
    pub network: Network,
    /// What is written to the log on standard error.
    pub log: Log,
}

/// How other members' nodes find this one. Nothing is contacted that is not named here or in a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address and UDP port to listen at.
    ///
    /// Default: none, that is, all interfaces and the port that was free the last time, so that others find the node
    /// where it was.
    pub listen: Option<SocketAddr>,
    /// Whether nodes on the same local network find each other, by multicast DNS.
    ///
    /// Default true: people in one room should not have to type addresses. Nothing of it leaves the local network.
    pub discovery: bool,
    /// A relay for nodes that cannot reach each other directly, as a URL.
    ///
    /// Default: none. A relay sees who talks to whom and how much, and nothing of what is said.
    pub relay: Option<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self { listen: None, discovery: true, relay: None }
    }
}

/// Limits of the database engine, for all workspaces of the node together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Memory for blocks read from disk, in MiB.
    ///
    /// Default 64: at 80 bytes a stored event it holds some hundred thousand of them, and leaves a small machine
    /// its memory.
    pub cache_mb: u32,
    /// Memory for writes that are not yet in a table file, over all keyspaces, in MiB.
    ///
    /// Default 24: with the cache it leaves a node that takes much in below 250 MB, and table files are still written in
    /// large pieces. While the disk is slow, twice as much may wait, and then writers do.
    pub write_buffer_mb: u32,
    /// Below so much free space on the disk of the data, in MiB, the node is read-only and says so.
    ///
    /// Default 256: compacting and flushing go on after the last write, and need about twice the write buffer and a
    /// journal of 64 MiB. A disk that is really full can stop the node in the middle of them.
    pub disk_free_mb_min: u32,
}

impl Default for Storage {
    fn default() -> Self {
        Self { cache_mb: 64, write_buffer_mb: 24, disk_free_mb_min: 256 }
    }
}

/// Limits of one workspace's actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Commands that may wait for the actor; the next one is answered "full".
    ///
    /// Default 1024: four full groups, so that the next ones gather while one waits for the disk, and a caller
    /// who is too fast learns it early.
    pub mailbox_messages_max: u32,
    /// Events that are made durable together, under one signature and one disk sync.
    ///
    /// Default 256, which is also the most that the format allows in one run: under load the group is as large
    /// as it can be, and an idle node commits each edit at once, since a group never waits to fill.
    pub group_events_max: u32,
}

impl Default for Workspace {
    fn default() -> Self {
        Self { mailbox_messages_max: 1024, group_events_max: 256 }
    }
}

/// What is logged, and how. Logs go to standard error; the answers of commands never do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The least serious kind of line that is still written.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

/// How serious a log line is; each level includes those above it.
///
/// Default [`Warn`](Self::Warn): a command on a terminal shows its answer and what needs attention, no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Something was not done.
    Error,
    /// Something was done, but needs attention.
    #[default]
    Warn,
    /// What the node does: starts, imports, peers that come and go.
    Info,
    /// Each step, for whoever looks for a fault.
    Debug,
    /// Each message and each disk write.
    Trace,
}

impl LogLevel {
    /// All levels, most serious first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The word that stands for it in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The form of a log line.
///
/// Default [`Pretty`](Self::Pretty): a person reads the first logs; who collects them sets the other form once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line, for collectors.
    Json,
}

impl LogFormat {
    /// All formats, the default first.
    pub const ALL: [Self; 2] = [Self::Pretty, Self::Json];

    /// The word that stands for it in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}
