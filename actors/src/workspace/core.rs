//! The pure core of the workspace actor.

use super::{
    adopt, check,
    compose::{Decided, Draft, Drafted, OpWithBody, Recent, Shared, too_large},
    design, designs, expect, members, resend,
    retry::Standing,
    servers,
    sitting::Office,
    transaction, undo,
};
use crate::command::{Command, Committed, NameKind, Refused, Transaction};
use std::{borrow::Borrow, collections::BTreeMap, ops::Range, sync::Arc};
use tandem_storage::{
    EngineError, Load, Store,
    engine::{Batch, Engine, Overlay, Read, Table},
    fold::incremental::Fold,
    log::{self, RunEvents},
    take::{Received, Taking, stretch},
};
use tandem_wire::{
    Act, BindingMode, CellKey, ChainId, DesignDigest, DeviceKey, Event, EventId, EventRef, Genesis, GenesisText,
    Header, MemberId, Op, OpRef, PartPath, Payload, RecordKey, Run, SecretKey, Target, WorkspaceId,
    limits::WALL_MS_MAX,
};

/// Decides what commands become.
///
/// Input: [`Core::decide`], with a group of commands and the time. Output: a [`Group`]: hand it to [`Core::settle`],
/// commit the batch of log and views, durably, do the [`Core::upkeep`], and release the answers. Who wants the log to
/// be durable first takes it out of the group. The next group can be decided meanwhile, see [`Core::goes_ahead_of`].
/// After an error from the engine the core is not to be used again.
pub struct Core<E> {
    store: Store<E>,
    pub(super) key: Arc<SecretKey>,
    pub(super) workspace: WorkspaceId,
    pub(super) pair: u32,
    pub(super) recent: Recent,
    /// What is being committed.
    ahead: Arc<Batch>,
    pub(super) office: Office,
    pub(super) standing: Standing,
    /// See [`Core::takes_on_trust`].
    pub(super) takes_on_trust: bool,
}

/// Runs that are kept decoded.
const RECENT_RUNS: usize = 16;

/// Commands that are decided and not signed yet: more may come.
pub struct Open {
    drafted: Drafted,
    answers: Vec<Result<Committed, Refused>>,
}

impl Open {
    /// What was drafted without any command.
    pub(super) fn of(drafted: Drafted) -> Self {
        Self { drafted, answers: Vec::new() }
    }

    /// The answers so far, which are not given to anybody else then.
    pub(super) fn take_answers(&mut self) -> Vec<Result<Committed, Refused>> {
        std::mem::take(&mut self.answers)
    }

    /// An event of the group.
    pub(super) fn reference(&self, id: &EventId) -> Option<EventRef> {
        let mut events = self.drafted.runs.values().flatten();
        events.find(|event| event.id() == *id).map(|event| event.reference())
    }

    /// Keeps a setting with the group.
    pub(super) fn remember(&mut self, key: Vec<u8>, row: Vec<u8>) {
        self.drafted.views.put(Table::Meta, key, row);
    }
}

/// What a group of commands becomes.
pub struct Group {
    /// To be durable first.
    pub log: Batch,
    /// The answer to each command, to be released last.
    pub answers: Vec<Result<Committed, Refused>>,
    /// Number and last event of each run in `log`.
    pub tips: Vec<(u64, EventRef)>,
    views: Batch,
    fold: Fold,
    runs: Recent,
}

impl<E: Engine> Core<E> {
    /// For a workspace whose log begins with its genesis.
    pub fn new(store: Store<E>, key: Arc<SecretKey>, workspace: WorkspaceId) -> Self {
        Self {
            store,
            key,
            workspace,
            pair: 0,
            recent: Recent::new(),
            ahead: Arc::default(),
            office: Office::default(),
            standing: Standing::default(),
            takes_on_trust: false,
        }
    }

    /// For simulations that break it: says of every design that was tried here that all which its authority had was here.
    #[must_use]
    pub fn takes_on_trust(self, takes_on_trust: bool) -> Self {
        Self { takes_on_trust, ..self }
    }

    /// Writes the pair of chains whose control chain has this number.
    #[must_use]
    pub fn with_pair(self, pair: u32) -> Self {
        Self { pair, ..self }
    }

    /// Writes another pair of chains from now on. Nothing is being committed.
    pub fn begin_pair(&mut self, pair: u32) {
        self.pair = pair;
    }

    /// Whether this node writes this chain.
    pub fn writes(&self, chain: ChainId) -> bool {
        chain.device == self.device() && chain.number & !1 == self.pair
    }

