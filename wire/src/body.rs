//! The payload of an event: one byte string for each op, empty where the header says all.

use crate::{Act, FieldId, ListId, RecordKey, Value, bounded, limits::*, put};
use serde::{Deserialize, Serialize};

/// Payload of [`Act::Genesis`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisText {
    /// The workspace's name.
    #[serde(deserialize_with = "bounded::text::<_, NAME_BYTES_MAX>")]
    pub workspace: String,
    /// The owner's name.
    #[serde(deserialize_with = "bounded::text::<_, NAME_BYTES_MAX>")]
    pub member: String,
}

/// Payload of [`Act::Admit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitText {
    /// The member's name.
    #[serde(deserialize_with = "bounded::text::<_, NAME_BYTES_MAX>")]
    pub member: String,
}

/// Payload of a refusing [`Act::Verdict`]; of an accepting one it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalText {
    /// A sentence for the author.
    #[serde(deserialize_with = "bounded::text::<_, REFUSAL_TEXT_BYTES_MAX>")]
    pub message: String,
    /// The cells at fault.
    #[serde(deserialize_with = "bounded::list::<_, _, BLAME_MAX>")]
    pub blame: Vec<Blame>,
}

/// A cell that a refusal blames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// The record.
    pub record: RecordKey,
    /// The field, where it is one field's fault.
    pub field: Option<FieldId>,
    /// The rule's name.
    #[serde(deserialize_with = "bounded::text::<_, NAME_BYTES_MAX>")]
    pub rule: String,
}

/// Payload of [`Act::RulesChanged`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesText {
    /// The rules that are other ones now, or gone; none: any may be.
    #[serde(deserialize_with = "bounded::list::<_, _, RULES_NAMED_MAX>")]
    pub rules: Vec<RuleName>,
}

/// A rule of an authority, as refusals name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleName {
    /// The list whose records it is about.
    pub list: ListId,
    /// Its name.
    #[serde(deserialize_with = "bounded::text::<_, NAME_BYTES_MAX>")]
    pub name: String,
}

/// The byte strings of an event's ops, or only what they hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// All of them, each behind its length.
    Present(Vec<u8>),
    /// Erased, sealed, over quota, or not sent.
    Absent(crate::PayloadHash),
}

impl Payload {
    /// Of these bodies, one for each op.
    pub fn of<B: AsRef<[u8]>>(bodies: impl IntoIterator<Item = B>) -> Self {
        let mut bytes = Vec::new();
        for body in bodies {
            let body = body.as_ref();
            put::bytes(&mut bytes, body);
        }
        Self::Present(bytes)
    }

    /// What the header's hash covers.
    pub fn hash(&self) -> crate::PayloadHash {
        match self {
            Self::Present(bytes) => crate::PayloadHash(*blake3::hash(bytes).as_bytes()),
            Self::Absent(hash) => *hash,
        }
    }

    /// The bodies in the order of the ops; nothing where the payload is absent.
    pub fn bodies(&self) -> Option<Bodies<'_>> {
        match self {
            Self::Present(bytes) => Some(Bodies { rest: bytes, broken: false }),
            Self::Absent(_) => None,
        }
    }
}

/// See [`Payload::bodies`].
#[derive(Debug, Clone)]
pub struct Bodies<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> Iterator for Bodies<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let split = read_varint(self.rest).and_then(|(len, rest)| rest.split_at_checked(len));
        match split {
            Some((body, rest)) => {
                self.rest = rest;
                Some(body)
            }
            None => {
                self.broken = true;
                self.rest = &[];
                None
            }
        }
    }
}

/// Whether `payload` has exactly one body for each act, each of the act's own form, all canonical.
pub(crate) fn is_well_formed<'a>(acts: impl Iterator<Item = &'a Act>, payload: &Payload) -> bool {
    let Payload::Present(bytes) = payload else { return true };
    let mut bodies = Bodies { rest: bytes, broken: false };
    for act in acts {
        if !bodies.next().is_some_and(|body| fits(act, body)) {
            return false;
        }
    }
    bodies.next().is_none() && !bodies.broken
}

fn fits(act: &Act, body: &[u8]) -> bool {
    match act {
        Act::Set | Act::Put(_) => Value::can_be_read(body),
        Act::Genesis(_) => is_exactly::<GenesisText>(body),
        Act::Admit(_) => is_exactly::<AdmitText>(body),
        Act::Verdict(verdict) => match verdict.outcome {
            crate::Outcome::Accept => body.is_empty(),
            crate::Outcome::Refuse(_) => is_exactly::<RefusalText>(body),
        },
        Act::RulesChanged(_) => is_exactly::<RulesText>(body),
        Act::Apply { .. } | Act::DesignFailed(_) | Act::HandOn { .. } | Act::Discard(_) | Act::Unknown { .. } => true,
        Act::Create
        | Act::Delete
        | Act::Restore
        | Act::Resolve
        | Act::Bind(_)
        | Act::Unbind(_)
        | Act::Invite(_)
        | Act::Withdraw(_)
        | Act::SetRole(_)
        | Act::Remove(_)
        | Act::Keep(_)
        | Act::HandOver(_)
        | Act::Define(_)
        | Act::DesignProposed(_)
        | Act::DesignMerged(_) => body.is_empty(),
    }
}

fn is_exactly<'a, T: Serialize + Deserialize<'a>>(body: &'a [u8]) -> bool {
    postcard::from_bytes::<T>(body).is_ok_and(|value| postcard::to_allocvec(&value).is_ok_and(|again| again == body))
}

/// Bytes of the length of a body: 2²⁸ is far beyond an event's limit.
const LENGTH_BYTES_MAX: usize = 4;

/// A length in its shortest form, and what follows it.
fn read_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * index);
        let (is_last, is_idle) = (byte & 0x80 == 0, *byte == 0 && index > 0);
        if is_last {
            return if is_idle { None } else { Some((number, &bytes[index + 1..])) };
        }
    }
    None
}
