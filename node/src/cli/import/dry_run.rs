//! What an import would do, shown before it does it.

use super::{
    super::{CliError, Console, Exit},
    Entries, Errors, Fixed, existing_list,
};
use crate::{
    exchange::{
        ImportError, Row,
        csv_infer::{DISTINCT_MAX, TableColumn},
        csv_read::CsvFile,
    },
    show::{Column, Table, escape},
};
use std::io::{Read, Seek};
use tandem_actors::Handle;

pub(super) fn table<R: Read + Seek>(
    workspace: &Handle,
    name: &str,
    file: &CsvFile<R>,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let mut table = Table::new([
        Column::text("COLUMN"),
        Column::text("TYPE"),
        Column::number("EMPTY"),
        Column::number("DISTINCT"),
        Column::text("EXAMPLES"),
    ]);
    for TableColumn { name, reading, seen } in file.columns() {
        let distinct = seen.distinct.as_ref().map_or_else(|| format!("{DISTINCT_MAX}+"), |all| all.len().to_string());
        table.row([name, &reading.to_string(), &seen.empty.to_string(), &distinct, &seen.examples.join(" · ")]);
    }
    console.table(table)?;
    let separator = match file.separator() {
        '\t' => "tab".to_owned(),
        other => other.to_string(),
    };
    let list = if existing_list(workspace, name).is_some() { "the list" } else { "a new list" };
    let rows = file.row_count();
    console.line(format_args!(
        "\n{rows} rows for {list} {}, in {}, separated by {separator}",
        escape(name),
        file.encoding()
    ))?;
    console.line("Nothing was written. Correct a type with --type COLUMN=TYPE, then import without --dry-run.")?;
    Ok(Exit::Success)
}

/// Cards have the columns of contacts, and calendars theirs, whatever is in them.
pub(super) fn fixed(
    name: &str,
    of: &Fixed<'_>,
    first: Row,
    rest: Entries<'_>,
    mut errors: Errors,
    console: &mut Console,
) -> Result<Result<Exit, CliError>, ImportError> {
    let columns = of.columns;
    let mut filled = vec![0u64; columns.len()];
    let mut count = |row: &Row| {
        let mut seen: Vec<usize> = row.cells.iter().map(|cell| cell.column).collect();
        seen.dedup();
        seen.into_iter().for_each(|column| filled[column] += 1);
    };
    count(&first);
    let mut rows = 1;
    for entry in rest {
        match entry? {
            Ok(row) => {
                count(&row);
                rows += 1;
            }
            Err(rejected) => {
                if let Err(error) = errors.add(&rejected) {
                    return Ok(Err(error));
                }
            }
        }
    }
    let show = |console: &mut Console| {
        let mut table = Table::new([Column::text("FIELD"), Column::text("TYPE"), Column::number("EMPTY")]);
        for (column, filled) in columns.iter().zip(&filled) {
            let base = column.ty.base().map_or("", |base| base.name());
            let ty = if column.ty.many { format!("{base}, many") } else { base.to_owned() };
            table.row([column.name.as_str(), &ty, &(rows - filled).to_string()]);
        }
        console.table(table)?;
        console.line(format_args!("\n{rows} {} for the list {}", of.what, escape(name)))?;
        if errors.count() > 0 {
            console.line(format_args!("{} cannot be read", errors.count()))?;
        }
        console.line("Nothing was written.")?;
        Ok(Exit::Success)
    };
    Ok(show(console))
}
