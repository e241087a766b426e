//! Writing lists out.

use super::{
    CliError, Console, Exit,
    args::{Export, Format},
    names, server_names,
    shown::{cells_of, record_json},
};
use crate::{
    exchange::{
        Cell, Column,
        csv_write::{CsvWriter, exact_writer},
        ical,
        ical_write::{CalendarWriter, calendar_of},
        vcard,
        vcard_write::CardWriter,
    },
    show::escape,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};
use tandem_actors::{Handle, authority::Vocabulary, handle::State};
use tandem_storage::{fold::Design, lens::StateCells, query::Record};
use tandem_wire::{
    FieldId, ListId, RecordId, RecordKey,
    design::{BaseType, FieldType},
};

pub(super) fn export(
    workspace: &Handle,
    vocabulary: Option<&Vocabulary>,
    export: &Export,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    if vocabulary.is_some() && export.format != Format::Csv {
        return Err(CliError::Usage("a server's names are for tables: --format csv".into()));
    }
    let list = match vocabulary {
        Some(vocabulary) => server_names::list(vocabulary, design, &export.list)?,
        None => names::list(design, &export.list)?,
    };
    let fields = match vocabulary {
        Some(vocabulary) => server_fields(vocabulary, design, list),
        None => fields(design, list, export.format)?,
    };
    let order = in_order(&state, list)?;
    let is_exact = vocabulary.is_some();
    let source = Source { state: &state, list, fields: &fields, order: &order, is_exact };
    match &export.output {
        None => source.write(export.format, &mut console.out).map_err(CliError::Output)?,
        Some(path) => {
            write_file(&console.path(path), |file| source.write(export.format, file))
                .map_err(|error| CliError::File { path: path.clone(), error })?;
            let shown = path.display().to_string();
            console.line(format_args!("wrote {} records to {}", order.len(), escape(&shown)))?;
        }
    }
    Ok(Exit::Success)
}

/// The records that exist as they were made, which is how they stood in the file that they came from. Only what the
/// order needs is kept of each, so that a long list takes little memory.
fn in_order(state: &State, list: ListId) -> Result<Vec<RecordId>, CliError> {
    let mut order = Vec::new();
    for record in state.records(list, RecordId([0; 16])) {
        let record = record?;
        if record.state.exists() {
            let made = record.state.creates.first().map(|edit| edit.stamp);
            order.push((made.map(|made| (made.wall_ms, made.event.seq, made.op)), record.id));
        }
    }
    order.sort_unstable();
    Ok(order.into_iter().map(|(_, id)| id).collect())
}

/// Written aside and renamed: a file that is there is whole, and what was there before stays until then.
pub(super) fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    written_aside(path, write)?.persist(path).map(drop).map_err(|error| error.error)
}

/// The same, where nothing may be there yet; the name is durable as well.
pub(super) fn write_new_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    written_aside(path, write)?.persist_noclobber(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    fs::File::open(folder_of(path))?.sync_all()?;
    Ok(())
}