    /// Whether the design belongs to the server of another node.
    pub fn design_is_owned_elsewhere(&self) -> bool {
        designs::may_design(self.store.fold(), self.device()).is_err()
    }

    /// Whether a step of the design that is taken here is proposed to the members, and does not count by itself.
    pub fn proposes_designs(&self) -> bool {
        designs::proposing_term(self.store.fold(), self.device()).is_some()
    }

    /// The workspace.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// The author of what this node writes.
    pub fn device(&self) -> DeviceKey {
        self.key.device()
    }

    pub(super) fn key(&self) -> &SecretKey {
        &self.key
    }

    pub(super) fn pair(&self) -> u32 {
        self.pair
    }

    /// Takes a load in. It is durable and in the views when this returns.
    pub(super) fn load(&mut self, load: Load) -> Result<(), EngineError> {
        self.store.load(load)
    }

    /// Which runs from elsewhere come into the log. Then, in this order: commit the batch, durably; [`Core::catch_up`]; and
    /// look at the runs that this look left out, if any.
    pub fn look_at(&self, runs: &[Received]) -> Result<Taking, EngineError> {
        self.store.look_at(self.workspace, runs)
    }

    /// Where in `runs` from elsewhere there are many new records, which can go past the journal.
    pub fn loadable(&self, runs: &[Received], events_min: usize) -> Option<Range<usize>> {
        stretch(runs, events_min).filter(|range| !self.writes(runs[range.start].last().chain))
    }

    /// Takes such runs in, durably, log and views. Says whether it could; otherwise nothing is changed.
    pub fn load_runs(&mut self, runs: &[Received]) -> Result<bool, EngineError> {
        self.store.load_runs(self.workspace, runs)
    }

    /// Brings the views up to the log, of which some runs are decoded already; `tell` is shown each batch of them, and the
    /// number of the first run that is not in it.
    pub fn catch_up(
        &mut self,
        decoded: BTreeMap<u64, RunEvents>,
        tell: &mut dyn FnMut(&Batch, u64),
    ) -> Result<(), EngineError> {
        self.store.catch_up_with(decoded, &mut |_| {}, tell)
    }

    /// Log and views.
    pub fn store(&self) -> &Store<E> {
        &self.store
    }

    pub(super) fn store_mut(&mut self) -> &mut Store<E> {
        &mut self.store
    }

    /// Gives log and views up.
    pub fn into_store(self) -> Store<E> {
        self.store
    }

    /// Makes all views anew.
    pub fn rebuild(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), EngineError> {
        self.store.rebuild(progress)
    }

    /// Decides each command on the state that those before it left. One that is refused changes nothing and concerns
    /// nobody else.
    pub fn decide(&self, now_ms: u64, commands: &[Command]) -> Result<Group, EngineError> {
        Ok(self.close(self.extend(self.open(), now_ms, commands)?))
    }

    /// A group without commands, behind the group that was settled last. Until it is closed, no other is settled.
    pub fn open(&self) -> Open {
        let drafted = Drafted { fold: (**self.store.fold()).clone(), views: Batch::default(), runs: BTreeMap::new() };
        Open { drafted, answers: Vec::new() }
    }

    /// Decides commands as part of a group.
    pub fn extend(&self, open: Open, now_ms: u64, commands: &[Command]) -> Result<Open, EngineError> {
        let Open { drafted, mut answers } = open;
        let snapshot = self.store.engine().snapshot();
        let rows = Overlay::with(&snapshot, self.ahead.clone());
        let mut draft = Draft::new(
            (drafted, &rows, self.store.workspace(), &self.recent),
            (&self.key, self.workspace, self.pair),
            self.store.next_arrival(),
            now_ms,
        );
        for command in commands {
            answers.push(self.decide_one(&mut draft, now_ms, command)?);
        }
        Ok(Open { drafted: draft.pause(), answers })
    }

    /// Adds control events to a group, each of these ops.
    pub(super) fn compose_control(
        &self,
        open: Open,
        now_ms: u64,
        events: Vec<Vec<OpWithBody>>,
    ) -> Result<Open, EngineError> {
        let Open { drafted, answers } = open;
        let snapshot = self.store.engine().snapshot();
        let mut draft = Draft::new(
            (drafted, &snapshot, self.store.workspace(), &self.recent),
            (&self.key, self.workspace, self.pair),
            self.store.next_arrival(),
            now_ms,
        );
        for ops in events {
            if let Err(why) = draft.add(ops, Shared::default())? {
                tracing::error!(%why, "a control event cannot be composed");
            }
        }
        Ok(Open { drafted: draft.pause(), answers })
    }

