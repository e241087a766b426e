//! A query whose result is kept up to date, record by record.
//!
//! Nothing here is run again because something changed: each record that was touched is looked at once, on the state
//! that is current by then. Only a limited query that has lost more rows than it kept in reserve reads on.

use crate::{
    engine::{Batch, EngineError, Read, Table},
    fold::incremental::{Fold, Prefix},
    log::{events_of, runs_from},
    query::{Query, Rank, Reader, Record, Start, fingerprint},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};
use tandem_wire::{ListId, RecordId, RecordKey};

/// Runs of the log that a cursor may be behind; who is further behind starts again.
pub const BEHIND_RUNS_MAX: u64 = 1024;

/// Rows that a limited query keeps in reserve, besides as many as its limit.
const RESERVE: usize = 64;

/// What somebody watches, and what they have been shown of it.
pub struct Watch {
    list: ListId,
    query: Query,
    shown: Shown,
}

enum Shown {
    /// Without a limit: the records that fit.
    These(BTreeSet<RecordId>),
    /// Without a limit, by somebody who brought what they had: all but these may have been shown.
    AllBut(BTreeSet<RecordId>),
    /// With a limit.
    First(Window),
}

/// The first records in a query's order, and some more in reserve.
struct Window {
    limit: usize,
    /// Exactly the first so many.
    rows: Vec<Rank>,
    /// Whether these are all.
    complete: bool,
}

/// A change of a result. To apply several: take out all records that they name, then put each [`RowChange::Upsert`] in,
/// one after the other.
#[derive(Debug, Clone, PartialEq)]
pub enum RowChange {
    /// The record is part of the result, and looks like this.
    Upsert {
        /// The record.
        record: Record,
        /// Its place in the result, from 0; none where the query has no limit, and who watches keeps the order.
        position: Option<usize>,
    },
    /// The record is no longer part of the result. After a cursor was resumed, it may not have been before either.
    Remove {
        /// The record.
        id: RecordId,
    },
}

/// How far somebody has followed a query: opaque, to be kept and brought again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    generation: u32,
    applied: u64,
    settled: bool,
    query: [u8; 16],
}

/// Why a result has to be taken anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reset {
    /// It is the first one.
    #[error("this is where it begins")]
    Start,
    /// The views were made anew.
    #[error("the views were made anew")]
    Rebuilt,
    /// Too much has happened since.
    #[error("too much has happened since")]
    Behind,
    /// Members, verdicts or the design changed, so that more may have changed than was touched.
    #[error("members, verdicts or the design changed")]
    Control,
    /// The cursor is of another query, or of another workspace.
    #[error("the cursor is of another query")]
    OtherQuery,
    /// Records changed that those of the query refer to, and it asks for what they show.
    #[error("records of other lists changed, which the query asks for")]
    Related,
    /// What a limited query showed cannot be told from its cursor.
    #[error("the first records have to be taken anew")]
    Limited,
}

impl Watch {
    /// Begins with everything that fits now, in order.
    pub fn start<R: Read>(reader: &Reader<R>, list: ListId, query: Query) -> Result<(Self, Vec<Record>), EngineError> {
        let (shown, records) = match query.limit {
            None => {
                let records = reader.list(list, &query)?;
                (Shown::These(records.iter().map(|record| record.id).collect()), records)
            }
            Some(limit) => {
                let window = Window::read(reader, list, &query, limit)?;
                let records = window.visible().iter().map(|place| place.id);
                let records = records.map(|id| expect_record(reader, list, id)).collect::<Result<_, _>>()?;
                (Shown::First(window), records)
            }
        };
        Ok((Self { list, query, shown }, records))
    }

    /// Begins with what changes from now on. Of a limited query, the first records have to be read all the same.
    pub fn from_now<R: Read>(reader: &Reader<R>, list: ListId, query: Query) -> Result<Self, EngineError> {
        let shown = match query.limit {
            None => Shown::AllBut(BTreeSet::new()),
            Some(limit) => Shown::First(Window::read(reader, list, &query, limit)?),
        };
        Ok(Self { list, query, shown })
    }

    /// What is watched.
    pub fn query(&self) -> (ListId, &Query) {
        (self.list, &self.query)
    }

    /// What changed, now that these records were touched; each is named once.
    pub fn advance<R: Read>(
        &mut self,
        reader: &Reader<R>,
        touched: &BTreeSet<RecordId>,
    ) -> Result<Vec<RowChange>, EngineError> {
        let (list, query) = (self.list, &self.query);
        let find = |id: RecordId| reader.find(RecordKey { list, record: id }, query);
        let mut changes = Vec::new();
        match &mut self.shown {
            Shown::These(shown) => {
                for id in touched {
                    match find(*id)? {
                        Some((_, record)) => {
                            shown.insert(*id);
                            changes.push(RowChange::Upsert { record, position: None });
                        }
                        None if shown.remove(id) => changes.push(RowChange::Remove { id: *id }),
                        None => {}
                    }
                }
            }
            Shown::AllBut(hidden) => {
                for id in touched {
                    match find(*id)? {
                        Some((_, record)) => {
                            hidden.remove(id);
                            changes.push(RowChange::Upsert { record, position: None });
                        }
                        None if hidden.insert(*id) => changes.push(RowChange::Remove { id: *id }),
                        None => {}
                    }
                }
            }
            Shown::First(window) => {
                let mut fitting = BTreeMap::new();
                for id in touched {
                    fitting.extend(find(*id)?.map(|found| (*id, found)));
                }
                changes = window.advance(reader, (list, query), touched, fitting)?;
            }
        }
        Ok(changes)
    }
}

