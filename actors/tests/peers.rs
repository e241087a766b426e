//! Several nodes in one process that share a workspace, over streams in memory and over the loopback network.

mod notes;

use notes::Notes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_actors::{
    Invitation, Node, NodeError, Options, Refused,
    command::{Command, MemberChange, NotInvited},
    peer_link::{Standing, memory::Exchange},
};
use tandem_wire::Role;

/// For machines under load: what is waited for takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

struct Party {
    exchange: Exchange,
    dirs: Vec<tempfile::TempDir>,
}

impl Party {
    fn new() -> Self {
        Self { exchange: Exchange::default(), dirs: Vec::new() }
    }

    fn node(&mut self) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::open(dir.path(), Options::default()).unwrap();
        self.dirs.push(dir);
        self.go_online(&node);
        node
    }

    fn go_online(&self, node: &Node) {
        let transport = self.exchange.join(node.device(), || {
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&tandem_actors::fresh_record().0);
            bytes
        });
        node.link_through(Arc::new(transport)).unwrap();
    }
}

fn invitation(role: Role) -> Invitation {
    Invitation { role, uses: 1, valid_for: Duration::from_secs(60), approve: false }
}

#[expect(clippy::disallowed_methods, reason = "other threads are waited for")]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come about");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The notes at a node that has joined, once their list has come.
fn notes_at(node: &Node) -> Notes {
    wait_until("the list", || Notes::find(node).is_some());
    Notes::find(node).unwrap()
}

fn wait_for_the_same(all: &[&Notes]) {
    wait_until("the same at all", || all.iter().all(|notes| notes.digest() == all[0].digest()));
}

#[test]
fn a_ticket_makes_a_member_and_edits_come_to_both() {
    let mut party = Party::new();
    let (ada, bob) = (party.node(), party.node());
    let here = Notes::of(&ada);
    here.add("from Ada");
    let ticket = ada.invite(&here.workspace, invitation(Role::Writer)).unwrap();
    bob.join(&ticket.to_string().parse().unwrap(), "Bob").unwrap();
    let there = notes_at(&bob);
    wait_for_the_same(&[&here, &there]);
    assert_eq!(there.texts(), ["from Ada"]);
    assert_eq!(there.workspace.name(), "Field notes");
    let names: Vec<String> = here.workspace.members().into_iter().map(|member| member.name).collect();
    assert!(names.contains(&"Bob".to_string()), "{names:?}");

    there.add("from Bob");
    wait_until("Bob's note at Ada's", || here.texts() == ["from Ada", "from Bob"]);
    let id = here.workspace.id();
    let is_up_to_date = |node: &Node| {
        let peers = node.peers(id);
        peers.len() == 1 && peers[0].standing == Standing::UpToDate
    };
    wait_until("both up to date", || is_up_to_date(&ada) && is_up_to_date(&bob));
    drop((here, there));
    ada.close().unwrap();
    bob.close().unwrap();
}

#[test]
fn many_records_come_to_a_newcomer() {
    let mut party = Party::new();
    let (ada, bob) = (party.node(), party.node());
    let here = Notes::of(&ada);
    let texts: Vec<String> = (0..20_000).map(|n| format!("note {n:>6}")).collect();
    here.add_at_once(&texts);
    bob.join(&ada.invite(&here.workspace, invitation(Role::Reader)).unwrap(), "Bob").unwrap();
    let there = notes_at(&bob);
    wait_for_the_same(&[&here, &there]);
    assert_eq!(there.texts(), texts);
    assert!(there.verify());
    assert_eq!(there.try_add("a reader's").unwrap_err().code(), "role");
}

#[test]
fn a_used_forged_or_expired_ticket_lets_nobody_in_and_leaves_nothing_behind() {
    let mut party = Party::new();
    let (ada, bob, eve) = (party.node(), party.node(), party.node());
    let here = Notes::of(&ada).workspace;
    let ticket = ada.invite(&here, invitation(Role::Writer)).unwrap();
    bob.join(&ticket, "Bob").unwrap();
    let refused = eve.join(&ticket, "Eve").unwrap_err();
    assert!(matches!(refused, NodeError::Refused(Refused::NotInvited(_))), "{refused}");
    let expired = Invitation { valid_for: Duration::ZERO, ..invitation(Role::Writer) };
    let expired = ada.invite(&here, expired).unwrap();
    std::thread::park_timeout(Duration::from_millis(5));
    let refused = eve.join(&expired, "Eve").unwrap_err();
    assert!(matches!(refused, NodeError::Refused(Refused::NotInvited(_))), "{refused}");
    let mut forged = ada.invite(&here, invitation(Role::Writer)).unwrap();
    forged.secret[0] ^= 1;
    let refused = eve.join(&forged, "Eve").unwrap_err();
    assert!(matches!(refused, NodeError::Link(_)), "a stranger gets no answer: {refused}");
    assert_eq!(eve.workspaces().unwrap(), []);
}

