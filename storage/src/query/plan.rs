//! How a query is answered: by walking an index in its order, by looking into an index for what a filter asks, or by
//! looking at every record of the list. The answer is the same.

use super::{
    Columns, Condition, Cursor, Page, Query, Start,
    bounds::{Range, point, ranges},
    condition::{ColumnCells, Names, RowCells},
    count::{self, Run},
    order::{Rank, Sort, SortBy},
    related::Related,
};
use crate::{
    composite,
    engine::{EngineError, RangeIter, Read, Slice, Table, prefix_end},
    filter::EvalError,
    fold::incremental::rows_of_list,
    index::{
        CellPath, Index,
        entry::{self, EntryKey, WITH_VALUE, WITHOUT_VALUE, is_without_value, place_of, put_columns},
    },
    lens,
    record_row::{self, NOTHING},
    store::Views,
};
use std::{
    borrow::Cow,
    cell::Cell,
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};
use tandem_wire::{FieldId, ListId, PartPath, RecordId, RecordKey, Value, design::BaseType};

/// Records found by an index are fetched one by one up to this number; beyond, the whole list is read.
const CANDIDATES_MAX: usize = 50_000;

/// The same where another index has the order asked for, and can be walked until the page is full.
const CANDIDATES_MAX_BESIDE_A_WALK: usize = 2_000;

/// A query over one state.
pub(super) struct Plan<'a, R> {
    rows: &'a R,
    views: &'a Views,
    list: ListId,
    query: &'a Query,
    /// What the cells of the query's filters show, in canonical bytes.
    shown: Vec<Vec<u8>>,
    names: Names,
    related: Related<'a, R>,
    undecided: Cell<u64>,
}

/// A record and its row.
type IdAndRow = (RecordId, Slice);

/// A record that a query asks for.
pub(super) struct Found {
    pub(super) id: RecordId,
    pub(super) row: Slice,
}

impl<'a, R: Read> Plan<'a, R> {
    pub(super) fn new(rows: &'a R, views: &'a Views, list: ListId, query: &'a Query) -> Self {
        let names = query.condition.as_ref().map(|condition| Names::of(&views.fold, condition)).unwrap_or_default();
        let shown = query.filters.iter().map(|(.., value)| value.encode()).collect();
        let related = Related::new(rows, views);
        Self { rows, views, list, query, shown, names, related, undecided: Cell::new(0) }
    }

    /// The records themselves.
    pub(super) fn records(&self) -> Result<Page<Found>, EngineError> {
        let ranked = |(rank, row): (Rank, Slice)| {
            let found = Found { id: rank.id, row };
            Ok((rank, found))
        };
        let sort = self.query.sort.as_ref();
        let by_order = sort.and_then(|sort| self.index(|index| sort.is_by(&index.definition.by)));
        if let Some(entries) = self.at_one_place() {
            return self.page(self.fetched(entries).map(|found| found.map(|(_, found)| (found.id, found))));
        }
        if let Some(ids) = self.candidates(by_order.is_some())? {
            let found = ids.into_iter().filter_map(|id| self.fitting(id).transpose());
            return self.page(self.least(found)?.into_iter().map(ranked));
        }
        if let Some((index, sort)) = by_order.zip(sort) {
            return self.page(self.fetched(self.walk(index, sort)));
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
            let of = |found: Found| {
                let mut shows = Vec::new();
                put_columns(&mut shows, cells.iter().map(|(field, part)| self.shown(&found.row, *field, part)));
                Columns { id: found.id, shows: shows.into() }
            };
            return Ok(self.records()?.map(of));
        };
        let fits = |shows: &Slice| {
            condition.is_none_or(|condition| {
                let shows: Vec<_> = entry::columns(shows).collect();
                self.holds(ColumnCells { cells, shows: &shows }.fit(condition))
            })
        };
        self.page(self.walk(index, sort).filter_map(|entry| match entry {
            Ok((key, shows)) => fits(&shows).then(|| {
                let columns = Columns { id: key.record(), shows };
                Ok((key, columns))
            }),
            Err(error) => Some(Err(error)),
        }))
    }

