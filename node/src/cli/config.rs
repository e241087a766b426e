//! `tandem config`: which settings hold, and where each comes from.

use super::{Args, CliError, Console, Exit, args::ConfigShow, open};
use crate::show::{Column, Table};
use serde_json::json;

pub(super) fn show(args: &Args, show: &ConfigShow, console: &mut Console) -> Result<Exit, CliError> {
    let settings = open::settings(args)?;
    let mut columns = vec![Column::text("KEY"), Column::text("VALUE")];
    columns.extend(show.origin.then(|| Column::text("ORIGIN")));
    let mut table = Table::new(columns);
    for (key, value) in settings.config.entries() {
        let (value, origin) = match key {
            "data_dir" => {
                let dir = open::data_dir(args, &settings.config)?;
                (dir.display().to_string(), data_dir_origin(args, &settings))
            }
            _other => (value.unwrap_or_default(), settings.origin(key)),
        };
        if show.json.json {
            console.line(json!({ "key": key, "value": value, "origin": origin }))?;
        } else {
            let mut cells = vec![key.to_owned(), value];
            cells.extend(show.origin.then_some(origin));
            table.row(cells);
        }
    }
    if !show.json.json {
        console.table(table)?;
    }
    Ok(Exit::Success)
}

fn data_dir_origin(args: &Args, settings: &open::Settings) -> String {
    const VARIABLE: &str = "TANDEM_DATA_DIR";
    match &args.data_dir {
        Some(dir) if std::env::var_os(VARIABLE).is_some_and(|set| set == *dir) => VARIABLE.into(),
        Some(_) => "--data-dir".into(),
        None => settings.origin("data_dir"),
    }
}
