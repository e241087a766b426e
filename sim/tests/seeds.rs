//! That seeds pass, that the same seed is the same run, and that every check can fail.

use clap::ValueEnum;
use tandem_sim::{
    Options, Planted,
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
fn every_planted_fault_is_found() {
    // What sees each of them: the checks are not interchangeable.
    let expected = |planted| -> &[&str] {
        match planted {
            Planted::ReleaseBeforeDurable => &["released-is-durable"],
            Planted::ViewsBeforeLog => &["the-log-leads"],
            Planted::PointerNotAdvanced => &["views-are-current"],
            Planted::SeqReusedAfterCrash => &["places-are-final"],
            Planted::GroupInPieces => &["groups-are-whole"],
            Planted::RowLost => &["views-are-the-naive-fold"],
            Planted::DoneShownAsRefused => &["answers-are-the-models"],
        }
    };
    for planted in Planted::value_variants() {
        let options = Options { planted: Some(*planted), ..Options::alone() };
        let failed = |seed| Some((seed, seed::run_once(seed, options).result.err()?));
        let (seed, violation) = (0..SEEDS_TO_DETECTION_MAX)
            .find_map(failed)
            .unwrap_or_else(|| panic!("{planted} was not found in {SEEDS_TO_DETECTION_MAX} seeds"));
        println!("{:<24} seed {seed:>3}  {}: {}", planted.to_string(), violation.check, violation.details);
        assert!(expected(*planted).contains(&violation.check), "{planted}: {violation:?}");
    }
}
