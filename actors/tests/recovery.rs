//! What a node finds when it is opened again: after a stop, a kill, in a copy, over damage.

mod notes;
mod reboot;

use notes::{Notes, open, with};
use reboot::reboot;
use std::{
    fs::{self, OpenOptions},
    path::Path,
};
use tandem_actors::{
    Node, NodeError, Options, Refused,
    authority::Policy,
    command::{Command, ServerChange},
    recover::Start,
};
use tandem_storage::{
    EngineError,
    engine::{Batch, DataDir, Durability, Engine, MemoryEngine, Options as EngineOptions, Table},
    log,
    store::{Store, digest, distrust},
};
use tandem_wire::{BindingMode, ChainId, Run};

/// Copies a directory as `cp -a` does.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let (path, to) = (file.as_ref().unwrap().path(), to.join(file.unwrap().file_name()));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(path, to).unwrap()),
        }
    }
}

/// The stored runs of the workspace with number 1, in the order of their arrival.
fn runs(dir: &Path) -> Vec<Vec<u8>> {
    let engine = DataDir::lock(dir).unwrap().open(EngineOptions::default()).unwrap();
    log::runs_from(&engine, 1, 0).map(|run| run.unwrap().1.to_vec()).collect()
}

fn chains(runs: &[Vec<u8>]) -> Vec<u32> {
    let mut chains: Vec<u32> = runs.iter().map(|run| chain(run).number).collect();
    chains.sort_unstable();
    chains.dedup();
    chains
}

fn chain(run: &[u8]) -> ChainId {
    Run::decode(run).unwrap().events()[0].header().chain
}

/// Leaves the node as a kill of the process does: nothing is flushed, and nothing is said.
fn kill(node: Node, dir: &Path, aside: &Path) {
    // A copy of the files while the node runs is what it would have left; put back over the same files, so that they
    // stay the same.
    copy(dir, aside);
    node.close().unwrap();
    restore(aside, dir);
}

fn restore(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let (path, to) = (file.as_ref().unwrap().path(), to.join(file.unwrap().file_name()));
        if path.is_dir() {
            fs::create_dir_all(&to).unwrap();
            for gone in fs::read_dir(&to).unwrap().map(|file| file.unwrap()) {
                if !path.join(gone.file_name()).exists() {
                    match gone.path().is_dir() {
                        true => fs::remove_dir_all(gone.path()).unwrap(),
                        false => fs::remove_file(gone.path()).unwrap(),
                    }
                }
            }
            restore(&path, &to);
        } else if !path.ends_with("device.key") {
            fs::copy(path, to).unwrap();
        }
    }
}

#[test]
fn a_stop_in_good_order_goes_on_with_its_chains() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let node = open(dir.path());
        let expect = if round == 0 { Start::First } else { Start::Clean };
        assert_eq!((node.recovered().start, node.recovered().fresh), (expect, 0));
        assert!(!node.recovered().is_notable());
        let notes = Notes::of(&node);
        assert_eq!(notes.texts().len(), round);
        notes.add(&format!("round {round}"));
        match round % 2 {
            0 => node.close().unwrap(),
            _ => drop(node),
        }
    }
    assert_eq!(chains(&runs(dir.path())), [0, 1]);
}

#[test]
fn a_killed_process_goes_on_with_its_chains() {
    let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = open(dir.path());
    let notes = Notes::of(&node);
    notes.add("before");
    drop(notes);
    kill(node, dir.path(), aside.path());
    let node = open(dir.path());
    let recovered = node.recovered().clone();
    if Path::new("/proc/sys/kernel/random/boot_id").exists() {
        assert_eq!((recovered.start, recovered.fresh), (Start::Killed, 0));
    }
    assert!(!recovered.is_notable(), "{recovered}");
    let notes = Notes::of(&node);
    notes.add("after");
    assert_eq!(notes.texts(), ["after", "before"]);
}

/// The node judges its own workspace.
fn bind(notes: &Notes) {
    let authority = notes.workspace.office().unwrap().chain;
    let bind = ServerChange::Bind { authority, lists: None, mode: BindingMode::Binding, replaces: vec![] };
    notes.workspace.commit(Command::Servers(bind)).unwrap();
}

