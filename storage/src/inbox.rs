//! The inbox: what somebody has to look at. Refusals, conflicts, removals that lost against an edit, designs that do not
//! fit the records, and what waits.

use crate::{
    EngineError,
    engine::{Read, Table, prefix_end},
    fold::{
        incremental::{Prefix, RefusedEvent, RefusedPlace},
        record::{Removal, Sibling, is_conflict},
    },
    query::Reader,
    record_row,
    rehearsal::Reported,
};
use std::{collections::BTreeSet, fmt};
use tandem_wire::{CellKey, EventId, EventRef, ListId, MemberId, OpRef, PartPath, RecordId, RecordKey};

/// One thing to look at.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A cell was given several values side by side.
    Conflict {
        /// The cell.
        cell: CellKey,
        /// What it was given: the winner, which is shown, first.
        siblings: Vec<Sibling>,
    },
    /// A record was removed by somebody who had not seen an edit of it: it stays.
    DeleteLost {
        /// The record.
        record: RecordKey,
        /// The removals.
        removals: Vec<Removal>,
    },
    /// A server refused an event, and nobody has answered that.
    Refused(Box<Refusal>),
    /// A server proposed a design, and a rehearsal of it failed; it is here until the server proposes another one.
    DesignFailed(Box<FailedDesign>),
    /// Changes wait for their record to be made: what made it is not here, or is masked.
    Waiting {
        /// The record.
        record: RecordKey,
        /// The events that wait.
        events: BTreeSet<EventRef>,
    },
    /// An event waits for others that have not come.
    Held {
        /// The event.
        event: EventId,
    },
}

/// A refused event, with everything that a person needs to put it right.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The event: who wrote it, when, what; and why it was refused.
    pub refused: RefusedEvent,
    /// Who was asked to put it right.
    pub handed_to: BTreeSet<MemberId>,
    /// Where the list goes on behind it.
    pub place: RefusedPlace,
}

/// A proposed design that does not fit the records that somebody has.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedDesign {
    /// The proposal.
    pub proposal: OpRef,
    /// It counts nevertheless: another node merged it, which had not heard of the failure.
    pub is_merged: bool,
    /// The rehearsals that failed.
    pub failures: Vec<FailedRehearsal>,
}

/// See [`FailedDesign::failures`].
#[derive(Debug, Clone, PartialEq)]
pub struct FailedRehearsal {
    /// The event that tells of it.
    pub event: EventRef,
    /// When it was written, in milliseconds since 1970.
    pub wall_ms: u64,
    /// What was found; nothing where it cannot be read.
    pub report: Option<Reported>,
}

/// Names an entry, for as long as what it is about is in the inbox. Equal on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(pub [u8; 8]);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Entry {
    /// See [`EntryId`].
    pub fn id(&self) -> EntryId {
        let mut hasher = blake3::Hasher::new();
        match self {
            Self::Conflict { cell, .. } => {
                let CellKey { record, field, part } = cell;
                hasher.update(b"c").update(&record.list.0).update(&record.record.0).update(&field.0);
                for step in part.steps() {
                    hasher.update(&[step.len() as u8]).update(step);
                }
            }
            Self::DeleteLost { record, .. } => {
                hasher.update(b"d").update(&record.list.0).update(&record.record.0);
            }
            Self::Refused(refusal) => {
                hasher.update(b"r").update(&refusal.refused.event.id.0);
            }
            Self::DesignFailed(failed) => {
                let OpRef { chain, seq, op, tag } = failed.proposal;
                hasher.update(b"f").update(&chain.device.0).update(&chain.number.to_be_bytes());
                hasher.update(&seq.to_be_bytes()).update(&op.to_be_bytes()).update(&tag.0);
            }
            Self::Waiting { record, .. } => {
                hasher.update(b"w").update(&record.list.0).update(&record.record.0);
            }
            Self::Held { event } => {
                hasher.update(b"h").update(&event.0);
            }
        }
        EntryId(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes"))
    }

    /// The record that it is about.
    pub fn record(&self) -> Option<RecordKey> {
        match self {
            Self::Conflict { cell, .. } => Some(cell.record),
            Self::DeleteLost { record, .. } | Self::Waiting { record, .. } => Some(*record),
            Self::Refused(refusal) => refusal.refused.record,
            Self::Held { .. } | Self::DesignFailed(_) => None,
        }
    }
}

