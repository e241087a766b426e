//! Bringing files in.
//!
//! One event a row (more only for a card with a big photograph), in groups that are made durable together. A record's
//! id is derived from its list and the row, so that importing a file twice makes nothing twice, and two members who
//! import one file apart make one set of records.

use super::{CliError, Exit, Out, args::Import, names};
use crate::{
    exchange::{
        Cell, Column, Entry, ImportError, Rejected, Row, csv_read::CsvFile, text_form, vcard, vcard_read::Cards,
    },
    show::{Progress, escape},
};
use std::{
    collections::VecDeque,
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};
use tandem_actors::{Change, Command, Handle, NodeError, Refused, Transaction, fresh_batch, node::Pending};
use tandem_wire::{
    BatchId, CellKey, FieldId, ListId, RecordId, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// Rows handed to the workspace at a time.
const ROWS_PER_MESSAGE: usize = 256;
/// Messages under way: the next rows are read while these are made durable.
const MESSAGES_UNDER_WAY: usize = 4;

pub(super) fn import(workspace: &Handle, import: &Import, out: &mut Out) -> Result<Exit, CliError> {
    let path = &import.file;
    let failed = |error: ImportError| CliError::Import { path: path.clone(), error };
    let mut file = File::open(path).map_err(|error| CliError::File { path: path.clone(), error })?;
    let source = if is_vcard(path, &mut file).map_err(failed)? { "vcf" } else { "csv" };
    let name = import.list.clone().unwrap_or_else(|| list_name(path));
    let mut errors = Errors::new(import);
    let counts = match source {
        "vcf" => {
            let mut cards = Cards::open(BufReader::new(file)).map_err(failed)?;
            let first = first_row(&mut cards, &mut errors).map_err(failed)??;
            let target = || Target::prepare(workspace, &name, &vcard::columns(), source);
            take(target, first, &mut cards, errors, path)?
        }
        _csv => {
            let mut table = CsvFile::open(file).map_err(failed)?;
            let columns = table.columns().to_vec();
            let mut rows = table.rows().map_err(failed)?;
            let first = first_row(&mut rows, &mut errors).map_err(failed)??;
            let target = || Target::prepare(workspace, &name, &columns, source);
            take(target, first, &mut rows, errors, path)?
        }
    };
    out.line(format_args!("imported {} records into {}", counts.made, escape(&name)))?;
    if counts.present > 0 {
        out.line(format_args!("{} were there already", counts.present))?;
    }
    match counts.errors {
        Some((rejected, errors)) => {
            out.line(format_args!("{rejected} could not be read; lines and reasons are in {}", errors.display()))?;
            Ok(Exit::Partial)
        }
        None => Ok(Exit::Success),
    }
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

fn take<'a>(
    target: impl FnOnce() -> Result<Target<'a>, CliError>,
    first: Option<Row>,
    rest: Entries<'_>,
    errors: Errors,
    path: &Path,
) -> Result<Counts, CliError> {
    match first {
        Some(first) => Importer::new(target()?, errors).take(&first, rest, path),
        None => Ok(Counts { made: 0, present: 0, errors: errors.finish()? }),
    }
}

/// By its name, or by how it begins.
fn is_vcard(path: &Path, file: &mut File) -> Result<bool, ImportError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("vcf" | "vcard") => Ok(true),
        Some("csv" | "tsv" | "tab" | "txt") => Ok(false),
        _unknown => {
            let mut start = Vec::new();
            file.take(4096).read_to_end(&mut start)?;
            file.rewind()?;
            Ok(String::from_utf8_lossy(&start).to_ascii_uppercase().contains("BEGIN:VCARD"))
        }
    }
}

fn list_name(path: &Path) -> String {
    path.file_stem().map_or_else(|| "imported".into(), |stem| stem.to_string_lossy().into_owned())
}

/// The list that rows go into, with a field for each column.
struct Target<'a> {
    workspace: &'a Handle,
    list: ListId,
    fields: Vec<(FieldId, FieldType)>,
    source: &'static str,
}

impl<'a> Target<'a> {
    /// Makes the list, or the fields that it lacks.
    fn prepare(workspace: &'a Handle, name: &str, columns: &[Column], source: &'static str) -> Result<Self, CliError> {
        let all = || columns.iter().map(|column| (column.name.clone(), column.ty.clone()));
        let design = workspace.read().design().clone();
        let list = match names::list(&design, name) {
            Ok(list) => {
                let has = |name: &str| design.fields(list).iter().any(|field| design.name(*field) == name);
                let missing: Vec<_> = all().filter(|(name, _)| !has(name)).collect();
                if !missing.is_empty() {
                    workspace.commit(Command::AddFields { list, fields: missing })?;
                }
                list
            }
            Err(_) => {
                let made = workspace.commit(Command::CreateList { name: name.into(), fields: all().collect() })?;
                made.elements[0].as_list()
            }
        };
        let design = workspace.read().design().clone();
        let field = |column: &Column| {
            let field = names::field(&design, list, &column.name)?;
            let ty = design.field_type(field).unwrap_or_else(|| column.ty.clone());
            Ok((field, ty))
        };
        let fields = columns.iter().map(field).collect::<Result<_, CliError>>()?;
        Ok(Self { workspace, list, fields, source })
    }

