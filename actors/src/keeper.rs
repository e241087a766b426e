//! What stands beside a node's tables while it runs: the rescue file, `HEAD`, and a look at the free space.

use crate::command::Refused;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tandem_storage::{
    EngineError,
    engine::{Batch, Table, mark_damaged},
    rescue::{Entry, Head, Segments, Tip, Unsynced, WorkspaceHead},
};
use tandem_wire::{EventRef, WorkspaceId};

/// How long a run may be in the rescue file before it is synced.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// For how long what the system said of free space is believed.
const FREE_SPACE_HOLDS: Duration = Duration::from_millis(50);

/// Keeps a node's own runs once more, and knows how far its chains go.
///
/// In this order for each group: [`Keeper::room`] before it is decided, [`Keeper::stage`] before it is handed to the
/// log, [`Keeper::keep`] when the log has it on the disk; nobody need wait for that. A thread of its own syncs every
/// second in which something was kept.
///
/// That a run cannot be kept is no reason to refuse it: the log has it. It is told in the log of the program.
///
/// An authority's own runs are synced before anybody is told of them, see [`Keeper::sync_at_once`]: after a power cut it
/// goes on judging, while a member begins a fresh pair of chains.
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Runs of a group, ready to be kept.
pub struct Staged {
    workspace: WorkspaceId,
    tips: Vec<(u64, EventRef)>,
    entries: Vec<u8>,
    at_once: bool,
}

impl Staged {
    /// Whether it is kept before anybody is told of it.
    pub fn is_at_once(&self) -> bool {
        self.at_once
    }
}

struct Shared {
    dir: PathBuf,
    free_bytes_min: u64,
    state: Mutex<State>,
    wake: Condvar,
    /// When there was room, last.
    room: Mutex<Option<Instant>>,
    /// Held while `HEAD` is written.
    writing: Mutex<()>,
    /// Held while the rescue file is synced: who has it knows that nothing taken before is still on its way.
    syncing: Mutex<()>,
}

struct State {
    head: Head,
    segments: Segments,
    unsynced: bool,
    stopping: bool,
    /// It was said once that runs cannot be kept.
    complained: bool,
    /// The rescue file failed: it proves nothing any more until the node is opened again.
    failed: bool,
}

