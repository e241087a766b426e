//! Rehearsals: a new design is tried on the real rows before it counts.
//!
//! The clone of the views is a snapshot: rows keep what was written, and a design is looked through
//! ([`crate::lens`]), so that nothing is copied but the indexes that the new design asks for. They are made under numbers
//! of their own beside the live ones, which nobody touches.
//!
//! A [`Rehearsal`] is a value that is driven from outside, on whatever threads and in whatever steps: [`Rehearsal::scan`]
//! until all rows are seen (or, on several threads at once, what it consists of), [`Rehearsal::ingest`] once,
//! [`Rehearsal::bring_up`] with what changed meanwhile, as often as needed; then [`Rehearsal::finish`]. Given up at any
//! point, it leaves rows that nothing lists, which go when their number is used again.

mod entries;
mod glance;
mod lists;
mod report;
mod row;
mod trying;
mod twins;

pub use report::{Broken, Report, Reported, Unfit};

pub(crate) use trying::Trying;

use self::{
    entries::Entries,
    lists::ListTrial,
    report::Twin,
    twins::{Moves, are_twins, parts},
};
use crate::{
    design_file::{check, differences},
    engine::{Batch, Bytes, Engine, EngineError, Key, Read, Slice, Table, prefix_end},
    fold::{Design, incremental::Prefix},
    index::{CellPath, Index, IndexDefinition, definition::wanted, entry::record_of},
    record_row::{self, CellRow},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};
use tandem_wire::{ListId, RecordId, RecordKey};

/// Parts of a list that can be looked at side by side.
const PARTS: usize = 64;

/// A try of a new design.
pub struct Rehearsal {
    old: Arc<Design>,
    new: Arc<Design>,
    generation: Prefix,
    indexes: Vec<Index>,
    /// The lists that the new design touches, each with what is asked of its rows.
    trials: BTreeMap<ListId, ListTrial>,
    /// What was not looked at yet, the first part last.
    parts: Vec<Part>,
    /// The entries that are not written yet.
    entries: Entries,
    /// Live indexes of fields that are to be unique: where their records stand, of which nothing is written.
    uniques: Vec<Index>,
    places: Entries,
    /// The starts of all indexes of such fields, and what is said of twins in them.
    unique: BTreeMap<Key, (ListId, Twin)>,
    report: Report,
}

/// Rows of a list that lie beside each other and are to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    list: ListId,
    from: RecordId,
    /// Without this one; none for all that follow.
    to: Option<RecordId>,
}

/// What was seen in some rows.
#[derive(Default)]
pub struct Looked {
    entries: Entries,
    places: Entries,
    report: Report,
    /// The rows of the part that were not looked at.
    rest: Option<Part>,
}

impl Part {
    /// A list in parts of about the same size, by the first byte of the records' ids, which are random.
    fn of(list: ListId) -> impl DoubleEndedIterator<Item = Self> {
        let start =
            |number: usize| RecordId(std::array::from_fn(|at| if at == 0 { (number * 256 / PARTS) as u8 } else { 0 }));
        (0..PARTS).map(move |number| Self {
            list,
            from: start(number),
            to: (number + 1 < PARTS).then(|| start(number + 1)),
        })
    }
}

