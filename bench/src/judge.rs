//! A server that judges: what comes from a hundred authors, with five rules of its own of which one looks for a pattern,
//! one event in a hundred refused; how long an author waits for the verdict; and the inbox with many refusals.
//!
//! A judged event is checked, taken in, judged, and its verdict durable. There is nothing to compare it with: the
//! references are bounds.

use crate::{
    city::{self, City},
    clock::{self, Times},
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::{Court, Ours, Wrong, wait_until},
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

const AUTHORS: usize = 100;
const EVENTS: usize = 100_000;
const REFUSALS: usize = 100_000;
/// Refusals of one page, and how often it is read.
const PAGE: usize = 50;
const PAGES: usize = 200;
/// Edits that somebody waits for.
const EDITS: usize = 500;
const RECORDS: usize = 1_000;
const TURNS: usize = 3;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// So many events, so many in a run.
    Judge {
        /// In all.
        events: usize,
        /// Under one signature.
        per_run: usize,
    },
    /// So many edits.
    Roundtrip(usize),
    /// So many refusals.
    Refusals(usize),
}

/// How many events a second.
pub fn judge(lab: &mut Lab) -> Vec<Figure> {
    let events = lab.rows.unwrap_or(EVENTS);
    let mut figures = Vec::new();
    for (case, per_run, bound) in [("single", 1, 15_000.0), ("runs-of-10", 10, 40_000.0)] {
        if lab.takes_case(case) {
            let work = Work::Judge { events, per_run };
            figures.extend(beside_bounds(lab, "judge", case, &work, TURNS, &[(Metric::EventsPerS, bound)]));
        }
    }
    figures
}

/// From an edit to its verdict, at the author.
pub fn roundtrip(lab: &mut Lab) -> Vec<Figure> {
    let work = Work::Roundtrip(lab.rows.unwrap_or(EDITS).min(EDITS));
    let bounds = [(Metric::P50Us, 3_000.0), (Metric::P99Us, 20_000.0)];
    beside_bounds(lab, "roundtrip", "edit", &work, TURNS, &bounds)
}

/// The first page of the inbox.
pub fn refusals(lab: &mut Lab) -> Vec<Figure> {
    let work = Work::Refusals(lab.rows.unwrap_or(REFUSALS));
    beside_bounds(lab, "refusals", "first-page", &work, 1, &[(Metric::P50Us, 5_000.0)])
}

fn beside_bounds(
    lab: &mut Lab,
    bench: &'static str,
    case: &'static str,
    work: &Work,
    turns: usize,
    bounds: &[(Metric, f64)],
) -> Vec<Figure> {
    if !lab.takes(Side::Ours) {
        return vec![];
    }
    let turns = lab.turns(turns, &[Side::Ours], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Judge(work.clone()) }
    });
    let figure = |(metric, bound): &(Metric, f64)| {
        let (ours, peak_mb) = (turns.median(Side::Ours, metric.name())?, turns.peak_mb()?);
        Some(Figure { bench, case, metric: *metric, ours, reference: *bound, reference_name: "bound", peak_mb })
    };
    bounds.iter().filter_map(figure).collect()
}

impl Work {
    /// Measures.
    pub fn run(&self, _: Side, folder: &Path) -> Outcome {
        match self {
            Self::Judge { events, per_run } => {
                let mut court = court(folder);
                let runs = court.runs(AUTHORS, *events, *per_run, Wrong::Some);
                let (took, (accepted, refused)) = clock::time(|| court.judge(&runs));
                assert_eq!((accepted + refused) as usize, *events, "all are judged");
                assert!(refused > 0, "some break a rule");
                task::outcome([(Metric::EventsPerS.name(), *events as f64 / took.as_secs_f64())])
            }
            Self::Roundtrip(edits) => roundtrips(folder, *edits),
            Self::Refusals(count) => {
                let mut court = court(folder);
                let runs = court.runs(AUTHORS, *count, 100, Wrong::All);
                let (_, refused) = court.judge(&runs);
                assert_eq!(refused as usize, *count, "all are refused");
                let mut times = Times::default();
                for _ in 0..PAGES {
                    let found = times.time(|| court.first_page(PAGE));
                    assert_eq!(found, PAGE.min(*count));
                }
                task::outcome([(Metric::P50Us.name(), times.within_us(0.5))])
            }
        }
    }
}

fn court(folder: &Path) -> Court {
    let owner = Ours::create(folder, CACHE_BYTES);
    for number in 1..=AUTHORS {
        owner.admit(number);
    }
    let workspace = owner.id();
    owner.bind_server();
    Court::open(folder, CACHE_BYTES, workspace)
}

/// An author and a server, linked over the loopback network.
fn roundtrips(folder: &Path, edits: usize) -> Outcome {
    let author = Ours::create(&folder.join("author"), CACHE_BYTES);
    author.import((0..RECORDS).map(|number| (city::id(number), City::made_up(number))));
    author.go_online();
    let server = Ours::join_online(&author.invite(), &folder.join("server"), CACHE_BYTES);
    wait_until("the same at both", || author.is_up_to_date() && server.is_up_to_date());
    author.bind(&server);
    let (id, mut times) = (city::id(0), Times::default());
    for edit in 0..edits {
        times.time(|| {
            author.edit(&id, &format!("edit number {edit}"));
            wait_until("a verdict", || author.waits_for_no_verdict());
        });
    }
    [author, server].into_iter().for_each(Ours::close);
    task::outcome([(Metric::P50Us.name(), times.within_us(0.5)), (Metric::P99Us.name(), times.within_us(0.99))])
}
