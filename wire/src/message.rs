//! What two nodes say to each other about one workspace.
//!
//! A frame is one message. The dialogue is in the module doc of `actors/src/peer_link/session.rs`, and the answer to
//! everything that does not belong into it in `docs/protocol.md`.

use crate::{
    ChainEnd, ChainId, DeviceKey, EventRef, MemberId, OpRef, Signature, TableDigest, VersionTable, WorkspaceId,
    bounded, hash, limits::*,
};
use serde::{Deserialize, Serialize};

/// The version of the dialogue that this program speaks.
pub const PROTOCOL: u16 = 1;

/// One frame. Variants are only ever appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The first thing that a member says.
    Hello(Hello),
    /// The first thing that somebody says who holds a ticket and is no member yet.
    Join(Join),
    /// A part of what the sender has.
    Table(TablePart),
    /// Places of a forked chain, so that the other finds where the branches meet.
    Points(Points),
    /// Runs that the other lacks.
    Runs(Runs),
    /// Runs were taken in, and are on the disk.
    Taken(Taken),
    /// Is anybody there?
    Ping(u64),
    /// Yes.
    Pong(u64),
    /// The sender closes the link.
    Bye(Bye),
    /// Where the sender saw other members' devices, and where it is itself.
    Peers(Peers),
}

/// See [`Message::Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`]. It stays the first number of a hello for ever.
    pub protocol: u16,
    /// Which workspace, for those who know it already: [`tag`].
    pub tag: [u8; 16],
    /// What the sender has.
    pub state: TableDigest,
    /// What both had when they agreed last, if the sender still knows.
    pub agreed: Option<TableDigest>,
    /// The sender's clock, in milliseconds since 1970.
    pub clock_ms: u64,
}

/// See [`Message::Join`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// [`PROTOCOL`].
    pub protocol: u16,
    /// Which workspace: [`tag`].
    pub tag: [u8; 16],
    /// The invitation.
    pub invite: OpRef,
    /// The invited key's signature over workspace, invitation and the sender's device key.
    #[serde(with = "serde_bytes")]
    pub proof: Signature,
    /// The person.
    pub member: MemberId,
    /// Their name.
    #[serde(deserialize_with = "bounded::text::<_, NAME_BYTES_MAX>")]
    pub name: String,
}

/// See [`Message::Table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePart {
    /// How often this was told on this link, from 0. Who hears of a later round than its own tells its table again.
    pub round: u32,
    /// This is what differs from the table that both agreed on last.
    pub since_agreed: bool,
    /// Ends of chains, ascending.
    #[serde(deserialize_with = "bounded::list::<_, _, TABLE_PART_ENDS_MAX>")]
    pub ends: Vec<EventRef>,
    /// More of it follows.
    pub more: bool,
}

/// See [`Message::Points`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    /// The chain.
    pub chain: ChainId,
    /// Some of the sender's events there: the ends, and at growing distances before them.
    #[serde(deserialize_with = "bounded::list::<_, _, POINTS_MAX>")]
    pub points: Vec<ChainEnd>,
}

/// The stored bytes of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBytes(
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "bounded::bytes::<_, RUN_BYTES_MAX>")]
    pub  Vec<u8>,
);

/// See [`Message::Runs`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// At most [`BATCH_BYTES_MAX`] of them together, or a single one.
    #[serde(deserialize_with = "bounded::list::<_, _, BATCH_RUNS_MAX>")]
    pub runs: Vec<RunBytes>,
    /// Where the sender stands.
    pub state: State,
}

/// See [`Message::Taken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Bytes of runs that were taken in on this link so far.
    pub bytes: u64,
    /// Where the sender stands.
    pub state: State,
}

/// See [`Message::Peers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// By device.
    #[serde(deserialize_with = "bounded::list::<_, _, PEERS_MAX>")]
    pub peers: Vec<PeerPlaces>,
}

/// Where a device was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerPlaces {
    /// Which.
    pub device: DeviceKey,
    /// The last first.
    #[serde(deserialize_with = "bounded::list::<_, _, PLACES_MAX>")]
    pub places: Vec<Place>,
}