fn written_aside(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<tempfile::NamedTempFile> {
    let mut aside = tempfile::Builder::new();
    // A new file's usual permissions, less what the user's mask takes, not those of a temporary one.
    #[cfg(unix)]
    aside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let aside = aside.tempfile_in(folder_of(path))?;
    let mut file = BufWriter::new(aside.as_file());
    write(&mut file)?;
    file.flush()?;
    drop(file);
    aside.as_file().sync_all()?;
    Ok(aside)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The fields to write, with the column of the format that each is.
fn fields(design: &Design, list: ListId, format: Format) -> Result<Vec<(FieldId, Column)>, CliError> {
    let all = design.fields(list).into_iter().map(|field| {
        let ty = design.field_type(field).unwrap_or(FieldType::one(BaseType::Text));
        (field, Column { name: design.name(field), ty })
    });
    let (known, needed, what) = match format {
        Format::Csv | Format::Json => return Ok(all.collect()),
        Format::Vcf => (vcard::columns(), "name", "contacts"),
        Format::Ics => (ical::columns(), "summary", "calendar entries"),
    };
    let fields: Vec<_> = all.filter(|(_, column)| known.contains(column)).collect();
    if fields.iter().any(|(_, column)| column.name == needed) {
        return Ok(fields);
    }
    let list = design.name(list);
    Err(CliError::Usage(format!(
        "list {list} holds no {what} (it has no text field `{needed}`); export it as csv or json"
    )))
}

/// The fields that a server has a name for, by these.
fn server_fields(vocabulary: &Vocabulary, design: &Design, list: ListId) -> Vec<(FieldId, Column)> {
    let column = |field| {
        let ty = design.field_type(field).unwrap_or(FieldType::one(BaseType::Text));
        Some((field, Column { name: vocabulary.field_name(design, list, field)?, ty }))
    };
    design.fields(list).into_iter().filter_map(column).collect()
}

/// The index of a column among these, of which it is one.
fn place_in(columns: Vec<Column>) -> impl Fn(usize, &Column) -> usize {
    move |_, column| columns.iter().position(|other| other == column).expect("filtered")
}

/// What is written.
struct Source<'a> {
    state: &'a State,
    list: ListId,
    fields: &'a [(FieldId, Column)],
    order: &'a [RecordId],
    /// Whether texts are written as servers write them.
    is_exact: bool,
}

impl Source<'_> {
    fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Json => {
                self.records().try_for_each(|record| writeln!(out, "{}", record_json(self.state, self.list, &record?)))
            }
            Format::Csv if self.is_exact => {
                let mut writer = exact_writer(out);
                writer.write_record(self.fields.iter().map(|(_, column)| &column.name))?;
                for record in self.records() {
                    let (record, lenses) = (record?, self.state.design().lenses());
                    let text = |field: &FieldId| lenses.text(&StateCells(&record.state), *field);
                    writer.write_record(self.fields.iter().map(|(field, _)| text(field)))?;
                }
                writer.flush()
            }
            Format::Csv => {
                let columns: Vec<Column> = self.fields.iter().map(|(_, column)| column.clone()).collect();
                let mut writer = CsvWriter::new(out, &columns)?;
                self.records().try_for_each(|record| writer.write(&self.cells(&record?, &|index, _| index)))?;
                writer.finish().map(drop)
            }
            Format::Vcf => {
                let place = place_in(vcard::columns());
                let mut writer = CardWriter::new(out);
                self.records().try_for_each(|record| writer.write(&self.cells(&record?, &place)))?;
                writer.finish().map(drop)
            }
            Format::Ics => {
                let place = place_in(ical::columns());
                let mut writer = CalendarWriter::new(out);
                for id in self.by_calendar(&place)? {
                    let Some(record) = self.record(id)? else { continue };
                    writer.write(&self.cells(&record, &place))?;
                }
                writer.finish().map(drop)
            }
        }
    }

    /// The records of each calendar one after the other, and the calendars as they come first.
    fn by_calendar(&self, place: &dyn Fn(usize, &Column) -> usize) -> io::Result<Vec<RecordId>> {
        let mut calendars: Vec<Vec<RecordId>> = Vec::new();
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.records() {
            let record = record?;
            let count = calendars.len();
            let at = *named.entry(calendar_of(&self.cells(&record, place))).or_insert(count);
            if at == count {
                calendars.push(Vec::new());
            }
            calendars[at].push(record.id);
        }
        Ok(calendars.into_iter().flatten().collect())
    }

    fn record(&self, id: RecordId) -> io::Result<Option<Record>> {
        self.state.record(RecordKey { list: self.list, record: id }).map_err(io::Error::other)
    }

    fn records(&self) -> impl Iterator<Item = io::Result<Record>> + '_ {
        self.order.iter().filter_map(|id| self.record(*id).transpose())
    }

    fn cells(&self, record: &Record, index_of: &dyn Fn(usize, &Column) -> usize) -> Vec<Cell> {
        let cells_of = |(index, (field, column)): (usize, &(FieldId, Column))| {
            cells_of(self.state.design(), &record.state, *field, index_of(index, column))
        };
        self.fields.iter().enumerate().flat_map(cells_of).collect()
    }
}
