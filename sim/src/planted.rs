//! Faults that a programmer could have made, put in on purpose, to see that the checks can fail.

use crate::{
    disk::{Disk, Tamper},
    node::WORKSPACE,
    options::{Cast, Profile},
    peers::{planted_values, planted_verdicts},
};
use clap::ValueEnum;
use std::{collections::BTreeSet, fmt};
use tandem_actors::{Committed, Refused};
use tandem_storage::{
    engine::{Batch, Durability, Engine, Read, Table},
    fold::{RecordState, incremental::Prefix},
    log, record_row,
};
use tandem_wire::{EventId, Op, Run};

/// One of them. Each is there to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planted {
    /// Answers go out when the log is written, not when it is durable.
    ReleaseBeforeDurable,
    /// The views are committed before the log.
    ViewsBeforeLog,
    /// The views do not say how much of the log they reflect.
    PointerNotAdvanced,
    /// After a crash, durable events that nobody was told of are thrown away, and their places used again.
    SeqReusedAfterCrash,
    /// The runs of a group are committed one by one.
    GroupInPieces,
    /// One row of the views is not written.
    RowLost,
    /// A command that was done is answered with a refusal.
    DoneShownAsRefused,
    /// How much of the log the views reflect is written before them.
    CursorBeforeState,
    /// A node says that it has what the other said, before it has taken it in.
    TableAdopted,
    /// Of several siblings only the winner is saved.
    LoserDropped,
    /// Of several siblings the one that came first wins.
    TieByArrival,
    /// Of a chain that forked only the branch that came first is taken in.
    ForkBranchDropped,
    /// What a cut masks is not noted.
    CutIgnored,
    /// What came from elsewhere is not told to other peers.
    ForwardForgotten,
    /// What waits for other events is forgotten.
    HeldDropped,
    /// What an invalid event names as replaced is replaced.
    PredOutsideThePast,
    /// Siblings of one value are shown as a conflict.
    EqualValuesConflict,
    /// When something is refused, what others wrote into the records at hand goes with it.
    RefusalSpreads,
    /// Verdicts go out when they are written, not when they are durable.
    VerdictBeforeDurable,
    /// What was refused is shown again after a start.
    RefusedReturns,
    /// Verdicts that came from elsewhere are not told to other peers.
    VerdictNotForwarded,
    /// A server that has refused something judges nothing any more until it starts again.
    QueueBlocked,
    /// What a refused value had replaced comes back, though that was replaced itself.
    RefusedNotWalked,
    /// A server judges an event twice.
    SecondVerdict,
    /// On a link that was broken before, what waits for a verdict is not sent again.
    OutboxDropped,
    /// A term's refusals mask also after its end.
    EndedTermBelieved,
    /// What a mirror refuses is masked.
    MirrorMasks,
    /// A design is merged before the entries of its indexes are written.
    HalfFlipped,
    /// A rehearsal looks at rows that go on changing.
    CloneShared,
    /// What changes during a rehearsal is not looked at again.
    NotBroughtUp,
    /// A design is merged whose rehearsal failed.
    FailedMerged,
    /// Values that a new type cannot hold are lost.
    RawLost,
    /// The values of dropped fields are lost.
    RetainedLost,
    /// A rehearsal does not look at records that the node has changed and no server has judged.
    PendingSkipped,
    /// When a field's type changes, its index has the entries of the old one.
    IndexNotRebuilt,
    /// A node that has nothing yet says that a design fits.
    EmptyJoiner,
    /// Who writes a part of a split field writes the whole.
    SplitWrittenWhole,
    /// Of a value that several wrote at once, one part of one's and the others of another's are shown.
    AtomPartsMixed,
    /// A server's operator proposes fields by the names that the server has for them.
    AliasLeaks,
    /// Strings that are no value of their type, or that it would write otherwise, are tidied up.
    UnknownNormalised,
    /// A user's name goes back to the server where it had an address.
    DisplayNameWrittenBack,
    /// What comes from others does not change the indexes by parts.
    PartIndexStale,
    /// New elements of a field are told apart by their number alone.
    ElementLost,
}

