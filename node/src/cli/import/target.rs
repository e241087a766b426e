//! The list that a file goes into.

use super::{
    super::{CliError, Console, names},
    existing_list,
    keys::Place,
    submit::Step,
};
use crate::{
    exchange::{Cell, Column, Row, reading::Reading, text_form},
    show::escape,
};
use std::collections::BTreeMap;
use tandem_actors::{Change, Command, Handle, NewRecord, Transaction};
use tandem_storage::{
    composite::{FieldCells, cells_of},
    field_type::fits,
    lens::{Choices, convert},
};
use tandem_wire::{
    BatchId, CellKey, FieldId, ListId, PartPath, RecordId, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// Cells that are cleared in the event that sets others, which takes up to [`crate::exchange::EVENT_CELL_BYTES_MAX`].
const CLEARS_WITH_VALUES_MAX: usize = 100;
/// Cells that are cleared in an event of their own.
const CLEARS_PER_EVENT_MAX: usize = 500;

/// A list with a field for each column.
pub(super) struct Target {
    pub(super) list: ListId,
    pub(super) fields: Vec<TargetField>,
}

/// The field of a column.
pub(super) struct TargetField {
    pub(super) id: FieldId,
    name: String,
    ty: FieldType,
    choices: Choices,
    /// Whether every text is kept as somebody wrote it.
    as_strings: bool,
}

impl Target {
    /// Makes the list, or the fields and choices that it lacks. `choices` are by column.
    pub(super) fn prepare(
        workspace: &Handle,
        name: &str,
        columns: &[Column],
        choices: &[(usize, Vec<String>)],
    ) -> Result<Self, CliError> {
        let all = || columns.iter().map(|column| (column.name.clone(), column.ty.clone()));
        let design = workspace.read().design().clone();
        let list = match existing_list(workspace, name) {
            Some(list) => {
                let has = |name: &str| design.fields(list).iter().any(|field| design.name(*field) == name);
                let missing: Vec<_> = all().filter(|(name, _)| !has(name)).collect();
                if !missing.is_empty() {
                    workspace.commit(Command::AddFields { list, fields: missing })?;
                }
                list
            }
            None => {
                let made = workspace.commit(Command::CreateList { name: name.into(), fields: all().collect() })?;
                made.elements[0].as_list()
            }
        };
        let design = workspace.read().design().clone();
        for (column, choices) in choices {
            let field = names::field(&design, list, &columns[*column].name)?;
            let has = |name: &String| design.choices(field).iter().any(|choice| design.name(*choice) == *name);
            let missing: Vec<String> = choices.iter().filter(|name| !has(name)).cloned().collect();
            if !missing.is_empty() {
                workspace.commit(Command::AddChoices { field, choices: missing })?;
            }
        }
        let design = workspace.read().design().clone();
        let field = |column: &Column| {
            let id = names::field(&design, list, &column.name)?;
            let ty = design.field_type(id).unwrap_or_else(|| column.ty.clone());
            let choices = Choices::of(&design, id);
            Ok(TargetField { id, name: column.name.clone(), ty, choices, as_strings: false })
        };
        Ok(Self { list, fields: columns.iter().map(field).collect::<Result<_, CliError>>()? })
    }

    /// Keeps every text as it was written, so that it goes back unchanged.
    pub(super) fn of_strings(mut self) -> Self {
        self.fields.iter_mut().for_each(|field| field.as_strings = true);
        self
    }

    /// The record that a row makes in one event; none where it needs several.
    pub(super) fn new_record(&self, row: &Row, id: RecordId, raw: &mut Raw) -> Option<NewRecord> {
        if row.events().count() > 1 {
            return None;
        }
        let mut cells = Vec::with_capacity(row.cells.len());
        for cell in &row.cells {
            match self.fields[cell.column].string(cell) {
                Some(string) => cells.extend(self.taken_apart(cell.column, string, row.line, raw)),
                None => {
                    let (key, value) = self.cell(RecordKey { list: self.list, record: id }, cell, row.line, raw);
                    cells.push((key.field, key.part, value));
                }
            }
        }
        Some(NewRecord { id, cells })
    }

    /// What a row becomes: the first transaction makes the record, or all of them change it. A record that is there
    /// loses what the row has nothing for.
    pub(super) fn transactions(
        &self,
        row: &Row,
        place: &Place,
        batch: BatchId,
        raw: &mut Raw,
    ) -> impl Iterator<Item = (Transaction, Step)> {
        let record = RecordKey { list: self.list, record: place.id };
        let mut groups: Vec<Vec<Change>> = row
            .events()
            .map(|cells| cells.iter().map(|cell| self.change(record, cell, row.line, raw)).collect())
            .collect();
        if groups.is_empty() {
            groups.push(Vec::new());
        }
        let first = if place.is_there {
            let has = |column: usize| row.cells.iter().any(|cell| cell.column == column);
            let without = (0..self.fields.len()).filter(|column| !has(*column));
            let clears: Vec<Change> = without
                .map(|column| {
                    let field = &self.fields[column];
                    let cell = CellKey { record, field: field.id, part: PartPath::default() };
                    match field.has_parts() {
                        true => Change::SetText { cell, text: String::new(), keep_raw: true },
                        false => Change::SetRaw(cell, Value::Null),
                    }
                })
                .collect();
            match clears.len() {
                ..=CLEARS_WITH_VALUES_MAX => groups[0].extend(clears),
                _many => groups.extend(clears.chunks(CLEARS_PER_EVENT_MAX).map(<[Change]>::to_vec)),
            }
            Step::Update
        } else {
            groups[0].insert(0, Change::Create(record));
            Step::Create
        };
        groups.into_iter().enumerate().map(move |(index, changes)| {
            let transaction = Transaction { changes, batch: Some(batch), ..Transaction::default() };
            (transaction, if index == 0 { first } else { Step::Continue })
        })
    }

    /// The cells of a field of a new record that is to say a string.
    fn taken_apart(
        &self,
        column: usize,
        string: &str,
        line: u64,
        raw: &mut Raw,
    ) -> impl Iterator<Item = (FieldId, PartPath, Value)> {
        let field = &self.fields[column];
        // Whoever imports the same file makes the same cells.
        let mut count = 0_u64;
        let fresh = || {
            count += 1;
            *blake3::hash(&[string.as_bytes(), &count.to_be_bytes()].concat())
                .as_bytes()
                .first_chunk()
                .expect("32 bytes")
        };
        let cells = cells_of(&field.ty, &field.choices, &FieldCells::new(), string, fresh);
        if cells.iter().any(|(part, value)| !fits(&field.ty, part, value)) {
            raw.add(column, line, &Value::Text(string.to_owned()));
        }
        let id = field.id;
        cells.into_iter().map(move |(part, value)| (id, part, value))
    }

    fn change(&self, record: RecordKey, cell: &Cell, line: u64, raw: &mut Raw) -> Change {
        let field = &self.fields[cell.column];
        if let Some(string) = field.string(cell) {
            // Counts what it cannot hold.
            self.taken_apart(cell.column, string, line, raw).for_each(drop);
            let cell = CellKey { record, field: field.id, part: PartPath::default() };
            return Change::SetText { cell, text: string.to_owned(), keep_raw: true };
        }
        let (key, value) = self.cell(record, cell, line, raw);
        Change::SetRaw(key, value)
    }

    fn cell(&self, record: RecordKey, cell: &Cell, line: u64, raw: &mut Raw) -> (CellKey, Value) {
        let field = &self.fields[cell.column];
        let key = CellKey { record, field: field.id, part: cell.part.clone() };
        let value = field.value(&cell.value);
        if !fits(&field.ty, &cell.part, &value) {
            raw.add(cell.column, line, &value);
        }
        (key, value)
    }
}

impl TargetField {
    /// Whether its texts are strings that may say several things.
    fn has_parts(&self) -> bool {
        self.as_strings || self.ty.many || self.ty.base().is_some_and(BaseType::is_composite)
    }

    /// The string that a cell has for a field whose values have parts or elements.
    fn string<'c>(&self, cell: &'c Cell) -> Option<&'c str> {
        match &cell.value {
            Value::Text(text) if self.has_parts() && cell.part.is_empty() => Some(text),
            _of_a_part => None,
        }
    }

    /// The value as the list's own field has it, where that loses nothing.
    pub(super) fn value(&self, value: &Value) -> Value {
        let Some(base) = self.ty.base().filter(|base| !base.is_composite()) else { return value.clone() };
        if fits(&self.ty, &PartPath::default(), value) {
            return value.clone();
        }
        if self.as_strings {
            return convert(value, base, &self.choices).unwrap_or_else(|| value.clone());
        }
        let text = text_form::show(value);
        match base {
            BaseType::Text => Value::Text(text),
            BaseType::Choice => self.choices.named(&text).map_or_else(|| value.clone(), Value::Choice),
            other => Reading::plain(other).and_then(|plain| plain.read(&text)).unwrap_or_else(|| value.clone()),
        }
    }
}

/// Values that their fields cannot hold, by column: how many, and the first with its line.
#[derive(Default)]
pub(super) struct Raw(BTreeMap<usize, (u64, u64, String)>);

impl Raw {
    fn add(&mut self, column: usize, line: u64, value: &Value) {
        let first = || (0, line, text_form::show(value).chars().take(40).collect());
        self.0.entry(column).or_insert_with(first).0 += 1;
    }

    pub(super) fn report(&self, target: &Target, console: &mut Console) -> Result<(), CliError> {
        for (column, (count, line, text)) in &self.0 {
            let field = &target.fields[*column];
            let ty = field.ty.base().map_or("newer version needed", BaseType::name);
            console.line(format_args!(
                "{count} values of {} are no {ty}, the first in line {line}: {}; they are kept as they are, flagged `raw`",
                escape(&field.name),
                escape(text),
            ))?;
        }
        Ok(())
    }
}
