//! A form, filled in line by line: `tandem new LIST` asks for what is not said.

use super::{CliError, Console, names, shown::named};
use crate::{exchange::text_form, show::escape};
use std::{cell::Cell, collections::BTreeMap};
use tandem_actors::{Change, fresh_record, handle::State};
use tandem_storage::{
    composite::{FieldCells, cells_of, cells_of_element},
    filter::Scope,
    fold::{Design, RecordState},
    form::{FormDefinition, FormField},
    lens::{Choices, LensCells, MADE_MAX, StateCells},
};
use tandem_wire::{
    CellKey, FieldId, ListId, PartPath, RecordId, RecordKey, Value,
    design::{BaseType, FieldType, Property},
};

/// Bytes of a line that is read.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What was typed in, by field: one text, or several where it holds many.
#[derive(Default)]
pub struct Entries(BTreeMap<FieldId, Vec<String>>);

/// What is asked for, in its order.
pub struct Form {
    list: ListId,
    /// Each with the title of the section that it begins, if it does.
    fields: Vec<(Option<String>, FormField)>,
    scope: Scope,
}

impl Form {
    /// The form of a list that is called like this, or its first; all its fields where it has none.
    pub fn of(design: &Design, list: ListId, name: Option<&str>) -> Result<Self, CliError> {
        let forms = design.forms(list);
        let form = match name {
            None => forms.first().copied(),
            Some(name) => Some(forms.iter().copied().find(|form| design.name(*form) == name).ok_or_else(|| {
                let known = forms.iter().map(|form| design.name(*form)).collect::<Vec<_>>().join(", ");
                CliError::NotFound(format!("{} has no form {name}; its forms are: {known}", design.name(list)))
            })?),
        };
        let definition = form.and_then(|form| FormDefinition::of(design, form));
        let scope = definition.clone().unwrap_or_default().scope(design, list);
        let Some(definition) = definition else {
            let all = design.fields(list).into_iter();
            let fields = all.map(|field| (None, FormField { field: field.to_string(), when: None })).collect();
            return Ok(Self { list, fields, scope });
        };
        let sections = definition.sections.into_iter().flat_map(|section| {
            let mut title = Some(section.title).filter(|title| !title.is_empty());
            section.fields.into_iter().map(move |field| (title.take(), field))
        });
        Ok(Self { list, fields: sections.collect(), scope })
    }

    /// Asks for every field that is not said otherwise. What was typed in before is kept where nothing is typed in now.
    pub fn fill_in(
        &self,
        state: &State,
        said: &[String],
        entries: &mut Entries,
        console: &mut Console,
    ) -> Result<(), CliError> {
        let design = state.design();
        let is_said = |field: FieldId| {
            said.iter().any(|text| {
                let place = text.split_once('=').map_or(text.as_str(), |(place, _)| place);
                names::place(design, self.list, place).is_ok_and(|place| place.field == field)
            })
        };
        for (title, asked) in &self.fields {
            if let Some(title) = title {
                console.line(escape(title))?;
            }
            let Some(field) = asked.id().filter(|field| design.has_field(self.list, *field) && !is_said(*field)) else {
                continue;
            };
            if self.is_asked_for(design, asked, said, entries) {
                self.ask(design, field, entries, console)?;
            } else {
                entries.0.remove(&field);
            }
        }
        Ok(())
    }

    /// A condition that cannot be decided leaves nothing out.
    fn is_asked_for(&self, design: &Design, asked: &FormField, said: &[String], entries: &Entries) -> bool {
        let Some(Ok(condition)) = asked.condition(&self.scope) else { return true };
        let assignments: Vec<String> = said.iter().cloned().chain(entries.assignments(design)).collect();
        let key = RecordKey { list: self.list, record: RecordId([0; 16]) };
        let fresh = || *fresh_record().0.first_chunk().expect("16 bytes");
        let Ok(changes) = names::changes(design, key, &RecordState::default(), &assignments, fresh) else {
            return true;
        };
        let record = record_of(design, &changes);
        let left = Cell::new(MADE_MAX);
        condition.matches(&LensCells::new(design, &StateCells(&record), &left)).unwrap_or(true)
    }

