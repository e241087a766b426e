//! Whether a packet may be sent, and what it is for.

use super::packet::{Packet, What};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// DNS, DNS over TLS, and the local network's names (LLMNR).
const NAME_PORTS: [u16; 3] = [53, 853, 5355];
const MDNS_PORT: u16 = 5353;
const MDNS_4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS_6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Whom a node may speak to.
pub struct Known {
    /// Its own addresses.
    pub own: Vec<IpAddr>,
    /// Where members' devices were seen.
    pub members: Vec<IpAddr>,
}

/// What a packet is for.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The kernel sends it by itself, for being on a network.
    Kernel(&'static str),
    /// The node sends it, and may.
    Node(&'static str),
    /// Nobody asked for it.
    Wrong(String),
}

pub fn judge(packet: &Packet, known: &Known) -> Verdict {
    let looks = Verdict::Node("looks for others on the local network");
    match packet.what {
        What::Udp(port) | What::Tcp(port) if NAME_PORTS.contains(&port) => {
            return Verdict::Wrong(format!("a name server is asked (port {port})"));
        }
        What::Arp => return Verdict::Kernel("by the kernel: ARP"),
        // Who joins a group says so.
        What::Igmp if packet.holds(MDNS_4.octets()) => return looks,
        What::Icmp6(130..=132 | 143) if packet.holds(MDNS_6.octets()) => return looks,
        What::Icmp6(130..=132 | 143) => return Verdict::Kernel("by the kernel: groups (MLD)"),
        What::Icmp6(133..=137) => return Verdict::Kernel("by the kernel: neighbours and routers (ND)"),
        What::Udp(_) | What::Tcp(_) | What::Icmp(_) | What::Icmp6(_) | What::Igmp | What::Ip(_) | What::Other(_) => {}
    }
    match packet.to {
        Some(to) if to.is_loopback() || known.own.contains(&to) => Verdict::Node("within the machine"),
        Some(to) if known.members.contains(&to) => Verdict::Node("to a member"),
        Some(IpAddr::V4(MDNS_4) | IpAddr::V6(MDNS_6)) if packet.what == What::Udp(MDNS_PORT) => looks,
        _other => Verdict::Wrong("nobody asked for this".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is captured.
    fn packet(to: &str, protocol: u8, content: &[u8]) -> Packet {
        let frame = match to.parse().unwrap() {
            IpAddr::V4(to) => {
                let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 77, 0, 2];
                header.extend(to.octets());
                [&[8, 0], &[0; 18][..], &header, content].concat()
            }
            IpAddr::V6(to) => {
                let mut header = vec![0x60, 0, 0, 0, 0, 0, 0, 64];
                header.extend([0; 16]);
                header.extend(to.octets());
                // An option for every hop, as the kernel's reports have.
                header[6] = if protocol == 58 { 0 } else { protocol };
                let option: &[u8] = if protocol == 58 { &[58, 0, 5, 2, 0, 0, 1, 0] } else { &[] };
                [&[0x86, 0xdd], &[0; 18][..], &header, option, content].concat()
            }
        };
        Packet::read(&frame)
    }

    fn udp(to: &str, port: u16) -> Packet {
        packet(to, 17, &[&[0x80, 0], &port.to_be_bytes()[..], b"content"].concat())
    }

    #[test]
    fn what_nobody_asked_for_is_wrong() {
        let known = Known {
            own: vec!["10.77.0.2".parse().unwrap(), "fd77::2".parse().unwrap()],
            members: vec!["10.77.0.1".parse().unwrap(), "fd77::1".parse().unwrap()],
        };
        let check = |packet: Packet, expect: &str| {
            let shown = match judge(&packet, &known) {
                Verdict::Kernel(what) | Verdict::Node(what) => what.to_owned(),
                Verdict::Wrong(why) => format!("wrong: {why}"),
            };
            assert!(shown.contains(expect), "{packet:?}: {shown}");
        };
        for (to, port) in [("10.77.0.53", 53), ("127.0.0.53", 53), ("10.77.0.1", 853), ("224.0.0.252", 5355)] {
            check(udp(to, port), "wrong: a name server");
        }
        check(udp("fd77::2", 53), "wrong: a name server");
        check(packet("192.0.2.1", 6, &[0x80, 0, 3, 85]), "wrong: a name server");
        // A relay, a gateway that is asked to map a port, the gateways of the neighbourhood, and mDNS elsewhere.
        for (to, port) in [("192.0.2.1", 443), ("10.77.0.254", 5351), ("239.255.255.250", 1900), ("10.77.0.9", 5353)] {
            check(udp(to, port), "wrong: nobody asked");
        }
        check(udp("2001:db8::1", 443), "wrong: nobody asked");
        check(packet("10.77.0.254", 1, &[8, 0, 0, 0]), "wrong: nobody asked");
        check(packet("ff02::1", 58, &[128, 0, 0, 0]), "wrong: nobody asked");
        check(udp("10.77.0.1", 40_000), "to a member");
        check(udp("fd77::1", 40_000), "to a member");
        check(udp("127.0.0.1", 40_000), "within the machine");
        check(udp("10.77.0.2", 40_000), "within the machine");
        check(udp("224.0.0.251", 5353), "looks for others");
        check(udp("ff02::fb", 5353), "looks for others");
        check(packet("224.0.0.22", 2, &[0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 251]), "looks for others");
        check(packet("224.0.0.22", 2, &[0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 252]), "wrong: nobody");
        let report = |group: Ipv6Addr| [&[143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0][..], &group.octets()].concat();
        check(packet("ff02::16", 58, &report(MDNS_6)), "looks for others");
        check(packet("ff02::16", 58, &report("ff02::1:ff00:2".parse().unwrap())), "by the kernel: groups");
        check(packet("ff02::2", 58, &[133, 0, 0, 0]), "by the kernel: neighbours");
    }
}
