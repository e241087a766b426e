//! `tandem server names`: what this node, speaking for a server, calls the lists and fields; and the tables in these names.

use super::{CliError, Console, Exit, args::Json, names};
use crate::{
    exchange::{csv_read::CsvFile, reading::Reading},
    show::{Column, Table},
};
use serde_json::json;
use std::{
    fs,
    io::{Read, Seek},
    path::Path,
};
use tandem_actors::{
    Handle, Node,
    authority::{FieldWords, ListWords, Vocabulary},
};
use tandem_config::ServerNames;
use tandem_storage::fold::Design;
use tandem_wire::{
    ListId,
    design::{BaseType, FieldType},
};

pub(super) fn set(node: &Node, workspace: &Handle, file: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let text = fs::read_to_string(console.path(file)).map_err(|error| CliError::File { path: file.into(), error })?;
    let told =
        ServerNames::from_toml(&text).map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?;
    let vocabulary = read(workspace.fold().design(), &told)?;
    node.set_server_names(workspace, &vocabulary)?;
    let fields: usize = vocabulary.lists.values().map(|list| list.fields.len()).sum();
    let fields = if fields == 1 { "1 field".to_owned() } else { format!("{fields} fields") };
    console.line(format_args!("this node has a server's names for {fields}; nobody else is told"))?;
    Ok(Exit::Success)
}

fn read(design: &Design, told: &ServerNames) -> Result<Vocabulary, CliError> {
    let mut vocabulary = Vocabulary::default();
    for list in &told.lists {
        let id = names::list(design, &list.name)?;
        let mut words =
            ListWords { name: list.server.clone().unwrap_or_else(|| list.name.clone()), ..Default::default() };
        for field in &list.fields {
            let of = names::field(design, id, &field.name)?;
            let ty = field.ty.as_deref().map(field_type).transpose()?;
            let name = field.server.clone().unwrap_or_else(|| field.name.clone());
            words.fields.insert(of, FieldWords { name, ty });
        }
        vocabulary.lists.insert(id, words);
    }
    Ok(vocabulary)
}

/// What the members call the field that the server calls so; a name of no field as it is.
pub(super) fn field_name(vocabulary: &Vocabulary, design: &Design, list: ListId, name: String) -> String {
    vocabulary.field(design, list, &name).map_or(name, |field| design.name(field))
}

fn field_type(name: &str) -> Result<FieldType, CliError> {
    BaseType::named(name).map(FieldType::one).ok_or_else(|| {
        let known = BaseType::ALL.map(BaseType::name).join(", ");
        CliError::Usage(format!("there is no type {name} that a server could have a field of; there are: {known}"))
    })
}

pub(super) fn show(node: &Node, workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let (vocabulary, fold) = (node.server_names(workspace)?, workspace.fold());
    let design = fold.design();
    let mut table = Table::new(["LIST", "FIELD", "AT THE SERVER", "AS"].map(Column::text));
    for (list, words) in vocabulary.lists.iter().filter(|(list, _)| design.has_list(**list)) {
        let name = design.name(*list);
        if !json.json {
            table.row([&*name, "", &*words.name, ""]);
        }
        for (field, known) in words.fields.iter().filter(|(field, _)| design.has_field(*list, **field)) {
            let ty = known.ty.as_ref().map(FieldType::describe);
            let field = design.name(*field);
            match json.json {
                true => console.line(json!({
                    "list": name, "server_list": words.name, "field": field, "server_field": known.name, "type": ty,
                }))?,
                false => table.row([&*name, &*field, &*known.name, ty.as_deref().unwrap_or("")]),
            }
        }
    }
    if !json.json {
        match vocabulary.lists.is_empty() {
            true => console.line("no names of a server; `tandem server names FILE` sets them")?,
            false => console.table(table)?,
        }
    }
    Ok(Exit::Success)
}

/// The list that the server calls so.
pub(super) fn list(vocabulary: &Vocabulary, design: &Design, name: &str) -> Result<ListId, CliError> {
    vocabulary.list(design, name).ok_or_else(|| {
        let known: Vec<String> = design.lists().map(|list| vocabulary.list_name(design, list)).collect();
        let known = known.join(", ");
        CliError::NotFound(format!("the server has no list {name}; its lists are: {known}"))
    })
}

/// Gives the columns of a server's table the names that the workspace has for them, and leaves its texts as they stand.
pub(super) fn translate<R: Read + Seek>(
    vocabulary: &Vocabulary,
    design: &Design,
    list: ListId,
    table: &mut CsvFile<R>,
) -> Result<(), CliError> {
    for index in 0..table.columns().len() {
        let name = table.columns()[index].name.clone();
        let Some(field) = vocabulary.field(design, list, &name) else {
            let known: Vec<String> = design
                .fields(list)
                .into_iter()
                .filter_map(|field| vocabulary.field_name(design, list, field))
                .collect();
            return Err(CliError::Usage(format!(
                "the server has no field {name}; its fields are: {}; `tandem server names` has them",
                known.join(", ")
            )));
        };
        table.rename(index, design.name(field));
        let ty = design.field_type(field).unwrap_or_else(|| FieldType::one(BaseType::Text));
        table.set_reading(index, Reading::as_strings(&ty));
    }
    table.read_exactly();
    Ok(())
}