    /// How many records that fit show each value, most first; start and limit do not count.
    pub(super) fn groups(&self, by: &SortBy) -> Result<Vec<(Option<Value>, u64)>, EngineError> {
        // Behind references few records are meant by many: what refers is counted, and followed once for each.
        let (counted, route) = match by {
            SortBy::Through(route) => {
                let (field, part) = route.links[0].from.clone();
                (&SortBy::Cell(field, part), Some(route))
            }
            other => (other, None),
        };
        let counts = match self.counted_by_index(counted)? {
            Some(counts) => counts,
            None => self.counted(counted)?,
        };
        let counts = match route {
            None => counts,
            Some(route) => {
                let mut there: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
                for (refers, count) in counts {
                    let shown = self.related.behind(&refers, route).unwrap_or_else(|| NOTHING.to_vec());
                    *there.entry(shown).or_default() += count;
                }
                there
            }
        };
        self.related.failed()?;
        let value = |bytes: &[u8]| Value::decode(bytes).expect("bodies were checked");
        let mut groups: Vec<(Value, u64)> = counts.iter().map(|(bytes, count)| (value(bytes), *count)).collect();
        groups.sort_by_cached_key(|(value, count)| (Reverse(*count), place_of(value, self.views.fold.design())));
        Ok(groups
            .into_iter()
            .map(|(value, count)| (Some(value).filter(|value| *value != Value::Null), count))
            .collect())
    }

    /// How many records that fit show each value, by looking at them.
    fn counted(&self, by: &SortBy) -> Result<BTreeMap<Vec<u8>, u64>, EngineError> {
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut count = |row: &[u8]| {
            let value = by.shown(row, self.views.fold.design(), &self.related).unwrap_or(Cow::Borrowed(&NOTHING));
            match counts.get_mut(&*value) {
                Some(count) => *count += 1,
                None => drop(counts.insert(value.to_vec(), 1)),
            }
        };
        match self.candidates(false)? {
            Some(ids) => {
                for id in ids {
                    self.fitting(id)?.iter().for_each(|(_, row)| count(row));
                }
            }
            None => {
                for pair in rows_of_list(self.rows, self.views.fold.prefix(), self.list) {
                    let (key, row) = pair?;
                    if self.fits(key.record, &row) {
                        count(&row);
                    }
                }
            }
        }
        Ok(counts)
    }

    /// The same by an index, whose entries stand in the order of what is counted: one record is read for each value. Where
    /// different values can stand at one place, that tells nothing.
    fn counted_by_index(&self, by: &SortBy) -> Result<Option<BTreeMap<Vec<u8>, u64>>, EngineError> {
        let SortBy::Cell(field, part) = by else { return Ok(None) };
        let mut is_exact = match self.views.fold.design().field_type(*field).and_then(|ty| ty.base()) {
            Some(BaseType::Int | BaseType::Bool | BaseType::Date | BaseType::Reference) => part.is_empty(),
            Some(base) => part.steps().last().is_some_and(|name| {
                composite::part(base, name).is_some_and(|part| matches!(part.base, BaseType::Int | BaseType::Date))
            }),
            None => false,
        };
        let asks_nothing = self.query.filters.is_empty() && self.query.condition.is_none();
        let is_by = |index: &Index| index.definition.by.0 == *field && index.definition.by.1 == *part;
        let Some(index) = self.index(is_by).filter(|_| is_exact && asks_nothing) else { return Ok(None) };
        let prefix = index.prefix(self.views.fold.prefix());
        let end = prefix_end(&prefix).expect("numbers of workspaces are small");
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for Run { first, count } in count::runs(self.rows, &prefix, &end)? {
            let row = self.fetch(first.record())?;
            let shown = row.as_ref().and_then(|row| by.shown(row, self.views.fold.design(), &self.related));
            is_exact &= shown.as_ref().is_none_or(|bytes| !matches!(record_row::value(bytes), Some(Value::Text(_))));
            *counts.entry(shown.map_or_else(|| NOTHING.to_vec(), Cow::into_owned)).or_default() += count;
        }
        // Texts are raw here, and several can stand at one place.
        Ok(is_exact.then_some(counts))
    }

