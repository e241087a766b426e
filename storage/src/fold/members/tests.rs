use super::*;
use crate::fold::{
    Status,
    checking::{check_cell, delivered, roles, status, view},
    naive,
    testing::*,
};
use tandem_wire::{ChainId, Define, End, Invite, Invited, Remove, Scope, SecretKey, SetRole};

const MANAGER: Option<Role> = Some(Role::Manager);
const WRITER: Option<Role> = Some(Role::Writer);

/// A is senior to B; C writes.
fn world() -> World {
    World::with(&[(A, Role::Manager), (B, Role::Manager), (C, Role::Writer)])
}

fn cut_by(w: &World, event: Ev) -> Status {
    Status::Cut(w.event(event).id())
}

// Seniority.

#[test]
fn the_owner_comes_first_then_the_tree_of_promotions() {
    let mut w = World::founded();
    w.admit(OWNER, B, Role::Manager);
    w.admit(OWNER, A, Role::Manager);
    w.admit(A, C, Role::Manager);
    w.admit(B, D, Role::Manager);
    assert_eq!(view(&w).control.seniority, [OWNER, B, A, D, C]);
}

#[test]
fn a_manager_is_removed_only_by_a_senior() {
    let mut w = world();
    w.remove(B, A, &[]);
    assert_eq!(roles(&w, A), [MANAGER]);
    w.remove(A, B, &[]);
    assert_eq!(roles(&w, B), [MANAGER, None]);
}

#[test]
fn a_manager_is_demoted_only_by_a_senior() {
    let mut w = world();
    w.set_role(B, A, Role::Writer, &[]);
    w.set_role(A, A, Role::Writer, &[]);
    assert_eq!(roles(&w, A), [MANAGER]);
    w.set_role(A, B, Role::Writer, &[]);
    assert_eq!(roles(&w, B), [MANAGER, WRITER]);
}

#[test]
fn nobody_changes_the_owner() {
    let mut w = world();
    w.remove(A, OWNER, &[]);
    w.set_role(A, OWNER, Role::Reader, &[]);
    w.admit(A, OWNER, Role::Reader);
    w.remove(OWNER, OWNER, &[]);
    assert_eq!(roles(&w, OWNER), [MANAGER]);
    let edit = w.set(OWNER, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::Live);
}

#[test]
fn anybody_else_is_changed_by_any_manager() {
    let mut w = world();
    w.set_role(B, C, Role::Designer, &[]);
    w.remove(A, C, &[]);
    assert_eq!(roles(&w, C), [WRITER, Some(Role::Designer), None]);
}

#[test]
fn who_is_no_manager_changes_nobody() {
    let mut w = world();
    let admitted = w.admit(C, D, Role::Reader);
    let removed = w.remove(C, B, &[]);
    assert_eq!((status(&w, admitted), status(&w, removed)), (Status::NotAllowed, Status::NotAllowed));
    assert_eq!((roles(&w, D), roles(&w, B)), (vec![], vec![MANAGER]));
}

#[test]
fn of_two_that_remove_each_other_the_senior_stays() {
    let mut w = world();
    w.apart(A);
    w.remove(B, A, &[]);
    w.remove(A, B, &[]);
    assert_eq!((roles(&w, A), roles(&w, B)), (vec![MANAGER], vec![MANAGER, None]));
}

#[test]
fn backdating_a_removal_gains_nothing() {
    // B learns that A removes it, and removes A from an older state of its own.
    let mut w = world();
    let old = w.admit(B, D, Role::Reader);
    let removed = w.remove(A, B, &[]);
    w.forget(B, old);
    w.remove(B, A, &[]);
    assert_eq!(roles(&w, A), [MANAGER]);
    assert_eq!(roles(&w, B), [MANAGER, None]);
    let _ = removed;
}

#[test]
fn whom_i_promote_stays_junior_to_me() {
    let mut w = world();
    w.set_role(B, C, Role::Manager, &[]);
    w.remove(C, B, &[]);
    assert_eq!(roles(&w, B), [MANAGER]);
    w.remove(B, C, &[]);
    assert_eq!(roles(&w, C), [WRITER, MANAGER, None]);
}

