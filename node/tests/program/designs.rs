//! Designs that a server proposes, while a member's node is killed again and again.

use crate::{scratch::Node, team::Team, waiting::wait_until};
use serde_json::{Value as Json, json};
use std::{fs, thread, time::Duration};

const KILLS: usize = 100;
const JUDGE: usize = 1;
/// Every so many designs the next waits until this one is merged.
const UNTIL_MERGED: usize = 10;

/// Records, so that a rehearsal takes about as long as the next kill is away.
const RECORDS: usize = 4_000;

/// One member and the server: every design that is merged was rehearsed by the node that is killed, before it began to be
/// merged, while it was, or after.
#[test]
fn a_node_that_is_killed_a_hundred_times_while_it_rehearses_ends_like_its_server() {
    let mut team = Team::of(&["Ada", "Judge"]);
    let (ada, judge) = (team.nodes[0].clone(), team.nodes[JUDGE].clone());
    let rows: String = (0..RECORDS).map(|n| format!("somebody {n},{}\n", 1000 + n)).collect();
    ada.file("many.csv", format!("name,phone\n{rows}"));
    ada.ok(&["import", "many.csv", "--list", "people"]);
    ada.ok(&["server", "bind", "Judge"]);
    wait_until("the binding", || (judge.json(&["server", "--json"]).len() == 1).then_some(()));
    team.wait_for_the_same();

    let mut design = exported(&judge);
    for round in 0..KILLS {
        change(&mut design, round);
        judge.file("next.json", design.to_string());
        judge.ok(&["design", "apply", "next.json"]);
        thread::park_timeout(Duration::from_millis(round as u64 * 37 % 150));
        // The others may be overtaken by the next.
        if round % UNTIL_MERGED == 0 {
            wait_until("the merge", || (exported(&judge) == design).then_some(()));
        }
        team.kill(0);
        team.start(0);
    }
    wait_until("the last design", || (exported(&judge) == design).then_some(()));
    team.wait_for_the_same();
    assert_eq!(exported(&ada), design);
    for node in &team.nodes {
        node.ok(&["verify"]);
        assert_eq!(node.json(&["ls", "people", "--sort", "phone", "--json"]).len(), 2 + RECORDS);
    }
    let said = ada.ok(&["design", "history"]);
    assert!(said.matches("merged").count() >= KILLS / UNTIL_MERGED, "{said}");
    team.stop(0);
    ada.ok(&["doctor"]);
}

fn exported(node: &Node) -> Json {
    node.ok(&["design", "export", "now.json"]);
    serde_json::from_slice(&fs::read(node.path("now.json")).unwrap()).unwrap()
}

/// Makes it another design: a column of another type, with an index or without, and something new.
fn change(design: &mut Json, round: usize) {
    let fields = design["list"][0]["field"].as_array_mut().unwrap();
    let phone = fields.iter_mut().find(|field| field["name"] == "phone").unwrap();
    phone["type"] = ["text", "int"][round % 2].into();
    // What is not so is left out, as in what is exported.
    match round % 3 {
        0 => drop(phone.as_object_mut().unwrap().remove("indexed")),
        _ => phone["indexed"] = true.into(),
    }
    phone["help"] = format!("round {round}").into();
    if round.is_multiple_of(10) {
        fields.push(json!({ "name": format!("extra {round}"), "type": "text", "indexed": true, "default": "none" }));
    }
}
