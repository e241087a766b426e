//! Refusals in the inbox: what a server refused and why, and what is done about it.

use super::{
    CliError, Console, Exit,
    args::{DiscardArgs, HandOnArgs, ResendArgs},
    events::{Authors, when},
    inbox::{find, title},
    names,
    shown::{named, place_text, value_json},
};
use crate::{exchange::text_form, show::escape};
use serde_json::{Value as Json_, json};
use std::sync::Arc;
use tandem_actors::{Command, Handle, command::Resend, handle::State};
use tandem_storage::{
    fold::Design,
    fold::incremental::{RefusedBy, RefusedEvent, RefusedValue},
    inbox::{Entry, Refusal},
};
use tandem_wire::{
    Act, CellKey, Event, RefusalCode, Value,
    design::{ElementKind, Property},
};

/// Steps of a refused change of the design that are told.
const STEPS_MAX: usize = 8;

pub(super) fn show(
    state: &State,
    id: &str,
    refusal: &Refusal,
    authors: &Authors,
    console: &mut Console,
) -> Result<(), CliError> {
    let (design, refused) = (state.design(), &refusal.refused);
    let what = match refused.record {
        Some(record) => title(design, record, &state.state(record)?),
        None => "the workspace".into(),
    };
    let who = authors.name(refused.event.chain.device);
    let kind = if refused.verdicts.iter().any(|by| by.masks) { "refused" } else { "refused by a mirror" };
    console.line(format_args!("{id}  {kind}: {} ({}, {})", escape(&what), escape(&who), when(refused.wall_ms)))?;
    for by in &refused.verdicts {
        let server = authors.name(by.server());
        let rule = by.text.iter().flat_map(|text| &text.blame).find(|blame| !blame.rule.is_empty());
        let rule = rule.map(|blame| format!(", rule {}", blame.rule)).unwrap_or_default();
        let message = by.text.as_ref().map_or("", |text| text.message.as_str());
        let line = format!("by {server}, {}{rule}: {message}", code_name(by.code));
        console.line(format_args!("    {} ({})", escape(&line), when(by.wall_ms)))?;
    }
    for (place, refused, present) in values(state, refused)? {
        let present = present.map_or_else(|| "nothing".into(), |value| text_form::show(&named(design, value)));
        let refused = refused.map_or_else(|| "(not here)".into(), |value| text_form::show(&named(design, value)));
        let line = format!("{place}: refused {refused}, shown {present}");
        console.line(format_args!("    {}", escape(&line)))?;
    }
    if refused.has_more {
        console.line("    …")?;
    }
    if refused.verdicts.iter().any(|by| by.code == RefusalCode::DESIGN_OWNED) {
        let step = event_of(state, refusal)?;
        for line in steps(&step).take(STEPS_MAX) {
            console.line(format_args!("    {}", escape(&line)))?;
        }
        let event = &refused.event.id.to_string()[..12];
        console.line(format_args!(
            "    on the server, `tandem design adopt {event}` takes it into the design after all"
        ))?;
    }
    if !refusal.handed_to.is_empty() {
        let names: Vec<String> = refusal.handed_to.iter().map(|member| authors.person(*member)).collect();
        console.line(format_args!("    handed to {}", escape(&names.join(", "))))?;
    }
    Ok(())
}

