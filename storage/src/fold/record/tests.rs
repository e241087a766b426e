use super::*;
use crate::fold::{
    Status,
    checking::{cell, check_cell, record, status, view},
    testing::*,
};
use tandem_wire::{PartPath, RefusalCode, Role, Scope};

/// A and B write, C only reads; S judges.
fn world() -> World {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer), (C, Role::Reader)]);
    w.bind(OWNER, S, Scope::Workspace);
    w
}

/// A record that A created and B knows.
fn with_record() -> (World, Ev) {
    let mut w = world();
    let created = w.create(A);
    (w, created)
}

// Domination.

#[test]
fn an_edit_replaces_what_it_names() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    w.set(B, X, 2, &[a]);
    check_cell(&w, X, &[2]);
}

#[test]
fn concurrent_edits_are_siblings_and_the_latest_wins() {
    let (mut w, _) = with_record();
    w.set(A, X, 1, &[]);
    w.set(B, X, 2, &[]);
    check_cell(&w, X, &[2, 1]);
}

#[test]
fn an_edit_of_one_field_leaves_the_others_alone() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    w.set(A, Y, 7, &[]);
    w.set(B, X, 2, &[a]);
    check_cell(&w, Y, &[7]);
}

#[test]
fn a_resolution_replaces_all_siblings() {
    let (mut w, _) = with_record();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(B, X, 2, &[]));
    w.set(A, X, 3, &[a, b]);
    check_cell(&w, X, &[3]);
}

#[test]
fn a_resolution_of_one_sibling_leaves_the_other() {
    let (mut w, _) = with_record();
    let _a = w.set(A, X, 1, &[]);
    let b = w.set(B, X, 2, &[]);
    w.set(A, X, 3, &[b]);
    check_cell(&w, X, &[3, 1]);
}

#[test]
fn what_a_refused_edit_replaced_stays_replaced_by_its_successor() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    let b = w.set(B, X, 2, &[a]);
    w.set(A, X, 3, &[b]);
    w.refuse(S, b);
    check_cell(&w, X, &[3]);
}

#[test]
fn refusing_the_successor_too_brings_the_first_back() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    let b = w.set(B, X, 2, &[a]);
    let c = w.set(A, X, 3, &[b]);
    w.refuse(S, b);
    w.refuse(S, c);
    check_cell(&w, X, &[1]);
}

#[test]
fn domination_goes_through_any_number_of_masked_ops_of_any_cause() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    let refused = w.set(B, X, 2, &[a]);
    let not_allowed = w.set(C, X, 3, &[refused]);
    w.refuse(S, refused);
    check_cell(&w, X, &[1]);
    w.set(A, X, 4, &[not_allowed]);
    check_cell(&w, X, &[4]);
}

#[test]
fn domination_ends_at_the_first_live_op() {
    let (mut w, _) = with_record();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(B, X, 2, &[]));
    let c = w.set(A, X, 3, &[b]);
    w.set(B, X, 4, &[c]);
    let _ = a;
    check_cell(&w, X, &[4, 1]);
}

#[test]
fn a_masked_edit_replaces_nothing() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    w.set(C, X, 2, &[a]);
    check_cell(&w, X, &[1]);
}

#[test]
fn elements_of_a_field_are_cells_of_their_own() {
    let (mut w, _) = with_record();
    w.set(A, X, 1, &[]);
    let part = PartPath::new(["e1", "kind"]).unwrap();
    let op = on_part(RECORD, X, part.clone(), Act::Set, vec![]);
    w.write(B, vec![(op, Value::Int(2).encode())]);
    let view = view(&w);
    assert_eq!(cell(&view, X), [1]);
    assert_eq!(record(&view).cells[&(X, part)].len(), 1);
}

#[test]
fn unknown_kinds_on_a_cell_dominate_and_are_dominated() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    let unknown = Act::Unknown { kind: 1001, args: vec![7] };
    let newer = w.write(B, vec![(on_cell(RECORD, X, unknown, w.refs(&[a])), vec![1, 2])]);
    let siblings = record(&view(&w)).cells[&(X, PartPath::default())].clone();
    assert_eq!(siblings.iter().map(|sibling| &sibling.content).collect::<Vec<_>>(), [&Content::NewerVersionNeeded]);
    w.set(A, X, 3, &[newer]);
    check_cell(&w, X, &[3]);
}