#[test]
fn a_promotion_by_a_senior_one_counts_before_that_by_a_junior_one() {
    let mut w = World::founded();
    w.admit(OWNER, A, Role::Manager);
    w.apart(A);
    w.admit(A, C, Role::Manager);
    w.admit(OWNER, B, Role::Manager);
    w.admit(OWNER, C, Role::Manager);
    assert_eq!(view(&w).control.seniority, [OWNER, A, B, C]);
}

#[test]
fn who_was_demoted_may_be_changed_by_a_junior() {
    let mut w = world();
    w.set_role(OWNER, A, Role::Writer, &[]);
    w.set_role(B, A, Role::Reader, &[]);
    assert_eq!(roles(&w, A), [MANAGER, WRITER, Some(Role::Reader)]);
}

#[test]
fn a_junior_changes_no_manager_whose_promotion_it_had_not_seen() {
    let mut w = world();
    w.admit(B, D, Role::Manager);
    w.apart(D);
    w.set_role(A, C, Role::Manager, &[]);
    w.set_role(D, C, Role::Reader, &[]);
    assert_eq!(view(&w).control.seniority, [OWNER, A, B, C, D]);
    assert_eq!(roles(&w, C), [WRITER, MANAGER]);
}

#[test]
fn a_junior_takes_nothing_from_what_a_senior_did_as_a_manager() {
    let mut w = world();
    let admitted = w.admit(A, D, Role::Writer);
    let edit = w.set(A, X, 1, &[]);
    let at = w.events().len();
    w.set_role(OWNER, A, Role::Writer, &[admitted, edit]);
    assert_eq!(at + 1, w.events().len());
    let removed = w.remove(B, A, &[]);
    assert_eq!(status(&w, admitted), Status::Live);
    assert_eq!(status(&w, edit), cut_by(&w, removed));
    assert_eq!(roles(&w, D), [WRITER]);
}

// Roles at a place.

#[test]
fn each_role_may_do_what_those_before_may() {
    let check = |role, expect: [bool; 3]| {
        let mut w = World::with(&[(D, role)]);
        let data = w.set(D, X, 1, &[]);
        let design = w.control(D, Act::Define(Box::new(Define { kind: 1, parent: None })));
        let members = w.admit(D, C, Role::Reader);
        assert_eq!([data, design, members].map(|event| status(&w, event).is_live()), expect, "{role:?}");
    };
    check(Role::Reader, [false, false, false]);
    check(Role::Writer, [true, false, false]);
    check(Role::Designer, [true, true, false]);
    check(Role::Manager, [true, true, true]);
}

#[test]
fn strangers_write_nothing() {
    let mut w = world();
    let edit = w.set(D, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::NotAllowed);
}

#[test]
fn roles_hold_at_the_events_place_in_the_causal_order() {
    let mut w = world();
    w.apart(D);
    w.admit(A, D, Role::Writer);
    let before = w.set(D, X, 1, &[]);
    w.meet(D);
    let after = w.set(D, Y, 2, &[]);
    assert_eq!((status(&w, before), status(&w, after)), (Status::NotAllowed, Status::Live));
}

#[test]
fn the_latest_change_that_an_author_had_seen_holds() {
    let mut w = world();
    w.set_role(A, C, Role::Reader, &[]);
    let edit = w.set(C, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::NotAllowed);
    w.set_role(B, C, Role::Writer, &[]);
    let edit = w.set(C, X, 2, &[]);
    assert_eq!(status(&w, edit), Status::Live);
}

#[test]
fn of_concurrent_changes_the_first_in_control_order_holds() {
    let mut w = world();
    w.apart(A);
    w.set_role(B, C, Role::Reader, &[]);
    w.set_role(A, C, Role::Designer, &[]);
    let step = w.control(C, Act::Define(Box::new(Define { kind: 1, parent: None })));
    // The senior's word holds, and what the junior's took away was cut where it had seen nothing.
    assert_eq!(status(&w, step), Status::Live);
}

