//! What one node has comes to another: everything to one that has nothing, and changes to one that has 1,000,000
//! records.
//!
//! Over the network (QUIC on the loopback interface) each node is a process of its own; the one that receives measures,
//! from the moment it shows its ticket or goes on the network until its views have everything. The reference is the
//! import of the same rows on the spot, where they are composed and signed besides, but not sent.

use crate::{
    city::{self, City, ROWS_OF_FILE},
    clock::{self, Memory},
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab, Peer},
    ours::{Group, Ours, log_size, wait_until},
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::{
    io::BufRead,
    path::{Path, PathBuf},
};

/// Turns of each case.
const TURNS: usize = 3;
/// Records that the receiver of changes has.
const MANY: usize = 1_000_000;
/// So many fewer new records it gets, or edits: these are made one by one before.
const RECORDS_BY_ROWS: usize = 5;
const RECORDS_BY_EDITS: usize = 20;
/// By how much a node may grow, in MiB.
const GROWTH_BOUND_MB: f64 = 150.0;
/// What is measured besides: the most by which either node grew.
const GROWTH: &str = "growth_mb";

/// What is received, and from where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    case: Case,
    /// The folder of the node that has it.
    source: PathBuf,
    rows: usize,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Case {
    /// Everything, over the network.
    Iroh,
    /// Everything, in one process.
    Memory,
    /// New records, to one that has many. They are made while the two are apart.
    Rows,
    /// Edits of one cell each, to one that has the records. They are made while the two are apart, so that what is
    /// measured is not how quickly they are made.
    Edits,
}

/// What the process of the other node is told, and answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Ask {
    /// New records with numbers from the first one on.
    Rows(usize, usize),
    /// New names for so many of the first so many records.
    Edits(usize, usize),
    /// The digest of the views.
    Digest,
}

/// The node at the other end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceWork;

/// Everything to one that has nothing; changes to one that has much.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    if !lab.takes(Side::Ours) {
        return vec![];
    }
    let rows = lab.rows.unwrap_or(ROWS_OF_FILE);
    let cases = [
        ("iroh", Case::Iroh, rows, TURNS),
        ("memory", Case::Memory, rows, TURNS),
        ("rows-into-1m", Case::Rows, lab.rows.unwrap_or(MANY), 1),
        ("live-into-1m", Case::Edits, lab.rows.unwrap_or(MANY), 1),
    ];
    let mut figures = Vec::new();
    for (name, case, rows, turns) in cases {
        if lab.takes_case(name) {
            figures.extend(figures_of(lab, name, case, rows, turns));
        }
    }
    figures
}

fn figures_of(lab: &mut Lab, name: &'static str, case: Case, rows: usize, turns: usize) -> Vec<Figure> {
    let source = lab.stored(Side::Ours, rows);
    let work = Work { case, source: source.clone(), rows };
    let turns = lab.turns(turns, &[Side::Ours], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Sync(work.clone()) }
    });
    let stored = lab.storing_per_s(Side::Ours, rows);
    let figure = |metric: Metric, reference, reference_name| Figure {
        bench: "sync",
        case: name,
        metric,
        ours: turns.median(Side::Ours, metric.name()).expect("ours was run"),
        reference,
        reference_name,
        peak_mb: turns.peak_mb().expect("ours was run"),
    };
    vec![
        figure(Metric::EventsPerS, stored, "import"),
        figure(Metric::MbPerS, stored * turns.median(Side::Ours, "event_bytes").expect("ours was run") / 1e6, "import"),
        figure(Metric::GrowthMb, GROWTH_BOUND_MB, "bound"),
    ]
}

impl Work {
    /// Measures.
    pub fn run(&self, _: Side, folder: &Path) -> Outcome {
        match self.case {
            Case::Memory => self.in_memory(folder),
            _between_processes => self.between_processes(folder),
        }
    }