    /// Signs a group.
    pub fn close(&self, open: Open) -> Group {
        let Open { drafted: Drafted { fold, views, runs }, answers } = open;
        let (mut log, mut tips) = (Batch::default(), Vec::with_capacity(runs.len()));
        for (arrival, run) in &runs {
            let sealed = Run::seal(run, &self.key).expect("runs are kept within their limits");
            log.put(Table::Log, log::key(self.store.workspace(), *arrival), sealed);
            tips.push((*arrival, last_event(run)));
        }
        let runs = runs.into_iter().map(|(arrival, run)| (arrival, run.into())).collect();
        Group { log, answers, tips, views, fold, runs }
    }

    /// Decides what follows as if this batch were committed, until [`Core::goes_ahead_no_more`].
    pub fn goes_ahead_of(&mut self, batch: Arc<Batch>) {
        self.ahead = batch;
    }

    /// What it went ahead of is committed.
    pub fn goes_ahead_no_more(&mut self) {
        self.ahead = Arc::default();
    }

    /// Takes a group. Gives the answers and the batch to commit before they are released: with the group's log batch in
    /// it, unless that was taken out and is durable. Then comes [`Core::upkeep`]. What it was decided ahead of is
    /// committed by now.
    pub fn settle(&mut self, group: Group) -> Result<(Batch, Vec<Result<Committed, Refused>>), EngineError> {
        let Group { log, answers, mut views, fold, runs, tips: _ } = group;
        assert!(self.ahead.is_empty(), "groups are committed one after the other");
        self.store.advance(fold, runs.len() as u64, &mut views)?;
        views.extend(log);
        self.recent.extend(runs);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT_RUNS));
        Ok((views, answers))
    }

    /// Once the views' batch is committed: makes the indexes that the design has come to ask for.
    pub fn upkeep(&mut self) -> Result<(), EngineError> {
        self.store.upkeep()
    }

    fn decide_one<R: Read>(
        &self,
        draft: &mut Draft<'_, R>,
        now_ms: u64,
        command: &Command,
    ) -> Result<Result<Committed, Refused>, EngineError> {
        if let Err(refused) = may(draft, command) {
            return Ok(Err(refused));
        }
        if command.changes_the_design()
            && let Err(refused) = designs::may_design(&draft.fold, draft.device())
        {
            return Ok(Err(refused));
        }
        match command {
            Command::Change(transaction) => change(draft, transaction),
            Command::CreateList { name, fields } => step(draft, |draft| design::create_list(draft, name, fields)),
            Command::AddFields { list, fields } => step(draft, |draft| design::add_fields(draft, *list, fields)),
            Command::CreateView { list, name, definition } => {
                step(draft, |draft| design::create_view(draft, *list, name, definition))
            }
            Command::AddChoices { field, choices } => step(draft, |draft| design::add_choices(draft, *field, choices)),
            Command::Put { element, property, value } => {
                step(draft, |draft| design::put(draft, *element, *property, value))
            }
            Command::ApplyDesign(file) => designs::apply(draft, file),
            Command::RevertDesign(event) => designs::revert(draft, *event),
            Command::AdoptStep(event) => adopt::adopt(draft, *event),
            Command::Rehearsed { proposal, outcome } => {
                designs::rehearsed(draft, *proposal, outcome, self.takes_on_trust)
            }
            Command::Members(change) => members::change(draft, now_ms, change),
            Command::Undo(what) => undo::undo(draft, self.key.device(), what),
            Command::Servers(change) => servers::change(draft, change),
            Command::Resend(resend) => resend::resend(draft, resend),
            Command::Discard(event) => resend::discard(draft, event),
            Command::HandOn { event, to } => resend::hand_on(draft, event, *to),
        }
    }
}

/// Takes a step of the design; an authority's is proposed to the members.
fn step<R: Read>(draft: &mut Draft<'_, R>, take: impl FnOnce(&mut Draft<'_, R>) -> Decided) -> Decided {
    draft.whole(|draft| match take(draft)? {
        Ok(committed) => designs::propose_steps(draft, committed),
        refused => Ok(refused),
    })
}

