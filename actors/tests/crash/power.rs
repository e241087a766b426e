//! A machine whose power is cut: the file operations of a real run are recorded, and the directory is rebuilt at many
//! points, with whatever was not synced dropped, torn or mixed up. Each is opened as a node opens it.

use crate::{
    child,
    disk::{Chance, Disk, Keep, Op, read},
    notes::Notes,
    reboot::reboot,
};
use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    panic,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
};
use tandem_actors::Node;
use tandem_wire::Header;
use tempfile::TempDir;

/// Directories that are rebuilt and opened.
const POINTS: u64 = 500;

/// Directories opened at once; they wait for threads more than they work.
const OPENERS: usize = 3;

/// Also for an authority, whose chain is looked at.
const POINTS_OF_AN_AUTHORITY: u64 = 120;

/// Fewer do to find a missing sync.
const POINTS_WITHOUT_SYNC: u64 = 60;

/// Notes of each writer and session.
const NOTES: u32 = 60;

/// Loads of each session.
const LOADS: u32 = 2;

pub fn every_acknowledged_write_survives_a_power_cut() {
    let recording = record(true, false);
    let found = check(&recording, POINTS);
    assert!(found.failures.is_empty(), "{} of {POINTS}: {:#?}", found.failures.len(), found.failures);
    println!(
        "{POINTS} points of {} operations, {} notes acknowledged: all there; {} journals held whole writes behind a \
         break, {} tables were built anew, {} runs put back",
        recording.ops.len(),
        found.acknowledged,
        found.kept,
        found.rebuilt,
        found.runs
    );
}

pub fn a_missing_sync_is_found_out() {
    let recording = record(false, false);
    let found = check(&recording, POINTS_WITHOUT_SYNC);
    let lost = found.failures.iter().filter(|failure| failure.contains("lost")).count();
    assert!(lost > 0, "{POINTS_WITHOUT_SYNC} points without the journal's sync, and nothing is missing");
    println!("{lost} of {POINTS_WITHOUT_SYNC} points show that the sync is missing");
}

/// What an authority writes is on the disk twice before anybody sees it: one copy may be lost, and its chains are still
/// gone on with, behind the last event that was seen.
pub fn an_authority_goes_on_behind_what_was_seen_of_it_after_a_power_cut() {
    for syncs in [true, false] {
        let recording = record(syncs, true);
        let found = check(&recording, POINTS_OF_AN_AUTHORITY);
        let total = POINTS_OF_AN_AUTHORITY;
        assert!(found.failures.is_empty(), "{} of {total}: {:#?}", found.failures.len(), found.failures);
        assert!(found.gone_on * 2 > total, "of {total}, {} go on", found.gone_on);
        println!("journal synced: {syncs}; {} of {total} points go on, {} runs put back", found.gone_on, found.runs);
    }
}

struct Recording {
    ops: Vec<Op>,
    syncs: bool,
    judges: bool,
    _dir: TempDir,
}

/// Runs a node and records what it does, with or without syncing its journal.
fn record(syncs: bool, judges: bool) -> Recording {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("recording"));
    fs::create_dir(&data).unwrap();
    let mut command = child::command(&data, "n", NOTES, if judges { 0 } else { LOADS });
    if judges {
        command.env(child::JUDGES, "1");
    }
    command.env("LD_PRELOAD", recorder(dir.path())).env("TANDEM_RECORD", &file).env("TANDEM_RECORD_DIR", &data);
    if !syncs {
        command.env("TANDEM_NO_SYNC", "1");
    }
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    let ops = read(&file);
    let mut disk = Disk::default();
    ops.iter().for_each(|op| disk.apply(op));
    disk.assert_is(&data);
    let recorded: String =
        ops.iter().filter_map(|op| if let Op::Said { text } = op { Some(&**text) } else { None }).collect();
    assert_eq!(recorded, said);
    Recording { ops, syncs, judges, _dir: dir }
}

/// Compiles the recorder. There is a C compiler: it linked this program.
fn recorder(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("record.c"), dir.join("record.so"));
    fs::write(&source, include_str!("record.c")).unwrap();
    let done = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .stdin(Stdio::null())
        .output()
        .expect("cc, which links every Rust program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    library
}

#[derive(Default)]
struct Found {
    failures: Vec<String>,
    acknowledged: usize,
    kept: u64,
    rebuilt: u64,
    runs: u64,
    /// Points after which the node writes the chains that it wrote before.
    gone_on: u64,
}

