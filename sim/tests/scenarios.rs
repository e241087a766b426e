//! Every scenario gives the timeline that its file says.

use std::{fs, path::Path};

const NAMED: [&str; 14] = [
    "a-removed-record-that-others-refer-to",
    "binding-server-and-mirror",
    "dependants-of-a-refused-record",
    "fix-and-resend",
    "manager-removed-in-a-duel",
    "refused-by-role",
    "refused-e-mail-address",
    "sent-again-when-the-rule-changes",
    "server-edit-wins",
    "server-restored-from-backup",
    "stale-refused",
    "two-servers-over-different-lists",
    "unique-claimed-twice-offline",
    "who-never-met-the-server",
];

/// Set, the test writes what it finds in place of what is expected.
const WRITE: &str = "TANDEM_WRITE_SCENARIOS";

#[test]
fn every_scenario_comes_to_what_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        let text = fs::read_to_string(&path).unwrap();
        let told = tandem_sim::play(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if std::env::var_os(WRITE).is_some() {
            let script = text.split_once("\n---\n").map_or(text.as_str(), |(script, _)| script).trim_end();
            fs::write(&path, format!("{script}\n---\n{}\n", told.join("\n"))).unwrap();
            continue;
        }
        let expected = tandem_sim::expected(&text);
        for (line, (told, expected)) in told.iter().zip(&expected).enumerate() {
            assert_eq!(told, expected, "{}, line {} of the timeline", path.display(), line + 1);
        }
        assert_eq!(told.len(), expected.len(), "{}", path.display());
    }
    found.sort();
    assert_eq!(found, NAMED);
}

#[test]
fn what_is_no_scenario_says_where() {
    let check = |text: &str, line: usize| {
        let error = tandem_sim::play(text).unwrap_err();
        assert_eq!(error.line, line, "{error}");
    };
    check("# A title\n\nmembers: Ada (owner)\nAda dances\n", 4);
    check("# A title\n\nmembers: Ada (emperor)\n", 3);
    check("# A title\n\nmembers: Ada (owner)\nlist people: name word\n", 4);
    check("# A title\n\nmembers: Ada (owner)\nlist people: name text\nBob creates people/x\n", 5);
    check("# A title\n", 1);
}