#[test]
fn accepted_changes_come_first_in_control_order() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    w.apart(A);
    let by_junior = w.set_role(B, C, Role::Reader, &[]);
    w.set_role(A, C, Role::Designer, &[]);
    w.accept(S, by_junior);
    let edit = w.set(C, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::NotAllowed);
}

#[test]
fn of_two_changes_in_one_event_the_later_holds() {
    let mut w = world();
    let set = |role| on_workspace(Act::SetRole(Box::new(SetRole { device: C, role, cuts: vec![] })));
    w.write(A, vec![set(Role::Reader), set(Role::Designer)]);
    let step = w.control(C, Act::Define(Box::new(Define { kind: 1, parent: None })));
    assert_eq!(status(&w, step), Status::Live);
}

#[test]
fn a_role_is_set_only_of_a_member() {
    let mut w = world();
    w.set_role(A, D, Role::Writer, &[]);
    assert_eq!(roles(&w, D), []);
}

#[test]
fn an_event_that_only_the_owner_may_write_changes_no_member() {
    let mut w = world();
    let bind = on_workspace(Act::Bind(Box::new(binding(S, Scope::Workspace))));
    let mixed = w.write(A, vec![bind, admission(D, Role::Writer, None)]);
    assert_eq!(status(&w, mixed), Status::NotAllowed);
    assert_eq!(roles(&w, D), []);
}

// Cuts.

#[test]
fn what_lies_within_a_cut_stands_and_what_comes_after_is_masked() {
    let mut w = world();
    w.apart(C);
    let (within, beyond) = (w.set(C, X, 1, &[]), w.set(C, Y, 2, &[]));
    let removed = w.remove(A, C, &[within]);
    assert_eq!((status(&w, within), status(&w, beyond)), (Status::Live, cut_by(&w, removed)));
}

#[test]
fn a_chain_that_a_removal_does_not_name_is_cut_at_its_start() {
    let mut w = world();
    let edit = w.set(C, X, 1, &[]);
    let other = w.set(A, X, 2, &[edit]);
    let removed = w.remove(A, C, &[other]);
    assert_eq!(status(&w, edit), cut_by(&w, removed));
    check_cell(&w, X, &[2]);
}

#[test]
fn of_several_cuts_the_lowest_counts() {
    let mut w = world();
    w.apart(C);
    let (first, second) = (w.set(C, X, 1, &[]), w.set(C, Y, 2, &[]));
    w.remove(A, C, &[second]);
    let lower = w.remove(B, C, &[first]);
    assert_eq!((status(&w, first), status(&w, second)), (Status::Live, cut_by(&w, lower)));
}

#[test]
fn a_cut_at_a_branch_takes_the_other_branch() {
    let mut w = world();
    let trunk = w.set(C, X, 1, &[]);
    let branch = w.set(C, X, 2, &[trunk]);
    w.forget(C, branch);
    let other = w.set(C, X, 3, &[trunk]);
    check_cell(&w, X, &[3, 2]);
    let removed = w.remove(A, C, &[branch]);
    assert_eq!(
        [trunk, branch, other].map(|event| status(&w, event)),
        [Status::Live, Status::Live, cut_by(&w, removed)]
    );
}

#[test]
fn a_branch_that_a_cut_names_may_come_after_the_cut() {
    let mut w = world();
    w.apart(A);
    let trunk = w.set(C, X, 1, &[]);
    let branch = w.set(C, X, 2, &[trunk]);
    w.forget(C, branch);
    let other = w.set(C, X, 3, &[trunk]);
    let end = w.set(C, Y, 4, &[]);
    let removed = w.remove(A, C, &[end]);
    assert_eq!(status(&w, branch), cut_by(&w, removed));
    let base = 0..trunk.0;
    for late in [[branch, other, removed, end], [removed, branch, other, end], [other, removed, end, branch]] {
        let order: Vec<usize> = base.clone().chain([trunk.0]).chain(late.map(|event| event.0)).collect();
        assert_eq!(delivered(w.events(), &order), naive::view(w.events()), "{order:?}");
    }
}

