//! A node tries the designs that are proposed to it, step by step beside all else.

use super::{
    designs,
    peer::{Done, Peer, Step, Work},
    planted_designs,
};
use crate::{disk::Disk, planted::Planted};
use tandem_actors::workspace::Ended;
use tandem_storage::{
    EngineError, Store,
    engine::{Read, Table, prefix_end},
    rehearsal::Reported,
};
use tandem_wire::TableDigest;

/// Rows that are looked at in one step of a rehearsal: few, so that much comes between.
const ROWS_PER_STEP: usize = 3;

/// What a node has and shows, as it must be still when a rehearsal that began then has failed.
pub(super) type Live = (TableDigest, [u8; 32]);

impl Peer {
    /// Begins the rehearsal that is due.
    pub(super) fn see_to_designs(&mut self) -> Result<(), EngineError> {
        let Some(core) = &mut self.core else { return Ok(()) };
        if self.rehearsing.is_none()
            && let Some(mut rehearsing) = core.begin_due_rehearsal()?
        {
            let live = live(core.store());
            if self.planted == Some(Planted::PendingSkipped) {
                rehearsing.clone_again(&planted_designs::without_pending(core.store(), core.device()));
            }
            self.rehearsing = Some((rehearsing, live));
        }
        Ok(())
    }

    /// A step of trying a design, and at last what is told of it.
    pub(super) fn rehearse(&mut self, clock_ms: u64) -> Result<Done, EngineError> {
        let (Some(core), Some((mut rehearsing, before))) = (&mut self.core, self.rehearsing.take()) else {
            return Ok(Done::Idle);
        };
        let is_planted = |planted| self.planted == Some(planted);
        let is_cut_short = is_planted(Planted::HalfFlipped) && rehearsing.has_seen_all();
        if !is_cut_short && rehearsing.step(&self.disk, ROWS_PER_STEP)? {
            if is_planted(Planted::CloneShared) {
                rehearsing.clone_again(&self.disk);
            }
            self.rehearsing = Some((rehearsing, before));
            return Ok(Done::Step("rehearse"));
        }
        if is_planted(Planted::IndexNotRebuilt) {
            planted_designs::keep_old_entries(core.store(), rehearsing.indexes());
        }
        if is_planted(Planted::NotBroughtUp) {
            core.changed_meanwhile();
        }
        if !rehearsing.fits() {
            let is_alike = before.0 != core.store().fold().version_table().digest() || live(core.store()) == before;
            self.is_changed_by_a_failure |= !is_alike;
            if is_planted(Planted::FailedMerged) {
                rehearsing.pretend();
            }
        }
        let proposal = rehearsing.proposal();
        let lacks_some = designs::lacks_some(core.store().fold(), &proposal);
        let design = rehearsing.design().clone();
        let afresh = self.is_watched.then(|| core.store().rehearsed(design.clone())).transpose()?;
        let Some(Ended { mut group, fits, reported }) = core.end_of_rehearsal(rehearsing, clock_ms)? else {
            // Perhaps the design has changed, and it is another one now.
            self.see_to_designs()?;
            return Ok(Done::Step("given-up"));
        };
        if let Some(afresh) = afresh.map(|report| report.reported(&design, 0)) {
            let afresh = Reported { pending: reported.pending, held: reported.held, ..afresh };
            self.misreported = (reported != afresh).then(|| format!("{reported:?}, but afresh {afresh:?}"));
        }
        // What it finds when it tries again counts.
        for (is_so, of) in [(!fits, &mut self.unfit), (lacks_some, &mut self.lacking)] {
            match is_so {
                true => of.insert(proposal),
                false => of.remove(&proposal),
            };
        }
        let name = match group.answers.first() {
            Some(Ok(done)) if done.events.is_empty() => "merged-already",
            _told => "rehearsed",
        };
        let log = std::mem::take(&mut group.log);
        if !log.is_empty() {
            self.has_merged = fits;
            let group = Some(Box::new(group));
            self.work = Some(Work::Verdicts { step: Step::Append, log, group, then: None });
        }
        Ok(Done::Step(name))
    }
}

/// What a node shows: its records and the entries of the indexes that serve queries.
fn live(store: &Store<Disk>) -> Live {
    let mut hasher = blake3::Hasher::new();
    let engine = store.engine();
    let prefix = store.fold().prefix().bytes();
    let indexes = store.views().indexes;
    let of_index = indexes.iter().map(|index| (Table::Index, index.prefix(store.fold().prefix())));
    let tables = [(Table::Records, prefix.to_vec()), (Table::History, prefix.to_vec())]
        .into_iter()
        .chain(of_index.collect::<Vec<_>>());
    for (table, start) in tables {
        for pair in engine.range(table, &start, prefix_end(&start).as_deref()) {
            let (key, row) = pair.expect("memory can be read");
            hasher.update(&key).update(&row);
        }
    }
    (store.fold().version_table().digest(), *hasher.finalize().as_bytes())
}