impl Window {
    fn read<R: Read>(reader: &Reader<R>, list: ListId, query: &Query, limit: usize) -> Result<Self, EngineError> {
        let capacity = capacity(limit);
        let rows = reader.ranks(list, &Query { limit: Some(capacity), ..query.clone() })?;
        Ok(Self { limit, complete: rows.len() < capacity, rows })
    }

    fn visible(&self) -> &[Rank] {
        &self.rows[..self.limit.min(self.rows.len())]
    }

    fn advance<R: Read>(
        &mut self,
        reader: &Reader<R>,
        (list, query): (ListId, &Query),
        touched: &BTreeSet<RecordId>,
        mut fitting: BTreeMap<RecordId, (Rank, Record)>,
    ) -> Result<Vec<RowChange>, EngineError> {
        let before: BTreeSet<RecordId> = self.visible().iter().map(|place| place.id).collect();
        self.rows.retain(|place| !touched.contains(&place.id));
        for (place, _) in fitting.values() {
            // Behind the last known one, or behind none, it is not among the first: there may be others before it.
            let at = self.rows.partition_point(|other| other < place);
            if at < self.rows.len() || self.complete {
                self.rows.insert(at, place.clone());
            }
        }
        if self.rows.len() > capacity(self.limit) {
            self.rows.truncate(capacity(self.limit));
            self.complete = false;
        }
        if self.rows.len() < self.limit && !self.complete {
            *self = Self::read(reader, list, query, self.limit)?;
        }
        let after: BTreeSet<RecordId> = self.visible().iter().map(|place| place.id).collect();
        let mut changes: Vec<RowChange> = before.difference(&after).map(|id| RowChange::Remove { id: *id }).collect();
        for (position, place) in self.visible().iter().enumerate() {
            let record = match fitting.remove(&place.id) {
                Some((_, record)) => record,
                None if before.contains(&place.id) => continue,
                None => expect_record(reader, list, place.id)?,
            };
            changes.push(RowChange::Upsert { record, position: Some(position) });
        }
        Ok(changes)
    }
}

fn capacity(limit: usize) -> usize {
    limit.saturating_mul(2).saturating_add(RESERVE)
}

fn expect_record<R: Read>(reader: &Reader<R>, list: ListId, record: RecordId) -> Result<Record, EngineError> {
    Ok(reader.record(RecordKey { list, record })?.expect("a record of a result exists"))
}

impl Cursor {
    /// Of somebody who has followed `query` to the state in which the next run has the number `applied`.
    pub fn new(fold: &Fold, applied: u64, list: ListId, query: &Query) -> Self {
        Self { generation: fold.prefix().generation, applied, settled: fold.is_settled(), query: digest(list, query) }
    }

    /// How far that is: the number of the next run.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Which records of the list were touched since, as the log tells it.
    pub fn touched<R: Read>(
        &self,
        reader: &Reader<R>,
        applied: u64,
        list: ListId,
        query: &Query,
    ) -> Result<Result<BTreeSet<RecordId>, Reset>, EngineError> {
        if self.query != digest(list, query) || self.applied > applied {
            return Ok(Err(Reset::OtherQuery));
        }
        if self.generation != reader.views.fold.prefix().generation {
            return Ok(Err(Reset::Rebuilt));
        }
        let behind = applied - self.applied;
        let mut touched = BTreeSet::new();
        if behind == 0 {
            return Ok(Ok(touched));
        }
        if behind > BEHIND_RUNS_MAX {
            return Ok(Err(Reset::Behind));
        }
        if !self.settled || !reader.views.fold.is_settled() {
            return Ok(Err(Reset::Control));
        }
        for run in runs_from(&reader.rows, reader.views.fold.prefix().workspace, self.applied).take(behind as usize) {
            for event in events_of(&run?.1).iter() {
                if event.header().chain.is_control() {
                    return Ok(Err(Reset::Control));
                }
                let records = event.header().ops.iter().filter_map(|op| op.target.record());
                touched.extend(records.filter(|record| record.list == list).map(|record| record.record));
            }
        }
        Ok(if touched.is_empty() || query.limit.is_none() { Ok(touched) } else { Err(Reset::Limited) })
    }
}

fn digest(list: ListId, query: &Query) -> [u8; 16] {
    let start = match &query.start {
        Start::First => (0u8, Vec::new()),
        Start::At(value) => (1, value.encode()),
        Start::After(cursor) => (2, cursor.to_string().into_bytes()),
    };
    let bytes =
        postcard::to_allocvec(&(fingerprint(list, query), start, query.limit)).expect("a vector takes all bytes");
    *blake3::hash(&bytes).as_bytes().first_chunk().expect("32 bytes")
}

/// One word of hexadecimal digits.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = postcard::to_allocvec(self).expect("a vector takes all bytes");
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: give back the one that came with the last change, or start without one")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let digits = text.as_bytes();
        let byte = |pair: &[u8]| {
            let digit = |at: usize| (*pair.get(at)? as char).to_digit(16);
            Some((digit(0)? * 16 + digit(1)?) as u8)
        };
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect::<Option<_>>().ok_or(BadCursor)?;
        let cursor: Self = postcard::from_bytes(&bytes).map_err(|_| BadCursor)?;
        if cursor.to_string() == text { Ok(cursor) } else { Err(BadCursor) }
    }
}

/// The records whose rows a batch of the views writes.
pub fn touched_by(views: &Batch, live: Prefix) -> Vec<RecordKey> {
    let keys = views.writes(Table::Records).map(|(key, _)| key).filter(|key| key.starts_with(&live.bytes()));
    keys.map(|key| {
        let (list, record) = key[live.bytes().len()..].split_first_chunk().expect("keys are our own");
        let record = RecordId(record.try_into().expect("keys are our own"));
        RecordKey { list: ListId(*list), record }
    })
    .collect()
}