#[test]
fn a_cut_at_an_event_that_nobody_has_cuts_by_its_place() {
    let mut w = world();
    w.apart(C);
    let (first, second) = (w.set(C, X, 1, &[]), w.set(C, Y, 2, &[]));
    let mut end = w.event(first).reference();
    end.id.0[31] ^= 1;
    w.control(A, Act::Remove(Box::new(Remove { device: C, cuts: vec![Mark(end)] })));
    assert!(status(&w, first).is_live() && !status(&w, second).is_live());
}

#[test]
fn both_branches_of_a_fork_stay_live() {
    let mut w = world();
    let first = w.set(C, X, 1, &[]);
    w.forget(C, first);
    w.set(C, X, 2, &[]);
    check_cell(&w, X, &[2, 1]);
    let forks = view(&w).control.forks;
    assert_eq!(forks, [(ChainId { device: C, number: 1 }, 0)].into());
}

#[test]
fn acceptance_saves_from_a_cut_unless_the_authority_knew_of_it() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    w.apart(S);
    w.apart(C);
    let (saved, lost) = (w.set(C, X, 1, &[]), w.set(C, Y, 2, &[]));
    let removed = w.remove(A, C, &[]);
    w.accept(S, saved);
    w.meet(S);
    w.accept(S, lost);
    assert_eq!((status(&w, saved), status(&w, lost)), (Status::Live, cut_by(&w, removed)));
}

#[test]
fn a_lesser_role_cuts_only_what_needed_the_greater_one() {
    let mut w = world();
    w.set_role(A, C, Role::Designer, &[]);
    w.apart(C);
    let data = w.set(C, X, 1, &[]);
    let design = w.control(C, Act::Define(Box::new(Define { kind: 1, parent: None })));
    let demoted = w.set_role(A, C, Role::Writer, &[]);
    assert_eq!((status(&w, data), status(&w, design)), (Status::Live, cut_by(&w, demoted)));
}

#[test]
fn a_role_given_again_is_not_cut_by_the_earlier_loss() {
    let mut w = world();
    w.set_role(A, C, Role::Reader, &[]);
    w.set_role(A, C, Role::Writer, &[]);
    let edit = w.set(C, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::Live);
}

#[test]
fn a_removed_device_never_comes_back() {
    let mut w = world();
    w.remove(A, C, &[]);
    w.admit(A, C, Role::Writer);
    w.set_role(A, C, Role::Writer, &[]);
    let edit = w.set(C, X, 1, &[]);
    assert_eq!(roles(&w, C), [WRITER, None]);
    assert_eq!(status(&w, edit), Status::NotAllowed);
}

#[test]
fn not_even_by_an_admission_that_had_not_seen_the_removal() {
    let mut w = world();
    w.apart(B);
    let removed = w.remove(A, C, &[]);
    w.admit(B, C, Role::Writer);
    w.knows_only(C, &[Ev(w.events().len() - 1)]);
    let unaware = w.set(C, X, 1, &[]);
    w.meet(C);
    let aware = w.set(C, Y, 1, &[]);
    assert_eq!((status(&w, unaware), status(&w, aware)), (cut_by(&w, removed), Status::NotAllowed));
}

#[test]
fn whom_a_removed_manager_added_beyond_the_cut_goes_too() {
    let mut w = world();
    w.apart(B);
    let within = w.admit(B, D, Role::Writer);
    let beyond = w.admit(B, T, Role::Writer);
    w.remove(A, B, &[within]);
    let (stays, goes) = (w.set(D, X, 1, &[]), w.set(T, X, 2, &[]));
    assert_eq!((status(&w, stays), status(&w, goes)), (Status::Live, Status::NotAllowed));
    assert_eq!((roles(&w, D), roles(&w, T)), (vec![WRITER], vec![]));
    assert!(!status(&w, beyond).is_live());
}

