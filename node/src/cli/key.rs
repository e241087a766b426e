//! `tandem key`: the device key, which is the node.

use super::{CliError, Console, Exit, args::KeyCommand};
use crate::show::escape;
use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};
use tandem_actors::{device_key, node::NodeError};

pub(super) fn key(dir: &Path, command: &KeyCommand, console: &mut Console) -> Result<Exit, CliError> {
    match command {
        KeyCommand::Show => {
            let key = device_key::load(dir).map_err(NodeError::from)?;
            let key = key.ok_or_else(|| none_yet(dir))?;
            console.line(key.device())?;
        }
        KeyCommand::Export { file } => {
            let key = device_key::load(dir).map_err(NodeError::from)?;
            key.ok_or_else(|| none_yet(dir))?;
            let text = fs::read_to_string(dir.join(device_key::FILE));
            let text = text.map_err(|error| CliError::File { path: dir.join(device_key::FILE), error })?;
            write_new(file, text.trim()).map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => CliError::Usage(format!(
                    "{} is there already, and a key is never written over something; give another name",
                    file.display()
                )),
                _other => CliError::File { path: file.clone(), error },
            })?;
            console.line(format_args!("wrote the device key to {}", escape(&file.display().to_string())))?;
            console.line(
                "It is not encrypted: whoever reads it can write in your name. Keep it where only you can read it.",
            )?;
            console.line(
                "To use it, copy it into an empty data folder as device.key. Never run two nodes with one key.",
            )?;
        }
    }
    Ok(Exit::Success)
}

fn none_yet(dir: &Path) -> CliError {
    CliError::NotFound(format!("there is no device key in {} yet; the first workspace makes one", dir.display()))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
