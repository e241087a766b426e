//! A new design tried on a million rows while a thousand edits a second go on: an indexed field is added, or a column of
//! texts becomes one of numbers; alone, or with three views, two forms and five rules evaluated on every row. Beside it
//! SQLite makes the same column and index on a copy of its file, where nobody edits.

use crate::{
    city,
    clock::Times,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::{NewDesign, Ours},
    sqlite::Sqlite,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::{path::Path, time::Duration};

/// Rows, and how many of them are edited meanwhile, in turn.
const ROWS: usize = 1_000_000;
const EDITED: usize = 5_000;
/// From one edit to the next.
const EVERY: Duration = Duration::from_millis(1);
const TURNS: usize = 3;

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    rows: usize,
    case: Case,
    with_rules: bool,
}

/// What the design changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Case {
    NewIndex,
    TextToNumber,
}

/// Seconds, and how long edits wait.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    let mut figures = Vec::new();
    for (case, of, with_rules) in [
        ("new-index", Case::NewIndex, false),
        ("new-index-with-rules", Case::NewIndex, true),
        ("text-to-number", Case::TextToNumber, false),
        ("text-to-number-with-rules", Case::TextToNumber, true),
    ] {
        if !lab.takes_case(case) {
            continue;
        }
        let work = Work { rows, case: of, with_rules };
        let turns = lab.turns(TURNS, &[Side::Ours, Side::Sqlite], |lab, side| {
            let stored = lab.stored(side, rows);
            let folder = lab.fresh();
            copy(&stored, &folder);
            Task { side, folder, work: task::Work::Rehearse(work.clone()) }
        });
        figures.extend(turns.figure(("rehearse", case), Metric::Seconds, Side::Sqlite));
        let waits = turns.median(Side::Ours, Metric::P99Us.name()).zip(turns.peak_mb());
        figures.extend(waits.map(|(ours, peak_mb)| {
            let (metric, reference, reference_name) = (Metric::P99Us, 20_000.0, "bound");
            Figure { bench: "rehearse", case, metric, ours, reference, reference_name, peak_mb }
        }));
    }
    figures
}

/// A folder with all that is in it, so that nothing of it is still on its way to the disk.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            std::fs::create_dir_all(&target).expect("a folder can be made");
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a file can be copied");
            std::fs::File::open(&target).and_then(|copy| copy.sync_all()).expect("a file can be synced");
        }
    }
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        if side != Side::Ours {
            let sqlite = Sqlite::open(folder, CACHE_BYTES);
            let took = match self.case {
                Case::NewIndex => sqlite.new_index(),
                Case::TextToNumber => sqlite.text_to_number(),
            };
            sqlite.close();
            return task::outcome([(Metric::Seconds.name(), took.as_secs_f64())]);
        }
        let ours = Ours::open(folder, CACHE_BYTES);
        let change = match self.case {
            Case::NewIndex => NewDesign::NewIndex,
            Case::TextToNumber => NewDesign::TextToNumber,
        };
        let file = ours.new_design(change, self.with_rules);
        let ids: Vec<[u8; 16]> = (0..self.rows).step_by((self.rows / EDITED).max(1)).map(city::id).collect();
        let (took, reported, waited) = ours.rehearse(&file, &ids, EVERY);
        assert_eq!(reported.records as usize, self.rows, "all are looked at");
        assert_eq!(reported.failed, 0, "{:?}", reported.broken);
        let mut times = Times::of(waited);
        ours.close();
        task::outcome([(Metric::Seconds.name(), took.as_secs_f64()), (Metric::P99Us.name(), times.within_us(0.99))])
    }
}