/// An address on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// IPv6, or IPv4 in its IPv6 form.
    pub ip: [u8; 16],
    /// The UDP port.
    pub port: u16,
}

/// Where somebody stands, as they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What they have.
    pub table: TableDigest,
    /// They have sent everything that the other lacks, as far as they know.
    pub is_through: bool,
}

/// Why a link is closed. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bye {
    /// The sender's node stops, or does not need the link.
    Done,
    /// The other speaks a later version of the dialogue.
    Newer,
    /// The other is no member any more.
    Removed,
    /// The invitation is unknown, withdrawn, expired or used up.
    NotInvited,
    /// A person has to approve; try again later.
    AwaitsApproval,
    /// What the other sent breaks the rules of the dialogue.
    Violation,
    /// The tables stay different, whatever is sent.
    Diverged,
    /// The sender cannot take anything in now.
    Busy,
}

/// Bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// A dialogue of a later version begins with it.
    #[error("the other node speaks version {0} of the protocol, newer than this program's {PROTOCOL}: update")]
    Newer(u16),
    /// It cannot be read.
    #[error("the message cannot be read")]
    Damaged,
}

impl Message {
    /// The bytes of a frame.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a vector takes all bytes")
    }

    /// Reads a frame.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        if let Some(protocol) = protocol_of_opening(bytes).filter(|protocol| *protocol > PROTOCOL) {
            return Err(BadMessage::Newer(protocol));
        }
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            Ok(_) | Err(_) => Err(BadMessage::Damaged),
        }
    }
}

/// The version that a hello or join names, whatever comes after it.
fn protocol_of_opening(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0 | 1, rest @ ..] => postcard::take_from_bytes(rest).ok().map(|(protocol, _)| protocol),
        _other => None,
    }
}

impl TablePart {
    /// A table in parts.
    pub fn of(table: &VersionTable, round: u32, since_agreed: bool) -> Vec<Self> {
        let ends: Vec<EventRef> = table.all().collect();
        let last = ends.len().saturating_sub(1) / TABLE_PART_ENDS_MAX;
        let part = |index: usize| {
            let from = index * TABLE_PART_ENDS_MAX;
            let ends = ends[from..ends.len().min(from + TABLE_PART_ENDS_MAX)].to_vec();
            Self { round, since_agreed, ends, more: index < last }
        };
        (0..=last).map(part).collect()
    }
}

/// Which end of a link somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who dialled.
    Dialer,
    /// Who was dialled.
    Listener,
}

