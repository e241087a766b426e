//! `tandem ls`: the records of a list.

use super::{
    CliError, Console, Exit,
    args::Ls,
    names,
    shown::{named, record_json, text_of},
};
use crate::{
    exchange::text_form,
    show::{Column, Table},
};
use serde_json::json;
use tandem_actors::{Handle, handle::State};
use tandem_storage::{
    filter::Scope,
    fold::Design,
    query::{Condition, Page, Query, Record, Sort, SortBy, Start, flags},
};
use tandem_wire::{
    FieldId, ListId, PartPath, Value,
    design::{BaseType, FieldType},
};

pub(super) fn ls(workspace: &Handle, ls: &Ls, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let list = names::list(design, &ls.list)?;
    let asked = Asked::of(design, list, ls)?;
    if let Some(field) = &ls.group {
        return group(&state, list, &asked, field, ls.json.json, console);
    }
    let page = asked.select(&state, list)?;
    if ls.json.json {
        page.rows.iter().try_for_each(|record| console.line(record_json(&state, list, record)))?;
        return match &page.next {
            Some(next) => console.line(json!({ "next": next.to_string() })).map(|()| Exit::Success),
            None => Ok(Exit::Success),
        };
    }
    console.table(table(&state, list, &page.rows, ls)?)?;
    if page.undecided > 0 {
        console.line(format_args!("\n{} records left out: the condition is too costly on them", page.undecided))?;
    }
    if let Some(next) = &page.next {
        console.line(format_args!("\nmore with --cursor {next}"))?;
    }
    Ok(Exit::Success)
}

fn table(state: &State, list: ListId, records: &[Record], ls: &Ls) -> Result<Table, CliError> {
    let design = state.design();
    let chosen: Vec<FieldId> =
        ls.fields.iter().map(|name| names::field(design, list, name.trim())).collect::<Result<_, _>>()?;
    let is_used = |field: &FieldId| records.iter().any(|record| !text_of(state, &record.state, *field).is_empty());
    let fields = match chosen.is_empty() {
        true => design.fields(list).into_iter().filter(is_used).collect(),
        false => chosen,
    };
    let mut columns = vec![Column::text("ID")];
    columns.extend(fields.iter().map(|field| column(design, *field)));
    let flagged = records.iter().any(|record| !flags(design, list, &record.state).is_empty());
    columns.extend(flagged.then(|| Column::text("FLAGS")));
    let mut table = Table::new(columns);
    for record in records {
        let mut cells = vec![record.id.to_string()[..8].to_owned()];
        cells.extend(fields.iter().map(|field| text_of(state, &record.state, *field)));
        cells.extend(flagged.then(|| flags(design, list, &record.state).join(", ")));
        table.row(cells);
    }
    Ok(table)
}

fn column(design: &Design, field: FieldId) -> Column {
    let base = design.field_type(field).filter(|ty| !ty.many).and_then(|ty| ty.base());
    let name = design.name(field).to_uppercase();
    match base {
        Some(BaseType::Int | BaseType::Decimal | BaseType::Float) => Column::number(name),
        _other => Column::text(name),
    }
}

