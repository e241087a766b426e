//! What a rehearsal found, for people and programs.

use super::super::{CliError, Console, args::Json};
use crate::show::{Column, Table, escape};
use serde_json::json;
use tandem_storage::{
    design_file::{Difference, DifferenceKind},
    rehearsal::Reported,
};

/// Records that are named for each rule.
const SHOWN_MAX: usize = 5;

pub fn table_of_differences(found: &[Difference]) -> Table {
    let mut table = Table::new([Column::text(""), Column::text("WHAT"), Column::text("HOW")]);
    for Difference { kind, place, what } in found {
        let sign = match kind {
            DifferenceKind::Added => "+",
            DifferenceKind::Changed => "~",
            DifferenceKind::Dropped => "-",
        };
        let has_values = place.starts_with("field ") || place.starts_with("list ");
        let how = if *kind == DifferenceKind::Dropped && has_values { "its values are kept" } else { what };
        table.row([sign, place, how]);
    }
    table
}

pub fn print_outcome(reported: &Reported, json: Json, console: &mut Console) -> Result<(), CliError> {
    if json.json {
        return console.line(json!(reported));
    }
    let mut table = Table::new([
        Column::text("LIST"),
        Column::text("BROKEN"),
        Column::number("RECORDS"),
        Column::text("WHY"),
        Column::text("SOME"),
    ]);
    for broken in &reported.broken {
        let some = broken.some.iter().take(SHOWN_MAX).map(|unfit| match unfit.value.is_empty() {
            true => unfit.record[..8.min(unfit.record.len())].to_owned(),
            false => format!("{} {:?}", &unfit.record[..8.min(unfit.record.len())], unfit.value),
        });
        let some = some.collect::<Vec<_>>().join(", ");
        table.row([&broken.list, &broken.rule, &broken.records.to_string(), &broken.message, &some]);
    }
    if !reported.broken.is_empty() {
        console.table(table)?;
        console.line("")?;
    }
    for fault in &reported.faults {
        console.line(escape(fault))?;
    }
    let Reported { records, changed, failed, warnings, unchecked, undecided, pending, held, took_ms, .. } = reported;
    console.line(format_args!(
        "{records} records looked at in {took_ms} ms: {changed} show something else, {failed} fail"
    ))?;
    if *warnings + *unchecked > 0 {
        console.line(format_args!("{warnings} warnings; {unchecked} times a rule could not be evaluated"))?;
    }
    if *undecided > 0 {
        console.line(format_args!("{undecided} times the condition of a view or form could not be decided"))?;
    }
    if *pending + *held > 0 {
        console
            .line(format_args!("{pending} unjudged events are on records that fail; {held} events wait for others"))?;
    }
    Ok(())
}