#[test]
fn a_manager_is_let_in_by_a_person_only() {
    let mut party = Party::new();
    let (ada, bob) = (party.node(), party.node());
    let here = Notes::of(&ada).workspace;
    let ticket = ada.invite(&here, invitation(Role::Manager)).unwrap();
    let refused = bob.join(&ticket, "Bob").unwrap_err();
    let waits = matches!(refused, NodeError::Refused(Refused::NotInvited(NotInvited::AwaitsApproval)));
    assert!(waits, "{refused}");
    let requests = ada.requests();
    assert_eq!((requests.len(), requests[0].device, requests[0].name.as_str()), (1, bob.device(), "Bob"));
    ada.approve(&here, bob.device()).unwrap();
    assert_eq!(ada.requests(), []);
    let there = bob.join(&ticket, "Bob").unwrap();
    assert_eq!(there.fold().role_of(bob.device()), Some(Role::Manager));
}

#[test]
fn what_one_writes_reaches_the_third_through_the_second() {
    let mut party = Party::new();
    let (ada, bob, cem) = (party.node(), party.node(), party.node());
    let here = Notes::of(&ada);
    let two = Invitation { uses: 2, ..invitation(Role::Writer) };
    let ticket = ada.invite(&here.workspace, two).unwrap();
    bob.join(&ticket, "Bob").unwrap();
    cem.join(&ticket, "Cem").unwrap();
    let (b, c) = (notes_at(&bob), notes_at(&cem));
    wait_for_the_same(&[&here, &b, &c]);
    // Ada goes; Bob and Cem go on with each other.
    drop(here);
    ada.close().unwrap();
    b.add("while Ada is away");
    wait_until("it at Cem's", || c.texts() == ["while Ada is away"]);
    wait_for_the_same(&[&b, &c]);
}

#[test]
fn what_is_written_off_the_network_goes_out_when_it_is_back() {
    let mut party = Party::new();
    let (ada, bob) = (party.node(), party.node());
    let here = Notes::of(&ada);
    bob.join(&ada.invite(&here.workspace, invitation(Role::Writer)).unwrap(), "Bob").unwrap();
    let there = notes_at(&bob);
    wait_for_the_same(&[&here, &there]);
    for text in ["on the way out", "on the way back"] {
        bob.go_offline();
        assert!(!bob.is_online() && bob.peers(here.workspace.id()).is_empty());
        wait_until("Ada's link ends", || ada.peers(here.workspace.id()).is_empty());
        there.add(text);
        assert!(!here.texts().contains(&text.to_owned()));
        party.go_online(&bob);
        wait_until("it at Ada's", || here.texts().contains(&text.to_owned()));
    }
    wait_for_the_same(&[&here, &there]);
}

#[test]
fn two_who_cannot_reach_each_other_are_brought_together_by_the_third() {
    let mut party = Party::new();
    let (ada, bob, cem) = (party.node(), party.node(), party.node());
    party.exchange.keep_apart(bob.device(), cem.device());
    let here = Notes::of(&ada);
    let ticket = ada.invite(&here.workspace, Invitation { uses: 2, ..invitation(Role::Writer) }).unwrap();
    bob.join(&ticket, "Bob").unwrap();
    cem.join(&ticket, "Cem").unwrap();
    let (b, c) = (notes_at(&bob), notes_at(&cem));
    b.add("by way of Ada");
    wait_until("it at Cem's", || c.texts() == ["by way of Ada"]);
    let linked = |node: &Node| node.peers(here.workspace.id()).into_iter().map(|peer| peer.device).collect::<Vec<_>>();
    assert_eq!([linked(&bob), linked(&cem)], [[ada.device()], [ada.device()]]);
}

