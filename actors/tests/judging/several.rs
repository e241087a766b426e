//! More than one server: a mirror beside, and lists of two.

use crate::party::{Node, Party, text};
use std::collections::BTreeMap;
use tandem_actors::{
    Change, Command, Transaction,
    authority::{Policy, RuleText},
    command::ServerChange,
    workspace::plain_cell,
};
use tandem_storage::take::Received;
use tandem_wire::{
    Act, BindingMode, Event, EventId, Header, Op, Outcome, Payload, RecordId, RecordKey, Run, SecretKey, Value,
    Verdict,
    design::{BaseType, FieldType},
};

#[test]
fn a_mirror_lists_and_masks_nothing_and_one_list_has_one_judge() {
    let mut party = Party::new();
    let workspace = party.server.core.workspace();
    let mut mirror = Node::new(4, workspace, party.ada.disk());
    let bind = |authority, mode| {
        Command::Servers(ServerChange::Bind { authority, lists: Some(vec![party.list]), mode, replaces: vec![] })
    };
    let chain = mirror.core.control_chain();
    let twice = party.ada.try_do(bind(chain, BindingMode::Binding));
    assert_eq!(twice.map_err(|refused| refused.code()), Err("bound-already"));
    party.ada.does(bind(chain, BindingMode::Mirror));
    mirror.hears(&party.ada);
    party.meet_with_mirror(&mut mirror);
    let names = BTreeMap::from([("name".to_owned(), party.name)]);
    let rule = RuleText {
        list: party.list,
        name: "never".into(),
        check: "name == null".into(),
        message: "no".into(),
        field: Some(party.name),
        names,
    };
    mirror.core.set_policy(Policy { rules: vec![rule], ..Policy::default() });
    let record = party.record(1);
    let made = party.bob.create(record, &[(party.name, text("x"))]);
    party.meet_with_mirror(&mut mirror);
    assert_eq!(party.bob.shows(record, party.name), Some(text("x")), "it takes part");
    let refused = party.bob.refusals();
    assert_eq!((refused.len(), refused[0].refused.event.id, refused[0].refused.verdicts[0].masks), (1, made, false));
    party.bob.does(Command::Discard(refused[0].refused.event));
    party.meet_with_mirror(&mut mirror);
    assert!(party.ada.refusals().is_empty());
}

#[test]
fn a_server_that_contradicts_itself_is_at_fault_everywhere_and_judges_nothing_until_it_is_bound_anew() {
    let mut party = Party::new();
    party.rule("short", "name == null || name.size() < 4");
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("ok"))]);
    let refused = party.bob.set(record, party.name, text("too long"));
    party.meet();
    assert!(party.ada.codes().contains_key(&refused));
    // Its next verdict accepts the same.
    let twice = |op: &Op| match &op.act {
        Act::Verdict(verdict) if verdict.last.id == refused => {
            let verdict = Verdict { outcome: Outcome::Accept, ..**verdict };
            Some(Op { act: Act::Verdict(Box::new(verdict)), ..op.clone() })
        }
        _other => None,
    };
    let own = party.server.core.control_chain();
    let events: Vec<_> = party.server.reader().log().map(|event| event.unwrap().0).collect();
    let last =
        events.iter().filter(|event| event.header().chain == own).max_by_key(|event| event.header().seq).unwrap();
    let again = last.header().ops.iter().find_map(twice).unwrap();
    let (seq, lamport) = (last.header().seq + 1, last.header().lamport + 1);
    let header = Header { seq, prev: Some(last.id()), lamport, ops: vec![again], ..last.header().clone() };
    let event = Event::new(header, Payload::of([Vec::new()])).unwrap();
    let run = Run::sign(vec![event], &SecretKey::from_bytes(&[3; 32])).unwrap();
    for node in [&mut party.ada, &mut party.bob, &mut party.server] {
        node.takes(&[Received::verify(run.encode()).unwrap()]);
        let fold = node.core.store().fold().clone();
        let term = fold.present_terms().next().unwrap().binding;
        assert!(fold.is_at_fault(&term));
    }
    // What it said first stands; what is written now waits.
    assert_eq!(party.ada.shows(record, party.name), Some(text("ok")));
    party.bob.set(record, party.age, Value::Int(1));
    party.server.hears(&party.bob);
    party.bob.hears(&party.server);
    assert!(!party.server.core.judges());
    assert_eq!(party.bob.outbox(), 1);
    let replaces = party.ada.core.store().fold().present_terms().map(|term| term.binding).collect();
    let bind = ServerChange::Bind { authority: own, lists: None, mode: BindingMode::Binding, replaces };
    party.ada.does(Command::Servers(bind));
    party.meet();
    assert!(party.server.core.judges());
    let fold = party.bob.core.store().fold().clone();
    assert!(fold.present_terms().all(|term| !fold.is_at_fault(&term.binding)));
    assert_eq!(party.ada.shows(record, party.age), Some(Value::Int(1)));
}

