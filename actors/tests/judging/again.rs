//! What was refused is sent again by itself when what refused it changes.

use crate::party::{Node, Party, text};
use tandem_actors::{
    Change, Command,
    authority::Policy,
    command::{MemberChange, ServerChange},
};
use tandem_wire::{Act, BindingMode, CellKey, EventId, PartPath, RecordKey, Role, Value, design::Property};

/// Changes of rules that the server told everybody.
fn told(party: &Party) -> usize {
    let events = party.ada.reader();
    let all = events.log().map(|event| event.unwrap().0);
    all.filter(|event| event.header().ops.iter().any(|op| matches!(op.act, Act::RulesChanged(_)))).count()
}

/// Bob's change of a record is refused for what a rule says of its name.
fn refused_by(party: &mut Party, check: &str) -> (RecordKey, EventId) {
    party.rule("short", check);
    party.rule("other", "age == null || age < 1000");
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("ok"))]);
    party.meet();
    let refused = party.bob.set(record, party.name, text("too long"));
    party.meet();
    assert_eq!(party.ada.codes()[&refused].0, "RULE");
    (record, refused)
}

/// Bob's change of an age is beyond what the design allows.
fn refused_by_design(party: &mut Party) -> (RecordKey, EventId) {
    party.put(party.age, Property::Max, Value::Int(10));
    let record = party.record(1);
    party.bob.create(record, &[]);
    party.meet();
    let refused = party.bob.set(record, party.age, Value::Int(11));
    party.meet();
    (record, refused)
}

/// The policy with this rule's condition changed.
fn with_rule(party: &Party, name: &str, check: &str) -> Policy {
    let mut policy = party.server.core.policy().clone();
    policy.rules.iter_mut().find(|rule| rule.name == name).unwrap().check = check.into();
    policy
}

#[test]
fn when_the_rule_changes_and_not_when_another_does() {
    let mut party = Party::new();
    let (record, refused) = refused_by(&mut party, "name.size() < 4");
    party.bob.retries(refused);
    let before = told(&party);
    party.judges_by(with_rule(&party, "other", "age == null || age < 5"));
    party.meet();
    assert_eq!((told(&party), party.bob.codes().len()), (before + 1, 1));
    party.judges_by(with_rule(&party, "other", "age == null || age < 5"));
    assert_eq!(told(&party), before + 1, "nothing changed");
    party.judges_by(with_rule(&party, "short", "name.size() < 40"));
    party.meet();
    party.meet();
    assert!(party.bob.codes().is_empty());
    assert_eq!(party.ada.shows(record, party.name), Some(text("too long")));
    assert_eq!(party.bob.core.retried().unwrap(), []);
}

#[test]
fn once_for_each_change_also_after_a_restart_and_never_what_somebody_answered() {
    let mut party = Party::new();
    let (_, refused) = refused_by(&mut party, "name.size() < 4");
    party.bob.retries(refused);
    // Bob's node is off while the rule changes.
    let workspace = party.ada.core.workspace();
    let mut bob = Node::new(2, workspace, party.bob.disk());
    bob.now_ms = party.bob.now_ms;
    std::mem::swap(&mut party.bob, &mut bob);
    party.judges_by(with_rule(&party, "short", "name.size() < 5"));
    party.meet();
    party.meet();
    let codes = party.bob.codes();
    assert_eq!(codes.len(), 1, "sent again once, and refused again: {codes:?}");
    assert!(!codes.contains_key(&refused));
    let again = *codes.keys().next().unwrap();
    party.judges_by(with_rule(&party, "other", "true"));
    party.meet();
    party.meet();
    assert_eq!(party.bob.codes().keys().collect::<Vec<_>>(), [&again], "that was not what refused it");
    party.judges_by(with_rule(&party, "short", "name.size() < 6"));
    party.meet();
    party.meet();
    let codes = party.bob.codes();
    assert!(codes.len() == 1 && !codes.contains_key(&again), "{codes:?}");
    let event = party.ada.refusals()[0].refused.event;
    party.ada.does(Command::Discard(event));
    party.meet();
    party.judges_by(with_rule(&party, "short", "true"));
    party.meet();
    assert_eq!(party.bob.core.retried().unwrap(), []);
    assert!(party.ada.codes().is_empty());
}

