//! The permutation proof: every history of up to four events over a printed alphabet, in every order of delivery, gives
//! the same view incrementally, after every event, as the naive fold gives for the same set of events. And so do
//! sampled histories of more events over a wider alphabet, in some orders.

mod alphabet;
mod delivery;
mod history;
mod sampled;
#[path = "../../src/fold/testing.rs"]
#[allow(dead_code, reason = "the rules' own tests use the rest")]
mod testing;

use history::History;
use sampled::Dice;
use std::{
    env,
    io::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

/// Digest over the views of all histories, in the order of their generation: any change of what a rule means changes
/// it. If a change is meant, put the printed value here and raise `FOLD_VERSION`.
///
/// For two, three or four events at most.
const ALL_VIEWS: [&str; 3] = [
    "fe2412c76dbc4828cc68ec36a1557820df16bb344e3c29f617956c90d8d9b190",
    "97a3dba5324e1fda030a8eb03b619bfbe37067c8da4f687b16c19357a03a3873",
    "2c40f84a1bcfe8e052071790e2a75b6d2d1296c685ddb828481fd43cb463cd30",
];

/// A quick proof takes three.
const EVENTS_MAX: &str = "TANDEM_PROOF_EVENTS";
/// How many histories are sampled, and from which seed on.
const SAMPLES: &str = "TANDEM_PROOF_SAMPLES";
const SEED: &str = "TANDEM_PROOF_SEED";

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn every_history_in_every_order() {
    say(alphabet::DESCRIPTION);
    let events_max = setting(EVENTS_MAX, 4) as usize;
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let counts = &Counts::default();
    let mut digests: Vec<(usize, [u8; 32])> = thread::scope(|scope| {
        let spawned: Vec<_> =
            (0..workers).map(|worker| scope.spawn(move || check_share(worker, workers, events_max, counts))).collect();
        spawned.into_iter().flat_map(|worker| worker.join().expect("the proof holds")).collect()
    });
    digests.sort_unstable();
    let mut all = blake3::Hasher::new();
    for (_, digest) in &digests {
        all.update(digest);
    }
    let (histories, applications) = (counts.histories.load(Relaxed), counts.applications.load(Relaxed));
    say(&format!("{histories} histories, {applications} applications"));
    assert!(applications >= [100, 1_000, 1_000_000][events_max - 2], "the proof must not shrink unseen");
    let golden = ALL_VIEWS[events_max - 2];
    assert_eq!(all.finalize().to_hex().as_str(), golden, "the meaning of some history has changed");
}

#[derive(Default)]
struct Counts {
    histories: AtomicU64,
    applications: AtomicU64,
}

/// Every `of`-th history of two events, with all that extends it, and its digest.
fn check_share(share: usize, of: usize, events_max: usize, counts: &Counts) -> Vec<(usize, [u8; 32])> {
    let pairs = History::base().extensions().into_iter().flat_map(|first| {
        let mut with_extensions = vec![first.clone()];
        with_extensions.extend(first.extensions());
        with_extensions
    });
    let own = pairs.enumerate().skip(share).step_by(of);
    own.map(|(index, history)| {
        let mut hasher = blake3::Hasher::new();
        let events_max = if history.len() == 1 { 1 } else { events_max };
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

#[test]
fn sampled_histories_in_random_orders() {
    say(sampled::DESCRIPTION);
    let (samples, seed) = (setting(SAMPLES, 6000), setting(SEED, 1));
    let workers = thread::available_parallelism().map_or(2, |count| count.get() as u64);
    let agreed: u64 = thread::scope(|scope| {
        let spawned: Vec<_> = (0..workers)
            .map(|worker| {
                let seeds = (seed + worker..seed + samples).step_by(workers as usize);
                scope.spawn(move || seeds.map(check_sample).sum::<u64>())
            })
            .collect();
        spawned.into_iter().map(|worker| worker.join().expect("the folds agree")).sum()
    });
    say(&format!("{samples} histories, {agreed} comparisons"));
    assert!(agreed > 10 * samples, "the sample must not shrink unseen");
}

/// One history: as it was written, from the base on in another order, and everything in another order.
fn check_sample(seed: u64) -> u64 {
    let dice = &mut Dice(seed << 32);
    let (world, base) = sampled::history(dice);
    let events = world.events();
    let told: Vec<usize> = (0..events.len()).collect();
    let (mut later, mut all) = (told.clone(), told.clone());
    dice.shuffle(&mut later[base..]);
    dice.shuffle(&mut all);
    let mut agreed = 0;
    for (order, unchecked) in [(told, base), (later, base), (all, 0)] {
        match delivery::check_order(events, &order, unchecked) {
            Ok(count) => agreed += count,
            Err(delivered) => {
                let shortest = delivery::shrink(events, delivered);
                for i in &shortest {
                    say(&format!("{i}: {:?} {:?}", events[*i].id(), events[*i].header()));
                }
                panic!("{SEED}={seed}: the folds disagree on {shortest:?}, delivered in this order");
            }
        }
    }
    agreed
}

/// Prints also where the test runner keeps what tests print to itself: what was proved is part of the result.
fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "{text}").expect("there is a standard error");
}
