//! What README and `docs/cli.md` tell people to type is typed here, line by line, and gives what they show.
//!
//! In a block marked `console` a line that begins with `$ ` is run; lines without it below are what it prints, with
//! `[..]` for any text within a line and a line `...` for any lines; a line `? 3` is the exit code where it is not 0. A
//! block marked `csv people.csv` is that file, and so is `toml rules.toml`. All lines of a page are run by one shell in
//! one empty folder, in order.
#![cfg(unix)]

use clap::CommandFactory;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tandem::cli::Args;

/// Stands between the outputs of two lines.
const MARK: &str = "\u{1}";

/// What a page has to say to the shell first. A line that builds the program runs the one that was built for this
/// test, and a line that runs all tests, of which this is one, only has to name packages that there are.
const PRELUDE: &str = r#"
cargo() {
    case "$*" in
        "run --release -- "*) shift 3; tandem "$@" ;;
        "test --workspace") command cargo metadata --manifest-path "$MANIFEST" --no-deps --offline --format-version 1 > metadata.json ;;
        *) echo "the test of the documentation does not know how to run: cargo $*"; return 1 ;;
    esac
}
"#;

#[test]
fn the_readme_does_what_it_says() {
    let lines = run(&page("README.md"));
    assert!(lines.iter().any(|line| line.contains("demo")) && lines.len() > 8, "{lines:?}");
}

#[test]
fn the_page_on_the_command_line_does_what_it_says() {
    let lines = run(&page("docs/cli.md"));
    let mut missing = Vec::new();
    for path in leaves(&Args::command(), "tandem") {
        let command: Vec<&str> = words(&path).split_off(1);
        let is_run = lines.iter().filter(|line| line.contains("tandem ")).any(|line| {
            let line = line.replace(['(', ')', '"'], " ");
            words(&line).windows(command.len()).any(|words| words == command)
        });
        if !is_run {
            missing.push(path);
        }
    }
    assert!(missing.is_empty(), "docs/cli.md runs no example of: {}", missing.join(", "));
}

#[test]
fn what_stands_in_the_text_exists() {
    let mut seen = 0;
    for name in ["README.md", "docs/cli.md", "docs/architecture.md"] {
        for span in spans(&page(name)).iter().filter(|span| span.starts_with("tandem ")) {
            seen += 1;
            check_span(name, span);
        }
    }
    assert!(seen > 20, "saw {seen} only");
}

/// Commands and options of a line with placeholders, such as `tandem import FILE [--list L]`.
fn check_span(page: &str, span: &str) {
    let root = Args::command();
    let mut command = &root;
    let mut options: BTreeSet<String> = ["help".into(), "version".into()].into();
    let add = |command: &clap::Command, options: &mut BTreeSet<String>| {
        options.extend(command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned));
    };
    add(command, &mut options);
    let mut is_command = true;
    for word in words(span).into_iter().skip(1) {
        let word = word.trim_matches(['[', ']', ',', '…']);
        if let Some(option) = word.strip_prefix("--").and_then(|option| option.split(['=', '[']).next()) {
            assert!(options.contains(option), "{page}: {span}: there is no --{option}");
        } else if is_command && command.has_subcommands() {
            let found = command.find_subcommand(word);
            let is_placeholder = word.chars().all(|char| char.is_uppercase() || !char.is_alphabetic());
            assert!(found.is_some() || is_placeholder, "{page}: {span}: there is no command {word}");
            is_command = found.is_some();
            command = found.unwrap_or(command);
            add(command, &mut options);
        }
    }
}