impl Planted {
    /// Where it is planted.
    pub fn cast(self) -> Cast {
        match self {
            Self::ReleaseBeforeDurable
            | Self::ViewsBeforeLog
            | Self::PointerNotAdvanced
            | Self::SeqReusedAfterCrash
            | Self::GroupInPieces
            | Self::RowLost
            | Self::DoneShownAsRefused => Cast::Alone,
            Self::CursorBeforeState
            | Self::TableAdopted
            | Self::LoserDropped
            | Self::TieByArrival
            | Self::ForkBranchDropped
            | Self::CutIgnored
            | Self::ForwardForgotten
            | Self::HeldDropped
            | Self::PredOutsideThePast
            | Self::EqualValuesConflict
            | Self::RefusalSpreads
            | Self::VerdictBeforeDurable
            | Self::RefusedReturns
            | Self::VerdictNotForwarded
            | Self::QueueBlocked
            | Self::RefusedNotWalked
            | Self::SecondVerdict
            | Self::OutboxDropped
            | Self::EndedTermBelieved
            | Self::MirrorMasks
            | Self::HalfFlipped
            | Self::CloneShared
            | Self::NotBroughtUp
            | Self::FailedMerged
            | Self::RawLost
            | Self::RetainedLost
            | Self::PendingSkipped
            | Self::IndexNotRebuilt
            | Self::EmptyJoiner
            | Self::SplitWrittenWhole
            | Self::AtomPartsMixed
            | Self::AliasLeaks
            | Self::UnknownNormalised
            | Self::DisplayNameWrittenBack
            | Self::PartIndexStale
            | Self::ElementLost => Cast::Peers,
        }
    }

    /// Among peers: whether it needs somebody who judges.
    pub fn profile(self) -> Profile {
        match self {
            Self::RefusalSpreads
            | Self::VerdictBeforeDurable
            | Self::RefusedReturns
            | Self::VerdictNotForwarded
            | Self::QueueBlocked
            | Self::RefusedNotWalked
            | Self::SecondVerdict
            | Self::OutboxDropped
            | Self::EndedTermBelieved
            | Self::MirrorMasks => Profile::Server,
            Self::HalfFlipped
            | Self::CloneShared
            | Self::NotBroughtUp
            | Self::FailedMerged
            | Self::RawLost
            | Self::RetainedLost
            | Self::PendingSkipped
            | Self::IndexNotRebuilt
            | Self::EmptyJoiner
            | Self::SplitWrittenWhole => Profile::Designs,
            Self::AtomPartsMixed
            | Self::AliasLeaks
            | Self::UnknownNormalised
            | Self::DisplayNameWrittenBack
            | Self::PartIndexStale
            | Self::ElementLost => Profile::Values,
            _without => Profile::Peers,
        }
    }

