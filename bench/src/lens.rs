//! Reading what was written ten designs ago: every record of a list, before and after a column of numbers went through
//! ten types.

use crate::{
    city::{self, City},
    clock,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::Ours,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

const ROWS: usize = 200_000;
const TURNS: usize = 3;
const BEFORE: &str = "before_per_s";

/// So many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    rows: usize,
}

/// Events a second, each a record of its own.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    if !lab.takes(Side::Ours) {
        return vec![];
    }
    let turns = lab.turns(TURNS, &[Side::Ours], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Lens(Work { rows }) }
    });
    let of = |name| turns.median(Side::Ours, name);
    let both = of(Metric::EventsPerS.name()).zip(of(BEFORE)).zip(turns.peak_mb());
    let figure = |((ours, reference), peak_mb)| {
        let (metric, reference_name) = (Metric::EventsPerS, "one design");
        Figure { bench: "lens", case: "ten-designs", metric, ours, reference, reference_name, peak_mb }
    };
    both.map(figure).into_iter().collect()
}

impl Work {
    /// Measures.
    pub fn run(&self, _: Side, folder: &Path) -> Outcome {
        let ours = Ours::create(folder, CACHE_BYTES);
        ours.import((0..self.rows).map(|number| (city::id(number), City::made_up(number))));
        ours.read_all();
        let (before, rows) = clock::time(|| ours.read_all());
        assert_eq!(rows, self.rows);
        ours.retype_ten_times();
        let (after, rows) = clock::time(|| ours.read_all());
        assert_eq!(rows, self.rows);
        ours.close();
        let per_s = |took: std::time::Duration| rows as f64 / took.as_secs_f64();
        task::outcome([(Metric::EventsPerS.name(), per_s(after)), (BEFORE, per_s(before))])
    }
}
