//! Designs that a server proposes: rehearsed on the members' own rows, merged or not, and what becomes of edits made
//! under other designs.

use crate::party::{Node, Party, codes, text};
use std::collections::BTreeMap;
use tandem_actors::{
    Change, Command, Refused,
    command::{MemberChange, ServerChange},
    workspace::{Ended, plain_cell},
};
use tandem_storage::{
    design_file::{DesignFile, FieldSpec, Indexed, RuleSpec, Scalar, export},
    engine::{Engine, Read, Table},
    inbox::{Entry, FailedDesign},
    query::flags,
    rehearsal::Reported,
};
use tandem_wire::{
    Act, FieldId, OpRef, Role, Value,
    design::{BaseType, FieldType, Property},
};

/// The server's design, made another.
fn altered(party: &Party, alter: impl FnOnce(&mut DesignFile)) -> Command {
    let mut file = export(party.server.core.store().fold().design());
    alter(&mut file);
    Command::ApplyDesign(Box::new(file))
}

fn email(required: bool) -> FieldSpec {
    FieldSpec { name: "email".into(), base: "text".into(), required, ..FieldSpec::default() }
}

fn field(node: &Node, party: &Party, name: &str) -> Option<FieldId> {
    let design = node.core.store().fold().design();
    design.fields(party.list).into_iter().find(|field| design.name(*field) == name)
}

/// How far a proposal has come: merged, and how many rehearsals failed.
fn state(node: &Node, proposal: OpRef) -> (bool, usize) {
    let state = &node.core.store().fold().design().proposals[&proposal];
    (state.merged.is_some(), state.failed.len())
}

fn reports(node: &Node) -> Vec<Reported> {
    let fold = node.core.store().fold();
    let all = fold.control().flat_map(|control| {
        let ops = control.event.header().ops.iter().enumerate();
        let failed = ops.filter(|(_, op)| matches!(op.act, Act::DesignFailed(_)));
        failed.map(|(at, _)| Reported::from_bytes(control.event.body(at).unwrap()).unwrap()).collect::<Vec<_>>()
    });
    all.collect()
}

/// Every row of the records and of their indexes.
fn rows(node: &Node) -> Vec<(Vec<u8>, Vec<u8>)> {
    let engine = node.core.store().engine();
    let all = |table| engine.range(table, &[], None).map(|pair| pair.unwrap()).collect::<Vec<_>>();
    let both = [Table::Records, Table::History, Table::Index].into_iter().flat_map(all);
    both.map(|(key, row)| (key.to_vec(), row.to_vec())).collect()
}

#[test]
fn a_design_is_proposed_rehearsed_merged_and_reaches_everybody() {
    let mut party = Party::new();
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("Ada"))]);
    party.meet();
    let propose = altered(&party, |file| file.lists[0].fields.push(email(false)));
    let proposal = party.server.does(propose).made.unwrap();
    assert_eq!(field(&party.server, &party, "email"), None, "proposed, not current");
    party.meet();
    for node in [&party.ada, &party.bob, &party.server] {
        assert_eq!(state(node, proposal), (true, 0));
        assert!(field(node, &party, "email").is_some());
    }
    let email = field(&party.bob, &party, "email").unwrap();
    party.bob.set(record, email, text("a@b"));
    party.meet();
    assert_eq!(party.ada.shows(record, email), Some(text("a@b")));
}

