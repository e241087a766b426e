//! Designs among real nodes, after the figures of US patent 8,010,487: a tool is instantiated from a server and
//! distributed (figure 5), a new one is rehearsed on a clone and merged, or not (figure 9), and a member's own change of
//! the design is refused (figure 7).

mod linked;
mod notes;

use linked::{Party, wait_until};
use serde_json::json;
use tandem_actors::{
    Change, Handle, Node, NodeError, Refused, Transaction,
    command::{Command, ServerChange},
    fresh_record,
};
use tandem_storage::{
    Query,
    design_file::{DesignFile, FieldSpec, Scalar, export},
    query::winner,
    rehearsal::Reported,
};
use tandem_wire::{Act, CellKey, FieldId, ListId, OpRef, PartPath, RecordKey, RefusalCode, Role, Value};

fn contacts() -> DesignFile {
    serde_json::from_value(json!({ "format": 1, "list": [{
        "name": "Contacts",
        "field": [
            { "name": "Name", "type": "text", "required": true, "indexed": true },
            { "name": "Kind", "type": "choice", "choices": ["friend", "colleague"], "default": "friend" },
        ],
        "view": [{ "name": "By name", "sort": "Name" }],
        "form": [{ "name": "New", "section": [{ "title": "Who", "fields": ["Name", "Kind"] }] }],
        "rule": [{ "name": "a name", "check": "size(Name) > 1", "message": "two letters at least", "field": "Name" }],
    }]}))
    .unwrap()
}

fn field(workspace: &Handle, name: &str) -> Option<(ListId, FieldId)> {
    let fold = workspace.fold();
    let design = fold.design();
    let found = design.lists().flat_map(|list| design.fields(list).into_iter().map(move |field| (list, field)));
    found.into_iter().find(|(_, field)| design.name(*field) == name)
}

fn add(workspace: &Handle, cells: &[(&str, Value)]) -> Result<RecordKey, NodeError> {
    let (list, _) = field(workspace, cells[0].0).expect("the list has the field");
    let record = RecordKey { list, record: fresh_record() };
    let set = |(name, value): &(&str, Value)| {
        let (_, field) = field(workspace, name).expect("the list has the field");
        Change::Set(CellKey { record, field, part: PartPath::default() }, value.clone())
    };
    let changes = std::iter::once(Change::Create(record)).chain(cells.iter().map(set)).collect();
    workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() })).map(|_| record)
}

fn shows(workspace: &Handle, record: RecordKey, name: &str) -> Option<Value> {
    let (_, field) = field(workspace, name)?;
    let state = workspace.read().record(record).unwrap()?.state;
    winner(&state, field, &PartPath::default())
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn apply(workspace: &Handle, file: DesignFile) -> Option<OpRef> {
    workspace.commit(Command::ApplyDesign(Box::new(file))).unwrap().made
}

fn altered(workspace: &Handle, alter: impl FnOnce(&mut DesignFile)) -> DesignFile {
    let mut file = export(workspace.read().design());
    alter(&mut file);
    file
}

/// Whether it was merged, and how many rehearsals of it failed.
fn came_to(workspace: &Handle, proposal: OpRef) -> (bool, usize) {
    let fold = workspace.fold();
    let state = fold.design().proposals.get(&proposal);
    state.map_or((false, 0), |state| (state.merged.is_some(), state.failed.len()))
}

fn reports(workspace: &Handle) -> Vec<Reported> {
    let fold = workspace.fold();
    let events = fold.control().map(|control| control.event.clone());
    let of = |event: std::sync::Arc<tandem_wire::Event>| {
        let ops = event.header().ops.iter().enumerate();
        let failed = ops.filter(|(_, op)| matches!(op.act, Act::DesignFailed(_)));
        failed.map(|(at, _)| Reported::from_bytes(event.body(at).unwrap()).unwrap()).collect::<Vec<_>>()
    };
    events.flat_map(of).collect()
}

/// An owner, a server that joined as a reader and judges everything, and a member.
struct Group {
    party: Party,
    /// It is closed at the end.
    _ada: Node,
    server: Node,
    bob: Node,
    here: [Handle; 3],
}

fn open(node: &Node) -> Handle {
    node.workspace(node.workspaces().unwrap()[0].id).unwrap()
}

impl Group {
    fn new() -> Self {
        let mut party = Party::new();
        let (ada, server, bob) = (party.node(), party.node(), party.node());
        let workspace = ada.create_workspace("Contacts", "Ada").unwrap();
        for (node, name, role) in [(&server, "Server", Role::Reader), (&bob, "Bob", Role::Designer)] {
            let invitation = tandem_actors::Invitation {
                role,
                uses: 1,
                valid_for: std::time::Duration::from_secs(60),
                approve: false,
            };
            node.join(&ada.invite(&workspace, invitation).unwrap(), name).unwrap();
            wait_until("the workspace", || node.workspaces().is_ok_and(|all| !all.is_empty()));
        }
        let here = [open(&ada), open(&server), open(&bob)];
        Self { party, _ada: ada, server, bob, here }
    }

    fn bind(&self) {
        let authority = self.here[1].office().unwrap().chain;
        let mode = tandem_wire::BindingMode::Binding;
        let bind = ServerChange::Bind { authority, lists: None, mode, replaces: vec![] };
        self.here[0].commit(Command::Servers(bind)).unwrap();
        wait_until("the binding", || !self.here[1].office().unwrap().terms.is_empty());
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Handle) -> bool) {
        for workspace in &self.here {
            wait_until(what, || is_so(workspace));
        }
    }

    fn digests_agree(&self) {
        let digest = |workspace: &Handle| workspace.digest().unwrap();
        wait_until("equal digests", || {
            let all = self.here.each_ref().map(digest);
            all.iter().all(|digest| *digest == all[0])
        });
    }
}

