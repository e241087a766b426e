//! A member's log and views in memory.

use std::sync::Arc;
use tandem_actors::{Command, Committed, Refused, workspace::Core};
use tandem_storage::{
    Reader, Store,
    engine::{Durability, Engine, MemoryEngine, Read, Table},
    log,
    take::Received,
};
use tandem_wire::{DeviceKey, RecordKey, SecretKey, VersionTable, WorkspaceId};

/// The number of the one workspace that each has.
pub const NUMBER: u32 = 1;

pub struct Member {
    pub core: Core<MemoryEngine>,
    disk: Arc<MemoryEngine>,
    now_ms: u64,
}

impl Member {
    /// With what is on the disk, which may be nothing.
    pub fn open(key: SecretKey, workspace: WorkspaceId, disk: MemoryEngine) -> Self {
        let disk = Arc::new(disk);
        let store = Store::open(disk.clone(), NUMBER).expect("the disk is whole");
        Self { core: Core::new(store, Arc::new(key), workspace), disk, now_ms: 1_000 }
    }

    pub fn device(&self) -> DeviceKey {
        self.core.device()
    }

    /// The disk as it is now.
    pub fn disk(&self) -> MemoryEngine {
        (*self.disk).clone()
    }

    pub fn snapshot(&self) -> <MemoryEngine as Engine>::Snapshot {
        self.disk.snapshot()
    }

    pub fn table(&self) -> VersionTable {
        self.core.store().fold().version_table()
    }

    /// Does a command, as a group of its own.
    pub fn does(&mut self, command: Command) -> Result<Committed, Refused> {
        self.now_ms += 1;
        let mut group = self.core.decide(self.now_ms, &[command]).expect("memory does not fail");
        self.disk.commit(std::mem::take(&mut group.log), Durability::Synced).expect("memory does not fail");
        let (views, mut answers) = self.core.settle(group).expect("memory does not fail");
        self.disk.commit(views, Durability::Synced).expect("memory does not fail");
        self.core.upkeep().expect("memory does not fail");
        answers.remove(0)
    }

    /// Whether this record exists.
    pub fn has(&self, record: RecordKey) -> bool {
        let reader = Reader::new(self.disk.snapshot(), self.core.store().views());
        reader.record(record).expect("memory does not fail").is_some()
    }

    /// Takes runs from elsewhere in, as the workspace's shell does.
    pub fn takes(&mut self, runs: &[Received]) {
        let mut rest = runs;
        while !rest.is_empty() {
            let taking = self.core.look_at(rest).expect("memory does not fail");
            assert!(taking.looked_at > 0, "it comes to an end");
            rest = &rest[taking.looked_at..];
            if taking.taken > 0 {
                self.disk.commit(taking.log, Durability::Synced).expect("memory does not fail");
                self.core.catch_up(taking.decoded, &mut |_, _| {}).expect("memory does not fail");
            }
        }
    }

    /// The runs of its log from this number on.
    pub fn runs_from(&self, arrival: u64) -> Vec<Vec<u8>> {
        let run = |arrival| self.disk.get(Table::Log, &log::key(NUMBER, arrival)).expect("memory does not fail");
        (arrival..self.core.store().next_arrival()).filter_map(run).map(|run| run.to_vec()).collect()
    }
}
