//! Files that real programs wrote: those that the package calcard brings along.

mod ical;
mod vcard;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tandem::exchange::Row;

/// The files of one kind, of which there are at least so many.
fn files(folder: &str, ending: &str, least: usize) -> Vec<PathBuf> {
    let folder = calcard_folder().join("resources").join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("calcard's files, {}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == ending));
    files.sort();
    assert!(files.len() > least, "calcard's files are not all there: {} in {}", files.len(), folder.display());
    files
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// As calcard's own tests read the files, UTF-8 or else Latin-1, but line by line, as some files have both.
fn text_of(bytes: &[u8]) -> String {
    let latin1 = |line: &[u8]| line.iter().map(|byte| char::from(*byte)).collect();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| String::from_utf8(line.to_vec()).unwrap_or_else(|_| latin1(line))).collect()
}

/// The short ones of these files, each damaged several times with these tokens; with what to say of it.
fn damaged<'a>(files: &'a [PathBuf], tokens: &'a [&str]) -> impl Iterator<Item = (String, Vec<u8>)> + 'a {
    let rounds = std::env::var("TANDEM_DAMAGE_ROUNDS").map_or(3, |rounds| rounds.parse().expect("a number"));
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    files.iter().flat_map(move |path| {
        let bytes = fs::read(path).unwrap();
        let rounds = if bytes.is_empty() || bytes.len() > 10_000 { 0 } else { rounds };
        let mut damage = || {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random(4) {
                let (at, token) = (random(damaged.len()), tokens[random(tokens.len())]);
                let until = at + random(3).min(damaged.len() - at);
                damaged.splice(at..until, token.bytes());
            }
            (format!("{}:\n{}", path.display(), String::from_utf8_lossy(&damaged)), damaged)
        };
        (0..rounds).map(|_| damage()).collect::<Vec<_>>()
    })
}

fn assert_same_rows(name: &str, rows: &[Row], again: &[Row]) {
    for (row, again) in rows.iter().zip(again) {
        for (cell, again) in row.cells.iter().zip(&again.cells) {
            assert_eq!(cell, again, "{name}: reading what was written gives another cell");
        }
    }
    let without_lines = |rows: &[Row]| -> Vec<Row> { rows.iter().map(|row| Row { line: 0, ..row.clone() }).collect() };
    assert_eq!(without_lines(rows), without_lines(again), "{name}: reading what was written gives other rows");
}

/// Where cargo keeps calcard's source. It may have to fetch what other platforms need before it tells.
fn calcard_folder() -> PathBuf {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--manifest-path", manifest])
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("cargo metadata writes JSON");
    let packages = metadata["packages"].as_array().expect("cargo metadata lists packages");
    let calcard = packages.iter().find(|package| package["name"] == "calcard").expect("calcard is a dependency");
    let manifest = calcard["manifest_path"].as_str().expect("a package has a manifest");
    Path::new(manifest).parent().expect("a manifest is in a folder").to_owned()
}
