//! Nodes that share a workspace.

use super::{
    Ours,
    counted::{Counted, Counts},
    data, options,
    replica::author,
};
use crate::clock;
use std::{path::Path, sync::Arc, thread, time::Duration};
use tandem_actors::{
    Begin, Command, Handle, Invitation, NetworkOptions, Node, Ticket, Updates,
    command::{Admission, MemberChange, ServerChange},
    fresh_record,
    peer_link::{Standing, memory::Exchange},
};
use tandem_storage::query::Query;
use tandem_wire::{BindingMode, DeviceKey, MemberId, Role};

/// What is waited for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks whether it has come.
const PAUSE: Duration = Duration::from_micros(200);

/// Nodes of one process, linked through memory.
#[derive(Default)]
pub struct Group(Exchange);

impl Group {
    /// Links a node to the others.
    pub fn link(&self, node: &Node) {
        let transport = self.0.join(node.device(), fresh_bytes);
        node.link_through(Arc::new(transport)).expect("a node can be linked");
    }

    /// The same, counting what the node sends.
    pub fn link_counting(&self, node: &Node, counts: &Counts) {
        let (inner, device) = (self.0.join(node.device(), fresh_bytes), node.device());
        let counted = Counted { inner, device, counts: counts.clone() };
        node.link_through(Arc::new(counted)).expect("a node can be linked");
    }

    /// A new node in `folder`, which has what `owner` has.
    pub fn join(&self, owner: &Ours, folder: &Path, cache_bytes: u64) -> Ours {
        let node = Node::open(data(folder), options(cache_bytes)).expect("a node can be opened");
        self.link(&node);
        let workspace = node.join(&owner.invite(), "A member").expect("a ticket lets a node in");
        wait_until("the same at both", || is_as(&owner.workspace, &workspace));
        Ours::of(node, workspace)
    }
}

impl Ours {
    /// A new node in `folder` that joins over the network.
    pub fn join_online(ticket: &Ticket, folder: &Path, cache_bytes: u64) -> Self {
        let node = Node::open(data(folder), options(cache_bytes)).expect("a node can be opened");
        go_online(&node);
        let workspace = node.join(ticket, "A member").expect("a ticket lets a node in");
        let has_design = || Self::has_view(&workspace);
        wait_until("the design", has_design);
        Self::of(node, workspace)
    }

    /// Goes on the network, on this machine only.
    pub fn go_online(&self) {
        go_online(&self.node);
    }

    /// Makes a made-up author a member.
    pub fn admit(&self, number: usize) -> DeviceKey {
        let (device, name) = (author(number).device(), format!("Author {number}"));
        let member = MemberId(fresh_record().0);
        let admission = Admission { member, name, device, role: Role::Writer, invited: None, approved: true };
        self.workspace.commit(Command::Members(MemberChange::Admit(admission))).expect("an owner may admit");
        device
    }

    /// Has another node judge from here on.
    pub fn bind(&self, server: &Self) {
        let authority = server.workspace.office().expect("it answers").chain;
        let bind = ServerChange::Bind { authority, lists: None, mode: BindingMode::Binding, replaces: vec![] };
        self.workspace.commit(Command::Servers(bind)).expect("an owner may bind");
        wait_until("the binding", || !server.workspace.office().expect("it answers").terms.is_empty());
    }

    /// Whether everything that this node wrote is judged.
    pub fn waits_for_no_verdict(&self) -> bool {
        let terms = self.workspace.fold();
        let mut terms = terms.present_terms();
        terms.all(|term| self.workspace.outbox(&term.binding).expect("tables can be read").is_empty())
    }

    /// Watches its rows.
    pub fn watch(&self) -> Shown {
        let watching = self.workspace.subscribe(self.list, Query::default(), Begin::Now);
        Shown(watching.expect("rows can be watched").blocking())
    }

    /// How many rows it has.
    pub fn count(&self) -> u64 {
        self.workspace.read().count(self.list).expect("rows can be counted")
    }

    /// Its node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// A ticket for one more writer.
    pub fn invite(&self) -> Ticket {
        let valid_for = Duration::from_secs(3600);
        let invitation = Invitation { role: Role::Writer, uses: 1, valid_for, approve: false };
        self.node.invite(&self.workspace, invitation).expect("an owner may invite")
    }

    /// Whether all peers that it is linked to have what it has; at least one.
    pub fn is_up_to_date(&self) -> bool {
        let peers = self.node.peers(self.workspace.id());
        !peers.is_empty() && peers.iter().all(|peer| peer.standing == Standing::UpToDate)
    }

    /// The digest of its views.
    pub fn digest(&self) -> [u8; 32] {
        self.workspace.digest().expect("views can be read")
    }
}

/// What is shown.
pub struct Shown(Updates);

impl Shown {
    /// Waits until something else is shown.
    pub fn wait(&mut self) {
        let update = self.0.next_within(PATIENCE).expect("an update in time");
        update.expect("rows can be read");
    }
}

fn go_online(node: &Node) {
    let listen = Some((std::net::Ipv4Addr::LOCALHOST, 0).into());
    node.go_online(NetworkOptions { listen, ..NetworkOptions::default() }).expect("a node can listen");
}

fn is_as(one: &Handle, other: &Handle) -> bool {
    one.fold().version_table().digest() == other.fold().version_table().digest()
}

/// Waits until something is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = clock::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        thread::park_timeout(PAUSE);
    }
}

fn fresh_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&fresh_record().0);
    bytes
}
