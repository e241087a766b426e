//! Whose events count: roles, removals, forks, and what came before a crash.

use crate::party::{Node, Party, codes, text};
use tandem_actors::{
    Command,
    command::{Admission, MemberChange, ServerChange},
    workspace::plain_cell,
};
use tandem_storage::{
    engine::{Durability, Engine},
    log,
    take::Received,
};
use tandem_wire::{
    BindingMode, CellKey, MemberId, RecordId, RecordKey, Role, SecretKey, Value,
    design::{BaseType, FieldType},
};

#[test]
fn roles_and_removals_are_judged_and_what_was_accepted_before_stands() {
    let mut party = Party::new();
    let device = party.bob.core.device();
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("seen"))]);
    // Ada removes Bob without having seen that; the server accepts it before it hears of the removal.
    party.server.hears(&party.bob);
    party.ada.does(Command::Members(MemberChange::Remove(device)));
    party.server.hears(&party.ada);
    let late = party.bob.set(record, party.name, text("late"));
    party.server.hears(&party.bob);
    party.ada.hears(&party.server);
    assert_eq!(party.ada.codes(), codes(&[(late, "CUT")]));
    assert_eq!(party.ada.shows(record, party.name), Some(text("seen")), "accepted before the removal was known");
}

#[test]
fn who_may_do_what_is_decided_before_what_they_did() {
    let mut party = Party::new();
    let workspace = party.ada.core.workspace();
    // One invitation, by which two admit somebody, apart; the one that is heard first stands, and so does what was written.
    let key = SecretKey::from_bytes(&[50; 32]);
    let invite =
        tandem_wire::Invite { key: key.device(), role: Role::Writer, uses: 1, expires_ms: u64::MAX, approve: false };
    let device = party.bob.core.device();
    party.ada.does(Command::Members(MemberChange::SetRole { device, role: Role::Manager }));
    let made = party.ada.does(Command::Members(MemberChange::Invite(invite))).made.unwrap();
    party.meet();
    let mut newcomers: Vec<Node> =
        [5, 6].map(|letter| Node::new(letter, workspace, party.ada.disk())).into_iter().collect();
    let admission = |node: &Node, name: &str| {
        let device = node.core.device();
        let proof = key.sign_join(workspace, &made, device);
        let invited = Some(tandem_wire::Invited { invite: made, proof });
        let member = MemberId([device.0[0]; 16]);
        let admission = Admission { member, name: name.into(), device, role: Role::Writer, invited, approved: true };
        Command::Members(MemberChange::Admit(admission))
    };
    let (by_ada, by_bob) = (admission(&newcomers[0], "Eve"), admission(&newcomers[1], "Fay"));
    party.bob.does(by_bob);
    // Ada's comes later in the order of hearing, though she is senior.
    let other = tandem_wire::Invite { key: SecretKey::from_bytes(&[51; 32]).device(), ..invite };
    party.ada.does(Command::Members(MemberChange::Invite(other)));
    party.ada.does(by_ada);
    for (newcomer, by) in newcomers.iter_mut().zip([&party.ada, &party.bob]) {
        newcomer.hears(by);
    }
    let records = [party.record(11), party.record(12)];
    for (newcomer, record) in newcomers.iter_mut().zip(records) {
        newcomer.create(record, &[(party.name, text("by a newcomer"))]);
    }
    // All of it comes in one sitting.
    party.ada.hears(&party.bob);
    newcomers.iter().for_each(|newcomer| party.ada.hears(newcomer));
    party.server.hears(&party.ada);
    party.ada.hears(&party.server);
    let roles = [0, 1].map(|at| party.ada.core.store().fold().role_of(newcomers[at].core.device()));
    let shown = records.map(|record| party.ada.shows(record, party.name));
    for (role, shown) in roles.iter().zip(&shown) {
        assert_eq!(role.is_some(), shown.is_some(), "who is a member wrote, who is none did not: {roles:?} {shown:?}");
    }
    assert_eq!(roles.iter().flatten().count(), 1);
}