#[test]
fn a_failed_rehearsal_changes_no_byte_is_told_to_all_and_the_next_design_is_taken() {
    let mut party = Party::new();
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("Ada"))]);
    party.meet();
    let before = [&party.ada, &party.bob, &party.server].map(rows);
    let propose = altered(&party, |file| file.lists[0].fields.push(email(true)));
    let bad = party.server.does(propose).made.unwrap();
    party.meet();
    for (node, before) in [&party.ada, &party.bob, &party.server].into_iter().zip(&before) {
        let (merged, failed) = state(node, bad);
        assert!(!merged && failed >= 1);
        assert_eq!(rows(node), *before, "byte by byte");
        let reported = &reports(node)[0];
        assert_eq!((reported.records, reported.failed), (2, 2));
        assert_eq!(reported.broken[0].rule, "required email");
        assert_eq!(field(node, &party, "email"), None);
    }
    // Data goes on meanwhile; with a default the design fits.
    party.bob.set(record, party.age, Value::Int(36));
    let propose = altered(&party, |file| {
        file.lists[0].fields.push(FieldSpec { default: Some(Scalar::Text("?".into())), ..email(true) });
    });
    let good = party.server.does(propose).made.unwrap();
    party.meet();
    assert_eq!(state(&party.ada, good), (true, 0));
    let email = field(&party.ada, &party, "email").unwrap();
    assert_eq!(party.ada.shows(record, email), Some(text("?")));
    assert_eq!(party.ada.shows(record, party.age), Some(Value::Int(36)));
}

#[test]
fn who_is_far_behind_edits_on_and_the_edits_arrive() {
    let mut party = Party::new();
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("Ada")), (party.age, Value::Int(1))]);
    party.meet();
    // Bob is away; the server and Ada go on through ten designs.
    for round in 0..10 {
        let base = ["text", "int", "float", "decimal", "text"][round % 5];
        let propose = altered(&party, |file| {
            let age = file.lists[0].fields.iter_mut().find(|field| field.base != "reference" && field.name != "name");
            let age = age.unwrap();
            (age.was, age.name, age.base) = (Some(age.name.clone()), format!("age {round}"), base.into());
        });
        let proposal = party.server.does(propose).made.unwrap();
        party.ada.hears(&party.server);
        party.server.hears(&party.ada);
        assert_eq!(state(&party.ada, proposal), (true, 0), "round {round}: {:?}", reports(&party.ada));
    }
    let edited = party.bob.set(record, party.age, Value::Int(37));
    let other = party.record(2);
    party.bob.create(other, &[(party.age, Value::Int(5))]);
    party.meet();
    assert_eq!(party.ada.codes(), codes(&[]), "{edited:?} is accepted under the design that it does not know");
    assert_eq!(party.ada.shows(record, party.age), Some(text("37")));
    assert_eq!(party.bob.shows(other, party.age), Some(text("5")));
    assert_eq!(party.bob.core.store().fold().design().name(party.age), "age 9");
}

#[test]
fn a_value_that_the_new_type_cannot_hold_fails_unless_the_design_allows_some() {
    let mut party = Party::new();
    for (n, name) in ["12", "x", "30", "44"].into_iter().enumerate() {
        party.bob.create(party.record(n as u8 + 1), &[(party.name, text(name))]);
    }
    party.meet();
    let to_int = |file: &mut DesignFile, percent| {
        file.lists[0].fields[0].base = "int".into();
        file.lists[0].failing_percent = percent;
    };
    let propose = altered(&party, |file| to_int(file, 10));
    let bad = party.server.does(propose).made.unwrap();
    party.meet();
    assert!(!state(&party.ada, bad).0);
    let broken = &reports(&party.ada)[0].broken[0];
    assert_eq!((broken.rule.as_str(), broken.records), ("type of name", 2));
    assert!(broken.some.iter().any(|unfit| unfit.value == "x"));
    let propose = altered(&party, |file| to_int(file, 40));
    let good = party.server.does(propose).made.unwrap();
    party.meet();
    assert!(state(&party.ada, good).0);
    assert_eq!(party.ada.shows(party.record(1), party.name), Some(Value::Int(12)));
    let raw = party.ada.reader().record(party.record(2)).unwrap().unwrap();
    assert_eq!(flags(party.ada.core.store().fold().design(), party.list, &raw.state), ["raw"]);
}

#[test]
fn the_design_belongs_to_the_server_and_members_are_told_so() {
    let mut party = Party::new();
    let server = party.server.core.device();
    let commands = [
        Command::AddFields { list: party.list, fields: vec![("x".into(), FieldType::one(BaseType::Text))] },
        altered(&party, |file| file.lists.clear()),
    ];
    for command in commands {
        assert_eq!(party.ada.try_do(command), Err(Refused::DesignOwned(server)));
    }
}