#[test]
fn figure_5_a_tool_is_instantiated_from_a_server_distributed_and_its_changes_sync() {
    let group = Group::new();
    group.bind();
    let [ada, server, bob] = &group.here;
    // 504, 506: the design is the server's; 508, 510: it is instantiated at a member and distributed to the others.
    let proposal = apply(server, contacts()).unwrap();
    group.wait("the design", |workspace| came_to(workspace, proposal).0);
    group.wait("the tool", |workspace| export(workspace.read().design()) == contacts());
    // 512: changes sync among peers, and with the server.
    let record = add(bob, &[("Name", text("Grace"))]).unwrap();
    group.wait("the record", |workspace| shows(workspace, record, "Name") == Some(text("Grace")));
    let (list, _) = field(ada, "Name").unwrap();
    let term = ada.fold().present_terms().next().unwrap().binding;
    wait_until("the verdict", || bob.outbox(&term).unwrap().is_empty());
    assert_eq!(ada.read().list(list, &Query::default()).unwrap().len(), 1);
    let refused = add(bob, &[("Name", text("G"))]);
    assert!(matches!(refused, Err(NodeError::Refused(Refused::Rule { .. }))), "{refused:?}");
    group.digests_agree();
}

#[test]
fn figure_9_a_design_is_rehearsed_on_a_clone_and_merged_or_waits_while_data_goes_on() {
    let group = Group::new();
    group.bind();
    let proposal = apply(&group.here[1], contacts()).unwrap();
    group.wait("the design", |workspace| came_to(workspace, proposal).0);
    let record = add(&group.here[2], &[("Name", text("Grace"))]).unwrap();
    group.wait("the record", |workspace| shows(workspace, record, "Name").is_some());
    let before = group.here[0].digest().unwrap();
    let email = FieldSpec { name: "Email".into(), base: "text".into(), required: true, ..FieldSpec::default() };
    let bad = apply(&group.here[1], altered(&group.here[1], |file| file.lists[0].fields.push(email.clone()))).unwrap();
    // 906 to 922: compared, cloned, loaded, incorporated, evaluated; not valid.
    group.wait("the failed rehearsal", |workspace| came_to(workspace, bad).1 > 0);
    assert_ne!(group.here[0].digest().unwrap(), before, "that it failed is told");
    let reported = reports(&group.here[2]).remove(0);
    let steps: Vec<&str> = reported.steps.iter().map(|step| step.split([':', ' ']).next().unwrap()).collect();
    assert_eq!(steps, ["compare", "clone", "load", "incorporate", "validate", "wait"]);
    assert_eq!(reported.broken[0].rule, "required Email");
    assert!(group.here.iter().all(|workspace| field(workspace, "Email").is_none() && !came_to(workspace, bad).0));
    // Data goes on; the next design is taken.
    let second = add(&group.here[2], &[("Name", text("Alan"))]).unwrap();
    let better = FieldSpec { default: Some(Scalar::Text("none@example.org".into())), ..email };
    let good = apply(&group.here[1], altered(&group.here[1], |file| file.lists[0].fields.push(better))).unwrap();
    group.wait("the merge", |workspace| came_to(workspace, good).0);
    group.wait("the new field", |workspace| shows(workspace, second, "Email") == Some(text("none@example.org")));
    group.digests_agree();
}