#[test]
fn a_cell_type_of_a_later_version_shows_so_and_spoils_nothing_else() {
    let (mut w, _) = with_record();
    w.set(A, Y, 1, &[]);
    w.write(B, vec![(on_cell(RECORD, X, Act::Apply { type_id: 9 }, vec![]), vec![1, 2])]);
    let view = view(&w);
    let siblings = &record(&view).cells[&(X, PartPath::default())];
    assert_eq!(siblings[0].content, Content::NewerVersionNeeded);
    assert_eq!(siblings[0].value(), None);
    assert_eq!(cell(&view, Y), [1]);
}

#[test]
fn an_absent_payload_dominates_and_shows_as_removed() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    let b = w.set(B, X, 2, &[a]);
    w.erase(b);
    let siblings = record(&view(&w)).cells[&(X, PartPath::default())].clone();
    assert_eq!(siblings.len(), 1);
    assert_eq!(siblings[0].content, Content::Removed);
    assert_eq!(siblings[0].value(), None);
}

// Winners.

#[test]
fn an_op_that_replaced_the_winner_wins_even_with_a_clock_behind() {
    let (mut w, _) = with_record();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(B, X, 2, &[]));
    let _ = a;
    w.clock(A, -500);
    w.set(A, X, 3, &[b]);
    check_cell(&w, X, &[3, 1]);
}

#[test]
fn the_time_of_a_refused_op_does_not_count() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    w.clock(B, 1_000_000);
    let wrong = w.set(B, X, 2, &[a]);
    let built_on_it = w.set(A, X, 3, &[wrong]);
    w.refuse(S, wrong);
    let late = w.set(A, X, 4, &[]);
    check_cell(&w, X, &[4, 3]);
    let siblings = record(&view(&w)).cells[&(X, PartPath::default())].clone();
    assert_eq!(siblings[0].time_ms, w.event(late).header().wall_ms);
    assert_eq!(siblings[1].time_ms, w.event(built_on_it).header().wall_ms);
}

#[test]
fn the_time_of_an_op_that_is_masked_but_not_refused_counts() {
    let (mut w, _) = with_record();
    w.clock(C, 1_000_000);
    let masked = w.set(C, X, 2, &[]);
    w.set(A, X, 3, &[masked]);
    w.set(B, X, 4, &[]);
    check_cell(&w, X, &[3, 4]);
}

#[test]
fn an_edit_is_at_least_one_millisecond_after_what_it_replaced() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    w.clock(B, -900);
    w.set(B, X, 2, &[a]);
    let siblings = record(&view(&w)).cells[&(X, PartPath::default())].clone();
    assert_eq!(siblings[0].time_ms, w.event(a).header().wall_ms + 1);
}

#[test]
fn of_equal_times_the_later_clock_wins() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    // 1001 after its predecessor's 1000 plus one; the other says 1001 itself.
    w.clock(A, -500);
    let behind = w.set(A, X, 2, &[a]);
    let time = w.event(a).header().wall_ms + 1;
    w.clock(B, time as i64 - 1000 - w.events().len() as i64);
    let exact = w.set(B, X, 3, &[]);
    assert_eq!(w.event(exact).header().wall_ms, time);
    let _ = behind;
    check_cell(&w, X, &[3, 2]);
}

#[test]
fn of_equal_clocks_the_greater_event_id_wins_then_the_later_op() {
    let (mut w, _) = with_record();
    let line = |value: i64| (on_cell(RECORD, X, Act::Set, vec![]), Value::Int(value).encode());
    let both = w.write(A, vec![line(1), line(2)]);
    w.clock(B, -1);
    let other = w.write(B, vec![line(3)]);
    let expect = if w.event(other).id() > w.event(both).id() { [3, 2, 1] } else { [2, 1, 3] };
    check_cell(&w, X, &expect);
}

#[test]
fn a_servers_edit_outranks_what_had_not_seen_it() {
    let (mut w, _) = with_record();
    w.clock(S, -900);
    w.set(S, X, 1, &[]);
    w.set(A, X, 2, &[]);
    check_cell(&w, X, &[1, 2]);
}

#[test]
fn what_replaced_a_servers_edit_inherits_its_rank() {
    let (mut w, _) = with_record();
    let s = w.set(S, X, 1, &[]);
    let a = w.set(A, X, 2, &[s]);
    let b = w.set(B, X, 3, &[]);
    w.clock(A, -900);
    w.set(A, X, 4, &[a]);
    let _ = b;
    check_cell(&w, X, &[4, 3]);
}

