//! The quick way for most of what people do: an event that goes on where its chain ends, and whose ops build on what is
//! live.
//!
//! It has seen of the control plane what the event before it had, and nothing can be said of it yet, so it stands as that
//! one stands. What its ops name is in the records' rows, or beside them as replaced, so it is known, and about the same
//! thing. What it becomes then follows without a look into the log. Rows that change again and again (a record's, the
//! chain's, the tips) are kept back until [`Fold::settle_steps`]. Whatever is not exactly so goes the ordinary way, with
//! the same result.

use super::{
    EventKey, EventRow, EventState, Events, Fold, LogPlace, Look, Lookup,
    frontier::Tips,
    records::{Earlier, records_of},
    rows::{ROWS, encode},
};
use crate::{
    engine::{EngineError, Overlay, Read, Table},
    fold::{RecordState, record},
    index::entry::Before,
    record_row,
};
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};
use tandem_wire::{Act, CellKey, ChainId, Event, EventId, FieldId, ListId, Op, OpRef, PartPath, RecordKey, Target};

/// An event with more ops goes the ordinary way: that all they build on is there is found out before anything is changed,
/// and for so many it is no longer the quicker one.
const OPS_MAX: usize = 64;

/// Events that went the quick way, and what of them is not in the rows yet.
#[derive(Default)]
pub struct Steps {
    /// Where the chains end, and whether that has moved.
    tails: BTreeMap<ChainId, (Tail, bool)>,
    /// The tips before the first of these events.
    tips: Option<Tips>,
    records: BTreeMap<RecordKey, RecordState>,
    /// Their rows below what is pending, as far as they are known.
    before: Before,
    count: usize,
}

/// The last event of a chain, on which the next one builds.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    pub(super) key: EventKey,
    pub(super) id: EventId,
    pub(super) lamport: u64,
    pub(super) past: u32,
    pub(super) look: Look,
    /// The one list that it concerns, where that counts.
    pub(super) list: Option<ListId>,
}

impl Steps {
    /// How many events.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The rows of records, as they are below what is pending, that were looked at since the last call.
    pub(crate) fn take_before(&mut self) -> Before {
        std::mem::take(&mut self.before)
    }
}

impl Fold {
    /// Takes the event in, if it is one that can go the quick way: part of what it becomes is in `steps` until these are
    /// settled. Otherwise changes nothing.
    pub fn apply_step<R: Read, E: Events>(
        &mut self,
        rows: &mut Overlay<'_, R>,
        events: &E,
        steps: &mut Steps,
        at: LogPlace,
        event: &Event,
    ) -> Result<bool, EngineError> {
        let chain = event.header().chain;
        if event.header().ops.len() > OPS_MAX || !event.header().ops.iter().all(is_about_a_record) {
            return Ok(false);
        }
        let tail = match steps.tails.get(&chain) {
            Some((tail, _)) => *tail,
            None => match self.tail(rows, events, chain)? {
                Some(tail) => tail,
                None => return Ok(false),
            },
        };
        if !self.stands_as(&tail, event) || !self.goes_on(rows, steps, &tail, event)? {
            return Ok(false);
        }
        let records = records_of(event);
        for record in &records {
            self.look_up(rows, steps, *record)?;
        }
        let Some(earlier) = self.what_it_builds_on(rows, steps, event)? else { return Ok(false) };
        let key = EventKey { seq: event.header().seq, tag: event.id().tag(), ..tail.key };
        let state = EventState::Valid { past: tail.past, last: Some(tail.look) };
        let row = EventRow { id: event.id(), lamport: event.header().lamport, at, state, is_judged: false };
        rows.put(ROWS, self.prefix.event(key), row.encode());
        for record in records {
            let state = steps.records.get_mut(&record).expect("just looked up");
            let ops = record::ops_on(event, record, true, false, tail.look.by_authority);
            let all = self.absorb_into(rows, (record, state), event, ops, &earlier);
            assert!(all, "all that it builds on was found");
        }
        steps.tips.get_or_insert_with(|| self.frontier.all().clone());
        self.frontier.step(event);
        self.chains.get_mut(&chain).expect("a tail's chain is known").head = Some((event.header().seq, event.id()));
        let list = records_of(event).first().map(|record| record.list);
        let tail = Tail { key, id: event.id(), lamport: event.header().lamport, list, ..tail };
        steps.tails.insert(chain, (tail, true));
        steps.count += 1;
        Ok(true)
    }

    /// Moves everything of `steps` to where the ordinary way finds it.
    pub fn settle_steps<R: Read>(&self, rows: &mut Overlay<'_, R>, steps: &mut Steps) {
        let Steps { tails, tips, records, before, count } = std::mem::take(steps);
        steps.before = before;
        if count == 0 {
            return;
        }
        for (chain, _) in tails.into_iter().filter(|(_, (_, moved))| *moved) {
            rows.put(ROWS, self.prefix.chain(chain), encode(&self.chains[&chain]));
        }
        self.frontier.write_change(self.prefix, rows, &tips.unwrap_or_default());
        for (record, mut state) in records {
            state.normalise();
            self.write(rows, record, &state);
        }
    }

    /// Where a chain ends, if what comes next there may go the quick way.
    pub(super) fn tail<R: Read, E: Events>(
        &self,
        rows: &R,
        events: &E,
        chain: ChainId,
    ) -> Result<Option<Tail>, EngineError> {
        let row = self.chains.get(&chain).filter(|row| row.first_fork.is_none() && !self.ends.contains_key(&chain));
        let may_be_cut = self.members.cuts.contains_key(&chain.device);
        let Some((row, (seq, id))) = row.and_then(|row| Some((row, row.head?))) else { return Ok(None) };
        if chain.is_control() || self.waiting > 0 || may_be_cut {
            return Ok(None);
        }
        let key = EventKey { chain: row.number, seq, tag: id.tag() };
        let lookup = Lookup { fold: self, rows, events };
        let Some(EventRow { at, lamport, state: EventState::Valid { past, last: Some(look) }, .. }) =
            lookup.row(key)?
        else {
            return Ok(None);
        };
        let list = match self.terms.terms.is_empty() {
            true => None,
            false => the_one_list(&*events.event(at)?),
        };
        Ok(Some(Tail { key, id, lamport, past, look, list }).filter(|tail| tail.look.live))
    }

