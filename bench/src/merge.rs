//! Concurrent edits of the same records by two authors, taken in by a third replica that has the records and none of
//! the edits: first many at once, then a hundred more, again and again.
//!
//! Ours checks signatures, keeps the losers, keeps indexes, and is durable before it goes on; the references hold
//! documents in memory. Each edit is a change of its own, with an author and a time; Automerge is also measured with
//! [`EDITS_PER_CHANGE`] edits a change, which saves it most of its work.

use crate::{
    city::{self, Chance, City},
    clock::{self, Times},
    documents::{Automerge, Document, Loro},
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    ours::{Group, Ours, Replica, next_run, runs_from},
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Edits of both authors together, and the records that they are spread over.
const EDITS: usize = 100_000;
const RECORDS_BY_EDITS: usize = 10;
/// Edits that come on top, both authors' together, and how often.
const MORE: usize = 100;
const MORE_TIMES: usize = 50;
/// Turns of each side.
const TURNS: usize = 3;
/// Of Automerge, where edits share changes.
pub const EDITS_PER_CHANGE: usize = 256;

/// So many edits, by two authors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    edits: usize,
}

/// What one author does: a name for one record, by number, after the other.
type Edits = Vec<(usize, String)>;

/// Ours beside two that are known to be quick.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let work = Work { edits: lab.rows.map_or(EDITS, |rows| rows.clamp(2 * RECORDS_BY_EDITS, EDITS)) };
    let references = [Side::Automerge, Side::AutomergeGrouped, Side::Loro];
    let sides = [&[Side::Ours], &references[..]].concat();
    let turns = lab.turns(TURNS, &sides, |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::Merge(work.clone()) }
    });
    let figure = |case, metric| references.map(|reference| turns.figure(("merge", case), metric, reference));
    let figures = [figure("bulk", Metric::EventsPerS), figure("plus-100", Metric::P50Us)];
    figures.into_iter().flatten().flatten().collect()
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        match side {
            Side::Ours => self.run_ours(folder),
            Side::Loro => self.run_document::<Loro>(1),
            Side::AutomergeGrouped => self.run_document::<Automerge>(EDITS_PER_CHANGE),
            _automerge => self.run_document::<Automerge>(1),
        }
    }

    fn records(&self) -> usize {
        self.edits / RECORDS_BY_EDITS
    }

    /// The edits of author 0 or 1.
    fn bulk(&self, author: usize) -> Edits {
        self.edits_of(author, self.edits / 2, author as u64)
    }

    /// The same, each time that more come on top.
    fn more(&self, author: usize) -> impl Iterator<Item = Edits> {
        (0..MORE_TIMES).map(move |time| self.edits_of(author, MORE / 2, (2 + 2 * time + author) as u64))
    }

    fn edits_of(&self, author: usize, count: usize, seed: u64) -> Edits {
        let mut chance = Chance(seed);
        (0..count).map(|edit| (chance.below(self.records()), format!("edit {edit} of author {author}"))).collect()
    }

    fn run_ours(&self, folder: &Path) -> Outcome {
        let folders = ["ada", "bob", "replica"].map(|name| folder.join(name));
        let ada = Ours::create(&folders[0], CACHE_BYTES);
        ada.import((0..self.records()).map(|number| (city::id(number), City::made_up(number))));
        let group = Group::default();
        group.link(ada.node());
        let bob = group.join(&ada, &folders[1], CACHE_BYTES);
        let replica = group.join(&ada, &folders[2], CACHE_BYTES);
        let workspace = ada.id();
        crate::ours::wait_until("all the same", || ada.digest() == bob.digest() && ada.digest() == replica.digest());
        [ada, bob, replica].into_iter().for_each(Ours::close);
        let [adas, bobs] = [0, 1].map(|author| {
            let from = next_run(&folders[author]);
            let ours = Ours::open(&folders[author], CACHE_BYTES);
            ours.edit_all(by_id(self.bulk(author)));
            self.more(author).for_each(|edits| ours.edit_all(by_id(edits)));
            ours.close();
            let mut runs = runs_from(&folders[author], from);
            let more = runs.split_off(runs.len() - MORE_TIMES);
            (runs, more)
        });
        let mut replica = Replica::open(&folders[2], CACHE_BYTES, workspace);
        let bulk = [adas.0, bobs.0].concat();
        let (took, ()) = clock::time(|| replica.take(&bulk));
        let mut times = Times::default();
        for (ada, bob) in adas.1.into_iter().zip(bobs.1) {
            let both = [ada, bob];
            times.time(|| replica.take(&both));
        }
        assert!(replica.conflicts() > 0, "two authors at once");
        self.outcome(took, times)
    }

    fn run_document<D: Document>(&self, edits_per_change: usize) -> Outcome {
        let mut first = D::new((0..self.records()).map(City::made_up));
        let mut replica = first.fork(3);
        let mut authors = [first.fork(1), first.fork(2)];
        let bulk = [0, 1].map(|author| authors[author].edit(&self.bulk(author), edits_per_change));
        let mut more = Vec::new();
        let mut edits = [0, 1].map(|author| self.more(author));
        for _ in 0..MORE_TIMES {
            let mut next = |author: usize| edits[author].next().expect("as many as times");
            more.push([0, 1].map(|author| authors[author].edit(&next(author), edits_per_change)));
        }
        let (took, ()) = clock::time(|| bulk.iter().for_each(|changes| replica.take(changes)));
        let mut times = Times::default();
        for both in &more {
            times.time(|| both.iter().for_each(|changes| replica.take(changes)));
        }
        let [mut ada, bob] = authors;
        ada.merge(bob);
        assert_eq!(replica.names(), ada.names(), "the replica has what the authors have");
        self.outcome(took, times)
    }

    fn outcome(&self, took: std::time::Duration, mut times: Times) -> Outcome {
        let rate = (self.edits / 2 * 2) as f64 / took.as_secs_f64();
        task::outcome([(Metric::EventsPerS.name(), rate), (Metric::P50Us.name(), times.within_us(0.5))])
    }
}

fn by_id(edits: Edits) -> impl Iterator<Item = ([u8; 16], String)> {
    edits.into_iter().map(|(record, name)| (city::id(record), name))
}
