//! Rule R4: whether an event is live, and why not.

use super::{Chains, Members, Past, Standing, Terms, members::masking_cut, standing::lists_of};
use crate::EngineError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tandem_wire::{Act, Event, EventId, OpRef, RefusalCode, Role};

/// What becomes of a valid event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It takes part.
    Live,
    /// A binding authority refused it, by these verdicts.
    Refused(BTreeSet<(OpRef, RefusalCode)>),
    /// Its author's role at its place did not allow it.
    NotAllowed,
    /// It comes after what this event left its author.
    Cut(EventId),
}

impl Status {
    /// Whether its ops have effect.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// Whether an authority refused it.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Rule R4 for one valid event.
pub fn status(
    event: &Event,
    past: &Past,
    standing: &Standing,
    terms: &Terms,
    members: &Members,
    chains: &impl Chains,
) -> Result<Status, EngineError> {
    if let Standing::Refused(verdicts) = standing {
        return Ok(Status::Refused(verdicts.clone()));
    }
    let device = event.header().chain.device;
    if terms.is_owner_at(device, event.id(), past) {
        return Ok(Status::Live);
    }
    let Some(needed) = needed_role(event) else { return Ok(Status::NotAllowed) };
    if is_authoritys_own(event, past, needed, terms) {
        return Ok(Status::Live);
    }
    if members.role_at(device, past).is_none_or(|role| role < needed) {
        return Ok(Status::NotAllowed);
    }
    Ok(match masking_cut(members, event, past, needed, standing, chains)? {
        Some(cut) => Status::Cut(cut),
        None => Status::Live,
    })
}

/// An authority writes in its lists and proposes designs without being a member.
fn is_authoritys_own(event: &Event, past: &Past, needed: Role, terms: &Terms) -> bool {
    let device = event.header().chain.device;
    let lists = lists_of(event);
    // Ops of later versions may be about records also in a control chain.
    if event.header().chain.is_control() && lists.is_empty() {
        return needed <= Role::Designer && terms.is_bound_at(device, past);
    }
    needed <= Role::Designer && terms.is_authority_at(device, past, &lists)
}

/// Whether the event is an authority's own word on its lists, which beats what had not seen it (rule R5).
pub fn is_authority_written(event: &Event, past: &Past, terms: &Terms) -> bool {
    !terms.terms.is_empty() && terms.is_authority_at(event.header().chain.device, past, &lists_of(event))
}

/// The role that an event's ops need together; none: only the owner may.
pub fn needed_role(event: &Event) -> Option<Role> {
    let mut needed = Role::Reader;
    for op in &event.header().ops {
        let of_op = match &op.act {
            Act::Set
            | Act::Create
            | Act::Delete
            | Act::Restore
            | Act::Apply { .. }
            | Act::Resolve
            | Act::Discard(_)
            | Act::HandOn { .. }
            | Act::Unknown { .. }
            | Act::DesignMerged(_)
            | Act::DesignFailed(_)
            | Act::DesignProposed(_) => Role::Writer,
            Act::Verdict(_) | Act::RulesChanged(_) => Role::Reader,
            Act::Define(_) | Act::Put(_) => Role::Designer,
            Act::Invite(_) | Act::Withdraw(_) | Act::Admit(_) | Act::SetRole(_) | Act::Remove(_) | Act::Keep(_) => {
                Role::Manager
            }
            Act::Genesis(_) | Act::Bind(_) | Act::Unbind(_) | Act::HandOver(_) => return None,
        };
        needed = needed.max(of_op);
    }
    Some(needed)
}

#[cfg(test)]
mod tests;
