use super::*;
use crate::fold::{
    Status,
    checking::{check_cell, roles, status, view},
    testing::*,
};
use tandem_wire::{End, RefusalCode, Remove, Role};

fn world() -> World {
    World::with(&[(A, Role::Writer), (B, Role::Manager), (C, Role::Manager)])
}

fn unbind(w: &mut World, by: DeviceKey, server: DeviceKey, at: Option<Ev>) -> Ev {
    let at = at.map(|at| w.marks(&[at])[0]);
    let end = End { binding: w.term(server), at };
    w.control(by, Act::Unbind(Box::new(end)))
}

fn hand_over(w: &mut World, by: DeviceKey, to: DeviceKey) -> Ev {
    w.control(by, Act::HandOver(Box::new(to)))
}

#[test]
fn only_the_owner_binds() {
    let mut w = world();
    let bound = w.bind(B, S, Scope::Workspace);
    assert_eq!(status(&w, bound), Status::NotAllowed);
    assert!(view(&w).control.terms.is_empty());
    let a = w.set(A, X, 1, &[]);
    w.refuse(S, a);
    check_cell(&w, X, &[1]);
}

#[test]
fn of_two_bindings_of_one_list_the_second_has_no_effect_until_the_first_ends() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    w.bind(OWNER, T, Scope::Workspace);
    assert_eq!(view(&w).control.terms, [w.term(S)]);
    unbind(&mut w, OWNER, S, None);
    w.bind(OWNER, T, Scope::Workspace);
    assert_eq!(view(&w).control.terms, [w.term(S), w.term(T)]);
}

#[test]
fn lists_that_do_not_meet_have_each_their_authority() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    w.bind(OWNER, T, Scope::Lists(vec![OTHER_LIST]));
    assert_eq!(view(&w).control.terms, [w.term(S), w.term(T)]);
    let (here, there) = (w.set(A, X, 1, &[]), w.set_in(A, OTHER, X, 2, &[]));
    w.refuse(S, there);
    w.refuse(T, here);
    assert_eq!((status(&w, here), status(&w, there)), (Status::Live, Status::Live));
    w.refuse(S, here);
    w.refuse(T, there);
    assert!(status(&w, here).is_refused() && status(&w, there).is_refused());
}

#[test]
fn mirrors_may_stand_beside_an_authority() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    w.bind_with(OWNER, Bind { mode: BindingMode::Mirror, ..binding(T, Scope::Workspace) });
    assert_eq!(view(&w).control.terms, [w.term(S), w.term(T)]);
}

#[test]
fn verdicts_stand_up_to_where_the_binder_saw_the_chain_end() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let (a, b) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    let seen = w.refuse(S, a);
    w.apart(S);
    unbind(&mut w, OWNER, S, Some(seen));
    let late = w.refuse(S, b);
    assert!(status(&w, a).is_refused());
    assert_eq!(status(&w, b), Status::Live);
    let _ = late;
}

#[test]
fn an_end_without_a_mark_leaves_no_verdict_standing() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let a = w.set(A, X, 1, &[]);
    w.refuse(S, a);
    unbind(&mut w, OWNER, S, None);
    assert_eq!(status(&w, a), Status::Live);
}

#[test]
fn an_end_with_a_mark_in_another_chain_leaves_no_verdict_standing() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let a = w.set(A, X, 1, &[]);
    w.refuse(S, a);
    unbind(&mut w, OWNER, S, Some(a));
    assert_eq!(status(&w, a), Status::Live);
}

#[test]
fn of_several_ends_the_lowest_counts() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let (a, b) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    let (first, second) = (w.refuse(S, a), w.refuse(S, b));
    unbind(&mut w, OWNER, S, Some(second));
    unbind(&mut w, OWNER, S, Some(first));
    assert!(status(&w, a).is_refused());
    assert_eq!(status(&w, b), Status::Live);
}

#[test]
fn a_rebinding_ends_the_old_term_and_keeps_its_verdicts_up_to_the_mark() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let old = w.term(S);
    let (a, b) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    let seen = w.refuse(S, a);
    w.apart(S);
    let at = Some(w.marks(&[seen])[0]);
    w.bind_with(OWNER, Bind { ends: vec![End { binding: old, at }], ..binding(T, Scope::Workspace) });
    w.refuse(S, b);
    assert_eq!(view(&w).control.terms, [old, w.term(T)]);
    assert!(status(&w, a).is_refused());
    assert_eq!(status(&w, b), Status::Live);
    w.refuse(T, b);
    assert!(status(&w, b).is_refused());
}

#[test]
fn the_verdict_of_an_older_term_stands_against_that_of_a_newer_one() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let old = w.term(S);
    let a = w.set(A, X, 1, &[]);
    let accepted = w.accept(S, a);
    let at = Some(w.marks(&[accepted])[0]);
    w.bind_with(OWNER, Bind { ends: vec![End { binding: old, at }], ..binding(T, Scope::Workspace) });
    w.refuse(T, a);
    assert_eq!(status(&w, a), Status::Live);
}

#[test]
fn an_authority_whose_term_it_knows_ended_is_no_member() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let before = w.set(S, X, 1, &[]);
    unbind(&mut w, OWNER, S, None);
    let after = w.set(S, Y, 2, &[]);
    assert_eq!((status(&w, before), status(&w, after)), (Status::Live, Status::NotAllowed));
}

#[test]
fn an_authority_ends_nothing_but_what_the_owner_says() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let a = w.set(A, X, 1, &[]);
    w.refuse(S, a);
    unbind(&mut w, B, S, None);
    assert!(status(&w, a).is_refused());
}

// The owner.

