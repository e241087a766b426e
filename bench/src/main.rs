//! Tandem's figures beside a reference's, measured in one run:
//! `cargo run --release -p tandem-bench -- NAME [--rows N] [--json]`.
//!
//! Machines differ and are noisy, so that only ratios mean something; each is the median of several runs in which both
//! sides take turns, each in a process of its own. Never here: anything that tests what is right. That is what the
//! tests are for.

mod append;
mod args;
mod bare;
mod city;
mod clock;
mod disk;
mod documents;
mod figure;
mod hot;
mod idle;
mod import;
mod join;
mod judge;
mod lab;
mod lens;
mod machine;
mod merge;
mod one;
mod open;
mod ours;
mod page;
mod parts;
mod person;
mod read;
mod rehearse;
mod rules;
mod sqlite;
mod sync;
mod task;
mod types;

use crate::{
    args::Args,
    lab::{CACHE_BYTES, Lab},
    sqlite::Sqlite,
};
use std::process::ExitCode;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, task] = args.as_slice()
        && first == task::CHILD
    {
        task::child(task);
        return ExitCode::SUCCESS;
    }
    match Args::parse(args) {
        Ok(args) => measure(&args),
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Facts go to where errors go, so that the output is figures alone.
fn measure(args: &Args) {
    let mut lab = Lab::new(&args.folder);
    (lab.rows, lab.file, lab.case, lab.only) = (args.rows, args.file.clone(), args.case.clone(), args.only);
    let machine = machine::look(&args.folder);
    lab.sync_us = machine.sync_us;
    eprintln!("{}", machine.facts);
    eprintln!("{}", Sqlite::facts(&lab.fresh(), CACHE_BYTES));
    for bench in &args.benches {
        for figure in (bench.figures)(&mut lab) {
            if args.json { println!("{}", figure.json()) } else { println!("{figure}") }
        }
    }
}
