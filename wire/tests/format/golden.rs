//! The bytes of every sample, as files: a change of the format shows in the diff.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tandem-wire golden` writes them anew.

use crate::samples::{self, Sample};
use std::{fmt::Write, fs, path::PathBuf};
use tandem_wire::Run;

#[test]
fn samples_have_their_golden_bytes() {
    for sample in samples::all() {
        let file = file_of(sample.name);
        let text = text_of(&sample);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(text, golden, "{} differs", file.display());

        let bytes = bytes_of(&golden);
        assert_eq!(sample.run.encode(), bytes, "{}", sample.name);
        assert_eq!(Run::decode(&bytes).as_ref(), Ok(&sample.run), "{}", sample.name);
    }
}

#[test]
fn every_golden_file_has_its_sample() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(file_of("x").parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut expected: Vec<PathBuf> = samples::all().iter().map(|sample| file_of(sample.name)).collect();
    files.sort();
    expected.sort();
    assert_eq!(files, expected);
}

fn file_of(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"))
}

/// `#` lines say what it is and give the ids; the rest is the run.
fn text_of(sample: &Sample) -> String {
    let mut text = format!("# {}\n", sample.about);
    for event in sample.run.events() {
        let names: Vec<&str> = event.header().ops.iter().map(|op| op.act.name()).collect();
        writeln!(text, "# {} {}", event.id(), summary(&names)).unwrap();
    }
    for line in sample.run.encode().chunks(32) {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

fn summary(names: &[&str]) -> String {
    match names {
        [one] => (*one).to_string(),
        several => format!("{} … ({} ops)", several[0], several.len()),
    }
}

fn bytes_of(text: &str) -> Vec<u8> {
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
