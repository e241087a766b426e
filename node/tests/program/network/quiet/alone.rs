//! A network that a node believes to be on, and nobody else is: whatever it says goes unanswered.

use crate::network::namespace::Namespace;
use std::{fs, process::Command};
use tempfile::TempDir;

/// The device that the node has, besides loopback. Its other end is there as well, and nobody listens at it.
const DEVICE: &str = "lan0";
const OTHER_END: &str = "lan0-far";
const GATEWAYS: [&str; 2] = ["10.77.0.254", "fd77::fe"];
/// Not in the resolver's own network alone: also what is asked over the default route goes out.
const NAME_SERVERS: [&str; 2] = ["10.77.0.53", "192.0.2.53"];

/// Has addresses, a default route and a name server, none of which anybody answers at.
pub struct Alone {
    pub net: Namespace,
    /// What its processes find as `/etc/resolv.conf`.
    _resolver: TempDir,
}

impl Alone {
    /// With these addresses, each with the length of its network.
    pub fn at(addresses: &[&str]) -> Self {
        let (net, resolver) = (Namespace::new(), tempfile::tempdir().unwrap());
        let file = resolver.path().join("resolv.conf");
        let servers: String = NAME_SERVERS.iter().map(|server| format!("nameserver {server}\n")).collect();
        fs::write(&file, format!("{servers}options timeout:1 attempts:1\n")).unwrap();
        net.does("mount", &["--bind", file.to_str().expect("text"), "/etc/resolv.conf"]);

        net.ip(&format!("link add {DEVICE} type veth peer name {OTHER_END}"));
        // Whatever is sent goes out at once: no neighbour has to answer first.
        net.ip(&format!("link set {DEVICE} arp off up"));
        net.ip(&format!("link set {OTHER_END} arp off addrgenmode none up"));
        let made = Self { net, _resolver: resolver };
        made.add(addresses);
        made
    }

    /// Takes addresses away, and gives others.
    pub fn move_to(&self, from: &[&str], to: &[&str]) {
        from.iter().for_each(|address| self.net.ip(&format!("address del {address} dev {DEVICE}")));
        self.add(to);
    }

    fn add(&self, addresses: &[&str]) {
        for address in addresses {
            self.net.ip(&format!("address add {address} dev {DEVICE}"));
        }
        for gateway in GATEWAYS {
            self.net.ip(&format!("route replace default via {gateway} dev {DEVICE}"));
        }
    }

    /// Asks for a name as any program does; nobody answers.
    pub fn asks_for(&self, name: &str) {
        let asked = self.net.enter(Command::new("getent").args(["ahosts", name])).output().expect("getent can be run");
        assert!(!asked.status.success(), "{name} is no name, and nobody answers here: {asked:?}");
    }
}