impl<R: Read> Reader<R> {
    /// Refused events that nobody has answered, the newest first, from the beginning or behind a place: at most so many.
    pub fn refusals(&self, after: Option<RefusedPlace>, limit: usize) -> Result<Vec<Refusal>, EngineError> {
        let all = self.fold().refused(self.rows(), after).take(limit);
        all.map(|refused| {
            let (place, refused) = refused?;
            Ok(Refusal { refused, handed_to: self.fold().handed_to(self.rows(), place.event)?, place })
        })
        .collect()
    }

    /// The newest proposal of each server that judges now, where a rehearsal of it failed.
    fn failed_designs(&self) -> impl Iterator<Item = FailedDesign> {
        let (fold, proposals) = (self.fold(), &self.design().proposals);
        let newest = self.design().newest_proposals();
        let present = newest.filter(|it| fold.present_terms().any(|term| term.chain() == it.chain));
        present.filter(|proposal| !proposals[proposal].failed.is_empty()).map(|proposal| {
            let state = &proposals[&proposal];
            let told = fold.control().flat_map(|control| {
                let ops = (0..control.event.header().ops.len()).map(|op| op as u16);
                ops.map(|op| (op, &control.event))
            });
            let failures = told.filter(|(op, event)| state.failed.contains(&event.op_ref(*op)));
            let failures = failures.map(|(op, event)| FailedRehearsal {
                event: event.reference(),
                wall_ms: event.header().wall_ms,
                report: event.body(usize::from(op)).and_then(Reported::from_bytes),
            });
            FailedDesign { proposal, is_merged: state.merged.is_some(), failures: failures.collect() }
        })
    }

    /// Everything in the inbox: refusals first, the newest of them, then designs, then by list and record, the events that
    /// wait last. Costs a look at every record.
    pub fn inbox(&self) -> Result<Vec<Entry>, EngineError> {
        self.inbox_with(usize::MAX)
    }

    /// The same, with at most so many refusals, and one more that shows that there are more.
    pub fn inbox_with(&self, refusals_max: usize) -> Result<Vec<Entry>, EngineError> {
        let refusals = self.refusals(None, refusals_max.saturating_add(1))?.into_iter();
        let mut entries: Vec<Entry> = refusals.map(|refusal| Entry::Refused(Box::new(refusal))).collect();
        entries.extend(self.failed_designs().map(|failed| Entry::DesignFailed(Box::new(failed))));
        for list in self.design().lists() {
            self.inbox_of(list, &mut entries)?;
        }
        let held = self.fold().control_view(self.rows())?.held;
        entries.extend(held.into_iter().map(|event| Entry::Held { event }));
        Ok(entries)
    }

    fn inbox_of(&self, list: ListId, entries: &mut Vec<Entry>) -> Result<(), EngineError> {
        let prefix: Prefix = self.fold().prefix();
        let from = [&prefix.bytes()[..], &list.0].concat();
        for row in self.rows().range(Table::Records, &from, prefix_end(&from).as_deref()) {
            let (key, row) = row?;
            if !record_row::has_several_events(&row) && record_row::exists(&row) {
                continue;
            }
            let record = RecordKey { list, record: RecordId(*key.last_chunk().expect("keys are our own")) };
            let mut state = record_row::decode(&row);
            self.design().lenses().show_state(list, &mut state);
            if state.is_held() {
                let stamps = state.deletes.iter().map(|removal| &removal.stamp).chain(
                    state
                        .restores
                        .iter()
                        .map(|edit| &edit.stamp)
                        .chain(state.cells.values().flatten().map(|sibling| &sibling.stamp)),
                );
                entries.push(Entry::Waiting { record, events: stamps.map(|stamp| stamp.event).collect() });
            }
            if !state.exists() {
                continue;
            }
            let removals: Vec<Removal> = state.losing_deletes().cloned().collect();
            if !removals.is_empty() {
                entries.push(Entry::DeleteLost { record, removals });
            }
            for ((field, part), siblings) in state.cells.into_iter().filter(|(_, siblings)| is_conflict(siblings)) {
                let part: PartPath = part;
                entries.push(Entry::Conflict { cell: CellKey { record, field, part }, siblings });
            }
        }
        Ok(())
    }
}
