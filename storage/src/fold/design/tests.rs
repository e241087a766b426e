use super::*;
use crate::fold::{
    checking::{status, view},
    testing::*,
};
use tandem_wire::{
    Define, DesignDigest, DesignProposed, DeviceKey, Outcome, Put, RefusalCode, Role, Scope,
    design::{BaseType, FieldType},
};

fn world() -> World {
    World::with(&[(A, Role::Designer), (B, Role::Designer), (C, Role::Writer), (D, Role::Reader)])
}

fn define(w: &mut World, by: DeviceKey, kind: ElementKind, parent: Option<ElementId>) -> (Ev, ElementId) {
    let event = w.control(by, Act::Define(Box::new(Define { kind: kind.number(), parent })));
    (event, ElementId::defined_by(w.event(event).id(), 0))
}

fn put_line(element: ElementId, property: Property, value: Value) -> Line {
    (on_workspace(Act::Put(Box::new(Put { element, property: property.number() }))).0, value.encode())
}

fn put(w: &mut World, by: DeviceKey, element: ElementId, property: Property, value: Value) -> Ev {
    w.write(by, vec![put_line(element, property, value)])
}

fn name(w: &mut World, by: DeviceKey, element: ElementId, name: &str) -> Ev {
    put(w, by, element, Property::Name, Value::Text(name.into()))
}

fn design(w: &World) -> Design {
    view(w).control.design
}

#[track_caller]
fn check_name(w: &World, element: ElementId, expect: &str) {
    assert_eq!(design(w).name(element), expect);
}

#[test]
fn a_list_has_its_fields_in_their_order() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let (_, other) = define(&mut w, A, ElementKind::List, None);
    let fields = [3u8, 1, 2].map(|rank| {
        let (_, field) = define(&mut w, A, ElementKind::Field, Some(list));
        put(&mut w, A, field, Property::Order, Value::Rank(vec![rank]));
        field.as_field()
    });
    let (_, unordered) = define(&mut w, A, ElementKind::Field, Some(list));
    define(&mut w, A, ElementKind::Field, Some(other));
    define(&mut w, A, ElementKind::View, Some(list));
    let design = design(&w);
    assert_eq!(design.fields(list.as_list()), [fields[1], fields[2], fields[0], unordered.as_field()]);
    let mut lists = [list.as_list(), other.as_list()];
    lists.sort_unstable();
    assert_eq!(design.lists().collect::<Vec<_>>(), lists);
}

#[test]
fn what_is_dropped_is_retained_but_not_shown() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let (_, field) = define(&mut w, A, ElementKind::Field, Some(list));
    put(&mut w, A, field, Property::Dropped, Value::Bool(true));
    assert_eq!(design(&w).fields(list.as_list()), []);
    put(&mut w, A, list, Property::Dropped, Value::Bool(true));
    assert_eq!(design(&w).lists().count(), 0);
    assert_eq!(design(&w).elements.len(), 2);
    put(&mut w, A, list, Property::Dropped, Value::Bool(false));
    assert_eq!(design(&w).lists().count(), 1);
}

#[test]
fn a_list_and_its_fields_are_there_until_they_are_dropped() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let (_, other) = define(&mut w, A, ElementKind::List, None);
    let (_, field) = define(&mut w, A, ElementKind::Field, Some(list));
    let (_, shown) = define(&mut w, A, ElementKind::View, Some(list));
    let (id, of_list) = (list.as_list(), field.as_field());
    let before = design(&w);
    assert!(before.has_list(id) && before.has_list(other.as_list()));
    assert!(!before.has_list(field.as_list()), "a field is no list");
    assert!(!before.has_list(ListId([0; 16])), "nobody knows it");
    assert!(before.has_field(id, of_list));
    assert!(!before.has_field(other.as_list(), of_list), "it is of another list");
    assert!(!before.has_field(id, shown.as_field()), "a view is no field");
    assert!(!before.has_field(id, FieldId([0; 16])), "nobody knows it");
    put(&mut w, A, field, Property::Dropped, Value::Bool(true));
    put(&mut w, A, other, Property::Dropped, Value::Bool(true));
    let after = design(&w);
    assert!(after.has_list(id) && !after.has_list(other.as_list()) && !after.has_field(id, of_list));
}

