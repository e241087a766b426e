//! Where children are started, in turns, and what the benches share: folders, and the rows that many of them read.

use crate::{
    clock::median,
    figure::{Figure, Metric},
    import,
    task::{CHILD, Outcome, PEAK, Side, Task, Work},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};
use tempfile::TempDir;

/// Memory for pages of tables, on both sides, where a bench does not say otherwise.
pub const CACHE_BYTES: u64 = 64 << 20;

/// Runs tasks.
pub struct Lab {
    folder: TempDir,
    folders: usize,
    /// Of the program's arguments: rows, instead of each bench's own number.
    pub rows: Option<usize>,
    /// Of the program's arguments: the rows to import.
    pub file: Option<PathBuf>,
    /// Of the program's arguments: only this case.
    pub case: Option<String>,
    /// Of the program's arguments: only these sides are run, and no figure comes of it.
    pub only: Option<Side>,
    /// How long a small write to the disk takes, in the middle.
    pub sync_us: f64,
    stored: BTreeMap<(Side, usize), (PathBuf, Outcome)>,
}

/// The outcomes of several turns.
pub struct Turns(BTreeMap<Side, Vec<Outcome>>);

impl Lab {
    /// In a folder of its own inside `folder`, which goes when this does.
    pub fn new(folder: &Path) -> Self {
        let folder = TempDir::with_prefix_in("tandem-bench-", folder).expect("a temporary folder can be made");
        Self {
            folder,
            folders: 0,
            rows: None,
            file: None,
            case: None,
            only: None,
            sync_us: 0.0,
            stored: BTreeMap::new(),
        }
    }

    /// An empty folder.
    pub fn fresh(&mut self) -> PathBuf {
        self.folders += 1;
        let folder = self.folder.path().join(self.folders.to_string());
        std::fs::create_dir(&folder).expect("a folder can be made");
        folder
    }

    /// Has all `sides` do a task, one after the other, and that `turns` times.
    pub fn turns(&mut self, turns: usize, sides: &[Side], mut task: impl FnMut(&mut Self, Side) -> Task) -> Turns {
        let sides: Vec<Side> = sides.iter().copied().filter(|side| self.takes(*side)).collect();
        let mut outcomes: BTreeMap<Side, Vec<Outcome>> = BTreeMap::new();
        for _ in 0..turns {
            for side in &sides {
                let task = task(self, *side);
                let outcome = run(&task);
                if self.only.is_some() {
                    eprintln!("{} {outcome:?}", side.name());
                }
                outcomes.entry(*side).or_default().push(outcome);
            }
        }
        Turns(outcomes)
    }

    /// Whether the arguments let this case run.
    pub fn takes_case(&self, case: &str) -> bool {
        self.case.as_ref().is_none_or(|only| only == case)
    }

    /// Whether the arguments let this side run.
    pub fn takes(&self, side: Side) -> bool {
        self.only.is_none_or(|only| only == side)
    }

    /// A folder in which `side` has stored that many made-up rows, and was stopped cleanly. Made once.
    pub fn stored(&mut self, side: Side, rows: usize) -> PathBuf {
        if let Some((folder, _)) = self.stored.get(&(side, rows)) {
            return folder.clone();
        }
        let folder = self.fresh();
        eprintln!("storing {rows} rows ({}) …", side.name());
        let work = Work::Import(import::Work::made_up(rows));
        let outcome = run(&Task { side, folder: folder.clone(), work });
        eprintln!("… {:.1} s, peak {:.0} MB", outcome["seconds"], outcome[PEAK]);
        self.stored.insert((side, rows), (folder.clone(), outcome));
        folder
    }

    /// How many of them were stored a second.
    pub fn storing_per_s(&mut self, side: Side, rows: usize) -> f64 {
        self.stored(side, rows);
        rows as f64 / self.stored[&(side, rows)].1["seconds"]
    }

    /// The most memory that it took to store them, in MiB.
    pub fn storing_peak_mb(&mut self, side: Side, rows: usize) -> f64 {
        self.stored(side, rows);
        self.stored[&(side, rows)].1[PEAK]
    }
}

/// A process that does what another asks it, by lines.
pub struct Peer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it.
    pub fn start(task: &Task) -> Self {
        let mut child = start(task, Stdio::piped());
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line);
        assert!(read.is_ok() && line.ends_with('\n'), "the other process ended");
        line.trim_end().to_owned()
    }

    /// Asks it something, and waits for the answer.
    pub fn ask(&mut self, what: &impl Serialize) -> String {
        let line = serde_json::to_string(what).expect("plain data");
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("the other process listens");
        self.line()
    }

    /// Has it end; gives what it measured.
    pub fn end(mut self) -> Outcome {
        drop(self.child.stdin.take());
        let outcome = self.line();
        assert!(self.child.wait().expect("a child ends").success(), "the other process failed");
        serde_json::from_str(&outcome).expect("an outcome")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Turns {
    /// The median of what `side` measured; none where it was left out.
    pub fn median(&self, side: Side, name: &str) -> Option<f64> {
        let outcomes = self.0.get(&side)?;
        Some(median(outcomes.iter().map(|outcome| outcome[name]).collect()))
    }

    /// The figure of one metric; none where a side was left out.
    pub fn figure(
        &self,
        (bench, case): (&'static str, &'static str),
        metric: Metric,
        reference: Side,
    ) -> Option<Figure> {
        Some(Figure {
            bench,
            case,
            metric,
            ours: self.median(Side::Ours, metric.name())?,
            reference: self.median(reference, metric.name())?,
            reference_name: reference.name(),
            peak_mb: self.peak_mb()?,
        })
    }

    /// Ours, the most of all turns.
    pub fn peak_mb(&self) -> Option<f64> {
        self.0.get(&Side::Ours)?.iter().map(|outcome| outcome[PEAK]).max_by(f64::total_cmp)
    }
}

/// Runs a task in a child of its own.
pub fn run(task: &Task) -> Outcome {
    let mut child = start(task, Stdio::null());
    let mut output = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut output).expect("a child writes text");
    let status = child.wait().expect("a child ends");
    assert!(status.success(), "{} of {task:?}", status);
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error} in what {task:?} printed: {output}"))
}

/// Runs a task in a child that is killed, as by a crash, when it prints its first line.
pub fn run_and_kill(task: &Task) {
    let mut child = start(task, Stdio::null());
    let mut line = String::new();
    let lines = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line);
    assert!(lines.is_ok() && line.ends_with('\n'), "{task:?} ended before it was killed");
    child.kill().expect("a child can be killed");
    child.wait().expect("a child ends");
}

fn start(task: &Task, stdin: Stdio) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    let json = serde_json::to_string(task).expect("tasks are plain data");
    Command::new(program)
        .args([CHILD, &json])
        .stdin(stdin)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again")
}
