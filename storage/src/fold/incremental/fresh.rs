//! The quick way for events that only make new records, one after the other, as an import writes them.
//!
//! Such an event goes on where its chain ends: it builds on the last event there and on nothing else, has seen what that
//! one had seen, stands as it stands, and concerns no record that anybody has spoken of. So what it becomes
//! follows from the event alone. Whatever is not exactly so goes the ordinary way, with the same result.

use super::{ChainRow, EventKey, EventRow, EventState, Events, Fold, LogPlace, Tail, rows::encode};
use crate::{
    engine::{Bytes, EngineError, Key, Overlay, Read, Table},
    record_row::{self, NewCell},
};
use std::collections::BTreeSet;
use tandem_wire::{Act, ChainId, Event, EventId, FieldId, PartPath, RecordKey, Target};

/// Rows of one table with their keys.
type Rows = Vec<(Key, Bytes)>;

/// Rows of new records, not yet in any table.
#[derive(Default)]
pub struct Fresh {
    tail: Option<Tail>,
    /// The tip before the first of these events.
    tip: Option<EventId>,
    made: BTreeSet<RecordKey>,
    events: Rows,
    records: Rows,
}

/// An event's new record.
struct NewRecord<'a> {
    key: RecordKey,
    create: u16,
    cells: Vec<NewCell<'a>>,
}

impl Fresh {
    /// How many events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether the next event can build on what was applied last.
    pub fn goes_on(&self) -> bool {
        self.tail.is_some()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The row of the last record.
    pub(crate) fn last_record(&self) -> Option<&(Key, Bytes)> {
        self.records.last()
    }

    /// The rows of the new records in the order of their keys, then those of the events.
    pub(crate) fn take_rows(&mut self) -> (Rows, Rows) {
        self.made.clear();
        let mut records = std::mem::take(&mut self.records);
        records.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        (records, std::mem::take(&mut self.events))
    }
}

impl Fold {
    /// Tells `fresh` that this event was applied last, in the ordinary way.
    pub fn go_on<R: Read, E: Events>(
        &self,
        rows: &R,
        events: &E,
        fresh: &mut Fresh,
        event: &Event,
    ) -> Result<(), EngineError> {
        assert!(fresh.is_empty(), "what came before is settled");
        fresh.tail = self.tail(rows, events, event.header().chain)?.filter(|tail| tail.id == event.id());
        fresh.tip = fresh.tail.map(|tail| tail.id);
        Ok(())
    }

    /// Has `fresh` go on where a chain ends, if that can be. Says whether it does.
    pub fn go_on_in<R: Read, E: Events>(
        &self,
        rows: &R,
        events: &E,
        fresh: &mut Fresh,
        chain: ChainId,
    ) -> Result<bool, EngineError> {
        assert!(fresh.is_empty(), "what came before is settled");
        fresh.tail = self.tail(rows, events, chain)?;
        fresh.tip = fresh.tail.map(|tail| tail.id);
        Ok(fresh.goes_on())
    }

    /// Takes the event in, if it is one that only makes a new record and goes on where `fresh` ended. What it becomes is
    /// in `fresh` until that is settled. Otherwise changes nothing.
    pub fn apply_fresh<R: Read>(
        &mut self,
        rows: &R,
        fresh: &mut Fresh,
        at: LogPlace,
        event: &Event,
    ) -> Result<bool, EngineError> {
        let Some(tail) = fresh.tail else { return Ok(false) };
        let header = event.header();
        // Who signs an event may claim anything, also to build on an event of another chain.
        let is_in_its_chain = self.chains.get(&header.chain).is_some_and(|row| row.number == tail.key.chain);
        let goes_on = header.prev == Some(tail.id)
            && is_in_its_chain
            && header.seq == tail.key.seq + 1
            && header.lamport == tail.lamport + 1
            && header.deps.is_empty()
            && header.resubmits.is_none();
        let Some(record) = goes_on.then(|| NewRecord::of(event)).flatten() else { return Ok(false) };
        let row_key = self.prefix.record(record.key);
        if !self.stands_as(&tail, event)
            || fresh.made.contains(&record.key)
            || rows.get(Table::Records, &row_key)?.is_some()
        {
            return Ok(false);
        }
        fresh.made.insert(record.key);
        let rank = if tail.look.by_authority { header.lamport } else { 0 };
        let row = record_row::encode_new(&event.reference(), header.wall_ms, record.create, rank, &record.cells);
        fresh.records.push((row_key, row));
        let key = EventKey { seq: header.seq, tag: event.id().tag(), ..tail.key };
        let state = EventState::Valid { past: tail.past, last: Some(tail.look) };
        fresh.events.push((
            self.prefix.event(key),
            EventRow { id: event.id(), lamport: header.lamport, at, state, is_judged: false }.encode(),
        ));
        let list = Some(record.key.list);
        fresh.tail = Some(Tail { key, id: event.id(), lamport: header.lamport, list, ..tail });
        let chain = self.chains.get_mut(&header.chain).expect("the tail's chain is known");
        chain.head = Some((header.seq, event.id()));
        self.frontier.step(event);
        Ok(true)
    }