/// The commands that do something, `tandem workspace new` for one.
fn leaves(command: &clap::Command, path: &str) -> Vec<String> {
    let below: Vec<&clap::Command> = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    if below.is_empty() {
        return vec![path.to_owned()];
    }
    below.into_iter().flat_map(|command| leaves(command, &format!("{path} {}", command.get_name()))).collect()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// What a line of a page is to give.
#[derive(Debug, Default)]
struct Step {
    line: String,
    /// Nothing where the page shows nothing.
    output: Vec<String>,
    code: i32,
}

/// Runs a page, and gives the lines that were run.
fn run(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for (info, body) in blocks(text) {
        match info.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["csv" | "toml" | "ics", name] => fs::write(folder.path().join(name), body.join("\n") + "\n").unwrap(),
            ["console"] => steps.extend(console(&body)),
            _no_command => {
                assert!(!body.iter().any(|line| line.starts_with("tandem ")), "mark this block `console`: {body:?}")
            }
        }
    }
    let results = shell(folder.path(), &steps);
    assert_eq!(results.len(), steps.len(), "every line is run: {results:?}");
    for (step, (output, code)) in steps.iter().zip(&results) {
        assert_eq!(*code, step.code, "$ {}\n{output}", step.line);
        let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
        let expect: Vec<&str> = step.output.iter().map(String::as_str).collect();
        let is_shown = expect.is_empty() || matches(&expect, &lines);
        assert!(is_shown, "$ {}\n{output}\n--- but the page shows:\n{}", step.line, expect.join("\n"));
    }
    steps.into_iter().map(|step| step.line).collect()
}

fn console(body: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in body {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(line), _) => steps.push(Step { line: line.to_owned(), ..Step::default() }),
            (None, Some(step)) if line.starts_with("? ") => step.code = line[2..].parse().unwrap(),
            (None, Some(step)) => step.output.push(line.trim_end().to_owned()),
            (None, None) => assert!(line.is_empty(), "a console block begins with a line to run: {line}"),
        }
    }
    for step in &mut steps {
        while step.output.last().is_some_and(String::is_empty) {
            step.output.pop();
        }
    }
    steps
}

/// Output (of both kinds) and exit code of each step.
fn shell(folder: &Path, steps: &[Step]) -> Vec<(String, i32)> {
    let mut script = PRELUDE.to_owned();
    for step in steps {
        script.push_str(&format!("{}\nprintf '\\n{MARK}%s{MARK}\\n' $?\n", step.line));
    }
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_tandem"));
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", binary.parent().unwrap().display()))
        .env("TANDEM_DATA_DIR", folder.join("data"))
        .env("MANIFEST", root().join("Cargo.toml"))
        .env("HOME", folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut parts = text.split(MARK).collect::<Vec<_>>();
    parts.pop();
    let output = |text: &str| text.strip_prefix('\n').unwrap_or(text).strip_suffix('\n').unwrap_or(text).to_owned();
    parts.chunks(2).map(|pair| (output(pair[0]), pair[1].parse().unwrap())).collect()
}

/// Whether lines are as shown.
fn matches(expect: &[&str], lines: &[&str]) -> bool {
    match (expect, lines) {
        ([], lines) => lines.iter().all(|line| line.is_empty()),
        (["...", rest @ ..], lines) => (0..=lines.len()).any(|skip| matches(rest, &lines[skip..])),
        ([first, rest @ ..], [line, others @ ..]) => line_matches(first, line) && matches(rest, others),
        (_, []) => false,
    }
}

fn line_matches(expect: &str, line: &str) -> bool {
    match expect.split_once("[..]") {
        None => expect == line,
        Some((start, rest)) => {
            let Some(line) = line.strip_prefix(start) else { return false };
            let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
            ends.into_iter().any(|at| line_matches(rest, &line[at..]))
        }
    }
}

#[test]
fn what_is_shown_is_compared() {
    assert!(matches(&["a [..]b", "...", "z"], &["a xb", "1", "2", "z"]));
    assert!(matches(&["a[..]"], &["a", ""]));
    assert!(!matches(&["a"], &["a", "b"]));
    assert!(!matches(&["a", "b"], &["a"]));
    assert!(!matches(&["a [..] c"], &["a b d"]));
}

/// The fenced blocks of a page: what stands behind the fence, and the lines inside.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => open = Some((info.trim().to_owned(), Vec::new())),
            (None, Some((_, body))) => body.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that does not end");
    blocks
}

/// What stands between single backquotes, outside blocks.
fn spans(text: &str) -> Vec<String> {
    let mut is_block = false;
    let mut spans = Vec::new();
    for line in text.lines() {
        is_block ^= line.starts_with("```");
        if !is_block {
            spans.extend(line.split('`').skip(1).step_by(2).map(|span| span.replace("\\|", "|")));
        }
    }
    spans
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
