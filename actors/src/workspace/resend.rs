//! What is done about refused events: sent again with other values, given up, or handed on (rule R8).

use super::{
    check,
    compose::{Decided, Draft, OpWithBody, Shared, too_large},
    transaction::{on_record, op_of, unanswered_deletes},
};
use crate::command::{Committed, Refused, Resend};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_storage::{
    EngineError,
    engine::{Read, Table},
    fold::{
        RecordState, Status,
        incremental::{EventRow, EventState, Events},
    },
    record_row,
};
use tandem_wire::{
    Act, CellKey, Event, EventRef, MemberId, Op, OpRef, RecordKey, RefusalCode, Target, Value, limits::PREDS_MAX,
};

/// Dependants that are taken along.
const DEPENDANTS_MAX: usize = 256;

pub(super) fn resend<R: Read>(draft: &mut Draft<'_, R>, resend: &Resend) -> Decided {
    let masked = match masked(draft, &resend.event)? {
        Ok(masked) => masked,
        Err(refused) => return Ok(Err(refused)),
    };
    for (cell, value) in &resend.values {
        if let Err(refused) = check::cell(draft.fold.design(), cell, value) {
            return Ok(Err(refused));
        }
    }
    let dependants = if resend.with_dependants { dependants(draft, &masked)? } else { Vec::new() };
    if dependants.is_empty() {
        put_in_place(draft, resend, &[masked])
    } else {
        let events: Vec<Arc<Event>> = [masked].into_iter().chain(dependants).collect();
        draft.whole(|draft| put_in_place(draft, resend, &events))
    }
}

/// Puts a new event in place of each of these; the first gets the values.
fn put_in_place<R: Read>(draft: &mut Draft<'_, R>, resend: &Resend, events: &[Arc<Event>]) -> Decided {
    let mut committed = Committed::default();
    let values: BTreeMap<&CellKey, &Value> = resend.values.iter().map(|(cell, value)| (cell, value)).collect();
    for (index, event) in events.iter().enumerate() {
        let values = if index == 0 { values.clone() } else { BTreeMap::new() };
        let Some(ops) = ops(draft, event, values)? else { return Ok(Err(Refused::ValuesMissing(event.id()))) };
        if ops.is_empty() {
            continue;
        }
        let shared = Shared { batch: None, actor: resend.actor, resubmits: Some(event.reference()) };
        match draft.add(ops, shared)? {
            Ok(event) => committed.events.push(event.id()),
            Err(why) => return Ok(Err(too_large(why))),
        }
    }
    Ok(if committed.events.is_empty() { Err(Refused::NothingLeft(events[0].id())) } else { Ok(committed) })
}

pub(super) fn discard<R: Read>(draft: &mut Draft<'_, R>, event: &EventRef) -> Decided {
    answer(draft, event, Act::Discard(Box::new(*event)))
}

pub(super) fn hand_on<R: Read>(draft: &mut Draft<'_, R>, event: &EventRef, to: MemberId) -> Decided {
    if super::person_name(&draft.fold, to).is_none() {
        return Ok(Err(Refused::UnknownPerson(to)));
    }
    answer(draft, event, Act::HandOn { event: Box::new(*event), to })
}

fn answer<R: Read>(draft: &mut Draft<'_, R>, event: &EventRef, act: Act) -> Decided {
    if let Err(refused) = masked(draft, event)? {
        return Ok(Err(refused));
    }
    let op = Op { target: Target::Workspace, preds: vec![], act };
    Ok(match draft.add(vec![(op, Vec::new())], Shared::default())? {
        Ok(event) => Ok(Committed { events: vec![event.id()], ..Committed::default() }),
        Err(why) => Err(too_large(why)),
    })
}

/// A valid event that is refused, by a binding authority or by a mirror.
fn masked<R: Read>(draft: &Draft<'_, R>, event: &EventRef) -> Result<Result<Arc<Event>, Refused>, EngineError> {
    let row = match draft.fold.key_at(event.chain, (*event).into()) {
        Some(key) => EventRow::get(&draft.rows, draft.fold.prefix(), key)?.filter(|row| row.id == event.id),
        None => None,
    };
    let Some(row) = row else { return Ok(Err(Refused::UnknownEvent(event.id))) };
    let is_masked = matches!(row.state, EventState::Valid { last: Some(look), .. } if !look.live);
    if !is_masked && !draft.fold.is_refused_by_mirror(&draft.rows, event.id)? {
        return Ok(Err(Refused::NotRefused(event.id)));
    }
    Ok(Ok(draft.log.event(row.at)?))
}

