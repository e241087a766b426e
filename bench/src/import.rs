//! Many rows from a file, each an event of its own, with all indexes, durable at the end.
//!
//! Both sides read the file inside the measured time, with the same reader.

use crate::{
    city::{self, City, ROWS_OF_FILE},
    clock,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::Ours,
    sqlite::Sqlite,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Turns of each side.
const TURNS: usize = 3;

/// Of so many rows one is edited before the process is killed: loaded rows are in no journal, edits are.
const ROWS_PER_EDIT: usize = 50;

/// Rows to store in a new database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The file that they are in, or they are made up.
    file: Option<PathBuf>,
    /// At most so many.
    rows: usize,
    /// Edit some and wait to be killed when they are stored, instead of stopping cleanly.
    stay: bool,
}

/// The cities.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS_OF_FILE);
    let file = match &lab.file {
        Some(file) if rows <= ROWS_OF_FILE => file.clone(),
        _too_short => {
            let file = lab.fresh().join("cities.csv");
            city::write(&file, rows);
            file
        }
    };
    let work = Work { file: Some(file), rows, stay: false };
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Sqlite1000, Side::SqliteOne], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Import(work.clone()) }
    });
    let figure = |reference| turns.figure(("import", "cities"), Metric::Seconds, reference);
    [Side::Sqlite1000, Side::SqliteOne].into_iter().filter_map(figure).collect()
}

impl Work {
    /// Rows that are made up.
    pub fn made_up(rows: usize) -> Self {
        Self { file: None, rows, stay: false }
    }

    /// The same, and some edits, in a process that waits to be killed.
    pub fn that_stays(self) -> Self {
        Self { stay: true, ..self }
    }

    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        let (took, stored) = match side {
            Side::Ours => {
                let ours = Ours::create(folder, CACHE_BYTES);
                let done = clock::time(|| ours.import(self.rows()));
                if self.stay {
                    ours.edit_all(self.edits());
                    wait_to_be_killed();
                }
                ours.close();
                done
            }
            reference => {
                let commit_rows = if reference == Side::SqliteOne { usize::MAX } else { 1_000 };
                let mut sqlite = Sqlite::open(folder, CACHE_BYTES);
                let done = clock::time(|| sqlite.import(self.rows(), commit_rows));
                sqlite.close();
                done
            }
        };
        assert!(stored <= self.rows && stored > 0, "{stored} rows of {}", self.rows);
        task::outcome([(Metric::Seconds.name(), took.as_secs_f64()), ("rows", stored as f64)])
    }

    fn rows(&self) -> impl Iterator<Item = ([u8; 16], City)> {
        let rows: Box<dyn Iterator<Item = City>> = match &self.file {
            Some(file) => Box::new(city::read(file)),
            None => Box::new((0..).map(City::made_up)),
        };
        rows.take(self.rows).enumerate().map(|(number, city)| (city::id(number), city))
    }

    /// Other names for some rows. The one in the middle keeps its own: it is read afterwards.
    fn edits(&self) -> impl Iterator<Item = ([u8; 16], String)> {
        let numbers = (0..self.rows).step_by(ROWS_PER_EDIT).filter(|number| *number != self.rows / 2);
        numbers.map(|number| (city::id(number), City::made_up(number + 1).name))
    }
}

fn wait_to_be_killed() {
    println!("stored");
    loop {
        std::thread::park();
    }
}