    fn in_memory(&self, folder: &Path) -> Outcome {
        let event_bytes = log_size(&self.source).0 as f64 / self.rows as f64;
        let (group, source) = (Group::default(), Ours::open(&self.source, CACHE_BYTES));
        group.link(source.node());
        let memory = Memory::begin();
        let (took, sink) = clock::time(|| group.join(&source, folder, CACHE_BYTES));
        let growth_mb = memory.growth_mb();
        assert_eq!((sink.count(), sink.digest()), (source.count(), source.digest()), "the same at both");
        [sink, source].into_iter().for_each(Ours::close);
        outcome(self.rows, took, event_bytes, growth_mb)
    }

    fn between_processes(&self, folder: &Path) -> Outcome {
        let bytes_before = log_size(&self.source).0;
        let work = task::Work::Source(SourceWork);
        let mut source = Peer::start(&Task { side: Side::Ours, folder: self.source.clone(), work });
        let ticket = source.line().parse().expect("a ticket");
        let mut memory = Memory::begin();
        let (mut took, mut sink) = clock::time(|| {
            let sink = Ours::join_online(&ticket, folder, CACHE_BYTES);
            wait_until("up to date", || sink.is_up_to_date());
            sink
        });
        let mut events = self.rows;
        if self.case != Case::Iroh {
            sink.close();
            let by = if self.case == Case::Edits { RECORDS_BY_EDITS } else { RECORDS_BY_ROWS };
            events = self.rows / by;
            source.ask(&match self.case {
                Case::Edits => Ask::Edits(events, self.rows),
                _rows => Ask::Rows(self.rows, events),
            });
            sink = Ours::open(folder, CACHE_BYTES);
            memory = Memory::begin();
            (took, _) = clock::time(|| {
                sink.go_online();
                wait_until("up to date", || sink.is_up_to_date());
            });
        }
        let growth_mb = memory.growth_mb();
        assert_eq!(hex(&sink.digest()), source.ask(&Ask::Digest), "the same at both");
        sink.close();
        let growth_there_mb = source.end()[GROWTH];
        // What came last is what was measured: the rows that there were, or what was made since.
        let bytes = match self.case {
            Case::Iroh => bytes_before,
            _made_since => log_size(&self.source).0 - bytes_before,
        };
        let event_bytes = bytes as f64 / events as f64;
        outcome(events, took, event_bytes, growth_mb.max(growth_there_mb))
    }
}

impl SourceWork {
    /// Shows a ticket, and does what it is asked until nobody is there to ask.
    pub fn run(&self, folder: &Path) -> Outcome {
        let ours = Ours::open(folder, CACHE_BYTES);
        ours.go_online();
        let mut memory = Memory::begin();
        println!("{}", ours.invite());
        for line in std::io::stdin().lock().lines() {
            let ask = serde_json::from_str(&line.expect("a line")).expect("what is asked");
            match ask {
                Ask::Rows(first, count) => {
                    ours.import((first..first + count).map(|number| (city::id(number), City::made_up(number))));
                    memory = Memory::begin();
                    println!("done");
                }
                Ask::Edits(count, records) => {
                    let mut chance = city::Chance(count as u64);
                    ours.edit_all((0..count).map(|edit| (city::id(chance.below(records)), format!("edit {edit}"))));
                    memory = Memory::begin();
                    println!("done");
                }
                Ask::Digest => println!("{}", hex(&ours.digest())),
            }
        }
        let growth_mb = memory.growth_mb();
        ours.close();
        task::outcome([(GROWTH, growth_mb)])
    }
}

fn outcome(events: usize, took: std::time::Duration, event_bytes: f64, growth_mb: f64) -> Outcome {
    let per_s = events as f64 / took.as_secs_f64();
    task::outcome([
        (Metric::EventsPerS.name(), per_s),
        (Metric::MbPerS.name(), per_s * event_bytes / 1e6),
        ("event_bytes", event_bytes),
        (GROWTH, growth_mb),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
