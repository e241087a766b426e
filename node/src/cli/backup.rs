//! `tandem backup` and `tandem workspace restore`: a workspace's log in a file, and back.
//!
//! A backup is logical: the signed runs as they are stored. Whatever else there is, is made of them.

use super::{CliError, Console, Exit, export::write_file};
use crate::{
    exchange::backup_file::{About, BackupReader, BackupWriter, BadBackup},
    show::escape,
};
use std::{
    fs::File,
    io::{self, BufReader, Seek},
    path::Path,
    time::SystemTime,
};
use tandem_actors::{Handle, Node};

pub(super) fn backup(workspace: &Handle, file: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let about =
        About { workspace: workspace.id(), name: workspace.name(), device: workspace.device(), wall_ms: now_ms() };
    let state = workspace.read();
    let mut progress = console.progress("backing up");
    let mut runs = 0;
    write_file(&console.path(file), |out| {
        let mut writer = BackupWriter::new(out, &about)?;
        for run in state.runs() {
            writer.run(&run.map_err(io::Error::other)?)?;
            progress.advance(1);
            console.go_on().map_err(io::Error::other)?;
        }
        runs = writer.finish()?;
        Ok(())
    })
    .map_err(|error| CliError::File { path: file.into(), error })?;
    drop(progress);
    let shown = file.display().to_string();
    console.line(format_args!("wrote {} ({runs} signed runs) to {}", escape(&about.name), escape(&shown)))?;
    Ok(Exit::Success)
}

pub(super) fn restore(node: &Node, file: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let failed = |error: BadBackup| match error {
        BadBackup::Io(error) => CliError::File { path: file.into(), error },
        error => CliError::Unsound(format!("{}: {error}", file.display())),
    };
    let mut input = File::open(console.path(file)).map_err(|error| CliError::File { path: file.into(), error })?;
    // All of it first: nothing is made of a file that is not whole.
    let mut reader = BackupReader::new(BufReader::new(&input)).map_err(failed)?;
    let about = reader.about().clone();
    let mut progress = console.progress("checking");
    reader.try_for_each(|run| run.map(|_| progress.advance(1))).map_err(failed)?;
    drop(progress);
    input.rewind().map_err(|error| CliError::File { path: file.into(), error })?;
    let reader = BackupReader::new(BufReader::new(&input)).map_err(failed)?;
    let restored = node.restore(about.workspace, reader)?.map_err(failed)?;
    let events = restored.fold().chains().filter_map(|(_, row)| row.head).map(|(seq, _)| seq + 1).sum::<u64>();
    console.line(format_args!("restored {} ({}): {events} events", escape(&restored.name()), restored.id()))?;
    console.line("What was written after the backup is not in it.")?;
    if restored.fold().role_of(node.device()).is_none() {
        console.line("This device is no member of it, so that the copy here is for reading only.")?;
    }
    Ok(Exit::Success)
}

#[expect(clippy::disallowed_methods, reason = "a backup says when it was made")]
fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}
