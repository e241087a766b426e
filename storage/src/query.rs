//! Reading a workspace: one consistent state, on the caller's thread, beside the writer.

use crate::{
    engine::{EngineError, Read, Table},
    field_type::fits,
    fold::{
        Design, RecordState,
        incremental::{Archive, Fold, Prefix, rows_of_list},
        record::{Sibling, is_conflict},
    },
    log::LogReader,
    record_row,
    sort_order::compare,
};
use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc};
use tandem_wire::{Event, FieldId, ListId, PartPath, RecordId, RecordKey, Value};

pub use crate::fold::incremental::Entry;

/// The canonical bytes of [`Value::Null`]: what an empty cell shows.
const NOTHING: [u8; 1] = [0];

/// A state of a workspace.
pub struct Reader<R> {
    pub(crate) rows: R,
    pub(crate) fold: Arc<Fold>,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only records whose cell shows exactly this value.
    pub filters: Vec<(FieldId, PartPath, Value)>,
    /// By which cell to sort; by record id without.
    pub sort: Option<Sort>,
    /// At most so many records.
    pub limit: Option<usize>,
}

/// An order of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub field: FieldId,
    /// Where inside the field.
    pub part: PartPath,
    /// Greatest first.
    pub descending: bool,
}

/// A record that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// Everything about it.
    pub state: RecordState,
}

impl<R: Read> Reader<R> {
    /// Of the state that `fold` describes in `rows`.
    pub fn new(rows: R, fold: Arc<Fold>) -> Self {
        Self { rows, fold }
    }

    /// Lists, fields, views …
    pub fn design(&self) -> &Arc<Design> {
        self.fold.design()
    }

    fn prefix(&self) -> Prefix {
        self.fold.prefix()
    }

    /// Everything about a record, whether it exists or not.
    pub fn state(&self, key: RecordKey) -> Result<RecordState, EngineError> {
        let row = self.rows.get(Table::Records, &self.prefix().record(key))?;
        Ok(row.map_or_else(RecordState::default, |row| record_row::decode(&row)))
    }

    /// A record, if it exists.
    pub fn record(&self, key: RecordKey) -> Result<Option<Record>, EngineError> {
        let state = self.state(key)?;
        Ok(state.exists().then_some(Record { id: key.record, state }))
    }

    /// The records of a list that exist and fit, in the order asked for.
    pub fn list(&self, list: ListId, query: &Query) -> Result<Vec<Record>, EngineError> {
        let filters: Vec<(FieldId, &PartPath, Vec<u8>)> =
            query.filters.iter().map(|(field, part, value)| (*field, part, value.encode())).collect();
        let fits = |row: &[u8]| {
            let mut shows = filters.iter().map(|(field, part, value)| (record_row::winner(row, *field, part), value));
            record_row::exists(row) && shows.all(|(shown, value)| shown.unwrap_or(&NOTHING) == value)
        };
        let limit = query.limit.unwrap_or(usize::MAX);
        let rows = rows_of_list(&self.rows, self.prefix(), list).filter(|pair| {
            // An error passes, to be returned below.
            pair.as_ref().map_or(true, |(_, row)| fits(row))
        });
        let Some(sort) = &query.sort else {
            return rows.take(limit).map(|pair| pair.map(|(key, row)| Record::of(key.record, &row))).collect();
        };
        let mut least: BinaryHeap<Ranked> = BinaryHeap::new();
        for pair in rows {
            let (key, row) = pair?;
            let value = record_row::winner(&row, sort.field, &sort.part);
            let value = value.map(|value| Value::decode(value).expect("bodies were checked"));
            let value = value.filter(|value| *value != Value::Null);
            let ranked = Ranked { value, descending: sort.descending, id: key.record, row };
            if least.len() < limit {
                least.push(ranked);
            } else if least.peek().is_some_and(|greatest| ranked < *greatest) {
                least.pop();
                least.push(ranked);
            }
        }
        Ok(least.into_sorted_vec().into_iter().map(|ranked| Record::of(ranked.id, &ranked.row)).collect())
    }

    /// How many records of a list exist.
    pub fn count(&self, list: ListId) -> Result<u64, EngineError> {
        let mut count = 0;
        for pair in rows_of_list(&self.rows, self.prefix(), list) {
            count += u64::from(record_row::exists(&pair?.1));
        }
        Ok(count)
    }

    /// Every event on a record, masked ones included, oldest first.
    pub fn history(&self, key: RecordKey) -> Result<Vec<Entry>, EngineError> {
        Archive::new(&self.fold, &self.rows, &LogReader::new(&self.rows, self.prefix().workspace)).events_on(key)
    }

    /// The log itself, run by run in order of arrival, each event marked where it ends a run.
    pub fn log(&self) -> impl Iterator<Item = Result<(Arc<Event>, bool), EngineError>> + '_ {
        crate::log::runs_from(&self.rows, self.prefix().workspace, 0).flat_map(|run| {
            let events: Vec<Result<(Arc<Event>, bool), EngineError>> = match run {
                Err(error) => vec![Err(error)],
                Ok((_, bytes)) => {
                    let events = crate::log::events_of(&bytes);
                    let last = events.len() - 1;
                    events.iter().enumerate().map(|(i, event)| Ok((event.clone(), i == last))).collect()
                }
            };
            events
        })
    }
}

/// The value that a cell shows; none where it shows nothing.
pub fn winner(state: &RecordState, field: FieldId, part: &PartPath) -> Option<Value> {
    let siblings = state.cells.get(&(field, part.clone()))?;
    siblings.first()?.value().filter(|value| *value != Value::Null)
}

/// What a person should know about a record besides its values.
pub fn flags(design: &Design, state: &RecordState) -> Vec<&'static str> {
    let mut flags = Vec::new();
    let is_raw = |((field, part), siblings): (&(FieldId, PartPath), &Vec<Sibling>)| {
        let value = siblings.first().and_then(Sibling::value);
        value.is_some_and(|value| design.field_type(*field).is_some_and(|ty| !fits(&ty, part, &value)))
    };
    if state.cells.iter().any(is_raw) {
        flags.push("raw");
    }
    if state.cells.values().any(|siblings| is_conflict(siblings)) {
        flags.push("conflict");
    }
    if state.losing_deletes().next().is_some() {
        flags.push("delete-lost");
    }
    flags
}

impl Record {
    fn of(id: RecordId, row: &[u8]) -> Self {
        Self { id, state: record_row::decode(row) }
    }
}

/// A record in its place; records without a value come last either way.
struct Ranked {
    value: Option<Value>,
    descending: bool,
    id: RecordId,
    row: Vec<u8>,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_value = match (&self.value, &other.value) {
            (Some(own), Some(others)) if self.descending => compare(others, own),
            (Some(own), Some(others)) => compare(own, others),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        by_value.then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}
