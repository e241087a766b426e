//! Five nodes on five machines of one network, whose links are cut while they go on: cables are pulled, machines sleep
//! and come back elsewhere, the network falls into two, one direction of a link is lost. Processes are killed meanwhile,
//! and somebody writes at each node all the time. In the end all have the same, and everything that was acknowledged.

mod chance;
mod writer;

use self::{
    chance::Chance,
    writer::{Writer, Wrote},
};
use crate::{
    network::lan::Lan,
    running::Running,
    team::Team,
    waiting::{until, wait_until},
};
use serde_json::Value as Json;
use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

const NAMES: [&str; 5] = ["Ada", "Bob", "Cem", "Dag", "Eve"];
/// How long a cable stays pulled that is plugged again before anybody takes the link for dead.
const FLICKER: Duration = Duration::from_secs(1);
/// How long a machine sleeps.
const SLEEP: Duration = Duration::from_secs(3);
/// Within so long a dead link is seen to be dead: `docs/protocol.md` has the time of silence.
const NOTICED_WITHIN: Duration = Duration::from_secs(45);
/// Within so long after a cut is mended everybody has everything that was written by then, and all are linked.
const TOGETHER_WITHIN: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs root: network namespaces"]
fn five_nodes_whose_links_are_cut_end_with_the_same() {
    let lan = Lan::of(NAMES.len());
    let mut trial = Trial::start(&lan, seed());
    trial.cables_are_pulled();
    trial.the_network_falls_apart();
    trial.one_sleeps_and_comes_back_elsewhere();
    trial.end();
}

/// Of what happens to whom; names a run that failed.
fn seed() -> u64 {
    let seed = match std::env::var("TANDEM_SEED") {
        Ok(seed) => seed.parse().expect("TANDEM_SEED is a number"),
        Err(_) => UNIX_EPOCH.elapsed().expect("it is later").as_secs(),
    };
    println!("TANDEM_SEED={seed}");
    seed
}

struct Trial<'a> {
    lan: &'a Lan,
    team: Team<'a>,
    writers: Vec<Writer>,
    /// Of each process.
    kills: [usize; 5],
    chance: Chance,
    begin: Instant,
}

impl<'a> Trial<'a> {
    fn start(lan: &'a Lan, seed: u64) -> Self {
        let begin = now();
        let team = Team::begun_by(&NAMES, |at, node| Running::spawn(lan.enter(at, &node.command(&["node"]))));
        let shared = team.record("Grace");
        let nodes = team.nodes.iter().enumerate();
        let writers = nodes.map(|(at, node)| Writer::start(node.clone(), at, shared.clone())).collect();
        let trial = Self { lan, team, writers, kills: [0; 5], chance: Chance::of(seed), begin };
        trial.all_write();
        trial.tell("all have joined, and write");
        trial
    }

    /// One after the other, for a moment each; a process is killed meanwhile.
    fn cables_are_pulled(&mut self) {
        for at in self.chance.order(NAMES.len()) {
            self.tell(&format!("{}'s cable is pulled", NAMES[at]));
            self.lan.unplug(at);
            let killed = self.chance.below(NAMES.len());
            self.is_killed(killed, FLICKER);
            self.lan.plug(at);
        }
        self.all_come_together();
    }

