//! Stage 5, rules R4 to R6: what the ops on one record make of it.

use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};
use tandem_wire::{Act, Event, EventRef, FieldId, OpRef, PartPath, RecordKey, Target, Value};

/// A record as its ops make it. Equal sets of ops give equal bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordState {
    /// Live creates, by place.
    pub creates: Vec<Edit>,
    /// Live restores, by place.
    pub restores: Vec<Edit>,
    /// Live deletes, by place.
    pub deletes: Vec<Removal>,
    /// The siblings of every cell, winner first.
    pub cells: BTreeMap<(FieldId, PartPath), Vec<Sibling>>,
}

/// Who did something, where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// The event.
    pub event: EventRef,
    /// The op in it.
    pub op: u16,
    /// The author's clock, in milliseconds since 1970.
    pub wall_ms: u64,
}

/// A live create or restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Who, where, when.
    pub stamp: Stamp,
    /// Whether a live delete had seen it.
    pub covered: bool,
}

/// A live delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Who, where, when.
    pub stamp: Stamp,
    /// Whether a restore, create or resolve named it, which takes it off the inbox.
    pub answered: bool,
}

/// A live op on a cell that no live op dominates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sibling {
    /// Who, where, when.
    pub stamp: Stamp,
    /// Lamport of the latest live word of an authority that it builds on, or 0.
    pub rank: u64,
    /// When it counts as written: never before what it replaced.
    pub time_ms: u64,
    /// What it holds.
    pub content: Content,
    /// Whether a live delete had seen it.
    pub covered: bool,
}

/// What a sibling holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A value, in canonical bytes.
    Value(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A value that is erased, sealed, over quota or was not sent.
    Removed,
    /// A change of a type that this version does not know.
    NewerVersionNeeded,
}

/// One op on the record, with what the earlier stages say of its event.
#[derive(Debug, Clone)]
pub struct RecordOp {
    /// Who, where, when.
    pub stamp: Stamp,
    /// The event's lamport: predecessors have smaller ones.
    pub lamport: u64,
    /// What it does to the record.
    pub kind: RecordOpKind,
    /// What it replaces or answers.
    pub preds: Vec<OpRef>,
    /// Whether its event is live.
    pub live: bool,
    /// Whether its event is refused.
    pub refused: bool,
    /// Whether it is an authority's own word.
    pub by_authority: bool,
}

/// What an op does to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOpKind {
    /// Makes it.
    Create,
    /// Removes it.
    Delete,
    /// Brings it back.
    Restore,
    /// Answers deletes and does nothing else.
    Answer,
    /// Gives a cell a content.
    Cell((FieldId, PartPath), Content),
}

/// The ops of `event` on `record`, as stage 5 takes them.
pub fn ops_on(event: &Event, record: RecordKey, live: bool, refused: bool, by_authority: bool) -> Vec<RecordOp> {
    let header = event.header();
    let mut ops = Vec::new();
    let mut bodies = event.payload().bodies();
    for (index, op) in header.ops.iter().enumerate() {
        let body = bodies.as_mut().and_then(Iterator::next);
        if op.target.record() != Some(record) {
            continue;
        }
        let cell = |content| {
            let cell = op.target.cell().expect("a cell op's target is a cell");
            RecordOpKind::Cell((cell.field, cell.part.clone()), content)
        };
        let kind = match (&op.act, &op.target) {
            (Act::Create, _) => RecordOpKind::Create,
            (Act::Delete, _) => RecordOpKind::Delete,
            (Act::Restore, _) => RecordOpKind::Restore,
            (Act::Set, _) => cell(body.map_or(Content::Removed, |body| Content::Value(body.to_vec()))),
            (Act::Apply { .. } | Act::Unknown { .. }, Target::Cell(_)) => cell(Content::NewerVersionNeeded),
            (_resolve_or_unknown, _) => RecordOpKind::Answer,
        };
        let stamp = Stamp { event: event.reference(), op: index as u16, wall_ms: header.wall_ms };
        let preds = op.preds.clone();
        ops.push(RecordOp { stamp, lamport: header.lamport, kind, preds, live, refused, by_authority });
    }
    ops
}

