//! What a package of the program needs besides the program: completions and manual pages, made of its own help.

use super::{Args, CliError, Console, Exit};
use clap::CommandFactory;
use std::{fs, path::Path};

pub(super) fn completions(shell: clap_complete::Shell, console: &mut Console) -> Result<Exit, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "tandem", &mut text);
    console.text(&String::from_utf8(text).expect("our help is text"))?;
    Ok(Exit::Success)
}

/// A page for the program and one for each command.
pub(super) fn man(folder: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let failed = |error| CliError::File { path: folder.into(), error };
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), folder).map_err(failed)?;
    let pages = fs::read_dir(folder).map_err(failed)?.count();
    console.line(format_args!("wrote {pages} pages to {}", crate::show::escape(&folder.display().to_string())))?;
    Ok(Exit::Success)
}
