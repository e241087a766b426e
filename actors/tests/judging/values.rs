//! Types, unique values, references, and what an edit has to have seen.

use crate::party::{Party, codes, text};
use std::collections::BTreeMap;
use tandem_actors::{
    Change, Command,
    authority::{ListPolicy, Policy, Stale},
    workspace::plain_cell,
};
use tandem_wire::{FieldId, RecordKey, Value, design::Property};

#[test]
fn values_must_be_of_their_types_there_and_alone() {
    let mut party = Party::new();
    party.put(party.name, Property::Required, Value::Bool(true));
    party.put(party.age, Property::Unique, Value::Bool(true));
    let (a, b, c) = (party.record(1), party.record(2), party.record(3));
    party.bob.create(a, &[(party.name, text("a")), (party.age, Value::Int(7))]);
    let nameless = party.bob.create(b, &[(party.age, Value::Int(8))]);
    party.meet();
    // Both claim one number, apart from each other. Ada is heard first.
    let second = party.bob.create(c, &[(party.name, text("c")), (party.age, Value::Int(9))]);
    let needs = party.bob.set(c, party.name, text("cc"));
    let taken = party.bob.set(a, party.age, Value::Int(10));
    party.ada.create(party.record(4), &[(party.name, text("d")), (party.age, Value::Int(10))]);
    party.ada.create(party.record(5), &[(party.name, text("e")), (party.age, Value::Int(9))]);
    let typed = party.ada.set(a, party.age, text("seven"));
    let emptied = party.ada.set(a, party.name, Value::Null);
    party.meet();
    let expect = [
        (nameless, "REQUIRED"),
        (second, "UNIQUE_TAKEN"),
        (needs, "DEPENDS_ON_REFUSED"),
        (taken, "UNIQUE_TAKEN"),
        (typed, "TYPE"),
        (emptied, "REQUIRED"),
    ];
    assert_eq!(party.ada.codes(), codes(&expect));
    // Who lets a number go, lets others have it.
    party.ada.set(party.record(5), party.age, Value::Int(11));
    party.meet();
    party.bob.create(party.record(6), &[(party.name, text("f")), (party.age, Value::Int(9))]);
    party.meet();
    assert_eq!(party.ada.codes().len(), expect.len());
}

#[test]
fn a_number_that_is_let_go_in_the_same_sitting_is_free_only_if_that_is_accepted() {
    let mut party = Party::new();
    party.put(party.age, Property::Unique, Value::Bool(true));
    party.rule("grown", "age < 100");
    let (a, b, c) = (party.record(1), party.record(2), party.record(3));
    party.bob.create(a, &[(party.age, Value::Int(1))]);
    party.bob.create(b, &[(party.age, Value::Int(2))]);
    party.meet();
    // The live views show neither 1 nor 2 any more when these are judged.
    let refused = party.bob.set(a, party.age, Value::Int(100));
    party.bob.set(b, party.age, Value::Int(3));
    let taken = party.bob.create(c, &[(party.age, Value::Int(1))]);
    party.bob.create(party.record(4), &[(party.age, Value::Int(2))]);
    party.meet();
    assert_eq!(party.ada.codes()[&refused].0, "RULE");
    assert_eq!(party.ada.codes()[&taken].0, "UNIQUE_TAKEN");
    assert_eq!(party.ada.codes().len(), 2);
}

#[test]
fn a_number_is_taken_in_a_list_that_is_dropped_as_well() {
    let mut party = Party::new();
    party.put(party.age, Property::Unique, Value::Bool(true));
    party.bob.create(party.record(1), &[(party.age, Value::Int(1))]);
    party.meet();
    let (property, value) = (Property::Dropped, Value::Bool(true));
    party.server.does(Command::Put { element: party.record(1).list.into(), property, value });
    for _ in 0..3 {
        party.ada.hears(&party.server);
        party.server.hears(&party.ada);
    }
    assert_eq!(party.server.core.store().fold().design().lists().count(), 0);
    // Bob has not heard of it, and the list may be brought back.
    let taken = party.bob.create(party.record(2), &[(party.age, Value::Int(1))]);
    party.meet();
    assert_eq!(party.ada.codes()[&taken].0, "UNIQUE_TAKEN");
}

