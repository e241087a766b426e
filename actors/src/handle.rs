//! The handle of one workspace: what can be asked of it, from any thread, sync or async.

use crate::{
    block::{block_on, block_until},
    command::{Command, Committed, Refused},
    live::Feed,
    news::News,
    node::{Disk, NodeError},
    workspace::{
        Insert, Inserted, OfficeInfo, Perform, Progress, Published, Workspace, owner_of_design, proposing_term,
    },
};
use actix::Addr;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};
use tandem_storage::{
    Reader,
    design_file::DesignFile,
    engine::Engine,
    fold::{Design, incremental::Fold, members::Grant},
    history::Author,
    log::LogReader,
    outbox,
    rehearsal::Reported,
    store::{self, Verified, Views},
};
use tandem_wire::{DeviceKey, EventId, EventRef, MemberId, OpRef, Outcome, Role, WorkspaceId};
use tokio::sync::oneshot;

/// How often a caller looks how far a long piece of work is.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// One workspace of a node.
#[derive(Clone)]
pub struct Handle {
    pub(crate) id: WorkspaceId,
    pub(crate) number: u32,
    pub(crate) device: DeviceKey,
    pub(crate) address: Addr<Workspace<Disk>>,
    pub(crate) published: Arc<RwLock<Published<Disk>>>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) shown: News,
    pub(crate) left: Arc<AtomicBool>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle of {:?}", self.id)
    }
}

/// A member's device, as [`Handle::members`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// The device.
    pub device: DeviceKey,
    /// The person, where known.
    pub member: Option<MemberId>,
    /// Their name.
    pub name: String,
    /// Their present role; none after a removal.
    pub role: Option<Role>,
}

/// A reader of the state whose answers were released last.
pub type State = Reader<Arc<<Disk as Engine>::Snapshot>>;

impl Handle {
    /// The workspace's id.
    pub fn id(&self) -> WorkspaceId {
        self.id
    }

    /// Whether this copy is for reading only.
    pub(crate) fn is_left(&self) -> bool {
        self.left.load(Relaxed)
    }

    /// The workspace's name.
    pub fn name(&self) -> String {
        let genesis = self.fold().terms().genesis.clone();
        genesis.map(|names| names.workspace).unwrap_or_default()
    }

    /// Does one command and waits until it is durable and shown. Blocks the thread.
    pub fn commit(&self, command: Command) -> Result<Committed, NodeError> {
        let mut answers = self.submit(vec![command])?.wait()?;
        Ok(answers.remove(0)?)
    }

    /// Does one command; the future is done when it is durable and shown.
    pub async fn commit_async(&self, command: Command) -> Result<Committed, NodeError> {
        let mut answers = self.submit(vec![command])?.await_answers().await?;
        Ok(answers.remove(0)?)
    }

    /// Hands commands in and returns at once; each is done on its own, all in this order.
    pub fn submit(&self, commands: Vec<Command>) -> Result<Pending, NodeError> {
        let (answer, answers) = oneshot::channel();
        self.send(Perform::Commands(commands, answer))?;
        Ok(Pending(answers))
    }

    /// The same, but waits while too much waits for the workspace. Blocks the thread.
    pub fn submit_patiently(&self, commands: Vec<Command>) -> Result<Pending, NodeError> {
        block_on(self.submit_async(commands))
    }

    /// The same for async code: the future is done when the commands are handed in.
    pub async fn submit_async(&self, commands: Vec<Command>) -> Result<Pending, NodeError> {
        let (answer, answers) = oneshot::channel();
        self.address.send(Perform::Commands(commands, answer)).await.map_err(|_| NodeError::Stopped)?;
        Ok(Pending(answers))
    }

    /// Makes many records of one list at once, one event each, and waits until they are durable and shown. Much faster
    /// than commands where there are thousands. Not for use on an async runtime's threads.
    pub fn insert(&self, insert: Insert) -> Result<Inserted, NodeError> {
        block_on(self.insert_async(insert))
    }

    /// The same for async code.
    pub async fn insert_async(&self, insert: Insert) -> Result<Inserted, NodeError> {
        let (answer, answered) = oneshot::channel();
        let message = Perform::Insert(Box::new(insert), answer);
        self.address.send(message).await.map_err(|_| NodeError::Stopped)?;
        Ok(answered.await.map_err(|_| NodeError::Stopped)??)
    }

