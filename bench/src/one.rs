//! One edit at a time: from the moment it is made until it is durable and shown at both of two nodes that are linked
//! over the loopback network. The reference is what the disk alone takes for both, one after the other.

use crate::{
    city::{self, City},
    clock::Times,
    figure::{Figure, Metric},
    lab::{CACHE_BYTES, Lab},
    machine::write_synced,
    ours::Ours,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Edits in one turn.
const EDITS: usize = 1_000;
/// Records that the nodes have, one of which is edited.
const RECORDS: usize = 1_000;
/// Turns of each side.
const TURNS: usize = 3;
/// Bytes that the reference writes for an edit.
const BYTES: usize = 256;

/// So many edits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    edits: usize,
}

/// In the middle, and but for the slowest hundredth.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let work = Work { edits: lab.rows.map_or(EDITS, |rows| rows.min(EDITS)) };
    let turns = lab.turns(TURNS, &[Side::Ours, Side::Fdatasync], |lab, side| {
        let folder = lab.fresh();
        Task { side, folder, work: task::Work::One(work.clone()) }
    });
    let figure = |metric| turns.figure(("one", "edit"), metric, Side::Fdatasync);
    [Metric::P50Us, Metric::P99Us].into_iter().filter_map(figure).collect()
}

impl Work {
    /// Measures `side`.
    pub fn run(&self, side: Side, folder: &Path) -> Outcome {
        let mut times = match side {
            Side::Ours => self.run_ours(folder),
            _reference => self.run_disk(folder),
        };
        task::outcome([(Metric::P50Us.name(), times.within_us(0.5)), (Metric::P99Us.name(), times.within_us(0.99))])
    }

    fn run_ours(&self, folder: &Path) -> Times {
        let ada = Ours::create(&folder.join("ada"), CACHE_BYTES);
        ada.import((0..RECORDS).map(|number| (city::id(number), City::made_up(number))));
        ada.go_online();
        let bob = Ours::join_online(&ada.invite(), &folder.join("bob"), CACHE_BYTES);
        crate::ours::wait_until("the same at both", || ada.is_up_to_date() && bob.is_up_to_date());
        let (id, mut shown, mut times) = (city::id(0), bob.watch(), Times::default());
        for edit in 0..self.edits {
            let name = format!("edit number {edit}");
            times.time(|| {
                ada.edit(&id, &name);
                shown.wait();
            });
            assert_eq!(bob.read(&id).map(|city| city.name), Some(name), "what is shown is the edit");
        }
        [ada, bob].into_iter().for_each(Ours::close);
        times
    }

    fn run_disk(&self, folder: &Path) -> Times {
        let mut files =
            ["ada", "bob"].map(|name| std::fs::File::create(folder.join(name)).expect("a file can be made"));
        let mut times = Times::default();
        for _ in 0..self.edits {
            times.time(|| files.iter_mut().for_each(|file| write_synced(file, &[7; BYTES])));
        }
        times
    }
}