/// Whether this device may do it at all. An authority writes in its lists whatever its role.
fn may<R: Read>(draft: &Draft<'_, R>, command: &Command) -> Result<(), Refused> {
    let needed = command.needed_role();
    let (device, fold) = (draft.device(), &draft.fold);
    let present = fold.role_of(device);
    if present.is_some_and(|role| role >= needed) {
        return Ok(());
    }
    let own_lists = match command {
        Command::Change(transaction) => {
            let mut lists = transaction.changes.iter().map(|change| change.record().list);
            lists.all(|list| fold.is_authority_of(device, Some(list)))
        }
        // An authority proposes designs, whatever its role.
        design if design.changes_the_design() => designs::proposing_term(fold, device).is_some(),
        _something_else => false,
    };
    if own_lists { Ok(()) } else { Err(Refused::role(needed, present)) }
}

/// The last event of a run.
pub(crate) fn last_event<E: Borrow<Event>>(run: &[E]) -> EventRef {
    run.last().expect("a run has events").borrow().reference()
}

/// The run that founds a workspace.
pub fn found(
    key: &SecretKey,
    nonce: [u8; 16],
    member: MemberId,
    names: &GenesisText,
    now_ms: u64,
) -> (WorkspaceId, Run) {
    let workspace = WorkspaceId::founded_by(key.device(), nonce);
    let genesis =
        Op { target: Target::Workspace, preds: vec![], act: Act::Genesis(Box::new(Genesis { nonce, member })) };
    let header = Header {
        workspace,
        chain: ChainId { device: key.device(), number: 0 },
        seq: 0,
        prev: None,
        deps: vec![],
        lamport: 1,
        wall_ms: now_ms.min(WALL_MS_MAX),
        design: DesignDigest([0; 16]),
        actor: None,
        batch: None,
        resubmits: None,
        ops: vec![genesis],
    };
    let body = postcard::to_allocvec(names).expect("a vector takes all bytes");
    let event = Event::new(header, Payload::of([body])).expect("names were checked");
    (workspace, Run::sign(vec![event], key).expect("one small event"))
}

/// Names for a new workspace, checked.
pub(crate) fn names(workspace: &str, member: &str) -> Result<GenesisText, Refused> {
    check::name(NameKind::Workspace, workspace, std::iter::empty())?;
    check::name(NameKind::Member, member, std::iter::empty())?;
    Ok(GenesisText { workspace: workspace.into(), member: member.into() })
}

fn change<R: Read>(draft: &mut Draft<'_, R>, transaction: &Transaction) -> Decided {
    if let Err(stale) = expect::check(draft, &transaction.expect)? {
        return Ok(Err(stale));
    }
    let ops = match transaction::ops(draft, &transaction.changes)? {
        Ok(ops) => ops,
        Err(refused) => return Ok(Err(refused)),
    };
    let shared = Shared { batch: transaction.batch, actor: transaction.actor, resubmits: None };
    let events = by_authority(draft, ops, transaction.is_whole);
    match events.len() {
        0 | 1 => add(draft, events, shared),
        _several => draft.whole(|draft| add(draft, events, shared)),
    }
}

fn add<R: Read>(draft: &mut Draft<'_, R>, events: Vec<Vec<OpWithBody>>, shared: Shared) -> Decided {
    let mut added = Vec::new();
    for ops in events {
        match draft.add(ops, shared)? {
            Ok(event) => added.push(event.id()),
            Err(why) => return Ok(Err(too_large(why))),
        }
    }
    Ok(Ok(Committed { events: added, ..Committed::default() }))
}

/// The ops of each event: one for each authority that judges some of them, unless they are to be judged as one.
fn by_authority<R: Read>(draft: &Draft<'_, R>, ops: Vec<OpWithBody>, is_whole: bool) -> Vec<Vec<OpWithBody>> {
    let judge_of = |op: &OpWithBody| {
        let list = op.0.target.record().map(|record| record.list);
        let binding = draft.fold.present_terms().filter(|term| term.bind.mode == BindingMode::Binding);
        binding.filter(|term| term.covers(list)).map(|term| term.binding).next()
    };
    let mut events: Vec<(Option<OpRef>, Vec<OpWithBody>)> = Vec::new();
    for op in ops {
        let judge = if is_whole { None } else { judge_of(&op) };
        match events.iter_mut().find(|(of, _)| *of == judge) {
            Some((_, ops)) => ops.push(op),
            None => events.push((judge, vec![op])),
        }
    }
    events.into_iter().map(|(_, ops)| ops).collect()
}

/// The cell of a plain field.
pub fn plain_cell(record: RecordKey, field: tandem_wire::FieldId) -> CellKey {
    CellKey { record, field, part: PartPath::default() }
}