pub(super) fn refusal_json(state: &State, id: &str, refusal: &Refusal, is_retried: bool) -> Result<Json_, CliError> {
    let (design, refused) = (state.design(), &refusal.refused);
    let values = values(state, refused)?.into_iter().map(|(place, refused, present)| {
        let value = |value: Option<Value>| value.map_or(Json_::Null, |value| value_json(&named(design, value)));
        json!({ "field": place, "refused": value(refused), "shown": value(present) })
    });
    let verdict = |by: &RefusedBy| {
        let blame = by.text.iter().flat_map(|text| &text.blame).map(|blame| {
            json!({
                "record": blame.record.record.to_string(),
                "field": blame.field.map(|field| design.name(field)),
                "rule": blame.rule,
            })
        });
        json!({
            "server": by.server().to_string(),
            "code": code_name(by.code),
            "message": by.text.as_ref().map(|text| text.message.clone()),
            "blame": blame.collect::<Vec<_>>(),
            "wall_ms": by.wall_ms,
            "masks": by.masks,
        })
    };
    Ok(json!({
        "id": id,
        "kind": "refused",
        "event": refused.event.id.to_string(),
        "author": refused.event.chain.device.to_string(),
        "wall_ms": refused.wall_ms,
        "list": refused.record.map(|record| design.name(record.list)),
        "record": refused.record.map(|record| record.record.to_string()),
        "verdicts": refused.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "values": values.collect::<Vec<_>>(),
        "has_more_values": refused.has_more,
        "retried": is_retried,
        "handed_to": refusal.handed_to.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

/// A cell in words, what the event put there, and what is shown there now.
type Side = (String, Option<Value>, Option<Value>);

/// What a change of the design does, in words.
fn steps(event: &Event) -> impl Iterator<Item = String> {
    event.header().ops.iter().enumerate().filter_map(|(index, op)| match &op.act {
        Act::Define(define) => {
            let kind = ElementKind::from_number(define.kind).map(|kind| format!("{kind:?}").to_lowercase());
            Some(format!("a new {}", kind.unwrap_or_else(|| "element of a later version".into())))
        }
        Act::Put(put) => {
            let property = Property::from_number(put.property).map(|it| format!("{it:?}").to_lowercase())?;
            let value = event.body(index).and_then(|body| Value::decode(body).ok())?;
            Some(format!("{property}: {}", text_form::show(&value)))
        }
        _not_a_step => None,
    })
}

fn values(state: &State, refused: &RefusedEvent) -> Result<Vec<Side>, CliError> {
    let design: &Design = state.design();
    let mut values = Vec::new();
    for RefusedValue { record, field, part, value } in &refused.values {
        let record = state.state(*record)?;
        let siblings = record.cells.get(&(*field, part.clone()));
        let shown = siblings.filter(|_| record.exists()).and_then(|siblings| siblings.first()?.value());
        let shown = shown.filter(|value| *value != Value::Null);
        let sent = value.as_ref().map(|bytes| Value::decode(bytes).expect("bodies were checked"));
        values.push((place_text(design, &record, *field, part), sent, shown));
    }
    Ok(values)
}

/// A refusal's code as it is shown: by its name, where this version knows it.
pub(super) fn code_name(code: RefusalCode) -> String {
    code.name().map_or_else(|| format!("code {}", code.0), str::to_owned)
}

/// The refusal that the start of an id names.
fn refusal(state: &State, id: &str) -> Result<Box<Refusal>, CliError> {
    match find(state, id)? {
        Entry::Refused(refusal) => Ok(refusal),
        Entry::Conflict { .. }
        | Entry::DeleteLost { .. }
        | Entry::DesignFailed(_)
        | Entry::Waiting { .. }
        | Entry::Held { .. } => {
            Err(CliError::Usage(format!("{id} is no refusal; `tandem resolve` puts the others right")))
        }
    }
}

pub(super) fn resend(workspace: &Handle, resend: &ResendArgs, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let refusal = refusal(&state, &resend.id)?;
    if resend.retry_when_changed {
        workspace.retry_when_changed(refusal.refused.event)?;
        console.line("is sent again by itself when what refused it changes")?;
        return Ok(Exit::Success);
    }
    let mut values = Vec::new();
    for assignment in &resend.values {
        values.push(value_of(&state, &*event_of(&state, &refusal)?, assignment)?);
    }
    let with_dependants = !resend.alone;
    let command = Resend { event: refusal.refused.event, values, with_dependants, actor: None };
    let done = workspace.commit(Command::Resend(command))?;
    match done.events.len() {
        1 => console.line("sent again")?,
        more => console.line(format_args!("sent again, with {} changes that need it", more - 1))?,
    }
    Ok(Exit::Success)
}

/// The refused event itself.
fn event_of(state: &State, refusal: &Refusal) -> Result<Arc<Event>, CliError> {
    Ok(state.event(&refusal.refused.event)?.expect("a refused event is here").event)
}

/// `FIELD=VALUE`, of the record that a refused event is about.
fn value_of(state: &State, event: &Event, assignment: &str) -> Result<(CellKey, Value), CliError> {
    let design = state.design();
    let usage = || CliError::Usage(format!("{assignment:?} is no FIELD=VALUE"));
    let (place, text) = assignment.split_once('=').ok_or_else(usage)?;
    let records: Vec<_> = event.header().ops.iter().filter_map(|op| op.target.record()).collect();
    let Some(record) = records.first().copied() else {
        return Err(CliError::Usage("the refused event is about no record".into()));
    };
    if records.iter().any(|other| *other != record) {
        let text = "the refused event is about several records: put it right with `tandem set`, then discard it";
        return Err(CliError::Usage(text.into()));
    }
    let place = names::place(design, record.list, place.trim())?;
    let sent = event.header().ops.iter().filter_map(|op| op.target.cell()).find(|cell| cell.field == place.field);
    let ty = design.field_type(place.field);
    let Some(ty) = ty else { return Err(usage()) };
    let part = match sent {
        Some(cell) if place.element.is_none() && place.part.is_none() => cell.part.clone(),
        _other => place.path(design, &state.state(record)?, [0; 6])?,
    };
    let value = names::value_at(design, (place.field, &ty), &part, text)?;
    Ok((CellKey { record, field: place.field, part }, value))
}

pub(super) fn discard(workspace: &Handle, discard: &DiscardArgs, console: &mut Console) -> Result<Exit, CliError> {
    let refusal = refusal(&workspace.read(), &discard.id)?;
    workspace.commit(Command::Discard(refusal.refused.event))?;
    console.line("given up: it is off every member's inbox, and stays in the history")?;
    Ok(Exit::Success)
}

pub(super) fn hand_on(workspace: &Handle, hand_on: &HandOnArgs, console: &mut Console) -> Result<Exit, CliError> {
    let refusal = refusal(&workspace.read(), &hand_on.id)?;
    let to = super::members::person(workspace, &hand_on.to)?;
    workspace.commit(Command::HandOn { event: refusal.refused.event, to })?;
    console.line(format_args!("handed to {}", escape(&hand_on.to)))?;
    Ok(Exit::Success)
}
