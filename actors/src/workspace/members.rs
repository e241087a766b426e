//! Commands about members, as control events (rule R10).

use super::{
    check,
    compose::{Decided, Draft, OpWithBody, Shared, too_large},
};
use crate::command::{Admission, Committed, MemberChange, NameKind, NotInvited, Refused};
use std::collections::BTreeSet;
use tandem_storage::{EngineError, engine::Read, fold::incremental::Fold};
use tandem_wire::{
    Act, Admit, AdmitText, DeviceKey, Invite, Mark, Op, OpRef, Remove, Role, SetRole, Target, WorkspaceId,
    limits::MARKS_MAX, message::Join,
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
        MemberChange::Invite(invite) => Ok(on_workspace(Act::Invite(*invite))),
        MemberChange::Withdraw(invite) => find_invite(fold, invite)
            .ok_or(Refused::NotInvited(NotInvited::Unknown))
            .map(|_| on_workspace(Act::Withdraw(*invite))),
        MemberChange::Admit(admission) => admit(fold, draft.workspace(), now_ms, admission),
        MemberChange::SetRole { device, role } => {
            let cuts = seen_of(draft, *device)?;
            let set = SetRole { device: *device, role: *role, cuts };
            may_change(fold, own, *device).map(|()| on_workspace(Act::SetRole(set)))
        }
        MemberChange::Remove(device) => {
            let remove = Remove { device: *device, cuts: seen_of(draft, *device)? };
            may_change(fold, own, *device).map(|()| on_workspace(Act::Remove(remove)))
        }
        MemberChange::Keep(admission) => Ok(on_workspace(Act::Keep(*admission))),
    })
}

fn on_workspace(act: Act) -> OpWithBody {
    (Op { target: Target::Workspace, preds: vec![], act }, Vec::new())
}

fn admit(fold: &Fold, workspace: WorkspaceId, now_ms: u64, admission: &Admission) -> Result<OpWithBody, Refused> {
    let Admission { member, name, device, role, invited, approved } = admission;
    check::name(NameKind::Member, name, std::iter::empty())?;
    if fold.role_of(*device).is_some() {
        return Err(Refused::MemberExists(*device));
    }
    if fold.members().grants.get(device).is_some_and(|grants| grants.iter().any(|grant| grant.role.is_none())) {
        return Err(Refused::DeviceRemoved(*device));
    }
    let mut role = *role;
    if let Some(invited) = invited {
        let found = find_invite(fold, &invited.invite);
        let is_proof =
            |invite: &&Invite| invite.key.has_signed_join(workspace, &invited.invite, *device, &invited.proof);
        let invite = found.filter(is_proof).ok_or(Refused::NotInvited(NotInvited::Unknown))?;
        check_invite(fold, now_ms, &invited.invite, invite, *approved).map_err(Refused::NotInvited)?;
        role = role.min(invite.role);
    }
    let admit = Admit { member: *member, device: *device, role, invited: invited.clone() };
    let text = postcard::to_allocvec(&AdmitText { member: name.clone() }).expect("a vector takes all bytes");
    Ok((Op { target: Target::Workspace, preds: vec![], act: Act::Admit(admit) }, text))
}

/// Whether an invitation still lets somebody in.
fn check_invite(fold: &Fold, now_ms: u64, op: &OpRef, invite: &Invite, approved: bool) -> Result<(), NotInvited> {
    let acts = || fold.control().flat_map(|control| control.event.header().ops.iter().map(|op| &op.act));
    if acts().any(|act| matches!(act, Act::Withdraw(withdrawn) if withdrawn == op)) {
        return Err(NotInvited::Withdrawn);
    }
    if now_ms > invite.expires_ms {
        return Err(NotInvited::Expired);
    }
    let by_this =
        |act: &&Act| matches!(act, Act::Admit(admit) if admit.invited.as_ref().is_some_and(|by| by.invite == *op));
    if acts().filter(by_this).count() as u64 >= u64::from(invite.uses) {
        return Err(NotInvited::UsedUp);
    }
    // A manager can undo what all others did: a person looks at the fingerprint first, whatever the invitation says.
    let needs_approval = invite.approve || invite.role == Role::Manager;
    if needs_approval && !approved { Err(NotInvited::AwaitsApproval) } else { Ok(()) }
}

/// What an invitation makes of who shows this; nothing where the proof is not for it.
pub(crate) fn invited_role(fold: &Fold, workspace: WorkspaceId, device: DeviceKey, join: &Join) -> Option<Role> {
    let invite = find_invite(fold, &join.invite)?;
    invite.key.has_signed_join(workspace, &join.invite, device, &join.proof).then_some(invite.role)
}

/// The invitation that this op made.
pub(crate) fn find_invite<'a>(fold: &'a Fold, op: &OpRef) -> Option<&'a Invite> {
    let event = &fold.control().find(|control| control.event.op_ref(op.op) == *op)?.event;
    match &event.header().ops.get(usize::from(op.op))?.act {
        Act::Invite(invite) => Some(invite),
        _other => None,
    }
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
