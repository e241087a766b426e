//! How a query is answered: by walking an index in its order, by looking into an index for what a filter asks, or by
//! looking at every record of the list. The answer is the same.

use super::{
    Columns, Condition, Cursor, Page, Query, Start,
    bounds::{Range, point, ranges},
    condition::{ColumnCells, Names, RowCells},
    order::{Rank, Sort},
};
use crate::{
    engine::{EngineError, Read, Table, prefix_end},
    filter::EvalError,
    fold::incremental::rows_of_list,
    index::{
        CellPath, Index,
        entry::{self, Entry, WITH_VALUE, WITHOUT_VALUE, is_without_value, place_of},
    },
    record_row,
    store::Views,
};
use std::{
    cell::Cell,
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};
use tandem_wire::{FieldId, ListId, PartPath, RecordId, RecordKey, Value};

/// Records found by an index are fetched one by one up to this number; beyond, the whole list is read.
const CANDIDATES_MAX: usize = 50_000;

/// The same where another index has the order asked for, and can be walked until the page is full.
const CANDIDATES_MAX_BESIDE_A_WALK: usize = 2_000;

/// The canonical bytes of [`Value::Null`]: what an empty cell shows.
const NOTHING: [u8; 1] = [0];

/// A query over one state.
pub(super) struct Plan<'a, R> {
    rows: &'a R,
    views: &'a Views,
    list: ListId,
    query: &'a Query,
    names: Names,
    undecided: Cell<u64>,
}

/// A record and its row.
type IdAndRow = (RecordId, Vec<u8>);

/// A record with its place in the order asked for.
type Placed = (Vec<u8>, Found);

/// A record that a query asks for.
pub(super) struct Found {
    pub(super) id: RecordId,
    pub(super) row: Vec<u8>,
}

impl<'a, R: Read> Plan<'a, R> {
    pub(super) fn new(rows: &'a R, views: &'a Views, list: ListId, query: &'a Query) -> Self {
        let names = query.condition.as_ref().map(|condition| Names::of(&views.fold, condition)).unwrap_or_default();
        Self { rows, views, list, query, names, undecided: Cell::new(0) }
    }

    /// The records themselves.
    pub(super) fn records(&self) -> Result<Page<Found>, EngineError> {
        let ranked = |(rank, row): (Rank, Vec<u8>)| (rank.place, Found { id: rank.id, row });
        let sort = self.query.sort.as_ref();
        let by_order = sort.and_then(|sort| self.index(|index| sort.is_by(&index.definition.by)));
        if let Some(found) = self.at_one_place()? {
            return self.page(found.into_iter());
        }
        if let Some(candidates) = self.candidates(by_order.is_some())? {
            return self.page(self.least(candidates.into_iter().map(Ok))?.into_iter().map(ranked));
        }
        if let Some((index, sort)) = by_order.zip(sort) {
            let mut found = Vec::new();
            for entry in self.walk(index, sort) {
                let Entry { place, record, .. } = entry?;
                let Some(row) = self.fetch(record)? else { continue };
                if self.fits(record, &row) {
                    found.push((place, Found { id: record, row }));
                    if found.len() > self.limit() {
                        break;
                    }
                }
            }
            return self.page(found.into_iter());
        }
        let all = rows_of_list(self.rows, self.views.fold.prefix(), self.list).filter_map(|pair| match pair {
            Ok((key, row)) => self.fits(key.record, &row).then_some(Ok((key.record, row))),
            Err(error) => Some(Err(error)),
        });
        self.page(self.least(all)?.into_iter().map(ranked))
    }

