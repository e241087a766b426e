//! That seeds pass, that the same seed is the same run, and that every check can fail.

use clap::ValueEnum;
use tandem_sim::{
    Options, Planted,
    peers::CLOSE_COMMANDS_MAX,
    seed::{self, Totals},
};

/// Within so many seeds every planted fault must be found.
const SEEDS_TO_DETECTION_MAX: u64 = 200;

#[test]
fn seeds_pass_and_reach_the_rare_places() {
    let mut totals = Totals::default();
    for seed in 0..12 {
        let outcome = seed::run(seed, Options::alone());
        let lines = &outcome.trace.lines;
        assert!(outcome.result.is_ok(), "seed {seed}: {:?}\n{}", outcome.result, lines.join("\n"));
        totals.add(&outcome);
    }
    let rare = [
        "crash-after-decide",
        "crash-between-append-and-sync",
        "crash-between-sync-and-apply",
        "crash-between-apply-and-release",
        "crash-in-rebuild",
        "torn-tail",
        "disk-full",
        "sync-failed",
        "clock-broken",
        "rebuilt",
        "unanswered-found",
        "unanswered-lost",
        "refused-beside-done",
    ];
    let missed: Vec<&str> = rare.into_iter().filter(|mark| !totals.marks.contains_key(mark)).collect();
    assert!(missed.is_empty(), "never came to {missed:?}: {:?}", totals.marks);
}

#[test]
fn another_seed_is_another_run() {
    let options = Options { commands: 20, ..Options::alone() };
    let hash = |seed| seed::run_once(seed, options).trace.hash();
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn peers_come_to_have_the_same() {
    let mut totals = Totals::default();
    for seed in 0..24 {
        let outcome = seed::run(seed, Options::default());
        assert!(outcome.result.is_ok(), "seed {seed}: {:?}", outcome.result);
        totals.add(&outcome);
    }
    // These come in every other seed; what is rare is for the program, which runs thousands.
    for mark in
        ["crash-between-append-and-apply", "cut-in-mid-frame", "one-way-partition", "removed", "backdated-clock"]
    {
        assert!(totals.marks.contains_key(mark), "never came to {mark}: {:?}", totals.marks);
    }
}

#[test]
fn peers_are_looked_at_after_every_step() {
    for seed in 0..20 {
        let options = Options { commands: CLOSE_COMMANDS_MAX, ..Options::default() };
        let outcome = seed::run(seed, options);
        assert!(outcome.result.is_ok(), "seed {seed}: {:?}", outcome.result);
    }
}

#[test]
fn servers_judge_everything_and_refusals_reach_everybody() {
    let mut totals = Totals::default();
    for seed in 0..12 {
        let outcome = seed::run(seed, Options::server());
        assert!(outcome.result.is_ok(), "seed {seed}: {:?}", outcome.result);
        totals.add(&outcome);
    }
    for mark in ["refused-by-rule", "depends-on-refused", "rebound", "verdict-through-another"] {
        assert!(totals.marks.contains_key(mark), "never came to {mark}: {:?}", totals.marks);
    }
}

#[test]
fn parts_stay_together_and_names_stay_where_they_are() {
    let mut totals = Totals::default();
    for seed in 0..10 {
        let outcome = seed::run(seed, Options::values());
        assert!(outcome.result.is_ok(), "seed {seed}: {:?}", outcome.result);
        totals.add(&outcome);
    }
    for mark in ["elements-of-two-authors", "kept-verbatim", "parts-of-two-authors", "row-from-outside"] {
        assert!(totals.marks.contains_key(mark), "never came to {mark}: {:?}", totals.marks);
    }
}

#[test]
fn real_actors_come_to_have_the_same_and_do_so_again() {
    for seed in 0..6 {
        let outcome = seed::run(seed, Options::actors());
        assert!(outcome.result.is_ok(), "seed {seed}: {:?}", outcome.result);
    }
}

#[test]
fn every_planted_fault_is_found() {
    for planted in Planted::value_variants() {
        let (seeds, check) = seed::detect(*planted, 0, SEEDS_TO_DETECTION_MAX);
        let check = check.unwrap_or_else(|| panic!("{planted} was not found in {seeds} seeds"));
        println!("{:<24} {seeds:>3} seeds  {check}", planted.to_string());
        // The checks are not interchangeable.
        assert!(planted.seen_by().contains(&check), "{planted} was seen by {check}");
    }
}
