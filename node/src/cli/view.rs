//! `tandem view`: a list as one of its views shows it.

use super::{
    CliError, Console, Exit,
    args::ViewArgs,
    names,
    shown::{record_json, text_of},
};
use crate::show::{Column, Table, board, calendar, escape, gantt};
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use serde_json::json;
use std::collections::BTreeMap;
use tandem_actors::{Handle, handle::State};
use tandem_storage::{
    design_file::ViewKind,
    fold::Design,
    index::ViewDefinition,
    query::{Query, Record, Sort, SortBy, winner},
};
use tandem_wire::{ElementId, FieldId, ListId, PartPath, RecordId, Value, design::ElementKind};

/// Columns of a page where nobody has a terminal.
const WIDTH: usize = 100;

/// A view that was found.
struct Found {
    list: ListId,
    definition: ViewDefinition,
}

pub(super) fn view(workspace: &Handle, args: &ViewArgs, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let Some(name) = &args.name else { return all(design, args, console) };
    let found = find(design, name, args.list.as_deref())?;
    let records = records(workspace, &state, &found)?;
    if args.json.json {
        records.iter().try_for_each(|record| console.line(record_json(&state, found.list, record)))?;
        return Ok(Exit::Success);
    }
    let width = args.width.or_else(|| console.screen.width.map(usize::from)).unwrap_or(WIDTH);
    let text = match found.definition.kind {
        ViewKind::List => return listing(&state, &found, &records, console),
        ViewKind::Board => draw_board(&state, &found, &records, width),
        ViewKind::Calendar => draw_calendar(&state, &found, &records, width, month(args)?),
        ViewKind::Gantt => draw_gantt(&state, &found, &records, width),
    };
    console.text(&text)?;
    Ok(Exit::Success)
}

fn all(design: &Design, args: &ViewArgs, console: &mut Console) -> Result<Exit, CliError> {
    let mut table = Table::new([Column::text("LIST"), Column::text("VIEW"), Column::text("KIND")]);
    for (list, view, definition) in views(design) {
        let kind = definition.kind.name();
        match args.json.json {
            true => console.line(json!({ "list": design.name(list), "view": design.name(view), "kind": kind }))?,
            false => table.row([design.name(list), design.name(view), kind.to_owned()]),
        }
    }
    if !args.json.json {
        console.table(table)?;
    }
    Ok(Exit::Success)
}

fn views(design: &Design) -> Vec<(ListId, ElementId, ViewDefinition)> {
    let of = design.elements.iter().filter(|(_, it)| it.kind == ElementKind::View.number() && !it.is_dropped());
    let read = of.filter_map(|(id, element)| {
        let list = element.parent?.as_list();
        Some((list, *id, ViewDefinition::of(design, *id).filter(|_| design.has_list(list))?))
    });
    read.collect()
}

fn find(design: &Design, name: &str, list: Option<&str>) -> Result<Found, CliError> {
    let of = list.map(|list| names::list(design, list)).transpose()?;
    let fits = |(list, id, _): &(ListId, ElementId, ViewDefinition)| {
        design.name(*id) == name && of.is_none_or(|of| of == *list)
    };
    let mut found: Vec<_> = views(design).into_iter().filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some((list, _, definition)), true) => Ok(Found { list, definition }),
        (Some(_), false) => Err(CliError::NotFound(format!("several lists have a view {name}; say which with --list"))),
        (None, _) => {
            let known: Vec<String> = views(design).iter().map(|(_, id, _)| design.name(*id)).collect();
            Err(CliError::NotFound(format!("there is no view {name}; there are: {}", known.join(", "))))
        }
    }
}

/// The records that the view shows to who looks, in its order.
fn records(workspace: &Handle, state: &State, found: &Found) -> Result<Vec<Record>, CliError> {
    let design = state.design();
    let me = workspace.own_name();
    let condition = match found.definition.condition(design, found.list, &me) {
        None => None,
        Some(Ok(condition)) => Some(condition),
        Some(Err(error)) => {
            return Err(CliError::Unsound(format!("the filter of this view cannot be used: {error}")));
        }
    };
    let sort = found.definition.sort.as_ref().and_then(|sort| {
        let (field, part) = sort.by.path()?;
        Some(Sort { by: SortBy::Cell(field, part), descending: sort.descending })
    });
    Ok(state.list(found.list, &Query { condition, sort, ..Query::default() })?)
}

/// The fields that it shows.
fn columns(design: &Design, found: &Found) -> Vec<FieldId> {
    let chosen: Vec<FieldId> = found.definition.columns.iter().filter_map(|cell| Some(cell.path()?.0)).collect();
    if chosen.is_empty() { design.fields(found.list) } else { chosen }
}

