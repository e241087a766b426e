//! Reading a workspace: one consistent state, on the caller's thread, beside the writer.

mod backlinks;
mod bounds;
mod condition;
mod count;
mod cursor;
mod order;
mod plan;
mod related;
mod values;
mod whole;

pub use backlinks::Backlink;
pub use condition::Condition;
pub(crate) use cursor::fingerprint;
pub use cursor::{BadCursor, Cursor};
pub(crate) use order::Rank;
pub use order::{Sort, SortBy};
pub use values::Values;
pub use whole::TableSize;

use self::plan::{Found, Plan};
use crate::{
    design_rule::{Finding, Severity},
    engine::{EngineError, Read, Slice, Table},
    filter::Place,
    fold::{
        Design, RecordState,
        incremental::{Archive, Fold, Prefix, rows_of_list},
        record::{Sibling, is_conflict},
    },
    index::{
        Index,
        definition::{SortedView, sorted_view},
        entry,
    },
    lens::is_raw,
    log::LogReader,
    record_row,
    store::Views,
};
use std::{collections::BTreeSet, sync::Arc};
use tandem_wire::{ElementId, Event, FieldId, ListId, PartPath, RecordId, RecordKey, Value};

pub use crate::fold::incremental::Entry;

/// A state of a workspace.
pub struct Reader<R> {
    pub(crate) rows: R,
    pub(crate) views: Views,
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Only records whose cell shows exactly this value.
    pub filters: Vec<(FieldId, PartPath, Value)>,
    /// Only records that this holds for.
    pub condition: Option<Condition>,
    /// By what to sort; by record id without.
    pub sort: Option<Sort>,
    /// Where to begin.
    pub start: Start,
    /// At most so many records.
    pub limit: Option<usize>,
}

impl Query {
    /// The lists of records by which others are chosen or sorted that refer to them.
    pub fn related_lists(&self) -> BTreeSet<ListId> {
        let places = self.condition.iter().flat_map(|condition| condition.filter().reads());
        let asked = places.filter_map(|place| match place {
            Place::Through(route) => Some(route),
            _own => None,
        });
        let sorted = self.sort.iter().filter_map(|sort| match &sort.by {
            SortBy::Through(route) => Some(route),
            _own => None,
        });
        asked.chain(sorted).flat_map(|route| route.links.iter().map(|link| link.to)).collect()
    }
}

/// Where in its order a listing begins.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Start {
    /// With the first record.
    #[default]
    First,
    /// With the first that sorts at or behind this value. Only where there is a [`Query::sort`].
    At(Value),
    /// Behind the last record of a page.
    After(Cursor),
}

/// Some of the records that a query asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// In the order asked for.
    pub rows: Vec<T>,
    /// Where the rest begins; none behind the last record.
    pub next: Option<Cursor>,
    /// Records of which the condition could not tell whether it holds: they are left out.
    pub undecided: u64,
}

/// What a view shows of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// The record.
    pub id: RecordId,
    /// As the entries of indexes have it.
    shows: Slice,
}

impl Columns {
    /// What it shows in each of the view's columns, in their order. Made as it is asked for.
    pub fn values(&self) -> impl Iterator<Item = Option<Value>> {
        entry::columns(&self.shows).map(|shows| record_row::value(shows?))
    }
}