    /// What the records show in these cells.
    pub(super) fn columns(&self, cells: &[CellPath]) -> Result<Page<Columns>, EngineError> {
        let sort = self.query.sort.as_ref().expect("a view that sorts");
        let covers = |index: &Index| sort.is_by(&index.definition.by) && index.definition.columns == cells;
        let is_covered = |condition: &Condition| condition.is_covered_by(cells.iter());
        let condition = self.query.condition.as_ref();
        let can = self.query.filters.is_empty() && condition.is_none_or(is_covered);
        let Some(index) = self.index(covers).filter(|_| can) else {
            let page = self.records()?;
            let value = |row: &[u8], (field, part): &CellPath| {
                let value = record_row::winner(row, *field, part)?;
                Some(Value::decode(value).expect("bodies were checked")).filter(|value| *value != Value::Null)
            };
            let of = |found: Found| {
                let values = cells.iter().map(|cell| value(&found.row, cell)).collect();
                Columns { id: found.id, values }
            };
            let rows = page.rows.into_iter().map(of).collect();
            return Ok(Page { rows, next: page.next, undecided: page.undecided });
        };
        let mut found = Vec::new();
        for entry in self.walk(index, sort) {
            let Entry { place, record, columns } = entry?;
            let shows = entry::columns(&columns);
            let fits = |condition: &Condition| self.holds(ColumnCells { cells, shows: &shows }.fit(condition));
            if condition.is_none_or(fits) {
                found.push((place, Columns { id: record, values: entry::values(&shows) }));
                if found.len() > self.limit() {
                    break;
                }
            }
        }
        self.page(found.into_iter())
    }

    /// How many records that fit show each value of a cell, most first; start and limit do not count.
    pub(super) fn groups(&self, (field, part): &CellPath) -> Result<Vec<(Option<Value>, u64)>, EngineError> {
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut count = |row: &[u8]| {
            let value = record_row::winner(row, *field, part).unwrap_or(&NOTHING);
            match counts.get_mut(value) {
                Some(count) => *count += 1,
                None => drop(counts.insert(value.to_vec(), 1)),
            }
        };
        match self.candidates(false)? {
            Some(found) => found.iter().for_each(|(_, row)| count(row)),
            None => {
                for pair in rows_of_list(self.rows, self.views.fold.prefix(), self.list) {
                    let (key, row) = pair?;
                    if self.fits(key.record, &row) {
                        count(&row);
                    }
                }
            }
        }
        let value = |bytes: &[u8]| Value::decode(bytes).expect("bodies were checked");
        let mut groups: Vec<(Value, u64)> = counts.iter().map(|(bytes, count)| (value(bytes), *count)).collect();
        groups.sort_by_cached_key(|(value, count)| (Reverse(*count), place_of(value, self.views.fold.design())));
        Ok(groups
            .into_iter()
            .map(|(value, count)| (Some(value).filter(|value| *value != Value::Null), count))
            .collect())
    }

    fn limit(&self) -> usize {
        self.query.limit.unwrap_or(usize::MAX)
    }

    fn index(&self, is_it: impl Fn(&Index) -> bool) -> Option<&Index> {
        self.views.indexes.iter().find(|index| index.definition.list == self.list && is_it(index))
    }

    fn fits(&self, id: RecordId, row: &[u8]) -> bool {
        let shows = |(field, part, value): &(FieldId, PartPath, Value)| {
            record_row::winner(row, *field, part).unwrap_or(&NOTHING) == value.encode()
        };
        let holds = |condition: &Condition| self.holds(RowCells { id, row, names: &self.names }.fit(condition));
        record_row::exists(row)
            && self.query.filters.iter().all(shows)
            && self.query.condition.as_ref().is_none_or(holds)
    }

    /// A record that a condition cannot tell about does not stop the others.
    fn holds(&self, fits: Result<bool, EvalError>) -> bool {
        fits.unwrap_or_else(|_| {
            self.undecided.update(|undecided| undecided + 1);
            false
        })
    }

    /// A record's place in the order asked for.
    pub(super) fn rank(&self, id: RecordId, row: &[u8]) -> Rank {
        let sort = self.query.sort.as_ref();
        let place = sort.map_or_else(Vec::new, |sort| sort.place(row, self.views.fold.design()));
        Rank { place, id, descending: sort.is_some_and(|sort| sort.descending) }
    }

