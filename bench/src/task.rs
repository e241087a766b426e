//! What one child process does: one piece of work of one side, alone with its memory.
//!
//! The bench starts itself again as `tandem-bench child TASK`, with the task as JSON, and reads what was measured, as
//! JSON, from the child's output.

use crate::{
    append, clock, hot, idle, import, join, judge, lens, merge, one, open, page, parts, read, rehearse, rules, sync,
    types,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The argument that makes a process a child.
pub const CHILD: &str = "child";

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Tandem.
    Ours,
    /// A growing file, synced after each piece.
    Fdatasync,
    /// The tables below, alone.
    Fjall,
    /// SQLite: each statement a transaction, or where rows come in bulk 1,000 of them.
    Sqlite,
    /// SQLite, 1,000 rows a transaction.
    Sqlite1000,
    /// SQLite, one transaction for everything.
    SqliteOne,
    /// Automerge, each edit a change.
    Automerge,
    /// Automerge, many edits a change.
    AutomergeGrouped,
    /// Loro.
    Loro,
    /// Tandem, with plain texts instead of values of several parts.
    Flat,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Who does it.
    pub side: Side,
    /// The folder to do it in.
    pub folder: PathBuf,
    /// What.
    pub work: Work,
}

/// The kinds of work, one for each file beside this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    Append(append::Work),
    Import(import::Work),
    Read(read::Work),
    Page(page::Work),
    Open(open::Work),
    Hot(hot::Work),
    Merge(merge::Work),
    Sync(sync::Work),
    Source(sync::SourceWork),
    One(one::Work),
    Idle(idle::Work),
    Judge(judge::Work),
    Rehearse(rehearse::Work),
    Rules(rules::Work),
    Lens(lens::Work),
    Parts(parts::Work),
    Join(join::Work),
    Types(types::Work),
}

/// What a child measured, by name, in the unit that the name ends with.
pub type Outcome = BTreeMap<String, f64>;

/// The outcome's name for the peak of the memory.
pub const PEAK: &str = "peak_mb";

impl Side {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Ours,
        Self::Fdatasync,
        Self::Fjall,
        Self::Sqlite,
        Self::Sqlite1000,
        Self::SqliteOne,
        Self::Automerge,
        Self::AutomergeGrouped,
        Self::Loro,
        Self::Flat,
    ];

    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Fdatasync => "fdatasync",
            Self::Fjall => "fjall",
            Self::Sqlite => "sqlite",
            Self::Sqlite1000 => "sqlite-1000",
            Self::SqliteOne => "sqlite-one",
            Self::Automerge => "automerge",
            Self::AutomergeGrouped => "automerge-256",
            Self::Loro => "loro",
            Self::Flat => "flat",
        }
    }
}

/// Does the task that `json` describes, and prints its outcome.
pub fn child(json: &str) {
    let Task { side, folder, work } = serde_json::from_str(json).expect("a task, from the process that started this");
    let mut outcome = match work {
        Work::Append(work) => work.run(side, &folder),
        Work::Import(work) => work.run(side, &folder),
        Work::Read(work) => work.run(side, &folder),
        Work::Page(work) => work.run(side, &folder),
        Work::Open(work) => work.run(side, &folder),
        Work::Hot(work) => work.run(side, &folder),
        Work::Merge(work) => work.run(side, &folder),
        Work::Sync(work) => work.run(side, &folder),
        Work::Source(work) => work.run(&folder),
        Work::One(work) => work.run(side, &folder),
        Work::Idle(work) => work.run(side, &folder),
        Work::Judge(work) => work.run(side, &folder),
        Work::Rehearse(work) => work.run(side, &folder),
        Work::Rules(work) => work.run(side, &folder),
        Work::Lens(work) => work.run(side, &folder),
        Work::Parts(work) => work.run(side, &folder),
        Work::Join(work) => work.run(side, &folder),
        Work::Types(work) => work.run(side, &folder),
    };
    outcome.insert(PEAK.into(), clock::peak_mb());
    println!("{}", serde_json::to_string(&outcome).expect("numbers"));
}

/// An outcome of these.
pub fn outcome<const N: usize>(measured: [(&str, f64); N]) -> Outcome {
    measured.into_iter().map(|(name, number)| (name.to_string(), number)).collect()
}
