//! The command line: one file for each family of commands.

mod admin;
mod args;
mod backup;
mod change;
mod config;
mod console;
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
pub use console::Console;
pub use error::{CliError, Exit};

use clap::Parser;
use std::{
    ffi::OsString,
    io::{self, ErrorKind},
};

/// Does what the words of a command line ask, of which the first is the program's name, and says how that ended.
///
/// Words that make no sense, and calls for help, end the process.
pub fn run(words: &[OsString], console: &mut Console) -> Exit {
    let args = Args::parse_from(words);
    let done = dispatch(&args, console);
    end(done, console)
}

/// Prints what is still to be printed, and the error.
fn end(done: Result<Exit, CliError>, console: &mut Console) -> Exit {
    let done = done.and_then(|exit| console.flush().map(|()| exit));
    match done {
        Ok(exit) => exit,
        Err(CliError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => {
            console.complain(&error.shown());
            error.exit()
        }
    }
}

fn dispatch(args: &Args, console: &mut Console) -> Result<Exit, CliError> {
    // What needs no node, or not one that opens.
    match &args.command {
        Command::Demo => return demo::demo(console),
        Command::Completions { shell } => return program::completions(*shell, console),
        Command::Man { folder } => return program::man(folder, console),
        Command::Doctor(doctor) => return doctor::doctor(args, doctor, console),
        Command::Config(ConfigCommand::Show(show)) => return config::show(args, show, console),
        _needs_the_node => {}
    }
    let settings = open::settings(args)?;
    start_log(&settings.config);
    let dir = open::data_dir(args, &settings.config)?;
    if let Command::Key(command) = &args.command {
        return key::key(&dir, command, console);
    }
    let node = open::node(args, &settings.config, console)?;
    match &args.command {
        Command::Workspace(command) => return admin::workspace(&node, command, console),
        Command::Size(json) => return size::size(&node, &dir, *json, console),
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
        Command::Backup { file } => backup::backup(&node, &workspace, file, console),
        Command::Import(import) => import::import(&workspace, import, console),
        Command::Export(export) => export::export(&workspace, export, console),
        Command::Lists(json) => read::lists(&workspace, *json, console),
        Command::Ls(ls) => ls::ls(&workspace, ls, console),
        Command::Get(get) => read::get(&workspace, get, console),
        Command::History(history) => read::history(&workspace, history, console),
        Command::Log(log) => read::log(&workspace, log, console),
        Command::New(new) => change::new(&workspace, new, console),
        Command::Set(set) => change::set(&workspace, set, console),
        Command::Rm(rm) => change::rm(&workspace, rm, console),
        Command::Restore(restore) => change::restore(&workspace, restore, console),
        Command::Undo(undo) => undo::undo(&workspace, undo, console),
        Command::Digest(json) => admin::digest(&workspace, *json, console),
        Command::Verify(verify) => admin::verify(&workspace, verify, console),
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
