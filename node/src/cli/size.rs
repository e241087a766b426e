//! `tandem size`: what the workspaces of this node take.

use super::{CliError, Console, Exit, args::Json, disk};
use crate::show::{Column, Table};
use serde_json::json;
use std::path::Path;
use tandem_actors::Node;
use tandem_storage::engine::Table as Rows;

pub(super) fn size(node: &Node, dir: &Path, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let mut table = Table::new([
        Column::text("WORKSPACE"),
        Column::number("EVENTS"),
        Column::number("LOG"),
        Column::number("ROWS"),
        Column::number("VIEWS"),
    ]);
    for info in node.workspaces()? {
        let workspace = node.workspace(info.id)?;
        let heads = workspace.fold();
        let events: u64 = heads.chains().filter_map(|(_, row)| row.head).map(|(seq, _)| seq + 1).sum();
        let (mut log, mut rows, mut views) = (0, 0, 0);
        for size in workspace.read().sizes()? {
            if size.table == Rows::Log {
                log = size.bytes;
            } else {
                rows += size.rows;
                views += size.bytes;
            }
        }
        if json.json {
            console.line(json!({
                "workspace": info.id.to_string(),
                "name": info.name,
                "events": events,
                "log_bytes": log,
                "view_rows": rows,
                "view_bytes": views,
            }))?;
        } else {
            table.row([info.name, events.to_string(), disk::text(log), rows.to_string(), disk::text(views)]);
        }
    }
    let on_disk = disk::allocated(&console.path(dir)).map_err(|error| CliError::File { path: dir.into(), error })?;
    let free = disk::free(&console.path(dir));
    if json.json {
        console.line(json!({ "folder": dir.display().to_string(), "disk_bytes": on_disk, "free_bytes": free }))?;
        return Ok(Exit::Success);
    }
    console.table(table)?;
    console.line(format_args!(
        "\n{} on the disk in {}",
        disk::text(on_disk),
        crate::show::escape(&dir.display().to_string())
    ))?;
    if let Some(free) = free {
        console.line(format_args!("{} are free", disk::text(free)))?;
    }
    Ok(Exit::Success)
}
