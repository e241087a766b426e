//! The ops that histories are made of.

use crate::history::{Actor, History, Seen};
use tandem_storage::fold::{View, record::Stamp};
use tandem_wire::*;

pub const DESCRIPTION: &str = "\
Base: an owner founds the workspace, admits the managers A and B, and binds the authority S.
Alphabet, one event each:
  A and B: create, set x, set y (over the winner; over all siblings where there are several), delete, restore,
           remove the other manager with a cut at what was seen; each in its chain, or forking it
  S:       set x; accept or refuse any event of A or B
Each event has seen either only its author's own past or everything before it.
Left out as symmetric: histories that B begins, and those that touch y before x.";

pub const LIST: ListId = ListId([1; 16]);
pub const RECORD: RecordKey = RecordKey { list: LIST, record: RecordId([2; 16]) };
pub const X: FieldId = FieldId([3; 16]);
pub const Y: FieldId = FieldId([4; 16]);

/// What one event does; bodies beside ops.
pub type Letter = Vec<(Op, Vec<u8>)>;

/// All letters that `actor` can write next, having seen what `view` shows.
pub fn letters(history: &History, actor: Actor, seen: &Seen, view: &View) -> Vec<Letter> {
    match actor {
        Actor::A | Actor::B => member_letters(history, actor, seen, view),
        Actor::S => authority_letters(history, seen, view),
    }
}

fn member_letters(history: &History, actor: Actor, seen: &Seen, view: &View) -> Vec<Letter> {
    let mut letters = vec![vec![(on_record(Act::Create, deletes(view)), vec![])]];
    letters.extend(sets(history, view, X));
    if history.touches(X) {
        letters.extend(sets(history, view, Y));
    }
    let current = current(view);
    if !current.is_empty() {
        letters.push(vec![(on_record(Act::Delete, current), vec![])]);
    }
    let deletes = deletes(view);
    if !deletes.is_empty() {
        letters.push(vec![(on_record(Act::Restore, deletes), vec![])]);
    }
    let other = if actor == Actor::A { Actor::B } else { Actor::A };
    if !history.has_removed(actor) {
        letters.push(vec![(remove(history, other, seen), vec![])]);
    }
    letters
}

fn authority_letters(history: &History, seen: &Seen, view: &View) -> Vec<Letter> {
    let mut letters = sets(history, view, X);
    if *seen == Seen::Everything {
        for event in history.events_of_members() {
            for outcome in [Outcome::Accept, Outcome::Refuse(RefusalCode::RULE)] {
                let verdict = Verdict { term: history.term(), last: event, count: 1, outcome };
                let body = match outcome {
                    Outcome::Accept => vec![],
                    Outcome::Refuse(_) => {
                        postcard::to_allocvec(&RefusalText { message: "no".into(), blame: vec![] }).unwrap()
                    }
                };
                letters.push(vec![(on_workspace(Act::Verdict(Box::new(verdict))), body)]);
            }
        }
    }
    letters
}

fn sets(history: &History, view: &View, field: FieldId) -> Vec<Letter> {
    let siblings: Vec<Stamp> = view
        .records
        .get(&RECORD)
        .and_then(|record| record.cells.get(&(field, PartPath::default())))
        .map(|siblings| siblings.iter().map(|sibling| sibling.stamp).collect())
        .unwrap_or_default();
    let value = Value::Int(history.len() as i64).encode();
    let set = |preds: &[Stamp]| {
        let cell = CellKey { record: RECORD, field, part: PartPath::default() };
        let op = Op { target: Target::Cell(cell), preds: refs(preds.iter().copied()), act: Act::Set };
        vec![(op, value.clone())]
    };
    match siblings.len() {
        0 | 1 => vec![set(&siblings)],
        _several => vec![set(&siblings[..1]), set(&siblings)],
    }
}

fn remove(history: &History, other: Actor, seen: &Seen) -> Op {
    let cuts = history.ends_of(other, seen).into_iter().map(Mark).collect();
    on_workspace(Act::Remove(Box::new(Remove { device: other.device(), cuts })))
}

fn current(view: &View) -> Vec<OpRef> {
    let Some(record) = view.records.get(&RECORD) else { return Vec::new() };
    let edits = record.creates.iter().chain(&record.restores).map(|edit| edit.stamp);
    refs(edits.chain(record.cells.values().flatten().map(|sibling| sibling.stamp)))
}

fn deletes(view: &View) -> Vec<OpRef> {
    let removals = view.records.get(&RECORD).into_iter().flat_map(|record| &record.deletes);
    refs(removals.filter(|removal| !removal.answered).map(|removal| removal.stamp))
}

fn refs(stamps: impl Iterator<Item = Stamp>) -> Vec<OpRef> {
    let mut refs: Vec<OpRef> = stamps.map(|stamp| stamp.event.op(stamp.op)).collect();
    refs.sort_unstable();
    refs
}

fn on_record(act: Act, preds: Vec<OpRef>) -> Op {
    Op { target: Target::Record(RECORD), preds, act }
}

pub fn on_workspace(act: Act) -> Op {
    Op { target: Target::Workspace, preds: vec![], act }
}