#[test]
fn a_rule_of_the_design_speaks_at_the_member_and_at_the_server() {
    let mut party = Party::new();
    let rule = RuleSpec {
        name: "grown".into(),
        check: Some("age == null || age >= 18".into()),
        message: "too young".into(),
        field: Some("age".into()),
        ..RuleSpec::default()
    };
    let propose = altered(&party, |file| file.lists[0].rules.push(rule));
    party.server.does(propose);
    // Bob is away, and writes what the rule does not allow.
    let record = party.record(1);
    let made = party.bob.create(record, &[(party.age, Value::Int(5))]);
    party.ada.hears(&party.server);
    party.meet();
    assert_eq!(party.ada.codes(), BTreeMap::from([(made, ("RULE", "grown".to_owned()))]));
    let young = Change::Set(plain_cell(party.record(99), party.age), Value::Int(3));
    let refused =
        party.bob.try_do(Command::Change(tandem_actors::Transaction { changes: vec![young], ..Default::default() }));
    assert!(matches!(&refused, Err(Refused::Rule { message, .. }) if message == "too young"), "{refused:?}");
}

#[test]
fn a_rule_that_reads_a_field_that_is_gone_stops_nobody() {
    let mut party = Party::new();
    let term = party.ada.core.store().fold().present_terms().next().unwrap().binding;
    party.ada.does(Command::Servers(ServerChange::Unbind(term)));
    let (check, message) = (Some("age >= 18".into()), "too young".into());
    let rule = RuleSpec { name: "grown".into(), check, message, ..RuleSpec::default() };
    let mut file = export(party.ada.core.store().fold().design());
    file.lists[0].rules.push(rule);
    party.ada.does(Command::ApplyDesign(Box::new(file)));
    // As when another designer drops it while the rule is being made.
    let (property, value) = (Property::Dropped, Value::Bool(true));
    party.ada.does(Command::Put { element: party.age.into(), property, value });
    party.ada.create(party.record(1), &[(party.name, text("Eve"))]);
    party.bind();
    party.bob.hears(&party.ada);
    party.bob.create(party.record(2), &[(party.name, text("Fay"))]);
    party.meet();
    assert_eq!(party.ada.codes(), BTreeMap::new());
}

#[test]
fn an_empty_joiner_and_a_reader_never_merge() {
    let mut party = Party::new();
    party.bob.create(party.record(1), &[(party.name, text("Ada"))]);
    party.meet();
    let propose = altered(&party, |file| file.lists[0].fields.push(email(false)));
    let proposal = party.server.does(propose).made.unwrap();
    // A node with the control plane only, and one that may only read.
    let workspace = party.ada.core.workspace();
    let runs: Vec<_> = tandem_storage::log::runs_from(&**party.server.core.store().engine(), 1, 0)
        .map(|run| tandem_storage::take::Received::verify(run.unwrap().1.to_vec()).unwrap())
        .collect();
    let control: Vec<_> = runs.iter().filter(|run| run.last().chain.is_control()).cloned().collect();
    let mut carol = Node::new(2, workspace, party.bob.disk());
    carol.takes(&control);
    assert!(carol.core.due_rehearsal().unwrap().is_some(), "Bob's disk has all rows");
    let engine = std::sync::Arc::new(tandem_storage::engine::MemoryEngine::default());
    let mut batch = tandem_storage::engine::Batch::default();
    let first = tandem_storage::log::runs_from(&**party.server.core.store().engine(), 1, 0).next().unwrap().unwrap();
    batch.put(Table::Log, tandem_storage::log::key(1, 0), first.1.to_vec());
    engine.commit(batch, tandem_storage::engine::Durability::Synced).unwrap();
    let mut empty = Node::new(2, workspace, engine);
    empty.takes(&control[1..]);
    assert!(empty.core.store().fold().design().proposals.contains_key(&proposal));
    assert_eq!(empty.core.due_rehearsal().unwrap(), None, "an empty newcomer proves nothing");
    party.ada.does(Command::Members(MemberChange::SetRole { device: party.bob.core.device(), role: Role::Reader }));
    party.bob.takes(&runs);
    let ada: Vec<_> = tandem_storage::log::runs_from(&**party.ada.core.store().engine(), 1, 0)
        .map(|run| tandem_storage::take::Received::verify(run.unwrap().1.to_vec()).unwrap())
        .collect();
    party.bob.takes(&ada);
    assert_eq!(party.bob.core.due_rehearsal().unwrap(), None, "a reader never merges");
}

