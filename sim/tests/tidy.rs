//! What a reviewer would otherwise have to remember, as tests: who may depend on whom, which licences and
//! sources are allowed, what the pure cores never touch, and what never lies in the tree.
//!
//! Each test gathers everything that is wrong and says it in sentences; none can pass without having looked at
//! something. Licences and banned crates are read from `deny.toml`, which `cargo deny` applies as well.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value as Json;

/// Each crate with those of ours that it may use, in reading order.
const EDGES: [(&str, &[&str]); 7] = [
    ("tandem-wire", &[]),
    ("tandem-storage", &["tandem-wire"]),
    ("tandem-actors", &["tandem-wire", "tandem-storage"]),
    ("tandem-sim", &["tandem-wire", "tandem-storage", "tandem-actors"]),
    ("tandem-config", &[]),
    ("tandem", &["tandem-wire", "tandem-storage", "tandem-actors", "tandem-config"]),
    ("tandem-bench", &["tandem-wire", "tandem-storage", "tandem-actors", "tandem-sim", "tandem-config", "tandem"]),
];

/// Folders whose code decides from what it is handed alone. Those that do not exist yet are passed over.
const PURE: [&str; 2] = ["wire/src", "storage/src/fold"];

/// Modules of `std` that reach out of the program.
const IMPURE_STD: [&str; 4] = ["thread", "time", "fs", "net"];

/// Lines in one source file of ours; longer ones hide more than one concept.
const FILE_LINES_MAX: usize = 700;

/// The one place that dependencies come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn crates_use_only_what_stands_above_them() {
    let ours: Vec<&Json> = packages().iter().filter(|package| is_ours(package)).collect();
    assert_eq!(ours.len(), EDGES.len(), "every crate of the layout is a workspace member");
    let mut wrong = Vec::new();
    for package in ours {
        let name = text(package, "name");
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        for used in dependencies.iter().filter(|dependency| dependency["path"].is_string()) {
            wrong.extend(edge_fault(name, text(used, "name")));
        }
        wrong.extend(edge_fault(name, name));
    }
    report(&wrong);
}

#[test]
fn edges_run_one_way() {
    let check =
        |from: &str, to: &str, expect: bool| assert_eq!(edge_fault(from, to).is_none(), expect, "{from} → {to}");
    check("tandem-storage", "tandem-wire", true);
    check("tandem-wire", "tandem-storage", false);
    check("tandem-sim", "tandem-storage", true);
    check("tandem-sim", "tandem", false);
    check("tandem", "tandem-sim", false);
    check("tandem-config", "tandem-wire", false);
    check("tandem-bench", "tandem", true);
    check("tandem-helpers", "tandem-wire", false);
}

/// Why the crate `name` must not depend on `used`; a crate may always use itself.
fn edge_fault(name: &str, used: &str) -> Option<String> {
    let Some((_, may_use)) = EDGES.iter().find(|(other, _)| *other == name) else {
        return Some(format!("`{name}` is not in the layout: give it a row in EDGES and in docs/architecture.md"));
    };
    let fault = || format!("`{name}` must not depend on `{used}`: edges run wire ← storage ← actors ← sim, node");
    (name != used && !may_use.contains(&used)).then(fault)
}

#[test]
fn licences_of_all_dependencies_are_allowed() {
    let deny = deny_toml();
    let allowed = strings(&deny["licenses"]["allow"]);
    let exceptions = deny["licenses"].get("exceptions").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for package in packages().iter().filter(|package| !is_ours(package)) {
        seen += 1;
        let name = text(package, "name");
        let excepted = exceptions.iter().filter(|row| row["crate"].as_str() == Some(name));
        let excepted: Vec<String> = excepted.flat_map(|row| strings(&row["allow"])).collect();
        let accepts = |licence: &str| allowed.iter().chain(&excepted).any(|other| other == licence);
        match package["license"].as_str() {
            None => {
                wrong.push(format!("`{name}` names no licence: read its files, then replace it or except it by name"))
            }
            Some(licence) if !is_licensed(licence, accepts) => {
                wrong.push(format!(
                    "`{name}` is under {licence}: not in deny.toml; replace it, or except it by name with the reason"
                ));
            }
            Some(_) => {}
        }
    }
    assert!(seen > 50, "saw {seen} dependencies only");
    report(&wrong);
}