#[test]
fn after_a_power_cut_a_member_begins_new_chains_and_an_authority_judges_on() {
    for judges in [false, true] {
        let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let node = open(dir.path());
        let notes = Notes::of(&node);
        if judges {
            bind(&notes);
        }
        notes.add("before");
        let before = notes.workspace.office().unwrap();
        drop(notes);
        kill(node, dir.path(), aside.path());
        reboot(dir.path());
        let node = open(dir.path());
        let recovered = node.recovered().clone();
        assert_eq!((recovered.start, recovered.fresh), (Start::PowerCut, u64::from(!judges)));
        let notes = Notes::of(&node);
        let after = notes.workspace.office().unwrap();
        assert_eq!(after.chain == before.chain, judges);
        assert_eq!((after.terms.len(), after.unproved.len()), (usize::from(judges), 0));
        notes.add("after");
        assert_eq!(notes.texts(), ["after", "before"]);
    }
}

#[test]
fn an_authority_that_was_copied_judges_nothing() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = open(dir.path());
    let notes = Notes::of(&node);
    bind(&notes);
    notes.add("before");
    drop(notes);
    copy(dir.path(), elsewhere.path());
    node.close().unwrap();
    let node = open(elsewhere.path());
    assert_eq!((node.recovered().start, node.recovered().fresh), (Start::Copied, 1));
    let office = Notes::of(&node).workspace.office().unwrap();
    assert_eq!((office.terms.len(), office.unproved.len()), (0, 1));
}

/// Changes the tables of a node that is not open.
fn tamper(dir: &Path, change: impl FnOnce(&dyn Fn(Table, Vec<u8>))) {
    let engine = DataDir::lock(dir).unwrap().open(EngineOptions::default()).unwrap();
    change(&|table, key| {
        let mut batch = Batch::default();
        batch.delete(table, key);
        engine.commit(batch, Durability::Synced).unwrap();
    });
}

#[test]
fn an_authority_with_a_gap_in_its_chain_or_without_its_rules_judges_nothing() {
    for lost in ["a run", "the rules"] {
        let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let node = open(dir.path());
        let notes = Notes::of(&node);
        bind(&notes);
        node.set_policy(&notes.workspace, Policy { bytes_a_member_and_day: Some(1), ..Policy::default() }).unwrap();
        (1..4).for_each(|n| notes.add(&n.to_string()));
        let before = notes.workspace.office().unwrap();
        assert_eq!(before.terms.len(), 1);
        let last = notes.workspace.read().runs_from(0).count() as u64 - 1;
        drop(notes);
        kill(node, dir.path(), aside.path());
        tamper(dir.path(), |delete| match lost {
            "a run" => delete(Table::Log, log::key(1, last - 1)),
            _ => delete(Table::Meta, [&1u32.to_be_bytes()[..], b"policy"].concat()),
        });
        if lost == "a run" {
            // Its second copy is gone as well, and the views are made anew.
            fs::remove_dir_all(dir.path().join("rescue")).unwrap();
            let engine = DataDir::lock(dir.path()).unwrap().open(EngineOptions::default()).unwrap();
            distrust(&engine, 1).unwrap();
        }
        reboot(dir.path());
        let node = open(dir.path());
        let notes = Notes::of(&node);
        let after = notes.workspace.office().unwrap();
        assert_ne!(after.chain, before.chain, "{lost}");
        assert_eq!((after.terms.len(), after.unproved.len()), (0, 1), "{lost}");
        notes.add("after");
        drop(notes);
        node.close().unwrap();
        // Once is enough.
        let node = open(dir.path());
        assert_eq!(Notes::of(&node).workspace.office().unwrap().chain, after.chain, "{lost}");
    }
}

/// Both sides of a copied directory write; then all runs of both are put into one store.
#[test]
fn nothing_is_lost_when_a_directory_is_copied_and_both_sides_write() {
    for stopped in [true, false] {
        let (one, two, three) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let node = open(one.path());
        Notes::of(&node).add("before");
        if stopped {
            node.close().unwrap();
            copy(one.path(), two.path());
        } else {
            copy(one.path(), two.path());
            node.close().unwrap();
        }
        copy(one.path(), three.path());

        let mut expect = vec!["before".to_owned()];
        for (name, dir, start) in
            [("one", &one, Start::Clean), ("two", &two, Start::Copied), ("three", &three, Start::Copied)]
        {
            let node = open(dir.path());
            assert_eq!(node.recovered().start, start, "{name}");
            assert_eq!(node.recovered().fresh, u64::from(start == Start::Copied));
            assert!(!node.recovered().is_notable(), "{}", node.recovered());
            let notes = Notes::of(&node);
            assert_eq!(notes.texts(), ["before"]);
            for n in 0..3 {
                notes.add(&format!("{name} {n}"));
                expect.push(format!("{name} {n}"));
            }
        }
        // A copy stays what it became.
        let node = open(two.path());
        assert_eq!((node.recovered().start, node.recovered().fresh), (Start::Clean, 0));
        Notes::of(&node).add("two 3");
        expect.push("two 3".into());
        node.close().unwrap();

        let engine = std::sync::Arc::new(MemoryEngine::default());
        let all: Vec<Vec<u8>> = [one.path(), two.path(), three.path()].into_iter().flat_map(runs).collect();
        let mut batch = Batch::default();
        for (arrival, run) in all.iter().enumerate() {
            batch.put(Table::Log, log::key(1, arrival as u64), run.clone());
        }
        engine.commit(batch, Durability::Synced).unwrap();
        let store = Store::open(engine.clone(), 1).unwrap();
        let view = store.fold().control_view(&*engine).unwrap();
        assert!(view.forks.is_empty(), "a place was used twice");
        expect.sort();
        assert_eq!(notes::texts_in(&store), expect);
        assert_eq!(chains(&all).len(), 4, "0, 1, and a data chain for each copy: {:?}", chains(&all));
        digest(store.fold(), &*engine).unwrap();
    }
}

