//! Events that cannot be applied: found out, kept in the log, and passed over, so that the rest goes on.
//!
//! An event that makes the program panic or abort would do so at each start, on every member's machine. So before a
//! batch of the log is applied, its place goes to a marker file, which is taken away when all is applied. Who finds the
//! marker of a batch applies that batch event by event, each with a marker of its own; who finds the marker of an event
//! fences it. An event is at fault when it was there at two starts in a row.
//!
//! What is fenced has a row; a program with other rules tries it again, and so does a rebuild that somebody asks for.
//! Events that build on it are held, as if it had not come yet.

use crate::{
    engine::{Batch, Durability, Engine, EngineError, Table, prefix_end},
    fold::incremental::LogPlace,
};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};
use tandem_wire::Event;

/// Watches what is applied to the views of one workspace.
///
/// [`Fence::load`] first. For each batch [`Fence::begin`], for each event of it [`Fence::passes_over`]; at the end
/// [`Fence::done`]. A marker need not be synced: a power cut is no fault of an event.
pub struct Fence {
    marker: Option<PathBuf>,
    found: Option<Mark>,
    careful: bool,
    batch: u64,
    fenced: BTreeSet<Place>,
    probe: fn(&Event),
}

/// Number of the run, and of the event in it.
type Place = (u64, u16);

/// What was about to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The batch from this run on.
    Batch(u64),
    /// One event of the batch from this run on.
    Event(u64, Place),
}

impl Fence {
    /// For tables without a directory: nothing is marked.
    pub fn none() -> Self {
        let (marker, found, fenced) = (None, None, BTreeSet::new());
        Self { marker, found, careful: false, batch: 0, fenced, probe: |_| {} }
    }

    /// For the workspace with this number on the node in `dir`.
    pub fn in_dir(dir: &Path, workspace: u32) -> Self {
        Self { marker: Some(dir.join(format!("applying.{workspace}"))), ..Self::none() }
    }

    /// Calls `probe` before each event is applied: a place for planted faults.
    #[must_use]
    pub fn with_probe(self, probe: fn(&Event)) -> Self {
        Self { probe, ..self }
    }

