//! One member's node: its disk and core, its sessions, and the work that it does step by step.

use crate::{disk::Disk, model::Model, node::WORKSPACE};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use tandem_actors::{
    Command, Committed, Refused,
    peer_link::{Frames, PeerSession},
    workspace::{Core, Group},
};
use tandem_storage::{
    EngineError, Store,
    engine::{Batch, Durability, Engine},
    log::RunEvents,
    take::Received,
};
use tandem_wire::{DeviceKey, EventId, Role, SecretKey, TableDigest, VersionTable, WorkspaceId};

/// Commands that are made durable together, at most.
const GROUP_COMMANDS_MAX: usize = 4;

/// So many new records in a row go past the journal: here few, so that it happens often.
const EVENTS_OF_A_LOAD_MIN: usize = 2;

/// Names a link, or one end of it together with a node.
pub(super) type LinkId = u32;

/// A node, up or down.
pub(super) struct Peer {
    pub(super) disk: Arc<Disk>,
    pub(super) key: Arc<SecretKey>,
    workspace: WorkspaceId,
    pub(super) core: Option<Core<Disk>>,
    /// Counts its starts.
    pub(super) life: u32,
    pub(super) clock_off_ms: i64,
    pub(super) commands: VecDeque<Command>,
    /// Runs that came in, by the link that they came on.
    pub(super) takes: VecDeque<(LinkId, Vec<Received>)>,
    pub(super) work: Option<Work>,
    pub(super) ends: BTreeMap<LinkId, End>,
    /// What it acknowledged, and must keep.
    pub(super) kept: BTreeSet<EventId>,
    /// A group that a crash took the answers of.
    pub(super) unanswered: BTreeSet<EventId>,
    /// Everything that it ever had.
    pub(super) had: BTreeSet<TableDigest>,
    /// By peer: what both had when they agreed last.
    pub(super) agreed: BTreeMap<DeviceKey, Arc<VersionTable>>,
    /// It crashes as soon as this is the next step of what it is at.
    pub(super) doom: Option<Step>,
    /// What it shows, if that is known.
    pub(super) shown: Option<Model>,
    /// Its answers are compared with the model's.
    pub(super) is_watched: bool,
    /// The disk some time ago.
    pub(super) image: Option<(Arc<Disk>, BTreeSet<EventId>)>,
}

/// One end of a link.
pub(super) struct End {
    pub(super) session: Option<PeerSession>,
    pub(super) frames: Frames,
    /// What the other says that it has, for a node that takes its word for it.
    pub(super) heard: Option<TableDigest>,
}

/// What a node is at.
pub(super) enum Work {
    /// Commands are being decided and made durable.
    Group {
        step: Step,
        answers: Vec<Result<Committed, Refused>>,
        log: Batch,
        group: Option<Box<Group>>,
        model: Box<Model>,
    },
    /// Runs are being taken in.
    Take { step: Step, link: LinkId, runs: Vec<Received>, looked_at: usize, decoded: BTreeMap<u64, RunEvents> },
}

/// The steps of either, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Append,
    Sync,
    Apply,
    Release,
}

/// What a step has come to.
pub(super) enum Done {
    /// There are more.
    Step(&'static str),
    /// The views have moved on.
    Applied,
    /// Answers go out.
    Answered(Vec<Result<Committed, Refused>>),
    /// What came on this link is taken in.
    Taken(LinkId),
    /// There is nothing to do.
    Idle,
}

impl Peer {
    pub(super) fn new(key: SecretKey, workspace: WorkspaceId, disk: Disk) -> Self {
        Self {
            disk: Arc::new(disk),
            key: Arc::new(key),
            workspace,
            core: None,
            life: 0,
            clock_off_ms: 0,
            commands: VecDeque::new(),
            takes: VecDeque::new(),
            work: None,
            ends: BTreeMap::new(),
            kept: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            had: BTreeSet::new(),
            agreed: BTreeMap::new(),
            doom: None,
            shown: None,
            is_watched: true,
            image: None,
        }
    }

    pub(super) fn device(&self) -> DeviceKey {
        self.key.device()
    }

    /// Log and views, while it is up.
    pub(super) fn store(&self) -> Option<&Store<Disk>> {
        self.core.as_ref().map(Core::store)
    }

    pub(super) fn open(&mut self) -> Result<(), EngineError> {
        let store = Store::open(self.disk.clone(), WORKSPACE)?;
        self.core = Some(Core::new(store, self.key.clone(), self.workspace));
        Ok(())
    }

    /// Ends it; of what was not durable, the disk keeps the first `keep` commits. Says where it was.
    pub(super) fn crash(&mut self, keep: usize) -> &'static str {
        self.disk = Arc::new(self.disk.crash(keep));
        self.core = None;
        self.life += 1;
        (self.doom, self.shown) = (None, None);
        self.commands.clear();
        self.takes.clear();
        self.ends.clear();
        self.agreed.clear();
        match self.work.take() {
            None => "crash-at-rest",
            Some(Work::Group { step, answers, .. }) => {
                self.unanswered = events_of(&answers);
                match step {
                    Step::Append => "crash-after-decide",
                    Step::Sync => "crash-between-append-and-sync",
                    Step::Apply => "crash-between-append-and-apply",
                    Step::Release => "crash-between-apply-and-release",
                }
            }
            Some(Work::Take { step, .. }) => match step {
                Step::Append => "crash-before-taking",
                Step::Sync => "crash-between-take-and-sync",
                Step::Apply => "crash-between-take-and-apply",
                Step::Release => "crash-after-taking",
            },
        }
    }

