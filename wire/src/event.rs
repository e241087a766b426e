//! The signed atom of change (rule R1).

use crate::{
    Act, ActorId, BatchId, ChainId, DesignDigest, EventId, EventRef, Op, OpRef, Payload, PayloadHash, Target, Value,
    WorkspaceId, body, hash, limits::*, op_form, put,
};

/// What is known of an event without its payload: enough to verify, order and dominate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// Its chain.
    pub chain: ChainId,
    /// Its place there, from 0.
    pub seq: u64,
    /// The event before it in its chain; none at place 0.
    pub prev: Option<EventId>,
    /// The rest of what its author had seen last, strictly ascending.
    pub deps: Vec<EventRef>,
    /// 1 + the greatest lamport of `prev` and `deps`; 1 where there are none.
    pub lamport: u64,
    /// The author's clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// The design that it was written under.
    pub design: DesignDigest,
    /// Who acted, on a shared device.
    pub actor: Option<ActorId>,
    /// The import or job that it is part of.
    pub batch: Option<BatchId>,
    /// The masked event that it is meant to replace.
    pub resubmits: Option<EventRef>,
    /// What it does.
    pub ops: Vec<Op>,
}

/// Why bytes, or a draft, are no event. It is the same for everybody, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A count, length or number is beyond its limit.
    #[error("{0} is beyond its limit")]
    Limit(&'static str),
    /// Something is not in its one canonical form.
    #[error("{0} is not in canonical form")]
    NotCanonical(&'static str),
    /// A control op in a data chain, or the other way round.
    #[error("a {kind} op does not belong in this chain")]
    WrongChain {
        /// The op's name.
        kind: &'static str,
    },
    /// An op is about something that its kind cannot be about.
    #[error("a {kind} op cannot have this target")]
    WrongTarget {
        /// The op's name.
        kind: &'static str,
    },
    /// `prev` and `seq` contradict each other.
    #[error("the first event of a chain, and only that, has no previous one")]
    Prev,
    /// An event without ops.
    #[error("an event does at least one thing")]
    Empty,
    /// The payload does not belong to the ops.
    #[error("the payload does not fit the ops")]
    Payload,
    /// A genesis that does not found this workspace.
    #[error("this device cannot found this workspace")]
    Genesis,
}

/// A well-formed event with its id. Whether it is valid depends on what it refers to (rule R2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    id: EventId,
    header: Header,
    payload: Payload,
    size: usize,
}

impl Event {
    /// Checks the form of header and payload, and computes the id.
    pub fn new(header: Header, payload: Payload) -> Result<Self, Malformed> {
        header.check()?;
        if !body::is_well_formed(header.ops.iter().map(|op| &op.act), &payload) {
            return Err(Malformed::Payload);
        }
        let hashed = header.hashed_bytes();
        let payload_bytes = match &payload {
            Payload::Present(bytes) => bytes.len(),
            Payload::Absent(_) => 0,
        };
        let size = hashed.len() + payload_bytes;
        if size > EVENT_BYTES_MAX {
            return Err(Malformed::Limit("the event's size"));
        }
        let id = EventId(hash::derive("tandem 1 event", &[&payload.hash().0, &hashed]));
        Ok(Self { id, header, payload, size })
    }

    /// Its id.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Everything but the values.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of its hashed header and its payload; it never takes more in a run.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The values, or their hash.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Place and id.
    pub fn reference(&self) -> EventRef {
        EventRef { chain: self.header.chain, seq: self.header.seq, id: self.id }
    }

    /// Its `op`-th op, as others refer to it.
    pub fn op_ref(&self, op: u16) -> OpRef {
        self.reference().op(op)
    }

    /// The `op`-th body; nothing where the payload is absent.
    pub fn body(&self, op: usize) -> Option<&[u8]> {
        self.payload.bodies()?.nth(op)
    }

    /// The value that the `op`-th op sets; nothing where the payload is absent.
    pub fn value(&self, op: usize) -> Option<Value> {
        self.body(op).map(|body| Value::decode(body).expect("bodies were checked"))
    }

