//! Where a command is run from: its streams, what its terminal can show, and the folder that its paths start in.

use super::CliError;
use crate::show::{Bars, Progress, Screen, Table};
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// All that a command knows of whoever runs it.
///
/// Commands reach the world through it alone, so that a node that runs can do them for another process. A reader of
/// the output that has seen enough (`| head`) is no error.
pub struct Console {
    pub(crate) out: Box<dyn Write>,
    pub(crate) err: Box<dyn Write>,
    pub(crate) input: Box<dyn Read>,
    /// What the output can show.
    pub(crate) screen: Screen,
    pub(crate) bars: Bars,
    /// What the person is called on this machine.
    pub(crate) user: Option<String>,
    /// Where relative paths start; none where that is this process's own folder.
    pub(crate) folder: Option<PathBuf>,
    /// Any of these is set when the command is not wanted any more.
    pub(crate) stop: Vec<Arc<AtomicBool>>,
}

impl Console {
    /// Of this process.
    pub fn of_process() -> Self {
        Self {
            out: Box::new(io::BufWriter::new(io::stdout().lock())),
            err: Box::new(io::stderr()),
            input: Box::new(io::stdin().lock()),
            screen: Screen::of_stdout(),
            bars: Bars::of_stderr(),
            user: std::env::var("USER").ok().filter(|name| !name.is_empty()),
            folder: None,
            stop: vec![],
        }
    }

    pub(crate) fn line(&mut self, line: impl std::fmt::Display) -> Result<(), CliError> {
        writeln!(self.out, "{line}").map_err(CliError::Output)
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.out.write_all(text.as_bytes()).map_err(CliError::Output)
    }

    pub(crate) fn table(&mut self, table: Table) -> Result<(), CliError> {
        let text = table.render(&self.screen);
        self.text(&text)
    }

    pub(crate) fn flush(&mut self) -> Result<(), CliError> {
        self.out.flush().map_err(CliError::Output)
    }

    /// A line on standard error, after all that was printed before it. What cannot be said there cannot be said.
    pub(crate) fn complain(&mut self, text: &str) {
        let _ = self.out.flush();
        let _ = writeln!(self.err, "tandem: {text}");
        let _ = self.err.flush();
    }

    /// A bar for long work of an unknown length.
    pub(crate) fn progress(&self, what: &'static str) -> Progress {
        Progress::new(&self.bars, what, None)
    }

    /// A path of the command line, from this process's folder.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.folder.as_ref().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// Long work asks between its steps whether it is still wanted.
    pub(crate) fn go_on(&self) -> Result<(), CliError> {
        let is_set = |stop: &Arc<AtomicBool>| stop.load(Ordering::Relaxed);
        if self.stop.iter().any(is_set) { Err(CliError::Stopped) } else { Ok(()) }
    }
}
