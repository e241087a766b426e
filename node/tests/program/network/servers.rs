//! A server and three members, each on a machine of its own. One of the members and the server never reach each other:
//! what that one writes gets to the server through the others, and so do the verdicts back.

use super::lan::Lan;
use crate::{running::Running, scratch::Node, team::Team, waiting::wait_until};
use serde_json::Value as Json;
use std::{collections::BTreeMap, sync::Arc, thread, time::Duration};

const NAMES: [&str; 4] = ["Ada", "Bob", "Cyd", "Judge"];
const CYD: usize = 2;
const JUDGE: usize = 3;

/// No member's node knows of it.
const RULES: &str = r#"
    [[rule]]
    list = "people"
    name = "polite"
    check = '!name.contains("damn")'
    message = "mind your language"
    field = "name"
"#;

/// Records that the members make, turn about, and which of them are refused.
const ALL: usize = 1000;
const BAD_EVERY: usize = 20;
/// In the second part: records that are refused, and what is written on each of them before that is known.
const BAD: usize = 50;
const ON_EACH: usize = 3;

#[test]
#[ignore = "needs root: network namespaces"]
fn refusals_reach_who_never_meets_the_server_and_are_put_right() {
    let lan = Lan::of(NAMES.len());
    lan.keep_apart(&[CYD, JUDGE]);
    let mut team = Team::begun_by(&NAMES, |at, node| Running::spawn(lan.enter(at, &node.command(&["node"]))));
    let judge = team.nodes[JUDGE].clone();
    judge.file("rules.toml", RULES);
    assert_eq!(judge.ok(&["server", "rules", "rules.toml"]), "1 rule set; they count when the owner binds this node\n");
    team.nodes[0].ok(&["server", "bind", "Judge"]);
    for node in &team.nodes {
        wait_until("the binding", || (node.json(&["server", "--json"]).len() == 1).then_some(()));
    }

    let writers: Vec<_> = (0..JUDGE).map(|at| (at, team.nodes[at].clone())).collect();
    let writers: Vec<_> = writers.into_iter().map(|(at, node)| thread::spawn(move || write(at, &node))).collect();
    for _ in 0..3 {
        thread::park_timeout(Duration::from_secs(2));
        team.kill(JUDGE);
        thread::park_timeout(Duration::from_millis(300));
        team.start(JUDGE);
    }
    let bad: usize = writers.into_iter().map(|writer| writer.join().expect("it can write")).sum();
    assert_eq!(bad, 50);
    let good = ALL - bad;
    settle(&team);
    for (at, node) in team.nodes.iter().enumerate() {
        let refused = refusals(node);
        assert_eq!(refused.len(), bad, "at {}", NAMES[at]);
        for refusal in &refused {
            let verdict = &refusal["verdicts"][0];
            assert_eq!((&verdict["code"], &verdict["message"]), (&"RULE".into(), &"mind your language".into()));
            assert_eq!((&verdict["blame"][0]["rule"], &verdict["masks"]), (&"polite".into(), &true.into()));
        }
        // Two were there from the beginning.
        assert_eq!(node.json(&["ls", "people", "--json"]).len(), good + 2, "at {}", NAMES[at]);
        node.ok(&["verify"]);
    }
    let linked: BTreeMap<String, String> = team.nodes[CYD].json(&["status", "--json"])[0]["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| (peer["name"].as_str().unwrap().to_owned(), peer["status"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(linked["Judge"], "offline", "they never meet");
    for refusal in refusals(&team.nodes[0]) {
        team.nodes[0].ok(&["discard", refusal["id"].as_str().unwrap()]);
    }
    settle(&team);
    assert!(refusals(&team.nodes[CYD]).is_empty());

    what_builds_on_refusals_is_held_and_set_free(&mut team);
}

/// Writes a member's records; gives how many of them break the rule.
fn write(at: usize, node: &Node) -> usize {
    let mut bad = 0;
    for n in (at..ALL).step_by(JUDGE) {
        let is_bad = n % BAD_EVERY == 0;
        bad += usize::from(is_bad);
        let name = if is_bad { format!("name=damn {n}") } else { format!("name=good {n}") };
        node.ok(&["new", "people", &name]);
    }
    bad
}

fn what_builds_on_refusals_is_held_and_set_free(team: &mut Team) {
    team.stop(JUDGE);
    let (bob, lin) = (team.nodes[1].clone(), team.record("Lin"));
    let before = bob.json(&["ls", "people", "--json"]).len();
    let mut records = Vec::new();
    for n in 0..BAD {
        let record = bob.ok(&["new", "people", &format!("name=damn late {n}")]).trim().to_owned();
        for phone in 0..ON_EACH {
            bob.ok(&["set", "people", &record, &format!("phone={}", 1000 + phone)]);
        }
        // Needs nothing that will be refused.
        bob.ok(&["set", "people", &lin, &format!("phone={}", 2000 + n)]);
        records.push(record);
    }
    team.start(JUDGE);
    settle(team);
    for (at, node) in team.nodes.iter().enumerate() {
        let mut codes: BTreeMap<String, usize> = BTreeMap::new();
        for refusal in refusals(node) {
            *codes.entry(refusal["verdicts"][0]["code"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let expect = [("DEPENDS_ON_REFUSED".to_owned(), BAD * ON_EACH), ("RULE".to_owned(), BAD)];
        assert_eq!(codes, expect.into(), "at {}", NAMES[at]);
        assert_eq!(node.json(&["ls", "people", "--json"]).len(), before);
        assert_eq!(team.phone(at, &lin), (2000 + BAD - 1).to_string(), "nothing else waits");
    }
    // Ada puts right what Bob wrote, and what needs it comes along.
    let ada = team.nodes[0].clone();
    for refusal in refusals(&ada) {
        if refusal["verdicts"][0]["code"] == "RULE" {
            let name = format!("name=dear {}", refusal["record"].as_str().unwrap());
            let said = ada.ok(&["resend", refusal["id"].as_str().unwrap(), &name]);
            assert_eq!(said, format!("sent again, with {ON_EACH} changes that need it\n"));
        }
    }
    settle(team);
    for node in &team.nodes {
        assert!(refusals(node).is_empty());
        assert_eq!(node.json(&["ls", "people", "--json"]).len(), before + BAD);
        for record in &records {
            let fields = &node.json(&["get", "people", record, "--json"])[0]["fields"];
            assert_eq!(fields["name"], format!("dear {record}"));
            assert_eq!(fields["phone"], 1000 + ON_EACH as u64 - 1);
        }
    }
}

fn refusals(node: &Arc<Node>) -> Vec<Json> {
    let inbox = node.json(&["inbox", "--limit", "1000", "--json"]);
    inbox.into_iter().filter(|entry| entry["kind"] == "refused").collect()
}

/// Everything is judged, and all have the same.
fn settle(team: &Team) {
    for node in &team.nodes {
        wait_until("empty outboxes", || (node.json(&["server", "--json"])[0]["outbox"] == 0).then_some(()));
    }
    team.wait_for_the_same();
}
