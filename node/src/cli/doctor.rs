//! `tandem doctor`: looks at everything that a node needs, and says of each thing what is wrong and what to do.

use super::{
    Args, CliError, Console, Exit,
    args::Doctor,
    disk, open,
    remote::{self, Reached},
};
use crate::show::escape;
use serde_json::json;
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};
use tandem_actors::{Handle, Node, NodeError, WorkspaceInfo, device_key};
use tandem_storage::EngineError;

/// Below so much free disk a node stops to write.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// A journal beyond this makes the next start slow.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
/// The program is younger than this: a clock before it is wrong. 2025-01-01.
const CLOCK_MS_MIN: u64 = 1_735_689_600_000;
/// How far clocks of members may be apart before it shows in what wins.
const CLOCK_APART_MS_MAX: u64 = 5 * 60 * 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    Warn,
    Fail,
}

impl Grade {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn color(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Fail => "\x1b[31m",
        }
    }
}

pub(super) fn doctor(
    args: &Args,
    words: &[OsString],
    doctor: &Doctor,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let mut report = Report { console, is_json: doctor.json.json, worst: Grade::Ok };
    let settings = match open::settings(args) {
        Ok(settings) => settings,
        Err(error) => {
            report.say("configuration", Grade::Fail, &error.to_string())?;
            return Ok(report.exit());
        }
    };
    match &settings.file {
        Some(path) => report.say("configuration", Grade::Ok, &path.display().to_string())?,
        None => report.say("configuration", Grade::Ok, "the defaults")?,
    }
    let dir = open::data_dir(args, &settings.config)?;
    folder(&dir, &mut report)?;
    if !dir.exists() {
        return Ok(report.exit());
    }
    free_disk(&dir, &mut report)?;
    clock(&mut report)?;
    key(&dir, &mut report)?;
    journal(&dir, &mut report)?;
    match remote::reach(&dir, || open::node(args, &settings.config)) {
        Ok(Reached::Open(node)) => {
            open::tell_recovered(&node, report.console);
            let in_order = "they open, and their format is this version's";
            tables(&node, in_order, doctor.deep, &mut report)?;
        }
        Ok(Reached::Running(running)) => {
            report.say(
                "node",
                Grade::Ok,
                &format!("it runs, as process {}, and says what follows", running.process()),
            )?;
            match running.run(words, &dir, report.console)? {
                Some(Exit::Success) => {}
                Some(_) => report.worst = Grade::Fail,
                None => report.say("tables", Grade::Warn, "the node is being stopped; ask again when it has ended")?,
            }
        }
        Err(error) => report.say("tables", Grade::Fail, &what_to_do(&error))?,
    }
    Ok(report.exit())
}

/// What only the node can tell that has the folder open; the rest is looked at by whoever asks.
pub(super) fn of_running(node: &Node, doctor: &Doctor, console: &mut Console) -> Result<Exit, CliError> {
    let mut report = Report { console, is_json: doctor.json.json, worst: Grade::Ok };
    tables(node, "they are open in the node that runs", doctor.deep, &mut report)?;
    Ok(report.exit())
}

fn tables(node: &Node, in_order: &str, is_deep: bool, report: &mut Report<'_>) -> Result<(), CliError> {
    match node.recovered() {
        found if found.is_notable() => report.say("tables", Grade::Warn, &found.to_string())?,
        _in_order => report.say("tables", Grade::Ok, in_order)?,
    }
    workspaces(node, is_deep, now_ms(), report)
}

fn what_to_do(error: &CliError) -> String {
    let hint = match error {
        CliError::Node(NodeError::Engine(EngineError::Locked { .. })) => "; stop the other process, then ask again",
        _other => "",
    };
    format!("{error}{hint}")
}

struct Report<'a> {
    console: &'a mut Console,
    is_json: bool,
    worst: Grade,
}

impl Report<'_> {
    fn say(&mut self, what: &str, grade: Grade, text: &str) -> Result<(), CliError> {
        if grade == Grade::Fail || self.worst == Grade::Ok {
            self.worst = grade;
        }
        if self.is_json {
            return self.console.line(json!({ "check": what, "grade": grade.name(), "text": text }));
        }
        let (on, off) = if self.console.screen.color { (grade.color(), "\x1b[0m") } else { ("", "") };
        self.console.line(format_args!("{on}{:<4}{off}  {}: {}", grade.name(), escape(what), escape(text)))
    }

    fn exit(&self) -> Exit {
        if self.worst == Grade::Fail { Exit::Data } else { Exit::Success }
    }
}

fn folder(dir: &Path, report: &mut Report<'_>) -> Result<(), CliError> {
    let shown = dir.display();
    if !dir.exists() {
        let text = format!("{shown} is not there yet; `tandem workspace new NAME` makes it");
        return report.say("data folder", Grade::Warn, &text);
    }
    // Written and removed, as permissions alone do not tell (a disk may be mounted for reading only).
    let probe = tempfile::Builder::new().prefix("doctor").tempfile_in(dir);
    match probe {
        Ok(_) => report.say("data folder", Grade::Ok, &shown.to_string()),
        Err(error) => {
            let text = format!("{shown} cannot be written: {error}; check its owner and permissions");
            report.say("data folder", Grade::Fail, &text)
        }
    }
}