/// Cuts the power at `points` points, spread over the recording, and opens what is left.
fn check(recording: &Recording, points: u64) -> Found {
    let ops = &recording.ops;
    let mut seed = Seed(points);
    // Behind an acknowledgement is where most can be lost.
    let said: Vec<u64> =
        (1..).zip(ops).filter(|(_, op)| matches!(op, Op::Said { .. })).map(|(after, _)| after).collect();
    let mut cuts: Vec<u64> = (0..points)
        .map(|n| match n % 2 {
            0 => said[seed.below(said.len() as u64) as usize] + seed.below(3),
            _ => seed.below(ops.len() as u64 + 1),
        })
        .map(|cut| cut.min(ops.len() as u64))
        .collect();
    cuts.sort_unstable();
    let found = Mutex::new(Found::default());
    let (send, receive) = mpsc::sync_channel::<Left>(OPENERS);
    let receive = Mutex::new(receive);
    let (mut acknowledged, mut tip) = (BTreeSet::new(), None);
    thread::scope(|scope| {
        for _ in 0..OPENERS {
            scope.spawn(|| {
                while let Ok(left) = { receive.lock().expect("nobody panics with it").recv() } {
                    let opened = panic::catch_unwind(|| open(&left, &found));
                    if let Err(why) = opened.unwrap_or_else(|_| Err("panicked".into())) {
                        let Left { number, cut, keep, .. } = left;
                        let failure = format!("point {number}, after {cut} operations, kept {keep:?}: {why}");
                        found.lock().expect("nobody panics with it").failures.push(failure);
                    }
                }
            });
        }
        let (mut disk, mut done) = (Disk::default(), 0);
        for (number, cut) in (0u64..).zip(cuts) {
            for op in &ops[done..cut as usize] {
                disk.apply(op);
                if let Op::Said { text } = op {
                    acknowledged.extend(text.lines().filter_map(|line| line.strip_prefix("ack ")).map(str::to_owned));
                    tip = tip
                        .max(text.lines().filter_map(|line| line.strip_prefix("tip ")).filter_map(Seen::parse).max());
                }
            }
            done = cut as usize;
            let keep = [Keep::Some, Keep::Nothing, Keep::Start, Keep::Some, Keep::Everything][number as usize % 5];
            let dir = folder();
            disk.cut(keep, &mut seed, dir.path());
            let (acknowledged, tip) = (acknowledged.clone(), tip.clone());
            let (syncs, judges) = (recording.syncs, recording.judges);
            send.send(Left { dir, acknowledged, syncs, judges, tip, number, cut, keep }).expect("they listen");
        }
        drop(send);
    });
    let mut found = found.into_inner().expect("nobody panics with it");
    found.acknowledged = acknowledged.len();
    found
}

/// What a power cut left, and what must be in it.
struct Left {
    dir: TempDir,
    acknowledged: BTreeSet<String>,
    /// Whether the journal was synced. Where it was not, only what the rescue file vouches for is looked at.
    syncs: bool,
    judges: bool,
    /// The last event that was seen.
    tip: Option<Seen>,
    number: u64,
    cut: u64,
    keep: Keep,
}

/// The last event of a chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    chain: u32,
    seq: u64,
    id: String,
}

impl Seen {
    fn parse(said: &str) -> Option<Self> {
        let mut parts = said.split(' ');
        let [chain, seq, id] = [parts.next()?, parts.next()?, parts.next()?];
        Some(Self { chain: chain.parse().ok()?, seq: seq.parse().ok()?, id: id.into() })
    }
}

/// In memory where that can be: what is opened is thrown away, and its syncs are not waited for.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Opens a directory that a power cut left: the acknowledged notes are there, and it can be written.
fn open(left: &Left, found: &Mutex<Found>) -> Result<(), String> {
    if left.judges {
        reboot(left.dir.path());
    }
    let (acknowledged, node) = (&left.acknowledged, Node::open(left.dir.path(), child::options()));
    let node = node.map_err(|error| error.to_string())?;
    let recovered = node.recovered();
    {
        let mut found = found.lock().expect("nobody panics with it");
        found.kept += recovered.kept.len() as u64;
        found.rebuilt += u64::from(recovered.aside.is_some());
        found.runs += recovered.runs;
        found.gone_on += u64::from(recovered.fresh == 0);
    }
    if !recovered.lost.is_empty() {
        return Err(format!("said to be lost: {recovered:?}"));
    }
    if let (Some(tip), 0) = (&left.tip, recovered.fresh) {
        has_event(&node, tip)?;
    }
    if left.judges && !left.syncs {
        return Ok(());
    }
    let Some(notes) = Notes::find(&node) else {
        // A list is made before anything is written to it.
        return if acknowledged.is_empty() { Ok(()) } else { Err("lost the list".into()) };
    };
    let there: BTreeSet<String> = notes.texts().iter().map(|text| child::short(text).to_owned()).collect();
    let lost: Vec<&String> = acknowledged.difference(&there).collect();
    if !lost.is_empty() {
        return Err(format!("lost {lost:?}; {recovered:?}"));
    }
    if left.number.is_multiple_of(10) {
        notes.try_add("after the cut").map_err(|error| error.to_string())?;
        if !notes.verify() {
            return Err("its views are not those of its log".into());
        }
    }
    Ok(())
}

/// The chain is the one that was seen, up to there at least.
fn has_event(node: &Node, tip: &Seen) -> Result<(), String> {
    let found = node.workspaces().and_then(|all| all.first().map(|info| node.workspace(info.id)).transpose());
    let Some(workspace) = found.map_err(|error| error.to_string())? else { return Err("lost the workspace".into()) };
    let reader = workspace.read();
    let mut events = reader.log().map(|event| event.expect("it is read").0);
    let is_there = |header: &Header| (header.chain.number, header.seq) == (tip.chain, tip.seq);
    match events.find(|event| is_there(event.header())).map(|event| event.id().to_string()) {
        Some(id) if id == tip.id => Ok(()),
        other => Err(format!("{tip:?} was seen, and the chain goes on from {other:?}")),
    }
}

/// A small generator (splitmix64): each run cuts the same recording in the same way.
struct Seed(u64);

impl Chance for Seed {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
