//! One workspace's log and views, kept together through crashes and rebuilds.
//!
//! The views name how much of the log they reflect, in the same batch that changes them. Whatever comes between (a
//! crash after the log was written and before the views were) is made good when the store is opened: the rest of the
//! log is applied. A rebuild writes a new generation of all views beside the live one, and one batch flips to it.

use crate::{
    engine::{Batch, Durability, Engine, EngineError, Key, Read, Table, prefix_end},
    fence::Fence,
    fold::{
        Design, ViewHasher,
        incremental::{Applied, Fold, LogPlace, Prefix, records_in},
        view::FOLD_VERSION,
    },
    index::{
        self, Index,
        definition::wanted,
        entry::{Before, follow},
    },
    load::{self, Load, undo_what_was_cut_short},
    log::{self, LogReader, RunEvents},
    record_row::ROWS_VERSION,
    rehearsal::{Rehearsal, Report, Trying},
    replay::{Finish, Replay},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_wire::{BadRun, DesignDigest, Run};

/// Views made by anything else are made anew.
const MADE_BY: (u32, u32) = (FOLD_VERSION, ROWS_VERSION);

/// A workspace on an engine.
pub struct Store<E> {
    engine: Arc<E>,
    workspace: u32,
    pointer: Pointer,
    fold: Arc<Fold>,
    indexes: Arc<Vec<Index>>,
    /// The design that the indexes were last made for.
    indexed: Option<DesignDigest>,
    trying: Trying,
    fence: Fence,
}

/// What the rows of a workspace mean: what readers need besides them.
#[derive(Clone)]
pub struct Views {
    /// The control plane, and where the rows are.
    pub fold: Arc<Fold>,
    /// The indexes that are complete.
    pub indexes: Arc<Vec<Index>>,
}

/// Which generation of the views is live, and what it reflects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    generation: u32,
    /// The number of the first run that is not in the views.
    applied: u64,
    /// The versions of the rules and of the rows that made them.
    made_by: (u32, u32),
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Runs, each with a good signature.
    pub runs: u64,
    /// Events in them.
    pub events: u64,
    /// Of these, invalid ones.
    pub invalid: u64,
    /// Of these, ones that wait for others.
    pub held: u64,
    /// The digest of the live views.
    pub live: [u8; 32],
    /// The digest of views made anew from the log alone.
    pub rebuilt: [u8; 32],
    /// Runs that cannot be read or whose signature is wrong.
    pub bad: Vec<(u64, BadRun)>,
    /// Entries of indexes that do not follow from the records, or are missing.
    pub bad_index_entries: u64,
}

impl Verified {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.bad.is_empty() && self.live == self.rebuilt && self.bad_index_entries == 0
    }
}

impl<E: Engine> Store<E> {
    /// Opens the workspace with this number on the engine, and brings its views up to its log.
    pub fn open(engine: Arc<E>, workspace: u32) -> Result<Self, EngineError> {
        Self::open_fenced(engine, workspace, Fence::none())
    }

    /// The same; events that cannot be applied are found out by `fence`, and passed over.
    pub fn open_fenced(engine: Arc<E>, workspace: u32, mut fence: Fence) -> Result<Self, EngineError> {
        fence.load(&*engine, workspace, MADE_BY)?;
        if runs_beyond_the_log(&*engine, workspace)? > 0 {
            // The log lost its end, and the views still speak of it.
            distrust(&*engine, workspace)?;
        }
        let pointer = pointer(&*engine, workspace)?;
        let fresh = Pointer { generation: 1, applied: 0, made_by: MADE_BY };
        let pointer_now = pointer.unwrap_or(fresh);
        let prefix = Prefix { workspace, generation: pointer_now.generation };
        let snapshot = engine.snapshot();
        let fold = Fold::load(prefix, &snapshot, &LogReader::new(&snapshot, workspace))?;
        let indexes = index::load(&snapshot, prefix)?.into();
        drop(snapshot);
        undo_what_was_cut_short(&*engine, workspace, &fold, pointer_now.applied)?;
        let (fold, trying) = (Arc::new(fold), Trying::default());
        let mut store = Self { engine, workspace, pointer: pointer_now, fold, indexes, indexed: None, trying, fence };
        if pointer_now.made_by == MADE_BY {
            store.catch_up(&mut |_| {})?;
        } else {
            store.build(&mut |_| {})?;
        }
        Ok(store)
    }

