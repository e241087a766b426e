//! An event that ends the process of whoever applies it.

use crate::notes::{Notes, open as open_node, texts_in};
use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio, abort},
    sync::Arc,
};
use tandem_storage::{
    engine::{Batch, DataDir, Durability, Engine, FjallEngine, Options, Table},
    fence::Fence,
    log,
    store::{Store, distrust},
};
use tandem_wire::{Event, Run};

/// Names the data directory; whoever is started with it opens it and prints what it shows.
pub const DIR: &str = "TANDEM_FENCE_DIR";

/// The planted fault: the fourth event of every chain but a node's first pair.
fn ends_the_process(event: &Event) {
    if event.header().chain.number > 1 && event.header().seq == 3 {
        abort();
    }
}

/// In the child.
pub fn open(dir: &Path) {
    let fence = Fence::in_dir(dir, 1).with_probe(ends_the_process);
    let store = Store::open_fenced(Arc::new(tables(dir)), 1, fence).expect("it opens");
    let verified = store.verify(&mut |_| {}).expect("it can be checked");
    println!("{} notes, {} fenced, clean: {}", texts_in(&store).len(), store.fenced().len(), verified.is_clean());
}

fn tables(dir: &Path) -> FjallEngine {
    DataDir::lock(dir).unwrap().open(Options::default()).unwrap()
}

fn start(dir: &Path) -> Option<String> {
    let mut command = Command::new(env::current_exe().expect("this program"));
    let done = command.env(DIR, dir).stderr(Stdio::null()).output().unwrap();
    done.status.success().then(|| String::from_utf8(done.stdout).expect("text"))
}

pub fn an_event_that_ends_the_process_does_so_twice() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = open_node(one.path());
    let notes = Notes::of(&node);
    (0..10).for_each(|n| notes.add(&format!("one {n}")));
    drop(notes);
    node.close().unwrap();
    copy(one.path(), two.path());
    let node = open_node(two.path());
    let notes = Notes::of(&node);
    (0..10).for_each(|n| notes.add(&format!("two {n}")));
    drop(notes);
    node.close().unwrap();

    // What `two` wrote on chains of its own comes to `one`.
    let from = tables(two.path());
    let engine = tables(one.path());
    let mut batch = Batch::default();
    let mut next = log::next_arrival(&engine, 1).unwrap();
    for run in log::runs_from(&from, 1, 0) {
        let (_, run) = run.unwrap();
        if Run::decode(&run).unwrap().events()[0].header().chain.number > 1 {
            batch.put(Table::Log, log::key(1, next), &*run);
            next += 1;
        }
    }
    assert_eq!(batch.len(), 10);
    engine.commit(batch, Durability::Synced).unwrap();
    distrust(&engine, 1).unwrap();
    drop((engine, from));

    assert_eq!(start(one.path()), None, "the first start ends");
    assert_eq!(start(one.path()), None, "the second start ends");
    // The rest goes on: the other chain, and this one up to the event; what comes behind is held.
    let shown = Some("13 notes, 1 fenced, clean: true\n".to_owned());
    assert_eq!(start(one.path()), shown);
    assert!(!one.path().join("applying.1").exists());
    assert_eq!(start(one.path()), shown, "and so at every start");
    // A node that can apply the event shows all when it builds the views anew.
    let node = open_node(one.path());
    let notes = Notes::of(&node);
    assert_eq!(notes.texts().len(), 13);
    notes.workspace.rebuild().unwrap();
    assert_eq!(notes.texts().len(), 20);
    assert!(notes.verify());
    println!("two starts end, the third shows 13 of 20 notes, a rebuild without the fault all");
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let (path, to) = (file.as_ref().unwrap().path(), to.join(file.unwrap().file_name()));
        if path.is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}
