//! The command line: one file for each family of commands.

mod admin;
mod args;
mod backup;
mod change;
mod config;
mod demo;
mod disk;
mod doctor;
mod error;
mod events;
mod export;
mod import;
mod key;
mod ls;
mod names;
mod open;
mod program;
mod read;
mod shown;
mod size;
mod undo;

use args::ConfigCommand;
pub use args::{Args, Command};
pub use error::{CliError, Exit};

use std::io::{self, Write};

/// Where a command prints what it found. A reader that has seen enough (`| head`) is no error.
pub struct Out {
    stream: Box<dyn Write>,
}

impl Out {
    /// Standard output, buffered.
    pub fn stdout() -> Self {
        Self { stream: Box::new(io::BufWriter::new(io::stdout().lock())) }
    }

    fn line(&mut self, line: impl std::fmt::Display) -> Result<(), CliError> {
        writeln!(self.stream, "{line}").map_err(CliError::Output)
    }

    fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.stream.write_all(text.as_bytes()).map_err(CliError::Output)
    }

    fn flush(&mut self) -> Result<(), CliError> {
        self.stream.flush().map_err(CliError::Output)
    }
}

/// Does what the command line asks.
pub fn run(args: &Args, out: &mut Out) -> Result<Exit, CliError> {
    let done = dispatch(args, out).and_then(|exit| out.flush().map(|()| exit));
    match done {
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        done => done,
    }
}

fn dispatch(args: &Args, out: &mut Out) -> Result<Exit, CliError> {
    // What needs no node, or not one that opens.
    match &args.command {
        Command::Demo => return demo::demo(out),
        Command::Completions { shell } => return program::completions(*shell, out),
        Command::Man { folder } => return program::man(folder, out),
        Command::Doctor(doctor) => return doctor::doctor(args, doctor, out),
        Command::Config(ConfigCommand::Show(show)) => return config::show(args, show, out),
        _needs_the_node => {}
    }
    let settings = open::settings(args)?;
    start_log(&settings.config);
    let dir = open::data_dir(args, &settings.config)?;
    if let Command::Key(command) = &args.command {
        return key::key(&dir, command, out);
    }
    let node = open::node(args, &settings.config)?;
    match &args.command {
        Command::Workspace(command) => return admin::workspace(&node, command, out),
        Command::Size(json) => return size::size(&node, &dir, *json, out),
        _needs_a_workspace => {}
    }
    let workspace = open::workspace(args, &node)?;
    match &args.command {
        Command::Demo
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Doctor(_)
        | Command::Config(_)
        | Command::Key(_)
        | Command::Workspace(_)
        | Command::Size(_) => unreachable!("done above"),
        Command::Backup { file } => backup::backup(&node, &workspace, file, out),
        Command::Import(import) => import::import(&workspace, import, out),
        Command::Export(export) => export::export(&workspace, export, out),
        Command::Lists(json) => read::lists(&workspace, *json, out),
        Command::Ls(ls) => ls::ls(&workspace, ls, out),
        Command::Get(get) => read::get(&workspace, get, out),
        Command::History(history) => read::history(&workspace, history, out),
        Command::Log(log) => read::log(&workspace, log, out),
        Command::New(new) => change::new(&workspace, new, out),
        Command::Set(set) => change::set(&workspace, set, out),
        Command::Rm(rm) => change::rm(&workspace, rm, out),
        Command::Restore(restore) => change::restore(&workspace, restore, out),
        Command::Undo(undo) => undo::undo(&workspace, undo, out),
        Command::Digest(json) => admin::digest(&workspace, *json, out),
        Command::Verify(verify) => admin::verify(&workspace, verify, out),
    }
}

/// Logs go to standard error, so that they never mix with what was asked for.
fn start_log(config: &tandem_config::Config) {
    let level = config.log.level.name();
    let builder = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(level);
    // A second start in one process (tests) keeps the first.
    let _ = match config.log.format {
        tandem_config::LogFormat::Pretty => builder.try_init(),
        tandem_config::LogFormat::Json => builder.json().try_init(),
    };
}
