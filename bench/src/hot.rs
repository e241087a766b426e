//! One cell that is edited again and again: whether what was before slows down what comes.
//!
//! The first and the last edits are made one by one, each durable before the next, and next to them as many in large
//! groups, which shows what an edit costs besides the disk. So are all between, to pass the time.

use crate::{
    city::{self, City},
    clock,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::Ours,
    sqlite::Sqlite,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Edits.
const EDITS: usize = 100_000;
/// The first and the last that are compared, and as many in groups.
const WINDOW: usize = 1_000;
/// Turns of each side.
const TURNS: usize = 3;
/// What is measured: how long the first edits take, and the last; one by one and in groups.
const FIRST: &str = "first_seconds";
const LAST: &str = "last_seconds";
const FIRST_GROUPED: &str = "first_grouped_seconds";
const LAST_GROUPED: &str = "last_grouped_seconds";

/// So many edits, of which the first and last so many are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    edits: usize,
    window: usize,
}

/// The last edits beside the first, and beside SQLite's.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let edits = lab.rows.map_or(EDITS, |rows| rows.clamp(4, EDITS));
    let work = Work { edits, window: WINDOW.min(edits / 4) };
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Sqlite], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Hot(work.clone()) }
    });
    let slowing = |case, first: &str, last: &str| {
        Some(Figure {
            bench: "hot",
            case,
            metric: Metric::Seconds,
            ours: turns.median(Side::Ours, last)?,
            reference: turns.median(Side::Ours, first)?,
            reference_name: "first-edits",
            peak_mb: turns.peak_mb()?,
        })
    };
    let figures = [
        slowing("last-edits", FIRST, LAST),
        slowing("last-edits-grouped", FIRST_GROUPED, LAST_GROUPED),
        turns.figure(("hot", "last-edits"), Metric::EventsPerS, Side::Sqlite),
    ];
    figures.into_iter().flatten().collect()
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        let id = city::id(0);
        let row = std::iter::once((id, City::made_up(0)));
        match side {
            Side::Ours => {
                let ours = Ours::create(folder, CACHE_BYTES);
                ours.import(row);
                self.measure(|name| ours.edit(&id, &name), |names| ours.edit_grouped(&id, names))
            }
            _reference => {
                let mut sqlite = Sqlite::open(folder, CACHE_BYTES);
                sqlite.import(row, 1);
                self.measure(|name| sqlite.edit(&id, &name), |names| sqlite.edit_grouped(&id, names))
            }
        }
    }

    fn measure(&self, edit: impl Fn(String), edit_grouped: impl Fn(&mut dyn Iterator<Item = String>)) -> Outcome {
        let mut names = (0..self.edits).map(|number| format!("edit number {number}"));
        let mut one_by_one = || clock::time(|| names.by_ref().take(self.window).for_each(&edit)).0.as_secs_f64();
        let first = one_by_one();
        let mut grouped = |edits| clock::time(|| edit_grouped(&mut names.by_ref().take(edits))).0.as_secs_f64();
        let first_grouped = grouped(self.window);
        grouped(self.edits - 4 * self.window);
        let last_grouped = grouped(self.window);
        let last = clock::time(|| names.for_each(&edit)).0.as_secs_f64();
        task::outcome([
            (FIRST, first),
            (LAST, last),
            (FIRST_GROUPED, first_grouped),
            (LAST_GROUPED, last_grouped),
            (Metric::EventsPerS.name(), self.window as f64 / last),
        ])
    }
}
