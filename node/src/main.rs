//! The `tandem` program. Everything that it does is in the library beside it.

use std::{ffi::OsString, process::ExitCode};
use tandem::cli::{Console, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(run(&words, &mut Console::of_process()) as u8)
}
