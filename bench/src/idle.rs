//! Two replicas that have the same meet: what they say to each other until both know it, and a while after. However
//! many have written in the workspace.

use crate::{
    clock,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::{Counts, Group, Ours, add_authors, wait_until},
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::{path::Path, thread, time::Duration};

/// How many have written.
const AUTHORS: [(&str, usize); 3] = [("1-author", 1), ("100-authors", 100), ("1000-authors", 1_000)];
/// Bytes that either side may send, and round trips.
const BYTES_BOUND: f64 = 200.0;
const ROUND_TRIPS_BOUND: f64 = 1.0;
/// For what is said when both know.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// So many authors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    authors: usize,
}

/// Bytes and round trips.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (case, authors) in AUTHORS {
        if lab.rows.is_none_or(|rows| authors <= rows) && lab.takes_case(case) {
            figures.extend(figures_of(lab, case, authors));
        }
    }
    figures
}

fn figures_of(lab: &mut Lab, case: &'static str, authors: usize) -> Vec<Figure> {
    let turns = lab.turns(1, &[Side::Ours], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Idle(Work { authors }) }
    });
    let figure = |(metric, bound): (Metric, f64)| {
        Some(Figure {
            bench: "idle",
            case,
            metric,
            ours: turns.median(Side::Ours, metric.name())?,
            reference: bound,
            reference_name: "bound",
            peak_mb: turns.peak_mb()?,
        })
    };
    [(Metric::Bytes, BYTES_BOUND), (Metric::RoundTrips, ROUND_TRIPS_BOUND)].into_iter().filter_map(figure).collect()
}

impl Work {
    /// Measures.
    pub fn run(&self, _: Side, folder: &Path) -> Outcome {
        let folders = ["ada", "bob"].map(|name| folder.join(name));
        let ada = Ours::create(&folders[0], CACHE_BYTES);
        let devices = (1..self.authors).map(|number| ada.admit(number)).collect::<Vec<_>>();
        let workspace = ada.id();
        ada.close();
        add_authors(&folders[0], CACHE_BYTES, workspace, devices.len());
        let (ada, group) = (Ours::open(&folders[0], CACHE_BYTES), Group::default());
        group.link(ada.node());
        let bob = group.join(&ada, &folders[1], CACHE_BYTES);
        assert_eq!(ada.digest(), bob.digest(), "the same at both");
        [ada, bob].into_iter().for_each(Ours::close);

        let [ada, bob] = folders.map(|folder| Ours::open(&folder, CACHE_BYTES));
        let (group, counts) = (Group::default(), Counts::default());
        group.link_counting(ada.node(), &counts);
        group.link_counting(bob.node(), &counts);
        let (took, ()) = clock::time(|| wait_until("up to date", || ada.is_up_to_date() && bob.is_up_to_date()));
        thread::park_timeout(AFTERWARDS);
        let (bytes, round_trips) = counts.said();
        assert!(ada.is_up_to_date() && bob.is_up_to_date() && bytes > 0);
        [ada, bob].into_iter().for_each(Ours::close);
        task::outcome([
            (Metric::Bytes.name(), bytes as f64),
            (Metric::RoundTrips.name(), round_trips as f64),
            (Metric::Seconds.name(), took.as_secs_f64()),
        ])
    }
}