    /// One step of what it is at, or the first of what waits. `takes_first` chooses between what waits.
    pub(super) fn step(&mut self, clock_ms: u64, takes_first: bool) -> Result<Done, EngineError> {
        let Some(core) = &mut self.core else { return Ok(Done::Idle) };
        let work = match self.work.take() {
            Some(work) => work,
            None if takes_first && !self.takes.is_empty() || self.commands.is_empty() => {
                let Some((link, runs)) = self.takes.pop_front() else { return Ok(Done::Idle) };
                Work::Take { step: Step::Append, link, runs, looked_at: 0, decoded: BTreeMap::new() }
            }
            None => {
                let count = self.commands.len().min(GROUP_COMMANDS_MAX);
                let commands: Vec<Command> = self.commands.drain(..count).collect();
                let mut group = core.decide(clock_ms, &commands)?;
                let (answers, log) = (group.answers.clone(), std::mem::take(&mut group.log));
                let shown = self.shown.take();
                let model = if self.is_watched {
                    let before = shown.unwrap_or_else(|| Model::shown_by(core.store()));
                    super::checks::model_after(core, before, &commands, &answers)
                } else {
                    Model::default()
                };
                let step = if log.is_empty() { Step::Release } else { Step::Append };
                self.work =
                    Some(Work::Group { step, answers, log, group: Some(Box::new(group)), model: Box::new(model) });
                return Ok(Done::Step("decide"));
            }
        };
        match work {
            Work::Group { step, answers, log, mut group, model } => {
                let (next, done, log) = match step {
                    Step::Append => {
                        self.disk.commit(log, Durability::Buffered)?;
                        (Step::Sync, Done::Step("append"), Batch::default())
                    }
                    Step::Sync => {
                        self.disk.sync()?;
                        (Step::Apply, Done::Step("sync"), log)
                    }
                    Step::Apply => {
                        let (views, _) = core.settle(*group.take().expect("settled once"))?;
                        self.disk.commit(views, Durability::Buffered)?;
                        core.upkeep()?;
                        (Step::Release, Done::Applied, log)
                    }
                    Step::Release => {
                        self.kept.extend(events_of(&answers));
                        return Ok(Done::Answered(answers));
                    }
                };
                self.work = Some(Work::Group { step: next, answers, log, group, model });
                Ok(done)
            }
            Work::Take { step, link, runs, mut looked_at, mut decoded } => {
                let (next, done) = match step {
                    Step::Append => {
                        let mut ahead = &runs[looked_at..];
                        if let Some(many) = core.loadable(ahead, EVENTS_OF_A_LOAD_MIN) {
                            if many.start == 0 && core.load_runs(&ahead[many.clone()])? {
                                looked_at += many.end;
                                self.shown = None;
                                let next = if looked_at == runs.len() { Step::Release } else { Step::Append };
                                self.work = Some(Work::Take { step: next, link, runs, looked_at, decoded });
                                return Ok(Done::Applied);
                            }
                            let end = if many.start == 0 { many.end } else { many.start };
                            ahead = &ahead[..end];
                        }
                        let taking = core.look_at(ahead)?;
                        looked_at += taking.looked_at;
                        decoded = taking.decoded;
                        if taking.taken == 0 && looked_at < runs.len() {
                            (Step::Append, Done::Step("take-nothing"))
                        } else if taking.taken == 0 {
                            (Step::Release, Done::Step("take-nothing"))
                        } else {
                            self.disk.commit(taking.log, Durability::Buffered)?;
                            (Step::Sync, Done::Step("take"))
                        }
                    }
                    Step::Sync => {
                        self.disk.sync()?;
                        (Step::Apply, Done::Step("take-sync"))
                    }
                    Step::Apply => {
                        core.catch_up(std::mem::take(&mut decoded), &mut |_, _| {})?;
                        self.shown = None;
                        let is_all = looked_at == runs.len();
                        (if is_all { Step::Release } else { Step::Append }, Done::Applied)
                    }
                    Step::Release => return Ok(Done::Taken(link)),
                };
                self.work = Some(Work::Take { step: next, link, runs, looked_at, decoded });
                Ok(done)
            }
        }
    }

    /// Whether its time has come.
    pub(super) fn is_doomed(&self) -> bool {
        let (Some(Work::Group { step, .. }) | Some(Work::Take { step, .. })) = &self.work else { return false };
        self.doom == Some(*step)
    }

    /// What it shows, while it is up.
    pub(super) fn shown(&mut self) -> Option<&Model> {
        let store = self.core.as_ref()?.store();
        Some(self.shown.get_or_insert_with(|| Model::shown_by(store)))
    }

    /// Whether its person finds lists to work with, or may make some.
    pub(super) fn has_something_to_do(&self) -> bool {
        let has_lists = |store: &Store<Disk>| store.fold().design().lists().next().is_some();
        self.store().is_some_and(has_lists) || self.role() >= Some(Role::Designer)
    }

    /// What it may do, as far as it knows; nothing while it is down.
    pub(super) fn role(&self) -> Option<Role> {
        self.store()?.fold().role_of(self.device())
    }

    pub(super) fn is_busy(&self) -> bool {
        self.work.is_some() || !self.commands.is_empty() || !self.takes.is_empty()
    }

    /// What it has, while it is up.
    pub(super) fn table(&self) -> Option<VersionTable> {
        self.store().map(|store| store.fold().version_table())
    }

    /// Whether it wrote something that is not on this disk.
    pub(super) fn own_chain_events_lost(&self, image: &Disk) -> bool {
        let own = |disk: &Disk| {
            let events = super::checks::events(disk).into_iter();
            events.filter(|event| event.header().chain.device == self.device()).count()
        };
        own(image) < own(&self.disk)
    }
}

fn events_of(answers: &[Result<Committed, Refused>]) -> BTreeSet<EventId> {
    answers.iter().flatten().flat_map(|answer| answer.events.iter().copied()).collect()
}