impl Keeper {
    /// For the node in `dir`, where `head` stands and is on the disk. Below `free_bytes_min` of free disk nothing is
    /// written.
    pub fn start(dir: &Path, head: Head, free_bytes_min: u64) -> io::Result<Self> {
        let segments = Segments::open(dir)?;
        let state = State { head, segments, unsynced: false, stopping: false, complained: false, failed: false };
        let (state, wake, room) = (Mutex::new(state), Condvar::new(), Mutex::default());
        let (writing, syncing) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { dir: dir.into(), free_bytes_min, state, wake, room, writing, syncing });
        let syncing = shared.clone();
        let thread = thread::Builder::new().name("tandem-keeper".into()).spawn(move || syncing.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Whether the disk has room for more.
    #[expect(clippy::disallowed_methods, reason = "how old an answer of the system is, and nothing else")]
    pub fn room(&self) -> Result<(), Refused> {
        let mut room = self.shared.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.is_some_and(|seen| seen.elapsed() < FREE_SPACE_HOLDS) {
            return Ok(());
        }
        let needed = self.shared.free_bytes_min;
        *room = None;
        match free_bytes(&self.shared.dir) {
            Some(free) if free < needed => Err(Refused::DiskLow {
                path: self.shared.dir.display().to_string(),
                free_mb: free >> 20,
                needed_mb: needed >> 20,
            }),
            Some(_) | None => {
                *room = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// The runs of a log batch, each with its number and its last event.
    pub fn stage(&self, workspace: WorkspaceId, log: &Batch, tips: Vec<(u64, EventRef)>) -> Staged {
        let runs = log.iter().filter(|(table, ..)| *table == Table::Log).filter_map(|(.., run)| run);
        let mut entries = Vec::new();
        for (run, (arrival, last)) in runs.zip(&tips) {
            Entry { workspace, arrival: *arrival, last: *last, run: run.clone() }.encode_onto(&mut entries);
        }
        Staged { workspace, tips, entries, at_once: self.syncs_at_once(workspace) }
    }

    /// Keeps what the log has on the disk now. An error says that the proof of an authority's head would be a lie, and
    /// cannot be withdrawn.
    pub fn keep(&self, staged: Staged) -> io::Result<()> {
        if staged.at_once {
            return self.keep_at_once(staged);
        }
        let mut state = self.shared.state();
        if let Err(error) = state.append(&staged) {
            state.complain(&error);
        }
        if !state.unsynced {
            state.unsynced = true;
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    fn keep_at_once(&self, staged: Staged) -> io::Result<()> {
        let mut done = self.shared.sync_with(|state| state.append(&staged));
        if done.is_ok() && staged.entries.is_empty() {
            // A load is in the log only.
            done = self.shared.write_head();
        }
        done.or_else(|error| self.shared.withdraw(&error))
    }

    /// Whether what this node writes in a workspace is synced before anybody is told of it.
    pub fn syncs_at_once(&self, workspace: WorkspaceId) -> bool {
        self.shared.state().head.workspaces.get(&workspace).is_some_and(|head| head.synced)
    }

    /// From now on, or no longer. `HEAD` says so durably, so that the next start knows what the rescue file proves.
    pub fn sync_at_once(&self, workspace: WorkspaceId, synced: bool) -> io::Result<()> {
        if synced && self.shared.state().failed {
            return Ok(());
        }
        // What `HEAD` will name. Where it cannot be kept, nothing is promised, and the node goes on.
        if synced && let Err(error) = self.shared.sync_with(|_| Ok(())) {
            return self.shared.withdraw(&error);
        }
        self.set(workspace, |head| Some(WorkspaceHead { synced, ..head }))
    }

    /// See [`note_damage`].
    pub fn note_damage(&self, error: &EngineError) {
        note_damage(&self.shared.dir, error);
    }

    /// What `HEAD` says of a workspace.
    pub fn head(&self, workspace: WorkspaceId) -> Option<WorkspaceHead> {
        self.shared.state().head.workspaces.get(&workspace).cloned()
    }

    /// The number of the control chain that this node writes in a workspace.
    pub fn pair(&self, workspace: WorkspaceId) -> u32 {
        self.shared.state().head.workspaces.get(&workspace).map_or(0, |head| head.pair)
    }

    /// Changes what `HEAD` says of a workspace, durably; with `None` it is no longer there.
    pub fn set(
        &self,
        workspace: WorkspaceId,
        change: impl FnOnce(WorkspaceHead) -> Option<WorkspaceHead>,
    ) -> io::Result<()> {
        let mut state = self.shared.state();
        let before = state.head.workspaces.remove(&workspace).unwrap_or_default();
        if let Some(after) = change(before) {
            state.head.workspaces.insert(workspace, after);
        }
        drop(state);
        self.shared.write_head()
    }

    /// After everything is written and flushed: says so. `runs` gives the number of runs in the log of a workspace.
    pub fn finish<E>(&self, mut runs: impl FnMut(u32) -> Result<u64, E>) -> Result<io::Result<()>, E> {
        self.stop();
        let mut state = self.shared.state();
        for workspace in state.head.workspaces.values_mut() {
            workspace.runs = runs(workspace.number)?;
        }
        state.head.clean = true;
        drop(state);
        Ok(self.shared.write_head())
    }

    fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.state().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = thread {
            // It does not panic, and has nothing to tell.
            let _ = thread.join();
        }
    }
}

/// If an error says that the tables of the node in `dir` are damaged, has the next start build them anew.
pub fn note_damage(dir: &Path, error: &EngineError) {
    if let EngineError::Damaged { detail, .. } = error
        && let Err(error) = mark_damaged(dir, detail)
    {
        tracing::warn!(%error, "the damage cannot be noted");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Syncs what was kept, a second after it was; the last time when it is stopped.
    fn run(&self) {
        let mut state = self.state();
        loop {
            while !state.unsynced && !state.stopping {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if !state.unsynced {
                return;
            }
            // Woken early only by the end.
            let waited = self.wake.wait_timeout_while(state, SYNC_EVERY, |state| !state.stopping);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.unsynced = false;
            drop(state);
            let done = self.sync_with(|_| Ok(()));
            if let Err(error) = done.or_else(|error| self.withdraw(&error)) {
                // An authority's next run ends the process, if it is still so then.
                tracing::error!(%error, "HEAD cannot be written");
            }
            state = self.state();
        }
    }

    /// The rescue file has a hole from here on: no head is proved by it any more.
    fn withdraw(&self, error: &io::Error) -> io::Result<()> {
        let mut state = self.state();
        state.complain(error);
        state.segments.abandon();
        state.failed = true;
        let any = state.head.workspaces.values().any(|workspace| workspace.synced);
        state.head.workspaces.values_mut().for_each(|workspace| workspace.synced = false);
        drop(state);
        if any { self.write_head() } else { Ok(()) }
    }

    /// Makes durable what was kept, and what `more` keeps.
    fn sync_with(&self, more: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let _one = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        more(&mut state)?;
        let unsynced: Unsynced = state.segments.take_unsynced()?;
        drop(state);
        unsynced.sync()?;
        if !unsynced.filled {
            return Ok(());
        }
        // Before runs are dropped, `HEAD` must name what may have been among them.
        self.write_head()?;
        self.state().segments.drop_oldest()
    }

    /// One at a time, the newest last; who keeps runs does not wait for it.
    fn write_head(&self) -> io::Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.state().head.clone();
        head.write(&self.dir)
    }
}

impl State {
    fn append(&mut self, staged: &Staged) -> io::Result<()> {
        // One that was removed meanwhile does not come back.
        let Some(workspace) = self.head.workspaces.get_mut(&staged.workspace) else { return Ok(()) };
        for (arrival, last) in &staged.tips {
            workspace.tips.insert(last.chain.number, Tip { arrival: *arrival, seq: last.seq, id: last.id });
        }
        self.segments.append(&staged.entries)
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(%error, "the rescue file cannot be written; the log is not concerned, but has no second copy");
        }
    }
}

/// Free space for this user where `dir` is; nothing where the system does not tell.
#[cfg(unix)]
fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}
