//! Opening a data directory: is all there that the node wrote, and may it go on with its chains?
//!
//! A chain is gone on with only where its head is *proved*: the node was stopped in good order, or its process ended
//! while the machine went on, in this very directory, and the log has all that `HEAD` and the rescue file name; or the
//! pair is an authority's, of which nothing was told before the rescue file had it on the disk. In every other case (a
//! power cut at a member's, a copied or restored directory, a lost tail) a fresh pair of chains is begun, so that
//! no place in a chain is ever used twice. Runs that are missing in the log and found elsewhere are put back, checked
//! like any run from outside. `docs/decisions/0007-head-and-rescue.md` has the reasons.

use crate::{
    device_key,
    keeper::note_damage,
    registry::{self, Entry as Listed},
};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry as Slot},
    fmt, io,
    path::{Path, PathBuf},
};
use tandem_storage::{
    EngineError,
    engine::{Batch, DataDir, Durability, Engine, FjallEngine, Options, Read, Table, prefix_end},
    log,
    rescue::{self, Entry, Head, HeadFile, Place, Tip, WorkspaceHead},
    store,
};
use tandem_wire::{DeviceKey, EventId, Run, WorkspaceId};

/// Bytes of runs that are put back in one batch.
const BATCH_BYTES: usize = 4 << 20;

/// Under this number runs lie, by lamport, until they are put into logs. No workspace has it.
const SPOOL: u32 = u32::MAX;

/// What was found when a node was opened, and done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// In what state the directory was.
    pub start: Start,
    /// Tables that could not be opened are here now, as they were; new ones were made.
    pub aside: Option<PathBuf>,
    /// What was wrong with them.
    pub damage: Option<String>,
    /// Files of these that could not be read at all.
    pub unreadable: u64,
    /// Parts of a journal that were cut off and hold whole writes.
    pub kept: Vec<PathBuf>,
    /// Runs that were missing in the log and were put back.
    pub runs: u64,
    /// Events in them.
    pub events: u64,
    /// Own events that were on the disk once and are nowhere any more: workspace, and how many chains end too early.
    pub lost: Vec<(WorkspaceId, u64)>,
    /// Workspaces in which a fresh pair of chains was begun.
    pub fresh: u64,
}

/// How a data directory was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// There was nothing in it.
    First,
    /// The node was stopped in good order.
    Clean,
    /// The process ended at once, and the machine went on.
    Killed,
    /// The machine stopped, or cannot tell that it did not.
    PowerCut,
    /// It is a copy of the one that the node wrote, or was restored.
    Copied,
    /// `HEAD` is missing, damaged, or of another device.
    NoHead,
    /// `HEAD` says that the node was stopped in good order, but the tables are not those that it speaks of.
    Changed,
}

/// Puts back what the log of tables that open is found to lack.
fn put_right(
    data: &DataDir,
    engine: &FjallEngine,
    before: Option<&Head>,
    rescued: &[Entry],
    recovered: &mut Recovered,
) -> Result<(), EngineError> {
    let mut repair = Repair::new(engine, before);
    for kept in data.kept()? {
        repair.offer_all(&mut |offer| data.salvage_kept(&kept, offer))?;
    }
    repair.offer_missing(rescued)?;
    repair.finish(recovered)?;
    list_lost_logs(engine, before)?;
    registry::finish_removals(engine)
}

impl Recovered {
    /// Whether there is something that a person should know.
    pub fn is_notable(&self) -> bool {
        self.aside.is_some() || !self.kept.is_empty() || self.runs > 0 || !self.lost.is_empty()
    }
}

/// One paragraph: what happened, what was kept, what is to be done.
impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.aside, &self.damage) {
            (Some(aside), damage) => {
                let damage = damage.as_deref().unwrap_or("not readable");
                write!(f, "The data was damaged ({damage}) and was built anew from what could be read. ")?;
                write!(f, "The damaged tables are kept as {}. ", aside.display())?;
                if self.unreadable > 0 {
                    write!(f, "{} of their files could not be read at all. ", self.unreadable)?;
                }
            }
            (None, _) if !self.kept.is_empty() => {
                let kept: Vec<String> = self.kept.iter().map(|path| path.display().to_string()).collect();
                write!(f, "The journal was broken off; what came behind is kept as {}. ", kept.join(", "))?;
            }
            (None, _) => {}
        }
        if self.runs > 0 {
            write!(f, "{} events that were missing were put back. ", self.events)?;
        }
        match self.lost.len() {
            0 => write!(f, "Every write of this device that is known is there."),
            _ => {
                let lost: Vec<String> = self.lost.iter().map(|(workspace, _)| workspace.to_string()).collect();
                write!(f, "Some of this device's own writes could not be found, in workspace {}: ", lost.join(", "))?;
                write!(f, "another member's device may still have them; otherwise take them from a backup.")
            }
        }
    }
}