#[test]
fn an_admission_can_be_kept() {
    let mut w = world();
    w.apart(B);
    let beyond = w.admit(B, D, Role::Writer);
    w.remove(A, B, &[]);
    w.knows_only(D, &[beyond]);
    let edit = w.set(D, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::NotAllowed);
    w.control(A, Act::Keep(Box::new(w.op(beyond))));
    assert_eq!(status(&w, edit), Status::Live);
    assert_eq!(roles(&w, D), [WRITER]);
}

#[test]
fn one_of_several_admissions_in_an_event_can_be_kept() {
    let mut w = world();
    w.apart(B);
    let both = w.write(B, vec![admission(D, Role::Writer, None), admission(T, Role::Reader, None)]);
    w.remove(A, B, &[]);
    let second = w.event(both).op_ref(1);
    w.control(A, Act::Keep(Box::new(second)));
    assert_eq!((roles(&w, D), roles(&w, T)), (vec![], vec![Some(Role::Reader)]));
    assert!(view(&w).control.grants.contains(&(T, w.event(both).id(), 1, Some(Role::Reader))));
}

#[test]
fn only_a_manager_keeps() {
    let mut w = world();
    w.apart(B);
    let beyond = w.admit(B, D, Role::Writer);
    w.remove(A, B, &[]);
    w.control(C, Act::Keep(Box::new(w.op(beyond))));
    assert_eq!(roles(&w, D), []);
}

#[test]
fn a_manager_who_was_kept_is_junior_to_the_keeper() {
    let mut w = world();
    w.apart(B);
    let beyond = w.admit(B, D, Role::Manager);
    w.remove(A, B, &[]);
    w.control(A, Act::Keep(Box::new(w.op(beyond))));
    assert_eq!(view(&w).control.seniority, [OWNER, A, B, D]);
    w.remove(D, A, &[]);
    assert_eq!(roles(&w, A), [MANAGER]);
}

#[test]
fn a_kept_admission_counts_once_where_it_stood_anyway() {
    let mut w = world();
    let admitted = w.admit(B, D, Role::Writer);
    w.control(A, Act::Keep(Box::new(w.op(admitted))));
    let edit = w.set(D, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::Live);
}

#[test]
fn a_removed_manager_changes_nobody_any_more() {
    let mut w = world();
    w.remove(A, B, &[]);
    w.remove(B, C, &[]);
    assert_eq!(roles(&w, C), [WRITER]);
}

// Invitations.

/// A invites with a secret; the invitation and its key.
fn invite(w: &mut World, role: Role, uses: u32) -> (Ev, SecretKey) {
    let key = SecretKey::from_bytes(&[7; 32]);
    let invite = Invite { key: key.device(), role, uses, expires_ms: 0, approve: false };
    (w.control(A, Act::Invite(Box::new(invite))), key)
}

fn join(w: &mut World, by: DeviceKey, who: DeviceKey, role: Role, invite: Ev, key: &SecretKey) -> Ev {
    let workspace = w.event(invite).header().workspace;
    let proof = key.sign_join(workspace, &w.op(invite), who);
    w.write(by, vec![admission(who, role, Some(Invited { invite: w.op(invite), proof }))])
}

#[test]
fn an_admission_by_invitation_needs_the_invited_keys_signature_over_that_device() {
    let mut w = world();
    let (invited, key) = invite(&mut w, Role::Writer, 9);
    join(&mut w, B, D, Role::Writer, invited, &SecretKey::from_bytes(&[8; 32]));
    assert_eq!(roles(&w, D), [], "another key's");
    let proof = key.sign_join(w.event(invited).header().workspace, &w.op(invited), T);
    w.write(B, vec![admission(D, Role::Writer, Some(Invited { invite: w.op(invited), proof }))]);
    assert_eq!(roles(&w, D), [], "for another device");
    w.write(B, vec![admission(D, Role::Writer, Some(Invited { invite: w.op(invited), proof: [0; 64] }))]);
    assert_eq!(roles(&w, D), [], "no signature at all");
    join(&mut w, B, D, Role::Writer, invited, &key);
    assert_eq!(roles(&w, D), [WRITER]);
}