#[test]
fn a_revert_knows_what_came_before_and_after_a_verdict() {
    let mut party = Party::new();
    let note = |name: &str| FieldSpec { name: name.into(), base: "text".into(), ..FieldSpec::default() };
    let propose = altered(&party, |file| file.lists[0].fields.push(note("first")));
    party.server.does(propose);
    party.meet();
    party.bob.create(party.record(1), &[(party.name, text("Ada"))]);
    party.meet();
    let propose = altered(&party, |file| file.lists[0].fields.push(note("second")));
    let second = party.server.does(propose).events;
    party.meet();
    assert!(field(&party.ada, &party, "second").is_some());
    let reverted = party.server.does(Command::RevertDesign(second[0])).made.unwrap();
    party.meet();
    assert_eq!(state(&party.ada, reverted), (true, 0));
    assert!(field(&party.ada, &party, "first").is_some() && field(&party.ada, &party, "second").is_none());
    assert!(field(&party.ada, &party, "name").is_some());
}

#[test]
fn a_second_design_goes_on_from_the_one_that_is_still_proposed() {
    let mut party = Party::new();
    let list = |file: &mut DesignFile, name: &str| {
        file.lists.push(tandem_storage::design_file::ListSpec { name: name.into(), ..Default::default() });
    };
    let first = altered(&party, |file| list(file, "Things"));
    party.server.does(first);
    let both = altered(&party, |file| {
        list(file, "Things");
        list(file, "Places");
    });
    let second = party.server.does(both).made.unwrap();
    party.meet();
    assert!(state(&party.ada, second).0);
    let design = party.ada.core.store().fold().design().clone();
    let mut names: Vec<String> = design.lists().map(|list| design.name(list)).collect();
    names.sort();
    assert_eq!(names, ["People", "Places", "Things"]);
}

#[test]
fn a_field_with_an_index_that_becomes_unique_fails_where_two_records_share_a_value() {
    let mut party = Party::new();
    let propose = altered(&party, |file| file.lists[0].fields[0].indexed = Indexed::Whole(true));
    party.server.does(propose);
    party.meet();
    for n in 1..=2 {
        party.bob.create(party.record(n), &[(party.name, text("twin"))]);
    }
    party.meet();
    let propose = altered(&party, |file| file.lists[0].fields[0].unique = true);
    let proposal = party.server.does(propose).made.unwrap();
    party.meet();
    assert!(!state(&party.ada, proposal).0);
    assert_eq!(reports(&party.ada)[0].broken[0].rule, "unique name");
}

#[test]
fn what_one_list_shows_by_default_is_not_in_the_records_of_another() {
    let mut party = Party::new();
    let propose = altered(&party, |file| {
        let state = FieldSpec { default: Some(Scalar::Text("open".into())), ..email(false) };
        let rule = RuleSpec {
            name: "never".into(),
            check: Some("email == null".into()),
            message: "no".into(),
            severity: tandem_storage::design_rule::Severity::Warning,
            ..RuleSpec::default()
        };
        let (fields, rules) = (vec![state], vec![rule]);
        file.lists.push(tandem_storage::design_file::ListSpec {
            name: "Other".into(),
            fields,
            rules,
            ..Default::default()
        });
    });
    party.server.does(propose);
    party.meet();
    let record = party.ada.reader().record(party.record(99)).unwrap().unwrap();
    assert_eq!(record.state.cells.len(), 1);
    assert!(flags(party.ada.core.store().fold().design(), party.list, &record.state).is_empty());
}

