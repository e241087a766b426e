//! `tandem-sim run --seeds 0..200`, and `tandem-sim replay 17` for one that failed.

use clap::{Parser, Subcommand, ValueEnum};
use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use tandem_sim::{
    Options, Planted,
    options::{Cast, Profile},
    peers::{NAMED_MARKS, SERVER_MARKS, VALUE_MARKS},
    seed::{self, Outcome, PERCENT_MIN, Totals},
    trace::short,
};

/// Where each repeat begins.
const FAR_SEEDS: u64 = 1_000_000;
/// Half of the planted faults' detections take no more.
const SEEDS_MEDIAN_MAX: u64 = 200;

/// Of fewer seeds it says little how many have a mark.
const SEEDS_TO_JUDGE: u64 = 500;

/// Much is allocated and freed again at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tandem's cores in a world where disks fail, power goes and clocks lie.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run seeds, each twice; stop at the first that fails
    Run {
        /// From the first to before the last
        #[arg(long, value_parser = parse_range, value_name = "A..B")]
        seeds: Range<u64>,
        #[command(flatten)]
        options: Options,
    },
    /// Plant each fault, and count the seeds until it is found
    Planted {
        /// Seeds to try, at most
        #[arg(long, default_value_t = 2000)]
        seeds_max: u64,
        /// How often to begin, each time at other seeds
        #[arg(long, default_value_t = 9)]
        repeats: u64,
        /// Only this one
        #[arg(long)]
        only: Option<Planted>,
    },
    /// Tell a scenario of `sim/scenarios` as a timeline
    Play {
        /// Its file; the ending may be left out
        scenario: PathBuf,
    },
    /// Run one seed and show everything that happened
    Replay {
        /// Which
        seed: u64,
        #[command(flatten)]
        options: Options,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { seeds, options } => run(seeds, options),
        Command::Planted { seeds_max, repeats, only } => planted(seeds_max, repeats, only),
        Command::Replay { seed, options } => replay(seed, options),
        Command::Play { scenario } => play(&scenario),
    }
}

/// What a scenario comes to.
fn play(scenario: &Path) -> ExitCode {
    let file = if scenario.exists() { scenario.to_owned() } else { scenario.with_extension("scenario") };
    let told = fs::read_to_string(&file).map_err(|error| error.to_string());
    match told.and_then(|text| tandem_sim::play(&text).map_err(|error| error.to_string())) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{}: {why}", file.display());
            ExitCode::FAILURE
        }
    }
}

fn run(seeds: Range<u64>, options: Options) -> ExitCode {
    println!("seeds {}..{} {options} commit {}", seeds.start, seeds.end, commit());
    let (totals, failed) = (Mutex::new(Totals::default()), Mutex::new(None::<(u64, Outcome)>));
    let next = AtomicU64::new(seeds.start);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end {
            return;
        }
        let outcome = seed::run(seed, options);
        totals.lock().expect("nobody panics with it").add(&outcome);
        if outcome.result.is_err() {
            // No more are begun; of those under way that fail too, the first counts.
            next.store(seeds.end, Ordering::Relaxed);
            let mut failed = failed.lock().expect("nobody panics with it");
            if failed.as_ref().is_none_or(|(other, _)| seed < *other) {
                *failed = Some((seed, outcome));
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        (0..workers).for_each(|_| drop(scope.spawn(work)));
    });
    if let Some((seed, outcome)) = failed.into_inner().expect("nobody panics with it") {
        return report(seed, options, &outcome);
    }
    summarise(&totals.into_inner().expect("nobody panics with it"), options)
}

