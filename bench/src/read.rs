//! One row by its id, in no order: more rows than the cache holds, and fewer.

use crate::{
    city::{self, Chance, City},
    clock::Times,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::Ours,
    sqlite::Sqlite,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Rows that are stored.
pub const ROWS: usize = 1_000_000;
/// Rows that are read.
const READS: usize = 50_000;
/// Turns of each side.
const TURNS: usize = 5;
/// Much more than the rows take.
const LARGE_CACHE_BYTES: u64 = 4 << 30;

/// So many reads among so many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    rows: usize,
    reads: usize,
    cache_bytes: u64,
    /// Read all rows once before.
    warm: bool,
    /// Which rows.
    seed: u64,
}

/// Through a cache that is too small, and one that holds everything.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let mut figures = case(lab, "cold-cache-64mb", CACHE_BYTES, false);
    figures.extend(case(lab, "cached", LARGE_CACHE_BYTES, true));
    figures
}

fn case(lab: &mut Lab, case: &'static str, cache_bytes: u64, warm: bool) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    let mut seed = 0;
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Sqlite], |lab, side| {
        seed += u64::from(side == Side::Ours);
        let work = Work { rows, reads: READS.min(rows), cache_bytes, warm, seed };
        Task { side, folder: lab.stored(side, rows), work: task::Work::Read(work) }
    });
    let figure = |metric| turns.figure(("read", case), metric, Side::Sqlite);
    [Metric::P50Us, Metric::P99Us].into_iter().filter_map(figure).collect()
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        match side {
            Side::Ours => {
                let ours = Ours::open(folder, self.cache_bytes);
                self.measure(|id| ours.read(id))
            }
            _reference => {
                let sqlite = Sqlite::open(folder, self.cache_bytes);
                self.measure(|id| sqlite.read(id))
            }
        }
    }

    fn measure(&self, read: impl Fn(&[u8; 16]) -> Option<City>) -> Outcome {
        if self.warm {
            (0..self.rows).for_each(|number| assert!(read(&city::id(number)).is_some(), "row {number}"));
        }
        let mut chance = Chance(self.seed);
        let mut times = Times::default();
        for _ in 0..self.reads {
            let number = chance.below(self.rows);
            let id = city::id(number);
            let city = times.time(|| read(&id));
            assert_eq!(city, Some(City::made_up(number)));
        }
        task::outcome([(Metric::P50Us.name(), times.within_us(0.5)), (Metric::P99Us.name(), times.within_us(0.99))])
    }
}
