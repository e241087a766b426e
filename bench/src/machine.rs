//! What of the machine makes figures what they are.

use crate::clock::Times;
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    thread,
};

/// Syncs that are timed.
const SYNCS: usize = 500;
/// Bytes between two syncs.
const BYTES: usize = 256;

/// What a machine does that decides how much can be measured on it.
pub struct Machine {
    /// One line for who reads the figures.
    pub facts: String,
    /// How long it takes to write a little to the disk, in the middle.
    pub sync_us: f64,
}

/// Looks at the machine, and at the disk below `folder`.
pub fn look(folder: &Path) -> Machine {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let mut syncs = syncs(folder);
    let sync_us = syncs.within_us(0.5);
    let facts = format!(
        "{cores} cores (load {load}), Linux {}, {} at {}, fdatasync of a growing file p50 {sync_us:.0} µs, p99 {:.0} µs",
        kernel.trim(),
        filesystem(folder),
        folder.display(),
        syncs.within_us(0.99),
    );
    Machine { facts, sync_us }
}

fn syncs(folder: &Path) -> Times {
    let mut file = tempfile::tempfile_in(folder).expect("a temporary file can be made");
    let mut times = Times::default();
    for _ in 0..SYNCS {
        times.time(|| write_synced(&mut file, &[7; BYTES]));
    }
    times
}

/// Writes, and waits until it is on the disk.
pub fn write_synced(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).expect("a file can be written");
    file.sync_data().expect("a file can be synced");
}

/// The file system's name, of the last mount whose path `folder` begins with.
fn filesystem(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let of_line = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (place, name) = (words.next()?, words.next()?);
        folder.starts_with(place).then(|| (place.len(), name.to_owned()))
    };
    mounts.lines().filter_map(of_line).max_by_key(|(length, _)| *length).map_or("unknown".into(), |(_, name)| name)
}