#[test]
fn a_field_has_the_type_put_on_it() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let (_, field) = define(&mut w, A, ElementKind::Field, Some(list));
    assert_eq!(design(&w).field_type(field.as_field()), None);
    let text = FieldType::one(BaseType::Text);
    put(&mut w, A, field, Property::Type, text.to_value());
    assert_eq!(design(&w).field_type(field.as_field()), Some(text));
}

#[test]
fn a_later_step_that_saw_the_value_replaces_it() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    name(&mut w, A, list, "one");
    name(&mut w, B, list, "two");
    check_name(&w, list, "two");
    assert!(design(&w).losing.is_empty());
}

#[test]
fn a_step_that_had_not_seen_the_value_is_a_losing_proposal() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    w.apart(B);
    let first = name(&mut w, A, list, "a");
    let second = name(&mut w, B, list, "b");
    let design = design(&w);
    let lost = if design.name(list) == "a" { second } else { first };
    assert_eq!(design.losing, [w.op(lost)].into());
}

#[test]
fn another_property_is_no_contradiction() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    w.apart(B);
    name(&mut w, A, list, "a");
    put(&mut w, B, list, Property::Help, Value::Text("h".into()));
    assert!(design(&w).losing.is_empty());
}

#[test]
fn an_event_may_put_a_property_twice() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let line = |text: &str| put_line(list, Property::Name, Value::Text(text.into()));
    w.write(A, vec![line("one"), line("two")]);
    check_name(&w, list, "two");
}

#[test]
fn a_step_on_what_nobody_defined_is_a_losing_proposal() {
    let mut w = world();
    let nowhere = ElementId([9; 16]);
    let named = name(&mut w, A, nowhere, "a");
    let (orphan, _) = define(&mut w, A, ElementKind::Field, Some(nowhere));
    let design = design(&w);
    assert_eq!(design.losing, [w.op(named), w.op(orphan)].into());
    assert!(design.elements.is_empty());
}

#[test]
fn who_may_not_design_changes_nothing() {
    let mut w = world();
    let (event, _) = define(&mut w, C, ElementKind::List, None);
    assert!(!status(&w, event).is_live());
    assert!(design(&w).elements.is_empty() && design(&w).losing.is_empty());
}

#[test]
fn a_refused_step_lets_the_other_one_win() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    w.apart(B);
    let first = name(&mut w, A, list, "a");
    let second = name(&mut w, B, list, "b");
    let a_won = design(&w).name(list) == "a";
    w.judge(S, if a_won { first } else { second }, Outcome::Refuse(RefusalCode::DESIGN_OWNED));
    check_name(&w, list, if a_won { "b" } else { "a" });
    assert!(design(&w).losing.is_empty());
}

#[test]
fn an_absent_payload_leaves_the_property_without_a_value() {
    let mut w = world();
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let named = name(&mut w, A, list, "a");
    w.erase(named);
    check_name(&w, list, "");
    assert_eq!(design(&w).elements[&list].properties.len(), 1);
}

// Proposals.

/// A list of A's, and a proposal of S to name it, rehearsed on `table`; the list and the proposal.
fn proposed(w: &mut World, table: &[Ev]) -> (ElementId, Ev) {
    w.bind(OWNER, S, Scope::Workspace);
    let (_, list) = define(w, A, ElementKind::List, None);
    let step = name(w, S, list, "s");
    let steps = vec![w.event(step).reference()];
    let table = w.marks(table);
    let proposed = DesignProposed { term: w.term(S), design: DesignDigest([1; 16]), steps, table };
    let proposed = w.control(S, Act::DesignProposed(Box::new(proposed)));
    (list, proposed)
}

fn rehearsed(w: &World, proposal: Ev, covers: &[Ev]) -> Rehearsed {
    Rehearsed { proposal: w.op(proposal), covers: w.marks(covers) }
}

fn merge(w: &mut World, by: DeviceKey, proposal: Ev, covers: &[Ev]) -> Ev {
    let rehearsed = rehearsed(w, proposal, covers);
    w.control(by, Act::DesignMerged(Box::new(rehearsed)))
}

fn fail(w: &mut World, by: DeviceKey, proposal: Ev) -> Ev {
    let rehearsed = rehearsed(w, proposal, &[]);
    w.write(by, vec![(on_workspace(Act::DesignFailed(Box::new(rehearsed))).0, b"report".to_vec())])
}

fn merged(w: &World, proposal: Ev) -> Option<OpRef> {
    design(w).proposals[&w.op(proposal)].merged
}