/// An open directory.
pub(crate) struct Opened {
    pub(crate) engine: FjallEngine,
    /// On the disk.
    pub(crate) head: Head,
    pub(crate) recovered: Recovered,
}

/// Opens the tables of the node `device`, puts back what is missing, and decides which chains it writes. `fresh_pair`
/// gives random numbers.
pub(crate) fn open(
    data: &DataDir,
    device: DeviceKey,
    options: Options,
    fresh_pair: &mut dyn FnMut() -> u32,
) -> Result<Opened, EngineError> {
    let dir = data.path();
    let failed = |source| EngineError::Io { path: dir.into(), source };
    let here = Place::here(&device_key::path(dir)).map_err(failed)?;
    let found = Head::read(dir).map_err(failed)?;
    let start = start(&found, data, &here, device);
    let before = match found {
        HeadFile::Whole(head) if head.device == device => Some(head),
        HeadFile::Whole(_) | HeadFile::Absent | HeadFile::Damaged => None,
    };
    if start == Start::Clean
        && let Some(head) = &before
        && let Ok(engine) = data.open(options)
        && is_as_said(&engine, head).inspect_err(|error| note_damage(dir, error))?
    {
        let recovered = Recovered::new(start);
        let head = Head { clean: false, place: here, ..head.clone() };
        registry::finish_removals(&engine)?;
        head.write(dir).map_err(failed)?;
        return Ok(Opened { engine, head, recovered });
    }
    let start = if start == Start::Clean { Start::Changed } else { start };
    let mut recovered = Recovered::new(start);
    let (rescued, rescue_is_damaged) = rescue::read(dir).map_err(failed)?;
    let rescued = of_known_workspaces(rescued, before.as_ref());
    let before = before.map(|head| with_rescued(head, &rescued));
    let engine = open_tables(data, options, before.as_ref(), &rescued, &mut recovered)?;
    put_right(data, &engine, before.as_ref(), &rescued, &mut recovered).inspect_err(|error| note_damage(dir, error))?;

    let mut head = Head { device, place: here, clean: false, workspaces: BTreeMap::new() };
    next_head(&engine, before.as_ref(), &mut head, !rescue_is_damaged, &mut recovered, fresh_pair)?;
    // Mostly after a kill; the folder was synced when the tables were opened.
    if before.as_ref() != Some(&head) {
        head.write(dir).map_err(failed)?;
    }
    Ok(Opened { engine, head, recovered })
}

impl Recovered {
    fn new(start: Start) -> Self {
        let (aside, damage, kept, lost) = (None, None, Vec::new(), Vec::new());
        Self { start, aside, damage, unreadable: 0, kept, runs: 0, events: 0, lost, fresh: 0 }
    }
}

fn start(found: &HeadFile, data: &DataDir, here: &Place, device: DeviceKey) -> Start {
    match found {
        HeadFile::Absent if !data.has_tables() => Start::First,
        HeadFile::Absent | HeadFile::Damaged => Start::NoHead,
        HeadFile::Whole(head) if head.device != device => Start::NoHead,
        HeadFile::Whole(head) if !here.is_same_copy(&head.place) => Start::Copied,
        HeadFile::Whole(head) if head.clean && data.has_tables() => Start::Clean,
        HeadFile::Whole(head) if head.clean => Start::Changed,
        HeadFile::Whole(head) if here.is_same_boot(&head.place) => Start::Killed,
        HeadFile::Whole(_) => Start::PowerCut,
    }
}

/// Whether the tables are those that were left in good order.
fn is_as_said(engine: &FjallEngine, head: &Head) -> Result<bool, EngineError> {
    let listed = registry::entries(engine)?;
    let mut same = listed.len() == head.workspaces.len();
    for (number, entry) in &listed {
        let Some(known) = head.workspaces.get(&entry.id) else { return Ok(false) };
        same &= known.number == *number && known.runs == log::next_arrival(engine, *number)?;
        for tip in known.tips.values() {
            same = same && is_tip_at(engine, *number, tip)?;
        }
    }
    Ok(same)
}

/// Runs of workspaces that were removed from the node stay removed.
fn of_known_workspaces(mut entries: Vec<Entry>, before: Option<&Head>) -> Vec<Entry> {
    if let Some(before) = before {
        entries.retain(|entry| before.workspaces.contains_key(&entry.workspace));
    }
    entries
}