    /// The same event without its payload.
    pub fn without_payload(&self) -> Self {
        let payload_bytes = match &self.payload {
            Payload::Present(bytes) => bytes.len(),
            Payload::Absent(_) => 0,
        };
        Self {
            id: self.id,
            header: self.header.clone(),
            payload: Payload::Absent(self.payload.hash()),
            size: self.size - payload_bytes,
        }
    }
}

impl Header {
    fn check(&self) -> Result<(), Malformed> {
        let limit = |within: bool, what| if within { Ok(()) } else { Err(Malformed::Limit(what)) };
        limit(self.deps.len() <= DEPS_MAX, "the number of dependencies")?;
        limit(self.ops.len() <= EVENT_OPS_MAX, "the number of ops")?;
        limit(self.wall_ms <= WALL_MS_MAX, "the wall clock")?;
        limit(self.seq <= SEQ_MAX, "the sequence number")?;
        limit((1..=SEQ_MAX).contains(&self.lamport), "the lamport")?;
        if self.ops.is_empty() {
            return Err(Malformed::Empty);
        }
        if self.prev.is_none() != (self.seq == 0) {
            return Err(Malformed::Prev);
        }
        if !self.deps.is_sorted_by(|a, b| a < b) {
            return Err(Malformed::NotCanonical("the order of the dependencies"));
        }
        self.deps.iter().chain(&self.resubmits).try_for_each(op_form::check_event_ref)?;
        self.ops.iter().try_for_each(|op| op_form::check(op, self.chain))?;
        self.check_genesis()
    }

    /// A genesis opens the owner's first chain, and is the first thing that happens there.
    fn check_genesis(&self) -> Result<(), Malformed> {
        let is_first = self.chain.number == 0 && self.seq == 0 && self.deps.is_empty();
        for (index, op) in self.ops.iter().enumerate() {
            let Act::Genesis(genesis) = &op.act else { continue };
            let founds = WorkspaceId::founded_by(self.chain.device, genesis.nonce) == self.workspace;
            if !founds || !is_first || index != 0 {
                return Err(Malformed::Genesis);
            }
        }
        Ok(())
    }

    /// The bytes that the id covers, besides the payload's hash.
    fn hashed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192 + 72 * self.ops.len());
        out.extend_from_slice(&self.workspace.0);
        put::chain(&mut out, &self.chain);
        put::varint(&mut out, self.seq);
        put::option(&mut out, self.prev.as_ref().map(|id| &id.0[..]));
        put::varint(&mut out, self.deps.len() as u64);
        self.deps.iter().for_each(|dep| put::event_ref(&mut out, dep));
        put::varint(&mut out, self.lamport);
        put::varint(&mut out, self.wall_ms);
        out.extend_from_slice(&self.design.0);
        put::option(&mut out, self.actor.as_ref().map(|actor| &actor.0[..]));
        put::option(&mut out, self.batch.as_ref().map(|batch| &batch.0[..]));
        match &self.resubmits {
            None => out.push(0),
            Some(event) => {
                out.push(1);
                put::event_ref(&mut out, event);
            }
        }
        put::varint(&mut out, self.ops.len() as u64);
        self.ops.iter().for_each(|op| put_op(&mut out, op));
        out
    }
}

/// The hashed form of an op.
fn put_op(out: &mut Vec<u8>, op: &Op) {
    put::varint(out, op.act.kind().into());
    match &op.target {
        Target::Workspace => out.push(0),
        Target::Record(record) => {
            out.push(1);
            out.extend_from_slice(&record.list.0);
            out.extend_from_slice(&record.record.0);
        }
        Target::Cell(cell) => {
            out.push(2);
            out.extend_from_slice(&cell.record.list.0);
            out.extend_from_slice(&cell.record.record.0);
            out.extend_from_slice(&cell.field.0);
            put::part(out, &cell.part);
        }
    }
    put::varint(out, op.preds.len() as u64);
    op.preds.iter().for_each(|pred| put::op_ref(out, pred));
    put::bytes(out, &op.act.args());
}

/// The hash that an absent payload is known by.
impl From<PayloadHash> for Payload {
    fn from(hash: PayloadHash) -> Self {
        Self::Absent(hash)
    }
}
