//! From a stopped node to the answer of its first query: after a clean stop, and after its process was killed.
//!
//! The reference is fjall alone on a copy of the very same files.

use crate::{
    bare,
    city::{self, City},
    clock,
    figure::{Figure, Metric},
    import,
    lab::{CACHE_BYTES, Lab, run_and_kill},
    ours::{self, Ours},
    read::ROWS,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Turns of each side.
const TURNS: usize = 5;

/// A node to open, with so many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    rows: usize,
}

/// After either end.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    let clean = lab.stored(Side::Ours, rows);
    let killed = lab.fresh();
    eprintln!("storing {rows} rows, to be killed …");
    let work = task::Work::Import(import::Work::made_up(rows).that_stays());
    run_and_kill(&Task { side: Side::Ours, folder: killed.clone(), work });
    [case(lab, "clean", rows, &clean), case(lab, "killed", rows, &killed)].into_iter().flatten().collect()
}

fn case(lab: &mut Lab, case: &'static str, rows: usize, stored: &Path) -> Option<Figure> {
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Fjall], |lab, side| {
        // Opening changes what is there: the next turn finds it as it was.
        let folder = lab.fresh();
        copy(stored, &folder);
        Task { side, folder, work: task::Work::Open(Work { rows }) }
    });
    turns.figure(("open", case), Metric::Seconds, Side::Fjall)
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("an entry has a type").is_dir() {
            fs::create_dir_all(&to).expect("a folder can be made");
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("a file can be copied");
        }
    }
}

impl Work {
    /// Measures `side`. Closing is not part of it.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        let took = match side {
            Side::Ours => {
                let number = self.rows / 2;
                let id = city::id(number);
                let (took, (ours, city)) = clock::time(|| {
                    let ours = Ours::open(folder, CACHE_BYTES);
                    let city = ours.read(&id);
                    (ours, city)
                });
                assert_eq!(city, Some(City::made_up(number)));
                drop(ours);
                took
            }
            _reference => {
                let (took, database) = clock::time(|| bare::open_tables(&ours::tables(folder), CACHE_BYTES));
                drop(database);
                took
            }
        };
        task::outcome([(Metric::Seconds.name(), took.as_secs_f64())])
    }
}