#[test]
fn a_lost_end_of_the_journal_is_put_back_and_not_written_over() {
    let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = open(dir.path());
    let notes = Notes::of(&node);
    (0..20).for_each(|n| notes.add(&format!("{n:02}")));
    drop(notes);
    kill(node, dir.path(), aside.path());
    // Whole batches go without a trace, as when a lying disk forgot its last syncs.
    let journal = dir.path().join("tables/0.jnl");
    let bytes = fs::read(&journal).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    OpenOptions::new().write(true).open(&journal).unwrap().set_len(written as u64 * 2 / 3).unwrap();
    let node = open(dir.path());
    let recovered = node.recovered().clone();
    assert!(recovered.runs > 2 && recovered.lost.is_empty() && recovered.is_notable(), "{recovered:?}");
    assert_eq!(recovered.fresh, 1);
    let text = recovered.to_string();
    assert!(text.contains("were put back") && text.contains("is there"), "{text}");
    let notes = Notes::of(&node);
    assert_eq!(notes.texts().len(), 20);
    notes.add("20");
    assert!(notes.verify());
    node.close().unwrap();
}

#[test]
fn tables_of_another_time_are_brought_up_or_what_is_lost_is_said() {
    for has_rescue in [true, false] {
        let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let node = open(dir.path());
        (0..5).for_each(|n| Notes::of(&node).add(&format!("{n}")));
        node.close().unwrap();
        copy(&dir.path().join("tables"), &aside.path().join("tables"));
        let node = open(dir.path());
        (5..10).for_each(|n| Notes::of(&node).add(&format!("{n}")));
        node.close().unwrap();
        fs::remove_dir_all(dir.path().join("tables")).unwrap();
        copy(&aside.path().join("tables"), &dir.path().join("tables"));
        if !has_rescue {
            fs::remove_dir_all(dir.path().join("rescue")).unwrap();
        }
        let node = open(dir.path());
        let recovered = node.recovered().clone();
        assert_eq!((recovered.start, recovered.fresh), (Start::Changed, 1));
        assert_eq!(recovered.lost.is_empty(), has_rescue, "{recovered:?}");
        let text = recovered.to_string();
        assert_eq!(text.contains("could not be found"), !has_rescue, "{text}");
        let notes = Notes::of(&node);
        assert_eq!(notes.texts().len(), if has_rescue { 10 } else { 5 });
        notes.add("more");
        assert!(notes.verify());
    }
}

#[test]
fn tables_that_do_not_open_are_kept_and_built_anew() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 4] = [
        ("no version", |dir| fs::remove_file(dir.join("tables/version")).unwrap()),
        ("no manifest", |dir| {
            for keyspace in fs::read_dir(dir.join("tables/keyspaces")).unwrap() {
                fs::write(keyspace.unwrap().path().join("current"), "nonsense").unwrap();
            }
        }),
        ("no keyspaces", |dir| fs::remove_dir_all(dir.join("tables/keyspaces")).unwrap()),
        ("nothing but a name", |dir| {
            fs::remove_dir_all(dir.join("tables")).unwrap();
            fs::create_dir(dir.join("tables")).unwrap();
        }),
    ];
    for (what, spoil) in spoils {
        let dir = tempfile::tempdir().unwrap();
        let node = open(dir.path());
        let notes = Notes::of(&node);
        (0..10).for_each(|n| notes.add(&format!("{n}")));
        let left = node.create_workspace("Left", "Ada").unwrap();
        node.leave(left.id()).unwrap();
        let gone = node.create_workspace("Gone", "Ada").unwrap();
        node.remove(gone.id()).unwrap();
        let before = notes.digest();
        drop((notes, left, gone));
        node.close().unwrap();
        spoil(dir.path());
        let node = open(dir.path());
        let recovered = node.recovered().clone();
        let aside = recovered.aside.clone().unwrap_or_else(|| panic!("{what}: {recovered:?}"));
        assert!(aside.is_dir() && recovered.lost.is_empty(), "{what}: {recovered:?}");
        assert!(recovered.to_string().contains("tables.damaged-1"), "{recovered}");
        let notes = Notes::of(&node);
        assert_eq!(notes.texts().len(), 10, "{what}");
        assert_eq!(notes.digest(), before, "{what}");
        let listed: Vec<(String, bool)> =
            node.workspaces().unwrap().into_iter().map(|info| (info.name, info.left)).collect();
        assert_eq!(listed, [("Field notes".to_owned(), false), ("Left".to_owned(), true)], "{what}");
        notes.add("more");
        assert!(notes.verify(), "{what}");
        drop(notes);
        node.close().unwrap();
        assert_eq!(open(dir.path()).recovered().start, Start::Clean, "{what}");
    }
}