    /// The places of events that cannot be applied: they are in the log and not in the views.
    pub fn fenced(&self) -> Vec<LogPlace> {
        self.fence.places().collect()
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    pub(crate) fn fence_mut(&mut self) -> &mut Fence {
        &mut self.fence
    }

    /// The fold, for reading.
    pub fn fold(&self) -> &Arc<Fold> {
        &self.fold
    }

    /// What readers need besides the rows.
    pub fn views(&self) -> Views {
        Views { fold: self.fold.clone(), indexes: self.indexes.clone() }
    }

    /// The engine that it is on.
    pub fn engine(&self) -> &Arc<E> {
        &self.engine
    }

    /// Its number on this node.
    pub fn workspace(&self) -> u32 {
        self.workspace
    }

    /// The number that the next run gets.
    pub fn next_arrival(&self) -> u64 {
        self.pointer.applied
    }

    /// Makes `fold` the live one, and gives the views' batch what it changes in the indexes and the mark of how much of
    /// the log the views reflect. The log's own batch must be durable with or before this one; then comes
    /// [`Store::upkeep`].
    pub fn advance(&mut self, fold: Fold, runs: u64, views: &mut Batch) -> Result<(), EngineError> {
        let base = (&*self.engine, &Before::new());
        follow(views, base, fold.prefix(), &self.indexes, fold.design())?;
        self.trying.follow(views, base, fold.prefix())?;
        self.fold = Arc::new(fold);
        self.pointer.applied += runs;
        views.put(Table::Meta, pointer_key(self.workspace), encode(&self.pointer));
        Ok(())
    }

    /// Takes in many new records at once, log and views. They are durable when it returns.
    pub fn load(&mut self, load: Load) -> Result<(), EngineError> {
        let runs = load.runs();
        // What it writes is not told record by record.
        self.trying.end(None);
        let (fold, mut end) = load::load(&*self.engine, self.workspace, load)?;
        self.fold = Arc::new(fold);
        self.pointer.applied += runs;
        end.put(Table::Meta, pointer_key(self.workspace), encode(&self.pointer));
        self.engine.commit(end, Durability::Buffered)
    }

    /// Whether [`Store::upkeep`] has something to do.
    pub fn needs_upkeep(&self) -> bool {
        self.indexed != Some(self.fold.design_digest())
    }

    /// Makes the indexes that the design asks for, and drops others. Does nothing unless the design has changed.
    pub fn upkeep(&mut self) -> Result<(), EngineError> {
        if !self.needs_upkeep() {
            return Ok(());
        }
        let wanted = wanted(self.fold.design());
        if !wanted.iter().eq(self.indexes.iter().map(|index| &index.definition)) {
            let indexes = Arc::make_mut(&mut self.indexes);
            let asked = (wanted, self.trying.prepared(), self.trying.reserved());
            index::upkeep(&*self.engine, self.fold.prefix(), indexes, asked, self.fold.design())?;
        }
        self.trying.settle(&self.indexes);
        self.indexed = Some(self.fold.design_digest());
        Ok(())
    }

    /// Begins to try a design on a clone of the live views: the rehearsal, and that clone. An earlier one that goes on is
    /// given up. Nothing is being committed.
    pub fn begin_rehearsal(&mut self, new: Arc<Design>) -> (Rehearsal, E::Snapshot) {
        let number = index::next_number(self.indexes.iter().chain(self.trying.prepared())).max(self.trying.reserved());
        let (old, generation) = (self.fold.design().clone(), self.fold.prefix());
        let rehearsal = Rehearsal::new(old, new, generation, &self.indexes, number);
        self.trying.begin(number + rehearsal.indexes().len() as u32);
        (rehearsal, self.engine.snapshot())
    }

    /// What a rehearsal finds in the views as they are; nothing is written. Simulations compare it with one that went on
    /// while they changed.
    pub fn rehearsed(&self, new: Arc<Design>) -> Result<Report, EngineError> {
        let (old, generation) = (self.fold.design().clone(), self.fold.prefix());
        let mut rehearsal = Rehearsal::new(old, new, generation, &self.indexes, u32::MAX / 2);
        rehearsal.scan(&self.engine.snapshot(), usize::MAX)?;
        Ok(rehearsal.into_report())
    }

    /// The records that changed since the rehearsal began, or since this was last asked, and the state that they have
    /// now; nothing where it was given up. Nothing is being committed.
    pub fn changed_meanwhile(&mut self) -> Option<(BTreeSet<Key>, E::Snapshot)> {
        Some((self.trying.take_touched()?, self.engine.snapshot()))
    }

    /// Ends a rehearsal that was brought up to the present. Its indexes are kept true from now on, until its design is
    /// the current one or another rehearsal ends.
    pub fn end_rehearsal(&mut self, ready: Option<(Arc<Design>, Vec<Index>)>) {
        self.trying.end(ready);
    }

    /// Applies what is in the log and not yet in the views. `progress` is told the number of events applied so far.
    pub fn catch_up(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), EngineError> {
        self.catch_up_with(BTreeMap::new(), progress, &mut |_, _| {})
    }

    /// The same, with runs of the log that are decoded already; `tell` is shown each batch of the views before it is
    /// committed, and the number of the first run that is not in it.
    pub fn catch_up_with(
        &mut self,
        decoded: BTreeMap<u64, RunEvents>,
        progress: &mut dyn FnMut(u64),
        tell: &mut dyn FnMut(&Batch, u64),
    ) -> Result<(), EngineError> {
        let (engine, workspace, pointer, indexes) = (&*self.engine, self.workspace, self.pointer, &self.indexes);
        let trying = &mut self.trying;
        let finish: Finish<'_> = &mut |fold, applied, before, batch| {
            follow(batch, (engine, before), fold.prefix(), indexes, fold.design())?;
            trying.follow(batch, (engine, before), fold.prefix())?;
            batch.put(Table::Meta, pointer_key(workspace), encode(&Pointer { applied, ..pointer }));
            tell(batch, applied);
            Ok(())
        };
        let (fold, from) = ((*self.fold).clone(), pointer.applied);
        let mut replay = Replay::live(engine, workspace, &mut self.fence, decoded);
        let (fold, applied) = replay.all(fold, from, finish, progress)?;
        self.fold = Arc::new(fold);
        self.pointer.applied = applied;
        self.upkeep()
    }