    /// What a cell of a row shows.
    fn shown<'r>(&self, row: &'r [u8], field: FieldId, part: &PartPath) -> Option<lens::Shown<'r>> {
        self.views.fold.design().lenses().shown(&lens::RowCells(row), field, part)
    }

    fn limit(&self) -> usize {
        self.query.limit.unwrap_or(usize::MAX)
    }

    fn index(&self, is_it: impl Fn(&Index) -> bool) -> Option<&Index> {
        self.views.indexes.iter().find(|index| index.definition.list == self.list && is_it(index))
    }

    fn fits(&self, id: RecordId, row: &[u8]) -> bool {
        let shows = |((field, part, _), value): (&(FieldId, PartPath, Value), &Vec<u8>)| {
            self.shown(row, *field, part).as_deref().unwrap_or(&NOTHING) == value
        };
        let (design, related) = (self.views.fold.design(), &self.related);
        let cells = RowCells { id, row, names: &self.names, design, related };
        let holds = |condition: &Condition| self.holds(cells.fit(condition));
        record_row::exists(row)
            && self.query.filters.iter().zip(&self.shown).all(shows)
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
        let place = sort.map_or_else(Vec::new, |sort| sort.place(row, self.views.fold.design(), &self.related));
        Rank { place, id, descending: sort.is_some_and(|sort| sort.descending) }
    }

    /// One record, if it is among what is asked for.
    pub(super) fn one(&self, id: RecordId) -> Result<Option<(Rank, Slice)>, EngineError> {
        let found = self.fitting(id)?;
        self.related.failed()?;
        let Some((_, row)) = found else { return Ok(None) };
        let rank = self.rank(id, &row);
        self.related.failed()?;
        Ok((!is_before(self.first_rank().as_ref(), &rank)).then_some((rank, row)))
    }

    fn fetch(&self, record: RecordId) -> Result<Option<Slice>, EngineError> {
        let key = RecordKey { list: self.list, record };
        self.rows.get(Table::Records, &self.views.fold.prefix().record(key))
    }

    fn fitting(&self, record: RecordId) -> Result<Option<IdAndRow>, EngineError> {
        let row = self.fetch(record)?.filter(|row| self.fits(record, row));
        Ok(row.map(|row| (record, row)))
    }

    /// The records of entries, as far as they fit.
    fn fetched(
        &self,
        entries: impl Iterator<Item = Result<(EntryKey, Slice), EngineError>>,
    ) -> impl Iterator<Item = Result<(EntryKey, Found), EngineError>> {
        entries.filter_map(|entry| {
            let fetch = |(key, _): (EntryKey, Slice)| {
                let found = self.fitting(key.record())?;
                Ok(found.map(|(id, row)| (key, Found { id, row })))
            };
            entry.and_then(fetch).transpose()
        })
    }

    /// At most as many as the limit. One more tells that there is a next page.
    fn page<S: Stands, T>(
        &self,
        found: impl Iterator<Item = Result<(S, T), EngineError>>,
    ) -> Result<Page<T>, EngineError> {
        let mut rows = Vec::new();
        let mut last: Option<S> = None;
        let mut next = None;
        for found in found {
            let (stands, row) = found?;
            if rows.len() == self.limit() {
                next = last.map(|last| Cursor::new(self.list, self.query, last.place().to_vec(), last.id()));
                break;
            }
            rows.push(row);
            last = Some(stands);
        }
        self.related.failed()?;
        Ok(Page { rows, next, undecided: self.undecided.get() })
    }

    /// The first records in the order asked for, one more than the limit, from where it starts.
    fn least(
        &self,
        records: impl Iterator<Item = Result<IdAndRow, EngineError>>,
    ) -> Result<Vec<(Rank, Slice)>, EngineError> {
        let limit = self.limit().saturating_add(1);
        let start = self.first_rank();
        let mut least: BinaryHeap<(Rank, Slice)> = BinaryHeap::new();
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
        index: &Index,
        sort: &Sort,
    ) -> impl Iterator<Item = Result<(EntryKey, Slice), EngineError>> + use<'b, R> {
        let prefix = index.prefix(self.views.fold.prefix());
        let key = |place: &[u8]| [&prefix, place].concat();
        let (with_value, without) = (key(&[WITH_VALUE]), key(&[WITHOUT_VALUE]));
        let end = key(&[WITHOUT_VALUE + 1]);
        let start = self.first_rank();
        let ends_before_values =
            sort.descending && start.as_ref().is_some_and(|(start, _)| is_without_value(&start.place));
        let start = start.map(|(start, inclusive)| {
            let at = [&key(&start.place)[..], &start.id.0].concat();
            if inclusive != sort.descending { at } else { next_key(at) }
        });
        let entries: RangeIter<'b> = match (sort.descending, start) {
            (false, start) => self.rows.range(Table::Index, &start.unwrap_or(with_value), Some(&end)),
            (true, Some(start)) if ends_before_values => self.rows.range_rev(Table::Index, &without, Some(&start)),
            (true, start) => {
                let sections = [(with_value, start.unwrap_or_else(|| without.clone())), (without, end)];
                let rows = self.rows;
                Box::new(sections.into_iter().flat_map(|(from, to)| rows.range_rev(Table::Index, &from, Some(&to))))
            }
        };
        entries.map(|pair| pair.map(|(key, shows)| (EntryKey(key), shows)))
    }

    /// The records that can fit, if an index tells that they are few. `can_walk` says that there is another good way.
    fn candidates(&self, can_walk: bool) -> Result<Option<Vec<RecordId>>, EngineError> {
        let max = if can_walk { CANDIDATES_MAX_BESIDE_A_WALK } else { CANDIDATES_MAX };
        let mut fewest: Option<Vec<RecordId>> = None;
        for index in self.views.indexes.iter().filter(|index| index.definition.list == self.list) {
            let Some(ranges) = ranges(self.query, &index.definition.by, self.views.fold.design()) else { continue };
            let max = fewest.as_ref().map_or(max, Vec::len);
            if let Some(ids) = self.ids_in(index, &ranges, max)? {
                fewest = Some(ids);
            }
        }
        Ok(fewest)
    }

    /// Without a sort, records go by their ids, and so do those at one place of an index: they are read until the page is
    /// full.
    fn at_one_place(&self) -> Option<impl Iterator<Item = Result<(EntryKey, Slice), EngineError>>> {
        if self.query.sort.is_some() {
            return None;
        }
        let place = |index: &Index| point(self.query, &index.definition.by, self.views.fold.design());
        let mut own = self.views.indexes.iter().filter(|index| index.definition.list == self.list);
        let (index, place) = own.find_map(|index| Some((index, place(index)?)))?;
        let prefix = [index.prefix(self.views.fold.prefix()), place].concat();
        let from = match &self.query.start {
            Start::After(cursor) => next_key([&prefix[..], &cursor.record.0].concat()),
            Start::First | Start::At(_) => prefix.clone(),
        };
        let entries = self.rows.range(Table::Index, &from, prefix_end(&prefix).as_deref());
        Some(entries.map(|pair| pair.map(|(key, shows)| (EntryKey(key), shows))))
    }

    /// The records in these ranges of an index, if they are no more than `max`.
    fn ids_in(&self, index: &Index, ranges: &[Range], max: usize) -> Result<Option<Vec<RecordId>>, EngineError> {
        let prefix = index.prefix(self.views.fold.prefix());
        let mut ids = Vec::new();
        for range in ranges {
            let key = |place: &[u8]| [&prefix, place].concat();
            for pair in self.rows.range(Table::Index, &key(&range.from), Some(&key(&range.to))) {
                ids.push(EntryKey(pair?.0).record());
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

/// Where a record stands in the order asked for.
trait Stands {
    fn place(&self) -> &[u8];
    fn id(&self) -> RecordId;
}

impl Stands for EntryKey {
    fn place(&self) -> &[u8] {
        self.place()
    }

    fn id(&self) -> RecordId {
        self.record()
    }
}

impl Stands for Rank {
    fn place(&self) -> &[u8] {
        &self.place
    }

    fn id(&self) -> RecordId {
        self.id
    }
}

/// By their ids, all records have one place.
impl Stands for RecordId {
    fn place(&self) -> &[u8] {
        &[]
    }

    fn id(&self) -> RecordId {
        *self
    }
}