/// The head, and what was written since it was: the rescue file names it.
fn with_rescued(mut head: Head, rescued: &[Entry]) -> Head {
    for Entry { workspace, arrival, last, .. } in rescued {
        let Some(workspace) = head.workspaces.get_mut(workspace) else { continue };
        let tip = Tip { arrival: *arrival, seq: last.seq, id: last.id };
        let known = workspace.tips.entry(last.chain.number).or_insert(tip);
        if known.seq < tip.seq {
            *known = tip;
        }
    }
    head
}

/// Opens the tables; those that do not open are replaced by new ones, with every run that can be found.
fn open_tables(
    data: &DataDir,
    options: Options,
    before: Option<&Head>,
    rescued: &[Entry],
    recovered: &mut Recovered,
) -> Result<FjallEngine, EngineError> {
    recovered.kept = data.mend()?.kept;
    let detail = match data.open(options) {
        Ok(engine) if !lacks_workspaces(&engine, before)? => return Ok(engine),
        Ok(_closed) => "workspaces are missing in the tables".to_owned(),
        Err(EngineError::Damaged { detail, .. }) => detail,
        Err(error) => return Err(error),
    };
    let engine = data.rebuild(options)?;
    let mut repair = Repair::new(&engine, before);
    let mut unreadable = 0;
    repair.offer_all(&mut |offer| {
        unreadable = data.salvage(offer)?;
        Ok(())
    })?;
    repair.offer_all(&mut |offer| {
        for entry in rescued {
            if let Ok(run) = Run::decode(&entry.run) {
                offer(&entry.run, run);
            }
        }
        Ok(())
    })?;
    repair.finish(recovered)?;
    engine.flush()?;
    drop(engine);
    let aside = data.swap()?;
    // Tables that nothing was ever written to are what a crash of the very first start leaves.
    if before.is_some() || recovered.runs > 0 {
        (recovered.aside, recovered.damage, recovered.unreadable) = (Some(aside), Some(detail), unreadable);
    }
    data.open(options)
}

/// Whether workspaces that were written are not even listed: fjall opens also where its folders are gone.
fn lacks_workspaces(engine: &FjallEngine, before: Option<&Head>) -> Result<bool, EngineError> {
    let numbers = numbers(engine)?;
    let mut written = before.into_iter().flat_map(|head| &head.workspaces).filter(|(_, head)| !head.tips.is_empty());
    Ok(written.any(|(id, _)| !numbers.contains_key(id)))
}

/// Puts runs that are missing into the logs.
///
/// Input: runs, in any order and number, by [`Repair::offer_all`] and [`Repair::offer_missing`]. Then
/// [`Repair::finish`]. A crash on the way leaves runs in the spool, which is emptied first.
struct Repair<'a> {
    engine: &'a FjallEngine,
    before: Option<&'a Head>,
    spooled: u64,
}

/// Takes a run, as it is stored and decoded.
type Offer<'o> = dyn FnMut(&[u8], Run) + 'o;

impl<'a> Repair<'a> {
    fn new(engine: &'a FjallEngine, before: Option<&'a Head>) -> Self {
        Self { engine, before, spooled: 0 }
    }

