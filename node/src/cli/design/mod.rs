//! `tandem design`: what a workspace is made of, as files.

mod file;
mod history;
mod outcome;
mod show;

pub(super) use file::{read, text_of};

use self::outcome::{print_outcome, table_of_differences};
use super::{
    CliError, Console, Exit,
    admin::with_bar,
    args::{DesignArgs, DesignCommand, DesignFormat, Json},
};
use crate::show::escape;
use serde_json::json;
use std::{fs, path::Path};
use tandem_actors::{Command, Committed, Handle};
use tandem_storage::{
    design_file::{DesignFile, Difference, Plan, differences, export},
    rehearsal::Reported,
};
use tandem_wire::OpRef;

pub(super) fn design(workspace: &Handle, args: &DesignArgs, console: &mut Console) -> Result<Exit, CliError> {
    match &args.command {
        None => show::show(workspace, Json { json: false }, console),
        Some(DesignCommand::Show(json)) => show::show(workspace, *json, console),
        Some(DesignCommand::Export { file, format }) => write(workspace, file.as_deref(), *format, console),
        Some(DesignCommand::Diff { file, json }) => diff(workspace, file, *json, console),
        Some(DesignCommand::Rehearse { file, json }) => rehearse(workspace, file, *json, console),
        Some(DesignCommand::Apply { file, keep_raw, json }) => {
            apply(workspace, &read(console, file)?, *keep_raw, *json, console)
        }
        Some(DesignCommand::History(json)) => history::history(workspace, *json, console),
        Some(DesignCommand::Revert { event }) => revert(workspace, event, console),
        Some(DesignCommand::Adopt { event }) => adopt(workspace, event, console),
        Some(DesignCommand::Schema) => {
            let schema = serde_json::to_string_pretty(&DesignFile::schema()).expect("plain data");
            console.line(schema)?;
            Ok(Exit::Success)
        }
    }
}

fn write(
    workspace: &Handle,
    to: Option<&Path>,
    format: Option<DesignFormat>,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let file = export(workspace.read().design());
    let text = file::text_of(&file, format.unwrap_or_else(|| file::format_of(to)));
    match to {
        None => console.text(&text)?,
        Some(to) => {
            let path = console.path(to);
            fs::write(&path, text).map_err(|error| CliError::file(&path, error))?;
            console.line(format_args!("wrote {}", escape(&to.display().to_string())))?;
        }
    }
    Ok(Exit::Success)
}

fn diff(workspace: &Handle, path: &Path, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let (file, state) = (read(console, path)?, workspace.read());
    let plan = Plan::make(state.design(), &file).map_err(CliError::design)?;
    let found = differences(state.design(), &plan.next);
    if json.json {
        for one in &found {
            let kind = format!("{:?}", one.kind).to_lowercase();
            console.line(json!({ "change": kind, "what": one.place, "how": one.what }))?;
        }
        return Ok(Exit::Success);
    }
    match found.is_empty() {
        true => console.line("the design is so already")?,
        false => console.table(table_of_differences(&found))?,
    }
    Ok(Exit::Success)
}

fn try_it(workspace: &Handle, file: &DesignFile, console: &Console) -> Result<Reported, CliError> {
    Ok(with_bar("rehearsing", console, |progress| workspace.rehearse_with(file, progress))?)
}

fn rehearse(workspace: &Handle, path: &Path, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let file = read(console, path)?;
    let reported = try_it(workspace, &file, console)?;
    print_outcome(&reported, json, console)?;
    Ok(if reported.failed > 0 { Exit::Failure } else { Exit::Success })
}

fn apply(
    workspace: &Handle,
    file: &DesignFile,
    keep_raw: bool,
    json: Json,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let state = workspace.read();
    let plan = Plan::make(state.design(), file).map_err(CliError::design)?;
    if plan.is_empty() {
        console.line("the design is so already")?;
        return Ok(Exit::Success);
    }
    let found = differences(state.design(), &plan.next);
    let proposes = workspace.proposes_designs();
    if !proposes {
        let reported = try_it(workspace, file, console)?;
        let raw: u64 = reported.broken.iter().filter(|broken| broken.is_raw()).map(|broken| broken.records).sum();
        if raw > 0 && !keep_raw {
            print_outcome(&reported, json, console)?;
            return Err(CliError::Unsound(format!(
                "nothing was changed: {raw} values do not fit their new types; put them right, or say --keep-raw: they \
                 stay as they are, and are flagged"
            )));
        }
        if reported.failed > 0 && !json.json {
            print_outcome(&reported, json, console)?;
        }
    }
    drop(state);
    let committed = workspace.commit(Command::ApplyDesign(Box::new(file.clone())))?;
    tell(&committed, &found, json, console)
}

fn revert(workspace: &Handle, event: &str, console: &mut Console) -> Result<Exit, CliError> {
    let event = history::find(workspace, event)?;
    let before = workspace.read().design().clone();
    let Some(earlier) = workspace.design_before(event)? else { unreachable!("just found") };
    let plan = Plan::back(&before, &earlier).map_err(CliError::design)?;
    if plan.is_empty() {
        console.line("the design is so already")?;
        return Ok(Exit::Success);
    }
    let committed = workspace.commit(Command::RevertDesign(event))?;
    tell(&committed, &differences(&before, &plan.next), Json { json: false }, console)
}

fn adopt(workspace: &Handle, event: &str, console: &mut Console) -> Result<Exit, CliError> {
    let event = history::find(workspace, event)?;
    let committed = workspace.commit(Command::AdoptStep(event))?;
    match committed.made {
        Some(made) => console.line(proposed(&made))?,
        None => console.line("the design is so already")?,
    }
    Ok(Exit::Success)
}

/// What is said of a proposal.
fn proposed(made: &OpRef) -> String {
    format!(
        "proposed to the members as {}; it counts when one of their nodes has rehearsed it: `tandem design history`",
        &made.tag.to_string()[..8]
    )
}

/// What was done.
fn tell(committed: &Committed, found: &[Difference], json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let events: Vec<String> = committed.events.iter().map(ToString::to_string).collect();
    if json.json {
        let proposal = committed.made.map(|made| made.tag.to_string());
        console.line(json!({ "changes": found.len(), "events": events, "proposal": proposal }))?;
        return Ok(Exit::Success);
    }
    console.table(table_of_differences(found))?;
    match committed.made {
        Some(made) => console.line(format_args!("\n{}", proposed(&made)))?,
        None => console.line(format_args!("\napplied; `tandem design revert {}` takes it back", &events[0][..12]))?,
    }
    Ok(Exit::Success)
}
