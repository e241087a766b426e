//! The handle of one workspace: what can be asked of it, from any thread, sync or async.

use crate::{
    block::block_on,
    command::{Command, Committed, Refused},
    live::Feed,
    news::News,
    node::{Disk, NodeError},
    workspace::{Insert, Inserted, Perform, Progress, Published, Workspace},
};
use actix::Addr;
use std::{
    sync::{
        Arc, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};
use tandem_storage::{
    Reader,
    engine::Engine,
    fold::{incremental::Fold, members::Grant},
    store::{self, Verified, Views},
};
use tandem_wire::{DeviceKey, MemberId, Role, WorkspaceId};
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