    /// What a row becomes: the first transaction creates the record.
    fn transactions(&self, row: &Row, batch: BatchId) -> Vec<Transaction> {
        let record = RecordKey { list: self.list, record: RecordId::derived(self.list, self.source, &row.key) };
        let mut transactions: Vec<Transaction> = row
            .events()
            .map(|cells| cells.iter().map(|cell| self.change(record, cell)).collect())
            .map(|changes| Transaction { changes, batch: Some(batch), ..Transaction::default() })
            .collect();
        if transactions.is_empty() {
            transactions.push(Transaction { batch: Some(batch), ..Transaction::default() });
        }
        transactions[0].changes.insert(0, Change::Create(record));
        transactions
    }

    fn change(&self, record: RecordKey, cell: &Cell) -> Change {
        let (field, ty) = &self.fields[cell.column];
        let key = CellKey { record, field: *field, part: cell.part.clone() };
        Change::SetRaw(key, as_type(&cell.value, ty))
    }
}

/// The value as the list's own field has it, where that loses nothing.
fn as_type(value: &Value, ty: &FieldType) -> Value {
    let base = ty.base().filter(|base| !base.is_composite() && *base != BaseType::Text);
    let converted = base.and_then(|base| text_form::read(base, &text_form::show(value)));
    match (converted, ty.base()) {
        (Some(converted), _) => converted,
        (None, Some(BaseType::Text)) => Value::Text(text_form::show(value)),
        (None, _) => value.clone(),
    }
}

struct Counts {
    made: u64,
    present: u64,
    errors: Option<(u64, PathBuf)>,
}

struct Importer<'a> {
    target: Target<'a>,
    batch: BatchId,
    waiting: Vec<Command>,
    /// Of each waiting command, whether it creates a record.
    creates: Vec<bool>,
    under_way: VecDeque<(Pending, Vec<bool>)>,
    made: u64,
    present: u64,
    errors: Errors,
}

impl<'a> Importer<'a> {
    fn new(target: Target<'a>, errors: Errors) -> Self {
        Self {
            target,
            batch: fresh_batch(),
            waiting: Vec::new(),
            creates: Vec::new(),
            under_way: VecDeque::new(),
            made: 0,
            present: 0,
            errors,
        }
    }

    fn take(mut self, first: &Row, rest: Entries<'_>, path: &Path) -> Result<Counts, CliError> {
        let mut progress = Progress::new("importing", None);
        self.row(first)?;
        for entry in rest {
            match entry.map_err(|error| CliError::Import { path: path.into(), error })? {
                Ok(row) => self.row(&row)?,
                Err(rejected) => self.errors.add(&rejected)?,
            }
            progress.advance(1);
        }
        self.send()?;
        while !self.under_way.is_empty() {
            self.receive()?;
        }
        let errors = self.errors.finish()?;
        Ok(Counts { made: self.made, present: self.present, errors })
    }

    fn row(&mut self, row: &Row) -> Result<(), CliError> {
        for (index, transaction) in self.target.transactions(row, self.batch).into_iter().enumerate() {
            self.waiting.push(Command::Change(transaction));
            self.creates.push(index == 0);
        }
        if self.waiting.len() >= ROWS_PER_MESSAGE { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), CliError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        while self.under_way.len() >= MESSAGES_UNDER_WAY {
            self.receive()?;
        }
        let pending = self.target.workspace.submit(std::mem::take(&mut self.waiting))?;
        self.under_way.push_back((pending, std::mem::take(&mut self.creates)));
        Ok(())
    }

    fn receive(&mut self) -> Result<(), CliError> {
        let Some((pending, creates)) = self.under_way.pop_front() else { return Ok(()) };
        for (answer, creates) in pending.wait()?.into_iter().zip(creates) {
            match answer {
                Ok(_) => self.made += u64::from(creates),
                Err(Refused::RecordExists(_)) => self.present += 1,
                Err(refused) => return Err(NodeError::from(refused).into()),
            }
        }
        Ok(())
    }
}

/// Rows that could not be read, in a file of their own that is made with the first.
struct Errors {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Errors {
    fn new(import: &Import) -> Self {
        let default = || {
            let name = import.file.file_name().map_or_else(|| "import".into(), |name| name.to_string_lossy());
            PathBuf::from(format!("{name}.errors.txt"))
        };
        Self { path: import.errors.clone().unwrap_or_else(default), file: None, count: 0 }
    }

    fn add(&mut self, rejected: &Rejected) -> Result<(), CliError> {
        self.try_add(rejected).map_err(|error| CliError::File { path: self.path.clone(), error })
    }

    fn try_add(&mut self, rejected: &Rejected) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.path)?)),
        };
        self.count += 1;
        writeln!(file, "line {}: {}", rejected.line, rejected.reason)?;
        rejected.text.lines().try_for_each(|line| writeln!(file, "    {line}"))
    }

    fn finish(self) -> Result<Option<(u64, PathBuf)>, CliError> {
        let Some(mut file) = self.file else { return Ok(None) };
        match file.flush() {
            Ok(()) => Ok(Some((self.count, self.path))),
            Err(error) => Err(CliError::File { path: self.path, error }),
        }
    }
}