#[test]
fn no_banned_crate_is_used_and_all_come_from_the_registry() {
    let deny = deny_toml();
    let banned = deny["bans"]["deny"].as_array().expect("bans.deny");
    assert!(!banned.is_empty(), "deny.toml bans nothing");
    let mut wrong = Vec::new();
    for package in packages().iter().filter(|package| !is_ours(package)) {
        let name = text(package, "name");
        if let Some(row) = banned.iter().find(|row| row["crate"].as_str() == Some(name)) {
            wrong.push(format!("`{name}` is banned: {}", row["reason"].as_str().unwrap_or("see deny.toml")));
        }
        match package["source"].as_str() {
            Some(REGISTRY) => {}
            other => wrong.push(format!("`{name}` comes from {}: use a published version", other.unwrap_or("a path"))),
        }
    }
    report(&wrong);
}

#[test]
fn pure_cores_touch_no_clock_thread_file_or_socket() {
    let mut wrong = Vec::new();
    for folder in PURE {
        let sources: Vec<_> =
            files().iter().filter(|path| path.starts_with(folder) && has_extension(path, &["rs"])).collect();
        assert!(
            !sources.is_empty() || !root().join(folder).exists(),
            "`{folder}` exists, but no source was seen in it"
        );
        for path in sources {
            for module in std_modules(&read(path)).iter().filter(|module| IMPURE_STD.contains(&module.as_str())) {
                let path = path.display();
                wrong.push(format!(
                    "{path} uses std::{module}: a pure core is handed what it needs; move this to a shell"
                ));
            }
        }
    }
    assert!(root().join(PURE[0]).exists(), "the first pure folder is always there");
    report(&wrong);
}

#[test]
fn std_modules_are_found_in_every_form() {
    let check = |source: &str, expect: &[&str]| assert_eq!(std_modules(source), expect, "{source}");
    check("use std::fs;", &["fs"]);
    check("let at = ::std::time::Instant::now();", &["time"]);
    check("use std::{collections::{BTreeMap, BTreeSet}, fs, net::{self, TcpStream}};", &["collections", "fs", "net"]);
    check("use std::{\n    // why\n    thread,\n    io::Read as _,\n};", &["thread", "io"]);
    check("use std :: fs :: File;", &["fs"]);
    check("// std::fs is never used here\n//! nor std::net", &[]);
    check("mystd::fs::x(); core::time::Duration::ZERO;", &[]);
}

#[test]
fn each_library_opens_with_what_it_is_for_and_what_is_never_there() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let libraries = files().iter().filter(|path| path.ends_with("src/lib.rs"));
    // A library without code promises nothing yet.
    for path in
        libraries.filter(|path| read(path).lines().any(|line| !line.trim().is_empty() && !line.starts_with("//")))
    {
        seen += 1;
        let source = read(path);
        let doc: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
        if doc.len() < 3 {
            wrong.push(format!(
                "{} must begin with a //! doc: what it is for, and the two types to know",
                path.display()
            ));
        }
        if !doc.iter().any(|line| line.trim_start().starts_with("Never here")) {
            wrong.push(format!("{} must say in its doc what is \"Never here\"", path.display()));
        }
    }
    assert!(seen >= 3, "saw {seen} libraries only");
    report(&wrong);
}

#[test]
fn no_source_file_is_too_long() {
    let sources: Vec<_> = files().iter().filter(|path| has_extension(path, &["rs", "js", "css", "sh"])).collect();
    assert!(sources.len() > 20, "saw {} source files only", sources.len());
    let counted = sources.iter().map(|path| (path.display(), read(path).lines().count()));
    let long = counted.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    report(&long.map(|(path, lines)| format!("{path} has {lines} lines: split it by concept")).collect::<Vec<_>>());
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    assert!(files().len() > 30, "saw {} files only", files().len());
    let places = ["work", "root", "farm"].map(|folder| format!("/{folder}/"));
    let mut wrong = Vec::new();
    for path in files() {
        for (number, line) in read(path).lines().enumerate() {
            if places.iter().any(|place| names_place(line, place)) {
                wrong.push(format!("{}:{} names a machine's folder: {line:.120}", path.display(), number + 1));
            }
        }
    }
    report(&wrong);
}

