//! Nodes of several people, linked inside this process.
#![allow(dead_code, reason = "each test uses some of it")]

use crate::notes::Notes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_actors::{
    Invitation, Node, Options,
    command::{Command, ServerChange},
    peer_link::memory::Exchange,
};
use tandem_wire::{BindingMode, Role};

/// For machines under load: what is waited for takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ada owns the workspace, Bob and Cyd are members, and a server judges.
pub struct Party {
    pub exchange: Exchange,
    pub dirs: Vec<tempfile::TempDir>,
}

impl Party {
    pub fn new() -> Self {
        Self { exchange: Exchange::default(), dirs: Vec::new() }
    }

    pub fn node(&mut self) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::open(dir.path(), Options { disk_free_bytes_min: 0, ..Options::default() }).unwrap();
        self.dirs.push(dir);
        self.go_online(&node);
        node
    }

    pub fn go_online(&self, node: &Node) {
        let transport = self.exchange.join(node.device(), || {
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&tandem_actors::fresh_record().0);
            bytes
        });
        node.link_through(Arc::new(transport)).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "other threads are waited for")]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come about");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

pub fn join(owner: &Node, here: &Notes, node: &Node, name: &str, role: Role) -> Notes {
    let invitation = Invitation { role, uses: 1, valid_for: Duration::from_secs(60), approve: false };
    let ticket = owner.invite(&here.workspace, invitation).unwrap();
    node.join(&ticket, name).unwrap();
    wait_until("the list", || Notes::find(node).is_some());
    Notes::find(node).unwrap()
}

/// The server judges the whole workspace from here on.
pub fn bind(owner: &Notes, server: &Notes) {
    let authority = server.workspace.office().unwrap().chain;
    let bind = ServerChange::Bind { authority, lists: None, mode: BindingMode::Binding, replaces: vec![] };
    owner.workspace.commit(Command::Servers(bind)).unwrap();
    wait_until("the binding", || !server.workspace.office().unwrap().terms.is_empty());
}

pub fn is_judged(notes: &Notes) -> bool {
    let terms: Vec<_> = notes.workspace.fold().present_terms().map(|term| term.binding).collect();
    terms.iter().all(|term| notes.workspace.outbox(term).unwrap().is_empty())
}

pub fn settle(all: &[&Notes]) {
    wait_until("verdicts on everything", || all.iter().all(|notes| is_judged(notes)));
    wait_until("the same at all", || all.iter().all(|notes| notes.digest() == all[0].digest()));
}