#[test]
fn who_is_removed_hears_of_it_and_changes_nothing() {
    let mut party = Party::new();
    let (ada, bob) = (party.node(), party.node());
    let here = Notes::of(&ada);
    bob.join(&ada.invite(&here.workspace, invitation(Role::Writer)).unwrap(), "Bob").unwrap();
    let there = notes_at(&bob);
    there.add("still allowed");
    wait_for_the_same(&[&here, &there]);
    here.workspace.commit(Command::Members(MemberChange::Remove(bob.device()))).unwrap();
    wait_until("Bob hears of it", || there.workspace.fold().role_of(bob.device()).is_none());
    assert_eq!(there.try_add("no longer").unwrap_err().code(), "role");
    assert_eq!(there.texts(), ["still allowed"]);
}

#[test]
fn who_leaves_takes_no_part_any_more() {
    let mut party = Party::new();
    let (ada, bob, cem) = (party.node(), party.node(), party.node());
    let here = Notes::of(&ada);
    let ticket = ada.invite(&here.workspace, Invitation { uses: 2, ..invitation(Role::Writer) }).unwrap();
    bob.join(&ticket, "Bob").unwrap();
    cem.join(&ticket, "Cem").unwrap();
    let (there, beyond) = (notes_at(&bob), notes_at(&cem));
    wait_for_the_same(&[&here, &there, &beyond]);
    let id = here.workspace.id();
    bob.leave(id).unwrap();
    // Also where it is looked at again.
    assert!(bob.workspaces().unwrap()[0].left);
    let bobs = |node: &Node| node.peers(id).into_iter().any(|peer| peer.device == bob.device());
    wait_until("Bob's links end", || bob.peers(id).is_empty() && !bobs(&ada) && !bobs(&cem));
    let before = there.digest();
    for text in ["not for Bob", "nor this"] {
        here.add(text);
        wait_until("it at Cem's", || beyond.texts().contains(&text.to_owned()));
    }
    assert_eq!((there.digest(), bob.peers(id).len()), (before, 0));
}

#[test]
fn over_the_loopback_network_it_is_the_same() {
    use tandem_actors::NetworkOptions;
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let options = NetworkOptions { listen: Some("127.0.0.1:0".parse().unwrap()), discovery: false, relay: None };
    let nodes = dirs.each_ref().map(|dir| {
        let node = Node::open(dir.path(), Options::default()).unwrap();
        node.go_online(options.clone()).unwrap();
        node
    });
    let [ada, bob] = &nodes;
    let here = Notes::of(ada);
    let ticket = ada.invite(&here.workspace, invitation(Role::Writer)).unwrap();
    assert!(!ticket.addresses.is_empty());
    bob.join(&ticket, "Bob").unwrap();
    let there = notes_at(bob);
    there.add("over the wire");
    wait_until("it at Ada's", || here.texts() == ["over the wire"]);
    wait_for_the_same(&[&here, &there]);
    drop((here, there));
    for node in nodes {
        node.close().unwrap();
    }
}

#[test]
fn a_further_device_is_let_in_by_a_person_and_is_the_same_member() {
    let mut party = Party::new();
    let (ada, phone, eve) = (party.node(), party.node(), party.node());
    let here = Notes::of(&ada);
    let member = here.workspace.members()[0].member.unwrap();
    let ticket = ada.invite_device(&here.workspace, member, Duration::from_secs(60)).unwrap();
    let awaits_approval = |joined: Result<_, NodeError>| {
        matches!(joined.map(drop), Err(NodeError::Refused(Refused::NotInvited(NotInvited::AwaitsApproval))))
    };
    assert!(awaits_approval(phone.join(&ticket.to_string().parse().unwrap(), "Phone")));
    let asked = ada.requests();
    assert_eq!((asked.len(), asked[0].further_device_of.as_deref()), (1, Some("Ada")));
    ada.approve(&here.workspace, phone.device()).unwrap();
    phone.join(&ticket, "Phone").unwrap();
    let of = |device| here.workspace.members().into_iter().find(|info| info.device == device).unwrap();
    let (first, further) = (of(ada.device()), of(phone.device()));
    assert_eq!((further.member, &further.name, further.role), (first.member, &first.name, first.role));

    // Whoever has any ticket may say that they are Ada: it takes a person to believe it.
    let ticket = ada.invite(&here.workspace, invitation(Role::Writer)).unwrap();
    let forged = tandem_actors::Ticket { person: Some((member, "Somebody else".into())), ..ticket };
    assert!(awaits_approval(eve.join(&forged, "Eve")));
    assert_eq!(ada.requests()[0].further_device_of.as_deref(), Some("Ada"), "it is told for whom it passes itself off");
}
