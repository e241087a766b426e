//! The seeds of the fuzzer, replayed: every one through the function that the fuzzer calls.

use crate::samples;
use std::{fs, path::PathBuf};
use tandem_wire::envelope::{Kind, seal};

#[path = "../../../fuzz/src/format.rs"]
mod targets;

#[test]
fn seeds_break_no_promise() {
    let replay = |target: &str, check: fn(&[u8])| {
        let files = fs::read_dir(folder(target)).unwrap();
        let seeds: Vec<Vec<u8>> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(seeds.len() > 5, "{target}: {} seeds", seeds.len());
        seeds.iter().for_each(|bytes| check(bytes));
    };
    replay("run", targets::run);
    replay("value", targets::value);
    replay("envelope", targets::envelope);
}

/// `UPDATE_GOLDEN=1` writes them, as it does the golden files.
#[test]
fn samples_are_seeds() {
    let mut seeds = Vec::new();
    for sample in samples::all() {
        let bytes = sample.run.encode();
        seeds.push((folder("run").join(sample.name), bytes[6..].to_vec()));
    }
    for (form, value) in samples::one_of_each_value().iter().enumerate() {
        seeds.push((folder("value").join(format!("form_{form}")), value.encode()));
    }
    for length in [0, 1, 300] {
        seeds.push((folder("envelope").join(format!("run_{length}")), seal(Kind::RUN, &vec![7; length])));
        seeds.push((folder("envelope").join(format!("later_{length}")), seal(Kind(200), &vec![7; length])));
    }
    for (file, bytes) in seeds {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &bytes).unwrap();
        }
        assert!(fs::read(&file).is_ok_and(|seed| seed == bytes), "{} is out of date", file.display());
    }
}

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target)
}
