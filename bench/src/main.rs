//! Tandem's figures beside a reference's, measured in one run: `cargo run --release -p tandem-bench -- NAME [--json]`.
//!
//! Machines differ and are noisy, so that only ratios mean something; each is the median of several runs in which both
//! sides take turns. Never here: anything that tests what is right. That is what the tests are for.

mod append;
mod figure;

use std::process::ExitCode;

const USAGE: &str = "usage: tandem-bench append [--json]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let json = args.iter().any(|arg| arg == "--json");
    let names: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--json").collect();
    let figures = match names.as_slice() {
        ["append"] => append::append(),
        _unknown => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    for figure in figures {
        if json { println!("{}", figure.json()) } else { println!("{figure}") }
    }
    ExitCode::SUCCESS
}