    /// The checks that are there to see it: one of them must be the first that does.
    pub fn seen_by(self) -> &'static [&'static str] {
        match self {
            Self::ReleaseBeforeDurable => &["released-is-durable"],
            Self::ViewsBeforeLog => &["the-log-leads"],
            Self::PointerNotAdvanced => &["views-are-current"],
            Self::SeqReusedAfterCrash => &["places-are-final", "the-log-leads"],
            Self::GroupInPieces => &["groups-are-whole"],
            Self::RowLost => &["views-are-the-naive-fold", "answers-are-the-models"],
            Self::DoneShownAsRefused => &["answers-are-the-models"],
            Self::CursorBeforeState => &[
                "nothing-is-dropped",
                "removed-change-nothing",
                "same-events-same-views",
                "views-are-the-naive-fold",
                "acknowledged-arrives",
            ],
            Self::TableAdopted => &["up-to-date-is-true", "everybody-has-everything"],
            Self::LoserDropped => &["nothing-is-dropped", "same-events-same-views", "views-are-the-naive-fold"],
            Self::TieByArrival => &["same-events-same-views", "views-are-the-naive-fold", "shown-is-the-model"],
            Self::ForkBranchDropped => &["everybody-has-everything"],
            Self::ForwardForgotten => &["up-to-date-is-true", "everybody-has-everything"],
            Self::CutIgnored => &["removed-change-nothing", "nothing-is-dropped", "views-are-the-naive-fold"],
            Self::HeldDropped => &["same-events-same-views", "views-are-the-naive-fold", "nothing-is-dropped"],
            Self::PredOutsideThePast => &["nothing-is-dropped", "same-events-same-views", "views-are-the-naive-fold"],
            Self::EqualValuesConflict => &["conflicts-are-of-values"],
            Self::RefusalSpreads => {
                &["same-events-same-views", "views-are-the-naive-fold", "shown-is-what-is-live", "nothing-is-dropped"]
            }
            Self::VerdictBeforeDurable => &["acknowledged-is-kept"],
            Self::RefusedReturns => &["refused-change-nothing", "same-events-same-views", "views-are-the-naive-fold"],
            Self::VerdictNotForwarded | Self::OutboxDropped => &["everybody-has-everything", "up-to-date-is-true"],
            Self::QueueBlocked => &["everybody-has-everything"],
            Self::RefusedNotWalked => {
                &["same-events-same-views", "views-are-the-naive-fold", "shown-is-what-is-live", "shown-is-the-model"]
            }
            Self::SecondVerdict => &["one-verdict-an-event"],
            Self::EmptyJoiner => &["only-who-has-all-merges"],
            Self::SplitWrittenWhole => &["shown-is-the-model", "answers-are-the-models", "everybody-has-everything"],
            Self::AtomPartsMixed => &[
                "shown-is-as-written",
                "same-events-same-views",
                "views-are-the-naive-fold",
                "indexes-follow-the-records",
            ],
            Self::AliasLeaks => &["names-stay-with-their-server"],
            Self::UnknownNormalised | Self::DisplayNameWrittenBack => &["shown-is-the-model", "answers-are-the-models"],
            Self::ElementLost => &["elements-are-their-own", "shown-is-the-model"],
            Self::IndexNotRebuilt | Self::PartIndexStale => &["indexes-follow-the-records"],
            Self::HalfFlipped | Self::CloneShared | Self::NotBroughtUp | Self::PendingSkipped => {
                &["a-rehearsal-is-of-what-there-is", "indexes-follow-the-records", "everybody-has-everything"]
            }
            Self::FailedMerged => &["only-what-fits-is-merged", "answers-are-the-models", "indexes-follow-the-records"],
            Self::RawLost | Self::RetainedLost => &[
                "a-rehearsal-is-of-what-there-is",
                "a-failed-rehearsal-changes-nothing",
                "everybody-has-everything",
                "same-events-same-views",
                "views-are-the-naive-fold",
                "nothing-is-dropped",
                "shown-is-the-model",
                "shown-is-what-is-live",
                "indexes-follow-the-records",
            ],
            Self::EndedTermBelieved => &[
                "refused-change-nothing",
                "same-events-same-views",
                "views-are-the-naive-fold",
                "a-rehearsal-is-of-what-there-is",
            ],
            Self::MirrorMasks => &["refused-change-nothing", "same-events-same-views", "views-are-the-naive-fold"],
        }
    }

    /// What a disk does with what is written on it, where that is all that it takes.
    pub(crate) fn tampers(self) -> Option<Tamper> {
        match self {
            Self::CursorBeforeState => Some(|_, batch| {
                let is_cursor = |table, _: &[u8]| table == Table::Meta;
                vec![without(&batch, |table, key| !is_cursor(table, key)), without(&batch, is_cursor)]
            }),
            Self::LoserDropped => Some(|_, batch| {
                vec![with_records(&batch, |_, state| state.cells.values_mut().for_each(|cell| cell.truncate(1)))]
            }),
            Self::TieByArrival => Some(|disk, batch| {
                vec![with_records(&batch, |key, state| {
                    let before = disk.get(Table::Records, key).expect("memory can be read");
                    let Some(before) = before.map(|row| record_row::decode(&row)) else { return };
                    for (cell, siblings) in &mut state.cells {
                        let first = before.cells.get(cell).map(|before| before[0].stamp);
                        siblings.sort_by_key(|sibling| Some(sibling.stamp) != first);
                    }
                })]
            }),
            Self::CutIgnored => Some(|_, batch| vec![without(&batch, is_row_of(b'm'))]),
            Self::HeldDropped => Some(|_, batch| vec![without(&batch, is_row_of(b'w'))]),
            Self::RefusalSpreads => Some(|_, batch| match planted_verdicts::refuses(&batch) {
                true => vec![with_records(&batch, |_, state| drop(state.cells.pop_last()))],
                false => vec![batch],
            }),
            Self::AtomPartsMixed => Some(|_, batch| vec![planted_values::mixed(&batch)]),
            Self::RefusedNotWalked => Some(|disk, batch| vec![planted_verdicts::stop_at_refused(disk, &batch)]),
            _elsewhere => None,
        }
    }
}

