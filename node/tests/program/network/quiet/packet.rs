//! Packets as tcpdump writes them down when it listens on all devices (pcap, with LINUX_SLL2 before each).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

const PCAP_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const LINUX_SLL2: u32 = 276;
const SLL2_HEADER_BYTES: usize = 20;

/// One packet, as far as it matters who says what to whom.
pub struct Packet {
    pub to: Option<IpAddr>,
    pub what: What,
    /// What it holds behind its addresses.
    pub content: Vec<u8>,
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Arp,
    /// To this port.
    Udp(u16),
    /// To this port.
    Tcp(u16),
    /// Of this type.
    Icmp(u8),
    /// Of this type.
    Icmp6(u8),
    Igmp,
    /// Another protocol, by its number.
    Ip(u8),
    /// No IP, by the number of its kind.
    Other(u16),
}

impl Packet {
    /// All packets of a file.
    pub fn all(file: &[u8]) -> Vec<Self> {
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("4 bytes"));
        assert_eq!((word(0), word(20)), (0xa1b2_c3d4, LINUX_SLL2), "a capture on all devices, by a recent tcpdump");
        let (mut packets, mut at) = (Vec::new(), PCAP_HEADER_BYTES);
        while at < file.len() {
            let from = at + RECORD_HEADER_BYTES;
            at = from + word(at + 8) as usize;
            packets.push(Self::read(&file[from..at]));
        }
        packets
    }

    /// With what stands before it: the number of its kind first.
    pub fn read(frame: &[u8]) -> Self {
        let (kind, packet) = (u16::from_be_bytes([frame[0], frame[1]]), &frame[SLL2_HEADER_BYTES..]);
        match kind {
            0x0800 => {
                let to: [u8; 4] = packet[16..20].try_into().expect("4 bytes");
                let content = &packet[usize::from(packet[0] & 15) * 4..];
                Self::over_ip(Ipv4Addr::from(to).into(), packet[9], content)
            }
            0x86dd => {
                let to: [u8; 16] = packet[24..40].try_into().expect("16 bytes");
                let (protocol, content) = match packet[6] {
                    // Options for every hop: of one length and the next protocol.
                    0 => (packet[40], &packet[40 + 8 * (1 + usize::from(packet[41]))..]),
                    protocol => (protocol, &packet[40..]),
                };
                Self::over_ip(Ipv6Addr::from(to).into(), protocol, content)
            }
            0x0806 => Self { to: None, what: What::Arp, content: packet.to_vec() },
            other => Self { to: None, what: What::Other(other), content: packet.to_vec() },
        }
    }

    fn over_ip(to: IpAddr, protocol: u8, content: &[u8]) -> Self {
        let port = || u16::from_be_bytes([content[2], content[3]]);
        let what = match protocol {
            1 => What::Icmp(content[0]),
            2 => What::Igmp,
            6 => What::Tcp(port()),
            17 => What::Udp(port()),
            58 => What::Icmp6(content[0]),
            other => What::Ip(other),
        };
        Self { to: Some(to), what, content: content.to_vec() }
    }

    /// Whether it holds this anywhere.
    pub fn holds(&self, part: impl AsRef<[u8]>) -> bool {
        self.content.windows(part.as_ref().len()).any(|window| window == part.as_ref())
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.content.iter().take(100).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
        write!(f, "{:?} to {}: {text}", self.what, self.to.map_or("all".into(), |to| to.to_string()))
    }
}
