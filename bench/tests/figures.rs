//! The figures have the shape that programs read, at a size where the figures themselves mean nothing.

use serde_json::Value;
use std::{collections::BTreeSet, process::Command};

/// Runs a bench on few rows; gives its lines.
fn lines(bench: &str, rows: usize) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_tandem-bench"))
        .args([bench, "--json", "--rows", &rows.to_string(), "--dir"])
        .arg(folder.path())
        .output()
        .expect("the bench can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{bench}: {errors}");
    assert!(errors.contains("fdatasync") && errors.contains("synchronous=2"), "facts come first: {errors}");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "{bench} leaves nothing");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Each figure of `bench` is whole, and these are they: case, metric, better, reference.
fn check(bench: &str, rows: usize, expect: &[[&str; 4]]) {
    let lines = lines(bench, rows);
    let keys = ["bench", "better", "case", "metric", "ours", "peak_mb", "ratio", "reference", "reference_name"];
    for line in &lines {
        let found: BTreeSet<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(found, BTreeSet::from(keys), "{line}");
        assert_eq!(line["bench"], bench);
        let number = |key: &str| line[key].as_f64().filter(|number| number.is_finite() && *number > 0.0);
        let [ours, reference, ratio, _peak] = ["ours", "reference", "ratio", "peak_mb"]
            .map(|key| number(key).unwrap_or_else(|| panic!("{key} of {line}")));
        assert!((ratio - ours / reference).abs() < 1e-9, "{line}");
    }
    let texts = lines.iter().map(|line| ["case", "metric", "better", "reference_name"].map(|key| line[key].clone()));
    let texts: Vec<[String; 4]> = texts.map(|row| row.map(|text| text.as_str().expect("a text").to_owned())).collect();
    assert_eq!(texts, expect.iter().map(|row| row.map(str::to_owned)).collect::<Vec<_>>(), "{bench}");
}

#[test]
fn append() {
    let of = |case| [case, "events_per_s", "higher", "fdatasync"];
    check("append", 32, &[of("1-writer"), of("16-writers")]);
}

#[test]
fn import() {
    let of = |reference| ["cities", "seconds", "lower", reference];
    check("import", 600, &[of("sqlite-1000"), of("sqlite-one")]);
}

#[test]
fn read() {
    let of = |case, metric| [case, metric, "lower", "sqlite"];
    let cases = ["cold-cache-64mb", "cached"];
    check("read", 300, &cases.map(|case| ["p50_us", "p99_us"].map(|metric| of(case, metric))).concat());
}

#[test]
fn page() {
    let of = |case, metric| [case, metric, "lower", "sqlite"];
    let cases = ["covering", "fetching", "filtered"];
    check("page", 300, &cases.map(|case| ["p50_us", "p99_us"].map(|metric| of(case, metric))).concat());
}

#[test]
fn open() {
    check("open", 300, &["clean", "killed"].map(|case| [case, "seconds", "lower", "fjall"]));
}

#[test]
fn disk() {
    check("disk", 300, &[["clean-stop", "bytes", "lower", "sqlite"]]);
}

#[test]
fn hot() {
    let figures = [
        ["last-edits", "seconds", "lower", "first-edits"],
        ["last-edits-grouped", "seconds", "lower", "first-edits"],
        ["last-edits", "events_per_s", "higher", "sqlite"],
    ];
    check("hot", 60, &figures);
}

#[test]
fn merge() {
    let references = ["automerge", "automerge-256", "loro"];
    let bulk = references.map(|reference| ["bulk", "events_per_s", "higher", reference]);
    let more = references.map(|reference| ["plus-100", "p50_us", "lower", reference]);
    check("merge", 400, &[bulk, more].concat());
}

#[test]
fn sync() {
    let of = |case| {
        let import = |metric| [case, metric, "higher", "import"];
        [import("events_per_s"), import("mb_per_s"), [case, "growth_mb", "lower", "bound"]]
    };
    check("sync", 600, &["iroh", "memory", "rows-into-1m", "live-into-1m"].map(of).concat());
}

#[test]
fn idle() {
    check("idle", 1, &["bytes", "round_trips"].map(|metric| ["1-author", metric, "lower", "bound"]));
}

#[test]
fn one() {
    check("one", 20, &["p50_us", "p99_us"].map(|metric| ["edit", metric, "lower", "fdatasync"]));
}

#[test]
fn values_with_parts_and_a_question_over_two_lists() {
    check("parts", 300, &[["import", "seconds", "lower", "flat"]]);
    check("join", 300, &[["grouped", "p50_us", "lower", "sqlite"]]);
}