impl Party {
    fn meet_with_mirror(&mut self, mirror: &mut Node) {
        for _ in 0..2 {
            mirror.hears(&self.ada);
            mirror.hears(&self.bob);
            self.ada.hears(mirror);
            self.bob.hears(&self.ada);
            self.server.hears(&self.ada);
            self.server.hears(&self.bob);
            self.ada.hears(&self.server);
            self.ada.hears(&self.bob);
            self.bob.hears(&self.ada);
        }
        assert_eq!((self.ada.outbox(), self.bob.outbox()), (0, 0));
    }
}

#[test]
fn an_event_over_the_lists_of_two_servers_is_split_unless_it_is_to_stay_whole() {
    let mut party = Party::new();
    let term = party.ada.core.store().fold().present_terms().next().unwrap().binding;
    let fields = vec![("what".to_owned(), FieldType::one(BaseType::Text))];
    party.ada.does(Command::Servers(ServerChange::Unbind(term)));
    let made = party.ada.does(Command::CreateList { name: "Things".into(), fields }).elements;
    let (things, what) = (made[0].as_list(), made[1].as_field());
    let workspace = party.server.core.workspace();
    let mut second = Node::new(4, workspace, party.ada.disk());
    for (chain, list) in [(party.server.core.control_chain(), party.list), (second.core.control_chain(), things)] {
        let bind = ServerChange::Bind {
            authority: chain,
            lists: Some(vec![list]),
            mode: BindingMode::Binding,
            replaces: vec![],
        };
        party.ada.does(Command::Servers(bind));
    }
    party.bob.hears(&party.ada);
    second.hears(&party.ada);
    party.rule("never", "false");
    let thing = RecordKey { list: things, record: RecordId([1; 16]) };
    let person = party.record(1);
    let changes = |n: u8| {
        let (person, thing) =
            (RecordKey { record: RecordId([n; 16]), ..person }, RecordKey { record: RecordId([n; 16]), ..thing });
        vec![
            Change::Create(person),
            Change::Create(thing),
            Change::Set(plain_cell(thing, what), text("t")),
            Change::Set(plain_cell(person, party.name), text("p")),
        ]
    };
    let apart = party.bob.does(Command::Change(Transaction { changes: changes(1), ..Transaction::default() }));
    let whole = Transaction { changes: changes(2), is_whole: true, ..Transaction::default() };
    let whole = party.bob.does(Command::Change(whole));
    assert_eq!((apart.events.len(), whole.events.len()), (2, 1));
    for _ in 0..2 {
        party.server.hears(&party.bob);
        second.hears(&party.bob);
        party.bob.hears(&party.server);
        party.bob.hears(&second);
    }
    assert_eq!(party.bob.outbox(), 0);
    let shown = |n: u8| party.bob.shows(RecordKey { record: RecordId([n; 16]), ..thing }, what);
    assert_eq!((shown(1), shown(2)), (Some(text("t")), None), "one refuses: all of it is refused");
    let refused: Vec<EventId> = party.bob.refusals().iter().map(|refusal| refusal.refused.event.id).collect();
    assert!(refused.contains(&whole.events[0]) && refused.contains(&apart.events[0]) && refused.len() == 2);
}
