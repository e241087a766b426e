//! One node: its disk, its core, and the group of commands that is on its way through the five steps.
//!
//! The steps are those of the actor's shell, each a happening of its own, so that anything may come between two.

use crate::{
    disk::Disk,
    planted::{self, Planted},
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};
use tandem_actors::{
    Command, Committed, Refused,
    workspace::{Core, Group, found},
};
use tandem_storage::{
    EngineError, Store,
    engine::{Batch, Durability, Engine, Table},
    log,
};
use tandem_wire::{EventId, GenesisText, MemberId, SecretKey, WorkspaceId};

/// The number of the one workspace on each node.
pub const WORKSPACE: u32 = 1;

/// A node, up or down.
pub struct Node {
    /// What survives.
    pub disk: Arc<Disk>,
    /// Handed in and not yet taken into a group.
    pub waiting: VecDeque<Command>,
    /// Whether the next group is to be decided soon: what is handed in until then goes into it.
    pub deciding: bool,
    /// The group on its way.
    pub flight: Option<Flight>,
    /// How wrong its clock is; added to the world's time.
    pub clock_off_ms: i64,
    /// Counts its starts, so that what was planned for an earlier one can be told.
    pub life: u32,
    core: Option<Core<Disk>>,
    key: Arc<SecretKey>,
    workspace: WorkspaceId,
    planted: Option<Planted>,
}

/// A group of commands between decision and answer.
pub struct Flight {
    /// In the order of their answers.
    pub commands: Vec<Command>,
    /// What will be answered.
    pub answers: Vec<Result<Committed, Refused>>,
    /// How far it has come.
    pub done: Step,
    log: Batch,
    /// Until it is settled.
    group: Option<Group>,
}

/// The steps of a group, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Commands become events.
    Decide,
    /// The log's batch is committed.
    Append,
    /// It is made durable.
    Sync,
    /// The views' batch is committed.
    Apply,
    /// The answers go out.
    Release,
}

impl Step {
    /// Its name in traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Append => "append",
            Self::Sync => "sync",
            Self::Apply => "apply",
            Self::Release => "release",
        }
    }
}

impl Node {
    /// Founds a workspace on an empty disk. The node is down.
    pub fn found(key: SecretKey, nonce: [u8; 16], planted: Option<Planted>) -> Self {
        let disk = Arc::new(Disk::default());
        let names = GenesisText { workspace: "simulated".into(), member: "Ada".into() };
        let (workspace, run) = found(&key, nonce, MemberId(nonce), &names, 0);
        let mut batch = Batch::default();
        batch.put(Table::Log, log::key(WORKSPACE, 0), run.encode());
        disk.commit(batch, Durability::Synced).expect("a new disk works");
        let key = Arc::new(key);
        let (waiting, flight, core) = (VecDeque::new(), None, None);
        let (deciding, clock_off_ms, life) = (false, 0, 0);
        Self { disk, waiting, deciding, flight, clock_off_ms, life, core, key, workspace, planted }
    }

    /// Log and views, while it is up.
    pub fn store(&self) -> Option<&Store<Disk>> {
        self.core.as_ref().map(Core::store)
    }

    /// Starts it.
    pub fn open(&mut self) -> Result<(), EngineError> {
        let store = Store::open(self.disk.clone(), WORKSPACE)?;
        self.core = Some(Core::new(store, self.key.clone(), self.workspace));
        Ok(())
    }

    /// Ends it; of what was not durable, the disk keeps the first `keep` commits. Gives the group that was on its way.
    pub fn crash(&mut self, keep: usize) -> Option<Flight> {
        self.disk = Arc::new(self.disk.crash(keep));
        self.core = None;
        self.life += 1;
        self.deciding = false;
        self.waiting.clear();
        self.flight.take()
    }

    /// Makes all views anew.
    pub fn rebuild(&mut self) -> Result<(), EngineError> {
        self.core().rebuild(&mut |_| {})
    }

    /// The last step: gives the answers out.
    pub fn release(&mut self) -> Flight {
        let mut flight = self.flight.take().expect("a step has a group");
        if self.planted == Some(Planted::DoneShownAsRefused) {
            planted::refuse_some(&mut flight.answers);
        }
        flight
    }

    /// One step but the last; says which is the next.
    pub fn step(&mut self, step: Step, clock_ms: u64, group_commands_max: usize) -> Result<Step, EngineError> {
        let next = match step {
            Step::Decide => self.decide(clock_ms, group_commands_max)?,
            Step::Append => self.append()?,
            Step::Sync => {
                self.disk.sync()?;
                Step::Apply
            }
            Step::Apply => {
                self.apply()?;
                Step::Release
            }
            Step::Release => unreachable!("see `release`"),
        };
        self.flight.as_mut().expect("a step has a group").done = step;
        Ok(next)
    }

    fn decide(&mut self, clock_ms: u64, group_commands_max: usize) -> Result<Step, EngineError> {
        self.deciding = false;
        let count = self.waiting.len().min(group_commands_max);
        let commands: Vec<Command> = self.waiting.drain(..count).collect();
        let mut group = self.core().decide(clock_ms, &commands)?;
        let (answers, log) = (group.answers.clone(), std::mem::take(&mut group.log));
        let next = if log.is_empty() { Step::Release } else { Step::Append };
        self.flight = Some(Flight { commands, answers, done: Step::Decide, log, group: Some(group) });
        Ok(next)
    }

    fn append(&mut self) -> Result<Step, EngineError> {
        if self.planted == Some(Planted::ViewsBeforeLog) {
            self.apply()?;
        }
        let log = std::mem::take(&mut self.flight().log);
        let batches = if self.planted == Some(Planted::GroupInPieces) { planted::pieces(&log) } else { vec![log] };
        batches.into_iter().try_for_each(|batch| self.disk.commit(batch, Durability::Buffered))?;
        Ok(if self.planted == Some(Planted::ReleaseBeforeDurable) { Step::Release } else { Step::Sync })
    }

    fn apply(&mut self) -> Result<(), EngineError> {
        let Some(group) = self.flight().group.take() else { return Ok(()) };
        let (mut views, _answers) = self.core().settle(group)?;
        match self.planted {
            Some(Planted::PointerNotAdvanced) => views = planted::without_pointer(&views),
            Some(Planted::RowLost) => views = planted::without_some_rows(&views),
            _ => {}
        }
        self.disk.commit(views, Durability::Buffered)?;
        self.core().upkeep()
    }

    fn core(&mut self) -> &mut Core<Disk> {
        self.core.as_mut().expect("the node is up")
    }

    fn flight(&mut self) -> &mut Flight {
        self.flight.as_mut().expect("a step has a group")
    }
}

impl Flight {
    /// The events that it becomes, if it comes through.
    pub fn events(&self) -> BTreeSet<EventId> {
        self.answers.iter().flatten().flat_map(|answer| answer.events.iter().copied()).collect()
    }
}
