//! `tandem inbox` and `tandem resolve`: what somebody has to look at, and how it is put right.

use super::{
    CliError, Console, Exit,
    args::{InboxArgs, ResolveArgs},
    events::{Authors, when},
    names, refusals,
    shown::{named, place_text, text_alone, value_json},
};
use crate::{exchange::text_form, show::escape};
use serde_json::{Value as Json_, json};
use std::collections::BTreeSet;
use tandem_actors::{Change, Command, Handle, Transaction, fresh_record, handle::State};
use tandem_storage::{
    fold::{
        Design, RecordState,
        record::{Removal, Sibling},
    },
    inbox::{Entry, FailedDesign, FailedRehearsal},
    rehearsal::Broken,
};
use tandem_wire::{CellKey, EventId, EventRef, FieldId, RecordKey, Value, design::FieldType};

/// Records that are named for each rule that a design breaks.
const RECORDS_SHOWN_MAX: usize = 5;

pub(super) fn inbox(workspace: &Handle, args: &InboxArgs, console: &mut Console) -> Result<Exit, CliError> {
    let (state, json) = (workspace.read(), args.json.json);
    let (entries, authors) = (state.inbox_with(args.limit)?, Authors::of(workspace));
    let retried: BTreeSet<EventRef> = workspace.retried()?.into_iter().collect();
    let (mut is_empty, mut refusals) = (true, 0);
    for entry in entries {
        is_empty = false;
        refusals += usize::from(matches!(entry, Entry::Refused(_)));
        if refusals > args.limit {
            refusals = 0;
            let text = format!("more was refused; `tandem inbox --limit {}` shows more of it", args.limit.max(50) * 10);
            match json {
                true => console.complain(&text),
                false => console.line(text)?,
            }
            continue;
        }
        match json {
            true => console.line(entry_json(&state, &entry, &retried)?)?,
            false => show(&state, &entry, (&authors, &retried), console)?,
        }
    }
    if is_empty && !json {
        console.line("nothing to look at")?;
    }
    Ok(Exit::Success)
}

/// Who the authors are, and what is sent again by itself.
type Known<'a> = (&'a Authors, &'a BTreeSet<EventRef>);

fn show(state: &State, entry: &Entry, (authors, retried): Known<'_>, console: &mut Console) -> Result<(), CliError> {
    let design = state.design();
    let id = entry.id();
    match entry {
        Entry::Conflict { cell, siblings } => {
            let record = state.state(cell.record)?;
            let place = place_text(design, &record, cell.field, &cell.part);
            let title = title(design, cell.record, &record);
            console.line(format_args!("{id}  conflict in {}, {}", escape(&title), escape(&place)))?;
            for (index, sibling) in siblings.iter().enumerate() {
                let role = if index == 0 { "shown" } else { "kept" };
                console.line(format_args!(
                    "    {role:<5} {}  {}",
                    &sibling.stamp.event.id.to_string()[..8],
                    escape(&sibling_text(design, sibling, authors))
                ))?;
            }
        }
        Entry::DeleteLost { record, removals } => {
            let title = title(design, *record, &state.state(*record)?);
            console.line(format_args!("{id}  removed and edited side by side: {} stays", escape(&title)))?;
            for Removal { stamp, .. } in removals {
                let who = authors.name(stamp.event.chain.device);
                let event = &stamp.event.id.to_string()[..8];
                console.line(format_args!(
                    "    kept  {event}  the removal ({}, {})",
                    escape(&who),
                    when(stamp.wall_ms)
                ))?;
            }
        }
        Entry::Refused(refusal) => {
            refusals::show(state, &id.to_string(), refusal, authors, console)?;
            if retried.contains(&refusal.refused.event) {
                console.line("    is sent again by itself when that changes")?;
            }
        }
        Entry::DesignFailed(failed) => show_failed(&id.to_string(), failed, authors, console)?,
        Entry::Waiting { record, events } => {
            let title = title(design, *record, &state.state(*record)?);
            let count = events.len();
            let changes = if count == 1 { "a change waits".into() } else { format!("{count} changes wait") };
            console.line(format_args!("{id}  {changes} for the record to be made: {}", escape(&title)))?;
        }
        Entry::Held { event } => {
            console
                .line(format_args!("{id}  event {} waits for others that have not come", &event.to_string()[..8]))?;
        }
    }
    Ok(())
}

