//! What was acknowledged is there after a crash: of the process, or of the machine.
//!
//! Both run a real node in a child process, which is this same program. `cargo test --test crash -- NAME` runs one.

mod child;
#[path = "../notes/mod.rs"]
mod notes;

#[cfg(target_os = "linux")]
mod disk;
mod fence;
mod kill;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
#[path = "../reboot/mod.rs"]
mod reboot;

use std::{env, panic, process::ExitCode};

const TESTS: &[(&str, fn())] = &[
    ("a_second_process_is_told_to_stop_the_first", kill::a_second_process_is_told_to_stop_the_first),
    ("every_acknowledged_write_survives_200_kills", kill::every_acknowledged_write_survives_200_kills),
    ("an_event_that_ends_the_process_does_so_twice", fence::an_event_that_ends_the_process_does_so_twice),
    #[cfg(target_os = "linux")]
    ("every_acknowledged_write_survives_a_power_cut", power::every_acknowledged_write_survives_a_power_cut),
    #[cfg(target_os = "linux")]
    (
        "an_authority_goes_on_behind_what_was_seen_of_it_after_a_power_cut",
        power::an_authority_goes_on_behind_what_was_seen_of_it_after_a_power_cut,
    ),
    #[cfg(target_os = "linux")]
    ("a_missing_sync_is_found_out", power::a_missing_sync_is_found_out),
];

fn main() -> ExitCode {
    if env::var_os(child::DIR).is_some() {
        child::run();
        return ExitCode::SUCCESS;
    }
    if let Some(dir) = env::var_os(fence::DIR) {
        fence::open(dir.as_ref());
        return ExitCode::SUCCESS;
    }
    let args: Vec<String> = env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    // None of them is ignored.
    let only_ignored = args.iter().any(|arg| arg == "--ignored");
    let exact = args.iter().any(|arg| arg == "--exact");
    let mut filters = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
    let is_meant = |name: &str, filter: &String| if exact { name == filter } else { name.contains(filter.as_str()) };
    let meant = |name: &str| args.iter().filter(|arg| !arg.starts_with('-')).any(|filter| is_meant(name, filter));
    let all = filters.peek().is_none();
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| !only_ignored && (all || meant(name))) {
        println!("test {name} ...");
        let passed = panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u32::from(!passed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