fn free_disk(dir: &Path, report: &mut Report<'_>) -> Result<(), CliError> {
    let Some(free) = disk::free(dir) else {
        return report.say("disk", Grade::Warn, "this system does not tell how much is free");
    };
    let text = disk::text(free);
    if free < FREE_BYTES_MIN {
        let needed = disk::text(FREE_BYTES_MIN);
        return report.say("disk", Grade::Fail, &format!("only {text} are free; make room, {needed} at the least"));
    }
    report.say("disk", Grade::Ok, &format!("{text} are free"))
}

/// The time by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "the doctor looks at the clock itself")]
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

fn clock(report: &mut Report<'_>) -> Result<(), CliError> {
    let now_ms = now_ms();
    let shown = super::events::when(now_ms);
    if now_ms < CLOCK_MS_MIN {
        let text = format!("{shown} UTC is before this program was made; set the machine's clock");
        return report.say("clock", Grade::Fail, &text);
    }
    report.say("clock", Grade::Ok, &format!("{shown} UTC"))
}

fn key(dir: &Path, report: &mut Report<'_>) -> Result<(), CliError> {
    match device_key::load(dir) {
        Ok(None) => report.say("device key", Grade::Warn, "there is none yet; the first workspace makes one"),
        Ok(Some(key)) if is_open_to_others(&dir.join(device_key::FILE)) => {
            let text = format!("{} can be read by other users; `chmod 600` its file", key.device());
            report.say("device key", Grade::Warn, &text)
        }
        Ok(Some(key)) => report.say("device key", Grade::Ok, &key.device().to_string()),
        Err(error) => report.say("device key", Grade::Fail, &error.to_string()),
    }
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

/// Journals are the files `*.jnl` below the data folder.
fn journal(dir: &Path, report: &mut Report<'_>) -> Result<(), CliError> {
    let mut bytes = 0;
    let mut folders: Vec<PathBuf> = vec![dir.into()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(data) if data.is_dir() => folders.push(path),
                Ok(data) if path.extension().is_some_and(|extension| extension == "jnl") => bytes += data.len(),
                Ok(_) | Err(_) => {}
            }
        }
    }
    let text = disk::text(bytes);
    if bytes > JOURNAL_BYTES_MAX {
        let text = format!("{text}, which makes starting slow; stop the node cleanly once");
        return report.say("journal", Grade::Warn, &text);
    }
    report.say("journal", Grade::Ok, &text)
}

fn workspaces(node: &Node, is_deep: bool, now_ms: u64, report: &mut Report<'_>) -> Result<(), CliError> {
    let all = match node.workspaces() {
        Ok(all) => all,
        Err(error) => return report.say("workspaces", Grade::Fail, &error.to_string()),
    };
    if all.is_empty() {
        report.say("workspaces", Grade::Ok, "there is none yet")?;
    }
    for info in all {
        let what = format!("workspace {}", info.name);
        match node.workspace(info.id) {
            Ok(workspace) => look_at(&workspace, &info, &what, now_ms, report)?,
            Err(error) => report.say(&what, Grade::Fail, &error.to_string())?,
        }
        if is_deep {
            verify(node, &info, &what, report)?;
        }
    }
    Ok(())
}

fn look_at(
    workspace: &Handle,
    info: &WorkspaceInfo,
    what: &str,
    now_ms: u64,
    report: &mut Report<'_>,
) -> Result<(), CliError> {
    let mut latest = 0;
    for run in workspace.read().last_runs(1) {
        let run = run?;
        latest = run.iter().map(|event| event.header().wall_ms).max().unwrap_or(0).max(latest);
    }
    if latest > now_ms + CLOCK_APART_MS_MAX {
        let when = super::events::when(latest);
        let text = format!(
            "its latest event is of {when} UTC, ahead of this machine's clock; set the clock, or edits made here lose \
             against older ones"
        );
        return report.say(what, Grade::Warn, &text);
    }
    let text = if info.left { "left, for reading only" } else { "it opens" };
    report.say(what, Grade::Ok, text)
}

fn verify(node: &Node, info: &WorkspaceInfo, what: &str, report: &mut Report<'_>) -> Result<(), CliError> {
    let found = node.workspace(info.id).and_then(|workspace| super::admin::verify_with_bar(&workspace, report.console));
    match found {
        Ok(found) if found.is_clean() => {
            let text = format!("{} events in {} signed runs, all as they should be", found.events, found.runs);
            report.say(what, Grade::Ok, &text)
        }
        Ok(found) if found.bad.is_empty() => {
            report.say(what, Grade::Fail, "the view is not what the log says; `tandem verify --rebuild` makes it anew")
        }
        Ok(found) => {
            let text = format!("{} runs of the log are damaged; restore a backup into a new folder", found.bad.len());
            report.say(what, Grade::Fail, &text)
        }
        Err(error) => report.say(what, Grade::Fail, &error.to_string()),
    }
}
