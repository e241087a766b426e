//! Writing lists out.

use super::{
    CliError, Exit, Out,
    args::{Export, Format},
    names,
    shown::{cells_of, record_json},
};
use crate::exchange::{Cell, Column, csv_write::CsvWriter, vcard, vcard_write::CardWriter};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};
use tandem_actors::Handle;
use tandem_storage::{
    fold::Design,
    query::{Query, Record},
};
use tandem_wire::{
    FieldId, ListId,
    design::{BaseType, FieldType},
};

pub(super) fn export(workspace: &Handle, export: &Export, out: &mut Out) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let list = names::list(design, &export.list)?;
    let fields = fields(design, list, export.format)?;
    let mut records = state.list(list, &Query::default())?;
    // As they were made, which is how they stood in the file that they came from.
    records.sort_by_key(|record| record.state.creates.first().map(|edit| (edit.stamp.wall_ms, edit.stamp)));
    match &export.output {
        None => write(design, list, &fields, &records, export.format, &mut out.stream).map_err(CliError::Output)?,
        Some(path) => {
            write_file(path, |file| write(design, list, &fields, &records, export.format, file))
                .map_err(|error| CliError::File { path: path.clone(), error })?;
            out.line(format_args!("wrote {} records to {}", records.len(), path.display()))?;
        }
    }
    Ok(Exit::Success)
}

/// Written aside and renamed: a file that is there is whole.
fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside = tempfile::NamedTempFile::new_in(folder)?;
    let mut file = BufWriter::new(aside.as_file());
    write(&mut file)?;
    file.flush()?;
    drop(file);
    // A new file's usual permissions, not those of a temporary one.
    let usual = File::create(path)?.metadata()?.permissions();
    aside.as_file().set_permissions(usual)?;
    aside.persist(path).map(drop).map_err(|error| error.error)
}

/// The fields to write, with the column of the format that each is.
fn fields(design: &Design, list: ListId, format: Format) -> Result<Vec<(FieldId, Column)>, CliError> {
    let all = design.fields(list).into_iter().map(|field| {
        let ty = design.field_type(field).unwrap_or(FieldType::one(BaseType::Text));
        (field, Column { name: design.name(field), ty })
    });
    if format != Format::Vcf {
        return Ok(all.collect());
    }
    let contact = vcard::columns();
    let fields: Vec<_> = all.filter(|(_, column)| contact.contains(column)).collect();
    if fields.iter().any(|(_, column)| column.name == "name") {
        return Ok(fields);
    }
    let list = design.name(list);
    Err(CliError::Usage(format!(
        "list {list} holds no contacts (it has no text field `name`); export it as csv or json"
    )))
}

fn write(
    design: &Design,
    list: ListId,
    fields: &[(FieldId, Column)],
    records: &[Record],
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    let cells = |record: &Record, index_of: &dyn Fn(usize, &Column) -> usize| -> Vec<Cell> {
        let fields = fields.iter().enumerate();
        fields
            .flat_map(|(index, (field, column))| cells_of(design, &record.state, *field, index_of(index, column)))
            .collect()
    };
    match format {
        Format::Json => records.iter().try_for_each(|record| writeln!(out, "{}", record_json(design, list, record))),
        Format::Csv => {
            let columns: Vec<Column> = fields.iter().map(|(_, column)| column.clone()).collect();
            let mut writer = CsvWriter::new(out, &columns)?;
            records.iter().try_for_each(|record| writer.write(&cells(record, &|index, _| index)))?;
            writer.finish().map(drop)
        }
        Format::Vcf => {
            let contact = vcard::columns();
            let place = |_: usize, column: &Column| contact.iter().position(|other| other == column).expect("filtered");
            let mut writer = CardWriter::new(out);
            records.iter().try_for_each(|record| writer.write(&cells(record, &place)))?;
            writer.finish().map(drop)
        }
    }
}