    /// Takes every run that `find` hands out, if its workspace is known or none is. They are sorted on the disk.
    fn offer_all(
        &mut self,
        find: &mut dyn FnMut(&mut Offer<'_>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let (mut batch, mut bytes, mut done) = (Batch::default(), 0, Ok(()));
        find(&mut |stored, run| {
            let (first, last) = ends(&run);
            let known = |head: &Head| head.workspaces.contains_key(&first.workspace);
            if done.is_err() || !self.before.is_none_or(known) {
                return;
            }
            batch.put(Table::Log, spool_key(first.lamport, last), stored);
            self.spooled += 1;
            bytes += stored.len();
            if bytes >= BATCH_BYTES {
                bytes = 0;
                done = self.engine.commit(std::mem::take(&mut batch), Durability::Buffered);
            }
        })?;
        done?;
        self.engine.commit(batch, Durability::Buffered)
    }

    /// Takes the own runs that the log should have and has not.
    fn offer_missing(&mut self, rescued: &[Entry]) -> Result<(), EngineError> {
        let numbers = numbers(self.engine)?;
        let mut by_workspace: BTreeMap<WorkspaceId, Vec<&Entry>> = BTreeMap::new();
        for entry in rescued {
            by_workspace.entry(entry.workspace).or_default().push(entry);
        }
        for (workspace, entries) in by_workspace {
            let there = match numbers.get(&workspace) {
                // The log is written in order: where the last is, all are.
                Some(number) if is_at(self.engine, *number, entries.last().expect("grouped"))? => continue,
                Some(number) => last_events(self.engine, *number)?.into_keys().collect(),
                None => BTreeSet::new(),
            };
            let missing = entries.into_iter().filter(|entry| !there.contains(&entry.last.id));
            self.offer_all(&mut |offer| {
                for entry in missing.clone() {
                    if let Ok(run) = Run::decode(&entry.run) {
                        offer(&entry.run, run);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Appends what is new of it to the logs, lists its workspaces, and has their views built anew.
    fn finish(&mut self, recovered: &mut Recovered) -> Result<(), EngineError> {
        let (from, to) = (SPOOL.to_be_bytes(), prefix_end(&SPOOL.to_be_bytes()));
        let mut logs: BTreeMap<WorkspaceId, Log> = BTreeMap::new();
        let (mut batch, mut bytes) = (Batch::default(), 0);
        let snapshot = self.engine.snapshot();
        let mut spool = snapshot.range(Table::Log, &from, to.as_deref()).peekable();
        if spool.peek().is_none() {
            return Ok(());
        }
        for row in spool {
            let (_, stored) = row?;
            let run = Run::decode_trusted(&stored).expect("verified before it came here");
            let (first, last) = ends(&run);
            let log = match logs.entry(first.workspace) {
                Slot::Occupied(log) => log.into_mut(),
                Slot::Vacant(slot) => slot.insert(self.log(first.workspace)?),
            };
            if !log.there.insert(last) {
                continue;
            }
            recovered.runs += 1;
            recovered.events += run.events().len() as u64;
            bytes += stored.len();
            batch.put(Table::Log, log::key(log.number, log.next), &*stored);
            log.next += 1;
            log.grew = true;
            if bytes >= BATCH_BYTES {
                bytes = 0;
                self.engine.commit(std::mem::take(&mut batch), Durability::Buffered)?;
            }
        }
        self.engine.commit(batch, Durability::Synced)?;
        for (_, log) in logs.into_iter().filter(|(_, log)| log.grew) {
            store::distrust(self.engine, log.number)?;
        }
        self.engine.drop_prefix(Table::Log, &from)
    }

    /// The log of a workspace, which is listed if it was not.
    fn log(&self, workspace: WorkspaceId) -> Result<Log, EngineError> {
        let number = list(self.engine, workspace, self.before)?;
        let (there, next) =
            (last_events(self.engine, number)?.into_keys().collect(), log::next_arrival(self.engine, number)?);
        Ok(Log { number, next, there, grew: false })
    }
}

/// The log of a workspace that runs are put back into.
struct Log {
    number: u32,
    next: u64,
    there: BTreeSet<EventId>,
    grew: bool,
}

fn spool_key(lamport: u64, last: EventId) -> Vec<u8> {
    [&SPOOL.to_be_bytes()[..], &lamport.to_be_bytes(), &last.0].concat()
}

struct First {
    workspace: WorkspaceId,
    lamport: u64,
}

fn ends(run: &Run) -> (First, EventId) {
    let (first, last) = (run.events().first(), run.events().last());
    let (first, last) = (first.expect("a run has events").header(), last.expect("a run has events").id());
    (First { workspace: first.workspace, lamport: first.lamport }, last)
}

fn numbers(engine: &FjallEngine) -> Result<BTreeMap<WorkspaceId, u32>, EngineError> {
    Ok(registry::entries(engine)?.into_iter().map(|(number, listed)| (listed.id, number)).collect())
}

fn is_at(engine: &FjallEngine, number: u32, entry: &Entry) -> Result<bool, EngineError> {
    Ok(engine.get(Table::Log, &log::key(number, entry.arrival))?.is_some_and(|run| run == entry.run))
}

/// The last events of all runs of a log.
fn last_events(engine: &FjallEngine, number: u32) -> Result<BTreeMap<EventId, u64>, EngineError> {
    let last = |run: &[u8]| ends(&Run::decode_trusted(run).expect("what is in the log was checked")).1;
    log::runs_from(engine, number, 0).map(|run| run.map(|(arrival, run)| (last(&run), arrival))).collect()
}

/// The number of a workspace; it is listed if it is not.
fn list(engine: &FjallEngine, workspace: WorkspaceId, before: Option<&Head>) -> Result<u32, EngineError> {
    let listed = registry::entries(engine)?;
    if let Some((number, _)) = listed.iter().find(|(_, entry)| entry.id == workspace) {
        return Ok(*number);
    }
    let head = before.and_then(|head| head.workspaces.get(&workspace));
    let is_free = |number: &u32| listed.iter().all(|(taken, _)| taken != number);
    let number = match head.map(|head| head.number).filter(|number| *number > 0 && is_free(number)) {
        Some(number) => number,
        None => registry::free_number(engine)?,
    };
    let mut batch = Batch::default();
    registry::put(&mut batch, number, &Listed { id: workspace, left: head.is_some_and(|head| head.left) });
    engine.commit(batch, Durability::Synced)?;
    Ok(number)
}

/// Lists workspaces whose log is there and whose place on the list is not, unless they were being removed.
fn list_lost_logs(engine: &FjallEngine, before: Option<&Head>) -> Result<(), EngineError> {
    let listed: BTreeSet<u32> = registry::entries(engine)?.into_iter().map(|(number, _)| number).collect();
    for number in registry::numbers_with_logs(engine)?.into_iter().filter(|number| !listed.contains(number)) {
        let Some(first) = log::runs_from(engine, number, 0).next().transpose()? else { continue };
        let workspace = ends(&Run::decode_trusted(&first.1).expect("what is in the log was checked")).0.workspace;
        let known = before.is_none_or(|head| head.workspaces.contains_key(&workspace));
        if known && !numbers(engine)?.contains_key(&workspace) {
            let left = before.and_then(|head| head.workspaces.get(&workspace)).is_some_and(|head| head.left);
            let mut batch = Batch::default();
            registry::put(&mut batch, number, &Listed { id: workspace, left });
            engine.commit(batch, Durability::Synced)?;
        }
    }
    Ok(())
}

/// Decides for each workspace which pair of chains is written from now on.
fn next_head(
    engine: &FjallEngine,
    before: Option<&Head>,
    head: &mut Head,
    rescue_is_whole: bool,
    recovered: &mut Recovered,
    fresh_pair: &mut dyn FnMut() -> u32,
) -> Result<(), EngineError> {
    for (number, listed) in registry::entries(engine)? {
        let known = before.and_then(|head| head.workspaces.get(&listed.id)).cloned();
        let mut next = known.clone().unwrap_or_default();
        let (missing, proved) = match &known {
            Some(_) => prove(engine, number, &mut next, rescue_is_whole, recovered)?,
            None => (0, false),
        };
        if missing > 0 {
            recovered.lost.push((listed.id, missing));
        }
        if !proved {
            (next.pair, next.synced) = (fresh_pair() & !1, false);
            recovered.fresh += 1;
        }
        (next.number, next.left) = (number, listed.left);
        head.workspaces.insert(listed.id, next);
    }
    for (id, gone) in before.into_iter().flat_map(|head| &head.workspaces) {
        if !head.workspaces.contains_key(id) && !gone.tips.is_empty() {
            recovered.lost.push((*id, gone.tips.len() as u64));
        }
    }
    Ok(())
}

/// How many own chains end too early, and whether the node may go on with its chains. Tips that are elsewhere in the log
/// are found there from now on.
fn prove(
    engine: &FjallEngine,
    number: u32,
    known: &mut WorkspaceHead,
    rescue_is_whole: bool,
    recovered: &Recovered,
) -> Result<(u64, bool), EngineError> {
    let mut there = None;
    let mut missing = 0;
    for tip in known.tips.values_mut() {
        if !is_tip_at(engine, number, tip)? {
            // Runs that were put back have other numbers.
            let all = match &there {
                Some(all) => all,
                None => there.insert(last_events(engine, number)?),
            };
            match all.get(&tip.id) {
                Some(arrival) => tip.arrival = *arrival,
                None => missing += 1,
            }
        }
    }
    let all_there = missing == 0 && recovered.aside.is_none();
    let as_it_was = all_there && recovered.runs == 0 && recovered.kept.is_empty();
    // Nobody was told of a run of such a pair that was in the log and the rescue file only for a while: what both have
    // now is what was said.
    let said = all_there && known.synced && rescue_is_whole;
    let proved = match recovered.start {
        Start::Clean => as_it_was,
        Start::Killed => as_it_was || said,
        Start::PowerCut => said,
        Start::First | Start::Copied | Start::NoHead | Start::Changed => false,
    };
    Ok((missing, proved))
}

fn is_tip_at(engine: &FjallEngine, number: u32, tip: &Tip) -> Result<bool, EngineError> {
    let run = engine.get(Table::Log, &log::key(number, tip.arrival))?;
    let run = run.and_then(|run| Run::decode_trusted(&run).ok());
    Ok(run.is_some_and(|run| ends(&run).1 == tip.id))
}

/// The refusal of the operating system, as the tables tell it.
pub(crate) fn io_error(dir: &Path, source: io::Error) -> EngineError {
    EngineError::Io { path: dir.into(), source }
}
