//! `tandem undo`: takes one's own changes back, an import as a whole or one event.

use super::{CliError, Console, Exit, args::UndoArgs, shown::step_text};
use crate::show::escape;
use serde_json::json;
use std::collections::BTreeSet;
use tandem_actors::{Handle, UndoOf, Undone, handle::State, undo::Kept};
use tandem_storage::fold::Design;

/// Things left as they are that a person is shown.
const KEPT_SHOWN: usize = 10;

pub(super) fn undo(workspace: &Handle, undo: &UndoArgs, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let of = what(&state, &undo.what)?;
    let mut progress = console.progress("undoing");
    let undone = workspace.undo_with(of, &mut |so_far| {
        let done = so_far.cells + so_far.deleted + so_far.restored;
        progress.advance(done.saturating_sub(progress.done()));
    })?;
    drop(progress);
    if undo.json.json {
        console.line(undone_json(state.design(), &undone))?;
    } else {
        report(state.design(), &undone, console)?;
    }
    let is_left = undone.is_nothing() && undone.kept_count > 0;
    Ok(if is_left { Exit::Failure } else { Exit::Success })
}

fn report(design: &Design, undone: &Undone, console: &mut Console) -> Result<(), CliError> {
    let Undone { batch, cells, deleted, restored, kept, kept_count } = undone;
    if undone.is_nothing() {
        console.line("nothing was there to take back")?;
    } else {
        console.line(format_args!("removed {deleted} records, brought {restored} back, put {cells} values back"))?;
    }
    if *kept_count > 0 {
        console.line(format_args!("{kept_count} were left as they are:"))?;
    }
    for kept in kept.iter().take(KEPT_SHOWN) {
        console.line(format_args!("  {}: {}", escape(&place(design, kept)), escape(&kept.why.to_string())))?;
    }
    if *kept_count > KEPT_SHOWN as u64 {
        console.line("  …; --json lists more of them")?;
    }
    if undone.is_nothing() {
        return Ok(());
    }
    console.line(format_args!("batch {batch}; `tandem undo {batch}` takes that back"))
}

fn place(design: &Design, kept: &Kept) -> String {
    let list = design.name(kept.record.list);
    let record = &kept.record.record.to_string()[..8];
    match &kept.cell {
        None => format!("{list} {record}"),
        Some(cell) => {
            let part: Vec<String> = cell.part.steps().map(step_text).collect();
            let dot = if part.is_empty() { "" } else { "." };
            format!("{list} {record} {}{dot}{}", design.name(cell.field), part.join("."))
        }
    }
}

fn undone_json(design: &Design, undone: &Undone) -> serde_json::Value {
    let kept = |kept: &Kept| {
        json!({
            "list": design.name(kept.record.list),
            "record": kept.record.record.to_string(),
            "field": kept.cell.as_ref().map(|cell| design.name(cell.field)),
            "part": kept.cell.as_ref().map(|cell| cell.part.steps().map(step_text).collect::<Vec<_>>()),
            "why": kept.why.to_string(),
        })
    };
    json!({
        "batch": undone.batch.to_string(),
        "values": undone.cells,
        "removed": undone.deleted,
        "restored": undone.restored,
        "left": undone.kept_count,
        "kept": undone.kept.iter().map(kept).collect::<Vec<_>>(),
    })
}

/// The batch or event with this id, or the only one whose id starts like this.
fn what(state: &State, text: &str) -> Result<UndoOf, CliError> {
    if let Ok(batch) = text.parse() {
        return Ok(UndoOf::Batch(batch));
    }
    if let Ok(event) = text.parse() {
        return Ok(UndoOf::Event(event));
    }
    let start = text.to_ascii_lowercase();
    if start.len() < 4 || !start.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(CliError::Usage(format!(
            "{text} is no batch and no event; an import prints its batch, `tandem history` and `tandem log` show events"
        )));
    }
    let (mut batches, mut events) = (BTreeSet::new(), BTreeSet::new());
    for entry in state.log() {
        let (event, _) = entry?;
        batches.extend(event.header().batch.filter(|batch| batch.to_string().starts_with(&start)));
        if event.id().to_string().starts_with(&start) {
            events.insert(event.id());
        }
    }
    match (batches.len() + events.len(), batches.first(), events.first()) {
        (1, Some(batch), _) => Ok(UndoOf::Batch(*batch)),
        (1, _, Some(event)) => Ok(UndoOf::Event(*event)),
        (0, ..) => Err(CliError::NotFound(format!("no batch and no event of this workspace starts with {text}"))),
        _several => Err(CliError::Usage(format!("several batches and events start with {text}; give more digits"))),
    }
}
