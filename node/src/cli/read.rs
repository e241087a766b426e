//! Commands that show.

use super::{
    CliError, Console, Exit,
    args::{Get, Json, Log, OneRecord},
    events::{Authors, changes, event_json, summary, when},
    names,
    shown::{named, place_text, record_json, text_of},
};
use crate::{
    exchange::text_form,
    show::{Column, Table, escape},
};
use serde_json::json;
use std::collections::VecDeque;
use tandem_actors::{Handle, Refused, handle::State};
use tandem_storage::{
    filter::title,
    fold::{Design, incremental::Look, record::is_conflict},
    query::Backlink,
};
use tandem_wire::{FieldId, ListId, RecordKey, design::BaseType};

pub(super) fn lists(workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let mut table = Table::new([Column::text("LIST"), Column::number("RECORDS"), Column::text("FIELDS")]);
    let mut lists: Vec<ListId> = design.lists().collect();
    lists.sort_by_key(|list| design.name(*list));
    for list in lists {
        let records = state.count(list)?;
        let fields = design.fields(list);
        if json.json {
            let fields: Vec<_> = fields.iter().map(|field| field_json(design, *field)).collect();
            console.line(
                json!({ "id": list.to_string(), "list": design.name(list), "records": records, "fields": fields }),
            )?;
        } else {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{} ({})", design.name(*field), type_text(design, *field))).collect();
            table.row([design.name(list), records.to_string(), fields.join(", ")]);
        }
    }
    if !json.json {
        console.table(table)?;
    }
    Ok(Exit::Success)
}

fn field_json(design: &Design, field: FieldId) -> serde_json::Value {
    let mut shown = json!({ "name": design.name(field), "type": type_text(design, field) });
    let choices = design.choices(field);
    if !choices.is_empty() {
        shown["choices"] = choices.into_iter().map(|choice| design.name(choice)).collect();
    }
    shown
}

fn type_text(design: &Design, field: FieldId) -> String {
    let Some(ty) = design.field_type(field) else { return "newer version needed".into() };
    let base = ty.base().map_or("newer version needed", BaseType::name);
    if ty.many { format!("{base}, many") } else { base.into() }
}

pub(super) fn get(workspace: &Handle, get: &Get, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let list = names::list(design, &get.one.list)?;
    let key = names::record(&state, list, &get.one.record)?;
    let unknown = || Refused::UnknownRecord { list: design.name(list), record: key };
    let record = state.record(key)?.ok_or_else(unknown)?;
    let backlinks = if get.backlinks { state.backlinks(key)? } else { Vec::new() };
    if get.one.json.json {
        let mut json = record_json(&state, list, &record);
        if get.backlinks {
            json["backlinks"] = backlinks.iter().map(|backlink| backlink_json(design, backlink)).collect();
        }
        console.line(json)?;
        return Ok(Exit::Success);
    }
    let authors = Authors::of(workspace);
    let mut table = Table::new([Column::text("FIELD"), Column::text("VALUE")]);
    table.row(["id", &key.record.to_string()]);
    for field in design.fields(list) {
        let text = text_of(&state, &record.state, field);
        if !text.is_empty() {
            table.row([design.name(field), text]);
        }
    }
    console.table(table)?;
    for ((field, part), siblings) in record.state.cells.iter().filter(|(_, siblings)| is_conflict(siblings)) {
        let place = place_text(design, &record.state, *field, part);
        console.line(format_args!("\nconflict in {}:", escape(&place)))?;
        for (index, sibling) in siblings.iter().enumerate() {
            let value =
                sibling.value().map_or_else(|| "(removed)".into(), |value| text_form::show(&named(design, value)));
            let author = authors.name(sibling.stamp.event.chain.device);
            let role = if index == 0 { "shown" } else { "kept" };
            let when = when(sibling.stamp.wall_ms);
            console.line(format_args!("  {role}: {} ({}, {when})", escape(&value), escape(&author)))?;
        }
    }
    if get.backlinks {
        show_backlinks(&state, &backlinks, console)?;
    }
    Ok(Exit::Success)
}