impl Rehearsal {
    /// Of `new` in place of `old`, on the rows of a generation. The indexes that it adds get numbers from `number` on.
    pub fn new(old: Arc<Design>, new: Arc<Design>, generation: Prefix, present: &[Index], number: u32) -> Self {
        let wanted = wanted(&new);
        let is_there = |definition: &IndexDefinition| present.iter().any(|index| index.definition == *definition);
        let added = wanted.iter().filter(|definition| !is_there(definition)).cloned();
        let indexes: Vec<Index> =
            added.zip(number..).map(|(definition, number)| Index { number, definition }).collect();
        let touched: BTreeSet<ListId> = lists::touched(&old, &new);
        let trials: BTreeMap<ListId, ListTrial> =
            touched.into_iter().map(|list| (list, ListTrial::new(&old, &new, list, &indexes))).collect();
        let of_cell = |list: ListId, by: &CellPath| {
            let is_of = |index: &&Index| index.definition.list == list && index.definition.by == *by;
            let is_made = indexes.iter().any(|index| is_of(&index));
            present.iter().filter(|_| !is_made).find(|index| is_of(index) && wanted.contains(&index.definition))
        };
        let by_list = trials.iter().flat_map(|(list, trial)| trial.unique_cells().map(move |by| (*list, by)));
        let uniques: Vec<Index> = by_list.filter_map(|(list, by)| of_cell(list, &by).cloned()).collect();
        // Of several indexes of a field one is enough.
        let mut unique = BTreeMap::new();
        let mut fields = BTreeSet::new();
        for index in indexes.iter().chain(&uniques) {
            let IndexDefinition { list, by, .. } = &index.definition;
            let name = trials.get(list).and_then(|trial| trial.newly_unique(by));
            if let Some(name) = name.filter(|_| fields.insert(by.0)) {
                unique.insert(index.prefix(generation), (*list, Twin { field: by.0, rule: name }));
            }
        }
        let parts = trials.keys().rev().flat_map(|list| Part::of(*list).rev()).collect();
        let mut report = Report::default();
        report.faults = check(&new);
        (report.differences, report.touched) = (differences(&old, &new).len(), trials.len());
        report.indexes = indexes.len();
        Self {
            old,
            new,
            generation,
            indexes,
            trials,
            parts,
            entries: Entries::default(),
            uniques,
            places: Entries::default(),
            unique,
            report,
        }
    }

    /// The design that is tried.
    pub fn design(&self) -> &Arc<Design> {
        &self.new
    }

    /// The indexes that it makes.
    pub fn indexes(&self) -> &[Index] {
        &self.indexes
    }

    /// Removes what an earlier rehearsal may have left under the numbers of its indexes.
    pub fn clear<E: Engine>(&self, engine: &E) -> Result<(), EngineError> {
        let mut prefixes = self.indexes.iter().map(|index| index.prefix(self.generation));
        prefixes.try_for_each(|prefix| engine.drop_prefix(Table::Index, &prefix))
    }

    /// Whether there are rows to look at: a design whose structure is wrong is not tried on any.
    pub fn is_worth_it(&self) -> bool {
        self.report.faults.is_empty()
    }

    /// Whether there are rows that it has not looked at.
    pub fn has_more_rows(&self) -> bool {
        !self.parts.is_empty() && self.is_worth_it()
    }

    /// Looks at some rows of the clone, at most so many. Says whether there are more.
    pub fn scan<R: Read>(&mut self, clone: &R, rows: usize) -> Result<bool, EngineError> {
        let mut left = rows;
        while left > 0 {
            let Some(part) = self.take_part() else { break };
            let looked = self.look_through(clone, part, left)?;
            left -= looked.report.records.min(left as u64) as usize;
            self.add(looked);
        }
        Ok(self.has_more_rows())
    }

    /// Some rows that were not looked at yet.
    pub fn take_part(&mut self) -> Option<Part> {
        self.parts.pop().filter(|_| self.is_worth_it())
    }

    /// Looks at rows of a part, at most so many.
    pub fn look_through<R: Read>(&self, clone: &R, part: Part, rows: usize) -> Result<Looked, EngineError> {
        let start = self.generation.record(RecordKey { list: part.list, record: part.from });
        let end = match part.to {
            Some(to) => Some(self.generation.record(RecordKey { list: part.list, record: to })),
            None => prefix_end(&start[..start.len() - part.from.0.len()]),
        };
        let (mut looked, mut left) = (Looked::default(), rows);
        let mut room = (Vec::new(), Vec::new());
        clone.each_shown(&start, end.as_deref(), &mut |key, exists, cells| {
            let (list, record) = record_of(key);
            if left == 0 {
                looked.rest = Some(Part { from: record, ..part });
                return ControlFlow::Break(());
            }
            left -= 1;
            if exists {
                self.look_at(RecordKey { list, record }, cells, &mut room, &mut looked);
            }
            ControlFlow::Continue(())
        })?;
        Ok(looked)
    }

