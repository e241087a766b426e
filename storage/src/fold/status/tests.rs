use super::*;
use crate::fold::{
    checking::{cell_of, check_cell, status, view},
    testing::*,
};
use tandem_wire::{Bind, BindingMode, DesignDigest, DesignProposed, OpRef, Scope, Value};

fn unknown_control_op_on(record: tandem_wire::RecordKey, preds: Vec<OpRef>) -> Line {
    (on_cell(record, X, Act::Unknown { kind: 1000, args: vec![] }, preds), vec![])
}

#[test]
fn an_authority_writes_in_its_lists_without_being_a_member() {
    let mut w = World::founded();
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    let (own, other) = (w.set_in(S, RECORD, X, 1, &[]), w.set_in(S, OTHER, X, 2, &[]));
    let lines = [RECORD, OTHER].map(|record| (on_cell(record, Y, Act::Set, vec![]), Value::Int(3).encode()));
    let both = w.write(S, lines.to_vec());
    assert_eq!([own, other, both].map(|event| status(&w, event).is_live()), [true, false, false]);
}

#[test]
fn a_mirror_writes_nowhere() {
    let mut w = World::founded();
    w.bind_with(OWNER, Bind { mode: BindingMode::Mirror, ..binding(S, Scope::Workspace) });
    let edit = w.set(S, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::NotAllowed);
}

#[test]
fn a_server_dominates_nothing_outside_its_lists_by_an_op_of_a_later_version() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    w.bind_with(OWNER, Bind { mode: BindingMode::Mirror, ..binding(T, Scope::Workspace) });
    w.set_in(A, OTHER, X, 1, &[]);
    let by_authority = w.write(S, vec![unknown_control_op_on(OTHER, vec![])]);
    let by_mirror = w.write(T, vec![unknown_control_op_on(OTHER, vec![])]);
    let own = w.write(S, vec![unknown_control_op_on(RECORD, vec![])]);
    assert_eq!([by_authority, by_mirror, own].map(|event| status(&w, event).is_live()), [false, false, true]);
    assert_eq!(cell_of(&view(&w), OTHER, X), [1]);
}

#[test]
fn an_authority_proposes_designs_and_does_not_manage_members() {
    let mut w = World::founded();
    w.bind(OWNER, S, Scope::Workspace);
    let proposed = DesignProposed { term: w.term(S), design: DesignDigest([0; 16]), steps: vec![], table: vec![] };
    let proposed = w.control(S, Act::DesignProposed(Box::new(proposed)));
    let admitted = w.admit(S, A, Role::Reader);
    assert_eq!((status(&w, proposed), status(&w, admitted)), (Status::Live, Status::NotAllowed));
}

#[test]
fn an_event_needs_the_greatest_role_that_any_of_its_ops_needs() {
    let mut w = World::with(&[(A, Role::Designer)]);
    let define = || on_workspace(Act::Define(Box::new(tandem_wire::Define { kind: 1, parent: None })));
    let both = w.write(A, vec![define(), admission(B, Role::Reader, None)]);
    let only = w.write(A, vec![define()]);
    assert_eq!((status(&w, both), status(&w, only)), (Status::NotAllowed, Status::Live));
}

#[test]
fn a_reader_writes_nothing_not_even_what_it_does_not_understand() {
    let mut w = World::with(&[(A, Role::Reader), (B, Role::Writer)]);
    w.create(B);
    let value = w.set(B, X, 1, &[]);
    let unknown = Act::Unknown { kind: 1001, args: vec![] };
    w.write(A, vec![(on_cell(RECORD, X, unknown, w.refs(&[value])), vec![])]);
    check_cell(&w, X, &[1]);
}

#[test]
fn a_refusal_tells_more_than_a_lacking_role() {
    let mut w = World::founded();
    w.bind(OWNER, S, Scope::Workspace);
    let edit = w.set(A, X, 1, &[]);
    assert_eq!(status(&w, edit), Status::NotAllowed);
    w.refuse(S, edit);
    assert!(status(&w, edit).is_refused());
}

#[test]
fn only_data_in_an_authoritys_lists_is_authority_written() {
    let mut w = World::with(&[(S, Role::Writer), (A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    w.clock(S, -900);
    w.set_in(S, OTHER, X, 1, &[]);
    w.set_in(A, OTHER, X, 2, &[]);
    w.set_in(S, RECORD, X, 1, &[]);
    w.set_in(A, RECORD, X, 2, &[]);
    let view = view(&w);
    assert_eq!((cell_of(&view, OTHER, X), cell_of(&view, RECORD, X)), (vec![2, 1], vec![1, 2]));
}