fn backlink_json(design: &Design, backlink: &Backlink) -> serde_json::Value {
    json!({
        "list": design.name(backlink.list),
        "field": design.name(backlink.field),
        "id": backlink.record.to_string(),
    })
}

/// The records that refer to one, by what they are called.
fn show_backlinks(state: &State, backlinks: &[Backlink], console: &mut Console) -> Result<(), CliError> {
    if backlinks.is_empty() {
        console.line("\nnothing refers to it")?;
        return Ok(());
    }
    let design = state.design();
    console.line("\nreferred to by:")?;
    let mut table =
        Table::new([Column::text("LIST"), Column::text("FIELD"), Column::text("ID"), Column::text("RECORD")]);
    for Backlink { list, field, record } in backlinks {
        let found = state.record(RecordKey { list: *list, record: *record })?;
        let called = title(design, *list).zip(found).map(|(title, found)| text_of(state, &found.state, title));
        let id = record.to_string()[..8].to_owned();
        table.row([design.name(*list), design.name(*field), id, called.unwrap_or_default()]);
    }
    console.table(table)
}

pub(super) fn history(workspace: &Handle, history: &OneRecord, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let list = names::list(design, &history.list)?;
    let key = names::record(&state, list, &history.record)?;
    let entries = state.history(key)?;
    if entries.is_empty() {
        return Err(Refused::UnknownRecord { list: design.name(list), record: key }.into());
    }
    if history.json.json {
        for entry in &entries {
            let mut json = event_json(&entry.event, false);
            json["state"] = json!(look_text(entry.look));
            if let Some(map) = json.as_object_mut() {
                map.remove("signed");
            }
            console.line(json)?;
        }
        return Ok(Exit::Success);
    }
    let authors = Authors::of(workspace);
    let shown = state.state(key)?;
    let mut table =
        Table::new([Column::text("WHEN (UTC)"), Column::text("WHO"), Column::text("WHAT"), Column::text("EVENT")]);
    for entry in &entries {
        let header = entry.event.header();
        for (index, line) in changes(design, &shown, &entry.event, key).iter().enumerate() {
            let masked = entry.look.is_some_and(|look| !look.live);
            let line = if masked { format!("({}) {line}", look_text(entry.look)) } else { line.clone() };
            let first = |text: String| if index == 0 { text } else { String::new() };
            let id = entry.event.id().to_string()[..8].to_owned();
            table.row([first(when(header.wall_ms)), first(authors.name(header.chain.device)), line, first(id)]);
        }
    }
    console.table(table)?;
    Ok(Exit::Success)
}

fn look_text(look: Option<Look>) -> &'static str {
    match look {
        Some(look) if look.live => "live",
        Some(look) if look.refused => "refused",
        Some(_) => "masked",
        None => "held",
    }
}

pub(super) fn log(workspace: &Handle, log: &Log, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let limit = log.limit.unwrap_or(usize::MAX);
    let mut newest = VecDeque::new();
    for entry in state.log() {
        let entry = entry?;
        if log.limit.is_none() && log.json.json {
            console.line(event_json(&entry.0, entry.1))?;
            continue;
        }
        if newest.len() == limit {
            newest.pop_front();
        }
        newest.push_back(entry);
    }
    if log.json.json {
        for (event, signed) in newest.iter().take(limit) {
            console.line(event_json(event, *signed))?;
        }
        return Ok(Exit::Success);
    }
    let authors = Authors::of(workspace);
    let mut table = Table::new([
        Column::text("WHEN (UTC)"),
        Column::text("WHO"),
        Column::text("CHAIN"),
        Column::number("SEQ"),
        Column::text("WHAT"),
        Column::text("EVENT"),
        Column::text("SIGNED"),
    ]);
    for (event, signed) in newest.iter().take(limit) {
        let header = event.header();
        table.row([
            when(header.wall_ms),
            authors.name(header.chain.device),
            if header.chain.is_control() { "control" } else { "data" }.to_owned(),
            header.seq.to_string(),
            summary(design, event),
            event.id().to_string()[..8].to_owned(),
            if *signed { "here" } else { "with the next" }.to_owned(),
        ]);
    }
    console.table(table)?;
    Ok(Exit::Success)
}