    /// One or two are cut off from the others, and of those one does not hear another, until they know it.
    fn the_network_falls_apart(&mut self) {
        self.all_are_linked();
        let order = self.chance.order(NAMES.len());
        let (away, stay) = order.split_at(1 + self.chance.below(2));
        let (unheard, deaf) = (stay[0], stay[1]);
        self.tell(&format!("apart: {} | {}", named(away), named(stay)));
        self.tell(&format!("{} does not hear {}", NAMES[deaf], NAMES[unheard]));
        self.lan.split(away);
        self.lan.lose(unheard, deaf);
        let before = self.acknowledged();
        for killed in [away[0], stay[self.chance.below(stay.len())]] {
            self.is_killed(killed, FLICKER);
        }

        let across = away.iter().flat_map(|a| stay.iter().flat_map(|b| [(*a, *b), (*b, *a)]));
        let cut: Vec<(usize, usize)> = across.chain([(deaf, unheard)]).collect();
        let is_noticed = until(NOTICED_WITHIN, || {
            // Each is looked at, also when another has not noticed yet.
            let shown: Vec<bool> = cut.iter().map(|(at, other)| self.shows_cut(*at, *other, &before)).collect();
            // Who is not heard goes on hearing the other until that one gives up.
            self.shows_cut(unheard, deaf, &before);
            shown.iter().all(|is_shown| *is_shown).then_some(())
        });
        assert!(is_noticed.is_some(), "it is not noticed: {}", self.shown());
        self.tell("they know it");
        if let [alone] = away {
            assert_eq!(self.status(*alone)["status"], "offline", "{}", NAMES[*alone]);
        }

        let since = self.acknowledged_since(&before);
        let (theirs, ours) = (of(&since, away), of(&since, stay));
        self.come_to(away, &theirs);
        self.come_to(stay, &ours);
        self.tell("what is written on one side has come to all of that side");
        let has_any = |at: &usize, written| self.log(*at).intersection(written).next().is_some();
        assert!(!stay.iter().any(|at| has_any(at, &theirs)), "nothing gets across");
        assert!(!away.iter().any(|at| has_any(at, &ours)), "nothing gets across");

        self.lan.join(away);
        self.lan.find(unheard, deaf);
        self.all_come_together();
    }

    /// Another's process is killed meanwhile, or its own.
    fn one_sleeps_and_comes_back_elsewhere(&mut self) {
        let (sleeper, killed) = (self.chance.below(NAMES.len()), self.chance.below(NAMES.len()));
        self.tell(&format!("{} sleeps", NAMES[sleeper]));
        self.lan.leave(sleeper);
        self.is_killed(killed, SLEEP);
        self.lan.arrive(sleeper, NAMES.len() + sleeper);
        self.all_come_together();
        self.all_are_linked();
    }

    fn end(self) {
        let mut written = BTreeSet::new();
        for (at, writer) in self.writers.into_iter().enumerate() {
            let Wrote { acknowledged, errors } = writer.stop();
            assert!(errors.len() <= self.kills[at], "only who is killed fails to write: {errors:?}");
            written.extend(acknowledged);
        }
        self.team.wait_for_the_same();
        for node in &self.team.nodes {
            let log = values(&node.json(&["log", "--json"]));
            let lost: Vec<_> = written.difference(&log).collect();
            assert!(lost.is_empty(), "not in the log: {lost:?}");
            let is_up_to_date = || node.ok(&["status"]).starts_with("Team: up to date").then_some(());
            // What was under way when a link was cut may stand still, while the same has come by others.
            assert!(until(NOTICED_WITHIN, is_up_to_date).is_some(), "{}", node.ok(&["status"]));
            node.ok(&["verify"]);
        }
        println!("{} writes, {} kills", written.len(), self.kills.iter().sum::<usize>());
    }

    /// For so long, while somebody goes on writing at its node.
    fn is_killed(&mut self, at: usize, time: Duration) {
        self.tell(&format!("{}'s process is killed", NAMES[at]));
        self.team.kill(at);
        self.kills[at] += 1;
        thread::park_timeout(time);
        self.team.start(at);
    }

    /// Everything that was acknowledged comes to all, and all go on.
    fn all_come_together(&self) {
        self.tell("mended");
        let all: Vec<usize> = (0..NAMES.len()).collect();
        self.come_to(&all, &of(&self.acknowledged_since(&[0; 5]), &all));
        self.tell("all have what was written by then");
        self.all_write();
    }

