//! Fifty rows at a time: sorted by a text from a random start, from the index alone or each fetched, and filtered.

use crate::{
    city::{Chance, City},
    clock::Times,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::Ours,
    read::ROWS,
    sqlite::Sqlite,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Pages that are read.
const PAGES: usize = 2_000;
/// Rows of each, if there are so many.
const PAGE_ROWS: u32 = 50;
/// What is measured besides: rows of a page, on average.
const ROWS_FOUND: &str = "rows_found";
/// Turns of each side.
const TURNS: usize = 5;

/// So many pages of so many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    rows: usize,
    pages: usize,
    kind: Kind,
    seed: u64,
}

/// What pages are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// Sorted, with the columns that the index has.
    Covering,
    /// Sorted, with all columns.
    Fetching,
    /// Of one country, which has an index, and one time zone, which has none, with all columns.
    Filtered,
}

/// All kinds.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let kinds = [("covering", Kind::Covering), ("fetching", Kind::Fetching), ("filtered", Kind::Filtered)];
    kinds.into_iter().flat_map(|(name, kind)| case(lab, name, kind)).collect()
}

fn case(lab: &mut Lab, case: &'static str, kind: Kind) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    let mut seed = 0;
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Sqlite], |lab, side| {
        seed += u64::from(side == Side::Ours);
        let work = Work { rows, pages: PAGES.min(rows), kind, seed };
        Task { side, folder: lab.stored(side, rows), work: task::Work::Page(work) }
    });
    // Where the order is the same, so are the rows. (Ours sorts names as people do, SQLite by their bytes, so that the
    // last pages of all differ.)
    let [ours, reference] = [Side::Ours, Side::Sqlite].map(|side| turns.median(side, ROWS_FOUND));
    assert!(kind != Kind::Filtered || lab.only.is_some() || ours == reference, "{case}: {ours:?}, {reference:?}");
    let figure = |metric| turns.figure(("page", case), metric, Side::Sqlite);
    [Metric::P50Us, Metric::P99Us].into_iter().filter_map(figure).collect()
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        match side {
            Side::Ours => {
                let ours = Ours::open(folder, CACHE_BYTES);
                match self.kind {
                    Kind::Covering => self.measure(|start| ours.page_covering(&start.name, PAGE_ROWS).len()),
                    Kind::Fetching => self.measure(|start| ours.page_fetching(&start.name, PAGE_ROWS).len()),
                    Kind::Filtered => {
                        self.measure(|start| ours.page_filtered(&start.country, &start.timezone, PAGE_ROWS).len())
                    }
                }
            }
            _reference => {
                let sqlite = Sqlite::open(folder, CACHE_BYTES);
                match self.kind {
                    Kind::Covering => self.measure(|start| sqlite.page_covering(&start.name, PAGE_ROWS).len()),
                    Kind::Fetching => self.measure(|start| sqlite.page_fetching(&start.name, PAGE_ROWS).len()),
                    Kind::Filtered => {
                        self.measure(|start| sqlite.page_filtered(&start.country, &start.timezone, PAGE_ROWS).len())
                    }
                }
            }
        }
    }

    /// Asks for pages that begin at some row, or with its country and time zone.
    fn measure(&self, page: impl Fn(&City) -> usize) -> Outcome {
        let mut chance = Chance(self.seed);
        let mut times = Times::default();
        let mut found = 0;
        for _ in 0..self.pages {
            let start = City::made_up(chance.below(self.rows));
            found += times.time(|| page(&start));
        }
        assert!(found > 0, "pages have rows");
        task::outcome([
            (Metric::P50Us.name(), times.within_us(0.5)),
            (Metric::P99Us.name(), times.within_us(0.99)),
            (ROWS_FOUND, found as f64 / self.pages as f64),
        ])
    }
}