#[test]
fn a_design_that_changes_while_another_is_tried_does_not_touch_the_live_indexes() {
    let mut party = Party::new();
    for n in 1..=5 {
        party.bob.create(party.record(n), &[(party.name, text("x")), (party.age, Value::Int(n.into()))]);
    }
    party.meet();
    let propose = altered(&party, |file| file.lists[0].fields[0].indexed = Indexed::Whole(true));
    party.server.does(propose);
    // Both hear of it, and begin; Ada is done first.
    let runs: Vec<_> = tandem_storage::log::runs_from(&**party.server.core.store().engine(), 1, 0)
        .map(|run| tandem_storage::take::Received::verify(run.unwrap().1.to_vec()).unwrap())
        .collect();
    party.bob.takes(&runs);
    let mut rehearsing = party.bob.core.begin_due_rehearsal().unwrap().unwrap();
    rehearsing.step(&**party.bob.core.store().engine(), 3).unwrap();
    party.ada.hears(&party.server);
    let runs: Vec<_> = tandem_storage::log::runs_from(&**party.ada.core.store().engine(), 1, 0)
        .map(|run| tandem_storage::take::Received::verify(run.unwrap().1.to_vec()).unwrap())
        .collect();
    party.bob.takes(&runs);
    while rehearsing.step(&**party.bob.core.store().engine(), 3).unwrap() {}
    assert!(party.bob.core.end_of_rehearsal(rehearsing, 1).unwrap().is_none(), "it is merged already");
    assert_eq!(party.bob.core.store().bad_index_entries().unwrap(), 0);
    assert_eq!(party.bob.core.store().views().indexes.len(), 1);
}

#[test]
fn what_changes_during_a_rehearsal_is_in_its_indexes_and_counts() {
    let mut party = Party::new();
    for n in 1..=6 {
        party.bob.create(party.record(n), &[(party.name, text(&format!("{n}")))]);
    }
    party.meet();
    let propose = altered(&party, |file| {
        (file.lists[0].fields[0].base, file.lists[0].fields[0].indexed) = ("int".into(), Indexed::Whole(true));
        // Of the record from before, and of no more.
        file.lists[0].failing_percent = 15;
    });
    let proposal = party.server.does(propose).made.unwrap();
    let runs: Vec<_> = tandem_storage::log::runs_from(&**party.server.core.store().engine(), 1, 0)
        .map(|run| tandem_storage::take::Received::verify(run.unwrap().1.to_vec()).unwrap())
        .collect();
    party.bob.takes(&runs);
    let mut rehearsing = party.bob.core.begin_due_rehearsal().unwrap().unwrap();
    for _ in 0..2 {
        rehearsing.step(&**party.bob.core.store().engine(), 2).unwrap();
    }
    // Behind and before where it is: changed, made, removed.
    for n in 1..=6 {
        party.bob.set(party.record(n), party.name, text(&format!("{}", 10 * n)));
    }
    party.bob.create(party.record(7), &[(party.name, text("70"))]);
    party.bob.changes(vec![Change::Delete(party.record(1)), Change::Delete(party.record(6))]);
    while rehearsing.step(&**party.bob.core.store().engine(), 2).unwrap() {}
    party.bob.create(party.record(8), &[(party.name, text("80"))]);
    let Ended { group, fits, .. } = party.bob.core.end_of_rehearsal(rehearsing, 99).unwrap().unwrap();
    assert!(fits, "one of seven is 15 %");
    party.bob.settle(group);
    party.bob.create(party.record(9), &[(party.name, Value::Int(90))]);
    assert!(state(&party.bob, proposal).0);
    assert_eq!(party.bob.core.store().bad_index_entries().unwrap(), 0);
    let index =
        party.bob.core.store().views().indexes.iter().filter(|index| index.definition.by.0 == party.name).count();
    assert_eq!(index, 1);
}