    /// Makes all views anew from the log, beside the live ones, and flips to them. Fenced events are tried again.
    pub fn rebuild(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), EngineError> {
        self.fence.lift(&*self.engine, self.workspace)?;
        self.build(progress)
    }

    fn build(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), EngineError> {
        let new = Prefix { generation: self.fold.prefix().generation + 1, ..self.fold.prefix() };
        self.trying.end(None);
        self.drop_other_generations()?;
        let mut replay = Replay::aside(&*self.engine, self.workspace, &mut self.fence);
        let (fold, applied) = replay.all(replay.empty(new)?, 0, &mut |_, _, _, _| Ok(()), progress)?;
        let mut indexes = Vec::new();
        index::upkeep(&*self.engine, new, &mut indexes, (wanted(fold.design()), &[], 0), fold.design())?;
        self.pointer = Pointer { generation: new.generation, applied, made_by: MADE_BY };
        let mut flip = Batch::default();
        flip.put(Table::Meta, pointer_key(self.workspace), encode(&self.pointer));
        self.engine.commit(flip, Durability::Synced)?;
        self.indexed = Some(fold.design_digest());
        self.fold = Arc::new(fold);
        self.indexes = Arc::new(indexes);
        self.drop_other_generations()
    }

    /// Checks every run of the log, and the live views against views made anew from it.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<Verified, EngineError> {
        let (mut runs, mut bad) = (0, Vec::new());
        for run in log::runs_from(&*self.engine, self.workspace, 0) {
            let (arrival, bytes) = run?;
            runs += 1;
            if let Err(why) = Run::decode(&bytes) {
                bad.push((arrival, why));
            }
        }
        let bad_index_entries = self.bad_index_entries()?;
        let live = self.digest()?;
        let mut verified =
            Verified { runs, events: 0, invalid: 0, held: 0, live, rebuilt: [0; 32], bad, bad_index_entries };
        if !verified.bad.is_empty() {
            return Ok(verified);
        }
        let live = self.fold.prefix();
        self.drop_other_generations()?;
        let aside = Prefix { generation: u32::MAX, ..live };
        let counts = &mut verified;
        let mut fence = Fence::none();
        fence.load(&*self.engine, self.workspace, MADE_BY)?;
        let mut replay = Replay::aside(&*self.engine, self.workspace, &mut fence);
        let (fold, _) = replay.each(replay.empty(aside)?, 0, &mut |_, _, _, _| Ok(()), progress, &mut |applied| {
            counts.events += 1;
            counts.invalid += u64::from(applied == Applied::Invalid);
        })?;
        verified.held = fold.control_view(&*self.engine)?.held.len() as u64;
        verified.rebuilt = digest(&fold, &*self.engine)?;
        self.drop_other_generations()?;
        Ok(verified)
    }

    /// How many entries of the live indexes do not follow from the records, or are missing.
    pub fn bad_index_entries(&self) -> Result<u64, EngineError> {
        let snapshot = self.engine.snapshot();
        let bad = |index| index::bad_entries(&snapshot, self.fold.prefix(), index, self.fold.design());
        self.indexes.iter().map(bad).sum()
    }

    /// The digest of the live views: equal for equal sets of events.
    pub fn digest(&self) -> Result<[u8; 32], EngineError> {
        digest(&self.fold, &self.engine.snapshot())
    }

    /// Drops what is not live: generations that were replaced, and those that a crash left unfinished.
    fn drop_other_generations(&self) -> Result<(), EngineError> {
        let live = self.fold.prefix();
        let workspace_end = prefix_end(&self.workspace.to_be_bytes());
        for table in Table::VIEWS {
            let mut next = Some(0);
            while let Some(generation) = next {
                let from = Prefix { generation, ..live }.bytes();
                let first = self.engine.range(table, &from, workspace_end.as_deref()).next().transpose()?;
                let Some((key, _)) = first else { break };
                let found = generation_of(&key, live);
                if found != live {
                    self.engine.drop_prefix(table, &found.bytes())?;
                }
                next = found.generation.checked_add(1);
            }
        }
        index::forget_others(&*self.engine, live)
    }
}

