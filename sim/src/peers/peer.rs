//! One member's node: its disk and core, its sessions, and the work that it does step by step.

use super::{planted_designs, planted_values, planted_verdicts, rehearsals::Live};
use crate::{disk::Disk, model::Model, node::WORKSPACE, options::Profile, planted::Planted, strings};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use tandem_actors::{
    Command, Committed, Refused,
    authority::{Policy, Vocabulary},
    peer_link::{Frames, PeerSession},
    workspace::{Core, Group, Rehearsing},
};
use tandem_storage::{
    EngineError, Store,
    engine::{Batch, Durability, Engine},
    log::RunEvents,
    take::Received,
};
use tandem_wire::{DeviceKey, EventId, EventRef, OpRef, Role, SecretKey, TableDigest, VersionTable, WorkspaceId};

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
    /// That is, of making verdicts durable.
    pub(super) is_doomed_judging: bool,
    /// What it shows, if that is known.
    pub(super) shown: Option<Model>,
    /// Its answers are compared with the model's.
    pub(super) is_watched: bool,
    /// The disk some time ago.
    pub(super) image: Option<(Arc<Disk>, BTreeSet<EventId>)>,
    /// It judges what it is bound to, by this, which it keeps beside its disk; other nodes never do.
    pub(super) policy: Option<Policy>,
    /// What a server calls lists and fields, kept beside its disk.
    pub(super) words: Vocabulary,
    /// The pair of chains that it writes, kept beside its disk.
    pub(super) pair: u32,
    /// It begins another pair when events of its own come back to it.
    pub(super) begins_afresh: bool,
    /// What is wrong with it, on purpose.
    pub(super) planted: Option<Planted>,
    /// It judges nothing, though it is asked to.
    pub(super) is_silent: bool,
    /// It has opened and not looked yet whether there is something to judge.
    pub(super) must_sit: bool,
    /// How often it sent something again by itself.
    pub(super) retried: u64,
    /// The design that it tries, beside all else, and what it showed when that began.
    pub(super) rehearsing: Option<(Rehearsing<Disk>, Live)>,
    /// What it found unfit.
    pub(super) unfit: BTreeSet<OpRef>,
    /// Designs that it tried without having all that their authority had.
    pub(super) lacking: BTreeSet<OpRef>,
    /// A rehearsal that failed changed what it shows.
    pub(super) is_changed_by_a_failure: bool,
    /// What a rehearsal found that was brought up to the present, where one that began then finds something else.
    pub(super) misreported: Option<String>,
    /// It is about to merge a design.
    pub(super) has_merged: bool,
    /// Entries of indexes that were wrong just after a merge.
    pub(super) bad_entries: u64,
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
    /// Verdicts are being made durable; then it goes on with what they came of.
    Verdicts { step: Step, log: Batch, group: Option<Box<Group>>, then: Option<Box<Work>> },
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
    /// Verdicts are durable and in the views.
    Judged,
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
            is_doomed_judging: false,
            shown: None,
            is_watched: true,
            image: None,
            policy: None,
            words: Vocabulary::default(),
            pair: 0,
            begins_afresh: false,
            planted: None,
            is_silent: false,
            must_sit: false,
            retried: 0,
            rehearsing: None,
            unfit: BTreeSet::new(),
            is_changed_by_a_failure: false,
            lacking: BTreeSet::new(),
            misreported: None,
            has_merged: false,
            bad_entries: 0,
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
        let mut core = Core::new(store, self.key.clone(), self.workspace)
            .with_pair(self.pair)
            .takes_on_trust(self.planted == Some(Planted::EmptyJoiner));
        if let Some(policy) = &self.policy {
            core.set_policy(policy.clone());
        }
        (self.core, self.must_sit) = (Some(core), true);
        Ok(())
    }

    /// Ends it; of what was not durable, the disk keeps the first `keep` commits. Says where it was.
    pub(super) fn crash(&mut self, keep: usize) -> &'static str {
        self.disk = Arc::new(self.disk.crash(keep));
        self.core = None;
        self.life += 1;
        (self.doom, self.shown) = (None, None);
        (self.must_sit, self.is_silent, self.is_doomed_judging) = (false, false, false);
        self.rehearsing = None;
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
            Some(Work::Verdicts { step, .. }) => match step {
                Step::Append => "crash-after-judging",
                Step::Sync => "crash-between-verdicts-and-sync",
                Step::Apply | Step::Release => "crash-between-verdicts-and-apply",
            },
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
        if self.work.is_none() && self.rehearsing.is_some() && (takes_first || self.has_no_other_work()) {
            return self.rehearse(clock_ms);
        }
        let Some(core) = &mut self.core else { return Ok(Done::Idle) };
        let work = match self.work.take() {
            Some(work) => work,
            None if std::mem::take(&mut self.must_sit) => {
                self.judge(clock_ms, None)?;
                return Ok(Done::Step("sit"));
            }
            None if takes_first && !self.takes.is_empty() || self.commands.is_empty() => {
                let Some((link, runs)) = self.takes.pop_front() else { return Ok(Done::Idle) };
                Work::Take { step: Step::Append, link, runs, looked_at: 0, decoded: BTreeMap::new() }
            }
            None => {
                let count = self.commands.len().min(GROUP_COMMANDS_MAX);
                // The model does not know what these leave: they stand alone.
                let is_alone = |command: &Command| match command {
                    Command::Servers(_) | Command::Resend(_) => true,
                    Command::Change(transaction) => transaction.changes.iter().any(strings::is_one),
                    _known => false,
                };
                let count = match self.commands.iter().take(count).position(is_alone) {
                    Some(0) => 1,
                    Some(before) => before,
                    None => count,
                };
                let commands: Vec<Command> = self.commands.drain(..count).collect();
                let misread = |command: &Command| match self.planted {
                    Some(Planted::SplitWrittenWhole) => planted_designs::whole(core.store(), command),
                    Some(planted) if planted.profile() == Profile::Values => {
                        planted_values::misread(planted, core.store(), &self.words, command)
                    }
                    _read_well => command.clone(),
                };
                let mut group = core.decide(clock_ms, &commands.iter().map(misread).collect::<Vec<_>>())?;
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
                        self.must_sit |= core.waits_for_changes();
                        self.see_to_designs()?;
                        return Ok(Done::Answered(answers));
                    }
                };
                self.work = Some(Work::Group { step: next, answers, log, group, model });
                Ok(done)
            }
            Work::Verdicts { step, log, mut group, then } => {
                let (next, done, log) = match step {
                    Step::Append => {
                        self.is_silent =
                            self.planted == Some(Planted::QueueBlocked) && planted_verdicts::has_refusals(&log);
                        self.disk.commit(log, Durability::Buffered)?;
                        let is_early = self.planted == Some(Planted::VerdictBeforeDurable);
                        let next = if is_early { Step::Apply } else { Step::Sync };
                        (next, Done::Step("verdicts"), Batch::default())
                    }
                    Step::Sync => {
                        self.disk.sync()?;
                        (Step::Apply, Done::Step("verdicts-sync"), log)
                    }
                    Step::Apply | Step::Release => {
                        let group = *group.take().expect("settled once");
                        self.kept.extend(group.tips.iter().map(|(_, last)| last.id));
                        let (views, _) = core.settle(group)?;
                        self.disk.commit(views, Durability::Buffered)?;
                        core.upkeep()?;
                        if std::mem::take(&mut self.has_merged) && self.is_watched {
                            self.bad_entries = core.store().bad_index_entries()?;
                        }
                        self.shown = None;
                        // There may be more: control events are decided before the rest.
                        self.judge(clock_ms, then.map(|then| *then))?;
                        return Ok(Done::Judged);
                    }
                };
                self.work = Some(Work::Verdicts { step: next, log, group, then });
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
                                let take = Work::Take { step: next, link, runs, looked_at, decoded };
                                self.judge(clock_ms, Some(take))?;
                                return Ok(Done::Applied);
                            }
                            let end = if many.start == 0 { many.end } else { many.start };
                            ahead = &ahead[..end];
                        }
                        let taking = core.look_at(ahead)?;
                        let is_left = |at: usize| taking.left.iter().any(|(left, _)| *left == at);
                        let mut taken = ahead[..taking.looked_at].iter().enumerate().filter(|(at, _)| !is_left(*at));
                        if self.begins_afresh && taken.any(|(_, run)| core.writes(run.last().chain)) {
                            // Its disk is older than what it once sent.
                            self.pair += 2;
                            core.begin_pair(self.pair);
                        }
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
                        let before = (self.planted == Some(Planted::PartIndexStale)).then(|| self.disk.copy());
                        core.catch_up(std::mem::take(&mut decoded), &mut |_, _| {})?;
                        if let Some(before) = before {
                            planted_values::keep_entries(&before, core.store());
                        }
                        self.shown = None;
                        let step = if looked_at == runs.len() { Step::Release } else { Step::Append };
                        let take = Work::Take { step, link, runs, looked_at, decoded };
                        self.judge(clock_ms, Some(take))?;
                        return Ok(Done::Applied);
                    }
                    Step::Release => return Ok(Done::Taken(link)),
                };
                self.work = Some(Work::Take { step: next, link, runs, looked_at, decoded });
                Ok(done)
            }
        }
    }

    /// Has a server decide what is on its dockets and say what changed of its rules, and anybody send again what waited for
    /// such a change. It goes on with these, if there are any, and then with what they came of.
    fn judge(&mut self, clock_ms: u64, then: Option<Work>) -> Result<(), EngineError> {
        let Some(core) = &mut self.core else { return Ok(()) };
        let judges = self.policy.is_some() && !self.is_silent;
        let mut group = if judges { core.announce(clock_ms)? } else { None };
        if judges && group.is_none() {
            group = core.sit(clock_ms, &BTreeMap::new())?;
        }
        if group.is_none() {
            group = core.retry(clock_ms)?;
            self.retried += u64::from(group.as_ref().is_some_and(|group| !group.log.is_empty()));
        }
        self.work = match group {
            Some(mut group) => {
                let log = std::mem::take(&mut group.log);
                let (group, then) = (Some(Box::new(group)), then.map(Box::new));
                Some(Work::Verdicts { step: Step::Append, log, group, then })
            }
            None => then,
        };
        self.see_to_designs()
    }

    /// Whether only what it rehearses is left to do.
    fn has_no_other_work(&self) -> bool {
        self.takes.is_empty() && self.commands.is_empty()
    }

    /// Whether verdicts are being made durable.
    pub(super) fn is_judging(&self) -> bool {
        matches!(self.work, Some(Work::Verdicts { .. }))
    }

    /// Whether it is bound, as far as it knows, and may judge.
    pub(super) fn judges(&self) -> bool {
        self.core.as_ref().is_some_and(Core::judges)
    }

    /// Writes other chains from now on.
    pub(super) fn begin_pair(&mut self) {
        self.pair += 2;
        if let Some(core) = &mut self.core {
            core.begin_pair(self.pair);
        }
    }

    /// Has it send a refused event again by itself. Says whether it will.
    pub(super) fn retry_when_changed(&mut self, event: &EventRef) -> bool {
        let Some(core) = &mut self.core else { return false };
        let batch = core.retry_when_changed(event).expect("memory can be read");
        let batch = batch.ok().and_then(|batch| self.disk.commit(batch, Durability::Synced).ok());
        batch.is_some()
    }

    /// Whether its time has come.
    pub(super) fn is_doomed(&self) -> bool {
        let Some(Work::Group { step, .. } | Work::Verdicts { step, .. } | Work::Take { step, .. }) = &self.work else {
            return false;
        };
        let is_judging = matches!(self.work, Some(Work::Verdicts { .. }));
        self.doom == Some(*step) && (is_judging || !self.is_doomed_judging)
    }

    /// What it shows, while it is up.
    pub(super) fn shown(&mut self) -> Option<&Model> {
        let store = self.core.as_ref()?.store();
        Some(self.shown.get_or_insert_with(|| Model::shown_by(store)))
    }

    /// Whether its person finds lists to work with, or may make some.
    pub(super) fn has_something_to_do(&self) -> bool {
        let has_lists = |store: &Store<Disk>| store.fold().design().lists().next().is_some();
        let proposes = || self.core.as_ref().is_some_and(Core::proposes_designs);
        self.store().is_some_and(has_lists) || self.role() >= Some(Role::Designer) || proposes()
    }

    /// What it may do, as far as it knows; nothing while it is down.
    pub(super) fn role(&self) -> Option<Role> {
        self.store()?.fold().role_of(self.device())
    }

    pub(super) fn is_busy(&self) -> bool {
        self.work.is_some()
            || self.must_sit
            || self.rehearsing.is_some()
            || !self.commands.is_empty()
            || !self.takes.is_empty()
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
