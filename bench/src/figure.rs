//! One figure: ours, the reference's, and the ratio.

use serde_json::json;
use std::{fmt, time::Duration};

/// A measured pair.
pub struct Figure {
    /// The bench.
    pub bench: &'static str,
    /// What varies in it.
    pub case: &'static str,
    /// What is measured, with its unit.
    pub metric: &'static str,
    /// Whether a greater figure is the better one.
    pub higher_is_better: bool,
    /// Ours, in the metric's unit.
    pub ours: f64,
    /// The reference's, likewise.
    pub reference: f64,
    /// What the reference is.
    pub reference_name: &'static str,
}

impl Figure {
    fn ratio(&self) -> f64 {
        self.ours / self.reference
    }

    /// One line for programs.
    pub fn json(&self) -> serde_json::Value {
        json!({
            "bench": self.bench,
            "case": self.case,
            "metric": self.metric,
            "better": if self.higher_is_better { "higher" } else { "lower" },
            "ours": self.ours,
            "reference": self.reference,
            "reference_name": self.reference_name,
            "ratio": self.ratio(),
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bench, case, metric, ours, reference, reference_name, .. } = self;
        write!(f, "{bench} {case}: {metric} ours {ours:.0}, {reference_name} {reference:.0}, ratio {:.2}", self.ratio())
    }
}

/// How long `work` takes.
pub fn time(work: impl FnOnce()) -> Duration {
    let start = now();
    work();
    now() - start
}

/// The middle one of an odd number of figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[expect(clippy::disallowed_methods, reason = "measuring time is what this is for")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