/// Rows of [`Table::Events`] of one kind: it comes after the numbers of workspace and generation.
fn is_row_of(kind: u8) -> impl Fn(Table, &[u8]) -> bool {
    move |table, key| table == Table::Events && key[8] == kind
}

/// The batch with other rows of records.
pub(crate) fn with_records(batch: &Batch, change: impl Fn(&[u8], &mut RecordState)) -> Batch {
    batch.iter().fold(Batch::default(), |out, (table, key, value)| match value {
        Some(row) if table == Table::Records => {
            let mut state = record_row::decode(row);
            change(key, &mut state);
            one_write(out, table, key, Some(&record_row::encode(&state)))
        }
        other => one_write(out, table, key, other),
    })
}

/// Takes out of the record's row what these ops would replace if they were valid.
pub(crate) fn honour(disk: &Disk, prefix: Prefix, op: &Op) {
    let Some(record) = op.target.record() else { return };
    let key = prefix.record(record);
    let Some(row) = disk.get(Table::Records, &key).expect("memory can be read") else { return };
    let mut state = record_row::decode(&row);
    for siblings in state.cells.values_mut() {
        siblings.retain(|sibling| !op.preds.contains(&sibling.stamp.event.op(sibling.stamp.op)));
    }
    state.cells.retain(|_, siblings| !siblings.is_empty());
    let mut batch = Batch::default();
    batch.put(Table::Records, key, record_row::encode(&state));
    // A disk that fails keeps it from that.
    let _ = disk.commit(batch, Durability::Buffered);
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is hidden").get_name())
    }
}

/// The same writes, a commit for each.
pub(crate) fn pieces(batch: &Batch) -> Vec<Batch> {
    batch.iter().map(|(table, key, value)| one_write(Batch::default(), table, key, value)).collect()
}

/// The views' batch without the mark of how much of the log it reflects.
pub(crate) fn without_pointer(batch: &Batch) -> Batch {
    without(batch, |table, _| table == Table::Meta)
}

/// Without the rows of one record in 32.
pub(crate) fn without_some_rows(batch: &Batch) -> Batch {
    without(batch, |table, key| {
        table == Table::Records && key.iter().map(|byte| u32::from(*byte)).sum::<u32>().is_multiple_of(32)
    })
}

/// Says of one command in 16 that it was refused, though it was done.
pub(crate) fn refuse_some(answers: &mut [Result<Committed, Refused>]) {
    for answer in answers {
        if answer.as_ref().is_ok_and(|done| done.events.first().is_some_and(|event| event.0[0].is_multiple_of(16))) {
            *answer = Err(Refused::Left);
        }
    }
}

/// Takes the runs off the end of the log that hold only these events.
pub(crate) fn throw_away(disk: &Disk, events: &BTreeSet<EventId>) {
    let mut deletes = Batch::default();
    for run in log::runs_from(disk, WORKSPACE, 0) {
        let (arrival, bytes) = run.expect("memory can be read");
        let run = Run::decode_trusted(&bytes).expect("it was read before");
        if run.events().iter().all(|event| events.contains(&event.id())) {
            deletes.delete(Table::Log, log::key(WORKSPACE, arrival));
        }
    }
    disk.commit(deletes, Durability::Synced).expect("memory can be written");
}

fn without(batch: &Batch, lost: impl Fn(Table, &[u8]) -> bool) -> Batch {
    let kept = batch.iter().filter(|(table, key, _)| !lost(*table, key));
    kept.fold(Batch::default(), |batch, (table, key, value)| one_write(batch, table, key, value))
}

fn one_write(mut batch: Batch, table: Table, key: &[u8], value: Option<&Vec<u8>>) -> Batch {
    match value {
        Some(value) => batch.put(table, key, value.as_slice()),
        None => batch.delete(table, key),
    }
    batch
}