    /// Looks at a record that exists; `room` is for keys and columns of indexes.
    fn look_at(
        &self,
        RecordKey { list, record }: RecordKey,
        cells: &[CellRow<'_>],
        (key, columns): &mut (Key, Bytes),
        looked: &mut Looked,
    ) {
        let trial = &self.trials[&list];
        let glance = trial.glance(&self.new, cells);
        let outcome = trial.look_at(&self.old, record, &glance);
        looked.report.add(RecordKey { list, record }, &outcome);
        let place = (self.generation, &*self.new, record);
        for index in trial.indexes(&self.indexes) {
            index.put_entry((key, columns), place, |path| glance.shown(path));
            looked.entries.push(key, columns);
        }
        for index in self.uniques.iter().filter(|index| index.definition.list == list) {
            index.put_entry((key, columns), place, |path| glance.shown(path));
            looked.places.push(key, &[]);
        }
    }

    /// Takes what was seen in some rows.
    pub fn add(&mut self, looked: Looked) {
        self.entries.append(looked.entries);
        self.places.append(looked.places);
        self.report.merge(looked.report);
        self.parts.extend(looked.rest);
    }

    /// Writes the entries, once all rows were looked at.
    pub fn ingest<E: Engine>(&mut self, engine: &E) -> Result<(), EngineError> {
        self.find_twins();
        let mut entries = std::mem::take(&mut self.entries);
        engine.ingest_all(entries.parts().into_iter().map(|part| (Table::Index, part)).collect())
    }

    fn find_twins(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        if self.unique.is_empty() {
            return;
        }
        self.entries.sort();
        places.sort();
        for (one, _) in self.entries.pairs().chain(places.pairs()).filter(|(one, other)| are_twins(one, other)) {
            let (index, _, record) = parts(one);
            if let Some((list, twin)) = self.unique.get(index) {
                self.report.turn(RecordKey { list: *list, record }, twin, true);
            }
        }
    }

    /// What it found, where nothing is to be written.
    pub fn into_report(mut self) -> Report {
        self.find_twins();
        self.report
    }

    /// Brings the result from one state of the rows to a later one, of which `changed` are the keys of the records that
    /// are not the same.
    pub fn bring_up<R: Read>(
        &mut self,
        (before, after): (&R, &R),
        changed: &BTreeSet<Key>,
        batch: &mut Batch,
    ) -> Result<(), EngineError> {
        // Of a design whose structure is wrong no row was looked at.
        let is_worth_it = self.is_worth_it();
        let mut moves = Moves::default();
        for key in changed.iter().filter(|_| is_worth_it) {
            let (list, record) = record_of(key);
            let Some(trial) = self.trials.get(&list) else { continue };
            let (old_row, new_row) = (before.get(Table::Records, key)?, after.get(Table::Records, key)?);
            let existing = |row: &Option<Slice>| row.clone().filter(|row| record_row::exists(row));
            let (old_row, new_row) = (existing(&old_row), existing(&new_row));
            for index in trial.indexes(&self.indexes) {
                let entry = |row: &Slice| index.entry(self.generation, &self.new, record, row);
                let (old, new) = (old_row.as_ref().and_then(entry), new_row.as_ref().and_then(entry));
                if old == new {
                    continue;
                }
                if self.unique.contains_key(&index.prefix(self.generation)) {
                    let key = |entry: &Option<(Key, Bytes)>| entry.as_ref().map(|(key, _)| key.clone());
                    moves.add(key(&old).as_deref(), key(&new).as_deref());
                }
                if let Some((key, _)) = old {
                    batch.delete(Table::Index, key);
                }
                if let Some((key, columns)) = new {
                    batch.put(Table::Index, key, columns);
                }
            }
            for index in self.uniques.iter().filter(|index| index.definition.list == list) {
                let key = |row: &Slice| Some(index.entry(self.generation, &self.new, record, row)?.0);
                let (old, new) = (old_row.as_ref().and_then(key), new_row.as_ref().and_then(key));
                moves.add(old.as_deref(), new.as_deref());
            }
            let of = |row: Slice| {
                let cells = record_row::all_cells(&row);
                trial.look_at(&self.old, record, &trial.glance(&self.new, &cells))
            };
            let (old, new) = (old_row.map(of), new_row.map(of));
            let key = RecordKey { list, record };
            if let Some(outcome) = old {
                self.report.take_away(key, &outcome);
            }
            if let Some(outcome) = new {
                self.report.add(key, &outcome);
            }
        }
        for turned in moves.turned(after)? {
            let (list, twin) = &self.unique[&turned.index];
            self.report.turn(RecordKey { list: *list, record: turned.record }, twin, turned.is_twin);
        }
        Ok(())
    }

    /// What came of it so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The design, and its indexes, which stand ready.
    pub fn finish(self) -> (Arc<Design>, Vec<Index>) {
        (self.new, self.indexes)
    }
}

#[cfg(test)]
mod tests;