#[test]
fn the_later_of_two_server_edits_outranks_the_other() {
    let (mut w, _) = with_record();
    w.apart(A);
    let first = w.set(S, X, 1, &[]);
    w.meet(A);
    let built = w.set(A, X, 2, &[first]);
    w.clock(S, -900);
    w.set(S, X, 3, &[first]);
    let _ = built;
    check_cell(&w, X, &[3, 2]);
}

#[test]
fn a_server_is_an_authority_only_where_it_had_seen_its_binding() {
    let mut w = World::with(&[(A, Role::Writer), (S, Role::Writer)]);
    w.create(A);
    w.clock(S, -900);
    w.set(S, X, 1, &[]);
    w.bind(OWNER, S, Scope::Workspace);
    w.set(A, X, 2, &[]);
    check_cell(&w, X, &[2, 1]);
}

#[test]
fn acceptance_never_changes_a_winner() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    w.set(B, X, 2, &[]);
    w.accept(S, a);
    check_cell(&w, X, &[2, 1]);
}

#[test]
fn equal_values_are_no_conflict() {
    let (mut w, _) = with_record();
    w.set(A, X, 1, &[]);
    w.set(B, X, 1, &[]);
    let siblings = |w: &World| record(&view(w)).cells[&(X, PartPath::default())].clone();
    assert_eq!(siblings(&w).len(), 2);
    assert!(!is_conflict(&siblings(&w)));
    w.set(A, X, 2, &[]);
    assert!(is_conflict(&siblings(&w)));
}

// Existence.

/// Whether the record exists, and how many deletes the inbox shows.
#[track_caller]
fn check_exists(w: &World, exists: bool, losing_deletes: usize) {
    let state = record(&view(w));
    assert_eq!((state.exists(), state.losing_deletes().count()), (exists, losing_deletes), "{state:#?}");
}

#[test]
fn a_record_exists_from_its_create_to_its_delete() {
    let (mut w, created) = with_record();
    check_exists(&w, true, 0);
    w.delete(B, &[created]);
    check_exists(&w, false, 0);
}

#[test]
fn a_concurrent_edit_beats_a_delete() {
    let (mut w, created) = with_record();
    w.delete(B, &[created]);
    w.set(A, X, 1, &[]);
    check_exists(&w, true, 1);
}

#[test]
fn refusing_that_edit_lets_the_delete_take_effect() {
    let (mut w, created) = with_record();
    w.delete(B, &[created]);
    let edit = w.set(A, X, 1, &[]);
    w.refuse(S, edit);
    check_exists(&w, false, 0);
}

#[test]
fn an_edit_built_on_what_the_delete_saw_beats_it_too() {
    let (mut w, created) = with_record();
    let a = w.set(A, X, 1, &[]);
    w.delete(B, &[created, a]);
    check_exists(&w, false, 0);
    let edit = w.set(A, X, 2, &[a]);
    check_exists(&w, true, 1);
    w.refuse(S, edit);
    check_exists(&w, false, 0);
}

#[test]
fn a_delete_must_see_the_losers_too() {
    let (mut w, created) = with_record();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(B, X, 2, &[]));
    w.delete(B, &[created, b]);
    check_exists(&w, true, 1);
    w.delete(B, &[created, a, b]);
    check_exists(&w, false, 0);
}

#[test]
fn a_delete_dominates_no_value() {
    let (mut w, created) = with_record();
    let a = w.set(A, X, 1, &[]);
    w.delete(B, &[created, a]);
    check_cell(&w, X, &[1]);
}

#[test]
fn a_refused_delete_covers_nothing() {
    let (mut w, created) = with_record();
    let deleted = w.delete(B, &[created]);
    w.refuse(S, deleted);
    check_exists(&w, true, 0);
}

#[test]
fn a_delete_covers_what_a_masked_edit_it_saw_had_replaced() {
    let (mut w, created) = with_record();
    let a = w.set(A, X, 1, &[]);
    let b = w.set(B, X, 2, &[a]);
    w.delete(A, &[created, b]);
    w.refuse(S, b);
    check_cell(&w, X, &[1]);
    check_exists(&w, false, 0);
}

#[test]
fn a_restore_brings_the_record_back_and_answers_the_delete() {
    let (mut w, created) = with_record();
    let deleted = w.delete(B, &[created]);
    let restored = w.restore(A, &[deleted]);
    check_exists(&w, true, 0);
    w.delete(B, &[created, restored]);
    check_exists(&w, false, 0);
}

#[test]
fn a_restore_that_names_no_delete_leaves_it_in_the_inbox() {
    let (mut w, created) = with_record();
    w.delete(B, &[created]);
    w.restore(A, &[]);
    check_exists(&w, true, 1);
}