#[test]
fn nobody_becomes_more_than_what_the_invitation_offers() {
    let mut w = world();
    let (invited, key) = invite(&mut w, Role::Writer, 9);
    join(&mut w, B, D, Role::Designer, invited, &key);
    assert_eq!(roles(&w, D), []);
    join(&mut w, B, D, Role::Reader, invited, &key);
    assert_eq!(roles(&w, D), [Some(Role::Reader)]);
}

#[test]
fn only_who_may_invite_admits() {
    let mut w = world();
    let (invited, key) = invite(&mut w, Role::Writer, 9);
    join(&mut w, C, D, Role::Writer, invited, &key);
    assert_eq!(roles(&w, D), []);
}

#[test]
fn of_one_invitation_the_first_admissions_in_control_order_stand() {
    let mut w = world();
    let (invited, key) = invite(&mut w, Role::Writer, 2);
    w.apart(A);
    w.apart(B);
    join(&mut w, B, C, Role::Reader, invited, &key);
    join(&mut w, B, D, Role::Writer, invited, &key);
    join(&mut w, A, T, Role::Writer, invited, &key);
    assert_eq!(roles(&w, T), [WRITER], "the senior's comes first");
    assert_eq!(roles(&w, C), [WRITER, Some(Role::Reader)]);
    assert_eq!(roles(&w, D), [], "one too many");
}

#[test]
fn what_one_admission_too_many_led_to_goes_too() {
    let mut w = world();
    let (invited, key) = invite(&mut w, Role::Manager, 1);
    join(&mut w, A, D, Role::Manager, invited, &key);
    join(&mut w, A, S, Role::Manager, invited, &key);
    w.admit(S, T, Role::Writer);
    assert_eq!((roles(&w, D), roles(&w, S), roles(&w, T)), (vec![MANAGER], vec![], vec![]));
}

#[test]
fn an_admission_without_effect_uses_nothing_up() {
    let mut w = world();
    let (invited, key) = invite(&mut w, Role::Writer, 1);
    join(&mut w, C, S, Role::Writer, invited, &key);
    join(&mut w, A, S, Role::Designer, invited, &key);
    join(&mut w, A, D, Role::Writer, invited, &key);
    assert_eq!(roles(&w, D), [WRITER]);
}

#[test]
fn a_refused_admission_makes_room() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let (invited, key) = invite(&mut w, Role::Writer, 1);
    let first = join(&mut w, A, D, Role::Writer, invited, &key);
    join(&mut w, A, T, Role::Writer, invited, &key);
    assert_eq!((roles(&w, D), roles(&w, T)), (vec![WRITER], vec![]));
    w.refuse(S, first);
    assert_eq!((roles(&w, D), roles(&w, T)), (vec![], vec![WRITER]));
}

// Authorities and membership.

#[test]
fn an_authority_cannot_make_members() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let admitted = w.admit(S, D, Role::Writer);
    let removed = w.remove(S, C, &[]);
    assert_eq!((status(&w, admitted), status(&w, removed)), (Status::NotAllowed, Status::NotAllowed));
    assert_eq!((roles(&w, D), roles(&w, C)), (vec![], vec![WRITER]));
}

#[test]
fn a_refused_removal_gives_everything_back_whenever_the_verdict_comes() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let edit = w.set(C, X, 1, &[]);
    let removed = w.remove(B, C, &[]);
    assert!(!status(&w, edit).is_live());
    w.refuse(S, removed);
    assert_eq!(status(&w, edit), Status::Live);
    let end = End { binding: w.term(S), at: None };
    w.control(OWNER, Act::Unbind(Box::new(end)));
    assert!(!status(&w, edit).is_live());
}