    /// The places of fenced events.
    pub fn places(&self) -> impl Iterator<Item = LogPlace> + '_ {
        self.fenced.iter().map(|(arrival, index)| LogPlace { arrival: *arrival, index: *index })
    }

    /// Reads what is fenced, by this program's rules `made_by`, and fences what the marker names.
    pub fn load<E: Engine>(&mut self, engine: &E, workspace: u32, made_by: (u32, u32)) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        let prefix = prefix(workspace);
        for row in engine.range(Table::Meta, &prefix, prefix_end(&prefix).as_deref()) {
            let (key, by) = row?;
            match by == version(made_by) {
                true => drop(self.fenced.insert(place_of(&key))),
                false => batch.delete(Table::Meta, &*key),
            }
        }
        self.found = self.marker.as_deref().and_then(|path| parse(&fs::read_to_string(path).ok()?));
        if let Some(Mark::Event(from, place)) = self.found {
            self.fenced.insert(place);
            self.found = Some(Mark::Batch(from));
            batch.put(Table::Meta, key(workspace, place), version(made_by));
        }
        if batch.is_empty() { Ok(()) } else { engine.commit(batch, Durability::Synced) }
    }

    /// Fences nothing any more; what cannot be applied shows again.
    pub fn lift<E: Engine>(&mut self, engine: &E, workspace: u32) -> Result<(), EngineError> {
        self.fenced.clear();
        engine.drop_prefix(Table::Meta, &prefix(workspace))
    }

    /// Whether something was being applied when the program ended, and has not been applied since.
    pub fn is_careful(&self) -> bool {
        self.found.is_some()
    }

    /// Before a batch that begins with the run `arrival`.
    pub fn begin(&mut self, arrival: u64) -> io::Result<()> {
        self.batch = arrival;
        self.careful = self.found == Some(Mark::Batch(arrival));
        self.mark(Mark::Batch(arrival))
    }

    /// Before each event: whether it is to be left out.
    pub fn passes_over(&self, at: LogPlace, event: &Event) -> io::Result<bool> {
        let place = (at.arrival, at.index);
        if self.fenced.contains(&place) {
            return Ok(true);
        }
        if self.careful {
            self.mark(Mark::Event(self.batch, place))?;
        }
        (self.probe)(event);
        Ok(false)
    }

    /// Everything is applied.
    pub fn done(&mut self) -> io::Result<()> {
        self.found = None;
        match self.marker.as_deref().map(fs::remove_file) {
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn mark(&self, mark: Mark) -> io::Result<()> {
        let text = match mark {
            Mark::Batch(from) => format!("batch {from}\n"),
            Mark::Event(from, (arrival, index)) => format!("event {from} {arrival} {index}\n"),
        };
        self.marker.as_deref().map_or(Ok(()), |path| fs::write(path, text))
    }
}

/// A marker that a crash cut off is none: without its line end it says nothing.
fn parse(text: &str) -> Option<Mark> {
    let mut words = text.strip_suffix('\n')?.split(' ');
    let kind = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let from = number()?;
    match kind {
        "batch" => Some(Mark::Batch(from)),
        "event" => Some(Mark::Event(from, (number()?, u16::try_from(number()?).ok()?))),
        _ => None,
    }
}

fn prefix(workspace: u32) -> Vec<u8> {
    [&workspace.to_be_bytes()[..], b"fenced"].concat()
}

fn key(workspace: u32, (arrival, index): Place) -> Vec<u8> {
    [&prefix(workspace)[..], &arrival.to_be_bytes(), &index.to_be_bytes()].concat()
}

fn place_of(key: &[u8]) -> Place {
    let (rest, index) = key.split_last_chunk().expect("keys are our own");
    (u64::from_be_bytes(*rest.last_chunk().expect("keys are our own")), u16::from_be_bytes(*index))
}

fn version((fold, rows): (u32, u32)) -> Vec<u8> {
    [fold.to_be_bytes(), rows.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryEngine;

    #[test]
    fn a_marker_says_all_or_nothing() {
        for mark in [Mark::Batch(0), Mark::Batch(77), Mark::Event(4, (5, 6)), Mark::Event(0, (u64::MAX, u16::MAX))] {
            let dir = tempfile::tempdir().unwrap();
            let fence = Fence::in_dir(dir.path(), 3);
            fence.mark(mark).unwrap();
            let text = fs::read_to_string(dir.path().join("applying.3")).unwrap();
            assert_eq!(parse(&text), Some(mark));
            (0..text.len()).for_each(|cut| assert_eq!(parse(&text[..cut]), None, "{:?}", &text[..cut]));
        }
    }

    #[test]
    fn a_fence_holds_until_the_rules_change_or_it_is_lifted() {
        let (dir, engine) = (tempfile::tempdir().unwrap(), MemoryEngine::default());
        let load = |made_by: (u32, u32)| {
            let mut fence = Fence::in_dir(dir.path(), 1);
            fence.load(&engine, 1, made_by).unwrap();
            fence
        };
        let places = |fence: &Fence| fence.places().map(|at| (at.arrival, at.index)).collect::<Vec<_>>();
        load((1, 1)).mark(Mark::Event(2, (3, 4))).unwrap();
        let mut fence = load((1, 1));
        assert_eq!(places(&fence), [(3, 4)]);
        fence.done().unwrap();
        assert_eq!(places(&load((1, 1))), [(3, 4)]);
        assert_eq!(places(&load((1, 2))), []);
        assert_eq!(places(&load((1, 1))), [], "and it stays off");
        load((1, 1)).mark(Mark::Event(2, (3, 5))).unwrap();
        let mut fence = load((1, 1));
        fence.lift(&engine, 1).unwrap();
        fence.done().unwrap();
        assert_eq!(places(&load((1, 1))), []);
    }
}