#[test]
fn at_once_when_it_had_changed_already_before_that_was_asked_for() {
    let mut party = Party::new();
    let (record, refused) = refused_by(&mut party, "name.size() < 4");
    party.judges_by(with_rule(&party, "short", "name.size() < 40"));
    party.meet();
    assert_eq!(party.bob.codes().len(), 1);
    party.bob.retries(refused);
    party.meet();
    assert_eq!(party.ada.shows(record, party.name), Some(text("too long")));
}

#[test]
fn a_change_of_the_design_elsewhere_is_none() {
    let mut party = Party::new();
    let (_, old) = refused_by_design(&mut party);
    party.bob.retries(old);
    party.put(party.name, Property::Help, text("who it is"));
    party.meet();
    assert_eq!(party.bob.codes().keys().collect::<Vec<_>>(), [&old]);
    assert_eq!(party.bob.core.retried().unwrap().len(), 1);
}

#[test]
fn when_the_design_changes() {
    let mut party = Party::new();
    let (record, old) = refused_by_design(&mut party);
    assert_eq!(party.ada.codes()[&old].0, "RANGE");
    party.bob.retries(old);
    party.put(party.age, Property::Max, Value::Int(20));
    party.meet();
    assert_eq!(party.ada.shows(record, party.age), Some(Value::Int(11)));
    assert!(party.ada.codes().is_empty());
}

#[test]
fn once_for_each_change_also_when_another_field_is_at_fault_then() {
    let mut party = Party::new();
    party.put(party.age, Property::Max, Value::Int(10));
    let record = party.record(1);
    party.bob.create(record, &[]);
    party.meet();
    let set = |field, value| Change::Set(CellKey { record, field, part: PartPath::default() }, value);
    let old = party.bob.changes(vec![set(party.age, Value::Int(11)), set(party.name, text("B"))]);
    party.meet();
    party.bob.retries(old);
    party.put(party.name, Property::Pattern, text("^[^B]*$"));
    party.put(party.age, Property::Max, Value::Int(20));
    let again = party.bob.codes();
    assert_eq!(again.values().map(|(code, _)| *code).collect::<Vec<_>>(), ["PATTERN"]);
    assert!(!again.contains_key(&old));
    party.meet();
    assert_eq!(party.bob.codes(), again, "no change has come since");
    party.put(party.name, Property::Pattern, text("^.*$"));
    assert!(party.bob.codes().is_empty());
    assert_eq!(party.ada.shows(record, party.age), Some(Value::Int(11)));
}

#[test]
fn when_a_server_is_bound_anew() {
    let mut party = Party::new();
    let (record, refused) = refused_by(&mut party, "name.size() < 4");
    party.bob.retries(refused);
    let (authority, mode) = (party.server.core.control_chain(), BindingMode::Binding);
    let replaces = party.ada.core.store().fold().present_terms().map(|term| term.binding).collect();
    party.server.core.set_policy(Policy::default());
    party.ada.does(Command::Servers(ServerChange::Bind { authority, lists: None, mode, replaces }));
    party.meet();
    party.meet();
    assert_eq!(party.ada.shows(record, party.name), Some(text("too long")));
    assert!(party.ada.codes().is_empty());
}

#[test]
fn when_the_role_changes() {
    let mut party = Party::new();
    let device = party.bob.core.device();
    let record = party.record(1);
    party.bob.create(record, &[]);
    party.meet();
    // The server hears of the change of roles first.
    party.ada.does(Command::Members(MemberChange::SetRole { device, role: Role::Reader }));
    party.server.hears(&party.ada);
    let late = party.bob.set(record, party.name, text("late"));
    party.meet();
    assert!(party.ada.codes().contains_key(&late), "{:?}", party.ada.codes());
    party.bob.retries(late);
    party.meet();
    assert_eq!(party.ada.shows(record, party.name), None);
    party.ada.does(Command::Members(MemberChange::SetRole { device, role: Role::Writer }));
    party.meet();
    party.meet();
    assert_eq!(party.ada.shows(record, party.name), Some(text("late")));
}