    /// Whether an event stands as the one before it, whatever that is.
    pub(super) fn stands_as(&self, tail: &Tail, event: &Event) -> bool {
        self.terms.terms.is_empty() || (tail.list.is_some() && tail.list == the_one_list(event))
    }

    /// Whether the event comes next in its chain, and has seen of the control plane what the one before it had.
    fn goes_on<R: Read>(&self, rows: &R, steps: &Steps, tail: &Tail, event: &Event) -> Result<bool, EngineError> {
        let header = event.header();
        if header.prev != Some(tail.id) || header.seq != tail.key.seq + 1 || header.resubmits.is_some() {
            return Ok(false);
        }
        let mut lamport = tail.lamport;
        for dep in &header.deps {
            let Some(number) = self.chains.get(&dep.chain).map(|row| row.number) else { return Ok(false) };
            let known = steps.tails.get(&dep.chain).filter(|(tail, _)| tail.id == dep.id);
            let (past, of_dep) = match known {
                Some((tail, _)) => (tail.past, tail.lamport),
                None => {
                    let key = EventKey { chain: number, seq: dep.seq, tag: dep.id.tag() };
                    match EventRow::get(rows, self.prefix, key)? {
                        Some(EventRow { id, lamport, state: EventState::Valid { past, .. }, .. }) if id == dep.id => {
                            (past, lamport)
                        }
                        _something_else => return Ok(false),
                    }
                }
            };
            if dep.chain.is_control() || past != tail.past {
                return Ok(false);
            }
            lamport = lamport.max(of_dep);
        }
        Ok(header.lamport == lamport + 1)
    }

    fn look_up<R: Read>(&self, rows: &Overlay<'_, R>, steps: &mut Steps, record: RecordKey) -> Result<(), EngineError> {
        if let Entry::Vacant(vacant) = steps.records.entry(record) {
            let key = self.prefix.record(record);
            let row = rows.get(Table::Records, &key)?;
            vacant.insert(row.as_deref().map_or_else(RecordState::default, record_row::decode));
            if !rows.is_pending(Table::Records, &key) {
                // A copy: a row as it was read keeps the whole block around it in memory.
                steps.before.insert(key, row.map(|row| row.to_vec()));
            }
        }
        Ok(())
    }

    /// The ops that it builds on and that are not current, if all that it builds on is live, earlier, and about the same
    /// thing.
    fn what_it_builds_on<R: Read>(
        &self,
        rows: &R,
        steps: &Steps,
        event: &Event,
    ) -> Result<Option<Earlier>, EngineError> {
        let ops = &event.header().ops;
        let (mut cells, mut earlier): (BTreeSet<&CellKey>, _) = (BTreeSet::new(), Earlier::new());
        for op in ops {
            let record = op.target.record().expect("they are about records");
            let state = &steps.records[&record];
            let cell = op.target.cell().map(|cell| (cell.field, cell.part.clone()));
            let is_twice = op.target.cell().is_some_and(|cell| !cells.insert(cell));
            // What it covers, another op of the same event might replace.
            if is_twice || (op.act == Act::Delete && ops.len() > 1) {
                return Ok(None);
            }
            for pred in &op.preds {
                let is_current = match (&op.act, &cell) {
                    (Act::Set, Some(cell)) => state.has_value(cell, pred),
                    (Act::Delete, _) => state.has_edit(pred),
                    _create_restore_resolve => state.has_removal(pred),
                };
                let may_be_replaced = matches!(op.act, Act::Set | Act::Delete);
                if !is_current {
                    let replaced = match may_be_replaced {
                        true => self.replaced(rows, record, pred, cell.as_ref())?,
                        false => None,
                    };
                    let Some(key) = replaced else { return Ok(None) };
                    earlier.insert(*pred, key);
                }
                if pred.chain != event.header().chain {
                    let key = self.key_of_op(pred).expect("what a record is made of is known");
                    let row = EventRow::get(rows, self.prefix, key)?.expect("what a record is made of is known");
                    if row.lamport >= event.header().lamport {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(earlier))
    }
}

/// Whether it is an op that this way is for.
fn is_about_a_record(op: &Op) -> bool {
    match (&op.act, &op.target) {
        (Act::Set, Target::Cell(_)) => true,
        (Act::Create | Act::Delete | Act::Restore | Act::Resolve, Target::Record(_)) => true,
        _something_else => false,
    }
}

/// The list that all ops are about.
fn the_one_list(event: &Event) -> Option<ListId> {
    let mut lists = event.header().ops.iter().map(|op| op.target.record().map(|record| record.list));
    let first = lists.next().flatten();
    first.filter(|list| lists.all(|other| other == Some(*list)))
}

impl RecordState {
    fn has_value(&self, cell: &(FieldId, PartPath), op: &OpRef) -> bool {
        self.cells.get(cell).is_some_and(|siblings| siblings.iter().any(|sibling| sibling.stamp.is(op)))
    }

    fn has_edit(&self, op: &OpRef) -> bool {
        self.has(op) && !self.has_removal(op)
    }

    fn has_removal(&self, op: &OpRef) -> bool {
        self.deletes.iter().any(|removal| removal.stamp.is(op))
    }
}

#[cfg(test)]
mod tests;
