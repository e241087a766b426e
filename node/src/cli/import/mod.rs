//! Bringing files in.
//!
//! One event a row (more only for a card with a big photograph), in groups that are made durable together. A record's
//! id is derived from its list and the row, so that importing a file twice makes nothing twice, and two members who
//! import one file apart make one set of records. With a key it is derived from that, and a row changes what its
//! record shows ([`keys`]).

mod columns;
mod dry_run;
mod errors;
mod keys;
mod source;
mod submit;
mod target;

use self::{
    errors::Errors,
    keys::Keys,
    source::Kind,
    submit::{Answered, Submitter},
    target::Target,
};
use super::{CliError, Console, Exit, args::Import, names, server_names};
use crate::{
    exchange::{
        Column, Entry, ImportError, Rejected, Row, csv_read::CsvFile, ical, ical_read::Calendars, number_form::Mark,
        vcard, vcard_read::Cards,
    },
    show::escape,
};
use std::{io::BufReader, path::PathBuf};
use tandem_actors::{Handle, authority::Vocabulary, fresh_batch};
use tandem_wire::{BatchId, RecordId};

pub(super) fn import(
    workspace: &Handle,
    vocabulary: Option<&Vocabulary>,
    import: &Import,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let failed = |error: ImportError| CliError::Import { path: import.file.clone(), error };
    let mut name = source::list_name(import)?;
    let (file, kind) = source::open(&import.file, console)?;
    let mut errors = Errors::new(import, console);
    match kind {
        Kind::Table => {}
        Kind::Cards => {
            let mut cards = Cards::open(BufReader::new(file)).map_err(failed)?;
            let of = Fixed { columns: &vcard::columns(), source: "vcf", what: "contacts" };
            return entries(workspace, (import, &name), &of, &mut cards, errors, console);
        }
        Kind::Calendars => {
            let mut calendars = Calendars::open(BufReader::new(file)).map_err(failed)?;
            let of = Fixed { columns: &ical::columns(), source: "ics", what: "calendar entries" };
            return entries(workspace, (import, &name), &of, &mut calendars, errors, console);
        }
    }
    let mark = import.decimal_comma.then_some(Mark::Comma);
    let mut table = CsvFile::open(file, mark).map_err(failed)?;
    let mut key = import.key.clone();
    let choices = match vocabulary {
        Some(vocabulary) => {
            let state = workspace.read();
            let list = server_names::list(vocabulary, state.design(), &name)?;
            name = state.design().name(list);
            key = key.map(|key| server_names::field_name(vocabulary, state.design(), list, key));
            server_names::translate(vocabulary, state.design(), list, &mut table)?;
            Vec::new()
        }
        None => columns::settle(workspace, &name, &mut table, import)?,
    };
    let columns: Vec<_> = table.columns().iter().map(|column| column.column()).collect();
    let key = key.as_deref().map(|key| columns::key(&columns, key)).transpose()?;
    if import.dry_run {
        return dry_run::table(workspace, &name, &table, console);
    }
    let rows = if key.is_some() { table.rows_without_keys() } else { table.rows() };
    let mut rows = rows.map_err(failed)?;
    let first = first_row(&mut rows, &mut errors).map_err(failed)??;
    let Some(first) = first else { return nothing(errors, &name, console) };
    let target = Target::prepare(workspace, &name, &columns, &choices)?;
    let target = if vocabulary.is_some() { target.of_strings() } else { target };
    let ids = match key {
        Some(column) => Ids::Keys(Box::new(Keys::of(workspace, &target, column)?)),
        None => Ids::Rows("csv"),
    };
    Importer::new(workspace, &target, ids, errors)
        .take(&first, &mut rows, &failed, console)?
        .report(&target, &name, console)
}

/// What files have that all have the same columns.
struct Fixed<'a> {
    columns: &'a [Column],
    /// Names the kind of file where ids are derived.
    source: &'static str,
    /// What their records are, in words.
    what: &'static str,
}

fn entries(
    workspace: &Handle,
    (import, name): (&Import, &str),
    of: &Fixed<'_>,
    entries: Entries<'_>,
    mut errors: Errors,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let failed = |error: ImportError| CliError::Import { path: import.file.clone(), error };
    columns::none_for_fixed(import, of.what)?;
    let first = first_row(entries, &mut errors).map_err(failed)??;
    let Some(first) = first else { return nothing(errors, name, console) };
    if import.dry_run {
        return dry_run::fixed(name, of, first, entries, errors, console).map_err(failed)?;
    }
    let target = Target::prepare(workspace, name, of.columns, &[])?;
    let importer = Importer::new(workspace, &target, Ids::Rows(of.source), errors);
    importer.take(&first, entries, &failed, console)?.report(&target, name, console)
}

type Entries<'a> = &'a mut dyn Iterator<Item = Result<Entry, ImportError>>;

/// The first row that can be read; what comes before it is set aside. So nothing is made for a file without any.
fn first_row(entries: Entries<'_>, errors: &mut Errors) -> Result<Result<Option<Row>, CliError>, ImportError> {
    for entry in entries {
        match entry? {
            Ok(row) => return Ok(Ok(Some(row))),
            Err(rejected) => {
                if let Err(error) = errors.add(&rejected) {
                    return Ok(Err(error));
                }
            }
        }
    }
    Ok(Ok(None))
}

