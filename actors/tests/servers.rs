//! Servers: a node that judges, and members whose changes it accepts or refuses.

mod linked;
mod notes;

use linked::{Party, bind, join, settle, wait_until};
use notes::Notes;
use std::collections::BTreeMap;
use tandem_actors::{
    Change, NodeError, Transaction,
    authority::{Policy, RuleText},
    command::{Command, Resend, ServerChange},
    server_link::Report,
};
use tandem_storage::inbox::{Entry, Refusal};
use tandem_wire::{
    BindingMode, CellKey, ChainId, DeviceKey, EventRef, PartPath, RecordKey, RefusalCode, Role, Value,
    design::{BaseType, FieldType},
    limits::EVENT_BYTES_MAX,
};

fn no_rude_words(notes: &Notes) -> Policy {
    let names = BTreeMap::from([("what".to_owned(), notes.field())]);
    let rule = RuleText {
        list: notes.list(),
        name: "polite".into(),
        check: r#"!what.contains("damn")"#.into(),
        message: "mind your language".into(),
        field: Some(notes.field()),
        names,
    };
    Policy { rules: vec![rule], ..Policy::default() }
}

fn refusals(notes: &Notes) -> Vec<Refusal> {
    notes.workspace.read().refusals(None, 100).unwrap()
}

#[test]
fn a_refusal_is_masked_everywhere_listed_with_its_reason_and_put_right() {
    let mut party = Party::new();
    let (ada, bob, server) = (party.node(), party.node(), party.node());
    let here = Notes::of(&ada);
    here.add("from before");
    let there = join(&ada, &here, &bob, "Bob", Role::Writer);
    let judge = join(&ada, &here, &server, "The server", Role::Reader);
    server.set_policy(&judge.workspace, no_rude_words(&judge)).unwrap();
    bind(&here, &judge);
    wait_until("the binding at Bob's", || there.workspace.fold().present_terms().count() == 1);
    wait_until("the server at Bob's", || bob.servers(there.workspace.id()).len() == 1);
    there.add("a heron");
    there.add("damn rain");
    settle(&[&here, &there, &judge]);
    for notes in [&here, &there, &judge] {
        assert_eq!(notes.texts(), ["a heron", "from before"]);
        let refused = refusals(notes);
        let [refusal] = &refused[..] else { panic!("{refused:?}") };
        let [by] = &refusal.refused.verdicts[..] else { panic!("{refusal:?}") };
        let text = by.text.clone().unwrap();
        assert_eq!((by.code, by.server(), by.masks), (RefusalCode::RULE, server.device(), true));
        assert_eq!((text.message.as_str(), text.blame[0].rule.as_str()), ("mind your language", "polite"));
        assert_eq!(refusal.refused.event.chain.device, bob.device());
        assert!(matches!(&notes.workspace.read().inbox().unwrap()[..], [Entry::Refused(other)] if **other == *refusal));
    }
    // Bob's node reports what became of what it pushed.
    let counts = || {
        let servers = bob.servers(there.workspace.id());
        let [server] = &servers[..] else { panic!("{servers:?}") };
        let of = |count: fn(&Report) -> u64| server.reports.iter().map(count).sum::<u64>();
        (of(|report| report.accepted), of(|report| report.refused), of(|report| report.waiting))
    };
    wait_until("a report", || counts() == (1, 1, 0));
    assert!(server.servers(judge.workspace.id()).is_empty(), "a server pushes nothing to itself");
    // It survives a rebuild.
    here.workspace.rebuild().unwrap();
    assert_eq!((refusals(&here).len(), here.verify()), (1, true));
    // Ada puts it right, with another word.
    let refusal = refusals(&here).remove(0);
    let record = refusal.refused.record.unwrap();
    let cell = CellKey { record, field: here.field(), part: PartPath::default() };
    let resend = |value: &str| {
        Command::Resend(Resend {
            event: refusal.refused.event,
            values: vec![(cell.clone(), Value::Text(value.into()))],
            with_dependants: true,
            actor: None,
        })
    };
    here.workspace.commit(resend("damned rain")).unwrap();
    settle(&[&here, &there, &judge]);
    assert_eq!(refusals(&there).len(), 1, "the first is answered, the second is listed instead");
    assert_ne!(refusals(&there)[0].refused.event.id, refusal.refused.event.id);
    here.workspace.commit(resend("dear rain")).unwrap();
    let second = refusals(&there)[0].refused.event;
    there.workspace.commit(Command::Discard(second)).unwrap();
    settle(&[&here, &there, &judge]);
    for notes in [&here, &there, &judge] {
        assert_eq!(
            (notes.texts(), refusals(notes)),
            (vec!["a heron".into(), "dear rain".into(), "from before".into()], vec![])
        );
        assert!(notes.verify());
    }
    assert_eq!(here.workspace.commit(Command::Discard(second_of(&here))).unwrap_err().code(), "not-refused");
}

/// Any event that takes part.
fn second_of(notes: &Notes) -> EventRef {
    let state = notes.workspace.read();
    let mut all = state.log().map(|event| event.unwrap().0.reference());
    all.next().expect("it was founded")
}

