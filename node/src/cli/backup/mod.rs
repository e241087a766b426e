//! `tandem backup` and `tandem workspace restore`: a workspace's log in files, and back.
//!
//! A backup is logical: the signed runs as they are stored. Whatever else there is, is made of them. Into a folder goes
//! what is new since the last time, see [`series`].

mod series;

use super::{
    CliError, Console, Exit,
    events::when,
    export::{write_file, write_new_file},
};
use crate::{
    exchange::backup_file::{About, BackupWriter, BadBackup, End, hash_of},
    show::escape,
};
use series::{BadPart, Name, Parts};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};
use tandem_actors::{Handle, Node, authority::Policy, handle::State};
use tandem_storage::engine::Slice;

/// A part by the name that it was given, in the folder or beside the file that the command line names.
fn as_given(path: &Path, given: &Path, is_folder: bool) -> PathBuf {
    let file = path.file_name().unwrap_or_default();
    if is_folder { given.join(file) } else { given.with_file_name(file) }
}

fn bad(part: BadPart, given: &Path, is_folder: bool) -> CliError {
    let path = as_given(&part.path, given, is_folder);
    match part.why {
        BadBackup::Io(error) => CliError::File { path, error },
        why => CliError::Unsound(format!("{}: {why}", path.display())),
    }
}

pub(super) fn backup(workspace: &Handle, to: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let path = console.path(to);
    let is_folder =
        path.is_dir() || to.as_os_str().as_encoded_bytes().ends_with(std::path::MAIN_SEPARATOR_STR.as_bytes());
    if is_folder { into_folder(workspace, &path, to, console) } else { into_file(workspace, &path, to, console) }
}

fn into_file(workspace: &Handle, path: &Path, to: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let about = about(workspace, None)?;
    let state = workspace.read();
    let mut end = None;
    let write = |out: &mut dyn Write| {
        end = Some(write_runs(out, &about, &state, console)?);
        Ok(())
    };
    write_file(path, write).map_err(|error| CliError::File { path: to.into(), error })?;
    let (runs, shown) = (end.map_or(0, |end| end.runs), to.display().to_string());
    console.line(format_args!("wrote {} ({runs} signed runs) to {}", escape(&about.name), escape(&shown)))?;
    Ok(Exit::Success)
}

/// What is new since the last part in the folder, as another part.
fn into_folder(workspace: &Handle, folder: &Path, to: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let failed = |error| CliError::File { path: to.into(), error };
    fs::create_dir_all(folder).map_err(failed)?;
    let state = workspace.read();
    let first = Name::first(workspace.id(), workspace.device());
    let last = series::last_of(&series::names(folder).map_err(failed)?, &first);
    let mut name = first;
    let (mut before, mut kept) = (None, None);
    if let Some(last) = last {
        // A backup that goes on from one that cannot be restored is none.
        let whole = series::check_links(folder, &last).and_then(|()| series::check(&last.path(folder), &mut || ()));
        let goes_on = match whole {
            Ok((said, end)) if said.workspace == workspace.id() && said.device == workspace.device() => {
                has(&state, &end)?
                    .then_some((said, end))
                    .ok_or_else(|| "the log here is not the one that was backed up before".to_owned())
            }
            Ok(_) => Err("its last file is of another workspace".to_owned()),
            Err(BadPart { path, why }) => Err(format!("{}: {why}", as_given(&path, to, true).display())),
        };
        match goes_on {
            Ok((said, end)) => (name, before, kept) = (last.next(), Some(end), Some(said)),
            Err(why) => {
                name = last.next_series();
                console.complain(&format!("{}; all of it is written once more, as another series", escape(&why)));
            }
        }
    }
    let about = about(workspace, before)?;
    if let (Some(end), Some(kept)) = (&before, &kept)
        && kept.policy == about.policy
        && run_at(&state, end.runs)?.is_none()
    {
        let (name, at) = (escape(&about.name), when(kept.wall_ms));
        console.line(format_args!("{name} has nothing new since the backup of {at}"))?;
        return Ok(Exit::Success);
    }
    let path = name.path(folder);
    let mut end = None;
    let write = |out: &mut dyn Write| {
        end = Some(write_runs(out, &about, &state, console)?);
        Ok(())
    };
    let shown = as_given(&path, to, true);
    write_new_file(&path, write).map_err(|error| CliError::File { path: shown.clone(), error })?;
    let runs = end.map_or(0, |end| end.runs) - before.map_or(0, |end| end.runs);
    let shown = shown.display().to_string();
    let news = if before.is_some() { "new " } else { "" };
    console.line(format_args!("wrote {} ({runs} {news}signed runs) to {}", escape(&about.name), escape(&shown)))?;
    Ok(Exit::Success)
}

