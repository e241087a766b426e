//! Rules of the design: how many evaluations a second a rehearsal makes, and what five rules cost an import.

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
const RULES: usize = 5;
const TURNS: usize = 3;
/// What is expected of one core, evaluations a second.
const EVALUATIONS: f64 = 1_000_000.0;

/// An import, and a rehearsal of the rules where there are none yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    rows: usize,
    with_rules: bool,
}

/// Both.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    if !lab.takes(Side::Ours) {
        return vec![];
    }
    let mut turns = |with_rules| {
        lab.turns(TURNS, &[Side::Ours], |lab, side| {
            let folder = lab.fresh();
            Task { side, folder, work: task::Work::Rules(Work { rows, with_rules }) }
        })
    };
    let (without, with) = (turns(false), turns(true));
    let seconds = |turns: &crate::lab::Turns| turns.median(Side::Ours, Metric::Seconds.name());
    let peak_mb = with.peak_mb();
    let figure = |case, metric, ours, reference, reference_name| {
        Some(Figure { bench: "rules", case, metric, ours, reference, reference_name, peak_mb: peak_mb? })
    };
    let import = seconds(&with).zip(seconds(&without));
    let evaluated = without.median(Side::Ours, Metric::EventsPerS.name());
    let import =
        import.and_then(|(ours, reference)| figure("import", Metric::Seconds, ours, reference, "without rules"));
    let evaluated = evaluated.and_then(|ours| figure("evaluations", Metric::EventsPerS, ours, EVALUATIONS, "bound"));
    import.into_iter().chain(evaluated).collect()
}

impl Work {
    /// Measures.
    pub fn run(&self, _: Side, folder: &Path) -> Outcome {
        let ours = Ours::create(folder, CACHE_BYTES);
        if self.with_rules {
            ours.add_rules();
        }
        let rows = (0..self.rows).map(|number| (city::id(number), City::made_up(number)));
        let (took, stored) = clock::time(|| ours.import(rows));
        assert_eq!(stored, self.rows);
        let (tried, reported) = ours.try_rules();
        assert_eq!(reported.failed, 0, "{:?}", reported.broken);
        ours.close();
        let evaluated = (self.rows * RULES) as f64 / tried.as_secs_f64();
        task::outcome([(Metric::Seconds.name(), took.as_secs_f64()), (Metric::EventsPerS.name(), evaluated)])
    }
}