#[test]
fn a_number_that_goes_on_being_shown_is_not_free_for_the_event_that_lost_to_it() {
    let mut party = Party::new();
    party.put(party.age, Property::Unique, Value::Bool(true));
    let (a, b) = (party.record(1), party.record(2));
    party.bob.create(a, &[(party.age, Value::Int(1))]);
    party.bob.create(b, &[]);
    party.meet();
    // Bob takes a's number away, and gives b the one that Ada's edit, which is later and judged first, shows in a.
    let set = |record, number| Change::SetRaw(plain_cell(record, party.age), Value::Int(number));
    let taken = party.bob.changes(vec![set(a, 4), set(b, 5)]);
    party.ada.now_ms += 1000;
    party.ada.set(a, party.age, Value::Int(5));
    party.meet();
    assert_eq!(party.ada.codes(), codes(&[(taken, "UNIQUE_TAKEN")]));
    assert_eq!((party.ada.shows(a, party.age), party.ada.shows(b, party.age)), (Some(Value::Int(5)), None));
}

#[test]
fn a_reference_needs_what_it_refers_to() {
    let mut party = Party::new();
    let (a, b, c) = (party.record(1), party.record(2), party.record(3));
    let to = |record: RecordKey| Value::Reference { list: record.list, record: record.record };
    party.bob.create(a, &[]);
    party.bob.create(b, &[(party.friend, to(a))]);
    let missing = party.bob.create(c, &[(party.friend, to(party.record(50)))]);
    let both = vec![
        Change::Create(party.record(6)),
        Change::Set(plain_cell(party.record(6), party.friend), to(party.record(7))),
        Change::Create(party.record(7)),
    ];
    party.bob.changes(both);
    party.meet();
    assert_eq!(party.ada.codes(), codes(&[(missing, "REF_MISSING")]));
}

#[test]
fn ranges_and_patterns_of_the_design_hold() {
    let mut party = Party::new();
    for (field, property, value) in [
        (party.age, Property::Min, Value::Int(0)),
        (party.age, Property::Max, Value::Int(150)),
        (party.name, Property::Pattern, text("^([A-Z]|from)")),
    ] {
        party.put(field, property, value);
    }
    let (a, b) = (party.record(1), party.record(2));
    party.bob.create(a, &[(party.name, text("Ann")), (party.age, Value::Int(150))]);
    let unborn = party.bob.set(a, party.age, Value::Int(-1));
    let small = party.bob.create(b, &[(party.name, text("bo"))]);
    party.meet();
    let old = party.bob.set(a, party.age, Value::Int(151));
    party.bob.set(a, party.age, Value::Null);
    party.meet();
    assert_eq!(party.ada.codes(), codes(&[(unborn, "RANGE"), (small, "PATTERN"), (old, "RANGE")]));
    let put = |element: FieldId, property, value| Command::Put { element: element.into(), property, value };
    let bad = [
        put(party.age, Property::Min, text("0")),
        put(party.age, Property::Pattern, text("x")),
        put(party.name, Property::Pattern, text("(")),
        put(party.name, Property::OnDelete, text("restrict")),
        put(party.friend, Property::OnDelete, text("cascade")),
    ];
    for bad in bad {
        assert_eq!(party.server.try_do(bad).map_err(|refused| refused.code()), Err("type"));
    }
}