#[test]
fn only_what_needs_a_refused_record_is_refused_with_it_and_comes_along_when_it_is_put_right() {
    let mut party = Party::new();
    let (ada, server) = (party.node(), party.node());
    let here = Notes::of(&ada);
    let judge = join(&ada, &here, &server, "The server", Role::Reader);
    server.set_policy(&judge.workspace, no_rude_words(&judge)).unwrap();
    bind(&here, &judge);
    // While the server is away, Ada writes on top of what it will refuse.
    server.go_offline();
    let (bad, record) = here.note_with_record("damn fog");
    let event = here.workspace.commit(bad).unwrap().events[0];
    let cell = CellKey { record, field: here.field(), part: PartPath::default() };
    let edit = |value: &str| {
        let changes = vec![Change::Set(cell.clone(), Value::Text(value.into()))];
        here.workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() })).unwrap()
    };
    edit("fog");
    here.add("sun");
    assert_eq!(here.texts(), ["fog", "sun"]);
    party.go_online(&server);
    settle(&[&here, &judge]);
    assert_eq!(here.texts(), ["sun"]);
    let codes: BTreeMap<_, _> = refusals(&here)
        .into_iter()
        .map(|refusal| (refusal.refused.event.id, refusal.refused.verdicts[0].code))
        .collect();
    assert_eq!(codes.len(), 2);
    assert_eq!(codes[&event], RefusalCode::RULE);
    assert!(codes.values().any(|code| *code == RefusalCode::DEPENDS_ON_REFUSED));
    let first = refusals(&here).into_iter().find(|refusal| refusal.refused.event.id == event).unwrap();
    let resend = Resend {
        event: first.refused.event,
        values: vec![(cell.clone(), Value::Text("mist".into()))],
        with_dependants: true,
        actor: None,
    };
    here.workspace.commit(Command::Resend(resend)).unwrap();
    settle(&[&here, &judge]);
    assert_eq!((here.texts(), refusals(&here)), (vec!["fog".into(), "sun".into()], vec![]));
}

#[test]
fn a_server_writes_what_wins_and_only_the_owner_binds_it() {
    let mut party = Party::new();
    let (ada, bob, server) = (party.node(), party.node(), party.node());
    let here = Notes::of(&ada);
    let there = join(&ada, &here, &bob, "Bob", Role::Manager.min(Role::Designer));
    let judge = join(&ada, &here, &server, "The server", Role::Reader);
    let authority = judge.workspace.office().unwrap().chain;
    let by_bob = ServerChange::Bind { authority, lists: None, mode: BindingMode::Binding, replaces: vec![] };
    assert_eq!(there.workspace.commit(Command::Servers(by_bob)).unwrap_err().code(), "role");
    assert_eq!(judge.try_add("as a reader").map_err(|error| error.code()), Err("role"));
    bind(&here, &judge);
    let (note, record) = here.note_with_record("a heron");
    here.workspace.commit(note).unwrap();
    settle(&[&here, &there, &judge]);
    // Both edit at once; Bob's clock is not behind.
    server.go_offline();
    let cell = CellKey { record, field: here.field(), part: PartPath::default() };
    let edit = |notes: &Notes, value: &str| {
        let changes = vec![Change::Set(cell.clone(), Value::Text(value.into()))];
        notes.workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() })).unwrap();
    };
    edit(&judge, "a grey heron");
    edit(&there, "an egret");
    party.go_online(&server);
    settle(&[&here, &there, &judge]);
    assert_eq!(here.texts(), ["a grey heron"]);
    assert!(
        matches!(&here.workspace.read().inbox().unwrap()[..], [Entry::Conflict { siblings, .. }] if siblings.len() == 2)
    );
    let term = here.workspace.fold().present_terms().next().unwrap().binding;
    let again = ServerChange::Bind { authority, lists: None, mode: BindingMode::Binding, replaces: vec![] };
    assert_eq!(here.workspace.commit(Command::Servers(again)).unwrap_err().code(), "bound-already");
    here.workspace.commit(Command::Servers(ServerChange::Unbind(term))).unwrap();
    settle(&[&here, &there, &judge]);
    let unknown = here.workspace.commit(Command::Servers(ServerChange::Unbind(term))).unwrap_err();
    assert!(matches!(&unknown, NodeError::Refused(refused) if refused.code() == "unknown-binding"), "{unknown}");
    there.add("damn, nobody judges");
    settle(&[&here, &there, &judge]);
    assert_eq!(here.texts().len(), 2);
}

#[test]
fn a_transaction_that_two_servers_judge_is_refused_whole() {
    let mut party = Party::new();
    let ada = party.node();
    let here = Notes::of(&ada);
    let fields = vec![("what".to_string(), FieldType::one(BaseType::Text))];
    let other = Command::CreateList { name: "Others".into(), fields };
    let made = here.workspace.commit(other).unwrap().elements;
    let lists = [here.list(), made[0].as_list()];
    for (index, list) in lists.into_iter().enumerate() {
        let authority = ChainId { device: DeviceKey([index as u8 + 1; 32]), number: 0 };
        let (lists, mode) = (Some(vec![list]), BindingMode::Binding);
        let bind = ServerChange::Bind { authority, lists, mode, replaces: vec![] };
        here.workspace.commit(Command::Servers(bind)).unwrap();
    }
    let before = here.digest();
    let keys = lists.map(|list| RecordKey { list, record: tandem_actors::fresh_record() });
    let (field, part) = (made[1].as_field(), PartPath::default());
    let too_large = Value::Text("x".repeat(EVENT_BYTES_MAX));
    let set = Change::Set(CellKey { record: keys[1], field, part }, too_large);
    let changes = vec![Change::Create(keys[0]), Change::Create(keys[1]), set];
    let refused = here.workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() }));
    assert_eq!(refused.unwrap_err().code(), "too-large");
    assert_eq!(here.digest(), before, "nothing of it was done");
}
