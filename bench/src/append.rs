//! Small durable writes: one edit an event, each acknowledged when it is on the disk, beside a file that grows by the
//! same number of bytes with an fdatasync after each.

use crate::{
    bare, city, clock,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::{self, Ours},
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::{path::Path, thread};

/// Edits of all writers together, in one turn: on a slow disk fewer, so that a turn takes seconds.
const EDITS_MAX: usize = 5_000;
const EDITS_MIN: usize = 500;
/// How long a turn's syncs may take.
const TURN_US: f64 = 2e6;
/// Turns of each side.
const TURNS: usize = 5;
/// What ours measures besides: what the log takes, by event.
const LOG_BYTES: &str = "log_bytes";

/// So many edits, by so many writers at a time, of so many bytes each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    writers: usize,
    edits: usize,
    /// For the reference, which has no edits of its own to measure.
    bytes: usize,
}

/// One writer, and sixteen at a time.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    [case(lab, "1-writer", 1), case(lab, "16-writers", 16)].into_iter().flatten().collect()
}

fn case(lab: &mut Lab, case: &'static str, writers: usize) -> Option<Figure> {
    let in_time = ((TURN_US / lab.sync_us) as usize).clamp(EDITS_MIN, EDITS_MAX);
    let edits = (lab.rows.unwrap_or(in_time) / writers).max(1) * writers;
    let work = Work { writers, edits, bytes: log_bytes(lab, writers) };
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Fdatasync], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Append(work.clone()) }
    });
    turns.figure(("append", case), Metric::EventsPerS, Side::Fdatasync)
}

/// What an edit takes in our log.
fn log_bytes(lab: &mut Lab, writers: usize) -> usize {
    let work = Work { writers, edits: 20 * writers, bytes: 0 };
    let folder = lab.fresh();
    let outcome = crate::lab::run(&Task { side: Side::Ours, folder, work: task::Work::Append(work) });
    outcome[LOG_BYTES].round() as usize
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        match side {
            Side::Ours => self.run_ours(folder),
            _reference => {
                let work = || bare::append_synced(&folder.join("file"), self.edits, self.bytes);
                let (took, ()) = clock::time(work);
                task::outcome([(Metric::EventsPerS.name(), self.edits as f64 / took.as_secs_f64())])
            }
        }
    }

    fn run_ours(&self, folder: &Path) -> Outcome {
        let ours = Ours::create(folder, CACHE_BYTES);
        let ids: Vec<[u8; 16]> = (0..self.writers).map(city::id).collect();
        ids.iter().for_each(|id| ours.create_record(*id));
        let (took, ()) = clock::time(|| self.edit_all(&ours, &ids));
        ours.close();
        let log_bytes = ours::log_size(folder).0 as f64 / self.edits as f64;
        task::outcome([(Metric::EventsPerS.name(), self.edits as f64 / took.as_secs_f64()), (LOG_BYTES, log_bytes)])
    }

    fn edit_all(&self, ours: &Ours, ids: &[[u8; 16]]) {
        thread::scope(|scope| {
            for id in ids {
                scope.spawn(|| {
                    for edit in 0..self.edits / self.writers {
                        ours.edit(id, &format!("edit number {edit}"));
                    }
                });
            }
        });
    }
}
