//! What a started node says on the network: to its local network that it is there, unless that is switched off, to
//! members' devices where they were seen, and to nobody else anything. No name server is asked, whatever happens.
//!
//! The real binary runs in a network of its own, with addresses, a default route and a name server, none of which
//! anybody answers at; every packet is captured and judged.

mod alone;
mod capture;
mod judge;
mod packet;

use self::{
    alone::Alone,
    capture::Capture,
    judge::{Known, Verdict},
    packet::Packet,
};
use crate::{running::Running, scratch::Node};
use std::{collections::BTreeMap, net::IpAddr, thread, time::Duration};

/// For as long the node is listened to. Its first seconds are when it finds out about its network.
const LISTEN: Duration = Duration::from_secs(8);

/// Where the node is when a member comes to know it, and where that member is, later, no more.
const BEFORE: [&str; 2] = ["10.77.0.1/24", "fd77::1/64"];
/// Where the node is when it is listened to.
const NOW: [&str; 2] = ["10.77.0.2/24", "fd77::2/64"];

/// Part of the name that is asked for on purpose.
const CONTROL: &str = "asked-on-purpose";

#[test]
#[ignore = "needs root: network namespaces and tcpdump"]
fn a_started_node_speaks_to_its_local_network_and_members_alone() {
    let alone = Alone::at(&BEFORE);
    let net = &alone.net;
    let (ada, bob) = (Node::new(), Node::new());
    net.ok(&ada.command(&["workspace", "new", "Team", "--member", "Ada"]));
    let running = [&ada, &bob].map(|node| Running::spawn(net.enter(&node.command(&["node"]))));
    let ticket = net.ok(&ada.command(&["invite"]));
    net.ok(&bob.command(&["join", ticket.trim(), "--name", "Bob"]));
    running.into_iter().for_each(Running::stop);
    // Bob is not there any more, and Ada knows where he was.
    alone.move_to(&BEFORE, &NOW);

    let seen = listen(&alone, ada, &["node"]);
    let known = Known { own: addresses(&NOW), members: addresses(&BEFORE) };
    let counts = count(&seen, &known);
    assert!(counts.contains_key("looks for others on the local network"), "it was listened to: {counts:?}");
    assert!(counts.contains_key("to a member"), "Bob is dialled: {counts:?}");
}

#[test]
#[ignore = "needs root: network namespaces and tcpdump"]
fn without_discovery_a_node_that_knows_nobody_says_nothing() {
    let alone = Alone::at(&NOW);
    let ada = Node::new();
    alone.net.ok(&ada.command(&["workspace", "new", "Team", "--member", "Ada"]));
    let seen = listen(&alone, ada, &["node", "--no-discovery"]);
    let counts = count(&seen, &Known { own: addresses(&NOW), members: vec![] });
    let by_the_node: Vec<_> = counts.keys().filter(|what| !what.starts_with("by the kernel")).collect();
    assert!(by_the_node.is_empty(), "{counts:?}");
}

/// The other way round: what a node says that it was told to say, shows.
#[test]
#[ignore = "needs root: network namespaces and tcpdump"]
fn a_relay_that_is_named_is_asked_for() {
    let alone = Alone::at(&NOW);
    let ada = Node::new();
    alone.net.ok(&ada.command(&["workspace", "new", "Team", "--member", "Ada"]));
    ada.file("data/tandem.toml", "network.relay = \"https://relay-of-ours.example\"\n");
    let seen = listen(&alone, ada, &["node", "--no-discovery"]);
    let known = Known { own: addresses(&NOW), members: vec![] };
    let is_asked = |packet: &&Packet| packet.holds("relay-of-ours");
    let asked: Vec<_> = seen.iter().filter(is_asked).map(|packet| judge::judge(packet, &known)).collect();
    assert!(
        !asked.is_empty() && asked.iter().all(|verdict| matches!(verdict, Verdict::Wrong(_))),
        "{asked:?} {seen:#?}"
    );
}

/// What is sent while the node runs. What is asked for on purpose at the end has to be seen, and found wrong: else
/// nobody was listening.
fn listen(alone: &Alone, node: Node, words: &[&str]) -> Vec<Packet> {
    let capture = Capture::start(&alone.net);
    let running = Running::spawn(alone.net.enter(&node.command(words)));
    thread::park_timeout(LISTEN);
    running.stop();
    alone.asks_for(&format!("{CONTROL}.example"));
    let (control, seen): (Vec<_>, Vec<_>) = capture.stop().into_iter().partition(|packet| packet.holds(CONTROL));
    let nobody = Known { own: vec![], members: vec![] };
    let is_wrong = |packet: &Packet| matches!(judge::judge(packet, &nobody), Verdict::Wrong(_));
    assert!(!control.is_empty() && control.iter().all(is_wrong), "a name that is asked for shows: {control:?}");
    seen
}

/// How many packets there are of each kind; none may be wrong.
fn count(seen: &[Packet], known: &Known) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for packet in seen {
        let what = match judge::judge(packet, known) {
            Verdict::Kernel(what) | Verdict::Node(what) => what,
            Verdict::Wrong(why) => panic!("{why}: {packet:?}; {} packets in all: {seen:#?}", seen.len()),
        };
        *counts.entry(what).or_default() += 1;
    }
    println!("{counts:?}");
    counts
}

fn addresses(with_lengths: &[&str]) -> Vec<IpAddr> {
    let address = |text: &&str| text.split('/').next().and_then(|address| address.parse().ok()).expect("an address");
    with_lengths.iter().map(address).collect()
}