    /// Writes where the events of `fresh` end, and nothing else of them. The next event may build on them.
    pub fn write_end<R: Read>(&self, rows: &mut Overlay<'_, R>, fresh: &mut Fresh) {
        let (Some(tail), Some(tip)) = (fresh.tail, fresh.tip) else { return };
        if tail.id == tip {
            return;
        }
        let (chain, row) = self.chains.iter().find(|(_, row)| row.number == tail.key.chain).expect("known");
        let row: &ChainRow = row;
        rows.put(super::rows::ROWS, self.prefix.chain(*chain), encode(row));
        self.frontier.write_step(self.prefix, rows, tip, tail.id);
        fresh.tip = Some(tail.id);
    }

    /// Moves everything of `fresh` to where the ordinary way finds it.
    pub fn settle_fresh<R: Read>(&self, rows: &mut Overlay<'_, R>, fresh: &mut Fresh) {
        self.write_end(rows, fresh);
        let (records, events) = fresh.take_rows();
        records.into_iter().for_each(|(key, row)| rows.put(Table::Records, key, row));
        events.into_iter().for_each(|(key, row)| rows.put(Table::Events, key, row));
        fresh.tail = None;
        fresh.tip = None;
    }

    /// The keys of the rows that an ingestion may have left of events that the views do not reflect yet, if such they
    /// are.
    pub(crate) fn keys_of_fresh(&self, event: &Event) -> Vec<(Table, Key)> {
        let header = event.header();
        let mut keys = Vec::new();
        if let Some(chain) = self.chains.get(&header.chain) {
            let key = EventKey { chain: chain.number, seq: header.seq, tag: event.id().tag() };
            keys.push((Table::Events, self.prefix.event(key)));
        }
        if let Some(record) = NewRecord::of(event) {
            keys.push((Table::Records, self.prefix.record(record.key)));
        }
        keys
    }
}

/// Whether an event may be one that only makes a new record.
pub fn makes_a_record(event: &Event) -> bool {
    event.header().ops.iter().any(|op| op.act == Act::Create)
}

impl<'a> NewRecord<'a> {
    /// The record that an event makes, if it does only that.
    fn of(event: &'a Event) -> Option<Self> {
        if !makes_a_record(event) {
            return None;
        }
        let mut bodies = event.payload().bodies()?;
        let (mut key, mut create) = (None, None);
        let ops = &event.header().ops;
        let mut cells: Vec<NewCell<'a>> = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            let value = bodies.next()?;
            if !op.preds.is_empty() || *key.get_or_insert(op.target.record()?) != op.target.record()? {
                return None;
            }
            match (&op.act, &op.target) {
                (Act::Create, _) if create.is_none() => create = Some(index as u16),
                (Act::Set, Target::Cell(cell)) => {
                    cells.push(NewCell { field: cell.field, part: &cell.part, op: index as u16, value });
                }
                _something_else => return None,
            }
        }
        let address = |cell: &NewCell<'a>| -> (FieldId, &'a PartPath) { (cell.field, cell.part) };
        cells.sort_unstable_by(|a, b| address(a).cmp(&address(b)));
        let is_twice = cells.windows(2).any(|pair| address(&pair[0]) == address(&pair[1]));
        Some(Self { key: key?, create: create?, cells }).filter(|_| !is_twice)
    }
}

#[cfg(test)]
mod tests;
