//! Members of one workspace, each with a node that is a process of its own.

use crate::{running::Running, scratch::Node, waiting::wait_until};
use std::sync::Arc;

/// Where nodes listen that share the loopback network: on a free port that each keeps.
const ON_LOOPBACK: [&str; 3] = ["--listen", "127.0.0.1:0", "--no-discovery"];

/// A founder's node with a workspace and the list `people`, and others that have joined it.
pub struct Team<'a> {
    pub nodes: Vec<Arc<Node>>,
    running: Vec<Option<Running>>,
    begin: Begin<'a>,
}

/// Makes a member's node run, by its place among them.
type Begin<'a> = Box<dyn Fn(usize, &Node) -> Running + 'a>;

impl<'a> Team<'a> {
    /// On the loopback network; all run.
    pub fn of(names: &[&str]) -> Self {
        Self::begun_by(names, |_, node| Running::start_with(node, &ON_LOOPBACK))
    }

    /// All run, each by what `begin` does with its place among the members.
    pub fn begun_by(names: &[&str], begin: impl Fn(usize, &Node) -> Running + 'a) -> Self {
        let founder = Node::new();
        founder.ok(&["workspace", "new", "Team", "--member", names[0]]);
        founder.file("people.csv", "name,phone\nGrace,100\nLin,200\n");
        founder.ok(&["import", "people.csv", "--key", "name"]);
        let mut team = Self { nodes: vec![Arc::new(founder)], running: vec![None], begin: Box::new(begin) };
        team.start(0);
        for name in &names[1..] {
            let ticket = team.nodes[0].ok(&["invite", "--role", "designer"]);
            team.nodes.push(Arc::new(Node::new()));
            team.running.push(None);
            let at = team.nodes.len() - 1;
            team.start(at);
            let said = team.nodes[at].ok(&["join", ticket.trim(), "--name", name]);
            assert_eq!(said, format!("joined Team as {name} (designer)\n"));
        }
        team
    }

    pub fn start(&mut self, at: usize) {
        self.running[at] = Some((self.begin)(at, &self.nodes[at]));
    }

    pub fn stop(&mut self, at: usize) {
        self.running[at].take().expect("it runs").stop();
    }

    pub fn kill(&mut self, at: usize) {
        self.running[at].take().expect("it runs").kill();
    }

    pub fn digests(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.ok(&["digest"])).collect()
    }

    pub fn wait_for_the_same(&self) {
        wait_until("the same digest at all", || {
            let digests = self.digests();
            digests.iter().all(|digest| *digest == digests[0]).then_some(())
        });
    }

    pub fn record(&self, name: &str) -> String {
        let rows = self.nodes[0].json(&["ls", "people", "--where", &format!("name={name}"), "--json"]);
        rows[0]["id"].as_str().unwrap().to_owned()
    }

    pub fn phone(&self, at: usize, record: &str) -> String {
        self.nodes[at].json(&["get", "people", record, "--json"])[0]["fields"]["phone"].to_string()
    }
}