#[test]
fn a_hand_over_makes_another_the_owner_from_there_on() {
    let mut w = world();
    hand_over(&mut w, OWNER, B);
    w.bind(OWNER, S, Scope::Workspace);
    assert!(view(&w).control.terms.is_empty(), "no longer the owner");
    w.bind(B, T, Scope::Workspace);
    let view = view(&w);
    assert_eq!(view.control.terms, [w.term(T)]);
    assert_eq!(view.control.owners, [OWNER, B]);
    assert_eq!(view.control.seniority, [B, OWNER, C]);
}

#[test]
fn only_the_owner_hands_over() {
    let mut w = world();
    hand_over(&mut w, B, B);
    assert_eq!(view(&w).control.owners, [OWNER]);
    hand_over(&mut w, OWNER, C);
    hand_over(&mut w, OWNER, A);
    assert_eq!(view(&w).control.owners, [OWNER, C]);
}

#[test]
fn a_hand_over_to_oneself_is_none() {
    let mut w = world();
    hand_over(&mut w, OWNER, OWNER);
    assert_eq!(view(&w).control.owners, [OWNER]);
}

#[test]
fn the_new_owner_owns_nothing_before_it_saw_the_hand_over() {
    let mut w = world();
    w.apart(B);
    hand_over(&mut w, OWNER, B);
    w.bind(B, S, Scope::Workspace);
    assert!(view(&w).control.terms.is_empty());
}

#[test]
fn a_former_owner_can_be_removed_by_the_present_one() {
    let mut w = world();
    hand_over(&mut w, OWNER, B);
    let removed = w.remove(C, OWNER, &[]);
    assert_eq!(roles(&w, OWNER), [Some(Role::Manager)], "not by a junior");
    w.remove(B, OWNER, &[removed]);
    let edit = w.set(OWNER, X, 1, &[]);
    assert_eq!(roles(&w, OWNER), [Some(Role::Manager), None]);
    assert_eq!(status(&w, edit), Status::NotAllowed);
}

#[test]
fn a_new_owner_may_change_whom_the_former_one_admitted() {
    let mut w = world();
    hand_over(&mut w, OWNER, B);
    w.set_role(B, A, Role::Reader, &[]);
    assert_eq!(roles(&w, A), [Some(Role::Writer), Some(Role::Reader)]);
}

#[test]
fn what_a_manager_did_before_it_became_the_owner_stands() {
    let mut w = world();
    let admitted = w.admit(B, D, Role::Writer);
    hand_over(&mut w, OWNER, B);
    let edit = w.set(D, X, 1, &[]);
    assert_eq!(roles(&w, D), [Some(Role::Writer)]);
    assert_eq!([status(&w, admitted), status(&w, edit)], [Status::Live, Status::Live]);
}

#[test]
fn nobody_removes_the_owner_before_having_seen_the_hand_over() {
    let mut w = world();
    w.apart(B);
    hand_over(&mut w, OWNER, B);
    w.remove(B, OWNER, &[]);
    assert_eq!(roles(&w, OWNER), [Some(Role::Manager)]);
}

#[test]
fn handing_over_and_back_leaves_managers_removable() {
    let mut w = world();
    hand_over(&mut w, OWNER, B);
    hand_over(&mut w, B, OWNER);
    assert_eq!(view(&w).control.seniority, [OWNER, B, C]);
    w.remove(OWNER, C, &[]);
    assert_eq!(roles(&w, C), [Some(Role::Manager), None]);
}

#[test]
fn a_former_owner_gains_nothing_by_backdating() {
    let mut w = world();
    let handed = hand_over(&mut w, OWNER, B);
    w.forget(OWNER, handed);
    let bound = w.bind(OWNER, S, Scope::Workspace);
    w.control(OWNER, Act::Remove(Box::new(Remove { device: B, cuts: vec![] })));
    assert!(view(&w).control.terms.is_empty());
    assert_eq!(status(&w, bound), Status::NotAllowed);
    assert_eq!(roles(&w, B), [Some(Role::Manager), Some(Role::Manager)], "by the admission, by the hand over");
}

#[test]
fn what_the_owner_did_before_handing_over_stands() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let admitted = w.admit(OWNER, D, Role::Manager);
    hand_over(&mut w, OWNER, B);
    assert_eq!(view(&w).control.terms, [w.term(S)]);
    assert_eq!(status(&w, admitted), Status::Live);
    assert_eq!(roles(&w, D), [Some(Role::Manager)]);
}

#[test]
fn an_authority_judges_the_owners_data_but_not_its_control() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let (data, control) = (w.set(OWNER, X, 1, &[]), w.admit(OWNER, D, Role::Reader));
    w.refuse(S, data);
    w.refuse(S, control);
    assert_eq!(status(&w, control), Status::Live);
    let Status::Refused(refusals) = status(&w, data) else { panic!("refused") };
    assert_eq!(refusals.into_iter().map(|(_, code)| code).collect::<Vec<_>>(), [RefusalCode::RULE]);
}

#[test]
fn without_a_genesis_nobody_owns_anything() {
    let terms = Terms::resolve(&[]);
    assert_eq!((terms.owner(), terms.genesis.is_none()), (None, true));
    assert!(!terms.is_owner_at(OWNER, EventId([0; 32]), &BTreeSet::new()));
}

#[test]
fn the_workspace_is_named_by_its_genesis() {
    let w = world();
    let genesis = w.events()[0].clone();
    let terms = Terms::resolve(&[ControlEvent { event: genesis, past: Past::default() }]);
    assert_eq!(terms.genesis.as_ref().map(|text| text.workspace.as_str()), Some("w"));
    assert_eq!(terms.owner(), Some(OWNER));
}
