//! Rows that could not be taken, in a file of their own.

use super::super::{CliError, Console, args::Import};
use crate::exchange::Rejected;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

/// Made with the first such row; never in a dry run.
pub(super) struct Errors {
    path: PathBuf,
    /// The path from this process's folder.
    from_here: PathBuf,
    is_dry: bool,
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Errors {
    pub(super) fn new(import: &Import, console: &Console) -> Self {
        let default = || {
            let name = import.file.file_name().map_or_else(|| "import".into(), |name| name.to_string_lossy());
            PathBuf::from(format!("{}.errors.txt", if name == "-" { "stdin".into() } else { name }))
        };
        let path = import.errors.clone().unwrap_or_else(default);
        let from_here = console.path(&path);
        Self { path, from_here, is_dry: import.dry_run, file: None, count: 0 }
    }

    pub(super) fn add(&mut self, rejected: &Rejected) -> Result<(), CliError> {
        self.try_add(rejected).map_err(|error| CliError::File { path: self.path.clone(), error })
    }

    fn try_add(&mut self, rejected: &Rejected) -> std::io::Result<()> {
        self.count += 1;
        if self.is_dry {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.from_here)?)),
        };
        writeln!(file, "line {}: {}", rejected.line, rejected.reason)?;
        rejected.text.lines().try_for_each(|line| writeln!(file, "    {line}"))
    }

    /// How many there are so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many there were, and where they are.
    pub(super) fn finish(self) -> Result<Option<(u64, PathBuf)>, CliError> {
        let Some(mut file) = self.file else { return Ok(None) };
        match file.flush() {
            Ok(()) => Ok(Some((self.count, self.path))),
            Err(error) => Err(CliError::File { path: self.path, error }),
        }
    }
}
