//! Faults of those who judge, and of those who believe them, put in on purpose: see [`Planted`].

use super::{checks, peer::Peer, verdict_checks::Found};
use crate::{disk::Disk, planted::Planted};
use std::collections::{BTreeMap, BTreeSet};
use tandem_storage::{
    Store,
    engine::{Batch, Durability, Engine, MemoryEngine, Read, Table},
    fold::{
        Status,
        record::{Content, Sibling, Stamp},
    },
    lacking::Lacking,
    log::LogReader,
    outbox, record_row,
};
use tandem_wire::{Act, Event, EventId, OpRef, Outcome, RefusalCode, Run, Target};

/// Masks in the views what only the fault takes for refused.
pub(super) fn believe(planted: Planted, store: &Store<Disk>) {
    if !matches!(planted, Planted::MirrorMasks | Planted::EndedTermBelieved) {
        return;
    }
    let found = Found::of(store);
    let wrongly: BTreeMap<EventId, BTreeSet<(OpRef, RefusalCode)>> = match planted {
        Planted::MirrorMasks => found.mirrored().clone(),
        Planted::EndedTermBelieved => found.refused_by_ended_terms(),
        _elsewhere => return,
    };
    let mut batch = Batch::default();
    for (event, verdicts) in wrongly {
        let key = [&store.fold().prefix().bytes()[..], b"m", &event.0].concat();
        if store.engine().get(Table::Events, &key).expect("memory can be read").is_none() {
            batch.put(Table::Events, key, postcard::to_allocvec(&Status::Refused(verdicts)).expect("bytes"));
        }
    }
    // A disk that fails keeps it from that.
    let _ = store.engine().commit(batch, Durability::Buffered);
}

/// Puts the values of refused events back into the views.
pub(super) fn return_refused(store: &Store<Disk>) {
    let snapshot = store.engine().snapshot();
    let control = store.fold().control_view(&snapshot).expect("memory can be read");
    let mut batch = Batch::default();
    for event in checks::events(&**store.engine()) {
        if !control.masked.get(&event.id()).is_some_and(Status::is_refused) {
            continue;
        }
        for (index, op) in event.header().ops.iter().enumerate() {
            let (Act::Set, Target::Cell(cell)) = (&op.act, &op.target) else { continue };
            let key = store.fold().prefix().record(cell.record);
            let row = store.engine().get(Table::Records, &key).expect("memory can be read");
            let Some(mut state) = row.map(|row| record_row::decode(&row)) else { continue };
            let siblings = state.cells.entry((cell.field, cell.part.clone())).or_default();
            siblings.push(sibling(&event, index as u16));
            batch.put(Table::Records, key, record_row::encode(&state));
        }
    }
    // A disk that fails keeps it from that.
    let _ = store.engine().commit(batch, Durability::Buffered);
}

/// What goes to a server on a link that was broken before, less what waits for its verdict.
pub(super) fn drop_waiting(found: &mut Lacking, peer: &Peer) {
    let store = peer.store().expect("up");
    let snapshot = store.engine().snapshot();
    let log = LogReader::new(&snapshot, store.workspace());
    let mut waits = BTreeSet::new();
    for term in store.fold().present_terms() {
        let waiting = outbox::waiting(store.fold(), &snapshot, &log, term, peer.device()).expect("memory can be read");
        waits.extend(waiting.into_iter().map(|event| event.id));
    }
    found.runs.retain(|run| {
        let events = Run::decode_trusted(run).expect("it was verified").into_events();
        !events.iter().any(|event| waits.contains(&event.id()))
    });
}

/// Whether there are refusals among the verdicts of a batch of the log.
pub(super) fn has_refusals(log: &Batch) -> bool {
    let runs = log.iter().filter_map(|(_, _, run)| run);
    let mut events = runs.flat_map(|run| Run::decode_trusted(run).expect("just made").into_events());
    events.any(|event| {
        let mut acts = event.header().ops.iter().map(|op| &op.act);
        acts.any(|act| matches!(act, Act::Verdict(verdict) if verdict.outcome != Outcome::Accept))
    })
}

/// Whether a batch masks something that was refused.
pub(crate) fn refuses(batch: &Batch) -> bool {
    let mut rows = batch.iter().filter(|(table, key, _)| *table == Table::Events && key[8] == b'm');
    rows.any(|(_, _, row)| row.is_some_and(|row| is_refusal(row)))
}

/// Puts back what refused ops had replaced, though something live has replaced those.
pub(crate) fn stop_at_refused(disk: &MemoryEngine, batch: &Batch) -> Batch {
    let is_masked_by = |id: EventId| {
        let in_batch =
            batch.iter().find(|(table, key, _)| *table == Table::Events && key[8] == b'm' && key[9..] == id.0[..]);
        in_batch.is_some_and(|(_, _, row)| row.is_some_and(|row| is_refusal(row)))
    };
    if !refuses(batch) {
        return crate::planted::with_records(batch, |_, _| {});
    }
    let events = checks::events(disk);
    let by_op = |op: &OpRef| events.iter().find(|event| event.op_ref(op.op) == *op);
    crate::planted::with_records(batch, |_, state| {
        for siblings in state.cells.values_mut() {
            let Some(winner) = siblings.first().map(|sibling| sibling.stamp) else { continue };
            let preds = |event: &Event, op: u16| event.header().ops[usize::from(op)].preds.clone();
            let Some(event) = events.iter().find(|event| event.id() == winner.event.id) else { continue };
            for refused in preds(event, winner.op) {
                let Some(masked) = by_op(&refused).filter(|event| is_masked_by(event.id())) else { continue };
                for before in preds(masked, refused.op) {
                    siblings.extend(by_op(&before).map(|event| sibling(event, before.op)));
                }
            }
        }
    })
}

fn is_refusal(row: &[u8]) -> bool {
    postcard::from_bytes::<Status>(row).is_ok_and(|status| status.is_refused())
}

fn sibling(event: &Event, op: u16) -> Sibling {
    let wall_ms = event.header().wall_ms;
    let content = event.body(usize::from(op)).map_or(Content::Removed, |body| Content::Value(body.to_vec()));
    let stamp = Stamp { event: event.reference(), op, wall_ms };
    Sibling { stamp, rank: 0, time_ms: wall_ms, content, covered: false }
}
