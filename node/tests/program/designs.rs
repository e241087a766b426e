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

/// A member who was away and had heard of no server adds a field and writes under it; meanwhile a design of the server
/// fails. Both are told to everybody, and the field is taken in after all.
#[test]
fn what_becomes_of_designs_is_told_and_a_refused_one_can_be_taken_in_after_all() {
    let mut team = Team::of(&["Ada", "Judge", "Bob"]);
    let (ada, judge, bob) = (team.nodes[0].clone(), team.nodes[JUDGE].clone(), team.nodes[2].clone());
    team.wait_for_the_same();
    team.stop(2);
    let mut design = exported(&bob);
    let fields = design["list"][0]["field"].as_array_mut().unwrap();
    fields.push(json!({ "name": "note", "type": "text" }));
    bob.file("note.json", design.to_string());
    bob.ok(&["design", "apply", "note.json"]);
    let hedy = bob.ok(&["new", "people", "name=Hedy", "note=hops"]).trim().to_owned();

    ada.ok(&["server", "bind", "Judge"]);
    wait_until("the binding", || (judge.json(&["server", "--json"]).len() == 1).then_some(()));
    let mut design = exported(&judge);
    design["list"][0]["field"][0]["type"] = "int".into();
    judge.file("unfit.json", design.to_string());
    judge.ok(&["design", "apply", "unfit.json"]);
    let state = |node: &Node| node.json(&["status", "--json"])[0]["design"][0].clone();
    wait_until("the failure", || (state(&judge)["state"] == "failed").then_some(()));
    assert_eq!(state(&ada)["server"], "Judge");
    let said = judge.ok(&["status"]);
    assert!(said.contains("failed; it does not fit the records of Ada"), "{said}");

    let said = ada.ok(&["inbox"]);
    assert!(said.contains("does not fit the records") && said.contains("2 of 2 records fail"), "{said}");

    team.start(2);
    let refused = wait_until("the refusals", || {
        let all = judge.json(&["inbox", "--json"]);
        let steps = all.iter().filter(|entry| entry.to_string().contains("DESIGN_OWNED")).count();
        (steps == 2 && all.len() > steps).then_some(all)
    });
    let said = judge.ok(&["inbox"]);
    assert!(said.contains("name: \"note\"") || said.contains("name: note"), "{said}");
    let hint = said.lines().find(|line| line.contains("tandem design adopt")).unwrap_or_else(|| panic!("{said}"));
    let event = hint.split('`').nth(1).and_then(|command| command.split(' ').next_back()).unwrap();
    ada.fails(&["design", "adopt", event], 1, &["belongs to the server"]);
    let said = judge.ok(&["design", "adopt", event]);
    assert!(said.starts_with("proposed to the members as "), "{said} {refused:?}");
    wait_until("the field", || (exported(&ada)["list"][0]["field"].as_array().unwrap().len() == 3).then_some(()));
    wait_until("what was written under it", || {
        let shown = ada.run(&["get", "people", &hedy, "--json"]);
        String::from_utf8_lossy(&shown.stdout).contains("hops").then_some(())
    });
    team.wait_for_the_same();
    assert_eq!(judge.ok(&["inbox"]), "nothing to look at\n");
    wait_until("that all have it", || {
        let said = ada.json(&["status", "--json"]).remove(0);
        let peers = said["peers"].as_array().unwrap();
        peers.iter().all(|peer| peer["design_changes_behind"] == 0).then_some(())
    });
    assert_eq!(state(&ada)["state"], "merged");
    let said = ada.ok(&["status"]);
    assert!(said.contains("DESIGN") && said.contains("this one"), "{said}");
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