fn nothing(errors: Errors, name: &str, console: &mut Console) -> Result<Exit, CliError> {
    console.line(format_args!("imported no records into {}", escape(name)))?;
    report_errors(errors.finish()?, console)
}

fn report_errors(errors: Option<(u64, PathBuf)>, console: &mut Console) -> Result<Exit, CliError> {
    let Some((rejected, path)) = errors else { return Ok(Exit::Success) };
    let path = path.display().to_string();
    console.line(format_args!("{rejected} could not be read; lines and reasons are in {}", escape(&path)))?;
    Ok(Exit::Partial)
}

/// Where the ids of records come from.
enum Ids {
    /// From each row as a whole, of a file of this kind.
    Rows(&'static str),
    /// From one of its columns.
    Keys(Box<Keys>),
}

struct Importer<'a> {
    target: &'a Target,
    ids: Ids,
    batch: BatchId,
    submitter: Submitter<'a>,
    errors: Errors,
    raw: target::Raw,
}

/// What came of an import.
struct Imported {
    batch: BatchId,
    answered: Answered,
    raw: target::Raw,
    /// With a key: records of the list that no row of the file is about.
    elsewhere: Option<u64>,
    errors: Option<(u64, PathBuf)>,
}

impl<'a> Importer<'a> {
    fn new(workspace: &'a Handle, target: &'a Target, ids: Ids, errors: Errors) -> Self {
        let batch = fresh_batch();
        let submitter = Submitter::new(workspace, target.list, batch);
        Self { target, ids, batch, submitter, errors, raw: target::Raw::default() }
    }

    /// Takes all rows. When that stops half-way, what was taken is there, and can be taken back.
    fn take(
        self,
        first: &Row,
        rest: Entries<'_>,
        failed: &dyn Fn(ImportError) -> CliError,
        console: &mut Console,
    ) -> Result<Imported, CliError> {
        let batch = self.batch;
        let taken = self.take_all(first, rest, failed, console);
        if taken.is_err() {
            console.line(format_args!(
                "stopped half-way; `tandem undo {batch}` takes back what was imported until then"
            ))?;
            console.flush()?;
        }
        taken
    }

    fn take_all(
        mut self,
        first: &Row,
        rest: Entries<'_>,
        failed: &dyn Fn(ImportError) -> CliError,
        console: &Console,
    ) -> Result<Imported, CliError> {
        let mut progress = console.progress("importing");
        self.row(first)?;
        for entry in rest {
            match entry.map_err(failed)? {
                Ok(row) => self.row(&row)?,
                Err(rejected) => self.errors.add(&rejected)?,
            }
            progress.advance(1);
            console.go_on()?;
        }
        let elsewhere = match &self.ids {
            Ids::Rows(_) => None,
            Ids::Keys(keys) => Some(keys.elsewhere()),
        };
        let answered = self.submitter.finish()?;
        for (line, why) in &answered.too_large {
            self.errors.add(&Rejected::new(*line, why.clone(), ""))?;
        }
        Ok(Imported { batch: self.batch, answered, raw: self.raw, elsewhere, errors: self.errors.finish()? })
    }

    fn row(&mut self, row: &Row) -> Result<(), CliError> {
        let place = match &mut self.ids {
            Ids::Rows(source) => {
                let id = RecordId::derived(self.target.list, source, &row.key);
                keys::Place { id, is_there: false }
            }
            Ids::Keys(keys) => match keys.place(self.target, row)? {
                Ok(place) => place,
                Err(rejected) => return self.errors.add(&rejected),
            },
        };
        let new = (!place.is_there).then(|| self.target.new_record(row, place.id, &mut self.raw)).flatten();
        if let Some(record) = new {
            return self.submitter.insert(record, row.line);
        }
        for (transaction, step) in self.target.transactions(row, &place, self.batch, &mut self.raw) {
            self.submitter.add(transaction, step, row.line)?;
        }
        Ok(())
    }
}

impl Imported {
    fn report(self, target: &Target, name: &str, console: &mut Console) -> Result<Exit, CliError> {
        let Answered { made, changed, present, too_large: _ } = self.answered;
        console.line(format_args!("imported {made} records into {}", escape(name)))?;
        if changed > 0 {
            console.line(format_args!("{changed} were changed"))?;
        }
        if present > 0 {
            console.line(format_args!("{present} were there already"))?;
        }
        if let Some(elsewhere @ 1..) = self.elsewhere {
            console.line(format_args!("{elsewhere} are not in the file; they stay as they are"))?;
        }
        self.raw.report(target, console)?;
        let exit = report_errors(self.errors, console)?;
        if made + changed > 0 {
            console.line(format_args!("batch {0}; `tandem undo {0}` takes it back", self.batch))?;
        }
        Ok(exit)
    }
}

/// The list that a name stands for, if it is there.
fn existing_list(workspace: &Handle, name: &str) -> Option<tandem_wire::ListId> {
    names::list(workspace.read().design(), name).ok()
}
