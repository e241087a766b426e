//! What keeps a node in order: doctor, backups, keys, settings, and the program's own papers.

use crate::scratch::Node;
use clap::CommandFactory;
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// The grade of each check, and its text.
fn checks(node: &Node, args: &[&str], code: i32) -> BTreeMap<String, (String, String)> {
    let output = node.run(&[&["doctor", "--json"], args].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let parse = |line: &str| -> Json { serde_json::from_str(line).unwrap() };
    let field = |json: &Json, name: &str| json[name].as_str().unwrap().to_owned();
    text.lines().map(parse).map(|json| (field(&json, "check"), (field(&json, "grade"), field(&json, "text")))).collect()
}

#[test]
fn a_doctor_finds_nothing_wrong_with_a_healthy_node() {
    let node = Node::new();
    let found = checks(&node, &[], 0);
    assert_eq!(found["data folder"].0, "warn", "{found:?}");
    assert!(found["data folder"].1.contains("tandem workspace new"), "{found:?}");
    assert!(!Path::new(&node.path("data")).exists(), "looking makes nothing");
    node.ok(&["workspace", "new", "Test", "--member", "Ada"]);
    let people = node.file("people.csv", "name\nZoë\n");
    node.ok(&["import", &people]);
    let found = checks(&node, &["--deep"], 0);
    assert!(found.values().all(|(grade, _)| grade == "ok"), "{found:?}");
    assert!(found["workspace Test"].1.contains("all as they should be"), "{found:?}");
    let checks: Vec<&str> = found.keys().map(String::as_str).collect();
    let expect = ["clock", "configuration", "data folder", "device key", "disk", "journal", "tables", "workspace Test"];
    assert_eq!(checks, expect);
}

#[test]
fn a_doctor_says_what_is_wrong_and_what_to_do() {
    let node = Node::with_workspace();
    fs::write(node.path("data/FORMAT"), "tandem 99\n").unwrap();
    let found = checks(&node, &[], 4);
    assert_eq!(found["tables"].0, "fail");
    assert!(found["tables"].1.contains("format 99"), "{found:?}");
    fs::write(node.path("data/FORMAT"), "tandem 1\n").unwrap();

    fs::write(node.path("data/device.key"), "none\n").unwrap();
    let found = checks(&node, &[], 4);
    assert_eq!(found["device key"].0, "fail");
    assert!(found["device key"].1.contains("restore it"), "{found:?}");

    fs::write(node.path("data/tandem.toml"), "[log]\nlevel = \"loud\"\n").unwrap();
    let found = checks(&node, &[], 4);
    assert!(found["configuration"].1.contains("log.level"), "{found:?}");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::with_workspace();
    fs::set_permissions(node.path("data/device.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let found = checks(&node, &[], 0);
    assert_eq!(found["device key"].0, "warn");
    assert!(found["device key"].1.contains("chmod 600"), "{found:?}");

    let shown = node.ok(&["key", "show"]);
    assert_eq!(shown.trim().len(), 64);
    let out = node.path("my.key");
    assert!(node.ok(&["key", "export", &out]).contains("not encrypted"));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    assert_ne!(fs::read_to_string(&out).unwrap(), shown, "the secret half, not the public one");
    assert_eq!(fs::read_to_string(&out).unwrap(), fs::read_to_string(node.path("data/device.key")).unwrap());
    fs::write(&out, "mine").unwrap();
    node.fails(&["key", "export", &out], 2, &["is there already"]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
    let empty = Node::new();
    empty.fails(&["key", "show"], 3, &["no device key", "yet"]);
    empty.fails(&["key", "export", &out], 3, &["no device key"]);
}

#[test]
fn a_backup_brings_a_workspace_back() {
    let node = Node::with_workspace();
    let rows: String = (0..600).map(|row| format!("{row},name {row}\n")).collect();
    let people = node.file("people.csv", format!("id,name\n{rows}"));
    node.ok(&["import", &people]);
    let file = node.path("test.backup");
    assert!(node.ok(&["backup", &file]).contains("wrote Test"));
    let digest = node.ok(&["digest"]);
    node.ok(&["new", "people", "id=1000"]);

    // On another machine, on the same one under another name of the folder, and not beside the workspace itself.
    let other = Node::new();
    assert!(other.ok(&["workspace", "restore", &file]).contains("restored Test"));
    assert_eq!(other.ok(&["digest"]), digest);
    assert_eq!(other.json(&["ls", "people", "--json"]).len(), 600);
    other.fails(&["new", "people", "id=1"], 1, &["no member"]);
    node.fails(&["workspace", "restore", &file], 1, &["has the workspace already", "workspace rm"]);
    node.ok(&["workspace", "rm", "Test", "--yes"]);
    node.ok(&["workspace", "restore", &file]);
    assert_eq!(node.ok(&["digest"]), digest);
    // The same device goes on, and never in a place of a chain that it may have written after the backup.
    node.ok(&["new", "people", "id=2000"]);
    let log = node.json(&["log", "--json"]);
    let chains: Vec<u64> = log.iter().map(|event| event["chain"].as_u64().unwrap()).collect();
    assert!(chains[..chains.len() - 1].iter().all(|chain| *chain < 2), "{chains:?}");
    assert!(*chains.last().unwrap() > 2, "{chains:?}");
    assert_eq!(node.json(&["ls", "people", "--json"]).len(), 601);
    assert_eq!(node.json(&["verify", "--json"])[0]["clean"], true);
}

#[test]
fn a_folder_of_backups_gets_what_is_new_and_gives_all_of_it_back() {
    let node = Node::with_workspace();
    let people = node.file("people.csv", "id,name\n1,Ada\n2,Bob\n");
    node.ok(&["import", &people]);
    node.ok(&["server", "rules", &node.file("rules.toml", RULES)]);
    let folder = format!("{}/", node.path("backups"));
    assert!(node.ok(&["backup", &folder]).contains("signed runs) to "));
    let digests = [node.ok(&["digest"])];
    assert!(node.ok(&["backup", &folder]).contains("nothing new since the backup of"));
    let mut digests = digests.to_vec();
    for id in 3..6 {
        node.ok(&["new", "people", &format!("id={id}")]);
        assert!(node.ok(&["backup", &folder]).contains("(1 new signed runs)"));
        digests.push(node.ok(&["digest"]));
    }
    let mut parts: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    parts.sort();
    assert_eq!(parts.len(), 4);
    // All of it, or up to one of the files.
    let other = Node::new();
    let said = other.ok(&["workspace", "restore", &folder]);
    assert!(said.contains("from 4 parts") && said.contains("The rules by which the node judged are back"), "{said}");
    assert_eq!(other.ok(&["digest"]), digests[3]);
    assert!(other.ok(&["server", "rules"]).contains("named"));
    let other = Node::new();
    other.ok(&["workspace", "restore", parts[1].to_str().unwrap()]);
    assert_eq!(other.ok(&["digest"]), digests[1]);

    // Neither a gap nor a damaged part is passed over, and nothing is made of them.
    let check = |words: &[&str]| {
        let other = Node::new();
        other.fails(&["workspace", "restore", &folder], 4, words);
        assert!(other.json(&["workspace", "ls", "--json"]).is_empty());
    };
    let whole = fs::read(&parts[1]).unwrap();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&parts[1], &changed).unwrap();
    check(&["-00002.backup", "damaged"]);
    fs::copy(&parts[0], &parts[1]).unwrap();
    check(&["-00002.backup", "goes on from another"]);
    fs::write(&parts[1], &whole).unwrap();
    // What cannot be gone on from is told, and all of it is written once more.
    fs::write(&parts[3], &whole[..100]).unwrap();
    let said = node.run(&["backup", &folder]);
    let (out, told) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(out.contains("-002-00001.backup") && told.contains("cut off") && told.contains("another series"), "{told}");
    node.ok(&["new", "people", "id=9"]);
    assert!(node.ok(&["backup", &folder]).contains("-002-00002.backup"));
    fs::remove_file(format!("{folder}{}", &out[out.find("-002-").unwrap() - 25..out.find(".backup").unwrap() + 7]))
        .unwrap();
    let said = node.run(&["backup", &folder]);
    let (out, told) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(out.contains("-003-00001.backup") && told.contains("missing"), "{told}");
    let other = Node::new();
    other.ok(&["workspace", "restore", &folder]);
    assert_eq!(other.ok(&["digest"]), node.ok(&["digest"]));
}

#[test]
fn a_log_that_was_put_back_begins_a_series_of_its_own_and_a_folder_keeps_workspaces_apart() {
    let node = Node::with_workspace();
    node.ok(&["import", &node.file("people.csv", "id,name\n1,Ada\n")]);
    let (folder, old) = (format!("{}/", node.path("backups")), node.path("old.backup"));
    node.ok(&["backup", &old]);
    node.ok(&["new", "people", "id=2"]);
    node.ok(&["backup", &folder]);
    node.ok(&["workspace", "rm", "Test", "--yes"]);
    node.ok(&["workspace", "restore", &old]);
    node.ok(&["new", "people", "id=3"]);
    let said = node.run(&["backup", &folder]);
    let (out, told) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(told.contains("not the one that was backed up before") && out.contains("-002-00001.backup"), "{told}");
    let other = Node::new();
    other.ok(&["workspace", "restore", &folder]);
    assert_eq!(other.ok(&["digest"]), node.ok(&["digest"]));

    let second = Node::with_workspace();
    second.ok(&["backup", &folder]);
    let other = Node::new();
    other.fails(&["workspace", "restore", &folder], 3, &["2 workspaces", "-002-00001.backup"]);
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let file = files.into_iter().find(|path| path.to_str().unwrap().contains("-002-")).unwrap();
    other.ok(&["workspace", "restore", file.to_str().unwrap()]);
    assert_eq!(other.ok(&["digest"]), node.ok(&["digest"]));
    other.fails(&["workspace", "restore", &other.path("nowhere/")], 1, &["nowhere"]);
    fs::create_dir(other.path("empty")).unwrap();
    other.fails(&["workspace", "restore", &other.path("empty")], 3, &["has no backups"]);
}

/// Rules of a server for a list of people.
const RULES: &str = r#"[[rule]]
list = "people"
name = "named"
check = "name != null"
message = "who?"
"#;

#[test]
fn a_damaged_backup_makes_nothing() {
    let node = Node::with_workspace();
    let file = node.path("test.backup");
    node.ok(&["backup", &file]);
    let whole = fs::read(&file).unwrap();
    let other = Node::new();
    let check = |bytes: &[u8], words: &[&str]| {
        let path = other.file("bad.backup", bytes);
        other.fails(&["workspace", "restore", &path], 4, words);
        assert!(other.json(&["workspace", "ls", "--json"]).is_empty(), "{words:?}");
    };
    check(&whole[..whole.len() - 1], &["bad.backup", "cut off", "copy it again"]);
    check(&whole[..whole.len() / 2], &["cut off"]);
    check(b"name,city\nZoe,Bonn\n", &["no backup made by"]);
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    check(&changed, &["damaged", "checksum"]);
    other.fails(&["workspace", "restore", "missing.backup"], 1, &["missing.backup"]);
}

#[test]
fn settings_say_where_they_come_from() {
    let node = Node::new();
    let file = node.file("my.toml", "[storage]\ncache_mb = 32\n");
    let shown = node.json(&["config", "show", "--origin", "--json", "--config", &file]);
    let of = |key: &str| shown.iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!(of("storage.cache_mb"), json!({ "key": "storage.cache_mb", "value": "32", "origin": file }));
    assert_eq!(of("log.level"), json!({ "key": "log.level", "value": "warn", "origin": "default" }));
    assert_eq!(of("data_dir")["origin"], "--data-dir");
    assert!(!node.ok(&["config", "show"]).contains("ORIGIN"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    let output = command.args(["config", "show", "--origin"]).env("TANDEM_DATA_DIR", node.path("x")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("data_dir") && line.ends_with("TANDEM_DATA_DIR")), "{text}");
}

#[test]
fn sizes_grow_with_what_is_written() {
    let node = Node::with_workspace();
    let size = || {
        let lines = node.json(&["size", "--json"]);
        assert_eq!(lines[0]["name"], "Test");
        assert!(lines[1]["disk_bytes"].as_u64().unwrap() > 0);
        ["events", "log_bytes", "view_rows", "view_bytes"].map(|key| lines[0][key].as_u64().unwrap())
    };
    let before = size();
    let people = node.file("people.csv", "name\nZoë\nAda\n");
    node.ok(&["import", &people]);
    let after = size();
    assert!(before.iter().zip(&after).all(|(before, after)| before < after), "{before:?} {after:?}");
    assert_eq!(after[0], node.json(&["log", "--json"]).len() as u64);
}

#[test]
fn the_help_names_every_command() {
    let node = Node::new();
    let help = node.ok(&["--help"]);
    let named: Vec<&str> = help.split(|char: char| !char.is_ascii_alphanumeric() && char != '-').collect();
    for command in tandem::cli::Args::command().get_subcommands() {
        assert!(named.contains(&command.get_name()), "--help does not name {}:\n{help}", command.get_name());
    }
    assert!(help.lines().count() <= 52, "{help}");
    assert!(node.ok(&["completions", "zsh"]).contains("#compdef tandem"));
    let folder = node.path("manual");
    node.ok(&["man", &folder]);
    let page = fs::read_to_string(node.path("manual/tandem-import.1")).unwrap();
    assert!(page.contains("dry\\-run"), "{page}");
}
