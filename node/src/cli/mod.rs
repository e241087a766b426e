//! The command line: one file for each family of commands.

mod admin;
mod args;
mod backup;
mod change;
mod config;
mod console;
mod demo;
mod design;
mod disk;
mod doctor;
mod error;
mod events;
mod export;
mod form;
mod import;
mod inbox;
mod key;
mod log;
mod ls;
mod members;
mod names;
pub(crate) mod open;
mod program;
mod read;
mod refusals;
#[cfg_attr(not(unix), path = "no_remote.rs")]
pub(crate) mod remote;
mod server;
mod server_names;
mod shown;
mod size;
mod status;
mod undo;
mod view;

use self::{args::ConfigCommand, remote::Reached};
pub use args::{Args, Command, NodeArgs};
pub use console::Console;
pub use error::{CliError, Exit};
pub(crate) use log::Log;

use clap::Parser;
use std::{ffi::OsString, io::ErrorKind, path::Path, sync::Arc};
use tandem_actors::Node;

/// Does what the words of a command line ask, of which the first is the program's name, and says how that ended.
///
/// Words that make no sense, and calls for help, end the process.
pub fn run(words: &[OsString], console: &mut Console) -> Exit {
    let args = Args::parse_from(words);
    let done = dispatch(&args, words, console);
    end(done, console)
}

/// Does what the words of another process's command line ask, with a node that is open here. `dir` is the data folder
/// as that process calls it.
#[cfg(unix)]
pub(crate) fn run_on(node: Arc<Node>, words: &[OsString], dir: &Path, console: &mut Console) -> Exit {
    let done = match Args::try_parse_from(words) {
        Ok(args) => on_node(node, &args, dir, console),
        Err(error) => Err(CliError::Usage(error.to_string())),
    };
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

/// What needs no node is done here; the rest with the node that runs, or with one that is opened for it.
fn dispatch(args: &Args, words: &[OsString], console: &mut Console) -> Result<Exit, CliError> {
    match &args.command {
        Command::Demo => return demo::demo(console),
        Command::Completions { shell } => return program::completions(*shell, console),
        Command::Man { folder } => return program::man(folder, console),
        Command::Doctor(doctor) => return doctor::doctor(args, words, doctor, console),
        Command::Config(ConfigCommand::Show(show)) => return config::show(args, show, console),
        #[cfg(unix)]
        Command::Node(node) => return crate::daemon::run(args, node, console),
        #[cfg(not(unix))]
        Command::Node(_) => return remote::no_node(),
        _needs_settings => {}
    }
    let settings = open::settings(args)?;
    Log::start(&settings.config.log);
    let dir = open::data_dir(args, &settings.config)?;
    if let Command::Key(command) = &args.command {
        return key::key(&dir, command, console);
    }
    let node = loop {
        match remote::reach(&dir, || open::node(args, &settings.config))? {
            Reached::Open(node) => break Arc::new(*node),
            // One that is being stopped listens no more: the next turn waits for its end.
            Reached::Running(running) => match running.run(words, &dir, console)? {
                Some(exit) => return Ok(exit),
                None => continue,
            },
        }
    };
    open::tell_recovered(&node, console);
    if let Command::Join(_) = &args.command {
        node.go_online(open::network(&settings.config, &args::NodeArgs::default()))?;
    }
    on_node(node.clone(), args, &dir, console)
}

/// What needs a node.
fn on_node(node: Arc<Node>, args: &Args, dir: &Path, console: &mut Console) -> Result<Exit, CliError> {
    match &args.command {
        Command::Workspace(command) => return admin::workspace(&node, command, console),
        Command::Size(json) => return size::size(&node, dir, *json, console),
        Command::Join(join) => return members::join(&node, join, console),
        Command::Status(json) => return status::status(&node, *json, console),
        Command::Doctor(doctor) => return doctor::of_running(&node, doctor, console),
        _needs_a_workspace => {}
    }
    let workspace = open::workspace(args, &node)?;
    match &args.command {
        Command::Invite(invite) => return members::invite(&node, &workspace, invite, console),
        Command::Members(all) => {
            return members::members(&node, &workspace, all.command.as_ref(), all.json, console);
        }
        Command::Server(server) => return server::server(&node, &workspace, server, console),
        _needs_the_workspace_alone => {}
    }
    let vocabulary = match &args.command {
        Command::Import(args::Import { server_names: true, .. })
        | Command::Export(args::Export { server_names: true, .. }) => Some(node.server_names(&workspace)?),
        _in_the_names_of_the_workspace => None,
    };
    // A node can be closed while something long is done with a workspace of it.
    drop(node);
    match &args.command {
        Command::Demo
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Config(_)
        | Command::Key(_)
        | Command::Node(_)
        | Command::Doctor(_)
        | Command::Join(_)
        | Command::Status(_)
        | Command::Invite(_)
        | Command::Members(_)
        | Command::Server(_)
        | Command::Workspace(_)
        | Command::Size(_) => Err(CliError::Usage("this is not done with a workspace".into())),
        Command::Design(args) => design::design(&workspace, args, console),
        Command::View(args) => view::view(&workspace, args, console),
        Command::Backup { to } => backup::backup(&workspace, to, console),
        Command::Import(import) => import::import(&workspace, vocabulary.as_ref(), import, console),
        Command::Export(export) => export::export(&workspace, vocabulary.as_ref(), export, console),
        Command::Inbox(inbox) => inbox::inbox(&workspace, inbox, console),
        Command::Resolve(resolve) => inbox::resolve(&workspace, resolve, console),
        Command::Resend(resend) => refusals::resend(&workspace, resend, console),
        Command::Discard(discard) => refusals::discard(&workspace, discard, console),
        Command::HandOn(hand_on) => refusals::hand_on(&workspace, hand_on, console),
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