/// A live op on a cell that a live op dominates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The cell.
    pub cell: (FieldId, PartPath),
    /// The op.
    pub op: OpRef,
    /// See [`Sibling::rank`].
    pub rank: u64,
    /// See [`Sibling::time_ms`].
    pub time_ms: u64,
}

/// Folds all ops on one record, in whatever order they are given.
pub fn fold(ops: Vec<RecordOp>) -> RecordState {
    fold_all(ops).0
}

/// The same, with the ops that are replaced.
pub fn fold_all(mut ops: Vec<RecordOp>) -> (RecordState, Vec<Replaced>) {
    ops.sort_by_key(RecordOp::place);
    let graph = Graph::of(&ops);
    let (dominated, covered) = (graph.dominated(), graph.covered());
    let keys = graph.keys();
    let (mut state, mut replaced) = (RecordState::default(), Vec::new());
    for (i, op) in ops.iter().enumerate().filter(|(_, op)| op.live) {
        let edit = || Edit { stamp: op.stamp, covered: covered.contains(&i) };
        match &op.kind {
            RecordOpKind::Create => state.creates.push(edit()),
            RecordOpKind::Restore => state.restores.push(edit()),
            RecordOpKind::Delete => {
                state.deletes.push(Removal { stamp: op.stamp, answered: dominated.contains(&i) });
            }
            RecordOpKind::Answer => {}
            RecordOpKind::Cell(cell, content) => {
                let (rank, time_ms) = keys[i];
                if dominated.contains(&i) {
                    let op = op.stamp.event.op(op.stamp.op);
                    replaced.push(Replaced { cell: cell.clone(), op, rank, time_ms });
                } else {
                    let (content, covered) = (content.clone(), covered.contains(&i));
                    let sibling = Sibling { stamp: op.stamp, rank, time_ms, content, covered };
                    state.cells.entry(cell.clone()).or_default().push(sibling);
                }
            }
        }
    }
    state.normalise();
    (state, replaced)
}

/// Rule R5: rank and time of every op on a record, in the order given, which must have each op behind its predecessors.
pub fn ranks_and_times(ops: &[RecordOp]) -> Vec<(u64, u64)> {
    Graph::of(ops).keys()
}

