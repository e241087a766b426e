//! Reading a workspace: one consistent state, on the caller's thread, beside the writer.

use crate::{
    engine::{EngineError, Read, Table, prefix_end},
    field_type::fits,
    fold::{
        Design, RecordState,
        incremental::{EventKey, EventRow, EventState, Fold, Look, Prefix, records_of_list},
        record::{Sibling, is_conflict},
    },
    log::LogReader,
    sort_order::compare,
};
use std::{collections::BinaryHeap, sync::Arc};
use tandem_wire::{Event, FieldId, ListId, PartPath, RecordId, RecordKey, Value};

/// A state of a workspace.
pub struct Reader<R> {
    rows: R,
    prefix: Prefix,
    design: Arc<Design>,
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

/// An event as it stands in a history.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The event.
    pub event: Arc<Event>,
    /// What became of it; none while it waits or if it is invalid.
    pub look: Option<Look>,
}

impl<R: Read> Reader<R> {
    /// Of the state that `fold` describes in `rows`.
    pub fn new(rows: R, fold: &Fold) -> Self {
        Self { rows, prefix: fold.prefix(), design: fold.design().clone() }
    }

    /// Lists, fields, views …
    pub fn design(&self) -> &Arc<Design> {
        &self.design
    }

    /// Everything about a record, whether it exists or not.
    pub fn state(&self, key: RecordKey) -> Result<RecordState, EngineError> {
        let row = self.rows.get(Table::Records, &self.prefix.record(key))?;
        Ok(row.map_or_else(RecordState::default, |bytes| postcard::from_bytes(&bytes).expect("rows are our own")))
    }

    /// A record, if it exists.
    pub fn record(&self, key: RecordKey) -> Result<Option<Record>, EngineError> {
        let state = self.state(key)?;
        Ok(state.exists().then_some(Record { id: key.record, state }))
    }

    /// The records of a list that exist and fit, in the order asked for.
    pub fn list(&self, list: ListId, query: &Query) -> Result<Vec<Record>, EngineError> {
        let fits = |state: &RecordState| {
            let shows =
                |(field, part, value): &(FieldId, PartPath, Value)| winner(state, *field, part).as_ref() == Some(value);
            state.exists() && query.filters.iter().all(shows)
        };
        let limit = query.limit.unwrap_or(usize::MAX);
        let all = records_of_list(&self.rows, self.prefix, list)
            .map(|pair| pair.map(|(key, state)| Record { id: key.record, state }))
            .filter(|record| record.as_ref().map_or(true, |record| fits(&record.state)));
        let Some(sort) = &query.sort else { return all.take(limit).collect() };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut least: BinaryHeap<Ranked> = BinaryHeap::new();
        for record in all {
            let record = record?;
            let key = winner(&record.state, sort.field, &sort.part);
            let ranked = Ranked { key: SortKey { value: key, descending: sort.descending }, record };
            if least.len() < limit {
                least.push(ranked);
            } else if least.peek().is_some_and(|greatest| ranked < *greatest) {
                least.pop();
                least.push(ranked);
            }
        }
        Ok(least.into_sorted_vec().into_iter().map(|ranked| ranked.record).collect())
    }

    /// How many records of a list exist.
    pub fn count(&self, list: ListId) -> Result<u64, EngineError> {
        let mut count = 0;
        for pair in records_of_list(&self.rows, self.prefix, list) {
            count += u64::from(pair?.1.exists());
        }
        Ok(count)
    }

    /// Every event on a record, masked ones included, oldest first.
    pub fn history(&self, key: RecordKey) -> Result<Vec<Entry>, EngineError> {
        let log = LogReader::new(&self.rows, self.prefix.workspace);
        let from = self.prefix.record(key);
        let mut entries = Vec::new();
        for pair in self.rows.range(Table::History, &from, prefix_end(&from).as_deref()) {
            let row = EventRow::get(&self.rows, self.prefix, EventKey::at_end_of(&pair?.0))?.expect("history has rows");
            let look = match row.state {
                EventState::Valid { last, .. } => last,
                EventState::Held | EventState::Invalid => None,
            };
            let event = log.run(row.at.arrival)?[usize::from(row.at.index)].clone();
            entries.push(Entry { event, look });
        }
        Ok(entries)
    }

    /// The log itself, run by run in order of arrival, each event marked where it ends a run.
    pub fn log(&self) -> impl Iterator<Item = Result<(Arc<Event>, bool), EngineError>> + '_ {
        crate::log::runs_from(&self.rows, self.prefix.workspace, 0).flat_map(|run| {
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

/// A record in its place; records without a value come last either way.
#[derive(PartialEq)]
struct Ranked {
    key: SortKey,
    record: Record,
}

#[derive(PartialEq)]
struct SortKey {
    value: Option<Value>,
    descending: bool,
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        use std::cmp::Ordering::{Greater, Less};
        let by_value = match (&self.key.value, &other.key.value) {
            (Some(own), Some(others)) if self.key.descending => compare(others, own),
            (Some(own), Some(others)) => compare(own, others),
            (Some(_), None) => Less,
            (None, Some(_)) => Greater,
            (None, None) => std::cmp::Ordering::Equal,
        };
        by_value.then_with(|| self.record.id.cmp(&other.record.id))
    }
}
