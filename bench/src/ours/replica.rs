//! What comes from elsewhere, as a workspace takes it in when a link hands it over, without the link.

use super::{data, options};
use crate::city;
use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
};
use tandem_actors::{Change, Command, Transaction, workspace::Core};
use tandem_storage::{
    Reader, Store,
    engine::{Durability, Engine, FjallEngine},
    log,
    take::Received,
};
use tandem_wire::{RecordId, RecordKey, SecretKey, WorkspaceId};

/// The workspaces of a node are numbered from here on.
const FIRST_WORKSPACE: u32 = 1;
/// Bytes that are taken in together, and how many such batches may wait: about what a link lets be under way.
const BATCH_BYTES: usize = 1 << 20;
const BATCHES_WAITING: usize = 3;

/// A workspace without its node.
pub struct Replica {
    core: Core<FjallEngine>,
}

impl Replica {
    /// The workspace of the node in `folder`, which is not open.
    pub fn open(folder: &Path, cache_bytes: u64, workspace: WorkspaceId) -> Self {
        let engine = FjallEngine::open(data(folder), options(cache_bytes).engine).expect("tables can be opened");
        let store = Store::open(Arc::new(engine), FIRST_WORKSPACE).expect("a workspace can be opened");
        Self { core: Core::new(store, Arc::new(SecretKey::from_bytes(&[7; 32])), workspace) }
    }

    /// Checks runs and takes them in, log and views, durably.
    pub fn take(&mut self, runs: &[Vec<u8>]) {
        let core = &mut self.core;
        thread::scope(|scope| {
            let (batches, checked) = mpsc::sync_channel::<Vec<Received>>(BATCHES_WAITING);
            scope.spawn(move || {
                let mut batch = Vec::new();
                let mut bytes = 0;
                for run in runs {
                    bytes += run.len();
                    batch.push(Received::verify(run.clone()).expect("a run of another node"));
                    if bytes >= BATCH_BYTES {
                        bytes = 0;
                        batches.send(std::mem::take(&mut batch)).expect("the other thread goes on to the end");
                    }
                }
                batches.send(batch).expect("the other thread goes on to the end");
            });
            for batch in checked {
                take(core, &batch);
            }
        });
    }

    /// How many things somebody has to look at, conflicts above all.
    pub fn conflicts(&self) -> usize {
        let store = self.core.store();
        let reader = Reader::new(store.engine().snapshot(), store.views());
        reader.inbox().expect("an inbox can be read").len()
    }
}

fn take(core: &mut Core<FjallEngine>, batch: &[Received]) {
    let taking = core.look_at(batch).expect("tables can be read");
    assert_eq!((taking.taken as usize, taking.looked_at), (batch.len(), batch.len()), "{:?}", taking.left);
    core.store().engine().commit(taking.log, Durability::Synced).expect("a log can be written");
    core.catch_up(taking.decoded, &mut |_, _| {}).expect("views can be made");
    core.upkeep().expect("indexes can be made");
}

/// The stored runs of the node in `folder`, which is not open, from run `from` on.
pub fn runs_from(folder: &Path, from: u64) -> Vec<Vec<u8>> {
    let engine = FjallEngine::open(data(folder), options(1 << 20).engine).expect("tables can be opened");
    let runs = log::runs_from(&engine, FIRST_WORKSPACE, from);
    runs.map(|run| run.expect("a log can be read").1.to_vec()).collect()
}

/// The number that the next run of the node in `folder` gets.
pub fn next_run(folder: &Path) -> u64 {
    let engine = FjallEngine::open(data(folder), options(1 << 20).engine).expect("tables can be opened");
    log::next_arrival(&engine, FIRST_WORKSPACE).expect("a log can be read")
}

/// The key of made-up author `number`.
pub fn author(number: usize) -> SecretKey {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    SecretKey::from_bytes(&bytes)
}

/// Has `count` made-up authors, who are members of the workspace of the node in `folder`, write something there.
pub fn add_authors(folder: &Path, cache_bytes: u64, workspace: WorkspaceId, count: usize) {
    let mut core = Replica::open(folder, cache_bytes, workspace).core;
    let list = core.store().fold().design().lists().next().expect("a list");
    for number in 1..=count {
        core = Core::new(core.into_store(), Arc::new(author(number)), workspace);
        let record = RecordKey { list, record: RecordId(city::id(number)) };
        let create = Command::Change(Transaction { changes: vec![Change::Create(record)], ..Transaction::default() });
        let group = core.decide(0, &[create]).expect("tables can be read");
        assert!(group.answers.iter().all(Result::is_ok), "{:?}", group.answers);
        let (batch, _) = core.settle(group).expect("tables can be read");
        core.store().engine().commit(batch, Durability::Synced).expect("tables can be written");
    }
}