    /// One record, if it is among what is asked for.
    pub(super) fn one(&self, id: RecordId) -> Result<Option<(Rank, Vec<u8>)>, EngineError> {
        let Some(row) = self.fetch(id)?.filter(|row| self.fits(id, row)) else { return Ok(None) };
        let rank = self.rank(id, &row);
        Ok((!is_before(self.first_rank().as_ref(), &rank)).then_some((rank, row)))
    }

    fn fetch(&self, record: RecordId) -> Result<Option<Vec<u8>>, EngineError> {
        let key = RecordKey { list: self.list, record };
        self.rows.get(Table::Records, &self.views.fold.prefix().record(key))
    }

    /// At most one more than the limit, which tells whether there is a next page.
    fn page<T: HasId>(&self, found: impl Iterator<Item = (Vec<u8>, T)>) -> Result<Page<T>, EngineError> {
        let mut rows = Vec::new();
        let mut last = None;
        let mut more = false;
        for (place, row) in found {
            if rows.len() == self.limit() {
                more = true;
                break;
            }
            last = Some((place, row.id()));
            rows.push(row);
        }
        let next = last.filter(|_| more).map(|(place, id)| Cursor::new(self.list, self.query, place, id));
        Ok(Page { rows, next, undecided: self.undecided.get() })
    }

    /// The first records in the order asked for, one more than the limit, from where it starts.
    fn least(
        &self,
        records: impl Iterator<Item = Result<IdAndRow, EngineError>>,
    ) -> Result<Vec<(Rank, Vec<u8>)>, EngineError> {
        let limit = self.limit().saturating_add(1);
        let start = self.first_rank();
        let mut least: BinaryHeap<(Rank, Vec<u8>)> = BinaryHeap::new();
        for record in records {
            let (id, row) = record?;
            let rank = self.rank(id, &row);
            if is_before(start.as_ref(), &rank) {
                continue;
            }
            if least.len() < limit {
                least.push((rank, row));
            } else if least.peek().is_some_and(|(greatest, _)| rank < *greatest) {
                least.pop();
                least.push((rank, row));
            }
        }
        Ok(least.into_sorted_vec())
    }

    /// Where the order starts, and whether that itself belongs to it.
    fn first_rank(&self) -> Option<(Rank, bool)> {
        let descending = self.query.sort.as_ref().is_some_and(|sort| sort.descending);
        match &self.query.start {
            Start::At(_) if self.query.sort.is_none() => None,
            Start::First => None,
            Start::At(value) => {
                let id = RecordId([if descending { u8::MAX } else { 0 }; 16]);
                Some((Rank { place: place_of(value, self.views.fold.design()), id, descending }, true))
            }
            Start::After(cursor) => Some((Rank { place: cursor.place.clone(), id: cursor.record, descending }, false)),
        }
    }