/// What does not fit, as each node that tried the design says.
fn show_failed(id: &str, failed: &FailedDesign, authors: &Authors, console: &mut Console) -> Result<(), CliError> {
    let (proposal, server) = (&failed.proposal.tag.to_string()[..8], authors.name(failed.proposal.chain.device));
    let counts = if failed.is_merged { "; it counts nevertheless: elsewhere it fitted" } else { "" };
    console.line(format_args!("{id}  design {proposal} of {} does not fit the records{counts}", escape(&server)))?;
    for FailedRehearsal { event, wall_ms, report } in &failed.failures {
        let (who, when) = (authors.name(event.chain.device), when(*wall_ms));
        let Some(report) = report else {
            console.line(format_args!("    at {} ({when}): the report cannot be read", escape(&who)))?;
            continue;
        };
        let what = format!("{} of {} records fail", report.failed, report.records);
        console.line(format_args!("    at {} ({when}): {what}", escape(&who)))?;
        for fault in &report.faults {
            console.line(format_args!("      {}", escape(fault)))?;
        }
        for Broken { list, rule, message, records, some } in &report.broken {
            let some = some.iter().take(RECORDS_SHOWN_MAX).map(|unfit| match unfit.value.is_empty() {
                true => unfit.record.chars().take(8).collect::<String>(),
                false => format!("{} {:?}", unfit.record.chars().take(8).collect::<String>(), unfit.value),
            });
            let some = some.collect::<Vec<_>>().join(", ");
            let line = format!("{list}, {rule}: {message}; {records}, as {some}");
            console.line(format_args!("      {}", escape(&line)))?;
        }
    }
    console.line("    it is gone from here when the server proposes another one")
}

fn sibling_text(design: &Design, sibling: &Sibling, authors: &Authors) -> String {
    let value = sibling.value().map_or_else(|| "(removed)".into(), |value| text_form::show(&named(design, value)));
    format!("{value} ({}, {})", authors.name(sibling.stamp.event.chain.device), when(sibling.stamp.wall_ms))
}

/// What a person knows a record by: its list and the first field that shows something.
pub(super) fn title(design: &Design, key: RecordKey, state: &RecordState) -> String {
    let fields = design.fields(key.list).into_iter().map(|field| text_alone(design, state, field));
    let first = fields.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    format!("{} {} {first}", design.name(key.list), &key.record.to_string()[..8]).trim_end().to_owned()
}

fn entry_json(state: &State, entry: &Entry, retried: &BTreeSet<EventRef>) -> Result<Json_, CliError> {
    let design = state.design();
    let id = entry.id().to_string();
    Ok(match entry {
        Entry::Conflict { cell, siblings } => {
            let record = state.state(cell.record)?;
            let sides = siblings.iter().map(|sibling| {
                json!({
                    "value": sibling.value().map_or(Json_::Null, |value| value_json(&named(design, value))),
                    "author": sibling.stamp.event.chain.device.to_string(),
                    "wall_ms": sibling.stamp.wall_ms,
                    "event": sibling.stamp.event.id.to_string(),
                })
            });
            json!({
                "id": id,
                "kind": "conflict",
                "list": design.name(cell.record.list),
                "record": cell.record.record.to_string(),
                "field": place_text(design, &record, cell.field, &cell.part),
                "siblings": sides.collect::<Vec<_>>(),
            })
        }
        Entry::DeleteLost { record, removals } => json!({
            "id": id,
            "kind": "delete-lost",
            "list": design.name(record.list),
            "record": record.record.to_string(),
            "removals": removals.iter().map(|removal| json!({
                "author": removal.stamp.event.chain.device.to_string(),
                "wall_ms": removal.stamp.wall_ms,
                "event": removal.stamp.event.id.to_string(),
            })).collect::<Vec<_>>(),
        }),
        Entry::Refused(refusal) => {
            let is_retried = retried.contains(&refusal.refused.event);
            refusals::refusal_json(state, &id, refusal, is_retried)?
        }
        Entry::DesignFailed(failed) => json!({
            "id": id,
            "kind": "design-failed",
            "proposal": failed.proposal.tag.to_string(),
            "server": failed.proposal.chain.device.to_string(),
            "merged": failed.is_merged,
            "failures": failed.failures.iter().map(|failure| json!({
                "author": failure.event.chain.device.to_string(),
                "wall_ms": failure.wall_ms,
                "event": failure.event.id.to_string(),
                "report": failure.report,
            })).collect::<Vec<_>>(),
        }),
        Entry::Waiting { record, events } => json!({
            "id": id,
            "kind": "waiting",
            "list": design.name(record.list),
            "record": record.record.to_string(),
            "events": events.iter().map(|event| event.id.to_string()).collect::<Vec<_>>(),
        }),
        Entry::Held { event } => json!({ "id": id, "kind": "held", "event": event.to_string() }),
    })
}