#[test]
fn a_locally_built_tool_is_published_to_a_second_server() {
    let group = Group::new();
    let [ada, _, bob] = &group.here;
    // Not connected: designers make the design, and it syncs to the peers.
    assert_eq!(apply(bob, contacts()), None);
    group.wait("the tool", |workspace| export(workspace.read().design()) == contacts());
    let record = add(ada, &[("Name", text("Grace"))]).unwrap();
    group.wait("the record", |workspace| shows(workspace, record, "Name").is_some());
    // Connected: it belongs to the server, and members are told so.
    group.bind();
    wait_until("the binding at Bob's", || bob.design_owner().is_some());
    let refused = bob.commit(Command::ApplyDesign(Box::new(altered(bob, |file| file.lists.clear()))));
    let owned = NodeError::Refused(Refused::DesignOwned(group.server.device()));
    assert_eq!(format!("{:?}", refused.unwrap_err()), format!("{owned:?}"));
    let note = FieldSpec { name: "Note".into(), base: "text".into(), ..FieldSpec::default() };
    let proposal = apply(&group.here[1], altered(&group.here[1], |file| file.lists[0].fields.push(note))).unwrap();
    group.wait("the server's change", |workspace| came_to(workspace, proposal).0 && field(workspace, "Note").is_some());
    // Detached again: designers go on.
    let binding = ada.fold().present_terms().next().unwrap().binding;
    ada.commit(Command::Servers(ServerChange::Unbind(binding))).unwrap();
    wait_until("the end of the binding", || bob.design_owner().is_none());
    apply(bob, altered(bob, |file| drop(file.lists[0].fields.pop())));
    group.wait("the field is gone", |workspace| field(workspace, "Note").is_none());
    assert_eq!(shows(&group.here[1], record, "Name"), Some(text("Grace")));
    group.digests_agree();
}

#[test]
fn what_a_server_proposed_is_rehearsed_once_it_is_bound_again() {
    let group = Group::new();
    let [ada, server, _] = &group.here;
    apply(ada, contacts());
    group.wait("the tool", |workspace| field(workspace, "Name").is_some());
    group.bind();
    // Nobody but the owner is left to rehearse.
    group.bob.go_offline();
    group.server.go_offline();
    let note = FieldSpec { name: "Note".into(), base: "text".into(), ..FieldSpec::default() };
    let proposal = apply(server, altered(server, |file| file.lists[0].fields.push(note))).unwrap();
    let binding = ada.fold().present_terms().next().unwrap().binding;
    ada.commit(Command::Servers(ServerChange::Unbind(binding))).unwrap();
    group.party.go_online(&group.server);
    wait_until("the proposal", || ada.fold().design().proposals.contains_key(&proposal));
    assert_eq!(came_to(ada, proposal), (false, 0), "it judges nothing any more");
    group.bind();
    wait_until("the merge", || came_to(ada, proposal).0 && field(ada, "Note").is_some());
}

#[test]
fn figure_7_a_members_change_of_the_design_made_just_before_is_refused_kept_shown_to_all_and_revived() {
    let group = Group::new();
    apply(&group.here[0], contacts());
    group.wait("the tool", |workspace| field(workspace, "Name").is_some());
    // Bob is away, adds a field, and writes under it; meanwhile the workspace is connected.
    group.bob.go_offline();
    let note = FieldSpec { name: "Note".into(), base: "text".into(), ..FieldSpec::default() };
    apply(&group.here[2], altered(&group.here[2], |file| file.lists[0].fields.push(note)));
    let record = add(&group.here[2], &[("Name", text("Grace")), ("Note", text("wrote COBOL"))]).unwrap();
    group.bind();
    group.party.go_online(&group.bob);
    group.wait("the refusals", |workspace| {
        let refusals = workspace.read().refusals(None, 100).unwrap();
        let codes: Vec<_> = refusals.iter().map(|refusal| refusal.refused.verdicts[0].code.name().unwrap()).collect();
        // The field is one event, its name and type are another.
        codes.iter().filter(|code| **code == "DESIGN_OWNED").count() == 2 && codes.contains(&"DEPENDS_ON_REFUSED")
    });
    // Kept, at everybody's, and masked.
    assert!(group.here.iter().all(|workspace| field(workspace, "Note").is_none()));
    assert!(group.here.iter().all(|workspace| shows(workspace, record, "Name").is_none()));
    group.digests_agree();
    // It is accepted after all: what Bob wrote under it comes back by itself.
    let [ada, server, _] = &group.here;
    let refusals = server.read().refusals(None, 100).unwrap();
    let is_step = |code: RefusalCode| code == RefusalCode::DESIGN_OWNED;
    let step = refusals.iter().find(|refusal| is_step(refusal.refused.verdicts[0].code)).unwrap().refused.event.id;
    let not_here = ada.commit(Command::AdoptStep(step)).unwrap_err();
    assert_eq!(not_here.code(), "design-owned");
    let proposal = server.commit(Command::AdoptStep(step)).unwrap().made.unwrap();
    group.wait("the field", |workspace| came_to(workspace, proposal).0 && field(workspace, "Note").is_some());
    group.wait("what is under it", |workspace| shows(workspace, record, "Note") == Some(text("wrote COBOL")));
    group.wait("an empty inbox", |workspace| workspace.read().refusals(None, 100).unwrap().is_empty());
    group.digests_agree();
}
