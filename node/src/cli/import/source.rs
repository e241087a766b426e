//! The file that is imported, and what it is.

use super::super::{CliError, Console, args::Import};
use std::{
    fs::File,
    io::{self, Read, Seek},
    path::Path,
};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    /// vCard.
    Cards,
    /// iCalendar.
    Calendars,
}

/// Opens it, and tells what it holds: by its name, or by how it begins. Standard input is written to a temporary file,
/// since a table is read more than once.
pub(super) fn open(path: &Path, console: &mut Console) -> Result<(File, Kind), CliError> {
    let failed = |error| CliError::File { path: path.into(), error };
    let file = if is_stdin(path) { spool(&mut console.input) } else { File::open(console.path(path)) };
    let mut file = file.map_err(failed)?;
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let kind = match extension.as_deref() {
        Some("vcf" | "vcard") => Kind::Cards,
        Some("ics" | "ical" | "ifb" | "icalendar") => Kind::Calendars,
        Some("csv" | "tsv" | "tab" | "txt") => Kind::Table,
        _unknown => by_beginning(&mut file).map_err(failed)?,
    };
    Ok((file, kind))
}

/// The list that it goes into.
pub(super) fn list_name(import: &Import) -> Result<String, CliError> {
    match &import.list {
        Some(list) => Ok(list.clone()),
        None if is_stdin(&import.file) => Err(CliError::Usage("say with --list LIST where standard input goes".into())),
        None => {
            let stem = import.file.file_stem();
            Ok(stem.map_or_else(|| "imported".into(), |stem| stem.to_string_lossy().into_owned()))
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn spool(input: &mut dyn Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
    file.rewind()?;
    Ok(file)
}

fn by_beginning(file: &mut File) -> io::Result<Kind> {
    let mut start = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut start)?;
    file.rewind()?;
    let text: Vec<u8> = start.into_iter().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8_lossy(&text).to_ascii_uppercase();
    Ok(match () {
        () if text.contains("BEGIN:VCARD") => Kind::Cards,
        () if text.contains("BEGIN:VCALENDAR") => Kind::Calendars,
        () => Kind::Table,
    })
}
