//! What a well-formed op is: its chain, its target, its limits, and lists in their one order.
//!
//! Lists that stand for sets are *strictly ascending*, so that equal sets have equal bytes and nothing is named
//! twice. What is checked here for drafts is what decoding lets through, and the other way round.

use crate::{Act, ChainId, End, EventRef, Malformed, Mark, Op, OpRef, Scope, Target, Verdict, limits::*};

/// Whether `op` may stand in an event of `chain`.
pub(crate) fn check(op: &Op, chain: ChainId) -> Result<(), Malformed> {
    let kind = op.act.name();
    if op.act.is_control() != chain.is_control() {
        return Err(Malformed::WrongChain { kind });
    }
    if !target_fits(&op.act, &op.target) {
        return Err(Malformed::WrongTarget { kind });
    }
    if op.target.cell().is_some_and(|cell| !cell.part.is_within_limits()) {
        return Err(Malformed::Limit("the part path"));
    }
    check_set(&op.preds, PREDS_MAX, "the number of predecessors", "the order of the predecessors")?;
    op.preds.iter().try_for_each(check_op_ref)?;
    if op.act.args().len() > ARGS_BYTES_MAX {
        return Err(Malformed::Limit("the size of an op"));
    }
    check_act(&op.act)
}

/// Whether the place that `event` names can exist.
pub(crate) fn check_event_ref(event: &EventRef) -> Result<(), Malformed> {
    if event.seq > SEQ_MAX { Err(Malformed::Limit("the place of an event")) } else { Ok(()) }
}

fn check_op_ref(op: &OpRef) -> Result<(), Malformed> {
    let exists = op.seq <= SEQ_MAX && usize::from(op.op) < EVENT_OPS_MAX;
    if exists { Ok(()) } else { Err(Malformed::Limit("the place of an op")) }
}

fn target_fits(act: &Act, target: &Target) -> bool {
    match act {
        Act::Set | Act::Apply { .. } => matches!(target, Target::Cell(_)),
        Act::Create | Act::Delete | Act::Restore | Act::Resolve => matches!(target, Target::Record(_)),
        Act::Unknown { .. } => true,
        Act::Discard(_)
        | Act::HandOn { .. }
        | Act::Genesis(_)
        | Act::Bind(_)
        | Act::Unbind(_)
        | Act::Verdict(_)
        | Act::Invite(_)
        | Act::Withdraw(_)
        | Act::Admit(_)
        | Act::SetRole(_)
        | Act::Remove(_)
        | Act::Keep(_)
        | Act::HandOver(_)
        | Act::Define(_)
        | Act::Put(_)
        | Act::DesignProposed(_)
        | Act::DesignMerged(_)
        | Act::DesignFailed(_)
        | Act::RulesChanged(_) => matches!(target, Target::Workspace),
    }
}

/// The structural part. Of a genesis only the header can judge.
fn check_act(act: &Act) -> Result<(), Malformed> {
    match act {
        Act::Set | Act::Create | Act::Delete | Act::Restore | Act::Resolve => Ok(()),
        Act::Apply { .. } | Act::Genesis(_) | Act::Invite(_) | Act::HandOver(_) | Act::Define(_) | Act::Put(_) => {
            Ok(())
        }
        Act::Discard(event) | Act::HandOn { event, .. } => check_event_ref(event),
        Act::Bind(bind) => {
            if let Scope::Lists(lists) = &bind.scope {
                check_set(lists, SCOPE_LISTS_MAX, "the number of bound lists", "the order of the bound lists")?;
            }
            check_marks(&bind.seen)?;
            let ended: Vec<OpRef> = bind.ends.iter().map(|end| end.binding).collect();
            check_set(&ended, BINDING_ENDS_MAX, "the number of ended bindings", "the order of the ended bindings")?;
            bind.ends.iter().try_for_each(check_end)
        }
        Act::Unbind(end) => check_end(end),
        Act::Verdict(verdict) => check_verdict(verdict),
        Act::Withdraw(op) | Act::Keep(op) | Act::RulesChanged(op) => check_op_ref(op),
        Act::Admit(admit) => admit.invited.iter().try_for_each(|invited| check_op_ref(&invited.invite)),
        Act::SetRole(change) => check_marks(&change.cuts),
        Act::Remove(removal) => check_marks(&removal.cuts),
        Act::DesignProposed(proposed) => {
            check_op_ref(&proposed.term)?;
            check_set(&proposed.steps, DESIGN_STEPS_MAX, "the number of design steps", "the order of the steps")?;
            proposed.steps.iter().try_for_each(check_event_ref)?;
            check_marks(&proposed.table)
        }
        Act::DesignMerged(rehearsed) | Act::DesignFailed(rehearsed) => {
            check_op_ref(&rehearsed.proposal)?;
            check_marks(&rehearsed.covers)
        }
        Act::Unknown { kind, .. } if Act::is_known(*kind) => Err(Malformed::NotCanonical("the kind of an op")),
        Act::Unknown { .. } => Ok(()),
    }
}

/// The judged events are places of their chain, so many and no more.
fn check_verdict(verdict: &Verdict) -> Result<(), Malformed> {
    check_op_ref(&verdict.term)?;
    check_event_ref(&verdict.last)?;
    let count = u64::from(verdict.count);
    let exist = (1..=u64::from(VERDICT_EVENTS_MAX)).contains(&count) && count <= verdict.last.seq + 1;
    if exist { Ok(()) } else { Err(Malformed::Limit("the number of judged events")) }
}

fn check_end(end: &End) -> Result<(), Malformed> {
    check_op_ref(&end.binding)?;
    end.at.iter().try_for_each(|Mark(event)| check_event_ref(event))
}

fn check_marks(marks: &[Mark]) -> Result<(), Malformed> {
    check_set(marks, MARKS_MAX, "the number of chain ends", "the order of the chain ends")?;
    marks.iter().try_for_each(|Mark(event)| check_event_ref(event))
}

fn check_set<T: Ord>(set: &[T], max: usize, number: &'static str, order: &'static str) -> Result<(), Malformed> {
    if set.len() > max {
        return Err(Malformed::Limit(number));
    }
    if set.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(Malformed::NotCanonical(order)) }
}
