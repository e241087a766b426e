//! The permutation proof: every history of up to four events over a printed alphabet, in every order of delivery, gives
//! the same view incrementally, after every event, as the naive fold gives for the same set of events.

mod alphabet;
mod delivery;
mod history;

use history::History;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

/// Digest over the views of all histories, in the order of their generation: any change of what a rule means changes
/// it. If a change is meant, put the printed value here and raise `FOLD_VERSION`.
const ALL_VIEWS: &str = "1214ae1b2d875218de5eca5d664b4dfd3e19359ef7f76fbb6285463c3a2eae91";

const EVENTS_MAX: usize = 4;

#[test]
fn every_history_in_every_order() {
    println!("{}", alphabet::DESCRIPTION);
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let counts = &Counts::default();
    let mut digests: Vec<(usize, [u8; 32])> = thread::scope(|scope| {
        let spawned: Vec<_> =
            (0..workers).map(|worker| scope.spawn(move || check_share(worker, workers, counts))).collect();
        spawned.into_iter().flat_map(|worker| worker.join().expect("the proof holds")).collect()
    });
    digests.sort_unstable();
    let mut all = blake3::Hasher::new();
    for (_, digest) in &digests {
        all.update(digest);
    }
    let (histories, applications) = (counts.histories.load(Relaxed), counts.applications.load(Relaxed));
    println!("{histories} histories, {applications} applications");
    assert!(applications >= 1_000_000, "the proof must not shrink unseen");
    assert_eq!(all.finalize().to_hex().as_str(), ALL_VIEWS, "the meaning of some history has changed");
}

#[derive(Default)]
struct Counts {
    histories: AtomicU64,
    applications: AtomicU64,
}

/// Every `of`-th history of two events, with all that extends it, and its digest.
fn check_share(share: usize, of: usize, counts: &Counts) -> Vec<(usize, [u8; 32])> {
    let pairs = History::base().extensions().into_iter().flat_map(|first| {
        let mut with_extensions = vec![first.clone()];
        with_extensions.extend(first.extensions());
        with_extensions
    });
    let own = pairs.enumerate().skip(share).step_by(of);
    own.map(|(index, history)| {
        let mut hasher = blake3::Hasher::new();
        let events_max = if history.len() == 1 { 1 } else { EVENTS_MAX };
        check_from(&history, events_max, &mut hasher, counts);
        (index, *hasher.finalize().as_bytes())
    })
    .collect()
}

/// Checks a history and all its extensions.
fn check_from(history: &History, events_max: usize, hasher: &mut blake3::Hasher, counts: &Counts) {
    let (digest, applied) = delivery::check_all_orders(history);
    hasher.update(&digest);
    counts.histories.fetch_add(1, Relaxed);
    counts.applications.fetch_add(applied, Relaxed);
    if history.len() < events_max {
        for extension in history.extensions() {
            check_from(&extension, events_max, hasher, counts);
        }
    }
}
