//! The `tandem` program. Everything that it does is in the library beside it.

use clap::Parser;
use std::process::ExitCode;
use tandem::cli::{Args, Out, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args, &mut Out::stdout()) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            eprintln!("tandem: {}", error.shown());
            ExitCode::from(error.exit() as u8)
        }
    }
}