#[test]
fn a_record_that_others_refer_to_is_not_removed_where_the_design_says_so() {
    let mut party = Party::new();
    party.put(party.friend, Property::OnDelete, text("restrict"));
    let (a, b, c) = (party.record(1), party.record(2), party.record(3));
    let to = |record: RecordKey| Value::Reference { list: record.list, record: record.record };
    party.bob.create(a, &[]);
    party.bob.create(b, &[(party.friend, to(a))]);
    party.bob.create(c, &[(party.friend, to(c))]);
    party.meet();
    let in_use = party.bob.changes(vec![Change::Delete(a)]);
    // Who refers to itself, or goes in the same breath, holds up nobody.
    party.bob.changes(vec![Change::Delete(c)]);
    party.meet();
    assert_eq!(party.ada.codes(), codes(&[(in_use, "REF_IN_USE")]));
    assert!(party.ada.reader().state(a).unwrap().exists());
    // What refers to it goes away in the same sitting: first refused, then allowed.
    let early = party.bob.changes(vec![Change::Delete(a)]);
    party.bob.set(b, party.friend, Value::Null);
    party.bob.changes(vec![Change::Create(c), Change::Set(plain_cell(c, party.friend), to(b))]);
    party.bob.changes(vec![Change::Delete(b), Change::Delete(c)]);
    party.meet();
    assert_eq!(party.ada.codes(), codes(&[(in_use, "REF_IN_USE"), (early, "REF_IN_USE")]));
    assert!(!party.ada.reader().state(b).unwrap().exists());
}

#[test]
fn references_to_a_removed_record_are_cleared_where_the_design_says_so() {
    let mut party = Party::new();
    party.put(party.friend, Property::OnDelete, text("set-null"));
    let (a, b, c) = (party.record(1), party.record(2), party.record(3));
    let to = |record: RecordKey| Value::Reference { list: record.list, record: record.record };
    party.bob.create(a, &[]);
    party.bob.create(b, &[(party.friend, to(a))]);
    party.bob.create(c, &[(party.friend, to(b))]);
    party.meet();
    party.bob.changes(vec![Change::Delete(a)]);
    party.meet();
    party.meet();
    assert!(party.ada.codes().is_empty());
    assert_eq!((party.ada.shows(b, party.friend), party.ada.shows(c, party.friend)), (None, Some(to(b))));
    // Somebody refers to it again, not having seen that: refused, and nothing dangles.
    let late = party.bob.set(c, party.friend, to(a));
    party.meet();
    assert_eq!(party.ada.codes(), codes(&[(late, "REF_MISSING")]));
    assert_eq!(party.ada.shows(c, party.friend), Some(to(b)));
}

#[test]
fn stale_edits_stand_beside_unless_the_list_refuses_them() {
    let mut party = Party::new();
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("x")), (party.age, Value::Int(1))]);
    party.meet();
    party.bob.set(record, party.name, text("by Bob"));
    party.ada.set(record, party.name, text("by Ada"));
    party.meet();
    assert!(party.ada.codes().is_empty());
    assert_eq!(party.ada.reader().inbox().unwrap().len(), 1, "a conflict");
    party.ada.changes(vec![Change::Resolve(plain_cell(record, party.name), text("one"))]);
    let lists = BTreeMap::from([(party.list, ListPolicy { stale: Stale::Refuse })]);
    party.server.core.set_policy(Policy { lists, ..Policy::default() });
    party.meet();
    let by_bob = party.bob.set(record, party.name, text("by Bob"));
    let by_ada = party.ada.set(record, party.name, text("by Ada"));
    party.bob.set(record, party.age, Value::Int(2));
    party.meet();
    let said = party.ada.codes();
    assert_eq!(said.values().map(|(code, _)| *code).collect::<Vec<_>>(), ["STALE"]);
    assert!(said.contains_key(&by_bob) != said.contains_key(&by_ada));
    let equal = [text("same"), text("same")];
    let [one, other] = equal;
    party.bob.set(record, party.name, one);
    party.ada.set(record, party.name, other);
    party.meet();
    assert_eq!(party.ada.codes().len(), 1, "equal values are none");
}

#[test]
fn an_ordinary_edit_of_a_conflict_that_was_accepted_is_not_stale() {
    let mut party = Party::new();
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("x"))]);
    party.meet();
    party.bob.set(record, party.name, text("by Bob"));
    party.ada.set(record, party.name, text("by Ada"));
    party.meet();
    let lists = BTreeMap::from([(party.list, ListPolicy { stale: Stale::Refuse })]);
    party.server.core.set_policy(Policy { lists, ..Policy::default() });
    party.bob.set(record, party.name, text("seen both"));
    party.meet();
    assert!(party.ada.codes().is_empty());
}