#[test]
fn of_a_fork_one_branch_is_taken() {
    let mut party = Party::new();
    let (a, b) = (party.record(1), party.record(2));
    let mut twin = Node::new(2, party.bob.core.workspace(), party.bob.disk());
    let first = party.bob.create(a, &[(party.name, text("first"))]);
    party.meet();
    twin.now_ms += 50;
    let second = twin.create(b, &[(party.name, text("second"))]);
    let third = twin.set(b, party.name, text("third"));
    party.server.hears(&twin);
    party.ada.hears(&party.server);
    assert_eq!(party.ada.codes(), codes(&[(second, "EQUIVOCATION"), (third, "EQUIVOCATION")]));
    assert_eq!(party.ada.shows(a, party.name), Some(text("first")), "{first:?}");
}

#[test]
fn of_a_fork_one_branch_is_taken_also_by_a_server_of_some_lists() {
    let mut party = Party::new();
    let term = party.ada.core.store().fold().present_terms().next().unwrap().binding;
    let fields = vec![("what".to_owned(), FieldType::one(BaseType::Text))];
    party.ada.does(Command::Servers(ServerChange::Unbind(term)));
    let things = party.ada.does(Command::CreateList { name: "Things".into(), fields }).elements[0].as_list();
    party.ada.does(Command::Servers(ServerChange::Bind {
        authority: party.server.core.control_chain(),
        lists: Some(vec![party.list]),
        mode: BindingMode::Binding,
        replaces: vec![],
    }));
    party.bob.hears(&party.ada);
    let mut twin = Node::new(2, party.bob.core.workspace(), party.bob.disk());
    // On one branch the first event is about another list.
    party.bob.create(RecordKey { list: things, record: RecordId([9; 16]) }, &[]);
    let one = party.bob.create(party.record(1), &[(party.name, text("one"))]);
    twin.now_ms += 50;
    let other = twin.create(party.record(2), &[(party.name, text("other"))]);
    party.server.hears(&party.ada);
    party.server.hears(&twin);
    party.server.hears(&party.bob);
    party.ada.hears(&party.server);
    assert_eq!(party.ada.codes(), codes(&[(one, "EQUIVOCATION")]), "{other:?} was heard first");
}

#[test]
fn what_was_there_before_a_crash_between_taking_and_judging_is_judged_after_it() {
    let mut party = Party::new();
    party.rule("never", "false");
    let made = party.bob.create(party.record(1), &[(party.name, text("x"))]);
    // Taken in, and not judged.
    let engine = party.bob.core.store().engine();
    let runs: Vec<Received> =
        log::runs_from(&**engine, 1, 0).map(|run| Received::verify(run.unwrap().1.to_vec()).unwrap()).collect();
    let taking = party.server.core.look_at(&runs).unwrap();
    party.server.core.store().engine().commit(taking.log, Durability::Synced).unwrap();
    party.server.core.catch_up(taking.decoded, &mut |_, _| {}).unwrap();
    let policy = party.server.core.policy().clone();
    let disk = party.server.disk();
    party.server = Node::new(3, party.ada.core.workspace(), disk);
    party.server.core.set_policy(policy);
    party.server.sits();
    party.meet();
    assert_eq!(party.ada.codes().keys().collect::<Vec<_>>(), [&made]);
    let cell: CellKey = plain_cell(party.record(1), party.name);
    assert_eq!(party.ada.shows(cell.record, cell.field), None);
}

#[test]
fn an_edit_comes_after_what_it_builds_on_however_many_wrote_at_once() {
    let mut party = Party::new();
    let workspace = party.ada.core.workspace();
    let mut writers: Vec<Node> = (100..140).map(|letter| Node::new(letter, workspace, party.ada.disk())).collect();
    for writer in &writers {
        let (device, member) = (writer.core.device(), MemberId([writer.core.device().0[0]; 16]));
        let admission =
            Admission { member, name: "W".into(), device, role: Role::Writer, invited: None, approved: true };
        party.ada.does(Command::Members(MemberChange::Admit(admission)));
    }
    for (n, writer) in writers.iter_mut().enumerate() {
        writer.hears(&party.ada);
        let record = party.record(n as u8 + 100);
        writer.create(record, &[(party.name, text("first"))]);
        // The later ones have written more.
        for age in 0..n as i64 {
            writer.set(record, party.age, Value::Int(age));
        }
    }
    writers.iter().for_each(|writer| party.ada.hears(writer));
    for n in (0..40).rev() {
        let record = party.record(n + 100);
        party.ada.set(record, party.age, Value::Int(1000));
        assert_eq!(party.ada.shows(record, party.age), Some(Value::Int(1000)));
    }
}