/// How many records show each value of a field, most first.
fn group(
    state: &State,
    list: ListId,
    asked: &Asked,
    field: &str,
    is_json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let design = state.design();
    let by = sort_by(design, list, field)?;
    let title = match &by {
        SortBy::Cell(field, part) if part.is_empty() => design.name(*field),
        _of_a_part => field.to_owned(),
    };
    let groups = state.group(list, &asked.query, &by)?;
    let shown =
        |(value, count): (Option<Value>, u64)| (text_form::show(&named(design, value.unwrap_or(Value::Null))), count);
    let mut counts: Vec<(String, u64)> = groups.into_iter().map(shown).collect();
    counts.truncate(asked.query.limit.unwrap_or(usize::MAX));
    if is_json {
        let line = |(value, count): &(String, u64)| json!({ "value": value, "records": count });
        counts.iter().try_for_each(|group| console.line(line(group)))?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new([Column::text(title.to_uppercase()), Column::number("RECORDS")]);
    counts.iter().for_each(|(value, count)| table.row([value.as_str(), &count.to_string()]));
    console.table(table)?;
    Ok(Exit::Success)
}

/// What is asked for.
struct Asked {
    query: Query,
}

impl Asked {
    fn of(design: &Design, list: ListId, ls: &Ls) -> Result<Self, CliError> {
        let mut query = Query { limit: ls.limit, ..Query::default() };
        let mut conditions = Vec::new();
        for text in &ls.filters {
            match equality(design, list, text) {
                Some(equality) => query.filters.push(equality?),
                None => conditions.push((text.as_str(), condition(design, list, text)?)),
            }
        }
        query.condition = match conditions.as_slice() {
            [] => None,
            [(_, one)] => Some(one.clone()),
            many => {
                let all: Vec<String> = many.iter().map(|(text, _)| format!("({text})")).collect();
                Some(condition(design, list, &all.join(" && "))?)
            }
        };
        query.sort = ls.sort.as_deref().map(|text| sort(design, list, text)).transpose()?;
        if let Some(text) = &ls.cursor {
            let bad = |why: tandem_storage::query::BadCursor| CliError::Usage(why.to_string());
            let cursor: tandem_storage::query::Cursor = text.parse().map_err(bad)?;
            cursor.check(list, &query).map_err(bad)?;
            query.start = Start::After(cursor);
        }
        Ok(Self { query })
    }

    fn select(&self, state: &State, list: ListId) -> Result<Page<Record>, CliError> {
        Ok(state.page(list, &self.query)?)
    }
}

fn condition(design: &Design, list: ListId, text: &str) -> Result<Condition, CliError> {
    Condition::parse(text, &Scope::with_related(design, list))
        .map_err(|error| CliError::Filter { message: error.message.clone(), place: error.caret(text) })
}

/// `FIELD=VALUE`, which CEL has no use for; none where it is CEL.
fn equality(design: &Design, list: ListId, text: &str) -> Option<Result<(FieldId, PartPath, Value), CliError>> {
    let (place, value) = text.split_once('=').filter(|(_, value)| !value.starts_with('='))?;
    names::place(design, list, place).ok()?;
    Some(plain_place(design, list, place).and_then(|(field, part, ty)| {
        let value = names::value_at(design, (field, &ty), &part, value)?;
        Ok((field, part, value))
    }))
}

fn sort(design: &Design, list: ListId, text: &str) -> Result<Sort, CliError> {
    let (name, descending) = match text.rsplit_once(':') {
        Some((name, "desc")) => (name, true),
        Some((name, "asc")) => (name, false),
        _no_direction => (text, false),
    };
    Ok(Sort { by: sort_by(design, list, name)?, descending })
}

/// A field, a part of it, what a record shows that it refers to, or when a record was made or changed.
fn sort_by(design: &Design, list: ListId, name: &str) -> Result<SortBy, CliError> {
    let told = SortBy::parse(name, &Scope::with_related(design, list));
    // Behind references the dots are a filter's; else they are as everywhere on the command line.
    if let Ok(by @ SortBy::Through(_)) = &told {
        return Ok(by.clone());
    }
    Ok(match (name, plain_place(design, list, name)) {
        (_, Ok((field, part, _))) => SortBy::Cell(field, part),
        ("created", Err(_)) => SortBy::Created,
        ("modified", Err(_)) => SortBy::Modified,
        (_, Err(error)) => match told {
            // Of a name with dots the filter knows more.
            Err(why) if name.contains('.') => {
                return Err(CliError::Filter { message: why.message.clone(), place: why.caret(name) });
            }
            _plain => return Err(error),
        },
    })
}

/// A field, or a part of a field that has one value.
fn plain_place(design: &Design, list: ListId, text: &str) -> Result<(FieldId, PartPath, FieldType), CliError> {
    let place = names::place(design, list, text)?;
    let name = design.name(place.field);
    let ty = design.field_type(place.field).unwrap_or(FieldType::one(BaseType::Text));
    if ty.many {
        return Err(CliError::Usage(format!("{name} holds several values; choose a field that holds one")));
    }
    let part = place.path(design, &Default::default(), [0; 6])?;
    Ok((place.field, part, ty))
}
