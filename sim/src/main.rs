//! `tandem-sim run --seeds 0..200`, and `tandem-sim replay 17` for one that failed.

use clap::{Parser, Subcommand};
use std::{ops::Range, process::ExitCode, thread};
use tandem_sim::{
    Options,
    seed::{self, Outcome, Totals},
    trace::short,
};

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
        Command::Replay { seed, options } => replay(seed, options),
    }
}

fn run(seeds: Range<u64>, options: Options) -> ExitCode {
    println!("seeds {}..{} {options} commit {}", seeds.start, seeds.end, commit());
    let mut totals = Totals::default();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let all: Vec<u64> = seeds.collect();
    for share in all.chunks(workers) {
        let outcomes: Vec<Outcome> = thread::scope(|scope| {
            let running: Vec<_> = share.iter().map(|seed| scope.spawn(|| seed::run(*seed, options))).collect();
            running.into_iter().map(|worker| worker.join().expect("a seed's panics are its outcome")).collect()
        });
        for (seed, outcome) in share.iter().zip(&outcomes) {
            totals.add(outcome);
            if outcome.result.is_err() {
                return report(*seed, options, outcome);
            }
        }
    }
    summarise(&totals);
    ExitCode::SUCCESS
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

fn summarise(totals: &Totals) {
    let (seeds, events) = (totals.seeds, totals.events);
    println!("{seeds} seeds passed, each twice the same; {events} events in their logs, {} a seed", events / seeds);
    for (name, (count, seeds)) in &totals.marks {
        println!("{name:<34} {count:>8} times in {seeds:>6} seeds");
    }
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
