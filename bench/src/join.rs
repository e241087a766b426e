//! A question that needs two lists: how many tasks each person has, by name, over a reference by row number.

use crate::{
    clock::Times,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::Tasks,
    person::{PEOPLE, Row},
    task::{self, Outcome, Side, Task},
};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use std::path::Path;

const ROWS: usize = 200_000;
const ASKED: usize = 30;
const TURNS: usize = 3;

const SCHEMA: &str = "
    PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
    CREATE TABLE people (number INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE tasks (id BLOB NOT NULL PRIMARY KEY, title TEXT, owner INTEGER, email TEXT, cost TEXT, page TEXT);
    CREATE INDEX by_owner ON tasks (owner, id);";
const ASK: &str = "SELECT people.name, COUNT(*) FROM tasks JOIN people ON people.number = tasks.owner
    GROUP BY people.name ORDER BY 2 DESC, 1";

/// So many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    rows: usize,
}

/// How long the answer takes.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Sqlite], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Join(Work { rows }) }
    });
    turns.figure(("join", "grouped"), Metric::P50Us, Side::Sqlite).into_iter().collect()
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        let rows = (0..self.rows).map(Row::made_up);
        match side {
            Side::Ours => {
                let tasks = Tasks::create(folder, CACHE_BYTES, false);
                tasks.import_people();
                tasks.import(rows);
                let outcome = self.measure(|| tasks.tasks_of_people());
                tasks.close();
                outcome
            }
            _reference => {
                let sqlite = stored(folder, rows);
                self.measure(|| {
                    let mut ask = sqlite.prepare_cached(ASK).expect("a statement");
                    let groups =
                        ask.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))).expect("an answer");
                    groups.collect::<Result<_, _>>().expect("rows")
                })
            }
        }
    }

    fn measure(&self, ask: impl Fn() -> Vec<(String, u64)>) -> Outcome {
        let mut times = Times::default();
        for _ in 0..ASKED {
            let groups = times.time(&ask);
            assert_eq!(groups.iter().map(|(_, count)| *count).sum::<u64>(), self.rows as u64);
            assert!(groups.len() <= PEOPLE / 2);
        }
        task::outcome([(Metric::P50Us.name(), times.within_us(0.5))])
    }
}

fn stored(folder: &Path, rows: impl Iterator<Item = Row>) -> Connection {
    let mut sqlite = Connection::open(folder.join("tasks.db")).expect("a database can be opened");
    sqlite.execute_batch(&format!("PRAGMA cache_size=-{};{SCHEMA}", CACHE_BYTES / 1024)).expect("tables can be made");
    let transaction = sqlite.transaction().expect("a transaction can be begun");
    {
        let mut person = transaction.prepare("INSERT INTO people VALUES (?1, ?2)").expect("a statement");
        for number in 0..PEOPLE {
            person.execute(params![number as i64, Row::name(number)]).expect("a row can be stored");
        }
        let mut task = transaction.prepare("INSERT INTO tasks VALUES (?1, ?2, ?3, ?4, ?5, ?6)").expect("a statement");
        for (number, row) in rows.enumerate() {
            let strings: Vec<&String> = row.strings().collect();
            let (id, owner) = (crate::city::id(number), row.owner as i64);
            task.execute(params![id, strings[0], owner, strings[1], strings[2], strings[3]])
                .expect("a row can be stored");
        }
    }
    transaction.commit().expect("a transaction can be committed");
    sqlite
}
