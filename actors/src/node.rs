//! A node to embed: an open data folder with its workspaces, on a thread of its own.

use crate::{
    authority::{Policy, Vocabulary, shelf},
    block::block_on,
    command::Refused,
    device_key::{self, DeviceKeyError},
    handle::Handle,
    keeper::Keeper,
    network::{Network, Workspaces},
    outside::Outside,
    peer_link::link::LinkError,
    recover::{self, Opened, Recovered},
    registry::{self, Entry},
    runtime::Runtime,
    workspace::{self, Core, Perform, Workspace},
};
use actix::Actor;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tandem_storage::{
    EngineError, Store,
    engine::{Batch, DataDir, Durability, Engine, FjallEngine, Options as EngineOptions, Table},
    fence::Fence,
    fold::incremental::Events,
    log::{self, LogReader},
    rescue::WorkspaceHead,
    store,
};
use tandem_wire::{BatchId, ChainId, DeviceKey, MemberId, RecordId, Run, SecretKey, WorkspaceId};

/// Runs that are restored in one commit.
const RUNS_PER_BATCH: usize = 64;

/// The engine of a node.
pub(crate) type Disk = FjallEngine;

/// A node: one data directory, one device key, any number of workspaces. Owns the thread that its actors run on.
///
/// Dropping it stops it; [`Node::close`] does so and says whether the tables were left tidy.
pub struct Node {
    engine: Option<Arc<Disk>>,
    keeper: Option<Arc<Keeper>>,
    dir: PathBuf,
    recovered: Recovered,
    key: Arc<SecretKey>,
    options: Options,
    runtime: Option<Runtime>,
    pub(crate) network: Mutex<Option<Network>>,
    open: Workspaces,
    /// Held while the list of workspaces is changed.
    listing: Mutex<()>,
    /// Workspaces that are being removed.
    removing: Mutex<BTreeSet<WorkspaceId>>,
}

/// How a node uses its machine.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Memory of the tables.
    pub engine: EngineOptions,
    /// Messages that may wait for a workspace; one more is told that it is busy.
    pub mailbox_messages_max: usize,
    /// Commands that are made durable together.
    pub group_commands_max: usize,
    /// Below so much free disk the node is read-only.
    pub disk_free_bytes_min: u64,
    /// Where the time and random bytes come from, and where actors run.
    pub outside: Outside,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: EngineOptions::default(),
            mailbox_messages_max: 1024,
            group_commands_max: 256,
            disk_free_bytes_min: 256 << 20,
            outside: Outside::default(),
        }
    }
}

/// Why a node could not do something. Each variant says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The tables cannot be opened, read or written.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The device key cannot be used.
    #[error(transparent)]
    Key(#[from] DeviceKeyError),
    /// The node does not hold this workspace.
    #[error("this node has no workspace {0}; `tandem workspace ls` shows those that it has")]
    UnknownWorkspace(String),
    /// The command was not done.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too much waits for the workspace. Nothing was done; try again.
    #[error("the workspace is busy; try again")]
    Busy,
    /// The workspace's actor has stopped. Open the node again.
    #[error("the workspace has stopped; open the node again")]
    Stopped,
    /// This needs the network.
    #[error("this node is not on the network")]
    Offline,
    /// The other node cannot be reached, or does not go on.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl NodeError {
    /// A code for programs, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine(EngineError::Locked { .. }) => "locked",
            Self::Engine(EngineError::NewerFormat { .. }) => "newer-format",
            Self::Engine(EngineError::Damaged { .. }) => "damaged",
            Self::Engine(EngineError::Io { .. }) => "io",
            Self::Engine(EngineError::DiskFull { .. }) => "disk-full",
            Self::Engine(EngineError::WriteFailed { .. }) => "write-failed",
            Self::Key(_) => "device-key",
            Self::UnknownWorkspace(_) => "unknown-workspace",
            Self::Refused(refused) => refused.code(),
            Self::Busy => "busy",
            Self::Stopped => "stopped",
            Self::Offline => "offline",
            Self::Link(_) => "unreachable",
        }
    }
}

/// What [`Node::workspaces`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceInfo {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// This copy is for reading only.
    pub left: bool,
}