#[test]
fn a_new_create_answers_the_deletes_it_names() {
    let (mut w, created) = with_record();
    let deleted = w.delete(B, &[created]);
    w.on(A, RECORD, Act::Create, &[deleted]);
    check_exists(&w, true, 0);
}

#[test]
fn a_resolve_answers_a_delete_and_is_no_edit() {
    let (mut w, created) = with_record();
    let deleted = w.delete(B, &[created]);
    let edit = w.set(A, X, 1, &[]);
    check_exists(&w, true, 1);
    w.on(B, RECORD, Act::Resolve, &[deleted]);
    check_exists(&w, true, 0);
    w.refuse(S, edit);
    check_exists(&w, false, 0);
}

#[test]
fn a_masked_restore_answers_nothing() {
    let (mut w, created) = with_record();
    let deleted = w.delete(B, &[created]);
    let restored = w.restore(A, &[deleted]);
    w.set(A, X, 1, &[]);
    w.refuse(S, restored);
    check_exists(&w, true, 1);
}

#[test]
fn two_creates_of_one_record_are_one_record() {
    let (mut w, first) = with_record();
    let second = w.create(B);
    assert_eq!(record(&view(&w)).creates.len(), 2);
    w.refuse(S, first);
    check_exists(&w, true, 0);
    w.refuse(S, second);
    check_exists(&w, false, 0);
}

#[test]
fn a_delete_of_one_create_leaves_the_other_that_it_had_not_seen() {
    let (mut w, first) = with_record();
    w.create(B);
    w.delete(A, &[first]);
    check_exists(&w, true, 1);
}

#[test]
fn ops_are_held_until_a_live_create_makes_their_record() {
    let mut w = world();
    w.set(A, X, 1, &[]);
    assert!(record(&view(&w)).is_held());
    check_exists(&w, false, 0);
    let created = w.create(B);
    assert!(!record(&view(&w)).is_held());
    check_exists(&w, true, 0);
    w.refuse(S, created);
    assert!(record(&view(&w)).is_held(), "held again, and only the ops: the event is live");
}

#[test]
fn held_is_a_state_of_an_op_not_of_its_event() {
    let mut w = world();
    w.create(A);
    let lines = [RECORD, OTHER].map(|record| (on_cell(record, X, Act::Set, vec![]), Value::Int(1).encode()));
    let both = w.write(A, lines.to_vec());
    assert_eq!(status(&w, both), Status::Live);
    let view = view(&w);
    assert!(record(&view).exists());
    assert!(view.records[&OTHER].is_held());
}

#[test]
fn a_record_without_any_live_op_leaves_no_trace() {
    let mut w = world();
    w.set(C, X, 1, &[]);
    assert!(view(&w).records.is_empty());
    assert!(!RecordState::default().is_held());
}

#[test]
fn an_answer_to_nothing_leaves_no_trace() {
    let mut w = world();
    w.on(A, RECORD, Act::Resolve, &[]);
    assert!(view(&w).records.is_empty());
}

#[test]
fn a_refusal_says_by_which_verdict_and_why() {
    let (mut w, _) = with_record();
    let a = w.set(A, X, 1, &[]);
    let verdict = w.refuse(S, a);
    assert_eq!(status(&w, a), Status::Refused([(w.op(verdict), RefusalCode::RULE)].into()));
}

#[test]
fn the_fold_takes_ops_in_any_order() {
    let (mut w, created) = with_record();
    let a = w.set(A, X, 1, &[]);
    let b = w.set(B, X, 2, &[a]);
    w.delete(A, &[created, b]);
    let mut ops: Vec<RecordOp> =
        w.events().iter().flat_map(|event| ops_on(event, RECORD, true, false, false)).collect();
    let expect = fold(ops.clone());
    ops.reverse();
    assert_eq!(fold(ops), expect);
}

#[test]
fn an_ops_rank_and_time_are_at_least_those_of_what_it_replaced() {
    let (mut w, _) = with_record();
    w.clock(A, 1000);
    let first = w.set(A, X, 1, &[]);
    let second = w.set(B, X, 2, &[first]);
    let ops = |event, by_authority| ops_on(w.event(event), RECORD, true, false, by_authority);
    let time = w.event(first).header().wall_ms;
    let both: Vec<RecordOp> = ops(first, true).into_iter().chain(ops(second, false)).collect();
    let rank = w.event(first).header().lamport;
    assert_eq!(ranks_and_times(&both), [(rank, time), (rank, time + 1)]);
}
