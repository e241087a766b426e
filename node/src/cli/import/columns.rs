//! How the columns of a table are read: as they look, as the list has them, or as the command line says.

use super::{
    super::{CliError, args::Import, names},
    existing_list,
};
use crate::exchange::{
    Column,
    csv_infer::{CHOICES_MAX, Seen, Unreadable, readable_names},
    csv_read::CsvFile,
    date_form::DateForm,
    reading::{Many, Reading},
};
use std::io::{Read, Seek};
use tandem_actors::Handle;
use tandem_wire::design::{BaseType, FieldType};

/// Settles the reading of each column. Gives the choices that fields need, by column.
pub(super) fn settle<R: Read + Seek>(
    workspace: &Handle,
    list: &str,
    table: &mut CsvFile<R>,
    import: &Import,
) -> Result<Vec<(usize, Vec<String>)>, CliError> {
    let asked = asked(table, &import.types)?;
    let mut choices = Vec::new();
    for index in 0..table.columns().len() {
        let column = &table.columns()[index];
        let present = present_type(workspace, list, &column.name);
        let wish = asked.iter().find(|(at, _)| *at == index).map(|(_, wish)| *wish);
        if let (Some(wish), Some(present)) = (wish, &present)
            && !wish.is(present)
        {
            return Err(CliError::Usage(format!(
                "field {} of list {list} holds {}, which an import does not change; leave --type {} out, or import into \
                 another list with --list",
                column.name,
                present.describe(),
                column.name
            )));
        }
        let mark = table.mark();
        let wish = wish.or_else(|| Some(Wish::of(present.as_ref()?)));
        let reading = match wish {
            None => Ok(column.reading),
            Some(Wish::Date(form)) => Ok(Reading::Date(form)),
            Some(Wish::Many(base)) => Ok(Reading::Parts(base, Many::Many)),
            // What the list holds besides plain values an import leaves as text.
            Some(Wish::Base(base)) => match column.seen.reading_as(base, mark) {
                Err(Unreadable::NotPlain) if present.is_some() => Ok(Reading::Text),
                reading => reading,
            },
        };
        let reading = reading.map_err(|why| unreadable(&column.name, why))?;
        if reading == Reading::Choice {
            let is_asked = present.is_none();
            choices.extend(needed_choices(&column.name, &column.seen, is_asked)?.map(|names| (index, names)));
        }
        table.set_reading(index, reading);
    }
    Ok(choices)
}

/// All texts of a column that becomes a field of choices. Of one that is there already new ones are added only while
/// they are few; else they are kept as they are, flagged.
fn needed_choices(name: &str, seen: &Seen, is_new: bool) -> Result<Option<Vec<String>>, CliError> {
    match seen.choices() {
        Ok(names) if is_new || names.len() <= CHOICES_MAX => Ok(Some(names)),
        Err(why) if is_new => Err(unreadable(name, why)),
        Ok(_) | Err(_) => Ok(None),
    }
}

fn unreadable(name: &str, why: Unreadable) -> CliError {
    CliError::Usage(format!("column {name} cannot be read so: {why}"))
}

fn present_type(workspace: &Handle, list: &str, field: &str) -> Option<FieldType> {
    let list = existing_list(workspace, list)?;
    let state = workspace.read();
    let design = state.design();
    let field = names::field(design, list, field).ok()?;
    design.field_type(field).filter(|ty| ty.base().is_some())
}

/// A type as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Base(BaseType),
    Many(BaseType),
    Date(DateForm),
}

impl Wish {
    fn of(ty: &FieldType) -> Self {
        let base = ty.base().unwrap_or(BaseType::Text);
        if ty.many { Self::Many(base) } else { Self::Base(base) }
    }

    fn is(self, ty: &FieldType) -> bool {
        match self {
            Self::Date(_) => Self::of(ty) == Self::Base(BaseType::Date),
            other => other == Self::of(ty),
        }
    }
}

fn asked<R: Read + Seek>(table: &CsvFile<R>, types: &[String]) -> Result<Vec<(usize, Wish)>, CliError> {
    let columns: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
    types.iter().map(|text| wish(&columns, table, text)).collect()
}

fn wish<R: Read + Seek>(columns: &[&str], table: &CsvFile<R>, text: &str) -> Result<(usize, Wish), CliError> {
    let (name, ty) = text
        .rsplit_once('=')
        .ok_or_else(|| CliError::Usage(format!("--type {text} is no COLUMN=TYPE, such as --type elevation=int")))?;
    let index = column(columns, name)?;
    let seen = &table.columns()[index].seen;
    let of_order = |form| Ok((index, Wish::Date(day_form(seen, form))));
    let ty = match ty {
        "date:dmy" => return of_order(DateForm::DaySlash),
        "date:mdy" => return of_order(DateForm::MonthSlash),
        ty => ty,
    };
    let (name, wish): (&str, fn(BaseType) -> Wish) = match ty.strip_prefix("many ") {
        Some(name) => (name, Wish::Many),
        None => (ty, Wish::Base),
    };
    match BaseType::named(name).filter(|base| seen.reading_as(*base, None) != Err(Unreadable::NotPlain)) {
        Some(base) => Ok((index, wish(base))),
        None => {
            let known = readable_names();
            Err(CliError::Usage(format!("there is no type {name} for columns; the types are: {known}")))
        }
    }
}

/// Days with the asked order, in the form that most of the texts have.
fn day_form(seen: &Seen, asked: DateForm) -> DateForm {
    match (asked, seen.reading_as(BaseType::Date, None)) {
        (DateForm::DaySlash, Ok(Reading::Date(form @ (DateForm::DayDot | DateForm::DayDash)))) => form,
        (asked, _) => asked,
    }
}

/// The column that holds the keys.
pub(super) fn key(columns: &[Column], name: &str) -> Result<usize, CliError> {
    column(&columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), name)
}

fn column(columns: &[&str], name: &str) -> Result<usize, CliError> {
    columns.iter().position(|column| *column == name).ok_or_else(|| {
        CliError::Usage(format!("the file has no column {name}; its columns are: {}", columns.join(", ")))
    })
}

/// Cards and calendars say themselves what they hold, and have keys of their own.
pub(super) fn none_for_fixed(import: &Import, what: &str) -> Result<(), CliError> {
    let option = match import {
        Import { key: Some(_), .. } => "--key",
        Import { decimal_comma: true, .. } => "--decimal-comma",
        Import { types, .. } if !types.is_empty() => "--type",
        Import { server_names: true, .. } => "--server-names",
        _none => return Ok(()),
    };
    let text = format!("is for tables; {what} have types of their own, and are told apart by their UID");
    Err(CliError::Usage(format!("{option} {text}; leave it out")))
}
