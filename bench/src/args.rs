//! What is asked for on the command line.

use crate::{
    append, disk, figure::Figure, hot, idle, import, join, judge, lab::Lab, lens, merge, one, open, page, parts, read,
    rehearse, rules, sync, task::Side, types,
};
use std::path::PathBuf;

/// Shown when it cannot be understood.
const USAGE: &str =
    "usage: tandem-bench NAME [--rows N] [--json] [--file CITIES.csv] [--dir FOLDER] [--case CASE] [--only SIDE]
NAME    append, import, read, page, open, disk, hot, merge, sync, idle, one, judge, roundtrip,
        refusals, rehearse, rules, lens, parts, join, types, or all
--rows  so many rows or edits, instead of each bench's own number
--json  a line of JSON for each figure
--file  the rows to import; else $TANDEM_BENCH_CITIES, ../shared/data/cities.csv, or made-up ones
--dir   where to store; else the system's folder for temporary files
--case  run one case alone, of benches that have several
--only  run one side alone (ours, sqlite, automerge, … as figures name them), for a profiler: no figures";
/// The file that is looked for.
const FILE: &str = "../shared/data/cities.csv";
const FILE_VARIABLE: &str = "TANDEM_BENCH_CITIES";

/// A bench by its name.
pub struct Bench {
    name: &'static str,
    /// Runs it.
    pub figures: fn(&mut Lab) -> Vec<Figure>,
}

/// All of them.
const BENCHES: [Bench; 20] = [
    Bench { name: "append", figures: append::figures },
    Bench { name: "import", figures: import::figures },
    Bench { name: "read", figures: read::figures },
    Bench { name: "page", figures: page::figures },
    Bench { name: "open", figures: open::figures },
    Bench { name: "disk", figures: disk::figures },
    Bench { name: "hot", figures: hot::figures },
    Bench { name: "merge", figures: merge::figures },
    Bench { name: "sync", figures: sync::figures },
    Bench { name: "idle", figures: idle::figures },
    Bench { name: "one", figures: one::figures },
    Bench { name: "judge", figures: judge::judge },
    Bench { name: "roundtrip", figures: judge::roundtrip },
    Bench { name: "refusals", figures: judge::refusals },
    Bench { name: "rehearse", figures: rehearse::figures },
    Bench { name: "rules", figures: rules::figures },
    Bench { name: "lens", figures: lens::figures },
    Bench { name: "parts", figures: parts::figures },
    Bench { name: "join", figures: join::figures },
    Bench { name: "types", figures: types::figures },
];

/// The arguments, understood.
pub struct Args {
    /// What to run.
    pub benches: Vec<&'static Bench>,
    /// `--rows`
    pub rows: Option<usize>,
    /// `--json`
    pub json: bool,
    /// `--file`, or what stands in for it.
    pub file: Option<PathBuf>,
    /// `--dir`, or what stands in for it.
    pub folder: PathBuf,
    /// `--case`
    pub case: Option<String>,
    /// `--only`
    pub only: Option<Side>,
}

impl Args {
    /// Reads the arguments; fails with what to tell.
    pub fn parse(args: Vec<String>) -> Result<Self, String> {
        let wrong = |what: &str| format!("{what}\n{USAGE}");
        let (mut name, mut rows, mut json, mut file, mut folder) = (None, None, false, None, None);
        let (mut case, mut only) = (None, None);
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| wrong(&format!("{arg} needs a value")));
            match arg.as_str() {
                "--json" => json = true,
                "--rows" => rows = Some(count(&value()?).ok_or_else(|| wrong("--rows needs a number from 1 on"))?),
                "--file" => file = Some(PathBuf::from(value()?)),
                "--dir" => folder = Some(PathBuf::from(value()?)),
                "--case" => case = Some(value()?),
                "--only" => only = Some(side(&value()?).ok_or_else(|| wrong("--only needs a side"))?),
                option if option.starts_with('-') => return Err(wrong(&format!("{option} is unknown"))),
                _name if name.is_some() => return Err(wrong("one bench at a time, or all")),
                _name => name = Some(arg),
            }
        }
        let name = name.ok_or_else(|| wrong("which bench?"))?;
        let benches: Vec<&Bench> = BENCHES.iter().filter(|bench| name == "all" || name == bench.name).collect();
        if benches.is_empty() {
            return Err(wrong(&format!("there is no bench {name}")));
        }
        let file = file.or_else(|| std::env::var_os(FILE_VARIABLE).map(PathBuf::from));
        let file = file.or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.exists()));
        let folder = folder.unwrap_or_else(std::env::temp_dir);
        Ok(Self { benches, rows, json, file, folder, case, only })
    }
}

fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count > 0)
}

fn side(name: &str) -> Option<Side> {
    Side::ALL.into_iter().find(|side| side.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Args, String> {
        Args::parse(args.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn a_bench_with_options() {
        let args = parse("read --rows 10 --json --only sqlite").expect("these are good");
        assert_eq!((args.benches.len(), args.rows, args.json, args.only), (1, Some(10), true, Some(Side::Sqlite)));
        assert_eq!(parse("all").expect("this is good").benches.len(), BENCHES.len());
    }

    #[test]
    fn what_is_wrong_is_said_first() {
        let check = |args, expect| {
            assert_eq!(parse(args).err().as_deref().and_then(|why| why.lines().next()), Some(expect), "{args}");
        };
        check("", "which bench?");
        check("sleep", "there is no bench sleep");
        check("read page", "one bench at a time, or all");
        check("read --rows", "--rows needs a value");
        check("read --rows 0", "--rows needs a number from 1 on");
        check("read --fast", "--fast is unknown");
        check("read --only me", "--only needs a side");
    }
}
