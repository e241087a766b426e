//! What the folds give, in one comparable shape.

use super::{Design, Members, RecordState, Status, Terms, refusals::Refusals};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{ChainId, DeviceKey, EventId, MemberId, OpRef, RecordKey, Role};

/// Version of the rules: part of every digest, so that views of different versions never seem equal.
pub const FOLD_VERSION: u32 = 3;

/// The whole meaning of a set of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Everything that is not a record.
    pub control: ControlView,
    /// Every record that any op is about.
    pub records: BTreeMap<RecordKey, RecordState>,
}

/// The meaning of the control plane, and what takes no part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlView {
    /// Present and former owners.
    pub owners: Vec<DeviceKey>,
    /// Names of the effective bindings.
    pub terms: Vec<OpRef>,
    /// Owners and managers by seniority.
    pub seniority: Vec<DeviceKey>,
    /// Every role change that has effect.
    pub grants: BTreeSet<(DeviceKey, EventId, u16, Option<Role>)>,
    /// The current design.
    pub design: Design,
    /// Valid events that are not live.
    pub masked: BTreeMap<EventId, Status>,
    /// Events that mirrors refused, whatever became of them.
    pub mirrored: BTreeMap<EventId, Refusals>,
    /// Events that were given up, or that others were put in place of.
    pub answered: BTreeSet<EventId>,
    /// Events that somebody was asked to put right: the event, by which other event, who.
    pub handed: BTreeSet<(EventId, EventId, MemberId)>,
    /// Events that wait for others.
    pub held: BTreeSet<EventId>,
    /// Places with more than one valid event.
    pub forks: BTreeSet<(ChainId, u64)>,
}

/// What became of the events that take no part, or that somebody should look at.
#[derive(Debug, Clone, Default)]
pub struct Fates {
    /// See [`ControlView::masked`].
    pub masked: BTreeMap<EventId, Status>,
    /// See [`ControlView::mirrored`].
    pub mirrored: BTreeMap<EventId, Refusals>,
    /// See [`ControlView::answered`].
    pub answered: BTreeSet<EventId>,
    /// See [`ControlView::handed`].
    pub handed: BTreeSet<(EventId, EventId, MemberId)>,
    /// See [`ControlView::held`].
    pub held: BTreeSet<EventId>,
}

impl ControlView {
    /// Of the given stages.
    pub fn of(terms: &Terms, members: &Members, design: Design, fates: Fates, forks: BTreeSet<(ChainId, u64)>) -> Self {
        let Fates { masked, mirrored, answered, handed, held } = fates;
        let grants = members
            .grants
            .iter()
            .flat_map(|(device, grants)| grants.iter().map(|grant| (*device, grant.event, grant.key.op, grant.role)));
        Self {
            owners: terms.owners.iter().map(|owner| owner.device).collect(),
            terms: terms.terms.iter().map(|term| term.binding).collect(),
            seniority: members.seniority.clone(),
            grants: grants.collect(),
            design,
            masked,
            mirrored,
            answered,
            handed,
            held,
            forks,
        }
    }

    /// Refused events that nobody answered: the inbox lists them.
    pub fn refused(&self) -> BTreeSet<EventId> {
        let masked = self.masked.iter().filter(|(_, status)| status.is_refused()).map(|(event, _)| *event);
        masked.chain(self.mirrored.keys().copied()).filter(|event| !self.answered.contains(event)).collect()
    }
}

/// Hashes a view record by record, in the order of their keys.
pub struct ViewHasher(blake3::Hasher);

impl ViewHasher {
    /// Starts with the control plane.
    pub fn new(control: &ControlView) -> Self {
        let mut hasher = blake3::Hasher::new();
        let bytes = postcard::to_allocvec(&(FOLD_VERSION, control)).expect("a vector takes all bytes");
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
        Self(hasher)
    }

    /// Adds the next record; empty states leave no trace.
    pub fn record(&mut self, key: &RecordKey, state: &RecordState) {
        if *state == RecordState::default() {
            return;
        }
        let bytes = postcard::to_allocvec(&(key, state)).expect("a vector takes all bytes");
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(&bytes);
    }

    /// The digest: equal for equal sets of events, whatever way they came.
    pub fn finish(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

impl View {
    /// See [`ViewHasher::finish`].
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = ViewHasher::new(&self.control);
        for (key, state) in &self.records {
            hasher.record(key, state);
        }
        hasher.finish()
    }
}