    /// The author of what this handle writes.
    pub fn device(&self) -> DeviceKey {
        self.device
    }

    /// The state that the last answers spoke of.
    pub fn read(&self) -> State {
        let (snapshot, views) = self.state();
        Reader::new(snapshot, views)
    }

    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(crate) fn published(&self) -> RwLockReadGuard<'_, Published<Disk>> {
        self.published.read().expect("the writer does not panic")
    }

    pub(crate) fn state(&self) -> (Arc<<Disk as Engine>::Snapshot>, Views) {
        let published = self.published();
        (published.snapshot.clone(), published.views.clone())
    }

    /// Every device that is or was a member's.
    pub fn members(&self) -> Vec<MemberInfo> {
        let fold = self.fold();
        let of = |(device, grants): (&DeviceKey, &Vec<Grant>)| {
            let named = grants.iter().rev().find_map(|grant| grant.member.clone());
            let (member, name) = named.map_or((None, String::new()), |(member, name)| (Some(member), name));
            MemberInfo { device: *device, member, name, role: fold.role_of(*device) }
        };
        fold.members().grants.iter().map(of).collect()
    }

    /// Has this node send a refused event again by itself, each time that the rule, role or design that refused it changes, or
    /// another server judges, until it is accepted or answered. Blocks the thread.
    pub fn retry_when_changed(&self, event: EventRef) -> Result<(), NodeError> {
        Ok(block_on(self.ask(|answer| Perform::RetryWhenChanged(event, answer)))??)
    }

    /// The refused events for which that was asked here. Blocks the thread.
    pub fn retried(&self) -> Result<Vec<EventRef>, NodeError> {
        Ok(block_on(self.ask(Perform::Retried))??)
    }

    /// How this node judges in this workspace. Blocks the thread.
    pub fn office(&self) -> Result<OfficeInfo, NodeError> {
        block_on(self.ask(Perform::Office))
    }

    /// The server that the design belongs to; none: designers and managers make it.
    pub fn design_owner(&self) -> Option<DeviceKey> {
        owner_of_design(&self.fold()).map(|term| term.chain().device)
    }

    /// Whether a design that is applied here is proposed to the members: this is the node of an authority.
    pub fn proposes_designs(&self) -> bool {
        proposing_term(&self.fold(), self.device).is_some()
    }

    /// The design as it was before an event; nothing where there is no such event that has to do with it.
    pub fn design_before(&self, event: EventId) -> Result<Option<Design>, NodeError> {
        let (snapshot, views) = self.state();
        let log = LogReader::new(&snapshot, self.number);
        Ok(views.fold.design_before(event, &snapshot, &log)?)
    }

    /// How many designs that a server proposed last are neither merged nor known to fail.
    pub fn open_proposals(&self) -> usize {
        let fold = self.fold();
        let newest = fold.design().newest_proposals().map(|proposal| &fold.design().proposals[&proposal]);
        newest.filter(|proposal| proposal.merged.is_none() && proposal.failed.is_empty()).count()
    }

    /// The name of who uses this node, in this workspace.
    pub fn own_name(&self) -> String {
        Author::of(&self.fold(), self.device, None).name
    }

    /// What this device wrote that a server bound by `binding` has not judged yet.
    pub fn outbox(&self, binding: &OpRef) -> Result<BTreeSet<EventRef>, NodeError> {
        let (snapshot, views) = self.state();
        let Some(term) = views.fold.terms().find(binding) else { return Ok(BTreeSet::new()) };
        let log = LogReader::new(&snapshot, self.number);
        Ok(outbox::waiting(&views.fold, &snapshot, &log, term, self.device)?)
    }

    /// The ends of this device's chains, and what of its events, after those ends of before, a server judges: all that waits,
    /// where there is no before.
    pub(crate) fn pushed(
        &self,
        binding: &OpRef,
        before: Option<&BTreeSet<EventId>>,
    ) -> Result<(BTreeSet<EventId>, BTreeSet<EventRef>), NodeError> {
        let (snapshot, views) = self.state();
        let (fold, log) = (&views.fold, LogReader::new(&snapshot, self.number));
        let ends = outbox::ends(fold, &snapshot, &log, self.device)?;
        let Some(term) = fold.terms().find(binding) else { return Ok((ends, BTreeSet::new())) };
        let events = match before {
            Some(before) => outbox::since(fold, &snapshot, &log, term, self.device, before)?,
            None => outbox::waiting(fold, &snapshot, &log, term, self.device)?,
        };
        Ok((ends, events))
    }

    /// What a server bound by `binding` said of an event, if it has.
    pub fn verdict(&self, event: &EventRef, binding: &OpRef) -> Result<Option<Outcome>, NodeError> {
        let (snapshot, views) = self.state();
        let Some(key) = views.fold.key_at(event.chain, (*event).into()) else { return Ok(None) };
        Ok(views.fold.verdict_of(&snapshot, key, binding)?)
    }

    /// The digest of the views: equal on every node that has the same events.
    pub fn digest(&self) -> Result<[u8; 32], NodeError> {
        let (snapshot, views) = self.state();
        Ok(store::digest(&views.fold, &snapshot)?)
    }

    /// Checks every signature of the log, and the views against views made anew from it. Blocks the thread.
    pub fn verify(&self) -> Result<Verified, NodeError> {
        self.verify_with(&mut |_| {})
    }

    /// The same; `progress` is told now and then how many events have been applied.
    pub fn verify_with(&self, progress: &mut dyn FnMut(u64)) -> Result<Verified, NodeError> {
        Ok(self.ask_with(Perform::Verify, progress)??)
    }

    /// Tries the design of a file on a clone of the views; `progress` is told now and then how many records were looked
    /// at. Nothing is changed. Blocks the thread.
    pub fn rehearse_with(&self, file: &DesignFile, progress: &mut dyn FnMut(u64)) -> Result<Reported, NodeError> {
        let done = Progress::default();
        let (answer, mut answered) = oneshot::channel();
        self.send(Perform::TryDesign(Box::new(file.clone()), done.clone(), answer))?;
        loop {
            match block_until(&mut answered, PROGRESS_EVERY) {
                Some(answer) => return Ok(answer.map_err(|_| NodeError::Stopped)??),
                None => progress(done.load(Relaxed)),
            }
        }
    }

    /// Makes the views anew from the log; `progress` as in [`Handle::verify_with`].
    pub fn rebuild_with(&self, progress: &mut dyn FnMut(u64)) -> Result<(), NodeError> {
        Ok(self.ask_with(Perform::Rebuild, progress)??)
    }

    /// Makes the views anew from the log. Blocks the thread.
    pub fn rebuild(&self) -> Result<(), NodeError> {
        self.rebuild_with(&mut |_| {})
    }

    /// The control plane as the last answers left it.
    pub fn fold(&self) -> Arc<Fold> {
        self.published().views.fold.clone()
    }

    /// Its number on this node.
    pub fn number(&self) -> u32 {
        self.number
    }

    pub(crate) async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Perform) -> Result<T, NodeError> {
        let (answer, answered) = oneshot::channel();
        self.address.send(message(answer)).await.map_err(|_| NodeError::Stopped)?;
        answered.await.map_err(|_| NodeError::Stopped)
    }

    /// For work that takes a while: looks how far it is until the answer comes.
    fn ask_with<T>(
        &self,
        message: impl FnOnce(Progress, mpsc::SyncSender<T>) -> Perform,
        progress: &mut dyn FnMut(u64),
    ) -> Result<T, NodeError> {
        let done = Progress::default();
        let (answer, answered) = mpsc::sync_channel(1);
        self.send(message(done.clone(), answer))?;
        loop {
            match answered.recv_timeout(PROGRESS_EVERY) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) => progress(done.load(Relaxed)),
                Err(RecvTimeoutError::Disconnected) => return Err(NodeError::Stopped),
            }
        }
    }

    fn send(&self, message: Perform) -> Result<(), NodeError> {
        self.address.try_send(message).map_err(|error| match error {
            actix::dev::SendError::Full(_) => NodeError::Busy,
            actix::dev::SendError::Closed(_) => NodeError::Stopped,
        })
    }
}

/// Answers that are on their way.
pub struct Pending(oneshot::Receiver<Vec<Result<Committed, Refused>>>);

impl Pending {
    /// Waits for them. Blocks the thread, also one of an async runtime: the actors have their own.
    pub fn wait(self) -> Result<Vec<Result<Committed, Refused>>, NodeError> {
        block_on(self.await_answers())
    }

    /// Waits for them.
    pub async fn await_answers(self) -> Result<Vec<Result<Committed, Refused>>, NodeError> {
        self.0.await.map_err(|_| NodeError::Stopped)
    }
}