    /// Each shows each of the others as there.
    fn all_are_linked(&self) {
        let are_linked = until(TOGETHER_WITHIN, || {
            let mut statuses = (0..NAMES.len()).map(|at| (at, self.status(at)));
            let is_there = |status: &Json, other| peer(status, other) != "offline";
            let others = |at| (0..NAMES.len()).filter(move |other| *other != at);
            statuses.all(|(at, status)| others(at).all(|other| is_there(&status, other))).then_some(())
        });
        assert!(are_linked.is_some(), "not linked: {}", self.shown());
        self.tell("all are linked");
    }

    fn come_to(&self, group: &[usize], written: &BTreeSet<String>) {
        for at in group {
            let lacking = || written.difference(&self.log(*at)).cloned().collect::<Vec<_>>();
            let has_come = until(TOGETHER_WITHIN, || lacking().is_empty().then_some(()));
            assert!(has_come.is_some(), "{} lacks {:?}: {}", NAMES[*at], lacking(), self.shown());
        }
    }

    /// Each node takes writes.
    fn all_write(&self) {
        let before = self.acknowledged();
        wait_until("a write at each", || {
            self.acknowledged().iter().zip(&before).all(|(now, before)| now > before).then_some(())
        });
    }

    /// Whether a node shows that one who is cut off is not there. Until it does it must not show that the two have the
    /// same, when something was written at it since `before`.
    fn shows_cut(&self, at: usize, other: usize, before: &[usize]) -> bool {
        // The first may have been on its way before the cut.
        let has_written = self.acknowledged()[at] > before[at] + 1;
        let status = self.status(at);
        let (word, shown) = (status["status"].as_str().unwrap(), peer(&status, other));
        let is_cut = shown == "offline";
        let claims_the_same = !is_cut && [word, shown].contains(&"up to date");
        assert!(!(has_written && claims_the_same), "{} of {}: {status:#}", NAMES[at], NAMES[other]);
        is_cut
    }

    /// How many writes each node has acknowledged.
    fn acknowledged(&self) -> Vec<usize> {
        self.writers.iter().map(|writer| writer.wrote().acknowledged.len()).collect()
    }

    /// What each node has acknowledged since, without a first write that may have begun before that.
    fn acknowledged_since(&self, before: &[usize]) -> Vec<Vec<String>> {
        let all = self.writers.iter().map(|writer| writer.wrote().acknowledged);
        all.zip(before).map(|(values, before)| values.into_iter().skip(before + 1).collect()).collect()
    }

    fn log(&self, at: usize) -> BTreeSet<String> {
        values(&self.team.nodes[at].json(&["log", "--json"]))
    }

    fn status(&self, at: usize) -> Json {
        self.team.nodes[at].json(&["status", "--json"]).remove(0)
    }

    /// What `tandem status` shows at all of them.
    fn shown(&self) -> String {
        let nodes = self.team.nodes.iter().zip(NAMES);
        nodes.map(|(node, name)| format!("\nat {name}'s: {}", node.ok(&["status"]))).collect()
    }

    fn tell(&self, what: &str) {
        println!("{:5.1} s: {what}", self.begin.elapsed().as_secs_f64());
    }
}

/// How a status shows another member's node.
fn peer(status: &Json, other: usize) -> &str {
    let mut peers = status["peers"].as_array().unwrap().iter();
    peers.find(|peer| peer["name"] == NAMES[other]).expect("a member")["status"].as_str().unwrap()
}

fn named(group: &[usize]) -> String {
    group.iter().map(|at| NAMES[*at]).collect::<Vec<_>>().join(" ")
}

/// What was written at some of the nodes.
fn of(written: &[Vec<String>], group: &[usize]) -> BTreeSet<String> {
    group.iter().flat_map(|at| written[*at].iter().cloned()).collect()
}

/// All values that a log sets.
fn values(log: &[Json]) -> BTreeSet<String> {
    let ops = log.iter().flat_map(|event| event["ops"].as_array().unwrap());
    ops.map(|op| op["value"].as_str().map_or_else(|| op["value"].to_string(), str::to_owned)).collect()
}

#[expect(clippy::disallowed_methods, reason = "what takes how long is told")]
fn now() -> Instant {
    Instant::now()
}
