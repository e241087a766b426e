//! The signed atom of change (rule R1).

use crate::{
    Act, ActorId, BatchId, ChainId, DesignDigest, EventId, EventRef, Op, OpRef, PartPath, Payload, PayloadHash, Target,
    Value, WorkspaceId, body, hash, limits::*, op_form,
};
use serde::{Serialize, Serializer};

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
        #[derive(Serialize)]
        struct Form<'a> {
            workspace: WorkspaceId,
            chain: ChainId,
            seq: u64,
            prev: Option<EventId>,
            deps: &'a [EventRef],
            lamport: u64,
            wall_ms: u64,
            design: DesignDigest,
            actor: Option<ActorId>,
            batch: Option<BatchId>,
            resubmits: Option<EventRef>,
            #[serde(serialize_with = "op_forms")]
            ops: &'a [Op],
        }

        let form = Form {
            workspace: self.workspace,
            chain: self.chain,
            seq: self.seq,
            prev: self.prev,
            deps: &self.deps,
            lamport: self.lamport,
            wall_ms: self.wall_ms,
            design: self.design,
            actor: self.actor,
            batch: self.batch,
            resubmits: self.resubmits,
            ops: &self.ops,
        };
        postcard::to_allocvec(&form).expect("a vector takes all bytes")
    }
}

/// One after the other: a list of them would take more memory than the event.
fn op_forms<S: Serializer>(ops: &[Op], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ops.iter().map(OpForm::of))
}

/// The hashed form of an op.
#[derive(Serialize)]
struct OpForm<'a> {
    kind: u16,
    target: TargetForm<'a>,
    preds: &'a [OpRef],
    #[serde(with = "serde_bytes")]
    args: Vec<u8>,
}

#[derive(Serialize)]
enum TargetForm<'a> {
    Workspace,
    Record(crate::RecordKey),
    Cell(crate::RecordKey, crate::FieldId, &'a PartPath),
}

impl<'a> OpForm<'a> {
    fn of(op: &'a Op) -> Self {
        let target = match &op.target {
            Target::Workspace => TargetForm::Workspace,
            Target::Record(record) => TargetForm::Record(*record),
            Target::Cell(cell) => TargetForm::Cell(cell.record, cell.field, &cell.part),
        };
        Self { kind: op.act.kind(), target, preds: &op.preds, args: op.act.args() }
    }
}

/// The hash that an absent payload is known by.
impl From<PayloadHash> for Payload {
    fn from(hash: PayloadHash) -> Self {
        Self::Absent(hash)
    }
}