#[test]
fn a_servers_design_is_only_proposed_until_somebody_merges_it() {
    let mut w = world();
    let (list, proposal) = proposed(&mut w, &[]);
    check_name(&w, list, "");
    assert_eq!(merged(&w, proposal), None);
    let merge = merge(&mut w, C, proposal, &[]);
    check_name(&w, list, "s");
    assert_eq!(merged(&w, proposal), Some(w.op(merge)));
}

#[test]
fn the_steps_in_the_proposing_event_belong_to_it() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let act = DesignProposed { term: w.term(S), design: DesignDigest([1; 16]), steps: vec![], table: vec![] };
    let line = put_line(list, Property::Name, Value::Text("s".into()));
    let proposal = w.write(S, vec![on_workspace(Act::DesignProposed(Box::new(act))), line]);
    check_name(&w, list, "");
    merge(&mut w, C, proposal, &[]);
    check_name(&w, list, "s");
}

#[test]
fn a_reader_merges_nothing() {
    let mut w = world();
    let (list, proposal) = proposed(&mut w, &[]);
    merge(&mut w, D, proposal, &[]);
    check_name(&w, list, "");
}

#[test]
fn a_merge_has_rehearsed_on_all_that_the_authority_had_seen() {
    let mut w = world();
    let (first, second) = (w.set(C, X, 1, &[]), w.set(C, X, 2, &[]));
    let other = w.set(A, X, 1, &[]);
    let (list, proposal) = proposed(&mut w, &[first, other]);
    merge(&mut w, C, proposal, &[]);
    merge(&mut w, C, proposal, &[other]);
    merge(&mut w, C, proposal, &[second]);
    check_name(&w, list, "");
    merge(&mut w, C, proposal, &[second, other]);
    check_name(&w, list, "s");
}

#[test]
fn a_merge_may_end_exactly_where_the_authority_did_but_not_before() {
    let mut w = world();
    let (first, second) = (w.set(C, X, 1, &[]), w.set(C, X, 2, &[]));
    let (list, proposal) = proposed(&mut w, &[second]);
    merge(&mut w, C, proposal, &[first]);
    check_name(&w, list, "");
    merge(&mut w, C, proposal, &[second]);
    check_name(&w, list, "s");
}

#[test]
fn the_authority_itself_may_always_merge() {
    let mut w = world();
    let first = w.set(C, X, 1, &[]);
    let (list, proposal) = proposed(&mut w, &[first]);
    fail(&mut w, C, proposal);
    merge(&mut w, S, proposal, &[]);
    check_name(&w, list, "s");
}

#[test]
fn another_authority_has_no_such_right() {
    let mut w = world();
    w.bind_with(OWNER, tandem_wire::Bind { mode: tandem_wire::BindingMode::Mirror, ..binding(T, Scope::Workspace) });
    let (list, proposal) = proposed(&mut w, &[]);
    fail(&mut w, C, proposal);
    merge(&mut w, T, proposal, &[]);
    check_name(&w, list, "");
}

#[test]
fn a_failed_rehearsal_in_the_past_voids_a_merge() {
    let mut w = world();
    let (list, proposal) = proposed(&mut w, &[]);
    let failed = fail(&mut w, C, proposal);
    merge(&mut w, A, proposal, &[]);
    check_name(&w, list, "");
    assert_eq!(design(&w).proposals[&w.op(proposal)].failed, [w.op(failed)].into());
}

#[test]
fn a_failure_of_another_proposal_voids_nothing() {
    let mut w = world();
    let (list, proposal) = proposed(&mut w, &[]);
    let act = DesignProposed { term: w.term(S), design: DesignDigest([2; 16]), steps: vec![], table: vec![] };
    let other = w.control(S, Act::DesignProposed(Box::new(act)));
    fail(&mut w, C, other);
    merge(&mut w, A, proposal, &[]);
    check_name(&w, list, "s");
}

#[test]
fn a_failed_rehearsal_beside_a_merge_is_kept_and_voids_nothing() {
    let mut w = world();
    let (list, proposal) = proposed(&mut w, &[]);
    w.apart(A);
    let failed = fail(&mut w, C, proposal);
    merge(&mut w, A, proposal, &[]);
    check_name(&w, list, "s");
    assert_eq!(design(&w).proposals[&w.op(proposal)].failed, [w.op(failed)].into());
}