/// The ops of a record with their predecessors resolved; an op's predecessors come before it.
struct Graph<'a> {
    ops: &'a [RecordOp],
    preds: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    fn of(ops: &'a [RecordOp]) -> Self {
        let index: BTreeMap<OpRef, usize> =
            ops.iter().enumerate().map(|(i, op)| (op.stamp.event.op(op.stamp.op), i)).collect();
        let preds = ops.iter().map(|op| op.preds.iter().filter_map(|pred| index.get(pred).copied()).collect());
        Self { ops, preds: preds.collect() }
    }

    /// Everything live that the live ops of these kinds reach through ops that are not live. One walk for all of them:
    /// a long line of masked ops costs its length once.
    fn reached_from(&self, kinds: impl Fn(&RecordOpKind) -> bool) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let starts = self.ops.iter().zip(&self.preds).filter(|(op, _)| op.live && kinds(&op.kind));
        let mut stack: Vec<usize> = starts.flat_map(|(_, preds)| preds).copied().collect();
        while let Some(i) = stack.pop() {
            if !seen.insert(i) {
                continue;
            }
            if self.ops[i].live {
                reached.insert(i);
            } else {
                stack.extend(&self.preds[i]);
            }
        }
        reached
    }

    /// Rule R4. Cell ops dominate cell ops; creates, restores and answers dominate deletes; deletes dominate nothing.
    fn dominated(&self) -> BTreeSet<usize> {
        let is_cell = |kind: &RecordOpKind| matches!(kind, RecordOpKind::Cell(..));
        let answers = |kind: &RecordOpKind| match kind {
            RecordOpKind::Create | RecordOpKind::Restore | RecordOpKind::Answer => true,
            RecordOpKind::Delete | RecordOpKind::Cell(..) => false,
        };
        let values = self.reached_from(is_cell).into_iter().filter(|i| is_cell(&self.ops[*i].kind));
        let deletes = self.reached_from(answers).into_iter().filter(|i| self.ops[*i].kind == RecordOpKind::Delete);
        values.chain(deletes).collect()
    }

    /// Rule R6: what live deletes had seen.
    fn covered(&self) -> BTreeSet<usize> {
        self.reached_from(|kind| *kind == RecordOpKind::Delete)
    }

    /// Rule R5: rank and time of every op.
    fn keys(&self) -> Vec<(u64, u64)> {
        let mut ranks: Vec<u64> = Vec::new();
        let mut times: Vec<u64> = Vec::new();
        // What a successor sees of an op's time: a refused op's own time does not count.
        let mut seen_times: Vec<u64> = Vec::new();
        for (i, op) in self.ops.iter().enumerate() {
            let before = |of: &[u64]| self.preds[i].iter().map(|pred| of[*pred]).max();
            let own_rank = if op.live && op.by_authority { op.lamport } else { 0 };
            let rank = before(&ranks).unwrap_or(0).max(own_rank);
            let time_before = before(&seen_times).unwrap_or(0);
            let time = op.stamp.wall_ms.max(time_before + 1);
            seen_times.push(if op.refused { time_before } else { time });
            ranks.push(rank);
            times.push(time);
        }
        ranks.into_iter().zip(times).collect()
    }
}

impl RecordOp {
    /// What ops are ordered by, so that each comes behind its predecessors.
    pub fn place(&self) -> (u64, Stamp) {
        (self.lamport, self.stamp)
    }
}

impl RecordState {
    /// Rule R6: made by a live create, and some edit on it that no delete had seen.
    pub fn exists(&self) -> bool {
        !self.creates.is_empty()
            && (self.creates.iter().chain(&self.restores).any(|edit| !edit.covered)
                || self.cells.values().flatten().any(|sibling| !sibling.covered))
    }

    /// Whether ops wait here for a create.
    pub fn is_held(&self) -> bool {
        self.creates.is_empty() && *self != Self::default()
    }

    /// Deletes that lost against an edit: the inbox shows them.
    pub fn losing_deletes(&self) -> impl Iterator<Item = &Removal> {
        let exists = self.exists();
        self.deletes.iter().filter(move |removal| exists && !removal.answered)
    }

    /// Puts everything in its one order.
    pub(super) fn normalise(&mut self) {
        self.creates.sort_by_key(|edit| edit.stamp);
        self.restores.sort_by_key(|edit| edit.stamp);
        self.deletes.sort_by_key(|removal| removal.stamp);
        self.cells.retain(|_, siblings| !siblings.is_empty());
        for siblings in self.cells.values_mut() {
            siblings.sort_by_key(|sibling| Reverse(sibling.key()));
        }
    }
}

impl Sibling {
    /// Rule R5: the greatest wins.
    fn key(&self) -> impl Ord + use<> {
        (self.rank, self.time_ms, self.stamp.wall_ms, self.stamp.event.id, self.stamp.op)
    }

    /// Its value, where there is one.
    pub fn value(&self) -> Option<Value> {
        match &self.content {
            Content::Value(bytes) => Some(Value::decode(bytes).expect("bodies were checked")),
            Content::Removed | Content::NewerVersionNeeded => None,
        }
    }
}

/// Whether the siblings of a cell differ in what they hold.
pub fn is_conflict(siblings: &[Sibling]) -> bool {
    siblings.windows(2).any(|pair| pair[0].content != pair[1].content)
}

#[cfg(test)]
mod tests;
