//! The `tandem` program. Everything that it does is in the library beside it.

use clap::Parser;
use std::process::ExitCode;
use tandem::{
    cli::{Args, Out, run},
    show::escape,
};

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args, &mut Out::stdout()) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            eprintln!("tandem: {}", escape(&error.to_string()));
            ExitCode::from(error.exit() as u8)
        }
    }
}
