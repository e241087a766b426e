//! The process that crashes: a node that writes notes, and says on its standard output which are saved.

use crate::notes::{Notes, with};
use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};
use tandem_actors::{
    Options,
    command::{Command as Order, ServerChange},
};
use tandem_storage::engine::Options as EngineOptions;
use tandem_wire::{BindingMode, ChainId};

/// Names the data directory; whoever is started with it is the child.
pub const DIR: &str = "TANDEM_CRASH_DIR";
/// Notes that each of the writers writes before the node is stopped in good order, and opened again once.
const NOTES: &str = "TANDEM_CRASH_NOTES";
/// How many times a session writes many notes at once, beside the others.
const LOADS: &str = "TANDEM_CRASH_LOADS";
/// If set, the node is an authority.
pub const JUDGES: &str = "TANDEM_CRASH_JUDGES";
/// Begins the text of each note, so that it is like no other's.
const NAME: &str = "TANDEM_CRASH_NAME";

const WRITERS: u32 = 3;

/// Notes written at once: enough for them to be a load.
const NOTES_PER_LOAD: u32 = 600;

/// So many lines are one write to a pipe, that is heard or not.
const LINES_AT_ONCE: usize = 100;

/// A child on the data directory `dir`.
pub fn command(dir: &Path, name: &str, notes: u32, loads: u32) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.env(DIR, dir).env(NAME, name).stdout(Stdio::piped());
    command.env(NOTES, notes.to_string()).env(LOADS, loads.to_string());
    command
}

/// Small, so that table files are written in the middle of a run.
pub fn options() -> Options {
    let engine = EngineOptions { cache_bytes: 1 << 20, write_buffer_bytes: 96 << 10 };
    Options { engine, disk_free_bytes_min: 0, ..Options::default() }
}

/// Says `had TEXT` for each note that it finds, `open`, and `ack TEXT` for each that it saved; where it judges, also
/// `tip CHAIN SEQ EVENT`, the last event of its own that it shows. Texts have no line ends.
pub fn run() {
    let dir = PathBuf::from(env::var_os(DIR).expect("it is set"));
    let name = env::var(NAME).expect("it is set");
    let number = |variable| -> u32 { env::var(variable).expect("it is set").parse().expect("a number") };
    let (count, loads) = (number(NOTES), number(LOADS));
    for session in 0..2 {
        let node = with(&dir, options());
        let notes = Notes::of(&node);
        let judges = env::var_os(JUDGES).is_some();
        if judges {
            judge(&notes);
        }
        let had: String = notes.texts().iter().map(|text| format!("had {}\n", short(text))).collect();
        say(&format!("{had}open\n"));
        thread::scope(|scope| {
            scope.spawn(|| {
                for load in 0..loads {
                    let texts = (0..NOTES_PER_LOAD).map(|n| format!("{name}.{session}.load-{load}.{n}"));
                    let texts: Vec<String> = texts.collect();
                    notes.add_at_once(&texts);
                    for texts in texts.chunks(LINES_AT_ONCE) {
                        say(&texts.iter().map(|text| format!("ack {text}\n")).collect::<String>());
                    }
                }
            });
            for writer in 0..WRITERS {
                let (notes, name) = (&notes, &name);
                scope.spawn(move || {
                    for n in 0..count {
                        let text = format!("{name}.{session}.{writer}.{n}");
                        notes.add(&padded(&text, n));
                        let tip = if judges { tip(notes) } else { String::new() };
                        say(&format!("ack {text}\n{tip}"));
                    }
                });
            }
        });
        drop(notes);
        node.close().expect("a stop in good order");
    }
}

/// Makes the node its own workspace's authority.
fn judge(notes: &Notes) {
    let office = notes.workspace.office().unwrap();
    if office.terms.is_empty() {
        let mode = BindingMode::Binding;
        let bind = ServerChange::Bind { authority: office.chain, lists: None, mode, replaces: vec![] };
        notes.workspace.commit(Order::Servers(bind)).unwrap();
    }
}

/// The last event of the node's own that is shown.
fn tip(notes: &Notes) -> String {
    let control = notes.workspace.office().unwrap().chain;
    let chain = ChainId { number: control.number + 1, ..control };
    let tip = notes.workspace.fold().head_of(chain).expect("a note");
    format!("tip {} {} {}\n", chain.number, tip.seq, tip.id)
}

/// In one write: it is all heard or not at all.
fn say(text: &str) {
    io::stdout().lock().write_all(text.as_bytes()).expect("somebody listens");
    io::stdout().lock().flush().expect("somebody listens");
}

/// Some notes are long: a group of them takes many pages, and table files are filled.
fn padded(text: &str, n: u32) -> String {
    let mut padded = text.to_owned();
    if n.is_multiple_of(7) {
        // Not to be compressed away.
        let mut state = 1u64;
        padded.push(' ');
        padded.extend((0..6000 * (n % 3 + 1)).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(u64::from(n) + 1);
            char::from(b'!' + (state >> 33) as u8 % 90)
        }));
    }
    padded
}

/// What tells a note from the others.
pub fn short(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}
