//! The `tandem` program, run as a person would run it.

mod calendars;
mod cli;
#[cfg(unix)]
mod daemon;
#[cfg(unix)]
mod designs;
mod docs;
#[cfg(unix)]
mod figure8;
mod forms;
mod import;
mod keeping;
#[cfg(target_os = "linux")]
mod network;
#[cfg(unix)]
mod peers;
#[cfg(unix)]
mod running;
mod scratch;
#[cfg(unix)]
mod team;
mod values;
#[cfg(unix)]
mod waiting;
