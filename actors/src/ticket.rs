//! Tickets: what somebody needs to join a workspace, as a text that can be copied and shown as a QR code.

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr, str::FromStr};
use tandem_wire::{DeviceKey, MemberId, OpRef, SecretKey, WorkspaceId};

/// What every ticket begins with; the number is its form's version.
const PREFIX: &str = "tandem1";
/// Characters of the longest ticket.
const CHARACTERS_MAX: usize = 2048;

/// An invitation with its secret. Who has it can join, as often as the invitation says: it is to be shown to nobody else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The invitation in its log.
    pub invite: OpRef,
    /// What the log keeps only a public key of.
    pub secret: [u8; 16],
    /// The node that made it, and may admit.
    pub device: DeviceKey,
    /// Where that was.
    pub addresses: Vec<SocketAddr>,
    /// Whose further device it is for, and their name; none for somebody new.
    pub person: Option<(MemberId, String)>,
}

/// The text is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTicket {
    /// Something else.
    #[error("this is no ticket: a ticket begins with {PREFIX} and is one word")]
    Foreign,
    /// A part is missing or was changed.
    #[error("the ticket is damaged or incomplete; copy it again, all of it")]
    Damaged,
}

impl Ticket {
    /// The key that its holder proves the invitation with.
    pub fn key(&self) -> SecretKey {
        SecretKey::of_invitation(&self.secret)
    }
}

/// Never the secret.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket for {:?} by {:?}", self.workspace, self.device)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = postcard::to_allocvec(self).expect("a vector takes all bytes");
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_lowercase())
    }
}

impl FromStr for Ticket {
    type Err = BadTicket;

    fn from_str(text: &str) -> Result<Self, BadTicket> {
        // However it was copied: in capitals, as from a QR code, and with line breaks.
        let text: String = text.split_whitespace().collect::<String>().to_ascii_lowercase();
        let body = text.strip_prefix(PREFIX).ok_or(BadTicket::Foreign)?;
        if text.len() > CHARACTERS_MAX {
            return Err(BadTicket::Damaged);
        }
        let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| BadTicket::Damaged)?;
        let (body, found) = bytes.split_last_chunk::<4>().ok_or(BadTicket::Damaged)?;
        if *found != check(body) {
            return Err(BadTicket::Damaged);
        }
        postcard::from_bytes(body).map_err(|_| BadTicket::Damaged)
    }
}

/// Against slips, not against attacks: who makes a ticket up has no secret that fits.
fn check(bytes: &[u8]) -> [u8; 4] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_wire::{ChainId, EventTag};

    fn ticket() -> Ticket {
        let device = DeviceKey([7; 32]);
        let invite = OpRef { chain: ChainId { device, number: 0 }, seq: 3, op: 0, tag: EventTag([9; 16]) };
        let addresses = vec!["192.0.2.1:4000".parse().unwrap(), "[2001:db8::1]:4000".parse().unwrap()];
        Ticket { workspace: WorkspaceId([1; 32]), invite, secret: [5; 16], device, addresses, person: None }
    }

    #[test]
    fn a_ticket_comes_back_however_it_was_copied() {
        let text = ticket().to_string();
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(text.to_uppercase().parse(), Ok(ticket()));
        let personal = Ticket { person: Some((MemberId([3; 16]), "Ada".into())), ..ticket() };
        assert_eq!(personal.to_string().parse(), Ok(personal));
        let broken: Vec<String> =
            text.as_bytes().chunks(40).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
        assert_eq!(format!(" {}\n", broken.join("\n  ")).parse(), Ok(ticket()));
        assert!(!format!("{:?}", ticket()).contains("5, 5"), "the secret is not for logs");
    }

    #[test]
    fn other_texts_are_none() {
        let text = ticket().to_string();
        assert_eq!("hello".parse::<Ticket>(), Err(BadTicket::Foreign));
        for cut in PREFIX.len()..text.len() {
            assert_eq!(text[..cut].parse::<Ticket>(), Err(BadTicket::Damaged), "cut at {cut}");
        }
        for at in PREFIX.len()..text.len() {
            let other = if text.as_bytes()[at] == b'a' { "b" } else { "a" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(changed.parse::<Ticket>().is_err(), "changed at {at}");
        }
        assert_eq!(format!("{PREFIX}{}", "a".repeat(1 << 20)).parse::<Ticket>(), Err(BadTicket::Damaged));
    }
}