    fn ask(
        &self,
        design: &Design,
        field: FieldId,
        entries: &mut Entries,
        console: &mut Console,
    ) -> Result<(), CliError> {
        let property = |it| design.elements.get(&field.into()).and_then(|element| element.property(it));
        if let Some(Value::Text(help)) = property(Property::Help).filter(|help| *help != Value::Text(String::new())) {
            console.line(format_args!("  {}", escape(&help)))?;
        }
        let ty = design.field_type(field);
        let is_many = ty.as_ref().is_some_and(|ty| ty.many);
        let is_needed = property(Property::Required) == Some(Value::Bool(true));
        let default = property(Property::Default).map(|value| text_form::show(&named(design, value)));
        let mut hints: Vec<String> = Vec::new();
        match ty.as_ref().and_then(|ty| ty.base()) {
            Some(BaseType::Choice) => {
                let choices = design.choices(field).into_iter().map(|choice| design.name(choice));
                hints.push(choices.collect::<Vec<_>>().join(", "));
            }
            Some(BaseType::Text) | None => {}
            Some(base) => hints.push(base.name().to_owned()),
        }
        if is_needed {
            hints.push("needed".into());
        }
        hints.extend(is_many.then(|| "several, an empty line ends them".into()));
        let before = entries.0.get(&field).cloned().unwrap_or_default();
        let shown = if before.is_empty() { default.clone().into_iter().collect() } else { before.clone() };
        let name = design.name(field);
        let hints = if hints.is_empty() { String::new() } else { format!(" ({})", hints.join("; ")) };
        let present = if shown.is_empty() { String::new() } else { format!(" [{}]", shown.join(", ")) };
        let mut typed: Vec<String> = Vec::new();
        loop {
            console.text(&escape(&format!("{name}{hints}{present}: ")))?;
            console.flush()?;
            let line = read_line(console)?;
            if line.is_empty() {
                if typed.is_empty() {
                    typed.clone_from(&before);
                }
                if typed.is_empty() && is_needed && default.is_none() {
                    console.line("  it must have a value")?;
                    continue;
                }
                break;
            }
            match ty.as_ref().map(|ty| names::value(design, field, ty, &line)) {
                Some(Err(error)) => console.line(format_args!("  {}", error.shown()))?,
                Some(Ok(_)) | None => typed.push(line),
            }
            if !is_many && !typed.is_empty() {
                break;
            }
        }
        entries.0.insert(field, typed);
        Ok(())
    }
}

impl Entries {
    /// As one says it on the command line.
    pub fn assignments(&self, design: &Design) -> Vec<String> {
        let of_field = |(field, texts): (&FieldId, &Vec<String>)| {
            let (name, is_many) = (design.name(*field), design.field_type(*field).is_some_and(|ty| ty.many));
            let assignment = |(at, text): (usize, &String)| match is_many {
                true => format!("{name}[{}]={text}", at + 1),
                false => format!("{name}={text}"),
            };
            texts.iter().enumerate().map(assignment).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_field).collect()
    }
}

/// A record that nobody has written, with these values.
fn record_of(design: &Design, changes: &[Change]) -> RecordState {
    let mut record = RecordState::default();
    let mut put = |field: FieldId, part: &PartPath, value: &Value| {
        record.cells.insert((field, part.clone()), vec![names::not_written_yet(value)]);
    };
    for change in changes {
        match change {
            Change::Set(cell, value) => put(cell.field, &cell.part, value),
            Change::SetText { cell: CellKey { field, part, .. }, text, .. } => {
                let ty = design.field_type(*field).unwrap_or(FieldType::one(BaseType::Text));
                let (choices, nothing) = (Choices::of(design, *field), FieldCells::new());
                let cells = match (part.steps().next(), ty.base()) {
                    (Some(key), Some(base)) => cells_of_element(base, &choices, &nothing, key, text),
                    _whole => cells_of(&ty, &choices, &nothing, text, || [0; 6]),
                };
                cells.iter().for_each(|(part, value)| put(*field, part, value));
            }
            _of_no_cell => {}
        }
    }
    record
}

fn read_line(console: &mut Console) -> Result<String, CliError> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        match console.input.read(&mut byte) {
            Ok(0) => {
                return Err(CliError::Usage("the input ended before the form was filled in: nothing was saved".into()));
            }
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if line.len() < LINE_BYTES_MAX => line.push(byte[0]),
            Ok(_) => {
                let text = format!("a line has more than {LINE_BYTES_MAX} bytes: nothing was saved");
                return Err(CliError::Usage(text));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CliError::Input(error)),
        }
    }
    match String::from_utf8(line) {
        Ok(line) => Ok(line.trim().to_owned()),
        Err(_) => Err(CliError::Usage("a line is not in UTF-8: nothing was saved".into())),
    }
}