impl<T> Page<T> {
    fn map<U>(self, of: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(of).collect(), next: self.next, undecided: self.undecided }
    }
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
    /// Of the state that `views` describe in `rows`.
    pub fn new(rows: R, views: Views) -> Self {
        Self { rows, views }
    }

    /// Lists, fields, views …
    pub fn design(&self) -> &Arc<Design> {
        self.views.fold.design()
    }

    /// The indexes that serve its queries.
    pub fn indexes(&self) -> &[Index] {
        &self.views.indexes
    }

    pub(crate) fn rows(&self) -> &R {
        &self.rows
    }

    pub(crate) fn fold(&self) -> &Fold {
        &self.views.fold
    }

    fn prefix(&self) -> Prefix {
        self.views.fold.prefix()
    }

    /// Everything about a record, whether it exists or not.
    pub fn state(&self, key: RecordKey) -> Result<RecordState, EngineError> {
        let row = self.rows.get(Table::Records, &self.prefix().record(key))?;
        Ok(row.map_or_else(RecordState::default, |row| self.shown(key.list, &row)))
    }

    /// The record of a row, as the design shows it.
    fn shown(&self, list: ListId, row: &[u8]) -> RecordState {
        let mut state = record_row::decode(row);
        self.design().lenses().show_state(list, &mut state);
        state
    }

    /// A record, if it exists.
    pub fn record(&self, key: RecordKey) -> Result<Option<Record>, EngineError> {
        let state = self.state(key)?;
        Ok(state.exists().then_some(Record { id: key.record, state }))
    }

    /// The records of a list that exist and fit, in the order asked for.
    pub fn list(&self, list: ListId, query: &Query) -> Result<Vec<Record>, EngineError> {
        Ok(self.page(list, query)?.rows)
    }

    /// The same, and where the rest of them begins.
    pub fn page(&self, list: ListId, query: &Query) -> Result<Page<Record>, EngineError> {
        let of = |found: Found| Record { id: found.id, state: self.shown(list, &found.row) };
        Ok(self.plan(list, query).records()?.map(of))
    }

    /// The same records, with what they show. Cheaper than [`Reader::page`], which knows everything about them.
    pub fn page_values(&self, list: ListId, query: &Query) -> Result<Page<(RecordId, Values)>, EngineError> {
        Ok(self.plan(list, query).records()?.map(|found| (found.id, Values::of(&found.row, self.design(), list))))
    }

    /// The places of what [`Reader::list`] would give.
    pub(crate) fn ranks(&self, list: ListId, query: &Query) -> Result<Vec<Rank>, EngineError> {
        let plan = self.plan(list, query);
        Ok(plan.records()?.rows.iter().map(|found| plan.rank(found.id, &found.row)).collect())
    }

    /// One record with its place in a query's order, if it is among what that asks for; the limit does not count.
    pub(crate) fn find(&self, key: RecordKey, query: &Query) -> Result<Option<(Rank, Record)>, EngineError> {
        let found = self.plan(key.list, query).one(key.record)?;
        Ok(found.map(|(rank, row)| (rank, Record { id: key.record, state: self.shown(key.list, &row) })))
    }

    /// The records of a view's list, in its order, as its columns show them. Of `query`, the sort does not count.
    /// Nothing for an element that is no view that sorts.
    pub fn view(&self, view: ElementId, query: &Query) -> Result<Option<Page<Columns>>, EngineError> {
        let element = self.design().elements.get(&view).filter(|element| !element.is_dropped());
        let list = element.and_then(|element| element.parent).map(ElementId::as_list);
        let (Some(list), Some(sorted)) = (list, sorted_view(self.design(), view)) else { return Ok(None) };
        let SortedView { by: (field, part), descending, columns } = sorted;
        let query = Query { sort: Some(Sort { by: SortBy::Cell(field, part), descending }), ..query.clone() };
        self.plan(list, &query).columns(&columns).map(Some)
    }

    /// How many of the records that fit show each value of what can be sorted by, most first. Of `query`, sort, start and
    /// limit do not count.
    pub fn group(&self, list: ListId, query: &Query, by: &SortBy) -> Result<Vec<(Option<Value>, u64)>, EngineError> {
        self.plan(list, query).groups(by)
    }

    fn plan<'a>(&'a self, list: ListId, query: &'a Query) -> Plan<'a, R> {
        Plan::new(&self.rows, &self.views, list, query)
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
        Archive::new(&self.views.fold, &self.rows, &LogReader::new(&self.rows, self.prefix().workspace)).events_on(key)
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

/// What the design's validations say of a record.
fn rule_flags(design: &Design, list: ListId, state: &RecordState) -> Vec<&'static str> {
    let mut flags = BTreeSet::new();
    for rule in design.rules().list(list) {
        match rule.judge_state(design, state) {
            Finding::Holds => {}
            Finding::Broken if rule.definition.severity == Severity::Error => drop(flags.insert("broken")),
            Finding::Broken => drop(flags.insert("warning")),
            Finding::Unchecked(_) => drop(flags.insert("unchecked")),
        }
    }
    flags.into_iter().collect()
}

/// What a person should know about a record besides its values.
pub fn flags(design: &Design, list: ListId, state: &RecordState) -> Vec<&'static str> {
    let mut flags = Vec::new();
    let is_raw = |((field, part), siblings): (&(FieldId, PartPath), &Vec<Sibling>)| {
        let value = siblings.first().and_then(Sibling::value);
        let is_dropped = design.elements.get(&(*field).into()).is_some_and(|element| element.is_dropped());
        let ty = design.field_type(*field).filter(|_| !is_dropped);
        value.zip(ty).is_some_and(|(value, ty)| is_raw(&ty, part, &value))
    };
    if state.cells.iter().any(is_raw) {
        flags.push("raw");
    }
    flags.extend(rule_flags(design, list, state));
    if state.cells.values().any(|siblings| is_conflict(siblings)) {
        flags.push("conflict");
    }
    if state.losing_deletes().next().is_some() {
        flags.push("delete-lost");
    }
    flags
}