/// Takes a workspace off a node: its views, then its log. What a crash leaves of it, a second call takes away.
pub fn delete<E: Engine>(engine: &E, workspace: u32) -> Result<(), EngineError> {
    let mut pointer = Batch::default();
    pointer.delete(Table::Meta, pointer_key(workspace));
    engine.commit(pointer, Durability::Synced)?;
    // The log last: while any of it is left, it shows that there is something to take away.
    Fence::none().lift(engine, workspace)?;
    let tables = Table::VIEWS.into_iter().chain([Table::Log]);
    tables.into_iter().try_for_each(|table| engine.drop_prefix(table, &workspace.to_be_bytes()))
}

/// Makes the next [`Store::open`] build all views anew without a look at those that are there. For tables that lost
/// something: their views may speak of what the log no longer has.
pub fn distrust<E: Engine>(engine: &E, workspace: u32) -> Result<(), EngineError> {
    let Some(pointer) = pointer(engine, workspace)? else {
        return Table::VIEWS.into_iter().try_for_each(|table| engine.drop_prefix(table, &workspace.to_be_bytes()));
    };
    // The next generation may be there in part, the one after never.
    let nothing = Pointer { generation: pointer.generation + 2, applied: 0, made_by: (0, 0) };
    let mut batch = Batch::default();
    batch.put(Table::Meta, pointer_key(workspace), encode(&nothing));
    engine.commit(batch, Durability::Synced)
}

/// How many runs more the stored views reflect than the log has: none, unless the log lost its end.
pub fn runs_beyond_the_log<E: Engine>(engine: &E, workspace: u32) -> Result<u64, EngineError> {
    let reflected = pointer(engine, workspace)?.map_or(0, |pointer| pointer.applied);
    Ok(reflected.saturating_sub(log::next_arrival(engine, workspace)?))
}

fn pointer<E: Engine>(engine: &E, workspace: u32) -> Result<Option<Pointer>, EngineError> {
    let row = engine.get(Table::Meta, &pointer_key(workspace))?;
    Ok(row.map(|bytes| postcard::from_bytes(&bytes).expect("rows are our own")))
}

/// Digest of the views of `fold`.
pub fn digest<R: Read>(fold: &Fold, rows: &R) -> Result<[u8; 32], EngineError> {
    let mut hasher = ViewHasher::new(&fold.control_view(rows)?);
    for record in records_in(rows, fold.prefix()) {
        let (key, state) = record?;
        hasher.record(&key, &state);
    }
    Ok(hasher.finish())
}

fn generation_of(key: &[u8], live: Prefix) -> Prefix {
    let generation = key[4..].first_chunk().expect("keys are our own");
    Prefix { generation: u32::from_be_bytes(*generation), ..live }
}

fn pointer_key(workspace: u32) -> Vec<u8> {
    let mut key = workspace.to_be_bytes().to_vec();
    key.extend_from_slice(b"views");
    key
}

fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    postcard::to_allocvec(row).expect("a vector takes all bytes")
}