impl Node {
    /// Opens the node in `dir`, which is made if it does not exist.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, NodeError> {
        let dir = dir.as_ref();
        let data = DataDir::lock(dir)?;
        let outside = options.outside;
        let key = Arc::new(device_key::load_or_make(dir, || outside.random())?);
        let mut fresh_pair = || u32::from_le_bytes(outside.random());
        let Opened { engine, head, recovered } = recover::open(&data, key.device(), options.engine, &mut fresh_pair)?;
        let keeper = Keeper::start(dir, head, options.disk_free_bytes_min);
        let keeper = Arc::new(keeper.map_err(|source| recover::io_error(dir, source))?);
        tracing::info!(start = ?recovered.start, fresh_chains = recovered.fresh, "opened {}", dir.display());
        Ok(Self {
            engine: Some(Arc::new(engine)),
            keeper: Some(keeper),
            dir: dir.into(),
            recovered,
            key,
            options,
            runtime: Some(Runtime::start("tandem-actors", outside.is_here())),
            network: Mutex::default(),
            open: Workspaces::default(),
            listing: Mutex::default(),
            removing: Mutex::default(),
        })
    }

    /// What was found when the directory was opened. Tell a person where [`Recovered::is_notable`].
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The node's name: the author of what it writes.
    pub fn device(&self) -> DeviceKey {
        self.key.device()
    }

    /// Founds a workspace whose owner is this node.
    pub fn create_workspace(&self, name: &str, member: &str) -> Result<Handle, NodeError> {
        let names = workspace_names(name, member)?;
        let outside = self.outside();
        let member = MemberId(outside.random());
        let (id, run) = workspace::found(&self.key, outside.random(), member, &names, outside.now_ms());
        let listing = self.change_list();
        let number = registry::free_number(self.engine())?;
        let mut batch = Batch::default();
        batch.put(Table::Log, log::key(number, 0), run.encode());
        let runs = self.keeper().stage(id, &batch, vec![(0, workspace::last_event(run.events()))]);
        registry::put(&mut batch, number, &Entry { id, left: false });
        self.keeper().room()?;
        self.say(id, |head| Some(WorkspaceHead { number, ..head }))?;
        self.engine().commit(batch, Durability::Synced)?;
        self.keeper().keep(runs).map_err(|source| recover::io_error(&self.dir, source))?;
        drop(listing);
        self.workspace(id)
    }

    /// The workspaces of this node, oldest first.
    pub fn workspaces(&self) -> Result<Vec<WorkspaceInfo>, NodeError> {
        let entries = registry::entries(self.engine())?.into_iter();
        entries
            .map(|(_, entry)| {
                let name = self.workspace(entry.id)?.name();
                Ok(WorkspaceInfo { id: entry.id, name, left: entry.left })
            })
            .collect()
    }

    /// A workspace, by its id.
    pub fn workspace(&self, id: WorkspaceId) -> Result<Handle, NodeError> {
        let mut open = self.handles();
        if let Some(handle) = open.get(&id) {
            return Ok(handle.clone());
        }
        if self.removing().contains(&id) {
            return Err(NodeError::UnknownWorkspace(id.to_string()));
        }
        let (number, entry) = self.find(id)?;
        let fence = Fence::in_dir(&self.dir, number);
        let store = Store::open_fenced(self.engine.as_ref().expect("open").clone(), number, fence);
        let store = store.inspect_err(|error| self.keeper().note_damage(error))?;
        if !store.fenced().is_empty() {
            self.note_fenced(id, &store)?;
        }
        let policy = shelf::load(self.engine(), number)?;
        self.prove(id, &store, &policy)?;
        let mut core = Core::new(store, self.key.clone(), id).with_pair(self.keeper().pair(id));
        core.set_policy(policy);
        let keeper = self.keeper.clone().expect("open");
        let actor = Workspace::new(core, keeper, entry.left, self.options.group_commands_max, self.outside());
        let (published, feed, shown) = (actor.published(), actor.feed(), actor.shown());
        let mailbox = self.options.mailbox_messages_max;
        let address = self.runtime.as_ref().expect("running").call(move || {
            Workspace::create(move |ctx| {
                ctx.set_mailbox_capacity(mailbox);
                actor
            })
        });
        let left = Arc::new(AtomicBool::new(entry.left));
        let handle = Handle { id, number, device: self.device(), address, published, feed, shown, left };
        open.insert(id, handle.clone());
        Ok(handle)
    }

    /// A place for the log of a workspace that comes from others, and whether it was made now.
    pub(crate) fn make_room(&self, id: WorkspaceId) -> Result<(Handle, bool), NodeError> {
        let listing = self.change_list();
        if registry::entries(self.engine())?.into_iter().any(|(_, entry)| entry.id == id) {
            let workspace = self.workspace(id)?;
            // Somebody tries again, or has the copy of who was a member once.
            return match workspace.fold().role_of(self.device()) {
                Some(_) => Err(Refused::WorkspaceExists(id).into()),
                None => Ok((workspace, false)),
            };
        }
        self.keeper().room()?;
        let number = registry::free_number(self.engine())?;
        self.say(id, |head| Some(WorkspaceHead { number, ..head }))?;
        let mut batch = Batch::default();
        registry::put(&mut batch, number, &Entry { id, left: false });
        self.engine().commit(batch, Durability::Synced)?;
        drop(listing);
        Ok((self.workspace(id)?, true))
    }

    /// Opens every workspace that was not left, so that it takes part in the network.
    pub(crate) fn open_all(&self) -> Result<(), NodeError> {
        let entries = registry::entries(self.engine())?.into_iter();
        entries.filter(|(_, entry)| !entry.left).try_for_each(|(_, entry)| self.workspace(entry.id).map(drop))
    }

    pub(crate) fn open_workspaces(&self) -> Workspaces {
        self.open.clone()
    }

    pub(crate) fn shared_engine(&self) -> Arc<Disk> {
        self.engine.clone().expect("open until it is dropped")
    }

    #[cfg(feature = "iroh")]
    pub(crate) fn key(&self) -> Arc<SecretKey> {
        self.key.clone()
    }

    pub(crate) fn outside(&self) -> Outside {
        self.options.outside
    }

    pub(crate) async fn set_network(&self, network: Network) {
        let old = self.network().replace(network);
        if let Some(old) = old {
            old.stop().await;
        }
    }

    /// Has this node judge by another policy, where the owner has bound it. What was judged before stays as it was.
    pub fn set_policy(&self, workspace: &Handle, policy: Policy) -> Result<(), NodeError> {
        self.keeper().room()?;
        policy.check()?;
        let (before, now) = (shelf::load(self.engine(), workspace.number())?.digest(), policy.digest());
        // An authority that lost its rules must not go on without them.
        self.say(workspace.id(), |head| Some(WorkspaceHead { policies: vec![before, now], ..head }))?;
        shelf::save(self.engine(), workspace.number(), &policy)?;
        self.say(workspace.id(), |head| Some(WorkspaceHead { policies: vec![now], ..head }))?;
        block_on(workspace.ask(|answer| Perform::SetPolicy(Box::new(policy), answer)))
    }

    /// What this node calls the lists and fields of a workspace where it speaks for a server.
    pub fn server_names(&self, workspace: &Handle) -> Result<Vocabulary, NodeError> {
        Ok(shelf::names(self.engine(), workspace.number())?)
    }

    /// Has it call them so from now on. Nobody else is told.
    pub fn set_server_names(&self, workspace: &Handle, names: &Vocabulary) -> Result<(), NodeError> {
        self.keeper().room()?;
        Ok(shelf::save_names(self.engine(), workspace.number(), names)?)
    }

    /// Leaves a workspace: its copy here stays, for reading only.
    pub fn leave(&self, id: WorkspaceId) -> Result<(), NodeError> {
        let _listing = self.change_list();
        let (number, entry) = self.find(id)?;
        let mut batch = Batch::default();
        registry::put(&mut batch, number, &Entry { left: true, ..entry });
        self.engine().commit(batch, Durability::Synced)?;
        self.say(id, |head| Some(WorkspaceHead { left: true, ..head }))?;
        let workspace = self.workspace(id)?;
        workspace.left.store(true, Relaxed);
        block_on(workspace.ask(Perform::Leave))?;
        self.end_links(id);
        Ok(())
    }

    /// Takes a workspace off this node, with everything in it. Blocks the thread.
    pub fn remove(&self, id: WorkspaceId) -> Result<(), NodeError> {
        block_on(self.remove_async(id))
    }

    /// The same for async code. If the future is dropped before its end, the workspace is closed until the node is
    /// opened again, and still there then.
    pub async fn remove_async(&self, id: WorkspaceId) -> Result<(), NodeError> {
        self.find(id)?;
        // Nobody opens it meanwhile, and whoever still has a handle must not write into what is being removed, or into
        // what gets its number.
        if !self.removing().insert(id) {
            return Err(NodeError::Busy);
        }
        let handle = self.handles().remove(&id);
        self.end_links(id);
        if let Some(handle) = handle {
            // One that has stopped already is as good.
            let _ = handle.ask(Perform::Stop).await;
        }
        let removed = self.remove_closed(id);
        self.removing().remove(&id);
        removed
    }

    fn remove_closed(&self, id: WorkspaceId) -> Result<(), NodeError> {
        let _listing = self.change_list();
        let (number, _) = self.find(id)?;
        // First, so that what is no longer listed is not taken for lost.
        self.say(id, |_| None)?;
        registry::delete(self.engine(), number, |batch| shelf::forget(batch, number))?;
        Ok(store::delete(self.engine(), number)?)
    }

    /// Takes in the log of a workspace that this node does not have. It may be older than what this device wrote, so
    /// a fresh pair of chains is begun. `runs` are in the order of a log, each verified; when one of them is an error,
    /// that is returned, and nothing was taken in.
    pub fn restore<X>(
        &self,
        id: WorkspaceId,
        runs: impl Iterator<Item = Result<Run, X>>,
    ) -> Result<Result<Handle, X>, NodeError> {
        let listing = self.change_list();
        if registry::entries(self.engine())?.into_iter().any(|(_, entry)| entry.id == id) {
            return Err(Refused::WorkspaceExists(id).into());
        }
        self.keeper().room()?;
        let number = registry::free_number(self.engine())?;
        let mut batch = Batch::default();
        for (arrival, run) in runs.enumerate() {
            match run {
                Ok(run) => batch.put(Table::Log, log::key(number, arrival as u64), run.encode()),
                Err(error) => {
                    store::delete(self.engine(), number)?;
                    return Ok(Err(error));
                }
            }
            if batch.len() == RUNS_PER_BATCH {
                self.engine().commit(std::mem::take(&mut batch), Durability::Buffered)?;
            }
        }
        // Its own chains may have gone on since: they are never written again.
        let pair = u32::from_le_bytes(self.outside().random()) & !1;
        self.say(id, |head| Some(WorkspaceHead { number, left: false, pair, synced: false, ..head }))?;
        // A log that is not listed is none: a crash before this leaves nothing.
        registry::put(&mut batch, number, &Entry { id, left: false });
        self.engine().commit(batch, Durability::Synced)?;
        drop(listing);
        self.workspace(id).map(Ok)
    }

    /// Stops the node and leaves its tables tidy, so that they open fast. Blocks the thread.
    pub fn close(mut self) -> Result<(), NodeError> {
        self.go_offline();
        self.stop()
    }

    /// The same for async code.
    pub async fn close_async(mut self) -> Result<(), NodeError> {
        self.go_offline_async().await;
        let handles = std::mem::take(&mut *self.handles());
        for handle in handles.into_values() {
            // One that has stopped already is as good.
            let _ = handle.ask(Perform::Stop).await;
        }
        self.stop()
    }

    fn stop(&mut self) -> Result<(), NodeError> {
        self.handles().clear();
        if let Some(runtime) = self.runtime.take() {
            runtime.stop();
        }
        let (Some(engine), Some(keeper)) = (self.engine.take(), self.keeper.take()) else { return Ok(()) };
        engine.flush()?;
        let said = keeper.finish(|number| log::next_arrival(&*engine, number))?;
        Ok(said.map_err(|source| recover::io_error(&self.dir, source))?)
    }

    /// The chains that this node writes end where it wrote last, and its policy is the one that was set; otherwise it begins
    /// others: the log has more of them than can be read in order, or an authority would judge by rules of some time ago.
    fn prove(&self, id: WorkspaceId, store: &Store<Disk>, policy: &Policy) -> Result<(), EngineError> {
        let Some(head) = self.keeper().head(id) else { return Ok(()) };
        let snapshot = store.engine().snapshot();
        let mut has_gap = false;
        for number in [head.pair, head.pair + 1] {
            let chain = ChainId { device: self.device(), number };
            let next = store.fold().head_of(chain).map_or(0, |end| end.seq + 1);
            has_gap |= head.tips.get(&number).is_some_and(|tip| tip.seq >= next);
            has_gap |= store.fold().events_from(&snapshot, chain, next).next().transpose()?.is_some();
        }
        let digest = policy.digest();
        let is_other = !head.policies.is_empty() && !head.policies.contains(&digest);
        if !has_gap && !is_other {
            return Ok(());
        }
        let why = if is_other { "the rules that were set are lost" } else { "its own chains have a gap" };
        tracing::error!(why, "this node begins new chains; if it judges, the owner has to bind it anew");
        let pair = u32::from_le_bytes(self.outside().random()) & !1;
        let policies = if is_other { vec![digest] } else { head.policies };
        self.say(id, |head| Some(WorkspaceHead { pair, synced: false, policies, ..head }))
    }

    /// Events that cannot be applied are told. If one of them is this node's own, its chain is not gone on with: its
    /// place there is taken.
    fn note_fenced(&self, id: WorkspaceId, store: &Store<Disk>) -> Result<(), EngineError> {
        let (snapshot, pair) = (store.engine().snapshot(), self.keeper().pair(id));
        let mut own = false;
        for at in store.fenced() {
            let event = LogReader::new(&snapshot, store.workspace()).event(at)?;
            tracing::error!(event = %event.id(), "an event cannot be applied; it is kept and left out of the views");
            let chain = event.header().chain;
            own |= chain.device == self.device() && chain.number & !1 == pair;
        }
        match own {
            true => {
                let pair = u32::from_le_bytes(self.outside().random()) & !1;
                self.say(id, |head| Some(WorkspaceHead { pair, synced: false, ..head }))
            }
            false => Ok(()),
        }
    }

    /// Changes what `HEAD` says of a workspace.
    fn say(
        &self,
        id: WorkspaceId,
        change: impl FnOnce(WorkspaceHead) -> Option<WorkspaceHead>,
    ) -> Result<(), EngineError> {
        self.keeper().set(id, change).map_err(|source| recover::io_error(&self.dir, source))
    }

    fn keeper(&self) -> &Keeper {
        self.keeper.as_ref().expect("open until it is dropped")
    }

    fn end_links(&self, workspace: WorkspaceId) {
        if let Some(network) = self.network().as_ref() {
            network.forget(workspace);
        }
    }

    pub(crate) fn network(&self) -> MutexGuard<'_, Option<Network>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_list(&self) -> MutexGuard<'_, ()> {
        self.listing.lock().expect("nothing panics while it changes the list")
    }

    fn removing(&self) -> MutexGuard<'_, BTreeSet<WorkspaceId>> {
        self.removing.lock().expect("nothing panics with it")
    }

    fn handles(&self) -> MutexGuard<'_, BTreeMap<WorkspaceId, Handle>> {
        self.open.lock().expect("nothing panics while it holds the handles")
    }

    fn find(&self, id: WorkspaceId) -> Result<(u32, Entry), NodeError> {
        let found = registry::entries(self.engine())?.into_iter().find(|(_, entry)| entry.id == id);
        found.ok_or_else(|| NodeError::UnknownWorkspace(id.to_string()))
    }

    fn engine(&self) -> &Disk {
        self.engine.as_ref().expect("open until it is dropped")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.options.outside.is_here() {
            self.go_offline();
        }
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the tables were not left tidy; the next start is slower");
        }
    }
}

/// A fresh record id, for [`crate::Change::Create`].
pub fn fresh_record() -> RecordId {
    RecordId(fresh_bytes())
}

/// A fresh batch id, for [`crate::Transaction::batch`].
pub fn fresh_batch() -> BatchId {
    BatchId(fresh_bytes())
}

fn workspace_names(name: &str, member: &str) -> Result<tandem_wire::GenesisText, Refused> {
    workspace::names(name, member)
}

/// Bytes that nobody else has, for keys of elements.
pub(crate) fn fresh_bytes<const N: usize>() -> [u8; N] {
    Outside::default().random()
}
