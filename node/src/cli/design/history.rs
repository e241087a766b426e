//! Who changed the design, and the way back.

use super::{
    super::{
        CliError, Console, Exit,
        args::Json,
        events::{Authors, when},
    },
    outcome::print_outcome,
};
use crate::show::{Column, Table, escape};
use serde_json::json;
use std::sync::Arc;
use tandem_actors::Handle;
use tandem_storage::{fold::Design, rehearsal::Reported};
use tandem_wire::{Act, Event, EventId, OpRef};

/// An event that has to do with the design.
struct Line {
    event: Arc<Event>,
    what: String,
    report: Option<Reported>,
}

pub fn history(workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let (fold, authors) = (workspace.fold(), Authors::of(workspace));
    let design = fold.design();
    let mut lines: Vec<Line> = fold.control().filter_map(|control| line_of(design, &control.event)).collect();
    lines.sort_by_key(|line| (line.event.header().lamport, line.event.id()));
    let mut table = Table::new([Column::text("EVENT"), Column::text("WHEN"), Column::text("BY"), Column::text("WHAT")]);
    for Line { event, what, report } in &lines {
        let by = authors.name(event.header().chain.device);
        if json.json {
            console.line(json!({
                "event": event.id().to_string(),
                "wall_ms": event.header().wall_ms,
                "by": by,
                "what": what,
                "report": report,
            }))?;
            continue;
        }
        table.row([&event.id().to_string()[..12], &when(event.header().wall_ms), &by, what.as_str()]);
    }
    if json.json {
        return Ok(Exit::Success);
    }
    console.table(table)?;
    if let Some(Line { report: Some(report), what, .. }) = lines.iter().rev().find(|line| line.report.is_some()) {
        console.line(format_args!("\n{}:", escape(what)))?;
        print_outcome(report, json, console)?;
    }
    Ok(Exit::Success)
}

fn line_of(design: &Design, event: &Arc<Event>) -> Option<Line> {
    let (mut steps, mut losing, mut told, mut report) = (0, 0, None, None);
    for (index, op) in event.header().ops.iter().enumerate() {
        match &op.act {
            Act::Define(_) | Act::Put(_) => {
                steps += 1;
                losing += usize::from(design.losing.contains(&event.op_ref(index as u16)));
            }
            Act::DesignProposed(_) => {
                let here = event.op_ref(index as u16);
                told = Some(format!("proposed {}: {}", name(&here), state_of(design, &here)));
            }
            Act::DesignMerged(rehearsed) => told = Some(format!("merged {}", name(&rehearsed.proposal))),
            Act::DesignFailed(rehearsed) => {
                told = Some(format!("rehearsed {}, and it failed", name(&rehearsed.proposal)));
                report = event.body(index).and_then(Reported::from_bytes);
            }
            _something_else => {}
        }
    }
    let what = told.or_else(|| {
        let lost = if losing > 0 { format!(", of which {losing} lost to others") } else { String::new() };
        (steps > 0).then(|| format!("{steps} steps{lost}"))
    })?;
    Some(Line { event: event.clone(), what, report })
}

/// Enough of a proposal to find it by.
fn name(proposal: &OpRef) -> String {
    proposal.tag.to_string()[..8].to_owned()
}

fn state_of(design: &Design, proposal: &OpRef) -> &'static str {
    match design.proposals.get(proposal) {
        Some(state) if state.merged.is_some() => "merged",
        Some(state) if !state.failed.is_empty() => "failed",
        Some(_) if design.newer_than(proposal).next().is_some() => "superseded",
        Some(_) => "open",
        None => "void",
    }
}

/// The event of the design's history whose id begins like this.
pub fn find(workspace: &Handle, event: &str) -> Result<EventId, CliError> {
    let fold = workspace.fold();
    let ids = fold.control().map(|control| control.event.id());
    let found: Vec<EventId> = ids.filter(|id| id.to_string().starts_with(event)).collect();
    match found.as_slice() {
        [found] => Ok(*found),
        [] => Err(CliError::NotFound(format!(
            "there is no event {event}; `tandem design history` shows those that there are"
        ))),
        _several => Err(CliError::NotFound(format!("several events begin with {event}; write more of it"))),
    }
}
