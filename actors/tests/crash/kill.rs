//! A process that is killed while it writes, again and again.

use crate::{child, notes::Notes};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::Child,
    thread,
    time::Duration,
};
use tandem_actors::{Node, recover::Start};

const KILLS: u32 = 200;

/// One in so many children writes many notes at once as well.
const KILLS_PER_LOAD: u32 = 10;

pub fn every_acknowledged_write_survives_200_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut saved = BTreeSet::new();
    let mut early = 0;
    for round in 0..KILLS {
        // Spread, and the same in each run: some while it opens, most while it writes.
        let delay = Duration::from_micros(u64::from(round) * 7919 % 40_000);
        let loads = u32::from(round.is_multiple_of(KILLS_PER_LOAD));
        let mut child = child::command(dir.path(), &round.to_string(), u32::MAX, loads).spawn().unwrap();
        let heard = listen(&mut child, delay, round % 8 == 7);
        match heard.open {
            true => {
                let lost: Vec<&String> = saved.difference(&heard.had).collect();
                assert!(lost.is_empty(), "kill {round}: lost {lost:?}");
            }
            false => early += 1,
        }
        saved.extend(heard.acknowledged);
    }
    assert!(saved.len() > KILLS as usize, "only {} writes were acknowledged", saved.len());
    let node = crate::notes::with(dir.path(), child::options());
    let recovered = node.recovered().clone();
    assert!(!recovered.is_notable(), "{recovered}");
    if Path::new("/proc/sys/kernel/random/boot_id").exists() {
        assert_eq!((recovered.start, recovered.fresh), (Start::Killed, 0));
    }
    let notes = Notes::of(&node);
    let found: BTreeSet<String> = notes.texts().iter().map(|text| child::short(text).to_owned()).collect();
    assert_eq!(saved.difference(&found).count(), 0);
    assert!(notes.verify());
    println!("{KILLS} kills, {early} of them while it opened: all {} acknowledged writes are there", saved.len());
}

pub fn a_second_process_is_told_to_stop_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = child::command(dir.path(), "first", u32::MAX, 0).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    said.read_line(&mut String::new()).unwrap();
    let refused = Node::open(dir.path(), child::options()).err().expect("refused");
    assert_eq!(refused.code(), "locked");
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(crate::notes::with(dir.path(), child::options()));
}

#[derive(Default)]
struct Heard {
    had: BTreeSet<String>,
    open: bool,
    acknowledged: Vec<String>,
}

/// Kills the child `delay` after it opened, or if it is to be `early`, after it was started; gives all that it said.
fn listen(child: &mut Child, delay: Duration, early: bool) -> Heard {
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut heard = Heard::default();
    let mut take = |line: String| match line.split_once(' ') {
        Some(("had", text)) => drop(heard.had.insert(text.to_owned())),
        Some(("ack", text)) => heard.acknowledged.push(text.to_owned()),
        _ => heard.open = true,
    };
    if !early {
        for line in lines.by_ref() {
            let open = line == "open";
            take(line);
            if open {
                break;
            }
        }
    }
    pause(delay);
    child.kill().expect("it runs");
    lines.for_each(take);
    child.wait().expect("it was started here");
    heard
}

#[expect(clippy::disallowed_methods, reason = "the kill comes at some moment of real time")]
fn pause(delay: Duration) {
    thread::sleep(delay);
}
