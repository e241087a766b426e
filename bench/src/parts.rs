//! An import of rows with three values of several parts, beside the same strings as plain texts.

use crate::{
    clock,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::Tasks,
    person::Row,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

const ROWS: usize = 200_000;
const TURNS: usize = 5;

/// So many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    rows: usize,
}

/// One figure.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Flat], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Parts(Work { rows }) }
    });
    turns.figure(("parts", "import"), Metric::Seconds, Side::Flat).into_iter().collect()
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        let tasks = Tasks::create(folder, CACHE_BYTES, side == Side::Flat);
        let (took, stored) = clock::time(|| tasks.import((0..self.rows).map(Row::made_up)));
        assert_eq!(stored, self.rows);
        tasks.close();
        task::outcome([(Metric::Seconds.name(), took.as_secs_f64())])
    }
}
