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

fn case(lab: &mut Lab, case: &'static str, rows: usize, ours: &Path) -> Option<Figure> {
    let (kept, reference) = (lab.fresh(), lab.fresh());
    put_back(ours, &kept);
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Fjall], |_, side| {
        let folder = if side == Side::Ours { ours } else { &reference };
        // Opening changes what is there: each turn finds it as it was.
        put_back(&kept, folder);
        Task { side, folder: folder.into(), work: task::Work::Open(Work { rows }) }
    });
    turns.figure(("open", case), Metric::Seconds, Side::Fjall)
}

/// Makes the folder `to` hold what `from` holds. Files that are the same are not touched: a node knows by its key's
/// file whether it is still in the folder that it wrote.
fn put_back(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in entries(to).filter(|entry| !from.join(entry.file_name()).exists()) {
        match entry.path() {
            folder if folder.is_dir() => fs::remove_dir_all(folder),
            file => fs::remove_file(file),
        }
        .expect("what was made can be removed");
    }
    for entry in entries(from) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            put_back(&entry.path(), &to);
        } else if fs::read(&to).ok() != fs::read(entry.path()).ok() {
            fs::copy(entry.path(), &to).expect("a file can be copied");
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(folder).expect("a folder can be read").map(|entry| entry.expect("an entry"))
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
                ours.close();
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
