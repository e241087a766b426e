//! Design files: reading them from wherever they are, and writing them.

use super::super::{CliError, Console, args::DesignFormat};
use std::{fs, path::Path};
use tandem_storage::design_file::DesignFile;

/// Bytes of a file that is still read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Designs to start from, by their names.
const READY: [(&str, &str); 5] = [
    ("contacts", include_str!("../../../designs/contacts.toml")),
    ("tasks", include_str!("../../../designs/tasks.toml")),
    ("issue-tracker", include_str!("../../../designs/issue-tracker.toml")),
    ("inventory", include_str!("../../../designs/inventory.toml")),
    ("inspections", include_str!("../../../designs/inspections.toml")),
];

/// Reads a file, or takes the ready design of this name where there is no such file.
pub fn read(console: &Console, path: &Path) -> Result<DesignFile, CliError> {
    let there = console.path(path);
    if !there.exists() {
        let name = path.to_string_lossy();
        if let Some((_, text)) = READY.iter().find(|(ready, _)| *ready == name) {
            return parse(text, path, DesignFormat::Toml);
        }
        if path.extension().is_none() {
            let known = READY.map(|(name, _)| name).join(", ");
            return Err(CliError::NotFound(format!(
                "there is no file {name}, and no ready design; these are: {known}"
            )));
        }
    }
    let size = fs::metadata(&there).map_err(|error| CliError::file(&there, error))?.len();
    if size > FILE_BYTES_MAX {
        return Err(CliError::Usage(format!("{} has {size} bytes; a design has 4 MiB at most", path.display())));
    }
    let text = fs::read_to_string(&there).map_err(|error| CliError::file(&there, error))?;
    let is_json = text.trim_start().starts_with('{');
    parse(&text, path, if is_json { DesignFormat::Json } else { DesignFormat::Toml })
}

fn parse(text: &str, path: &Path, format: DesignFormat) -> Result<DesignFile, CliError> {
    let wrong = |why: String| CliError::Usage(format!("{}: {why}", path.display()));
    match format {
        DesignFormat::Json => serde_json::from_str(text).map_err(|error| wrong(error.to_string())),
        DesignFormat::Toml => tandem_config::from_toml(text).map_err(|error| wrong(error.to_string())),
    }
}

/// The form that a file's name asks for.
pub fn format_of(path: Option<&Path>) -> DesignFormat {
    let ending = path.and_then(Path::extension);
    if ending.is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        DesignFormat::Json
    } else {
        DesignFormat::Toml
    }
}

/// A design as a file has it.
pub fn text_of(file: &DesignFile, format: DesignFormat) -> String {
    let json = || serde_json::to_string_pretty(file).expect("plain data") + "\n";
    match format {
        DesignFormat::Json => json(),
        DesignFormat::Toml => tandem_config::to_toml(file).unwrap_or_else(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_storage::{
        design_file::{Plan, export},
        fold::Design,
    };

    #[test]
    fn ready_designs_apply_to_an_empty_workspace_and_come_back_as_they_are() {
        for (name, text) in READY {
            let file = parse(text, Path::new(name), DesignFormat::Toml).unwrap();
            let plan = Plan::make(&Design::default(), &file).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
            let exported = export(&plan.next);
            let again = Plan::make(&plan.next, &exported).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
            assert!(again.is_empty(), "{name} comes back as another design");
            for format in [DesignFormat::Toml, DesignFormat::Json] {
                let text = text_of(&exported, format);
                assert_eq!(parse(&text, Path::new(name), format).unwrap(), exported, "{name} as {format:?}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_line() {
        let check = |text: &str, format, expect: &str| {
            let told = parse(text, Path::new("x.toml"), format).unwrap_err().to_string();
            assert!(told.contains(expect), "{told}");
        };
        check("format = 1\n[[lists]]\n", DesignFormat::Toml, "line 2");
        check("format = 1\n[[list]]\nname = 5\n", DesignFormat::Toml, "line 3");
        check("{ \"format\": 1,\n \"list\": 5 }", DesignFormat::Json, "line 2");
        check("", DesignFormat::Toml, "format");
    }
}