/// A table with a line for each planted fault.
fn planted(seeds_max: u64, repeats: u64, only: Option<Planted>) -> ExitCode {
    println!("| planted | seeds to detection, median | most | seen by |\n|---|---|---|---|");
    let mut is_good = true;
    for planted in Planted::value_variants().iter().filter(|planted| only.is_none_or(|only| only == **planted)) {
        let (next, found) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        let work = || loop {
            let repeat = next.fetch_add(1, Ordering::Relaxed);
            if repeat >= repeats {
                return;
            }
            let detection = seed::detect(*planted, repeat * FAR_SEEDS, seeds_max);
            found.lock().expect("nobody panics with it").push(detection);
        };
        thread::scope(|scope| {
            let workers = thread::available_parallelism().map_or(1, usize::from);
            (0..workers).for_each(|_| drop(scope.spawn(work)));
        });
        let found = found.into_inner().expect("nobody panics with it");
        let mut seeds: Vec<u64> = found.iter().map(|(seeds, _)| *seeds).collect();
        seeds.sort_unstable();
        let checks: BTreeSet<&str> = found.iter().filter_map(|(_, check)| *check).collect();
        is_good &= seeds[seeds.len() / 2] <= SEEDS_MEDIAN_MAX && found.iter().all(|(_, check)| check.is_some());
        is_good &= checks.iter().all(|check| planted.seen_by().contains(check));
        let checks: Vec<&str> = checks.into_iter().collect();
        let most = seeds.last().copied().unwrap_or_default();
        println!("| {planted} | {} | {most} | {} |", seeds[seeds.len() / 2], checks.join(", "));
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64, options: Options) -> ExitCode {
    println!("seed {seed} {options} commit {}", commit());
    let outcome = seed::run(seed, options);
    for line in &outcome.trace.lines {
        println!("{line}");
    }
    report(seed, options, &outcome)
}

/// How a seed ended and, if it failed, how to see it again.
fn report(seed: u64, options: Options, outcome: &Outcome) -> ExitCode {
    println!("trace {}", short(&outcome.trace.hash()));
    match &outcome.result {
        Ok(digest) => {
            println!("seed {seed} passed, views {}", short(digest));
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("seed {seed} FAILED {}: {}", violation.check, violation.details);
            println!("again: cargo run --release -p tandem-sim -- replay {seed} {options}");
            ExitCode::FAILURE
        }
    }
}

fn summarise(totals: &Totals, options: Options) -> ExitCode {
    let seeds = totals.seeds();
    println!("{seeds} seeds passed, each twice the same");
    println!("events in the log at the end: {}; faults: {}", spread(&totals.events), spread(&totals.faults));
    for (name, (count, seeds_with)) in &totals.marks {
        let permille = 1000 * seeds_with / seeds;
        println!("{name:<34} {count:>9} times in {seeds_with:>6} seeds  {:>3}.{} %", permille / 10, permille % 10);
    }
    let mut rare = if options.cast == Cast::Peers { totals.too_rare(&NAMED_MARKS) } else { Vec::new() };
    if options.cast == Cast::Peers && options.profile.has_servers() {
        println!("refusals: {}", spread(&totals.refusals));
        rare.extend(totals.too_rare(&SERVER_MARKS));
    }
    if options.cast == Cast::Peers && options.profile == Profile::Values {
        rare.extend(totals.too_rare(&VALUE_MARKS));
    }
    if !rare.is_empty() {
        println!("in less than {PERCENT_MIN} % of the seeds: {}", rare.join(", "));
    }
    if rare.is_empty() || seeds < SEEDS_TO_JUDGE { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Least, middle and greatest.
fn spread(of_each_seed: &[u64]) -> String {
    let mut sorted = of_each_seed.to_vec();
    sorted.sort_unstable();
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    format!("median {} a seed ({} to {})", at(sorted.len() / 2), at(0), at(sorted.len().saturating_sub(1)))
}

/// What was built, if whoever built or started it said so.
fn commit() -> String {
    let told = std::env::var("TANDEM_COMMIT").ok();
    told.or_else(|| option_env!("TANDEM_COMMIT").map(str::to_owned)).unwrap_or_else(|| "unknown".into())
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no range of seeds; write it like 0..200");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let range = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}