fn listing(state: &State, found: &Found, records: &[Record], console: &mut Console) -> Result<Exit, CliError> {
    let design = state.design();
    let fields = columns(design, found);
    let table = |records: &[&Record]| {
        let heads = fields.iter().map(|field| Column::text(design.name(*field).to_uppercase()));
        let mut table = Table::new([Column::text("ID")].into_iter().chain(heads));
        for record in records {
            let cells = fields.iter().map(|field| text_of(state, &record.state, *field));
            table.row([record.id.to_string()[..8].to_owned()].into_iter().chain(cells));
        }
        table
    };
    let Some(group) = field_of(&found.definition.group) else {
        console.table(table(&records.iter().collect::<Vec<_>>()))?;
        return Ok(Exit::Success);
    };
    for (name, records) in groups(state, group, records) {
        console.line(format_args!("\n{} ({})", escape(&name), records.len()))?;
        console.table(table(&records))?;
    }
    Ok(Exit::Success)
}

fn field_of(id: &Option<String>) -> Option<FieldId> {
    id.as_ref()?.parse().ok()
}

/// Records by what they show in a field: choices in their order, even those that nothing shows.
fn groups<'r>(state: &State, field: FieldId, records: &'r [Record]) -> Vec<(String, Vec<&'r Record>)> {
    let design = state.design();
    let mut names: Vec<String> = design.choices(field).iter().map(|choice| design.name(*choice)).collect();
    let mut by_name: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for record in records {
        by_name.entry(text_of(state, &record.state, field)).or_default().push(record);
    }
    names.extend(by_name.keys().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    let called = |name: String| if name.is_empty() { "(none)".to_owned() } else { name };
    names.into_iter().map(|name| (called(name.clone()), by_name.remove(&name).unwrap_or_default())).collect()
}

/// What a record is called: its first field that shows something.
fn title(state: &State, found: &Found, record: &Record) -> String {
    let design = state.design();
    let shown = columns(design, found).into_iter().map(|field| text_of(state, &record.state, field));
    let title = shown.into_iter().find(|text| !text.is_empty());
    escape(&title.unwrap_or_else(|| record.id.to_string()[..8].to_owned())).into_owned()
}

fn draw_board(state: &State, found: &Found, records: &[Record], width: usize) -> String {
    let design = state.design();
    let group = field_of(&found.definition.group);
    let fields = columns(design, found);
    let card = |record: &&Record| {
        let lines = fields.iter().skip(1).filter(|field| Some(**field) != group).filter_map(|field| {
            let text = text_of(state, &record.state, *field);
            (!text.is_empty() && !found.definition.columns.is_empty())
                .then(|| escape(&format!("{}: {text}", design.name(*field))).into_owned())
        });
        board::Card { title: title(state, found, record), lines: lines.collect() }
    };
    let columns = group.map(|group| groups(state, group, records)).unwrap_or_default();
    let columns = columns.into_iter().map(|(title, records)| board::Column {
        title: escape(&title).into_owned(),
        cards: records.iter().map(card).collect(),
    });
    board::draw(&columns.collect::<Vec<_>>(), width)
}

/// The day that a record shows in a field.
fn day_of(record: &Record, field: Option<FieldId>) -> Option<Date> {
    match winner(&record.state, field?, &PartPath::default())? {
        Value::Date(days) => civil(days.into()),
        Value::DateTime { ms, .. } => civil(ms.div_euclid(86_400_000)),
        _no_day => None,
    }
}

fn civil(days: i64) -> Option<Date> {
    Date::constant(1970, 1, 1).checked_add(Span::new().try_days(days).ok()?).ok()
}

fn draw_calendar(state: &State, found: &Found, records: &[Record], width: usize, month: Date) -> String {
    let (start, end) = (field_of(&found.definition.start), field_of(&found.definition.end));
    let entries = records.iter().filter_map(|record| {
        let from = day_of(record, start)?;
        Some(calendar::Entry { from, to: day_of(record, end).unwrap_or(from), title: title(state, found, record) })
    });
    calendar::draw(month, &entries.collect::<Vec<_>>(), width, Some(today()))
}

fn draw_gantt(state: &State, found: &Found, records: &[Record], width: usize) -> String {
    let (start, end) = (field_of(&found.definition.start), field_of(&found.definition.end));
    let places: BTreeMap<RecordId, usize> = records.iter().enumerate().map(|(at, record)| (record.id, at)).collect();
    let after = field_of(&found.definition.after);
    let task = |record: &Record| {
        let shown = record.state.cells.iter().filter(|((field, _), _)| Some(*field) == after);
        let refers = shown.filter_map(|(_, siblings)| match siblings.first()?.value()? {
            Value::Reference { record, .. } => places.get(&record).copied(),
            _no_record => None,
        });
        gantt::Task {
            title: title(state, found, record),
            from: day_of(record, start),
            to: day_of(record, end),
            after: refers.collect(),
        }
    };
    gantt::draw(&records.iter().map(task).collect::<Vec<_>>(), width, Some(today()))
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// The month that is asked for.
fn month(args: &ViewArgs) -> Result<Date, CliError> {
    let Some(text) = &args.month else { return Ok(today()) };
    let date = Date::strptime("%Y-%m-%d", format!("{text}-01"));
    date.map_err(|_| CliError::Usage(format!("{text} is no month; write one like 2026-11")))
}
