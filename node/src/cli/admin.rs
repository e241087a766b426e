//! Commands about workspaces as a whole.

use super::{
    CliError, Console, Exit,
    args::{Json, Verify, WorkspaceCommand},
    backup, design, open,
};
use crate::show::{Column, Table, escape};
use serde_json::json;
use std::path::Path;
use tandem_actors::{Command, Handle, Node, NodeError};
use tandem_storage::{design_file::Plan, fold::Design, store::Verified};

pub(super) fn workspace(node: &Node, command: &WorkspaceCommand, console: &mut Console) -> Result<Exit, CliError> {
    match command {
        WorkspaceCommand::New { name, member, design } => {
            let file = design.as_ref().map(|design| design::read(console, Path::new(design))).transpose()?;
            if let Some(file) = &file {
                // Before there is a workspace that would have none.
                Plan::make(&Design::default(), file).map_err(CliError::design)?;
            }
            let member = member.as_ref().or(console.user.as_ref());
            let workspace = node.create_workspace(name, member.map_or("me", String::as_str))?;
            if let Some(file) = file {
                workspace.commit(Command::ApplyDesign(Box::new(file)))?;
            }
            console.line(format_args!("made workspace {} ({})", escape(name), workspace.id()))?;
        }
        WorkspaceCommand::Ls(json) => list(node, *json, console)?,
        WorkspaceCommand::Restore { from } => return backup::restore(node, from, console),
        WorkspaceCommand::Leave { workspace } => {
            let all = node.workspaces()?;
            let info = open::find(&all, workspace)?;
            node.leave(info.id)?;
            console.line(format_args!("left {}: its copy here is for reading only", escape(&info.name)))?;
        }
        WorkspaceCommand::Rm { workspace, yes } => {
            let all = node.workspaces()?;
            let info = open::find(&all, workspace)?;
            if !yes {
                return Err(CliError::Usage(format!(
                    "removing {} takes all its records off this node, and what is only here is lost; say --yes if you \
                     mean it",
                    info.name
                )));
            }
            node.remove(info.id)?;
            console.line(format_args!("removed {} from this node", escape(&info.name)))?;
        }
    }
    Ok(Exit::Success)
}

fn list(node: &Node, json: Json, console: &mut Console) -> Result<(), CliError> {
    let mut table = Table::new([Column::text("NAME"), Column::text("STATE"), Column::text("ID")]);
    for info in node.workspaces()? {
        let state = if info.left { "left, read-only" } else { "open" };
        if json.json {
            console.line(json!({ "id": info.id.to_string(), "name": info.name, "left": info.left }))?;
        } else {
            table.row([info.name.as_str(), state, &info.id.to_string()]);
        }
    }
    if json.json { Ok(()) } else { console.table(table) }
}

pub(super) fn digest(workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let digest = hex(&workspace.digest()?);
    if json.json {
        console
            .line(json!({ "workspace": workspace.id().to_string(), "digest": digest, "as_of": as_of(workspace) }))?;
    } else {
        console.line(digest)?;
    }
    Ok(Exit::Success)
}

/// The chains that the view reflects, each up to which event.
fn as_of(workspace: &Handle) -> Vec<serde_json::Value> {
    let fold = workspace.fold();
    let heads = fold.chains().filter_map(|(chain, row)| Some((chain, row.head?)));
    heads
        .map(|(chain, (seq, id))| {
            json!({ "author": chain.device.to_string(), "chain": chain.number, "seq": seq, "event": id.to_string() })
        })
        .collect()
}

pub(super) fn verify(workspace: &Handle, verify: &Verify, console: &mut Console) -> Result<Exit, CliError> {
    let found = verify_with_bar(workspace, console)?;
    if verify.rebuild {
        with_bar("rebuilding", console, |progress| workspace.rebuild_with(progress))?;
    }
    if verify.json.json {
        console.line(json!({
            "clean": found.is_clean(),
            "runs": found.runs,
            "events": found.events,
            "invalid": found.invalid,
            "held": found.held,
            "digest": hex(&found.live),
            "rebuilt": hex(&found.rebuilt),
            "bad": found.bad.iter().map(|(run, why)| json!({ "run": run, "why": why.to_string() })).collect::<Vec<_>>(),
        }))?;
    } else {
        for (run, why) in &found.bad {
            console.line(format_args!("run {run}: {why}"))?;
        }
        console.line(format_args!("{} events in {} signed runs, all signatures good", found.events, found.runs))?;
        if found.held + found.invalid > 0 {
            console.line(format_args!("{} wait for others, {} are invalid", found.held, found.invalid))?;
        }
        console.line(format_args!("view    {}", hex(&found.live)))?;
        console.line(format_args!("rebuilt {}", hex(&found.rebuilt)))?;
    }
    if found.is_clean() {
        return Ok(Exit::Success);
    }
    let text = if found.bad.is_empty() {
        "the view is not what the log says; make it anew with `tandem verify --rebuild`"
    } else {
        "the log is damaged; restore the data folder from a backup"
    };
    Err(CliError::Unsound(text.into()))
}

/// Checks all, and shows how far that is.
pub(super) fn verify_with_bar(workspace: &Handle, console: &Console) -> Result<Verified, NodeError> {
    with_bar("verifying", console, |progress| workspace.verify_with(progress))
}

/// A bar for work that tells how many events it has come to.
pub(super) fn with_bar<T>(what: &'static str, console: &Console, work: impl FnOnce(&mut dyn FnMut(u64)) -> T) -> T {
    let mut bar = console.progress(what);
    work(&mut |events| bar.advance(events.saturating_sub(bar.done())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
