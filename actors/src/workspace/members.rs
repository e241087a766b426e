//! Commands about members, as control events (rule R10).

use super::{
    check,
    compose::{Decided, Draft, OpWithBody, Shared, too_large},
};
use crate::command::{Admission, Committed, MemberChange, NameKind, NotInvited, Refused};
use std::collections::BTreeSet;
use tandem_storage::{
    EngineError,
    engine::Read,
    fold::{incremental::Fold, members::Grant},
};
use tandem_wire::{
    Act, Admit, AdmitText, DeviceKey, Invite, Invited, Mark, MemberId, Op, OpRef, Remove, Role, SetRole, Target,
    WorkspaceId, limits::MARKS_MAX, message::Join,
};

pub(super) fn change<R: Read>(draft: &mut Draft<'_, R>, now_ms: u64, change: &MemberChange) -> Decided {
    let op = match op(draft, now_ms, change)? {
        Ok(op) => op,
        Err(refused) => return Ok(Err(refused)),
    };
    Ok(match draft.add(vec![op], Shared::default())? {
        Ok(event) => Ok(Committed { events: vec![event.id()], made: Some(event.op_ref(0)), ..Committed::default() }),
        Err(why) => Err(too_large(why)),
    })
}

fn op<R: Read>(
    draft: &Draft<'_, R>,
    now_ms: u64,
    change: &MemberChange,
) -> Result<Result<OpWithBody, Refused>, EngineError> {
    let (fold, own) = (&draft.fold, draft.device());
    Ok(match change {
        MemberChange::Invite(invite) => Ok(on_workspace(Act::Invite(Box::new(*invite)))),
        MemberChange::Withdraw(invite) => fold
            .invite(invite)
            .ok_or(Refused::NotInvited(NotInvited::Unknown))
            .map(|_| on_workspace(Act::Withdraw(Box::new(*invite)))),
        MemberChange::Admit(admission) => admit(draft, now_ms, admission)?,
        MemberChange::SetRole { device, role } => {
            let cuts = seen_of(draft, *device)?;
            let set = SetRole { device: *device, role: *role, cuts };
            may_change(fold, own, *device).map(|()| on_workspace(Act::SetRole(Box::new(set))))
        }
        MemberChange::Remove(device) => {
            let remove = Remove { device: *device, cuts: seen_of(draft, *device)? };
            may_change(fold, own, *device).map(|()| on_workspace(Act::Remove(Box::new(remove))))
        }
        MemberChange::Keep(admission) => Ok(on_workspace(Act::Keep(Box::new(*admission)))),
    })
}

fn on_workspace(act: Act) -> OpWithBody {
    (Op { target: Target::Workspace, preds: vec![], act }, Vec::new())
}

fn admit<R: Read>(
    draft: &Draft<'_, R>,
    now_ms: u64,
    admission: &Admission,
) -> Result<Result<OpWithBody, Refused>, EngineError> {
    let Admission { member, name, device, role, invited, approved } = admission;
    if let Err(refused) = may_become_a_member(&draft.fold, name, *device) {
        return Ok(Err(refused));
    }
    let mut role = *role;
    if let Some(Invited { invite, proof }) = invited {
        let found = draft.fold.invite(invite);
        let is_proof = |found: &&Invite| found.key.has_signed_join(draft.workspace(), invite, *device, proof);
        let Some(found) = found.filter(is_proof) else {
            return Ok(Err(Refused::NotInvited(NotInvited::Unknown)));
        };
        if let Err(why) = check_invite(draft, now_ms, invite, found, *approved)? {
            return Ok(Err(Refused::NotInvited(why)));
        }
        // Whoever comes as somebody who is there already is looked at by a person.
        if !approved && person_name(&draft.fold, *member).is_some() {
            return Ok(Err(Refused::NotInvited(NotInvited::AwaitsApproval)));
        }
        role = role.min(found.role);
    }
    let admit = Admit { member: *member, device: *device, role, invited: invited.clone() };
    // A further device has its owner's name, whatever it says.
    let name = person_name(&draft.fold, *member).unwrap_or(name).to_owned();
    let text = postcard::to_allocvec(&AdmitText { member: name }).expect("a vector takes all bytes");
    Ok(Ok((Op { target: Target::Workspace, preds: vec![], act: Act::Admit(Box::new(admit)) }, text)))
}