/// What a masked event did, done on what is there now: without what somebody has done since who had seen it. Nothing where a
/// value is neither here nor given: only who has it can send it again.
fn ops<R: Read>(
    draft: &Draft<'_, R>,
    masked: &Event,
    mut values: BTreeMap<&CellKey, &Value>,
) -> Result<Option<Vec<OpWithBody>>, EngineError> {
    let mut ops = Vec::new();
    for record in records_of(masked) {
        let row = draft.rows.get(Table::Records, &draft.fold.prefix().record(record))?;
        let state = row.map_or_else(RecordState::default, |row| record_row::decode(&row));
        let seen = named_by_live_ops(draft, record)?;
        let mut revives = !state.exists();
        for (index, op) in masked.header().ops.iter().enumerate().filter(|(_, op)| op.target.record() == Some(record)) {
            let own = masked.op_ref(index as u16);
            if seen.contains(&own) {
                op.target.cell().map(|cell| values.remove(cell));
                continue;
            }
            match (&op.act, &op.target) {
                (Act::Create, _) if state.creates.is_empty() && revives => {
                    ops.push(on_record(record, Act::Create, unanswered_deletes(&state)));
                    revives = false;
                }
                (Act::Restore, _) if !state.creates.is_empty() && revives => {
                    ops.push(on_record(record, Act::Restore, unanswered_deletes(&state)));
                    revives = false;
                }
                (Act::Set, Target::Cell(cell)) => {
                    let fixed = values.remove(cell).map(Value::encode);
                    let sent = masked.body(index).map(<[u8]>::to_vec);
                    let Some(value) = fixed.or(sent) else { return Ok(None) };
                    ops.push(set(&state, cell, Some(own), value));
                }
                (Act::Delete, _) if state.exists() => {
                    let seen = super::transaction::current(&state);
                    ops.extend(seen.chunks(PREDS_MAX).map(|preds| on_record(record, Act::Delete, preds.to_vec())));
                }
                _done_already => {}
            }
        }
        let more = values.extract_if(.., |cell, _| cell.record == record);
        ops.extend(more.map(|(cell, value)| set(&state, cell, None, value.encode())));
    }
    Ok(Some(ops))
}

/// A value in place of what a cell shows, and of the masked op, so that whoever sends that again as well sees it was done.
fn set(state: &RecordState, cell: &CellKey, masked: Option<OpRef>, value: Vec<u8>) -> OpWithBody {
    let siblings = state.cells.get(&(cell.field, cell.part.clone())).map_or(&[][..], Vec::as_slice);
    let preds: BTreeSet<OpRef> =
        siblings.first().map(|winner| op_of(&winner.stamp)).into_iter().chain(masked).collect();
    (Op { target: Target::Cell(cell.clone()), preds: preds.into_iter().collect(), act: Act::Set }, value)
}

/// What live events on a record name as predecessors.
fn named_by_live_ops<R: Read>(draft: &Draft<'_, R>, record: RecordKey) -> Result<BTreeSet<OpRef>, EngineError> {
    let mut named = BTreeSet::new();
    for key in draft.fold.events_on(&draft.rows, record)? {
        let row = EventRow::get(&draft.rows, draft.fold.prefix(), key)?.expect("an event on a record has a row");
        if matches!(row.state, EventState::Valid { last: Some(look), .. } if look.live) {
            let event = draft.log.event(row.at)?;
            named.extend(event.header().ops.iter().flat_map(|op| op.preds.iter().copied()));
        }
    }
    Ok(named)
}

/// Events on the records that a masked one would make which were refused for want of them and answered by nobody, the
/// oldest first.
fn dependants<R: Read>(draft: &Draft<'_, R>, masked: &Event) -> Result<Vec<Arc<Event>>, EngineError> {
    let makes = masked.header().ops.iter().filter(|op| matches!(op.act, Act::Create | Act::Restore));
    let records: BTreeSet<RecordKey> = makes.filter_map(|op| op.target.record()).collect();
    let mut found = BTreeMap::new();
    for record in records {
        for key in draft.fold.events_on(&draft.rows, record)? {
            let row = EventRow::get(&draft.rows, draft.fold.prefix(), key)?.expect("an event on a record has a row");
            if row.id == masked.id() {
                continue;
            }
            let event = draft.log.event(row.at)?;
            let Status::Refused(verdicts) = draft.fold.status(&draft.rows, &draft.log, &event, &row)? else { continue };
            let for_want = verdicts.iter().all(|(_, code)| *code == RefusalCode::DEPENDS_ON_REFUSED);
            if for_want && draft.fold.answers_to(&draft.rows, &event.reference())?.is_empty() {
                found.insert((event.header().lamport, event.id()), event);
            }
        }
    }
    Ok(found.into_values().take(DEPENDANTS_MAX).collect())
}

fn records_of(event: &Event) -> BTreeSet<RecordKey> {
    event.header().ops.iter().filter_map(|op| op.target.record()).collect()
}