#[test]
fn a_block_that_does_not_read_is_found_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let notes = Notes::of(&node);
    (0..200).for_each(|n| notes.add(&format!("{n:04}")));
    drop(notes);
    node.close().unwrap();
    // The first block of each file of the views: events and records, as fjall numbers tables in the order of their
    // making.
    let mut spoiled = 0;
    for keyspace in [Table::Events, Table::Records].map(|table| (table as usize + 1).to_string()) {
        for table in fs::read_dir(dir.path().join("tables/keyspaces").join(keyspace).join("tables")).unwrap() {
            let path = table.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            // Behind the block's header.
            bytes[100] ^= 1;
            fs::write(path, bytes).unwrap();
            spoiled += 1;
        }
    }
    assert!(spoiled > 1);
    let error = {
        let node = open(dir.path());
        let id = node.recovered().start;
        assert_eq!(id, Start::Clean);
        node.workspaces().and_then(|all| {
            let workspace = node.workspace(all[0].id)?;
            workspace.rebuild()
        })
    };
    assert!(matches!(&error, Err(NodeError::Engine(EngineError::Damaged { .. }))), "{error:?}");
    assert!(open(dir.path()).recovered().aside.is_some());
    let node = open(dir.path());
    assert_eq!(Notes::of(&node).texts().len(), 200);
}

#[test]
fn a_block_of_the_log_that_does_not_read_is_put_back_from_the_rescue_file() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let notes = Notes::of(&node);
    // The last one is like nothing else, so that it is found in a compressed block: the end of the log.
    let text = "Qz7vKp9wLm3X";
    (0..200).for_each(|n| notes.add(&format!("{n:04}")));
    notes.add(text);
    drop(notes);
    node.close().unwrap();
    let keyspace = (Table::Log as usize + 1).to_string();
    let mut spoiled = 0;
    for table in fs::read_dir(dir.path().join("tables/keyspaces").join(keyspace).join("tables")).unwrap() {
        let path = table.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            bytes[at] ^= 1;
            fs::write(path, bytes).unwrap();
            spoiled += 1;
        }
    }
    assert_eq!(spoiled, 1);
    // It is met as soon as the end of the log is looked for: there is no node yet that could note it.
    let options = Options { disk_free_bytes_min: 0, ..Options::default() };
    let error = Node::open(dir.path(), options).err().expect("the end of the log does not read");
    assert_eq!(error.code(), "damaged", "{error}");
    let node = open(dir.path());
    assert!(node.recovered().aside.is_some() && node.recovered().lost.is_empty(), "{:?}", node.recovered());
    let notes = Notes::of(&node);
    assert!(notes.texts().len() == 201 && notes.texts().iter().any(|found| found == text));
    assert!(notes.verify());
}

#[test]
fn a_nearly_full_disk_makes_the_node_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    Notes::of(&node).add("before");
    node.close().unwrap();
    let node = with(dir.path(), Options { disk_free_bytes_min: u64::MAX, ..Options::default() });
    let notes = Notes::of(&node);
    let refused = notes.try_add("after").unwrap_err();
    let NodeError::Refused(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.code(), "disk-low");
    assert!(matches!(refused, Refused::DiskLow { needed_mb, .. } if needed_mb == u64::MAX >> 20), "{refused}");
    assert!(refused.to_string().contains("nothing is written"), "{refused}");
    assert!(matches!(node.create_workspace("New", "Ada"), Err(NodeError::Refused(Refused::DiskLow { .. }))));
    assert_eq!(notes.texts(), ["before"]);
    drop(notes);
    node.close().unwrap();
    let node = open(dir.path());
    assert_eq!(node.workspaces().unwrap().len(), 1);
    Notes::of(&node).add("room again");
}