#[test]
fn a_place_is_told_from_a_folder_of_the_project() {
    let check = |line: &str, expect: bool| assert_eq!(names_place(line, "/place/"), expect, "{line}");
    check("/place/x", true);
    check("see /place/x", true);
    check("(path = \"/place/x\")", true);
    check("src/place/x", false);
    check("../place/x", false);
    check("/placebo", false);
}

/// Whether `place` stands in the line as the beginning of a path, not inside one.
fn names_place(line: &str, place: &str) -> bool {
    let inside = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-' | '*');
    line.match_indices(place).any(|(at, _)| !line[..at].ends_with(inside))
}

/// The first module of every path into `std`, also of those grouped in braces. Comment lines are passed over.
fn std_modules(source: &str) -> Vec<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    let paths = code.match_indices("std").filter(|(at, _)| !code[..*at].ends_with(is_identifier));
    let mut modules = Vec::new();
    for (at, root) in paths {
        let Some(path) = code[at + root.len()..].trim_start().strip_prefix("::").map(str::trim_start) else { continue };
        match path.strip_prefix('{') {
            Some(group) => modules.extend(group_members(group)),
            None => modules.push(identifier(path)),
        }
    }
    modules
}

/// The first names of the members of a group, whose opening brace is gone already.
fn group_members(group: &str) -> Vec<String> {
    let mut members = vec![identifier(group)];
    let mut depth = 1;
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => members.push(identifier(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|char| is_identifier(*char)).collect()
}

fn is_identifier(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

fn is_licensed(expression: &str, accepts: impl Fn(&str) -> bool) -> bool {
    let parsed = spdx::Expression::parse_mode(expression, spdx::ParseMode::LAX);
    parsed.is_ok_and(|parsed| parsed.evaluate(|requirement| accepts(&requirement.to_string())))
}

#[test]
fn licence_expressions_are_weighed() {
    let check = |expression: &str, expect: bool| {
        assert_eq!(is_licensed(expression, |licence| ["MIT", "ISC"].contains(&licence)), expect, "{expression}");
    };
    check("MIT", true);
    check("GPL-3.0-only OR MIT", true);
    check("GPL-3.0/MIT", true);
    check("MIT AND ISC", true);
    check("MIT AND GPL-3.0-only", false);
    check("(MIT OR GPL-3.0-only) AND ISC", true);
    check("MIT WITH Classpath-exception-2.0", false);
    check("free as in beer", false);
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace above this crate")
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension))
}

/// The files of the project, relative to its root: those that git tracks or would, or, in a tree without git,
/// all that are there.
fn files() -> &'static [PathBuf] {
    static FILES: LazyLock<Vec<PathBuf>> = LazyLock::new(|| tracked().unwrap_or_else(|| walk(root())));
    &FILES
}

fn tracked() -> Option<Vec<PathBuf>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
    let names = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    // A file that is deleted but not yet committed as such is still listed.
    let paths = names.split_terminator('\0').map(PathBuf::from).filter(|path| root().join(path).is_file());
    Some(paths.collect())
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the project").map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != ".git" && !name.to_string_lossy().starts_with("mutants.out") {
            found.extend(walk(&path));
        } else if path.is_file() {
            found.push(path.strip_prefix(root()).expect("below the root").to_owned());
        }
    }
    found
}

/// Every package in the build, ours and others', for all platforms, as `cargo metadata` knows them.
fn packages() -> &'static [Json] {
    static PACKAGES: LazyLock<Vec<Json>> = LazyLock::new(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let output = cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root()).output();
        let output = output.expect("cargo runs");
        assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Json = serde_json::from_slice(&output.stdout).expect("cargo metadata gives JSON");
        metadata["packages"].as_array().expect("packages").clone()
    });
    &PACKAGES
}

/// Whether the package is a member of this workspace: it lies in the tree, and nothing is vendored there.
fn is_ours(package: &Json) -> bool {
    Path::new(text(package, "manifest_path")).starts_with(root())
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_else(|| panic!("cargo metadata without {key}"))
}

fn deny_toml() -> toml::Table {
    read(Path::new("deny.toml")).parse().expect("deny.toml is TOML")
}

fn strings(list: &toml::Value) -> Vec<String> {
    let list = list.as_array().expect("a list of texts");
    assert!(!list.is_empty(), "an empty list in deny.toml");
    list.iter().map(|item| item.as_str().expect("a text").to_owned()).collect()
}
