//! Several nodes that share a workspace, each a process of its own, over the loopback network.

use crate::{scratch::Node, team::Team, waiting::wait_until};
use serde_json::Value as Json;
use std::{collections::BTreeSet, thread, time::Duration};

#[test]
fn what_is_written_apart_comes_together_and_the_loser_is_kept() {
    let mut team = Team::of(&["Ada", "Bob"]);
    let record = team.record("Grace");
    team.stop(0);
    team.stop(1);
    team.nodes[0].ok(&["set", "people", &record, "phone=111"]);
    thread::park_timeout(Duration::from_millis(5));
    team.nodes[1].ok(&["set", "people", &record, "phone=222"]);
    team.start(0);
    team.start(1);
    team.wait_for_the_same();
    // Bob's clock was later.
    assert_eq!([team.phone(0, &record), team.phone(1, &record)], ["222", "222"]);
    let inbox = team.nodes[0].json(&["inbox", "--json"]);
    assert_eq!(inbox, team.nodes[1].json(&["inbox", "--json"]));
    let entry = &inbox[0];
    assert_eq!((inbox.len(), &entry["kind"], &entry["field"]), (1, &Json::from("conflict"), &Json::from("phone")));
    let values: Vec<&Json> = entry["siblings"].as_array().unwrap().iter().map(|side| &side["value"]).collect();
    assert_eq!(values, [222, 111]);
    let said = team.nodes[0].ok(&["inbox"]);
    assert!(said.contains("Grace") && said.contains("(Bob, ") && said.contains("(Ada, "), "{said}");
    assert!(team.nodes[1].ok(&["status"]).contains("conflicts 1"), "counted");

    let (id, event) = (entry["id"].as_str().unwrap(), entry["siblings"][1]["event"].as_str().unwrap());
    team.nodes[1].ok(&["resolve", id, "--use", &event[..10]]);
    wait_until("the answer at Ada's", || (team.phone(0, &record) == "111").then_some(()));
    assert_eq!(team.nodes[0].ok(&["inbox"]), "nothing to look at\n");
    team.nodes[0].fails(&["resolve", id, "--keep-both"], 3, &["tandem inbox"]);
}

#[test]
fn five_nodes_that_are_killed_and_cut_off_end_with_the_same() {
    let mut team = Team::of(&["Ada", "Bob", "Cem", "Dag", "Eve"]);
    team.wait_for_the_same();
    let mut written = BTreeSet::new();
    for round in 0..6 {
        // One is killed, one stopped; all write, whether they run or not.
        let (killed, stopped) = (round % 5, (round + 2) % 5);
        team.kill(killed);
        team.stop(stopped);
        for at in 0..5 {
            let name = format!("name=round {round} node {at}");
            written.insert(team.nodes[at].ok(&["new", "people", &name]).trim().to_owned());
        }
        team.start(killed);
        team.start(stopped);
    }
    team.wait_for_the_same();
    assert_eq!(written.len(), 6 * 5);
    for node in &team.nodes {
        let log = node.ok(&["log", "--json"]);
        let lost: Vec<&String> = written.iter().filter(|record| !log.contains(record.as_str())).collect();
        assert!(lost.is_empty(), "not in the log: {lost:?}");
        assert_eq!(node.json(&["ls", "people", "--json"]).len(), 2 + written.len());
        let status = wait_until("up to date", || {
            let status = node.json(&["status", "--json"]).remove(0);
            (status["status"] == "up to date").then_some(status)
        });
        assert_eq!(status["peers"].as_array().unwrap().len(), 4);
    }
    team.nodes.iter().for_each(|node| drop(node.ok(&["verify"])));
}

#[test]
fn one_file_that_two_import_by_key_is_one_set_of_records() {
    let mut team = Team::of(&["Ada", "Bob"]);
    let rows: String = (0..10_000).map(|n| format!("item {n},{}\n", n * 7)).collect();
    team.stop(0);
    team.stop(1);
    for node in &team.nodes {
        node.file("items.csv", format!("name,phone\n{rows}"));
        node.ok(&["import", "items.csv", "--list", "people", "--key", "name"]);
    }
    team.start(0);
    team.start(1);
    team.wait_for_the_same();
    for node in &team.nodes {
        assert_eq!(node.json(&["ls", "people", "--json"]).len(), 10_002);
        assert_eq!(node.ok(&["inbox"]), "nothing to look at\n");
    }
}

#[test]
fn who_is_removed_while_away_is_told_and_changes_nothing() {
    let mut team = Team::of(&["Ada", "Bob"]);
    let record = team.record("Lin");
    team.stop(1);
    team.nodes[0].ok(&["members", "remove", "Bob"]);
    team.nodes[1].ok(&["set", "people", &record, "phone=999"]);
    let before = team.nodes[0].ok(&["digest"]);
    team.start(1);
    wait_until("Bob's node is told", || team.nodes[1].ok(&["status"]).contains("Team: removed").then_some(()));
    team.nodes[1].fails(&["set", "people", &record, "phone=1000"], 1, &["role"]);
    assert_eq!(team.phone(1, &record), "200", "what the others never saw is masked");
    assert_eq!(team.nodes[0].ok(&["digest"]), before);
}

#[test]
fn tickets_that_are_wrong_say_so() {
    let team = Team::of(&["Ada"]);
    let node = Node::new();
    node.fails(&["join", "hello"], 2, &["no ticket"]);
    let ticket = team.nodes[0].ok(&["invite"]);
    node.fails(&["join", &ticket.trim()[..40]], 2, &["copy it again"]);
    let invitation = team.nodes[0].json(&["members", "--json"]).pop().unwrap();
    team.nodes[0].ok(&["members", "withdraw", invitation["invitation"].as_str().unwrap()]);
    node.fails(&["join", ticket.trim(), "--name", "Bob"], 1, &["invitation"]);
    assert_eq!(node.ok(&["workspace", "ls", "--json"]), "");
}
