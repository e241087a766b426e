//! Where there are no sockets of the kind that a running node listens on: the folder is always opened.

use super::{CliError, Console, Exit};
use std::{ffi::OsString, path::Path};
use tandem_actors::Node;

/// What stands in for a data folder.
pub(crate) enum Reached {
    /// It is open here.
    Open(Box<Node>),
    /// Never.
    Running(Running),
}

/// There is none.
pub(crate) enum Running {}

/// Opens the folder.
pub(crate) fn reach(_: &Path, open: impl Fn() -> Result<Node, CliError>) -> Result<Reached, CliError> {
    open().map(|node| Reached::Open(Box::new(node)))
}

/// `tandem node`.
pub(super) fn no_node() -> Result<Exit, CliError> {
    let text = "a node runs on Unix-like systems only so far; every command opens the data folder by itself";
    Err(CliError::Usage(text.into()))
}

impl Running {
    /// The number of its process.
    pub fn process(&self) -> u32 {
        match *self {}
    }

    /// Has it do a command.
    pub fn run(self, _: &[OsString], _: &Path, _: &mut Console) -> Result<Option<Exit>, CliError> {
        match self {}
    }
}