pub(super) fn resolve(workspace: &Handle, resolve: &ResolveArgs, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let entry = find(&state, &resolve.id)?;
    let (changes, done) = match &entry {
        Entry::Conflict { cell, siblings } => of_conflict(&state, resolve, cell, siblings)?,
        Entry::DeleteLost { record, removals } => of_removal(resolve, *record, removals)?,
        Entry::Refused(_) => {
            let text = "a server refused it: `tandem resend` sends it again, `tandem discard` gives it up, \
                        `tandem hand-on` asks somebody else";
            return Err(CliError::Usage(text.into()));
        }
        Entry::DesignFailed(_) => {
            let text = "the design does not fit the records: change these, or have the server propose another one \
                        (`tandem design apply`, there)";
            return Err(CliError::Usage(text.into()));
        }
        Entry::Waiting { .. } | Entry::Held { .. } => {
            let text = "what waits for others cannot be put right here: it goes on by itself when they come";
            return Err(CliError::Usage(text.into()));
        }
    };
    workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() }))?;
    console.line(done)?;
    Ok(Exit::Success)
}

pub(super) fn find(state: &State, text: &str) -> Result<Entry, CliError> {
    let entries = state.inbox()?.into_iter();
    let mut fitting: Vec<Entry> =
        entries.filter(|entry| text.len() >= 4 && entry.id().to_string().starts_with(text)).collect();
    match fitting.len() {
        1 => Ok(fitting.remove(0)),
        0 => Err(CliError::NotFound(format!(
            "nothing in the inbox is called {text}; `tandem inbox` shows what there is"
        ))),
        _several => Err(CliError::Usage(format!("{text} fits several; give more of the id"))),
    }
}

fn of_conflict(
    state: &State,
    resolve: &ResolveArgs,
    cell: &CellKey,
    siblings: &[Sibling],
) -> Result<(Vec<Change>, String), CliError> {
    let design = state.design();
    let winner = siblings[0].value().unwrap_or(Value::Null);
    if resolve.keep_both {
        let (copies, record) = copies(state, cell, siblings)?;
        let mut changes = vec![Change::Resolve(cell.clone(), winner)];
        changes.extend(copies);
        return Ok((changes, format!("kept both: the other value is in a record of its own now, {record}")));
    }
    let value = match (&resolve.event, &resolve.value) {
        (Some(event), _) => {
            let is_meant = |sibling: &&Sibling| is_start(event, sibling.stamp.event.id);
            let chosen = siblings.iter().find(is_meant);
            let unknown = || CliError::NotFound(format!("no value of this conflict is by an event {event}"));
            chosen.ok_or_else(unknown)?.value().unwrap_or(Value::Null)
        }
        (None, Some(text)) => {
            let ty = design.field_type(cell.field).unwrap_or(FieldType::one(tandem_wire::design::BaseType::Text));
            names::value_at(design, (cell.field, &ty), &cell.part, text)?
        }
        (None, None) => {
            return Err(CliError::Usage("say how: --use EVENT, --value VALUE or --keep-both".into()));
        }
    };
    let shown = text_form::show(&named(design, value.clone()));
    Ok((vec![Change::Resolve(cell.clone(), value)], format!("resolved: it is {} now", escape(&shown))))
}

/// A second record like the first, for each value that is not shown.
fn copies(state: &State, cell: &CellKey, siblings: &[Sibling]) -> Result<(Vec<Change>, String), CliError> {
    let record = state.state(cell.record)?;
    let (mut changes, mut names) = (Vec::new(), Vec::new());
    let mut seen = vec![siblings[0].content.clone()];
    for sibling in &siblings[1..] {
        if seen.contains(&sibling.content) {
            continue;
        }
        seen.push(sibling.content.clone());
        let key = RecordKey { list: cell.record.list, record: fresh_record() };
        changes.push(Change::Create(key));
        for ((field, part), all) in &record.cells {
            let field: FieldId = *field;
            let is_this = field == cell.field && *part == cell.part;
            let value = if is_this { sibling.value() } else { all[0].value() };
            if let Some(value) = value.filter(|value| *value != Value::Null) {
                changes.push(Change::SetRaw(CellKey { record: key, field, part: part.clone() }, value));
            }
        }
        names.push(key.record.to_string()[..8].to_owned());
    }
    Ok((changes, names.join(", ")))
}

fn of_removal(
    resolve: &ResolveArgs,
    record: RecordKey,
    removals: &[Removal],
) -> Result<(Vec<Change>, String), CliError> {
    let removes =
        resolve.event.as_ref().map(|event| removals.iter().any(|removal| is_start(event, removal.stamp.event.id)));
    match removes {
        Some(true) => Ok((vec![Change::Delete(record)], "resolved: it is removed now; its history stays".into())),
        Some(false) => Err(CliError::NotFound("no removal of this record is by that event".into())),
        None if resolve.keep_both => Ok((vec![Change::Keep(record)], "resolved: it stays".into())),
        None => Err(CliError::Usage("say how: --use EVENT removes it, --keep-both lets it stay".into())),
    }
}

fn is_start(text: &str, event: EventId) -> bool {
    text.len() >= 4 && event.to_string().starts_with(text)
}