/// A design that makes a field unique, and indexed or not, is rehearsed while the records of it change.
fn unique_while(indexed: bool, change: impl FnOnce(&mut Party)) -> (Party, Ended) {
    let mut party = Party::new();
    party.server.does(altered(&party, |file| file.lists[0].fields[0].indexed = Indexed::Whole(indexed)));
    for n in 1..=4 {
        party.bob.create(party.record(n), &[(party.name, text(&format!("{n}")))]);
    }
    party.meet();
    party.server.does(altered(&party, |file| file.lists[0].fields[0].unique = true));
    let runs: Vec<_> = tandem_storage::log::runs_from(&**party.server.core.store().engine(), 1, 0)
        .map(|run| tandem_storage::take::Received::verify(run.unwrap().1.to_vec()).unwrap())
        .collect();
    party.bob.takes(&runs);
    let mut rehearsing = party.bob.core.begin_due_rehearsal().unwrap().unwrap();
    while rehearsing.step(&**party.bob.core.store().engine(), 2).unwrap() {}
    change(&mut party);
    let afresh = party.bob.core.store().rehearsed(rehearsing.design().clone()).unwrap();
    let expect = afresh.reported(rehearsing.design(), 0);
    let ended = party.bob.core.end_of_rehearsal(rehearsing, 99).unwrap().unwrap();
    let reported = &ended.reported;
    assert_eq!(*reported, Reported { pending: reported.pending, held: reported.held, ..expect });
    (party, ended)
}

#[test]
fn who_gets_a_value_during_a_rehearsal_that_another_has_is_found() {
    for indexed in [false, true] {
        let (_, ended) = unique_while(indexed, |party| {
            let record = party.record(1);
            party.bob.set(record, party.name, text("3"));
        });
        assert!(!ended.fits);
        let broken = &ended.reported.broken[0];
        assert_eq!((&*broken.rule, broken.records), ("unique name", 1));
    }
}

#[test]
fn who_has_a_value_of_his_own_again_before_a_rehearsal_ends_is_no_twin() {
    for indexed in [false, true] {
        let (party, ended) = unique_while(indexed, |party| {
            let (one, other) = (party.record(1), party.record(2));
            party.bob.set(one, party.name, text("3"));
            party.bob.set(one, party.name, text("5"));
            party.bob.set(other, party.name, text("1"));
        });
        assert!(ended.fits);
        assert_eq!(party.bob.core.store().bad_index_entries().unwrap(), 0);
    }
}

#[test]
fn a_design_that_fails_is_in_every_inbox_until_the_next_is_proposed() {
    let mut party = Party::new();
    party.bob.create(party.record(1), &[(party.name, text("Grace"))]);
    party.meet();
    let unfit = altered(&party, |file| file.lists[0].fields[0].base = "int".into());
    let proposal = party.server.does(unfit).made.unwrap();
    party.meet();
    let failed = |node: &Node| -> Vec<(OpRef, Vec<u64>)> {
        let inbox = node.reader().inbox().unwrap().into_iter();
        let failed = inbox.filter_map(|entry| match entry {
            Entry::DesignFailed(failed) => Some(failed),
            _other => None,
        });
        let records = |failed: &FailedDesign| {
            failed.failures.iter().map(|failure| failure.report.as_ref().unwrap().failed).collect()
        };
        failed.map(|failed| (failed.proposal, records(&failed))).collect()
    };
    for node in [&party.ada, &party.bob, &party.server] {
        let failed = failed(node);
        assert_eq!(failed[0].0, proposal);
        // Of the two records, this one and the one from before.
        assert!(failed.len() == 1 && failed[0].1.iter().all(|records| *records == 2), "{failed:?}");
    }
    let ids = [&party.ada, &party.bob].map(|node| node.reader().inbox().unwrap()[0].id());
    assert_eq!(ids[0], ids[1]);
    let fit = altered(&party, |file| file.lists[0].fields[0].help = "her name".into());
    party.server.does(fit);
    party.meet();
    assert!([&party.ada, &party.bob, &party.server].into_iter().all(|node| failed(node).is_empty()));
}