fn about(workspace: &Handle, before: Option<End>) -> Result<About, CliError> {
    let policy = Some(workspace.office()?.policy).filter(|policy| *policy != Policy::default());
    let (name, device) = (workspace.name(), workspace.device());
    Ok(About { workspace: workspace.id(), name, device, wall_ms: now_ms(), before, policy })
}

/// Whether the log has the runs up to `end`, so that a backup can go on behind them.
fn has(state: &State, end: &End) -> Result<bool, CliError> {
    let Some(last) = end.runs.checked_sub(1) else { return Ok(true) };
    Ok(run_at(state, last)?.is_some_and(|run| hash_of(&run) == end.last))
}

/// The run with this number: they are numbered from 0 on without a gap.
fn run_at(state: &State, number: u64) -> Result<Option<Slice>, CliError> {
    state.runs_from(number).next().transpose().map_err(|error| CliError::Node(error.into()))
}

fn write_runs(out: &mut dyn Write, about: &About, state: &State, console: &Console) -> io::Result<End> {
    let mut progress = console.progress("backing up");
    let mut writer = BackupWriter::new(out, about)?;
    for run in state.runs_from(about.before.map_or(0, |end| end.runs)) {
        writer.run(&run.map_err(io::Error::other)?)?;
        progress.advance(1);
        console.go_on().map_err(io::Error::other)?;
    }
    writer.finish()
}

pub(super) fn restore(node: &Node, from: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let given = console.path(from);
    let is_folder = given.is_dir();
    let bad = |part| bad(part, from, is_folder);
    let last = last_part(&given, from)?;
    let paths = series::up_to(&last).map_err(bad)?;
    // All of it first: nothing is made of files that are not whole.
    let mut progress = console.progress("checking");
    let mut parts = Parts::new(paths.clone());
    parts.by_ref().try_for_each(|run| run.map(|_| progress.advance(1))).map_err(bad)?;
    drop(progress);
    let about = parts.into_about().expect("there is a part, which was read");
    let count = paths.len();
    let restored = node.restore(about.workspace, Parts::new(paths))?.map_err(bad)?;
    let rules = about.policy.map(|policy| node.set_policy(&restored, policy)).transpose()?;
    let events = restored.fold().chains().filter_map(|(_, row)| row.head).map(|(seq, _)| seq + 1).sum::<u64>();
    let parts = if count > 1 { format!(", from {count} parts") } else { String::new() };
    console.line(format_args!("restored {} ({}): {events} events{parts}", escape(&restored.name()), restored.id()))?;
    console.line(format_args!("What was written after the backup ({}) is not in it.", when(about.wall_ms)))?;
    if rules.is_some() {
        console.line("The rules by which the node judged are back. The owner has to bind it anew before it judges.")?;
    }
    if restored.fold().role_of(node.device()).is_none() {
        console.line("This device is no member of it, so that the copy here is for reading only.")?;
    }
    Ok(Exit::Success)
}

/// The last part of what is to be restored.
fn last_part(path: &Path, from: &Path) -> Result<PathBuf, CliError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let names = series::names(path).map_err(|error| CliError::File { path: from.into(), error })?;
    let newest = |copies: &[Name]| {
        let mut newest = None;
        for name in copies {
            let file = name.path(path);
            let wall_ms = series::open(&file)?.about().wall_ms;
            newest = newest.max(Some((wall_ms, file)));
        }
        Ok::<_, BadPart>(newest.map(|(_, file)| file))
    };
    let newest = |copies: &[Name]| newest(copies).map_err(|part| bad(part, from, true));
    match &series::last_of_each(&names)[..] {
        [] => Err(CliError::NotFound(format!("{} has no backups in it; check its name", from.display()))),
        [copies] => Ok(newest(copies)?.expect("at least one")),
        several => {
            let mut text =
                format!("{} has backups of {} workspaces; give the last file of one:", from.display(), several.len());
            for copies in several {
                let file = newest(copies)?.expect("at least one");
                let about = series::open(&file).map_err(|part| bad(part, from, true))?.about().clone();
                let shown = from.join(file.file_name().unwrap_or_default());
                text.push_str(&format!("\n  {} ({})", shown.display(), escape(&about.name)));
            }
            Err(CliError::NotFound(text))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a backup says when it was made")]
fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}