/// Names a workspace on one connection, for who knows it already. `secret` is what only the two ends of the connection
/// know; each side's tag is its own, so that an echo proves nothing.
pub fn tag(workspace: WorkspaceId, secret: &[u8; 32], device: DeviceKey, side: Side) -> [u8; 16] {
    let side = [match side {
        Side::Dialer => 0,
        Side::Listener => 1,
    }];
    let hash = hash::derive("tandem 1 hello", &[&workspace.0, secret, &device.0, &side]);
    *hash.first_chunk().expect("longer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventId, EventTag};

    fn samples() -> Vec<(Message, &'static str)> {
        let chain = ChainId { device: DeviceKey([0x44; 32]), number: 3 };
        let (end, digest) = (ChainEnd { seq: 300, id: EventId([0x55; 32]) }, TableDigest([0x66; 32]));
        let state = State { table: digest, is_through: true };
        let invite = OpRef { chain, seq: 1, op: 2, tag: EventTag([0x77; 16]) };
        let hello = Hello { protocol: 1, tag: [0x11; 16], state: digest, agreed: Some(digest), clock_ms: 1 };
        let join = Join {
            protocol: 1,
            tag: [0x11; 16],
            invite,
            proof: [0x22; 64],
            member: MemberId([0x33; 16]),
            name: "Ada".into(),
        };
        let (d4, i5, t6) = ("44".repeat(32), "55".repeat(32), "66".repeat(32));
        let hex = |text: String| -> &'static str { text.leak() };
        vec![
            (Message::Hello(hello), hex(format!("0001{}{t6}01{t6}01", "11".repeat(16)))),
            (
                Message::Join(join),
                hex(format!(
                    "0101{}{d4}030102{}40{}{}03416461",
                    "11".repeat(16),
                    "77".repeat(16),
                    "22".repeat(64),
                    "33".repeat(16)
                )),
            ),
            (
                Message::Table(TablePart { round: 1, since_agreed: true, ends: vec![end.of(chain)], more: false }),
                hex(format!("02010101{d4}03ac02{i5}00")),
            ),
            (Message::Points(Points { chain, points: vec![end] }), hex(format!("03{d4}0301ac02{i5}"))),
            (Message::Runs(Runs { runs: vec![RunBytes(vec![9])], state }), hex(format!("04010109{t6}01"))),
            (Message::Taken(Taken { bytes: 128, state }), hex(format!("058001{t6}01"))),
            (Message::Ping(7), "0607"),
            (Message::Pong(7), "0707"),
            (Message::Bye(Bye::Done), "0800"),
            (Message::Bye(Bye::Busy), "0807"),
            (
                Message::Peers(Peers {
                    peers: vec![PeerPlaces {
                        device: chain.device,
                        places: vec![Place { ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1], port: 300 }],
                    }],
                }),
                hex(format!("0901{d4}01{}ffffc0000201ac02", "00".repeat(10))),
            ),
        ]
    }

    #[test]
    fn messages_have_their_golden_bytes() {
        for (message, golden) in samples() {
            let hex: String = message.encode().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, golden, "{message:?}");
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn what_is_cut_or_followed_by_something_is_no_message() {
        for (message, _) in samples() {
            let bytes = message.encode();
            for cut in 0..bytes.len() {
                assert_eq!(Message::decode(&bytes[..cut]), Err(BadMessage::Damaged), "{message:?} cut at {cut}");
            }
            assert_eq!(Message::decode(&[&bytes[..], &[0]].concat()), Err(BadMessage::Damaged));
        }
    }

    #[test]
    fn a_later_version_is_told_by_its_first_words() {
        let mut bytes = samples()[0].0.encode();
        bytes[1] = 2;
        bytes.truncate(9);
        assert_eq!(Message::decode(&bytes), Err(BadMessage::Newer(2)));
    }

    #[test]
    fn tables_come_in_parts() {
        let chain = |n: usize| ChainId { device: DeviceKey([1; 32]), number: n as u32 };
        for count in [0, 1, TABLE_PART_ENDS_MAX, TABLE_PART_ENDS_MAX + 1, 3 * TABLE_PART_ENDS_MAX] {
            let end = ChainEnd { seq: 1, id: EventId([1; 32]) };
            let table: VersionTable = (0..count).map(|n| end.of(chain(n))).collect();
            let parts = TablePart::of(&table, 0, false);
            assert_eq!(parts.len(), count.div_ceil(TABLE_PART_ENDS_MAX).max(1));
            assert!(parts.iter().rev().skip(1).all(|part| part.more) && !parts.last().unwrap().more);
            assert_eq!(parts.into_iter().flat_map(|part| part.ends).collect::<VersionTable>(), table);
        }
    }

    #[test]
    fn the_largest_frames_fit() {
        let chain = ChainId { device: DeviceKey([1; 32]), number: u32::MAX };
        let end = ChainEnd { seq: SEQ_MAX, id: EventId([1; 32]) };
        let part =
            TablePart { round: 0, since_agreed: false, ends: vec![end.of(chain); TABLE_PART_ENDS_MAX], more: false };
        assert!(Message::Table(part).encode().len() <= FRAME_BYTES_MAX);
        let points = Points { chain, points: vec![end; POINTS_MAX] };
        assert!(Message::Points(points).encode().len() <= FRAME_BYTES_MAX);
        let state = State { table: TableDigest([0; 32]), is_through: false };
        let runs = Runs { runs: vec![RunBytes(vec![0; RUN_BYTES_MAX]); BATCH_BYTES_MAX / RUN_BYTES_MAX], state };
        assert!(Message::Runs(runs).encode().len() <= FRAME_BYTES_MAX);
    }
}
