//! A member's change of the design that was refused is taken into it after all.

use crate::party::{Node, Party, text};
use tandem_actors::{
    Command, Refused,
    command::{MemberChange, ServerChange},
};
use tandem_wire::{
    Act, EventId, FieldId, RecordKey, Role, Value,
    design::{BaseType, FieldType, Property},
};

/// Bob, who is a designer and has not heard of the server, adds a field and writes under it; all of it is refused.
struct Refusal {
    party: Party,
    field: FieldId,
    step: EventId,
    record: RecordKey,
}

fn refused(name: &str) -> Refusal {
    refused_with(name, |_, _| {})
}

fn refused_with(name: &str, more: impl FnOnce(&mut Party, FieldId)) -> Refusal {
    let mut party = Party::new();
    let (device, role) = (party.bob.core.device(), Role::Designer);
    party.ada.does(Command::Members(MemberChange::SetRole { device, role }));
    let term = party.ada.core.store().fold().present_terms().next().unwrap().binding;
    party.ada.does(Command::Servers(ServerChange::Unbind(term)));
    party.bob.hears(&party.ada);
    party.bind();
    let fields = vec![(name.to_owned(), FieldType::one(BaseType::Text))];
    let added = party.bob.does(Command::AddFields { list: party.list, fields });
    let (step, field, record) = (added.events[0], added.elements[0].as_field(), party.record(1));
    party.bob.create(record, &[(party.name, text("Grace")), (field, text("wrote COBOL"))]);
    party.bob.set(record, field, text("wrote the compiler"));
    more(&mut party, field);
    party.meet();
    let codes: Vec<&str> = party.ada.codes().values().map(|(code, _)| *code).collect();
    assert!(codes.contains(&"DESIGN_OWNED") && codes.contains(&"DEPENDS_ON_REFUSED"), "{codes:?}");
    assert_eq!(party.ada.shows(record, party.name), None);
    Refusal { party, field, step, record }
}

fn shows(node: &Node, refusal: &Refusal) -> Option<Value> {
    node.shows(refusal.record, refusal.field)
}

#[test]
fn with_its_field_comes_what_was_written_under_it() {
    let mut refusal = refused("note");
    let proposal = refusal.party.server.does(Command::AdoptStep(refusal.step)).made.unwrap();
    refusal.party.meet();
    refusal.party.meet();
    let party = &refusal.party;
    assert!(party.ada.core.store().fold().design().proposals[&proposal].merged.is_some());
    for node in [&party.ada, &party.bob, &party.server] {
        assert_eq!(shows(node, &refusal), Some(text("wrote the compiler")));
        assert!(node.codes().is_empty(), "{:?}", node.codes());
    }
}

#[test]
fn what_was_refused_for_itself_does_not_come_with_it() {
    let mut refusal = refused_with("note", |party, note| {
        party.rule("no fours", "age != 4");
        let other = party.record(2);
        party.bob.create(other, &[(party.age, Value::Int(4)), (note, text("again"))]);
    });
    let party = &mut refusal.party;
    party.server.does(Command::AdoptStep(refusal.step));
    party.meet();
    party.meet();
    let codes: Vec<&str> = party.ada.codes().values().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["RULE"], "it was sent again once, and is refused for what it says");
    assert_eq!(party.bob.core.retried().unwrap(), [], "nobody asked for more");
    assert_eq!(shows(&refusal.party.ada, &refusal), Some(text("wrote the compiler")));
}

#[test]
fn only_by_the_server_and_only_what_was_refused() {
    let mut refusal = refused("note");
    let party = &mut refusal.party;
    let code = |answer: Result<_, Refused>| answer.map(drop).unwrap_err().code();
    let step = Command::AdoptStep(refusal.step);
    assert_eq!(code(party.ada.try_do(step.clone())), "design-owned");
    assert_eq!(code(party.server.try_do(Command::AdoptStep(EventId([7; 32])))), "unknown-event");
    let bind = party.ada.core.store().fold().present_terms().next().unwrap().binding;
    let events: Vec<EventId> = party.server.core.store().fold().control().map(|control| control.event.id()).collect();
    let no_step = events.iter().find(|event| event.tag() == bind.tag).unwrap();
    assert_eq!(code(party.server.try_do(Command::AdoptStep(*no_step))), "no-step");
    let made = party.server.core.store().fold().design().elements[&party.list.into()].by;
    let counts = events.iter().find(|event| event.tag() == made.tag).unwrap();
    assert_eq!(code(party.server.try_do(Command::AdoptStep(*counts))), "not-refused");
    // With no server there is nobody to do it.
    party.ada.does(Command::Servers(ServerChange::Unbind(bind)));
    assert_eq!(code(party.ada.try_do(step)), "not-the-server");
}

#[test]
fn not_into_a_design_that_could_not_be_meant() {
    let mut refusal = refused("nickname");
    let fields = vec![("nickname".to_owned(), FieldType::one(BaseType::Int))];
    let party = &mut refusal.party;
    party.server.does(Command::AddFields { list: party.list, fields });
    party.meet();
    let before = party.server.core.store().digest().unwrap();
    let refused = party.server.try_do(Command::AdoptStep(refusal.step)).unwrap_err();
    assert_eq!(refused.code(), "design");
    assert!(refused.to_string().contains("nickname"), "{refused}");
    assert_eq!(party.server.core.store().digest().unwrap(), before);
}

#[test]
fn once_also_when_more_of_it_is_taken_before_it_is_merged() {
    let mut refusal = refused_with("note", |party, note| {
        // Another event of his about the same field.
        let (element, property) = (note.into(), Property::Help);
        party.bob.does(Command::Put { element, property, value: text("what else there is") });
    });
    let party = &mut refusal.party;
    let first = party.server.does(Command::AdoptStep(refusal.step)).made.unwrap();
    let events: Vec<EventId> = party.server.core.store().fold().control().map(|it| it.event.id()).collect();
    for event in events {
        match party.server.try_do(Command::AdoptStep(event)) {
            Ok(done) => assert_eq!(done.made, None, "the first took all of it"),
            Err(refused) => assert!(["no-step", "not-refused"].contains(&refused.code()), "{refused}"),
        }
    }
    party.meet();
    party.meet();
    let design = party.ada.core.store().fold().design().clone();
    assert!(design.proposals[&first].merged.is_some());
    let help = design.elements[&refusal.field.into()].property(Property::Help);
    assert_eq!(help, Some(text("what else there is")));
}

#[test]
fn a_second_part_is_proposed_with_the_first() {
    let mut refusal = refused_with("note", |party, _| {
        let put = |element, value: &str| Command::Put { element, property: Property::Help, value: text(value) };
        party.bob.does(put(party.name.into(), "how she is called"));
    });
    let party = &mut refusal.party;
    party.server.does(Command::AdoptStep(refusal.step));
    let help = party.server.core.store().fold().control().map(|control| control.event.clone()).find(|event| {
        event.header().ops.iter().any(|op| {
            matches!(&op.act, Act::Put(put) if put.element == party.name.into()
            && put.property == Property::Help.number())
        })
    });
    let both = party.server.does(Command::AdoptStep(help.unwrap().id())).made.unwrap();
    party.meet();
    party.meet();
    let design = party.ada.core.store().fold().design().clone();
    assert!(design.proposals[&both].merged.is_some());
    assert_eq!(design.elements[&party.name.into()].property(Property::Help), Some(text("how she is called")));
    assert!(design.elements.contains_key(&refusal.field.into()));
}