/// The name of who has this id, if a device, present or past, is theirs.
pub(crate) fn person_name(fold: &Fold, member: MemberId) -> Option<&str> {
    let grants = fold.members().grants.values().flatten();
    let mut named = grants.filter_map(|grant| grant.member.as_ref());
    named.find(|(known, _)| *known == member).map(|(_, name)| name.as_str())
}

fn may_become_a_member(fold: &Fold, name: &str, device: DeviceKey) -> Result<(), Refused> {
    check::name(NameKind::Member, name, std::iter::empty())?;
    if fold.role_of(device).is_some() {
        return Err(Refused::MemberExists(device));
    }
    let was_removed = |grants: &Vec<Grant>| grants.iter().any(|grant| grant.role.is_none());
    if fold.members().grants.get(&device).is_some_and(was_removed) {
        return Err(Refused::DeviceRemoved(device));
    }
    Ok(())
}

/// Whether an invitation still lets somebody in. What somebody wrote about it who may not counts for nothing.
fn check_invite<R: Read>(
    draft: &Draft<'_, R>,
    now_ms: u64,
    op: &OpRef,
    invite: &Invite,
    approved: bool,
) -> Result<Result<(), NotInvited>, EngineError> {
    let (mut withdrawn, mut used) = (false, 0_u64);
    for event in draft.fold.control().map(|control| &control.event) {
        let acts = || event.header().ops.iter().map(|op| &op.act);
        let withdraws = acts().any(|act| matches!(act, Act::Withdraw(other) if **other == *op));
        let by_this =
            |act: &&Act| matches!(act, Act::Admit(admit) if admit.invited.as_ref().is_some_and(|by| by.invite == *op));
        let uses = acts().filter(by_this).count() as u64;
        if (withdraws || uses > 0) && !draft.fold.is_masked(&draft.rows, event.id())? {
            withdrawn |= withdraws;
            used += uses;
        }
    }
    // A manager can undo what all others did: a person looks at the fingerprint first, whatever the invitation says.
    let needs_approval = invite.approve || invite.role == Role::Manager;
    Ok(match () {
        () if withdrawn => Err(NotInvited::Withdrawn),
        () if now_ms > invite.expires_ms => Err(NotInvited::Expired),
        () if used >= u64::from(invite.uses) => Err(NotInvited::UsedUp),
        () if needs_approval && !approved => Err(NotInvited::AwaitsApproval),
        () => Ok(()),
    })
}

/// What an invitation makes of who shows this; nothing where the proof is not for it.
pub(crate) fn invited_role(fold: &Fold, workspace: WorkspaceId, device: DeviceKey, join: &Join) -> Option<Role> {
    let invite = fold.invite(&join.invite)?;
    invite.key.has_signed_join(workspace, &join.invite, device, &join.proof).then_some(invite.role)
}

/// Any manager changes who is none; a manager is only changed by a senior one, the owner by nobody.
fn may_change(fold: &Fold, own: DeviceKey, device: DeviceKey) -> Result<(), Refused> {
    if fold.role_of(device).is_none() {
        return Err(Refused::UnknownMember(device));
    }
    let rank = |device| fold.members().rank(device);
    match (rank(device), rank(own)) {
        (None, _) => Ok(()),
        (Some(other), Some(own)) if other > own => Ok(()),
        (Some(_), _) => Err(Refused::Senior(device)),
    }
}

/// Where the valid events of a device's chains end here. Of more than fit, the longest.
///
/// An invalid end, or one that is held for ever, would name no branch, and let everything stand up to its place that the
/// device writes later on another one.
fn seen_of<R: Read>(draft: &Draft<'_, R>, device: DeviceKey) -> Result<Vec<Mark>, EngineError> {
    let mut ends = Vec::new();
    for (chain, _) in draft.fold.chains().filter(|(chain, _)| chain.device == device) {
        let found = draft.fold.valid_ends(&draft.rows, &draft.log, *chain)?;
        ends.extend(found.into_iter().map(|end| end.of(*chain)));
    }
    ends.sort_unstable_by_key(|end| std::cmp::Reverse(end.seq));
    ends.truncate(MARKS_MAX);
    let marks: BTreeSet<Mark> = ends.into_iter().map(Mark).collect();
    Ok(marks.into_iter().collect())
}