    /// Entries of an index in the order asked for, from where it starts.
    fn walk<'b>(
        &'b self,
        index: &'b Index,
        sort: &Sort,
    ) -> impl Iterator<Item = Result<Entry, EngineError>> + use<'b, R> {
        let descending = sort.descending;
        let start = self.first_rank();
        let key = move |place: &[u8]| [&index.prefix(self.views.fold.prefix()), place].concat();
        let sections = [(WITH_VALUE, WITHOUT_VALUE), (WITHOUT_VALUE, WITHOUT_VALUE + 1)].into_iter();
        let entries = sections.flat_map(move |(section, next)| {
            let (mut from, mut to) = (key(&[section]), key(&[next]));
            if let Some((start, _)) = &start {
                let starts_here = is_without_value(&start.place) == (section == WITHOUT_VALUE);
                let starts_behind = is_without_value(&start.place) && section == WITH_VALUE;
                let start = [&key(&start.place)[..], &start.id.0].concat();
                match descending {
                    _ if starts_behind => to.clone_from(&from),
                    false if starts_here => from = start,
                    true if starts_here => to = next_key(start),
                    _starts_before => {}
                }
            }
            match descending {
                false => self.rows.range(Table::Index, &from, Some(&to)),
                true => self.rows.range_rev(Table::Index, &from, Some(&to)),
            }
        });
        let behind = self.first_rank().filter(|(_, inclusive)| !inclusive);
        entries.map(|pair| pair.map(|(key, columns)| index.read(&key, columns))).filter(move |entry| {
            let is_start = |entry: &Entry| {
                behind.as_ref().is_some_and(|(start, _)| start.id == entry.record && start.place == entry.place)
            };
            entry.as_ref().map_or(true, |entry| !is_start(entry))
        })
    }

    /// The records that fit, if an index tells which few they can be. `can_walk` says that there is another good way.
    fn candidates(&self, can_walk: bool) -> Result<Option<Vec<IdAndRow>>, EngineError> {
        let max = if can_walk { CANDIDATES_MAX_BESIDE_A_WALK } else { CANDIDATES_MAX };
        let mut fewest: Option<Vec<RecordId>> = None;
        for index in self.views.indexes.iter().filter(|index| index.definition.list == self.list) {
            let Some(ranges) = ranges(self.query, &index.definition.by, self.views.fold.design()) else { continue };
            let max = fewest.as_ref().map_or(max, Vec::len);
            if let Some(ids) = self.ids_in(index, &ranges, max)? {
                fewest = Some(ids);
            }
        }
        let Some(ids) = fewest else { return Ok(None) };
        let mut found = Vec::new();
        for id in ids {
            let Some(row) = self.fetch(id)? else { continue };
            if self.fits(id, &row) {
                found.push((id, row));
            }
        }
        Ok(Some(found))
    }

    /// Without a sort, records go by their ids, and so do those at one place of an index: they are read until the page is
    /// full.
    fn at_one_place(&self) -> Result<Option<Vec<Placed>>, EngineError> {
        if self.query.sort.is_some() {
            return Ok(None);
        }
        let place = |index: &Index| point(self.query, &index.definition.by, self.views.fold.design());
        let mut own = self.views.indexes.iter().filter(|index| index.definition.list == self.list);
        let Some((index, place)) = own.find_map(|index| Some((index, place(index)?))) else { return Ok(None) };
        let prefix = [index.prefix(self.views.fold.prefix()), place].concat();
        let from = match &self.query.start {
            Start::After(cursor) => next_key([&prefix[..], &cursor.record.0].concat()),
            Start::First | Start::At(_) => prefix.clone(),
        };
        let mut found = Vec::new();
        for pair in self.rows.range(Table::Index, &from, prefix_end(&prefix).as_deref()) {
            let (key, columns) = pair?;
            let id = index.read(&key, columns).record;
            let Some(row) = self.fetch(id)? else { continue };
            if self.fits(id, &row) {
                found.push((Vec::new(), Found { id, row }));
                if found.len() > self.limit() {
                    break;
                }
            }
        }
        Ok(Some(found))
    }

    /// The records in these ranges of an index, if they are no more than `max`.
    fn ids_in(&self, index: &Index, ranges: &[Range], max: usize) -> Result<Option<Vec<RecordId>>, EngineError> {
        let prefix = index.prefix(self.views.fold.prefix());
        let mut ids = Vec::new();
        for range in ranges {
            let key = |place: &[u8]| [&prefix, place].concat();
            for pair in self.rows.range(Table::Index, &key(&range.from), Some(&key(&range.to))) {
                let (key, columns) = pair?;
                ids.push(index.read(&key, columns).record);
                if ids.len() > max {
                    return Ok(None);
                }
            }
        }
        Ok(Some(ids))
    }
}

/// Whether a place lies before where an order starts.
fn is_before(start: Option<&(Rank, bool)>, rank: &Rank) -> bool {
    start.is_some_and(|(start, inclusive)| if *inclusive { rank < start } else { rank <= start })
}

/// The least key behind this one.
fn next_key(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

trait HasId {
    fn id(&self) -> RecordId;
}

impl HasId for Found {
    fn id(&self) -> RecordId {
        self.id
    }
}

impl HasId for Columns {
    fn id(&self) -> RecordId {
        self.id
    }
}
