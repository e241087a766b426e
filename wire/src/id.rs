//! Names of things: fixed-size byte strings, compared and shown as lowercase hex.

use crate::hash;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The text is not the hex form of the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}: expected {digits} hexadecimal digits")]
pub struct ParseIdError {
    /// The kind of id, with its article: `an event id`.
    pub what: &'static str,
    /// How many digits its full form has.
    pub digits: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(", stringify!($name))?;
                self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, ")")
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self).ok_or(ParseIdError { what: $what, digits: 2 * $len })
            }
        }
    };
}

id!(
    /// A workspace: derived from its first owner's device key and a nonce, so nobody else can found it.
    WorkspaceId, 32, "a workspace id"
);
id!(
    /// The public half of a device's Ed25519 key: the author of its events.
    DeviceKey, 32, "a device key"
);
id!(
    /// BLAKE3 of an event's header and payload hash.
    EventId, 32, "an event id"
);
id!(
    /// BLAKE3 of an event's payload bytes.
    PayloadHash, 32, "a payload hash"
);
id!(
    /// Digest of the design frontier that an event was written under.
    DesignDigest, 16, "a design digest"
);
id!(
    /// A list, derived from the op that defined it.
    ListId, 16, "a list id"
);
id!(
    /// A field, derived from the op that defined it.
    FieldId, 16, "a field id"
);
id!(
    /// Any element of a design; lists and fields are elements.
    ElementId, 16, "a design element id"
);
id!(
    /// A record, chosen by its creator: random, or derived from list, source and key.
    RecordId, 16, "a record id"
);
id!(
    /// A person in a workspace.
    MemberId, 16, "a member id"
);
id!(
    /// The person or token that acted on a shared device.
    ActorId, 16, "an actor id"
);
id!(
    /// An import or a job, so that it can be undone whole.
    BatchId, 16, "a batch id"
);
id!(
    /// The first half of an event id: nobody can guess it before having seen the event, and nobody, not even
    /// the author, can make two events that share one (8 bytes could be ground out in 2³² tries).
    EventTag, 16, "an event tag"
);

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}

impl WorkspaceId {
    /// The workspace that `owner` founds with `nonce`.
    pub fn founded_by(owner: DeviceKey, nonce: [u8; 16]) -> Self {
        Self(hash::derive("tandem 1 workspace", &[&owner.0, &nonce]))
    }
}

impl EventId {
    /// The part of the id that references carry as proof of having seen the event.
    pub fn tag(&self) -> EventTag {
        EventTag(first(&self.0))
    }

    /// The least id that starts like this: where a search for such ids begins.
    pub fn least_with(tag: EventTag) -> Self {
        Self(std::array::from_fn(|i| tag.0.get(i).copied().unwrap_or(0)))
    }
}

impl ElementId {
    /// The element that the `op`-th op of `event` defines.
    pub fn defined_by(event: EventId, op: u16) -> Self {
        let full = hash::derive("tandem 1 element", &[&event.0, &op.to_le_bytes()]);
        Self(first(&full))
    }

    /// This element seen as a list.
    pub fn as_list(self) -> ListId {
        ListId(self.0)
    }

    /// This element seen as a field.
    pub fn as_field(self) -> FieldId {
        FieldId(self.0)
    }
}

impl From<ListId> for ElementId {
    fn from(list: ListId) -> Self {
        Self(list.0)
    }
}

impl From<FieldId> for ElementId {
    fn from(field: FieldId) -> Self {
        Self(field.0)
    }
}

impl RecordId {
    /// The record that everybody who imports `key` from `source` into `list` makes.
    pub fn derived(list: ListId, source: &str, key: &[u8]) -> Self {
        let source = hash::derive("tandem 1 record source", &[source.as_bytes()]);
        let full = hash::derive("tandem 1 record", &[&list.0, &source, key]);
        Self(first(&full))
    }
}

fn first<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_rejects_everything_else() {
        let id = RecordId(std::array::from_fn(|i| i as u8 * 17));
        assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "0",
            "zz112233445566778899aabbccddeeff",
            "00112233445566778899aabbccddeeff0",
            "+0112233445566778899aabbccddeeff",
        ] {
            assert!(bad.parse::<RecordId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn derived_records_differ_by_list_source_and_key() {
        let list = |n| ListId([n; 16]);
        let base = RecordId::derived(list(1), "a.csv", b"7");
        assert_eq!(base, RecordId::derived(list(1), "a.csv", b"7"));
        assert_ne!(base, RecordId::derived(list(2), "a.csv", b"7"));
        assert_ne!(base, RecordId::derived(list(1), "b.csv", b"7"));
        assert_ne!(base, RecordId::derived(list(1), "a.csv7", b""));
    }
}
