//! A local network of machines, each at a switch by a cable, whose links can be cut.

use crate::network::namespace::Namespace;
use std::process::Command;

/// A machine's device, besides loopback.
const DEVICE: &str = "lan0";
/// Each machine is at the first, unless it is said otherwise; nothing joins the two.
const SWITCHES: [&str; 2] = ["switch0", "switch1"];
/// Nobody is there, but whoever looks for others on the local network goes by the default route.
const GATEWAYS: [&str; 2] = ["10.78.0.254", "fd78::fe"];
/// Nobody's.
const LOST: &str = "02:00:00:00:00:fe";

/// Machines are numbered from 0.
pub struct Lan {
    machines: Vec<Namespace>,
    /// Both of them, and the far ends of the cables.
    switches: Namespace,
}

impl Lan {
    pub fn of(machines: usize) -> Self {
        let lan = Self { machines: (0..machines).map(|_| Namespace::new()).collect(), switches: Namespace::new() };
        for switch in SWITCHES {
            lan.switches.ip(&format!("link add {switch} type bridge"));
            lan.switches.ip(&format!("link set {switch} up"));
        }
        for (at, machine) in lan.machines.iter().enumerate() {
            let cable = format!("{DEVICE} netns {} type veth peer name {}", machine.process(), far_end(at));
            lan.switches.ip(&format!("link add {cable}"));
            lan.put(at, SWITCHES[0]);
            lan.plug(at);
            lan.arrive(at, at);
        }
        lan
    }

    /// The same command, on this machine.
    pub fn enter(&self, at: usize, command: &Command) -> Command {
        self.machines[at].enter(command)
    }

    /// Pulls a machine's cable out of the switch, which it notices: its device has no carrier.
    pub fn unplug(&self, at: usize) {
        self.switches.ip(&format!("link set {} down", far_end(at)));
    }

    /// The other way round.
    pub fn plug(&self, at: usize) {
        self.switches.ip(&format!("link set {} up", far_end(at)));
    }

    /// A machine switches its device off, as when it is put to sleep, and has no address any more.
    pub fn leave(&self, at: usize) {
        self.machines[at].ip(&format!("link set {DEVICE} down"));
        self.machines[at].ip(&format!("address flush dev {DEVICE}"));
    }

    /// A machine switches its device on, with the addresses that have this number.
    pub fn arrive(&self, at: usize, number: usize) {
        self.machines[at].ip(&format!("link set {DEVICE} addrgenmode none up"));
        for (address, length) in addresses(number).iter().zip([24, 64]) {
            self.machines[at].ip(&format!("address add {address}/{length} dev {DEVICE} nodad"));
        }
        for gateway in GATEWAYS {
            self.machines[at].ip(&format!("route replace default via {gateway} dev {DEVICE}"));
        }
    }

    /// Moves these machines to a switch of their own. No device notices: the others just say nothing any more.
    pub fn split(&self, group: &[usize]) {
        group.iter().for_each(|at| self.put(*at, SWITCHES[1]));
    }

    /// The other way round.
    pub fn join(&self, group: &[usize]) {
        group.iter().for_each(|at| self.put(*at, SWITCHES[0]));
    }

    /// From now on what one machine sends to another is lost, and what that one answers is not.
    pub fn lose(&self, from: usize, to: usize) {
        for address in addresses(to) {
            self.machines[from].ip(&format!("neighbour replace {address} dev {DEVICE} nud permanent lladdr {LOST}"));
        }
    }

    /// The other way round.
    pub fn find(&self, from: usize, to: usize) {
        for address in addresses(to) {
            self.machines[from].ip(&format!("neighbour del {address} dev {DEVICE}"));
        }
    }

    /// From now on these machines and the others reach each other, and none of these another of them, by no packet at all.
    pub fn keep_apart(&self, group: &[usize]) {
        for at in group {
            self.switches.ip(&format!("link set {} type bridge_slave isolated on", far_end(*at)));
        }
    }

    fn put(&self, at: usize, switch: &str) {
        self.switches.ip(&format!("link set {} master {switch}", far_end(at)));
    }
}

/// A cable's end at the switch.
fn far_end(at: usize) -> String {
    format!("cable{at}")
}

fn addresses(number: usize) -> [String; 2] {
    let host = number + 1;
    [format!("10.78.0.{host}"), format!("fd78::{host}")]
}