#[test]
fn a_masked_failure_voids_nothing() {
    let mut w = world();
    let (list, proposal) = proposed(&mut w, &[]);
    fail(&mut w, D, proposal);
    merge(&mut w, A, proposal, &[]);
    check_name(&w, list, "s");
}

#[test]
fn of_several_merges_the_first_counts() {
    let mut w = world();
    let (list, proposal) = proposed(&mut w, &[]);
    let first = merge(&mut w, A, proposal, &[]);
    name(&mut w, A, list, "changed since");
    merge(&mut w, C, proposal, &[]);
    check_name(&w, list, "changed since");
    assert_eq!(merged(&w, proposal), Some(w.op(first)));
}

/// A second proposal of S, to name the list otherwise.
fn proposed_after(w: &mut World, list: ElementId, value: &str) -> Ev {
    let act = DesignProposed { term: w.term(S), design: DesignDigest([2; 16]), steps: vec![], table: vec![] };
    let line = put_line(list, Property::Name, Value::Text(value.into()));
    w.write(S, vec![on_workspace(Act::DesignProposed(Box::new(act))), line])
}

#[test]
fn an_older_proposal_is_passed_over_once_a_newer_one_is_current() {
    let mut w = world();
    let (list, older) = proposed(&mut w, &[]);
    let newer = proposed_after(&mut w, list, "newer");
    merge(&mut w, A, newer, &[]);
    merge(&mut w, C, older, &[]);
    check_name(&w, list, "newer");
    assert_eq!(merged(&w, older), None);
}

#[test]
fn a_newer_proposal_that_is_not_current_holds_no_older_one_up() {
    let mut w = world();
    let (list, older) = proposed(&mut w, &[]);
    let newer = proposed_after(&mut w, list, "newer");
    merge(&mut w, C, older, &[]);
    check_name(&w, list, "s");
    merge(&mut w, A, newer, &[]);
    check_name(&w, list, "newer");
}

#[test]
fn a_merged_design_wins_over_what_it_had_not_seen() {
    let mut w = world();
    w.apart(S);
    let (list, proposal) = {
        w.meet(S);
        proposed(&mut w, &[])
    };
    name(&mut w, B, list, "b");
    merge(&mut w, C, proposal, &[]);
    check_name(&w, list, "s");
}

#[test]
fn only_the_authority_of_the_term_proposes() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let act =
        |w: &World| DesignProposed { term: w.term(S), design: DesignDigest([1; 16]), steps: vec![], table: vec![] };
    let by_member = act(&w);
    w.control(A, Act::DesignProposed(Box::new(by_member)));
    w.bind_with(OWNER, tandem_wire::Bind { mode: tandem_wire::BindingMode::Mirror, ..binding(T, Scope::Workspace) });
    let by_another = act(&w);
    w.control(T, Act::DesignProposed(Box::new(by_another)));
    assert!(design(&w).proposals.is_empty());
}

#[test]
fn a_proposal_takes_what_was_refused_of_others_after_all() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let (made, field) = define(&mut w, B, ElementKind::Field, Some(list));
    let named = name(&mut w, B, field, "b");
    w.refuse(S, made);
    w.refuse(S, named);
    assert!(!design(&w).elements.contains_key(&field));
    let mut steps = vec![w.event(made).reference(), w.event(named).reference()];
    steps.sort();
    let act = DesignProposed { term: w.term(S), design: DesignDigest([1; 16]), steps, table: vec![] };
    let proposal = w.control(S, Act::DesignProposed(Box::new(act)));
    assert!(!design(&w).elements.contains_key(&field), "it is not merged");
    merge(&mut w, C, proposal, &[]);
    check_name(&w, field, "b");
}

#[test]
fn a_proposal_takes_no_steps_of_others_that_count_by_themselves() {
    let mut w = world();
    w.bind(OWNER, S, Scope::Workspace);
    let (_, list) = define(&mut w, A, ElementKind::List, None);
    let foreign = name(&mut w, B, list, "b");
    name(&mut w, A, list, "a");
    let steps = vec![w.event(foreign).reference()];
    let act = DesignProposed { term: w.term(S), design: DesignDigest([1; 16]), steps, table: vec![] };
    let proposal = w.control(S, Act::DesignProposed(Box::new(act)));
    merge(&mut w, C, proposal, &[]);
    check_name(&w, list, "a");
}
