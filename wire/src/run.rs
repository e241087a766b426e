//! Runs: consecutive events of one chain under one signature, as they are stored and sent.
//!
//! What the events share (workspace, chain, `prev`, design, actor, batch) stands once; device keys, lists and
//! fields that recur stand in a table, in the order of their first use. The bytes are canonical: decoding them
//! and encoding the result gives them back, and anything else is refused.

use crate::{
    Act, ActorId, BatchId, CellKey, ChainId, DesignDigest, DeviceKey, Event, EventId, EventRef, EventTag, FieldId,
    Header, ListId, Malformed, Op, OpRef, PartPath, Payload, PayloadHash, RecordId, RecordKey, SecretKey, Signature,
    Target, WorkspaceId, bounded,
    envelope::{self, BadEnvelope, Kind},
    limits::*,
    put,
};
use serde::Deserialize;
use std::{borrow::Borrow, collections::BTreeMap};

/// Events of one chain, each the next of the one before, signed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    events: Vec<Event>,
    signature: Signature,
}

/// Why bytes are no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRun {
    /// The frame around it cannot be opened.
    #[error(transparent)]
    Envelope(#[from] BadEnvelope),
    /// It holds something else.
    #[error("not a run")]
    NotARun,
    /// It cannot be read.
    #[error("the run's bytes are damaged")]
    Damaged,
    /// It can be read, but was not written by this encoder.
    #[error("the run's bytes are not canonical")]
    NotCanonical,
    /// More than [`RUN_EVENTS_MAX`] events or [`RUN_BYTES_MAX`] bytes, or none.
    #[error("the run's size is beyond its limit")]
    Size,
    /// One of its events is malformed.
    #[error("event {index} of the run: {why}")]
    Event {
        /// Which, from 0.
        index: usize,
        /// Why.
        why: Malformed,
    },
    /// Its signature is not its author's.
    #[error("the run's signature is not its author's")]
    Signature,
    /// Its events do not follow one another in one chain.
    #[error("the run's events are not consecutive")]
    NotConsecutive,
}

impl Run {
    /// Signs `events`, which follow one another in one chain of `key`'s device.
    pub fn sign(events: Vec<Event>, key: &SecretKey) -> Result<Self, BadRun> {
        let run = Self { signature: signature(&events, key)?, events };
        if run.encode().len() > RUN_BYTES_MAX { Err(BadRun::Size) } else { Ok(run) }
    }

    /// The stored bytes of a run that is signed with `key`, as [`Run::sign`] and [`Run::encode`] give them.
    pub fn seal<E: Borrow<Event>>(events: &[E], key: &SecretKey) -> Result<Vec<u8>, BadRun> {
        let bytes = stored(events, &signature(events, key)?);
        if bytes.len() > RUN_BYTES_MAX { Err(BadRun::Size) } else { Ok(bytes) }
    }

    /// Its events in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Its events in order, without the signature.
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// The stored bytes, envelope included.
    pub fn encode(&self) -> Vec<u8> {
        stored(&self.events, &self.signature)
    }

    /// Reads and verifies a run from outside.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadRun> {
        let run = Self::decode_trusted(bytes)?;
        let last = run.events.last().ok_or(BadRun::Size)?;
        if !last.header().chain.device.has_signed_run(last.id(), &run.signature) {
            return Err(BadRun::Signature);
        }
        if run.encode() != bytes {
            return Err(BadRun::NotCanonical);
        }
        Ok(run)
    }

    /// Reads a run that this node has verified before; checks everything but signature and canonical form.
    pub fn decode_trusted(bytes: &[u8]) -> Result<Self, BadRun> {
        if bytes.len() > RUN_BYTES_MAX {
            return Err(BadRun::Size);
        }
        let (kind, content) = envelope::open(bytes)?;
        if kind != Kind::RUN {
            return Err(BadRun::NotARun);
        }
        let (content, signature) = content.split_last_chunk::<64>().ok_or(BadRun::Damaged)?;
        let (stored, rest) = postcard::take_from_bytes::<Stored>(content).map_err(|_| BadRun::Damaged)?;
        if !rest.is_empty() {
            return Err(BadRun::Damaged);
        }
        Ok(Self { events: stored.events()?, signature: *signature })
    }

    /// One op of one event of a run that this node has verified before, both counted from 0. It reads no further, and
    /// hashes nothing. `None` where there is none.
    pub fn peek_op(bytes: &[u8], event: usize, op: usize) -> Option<Op> {
        let (_, content) = envelope::open(bytes).ok()?;
        let (head, rest) = postcard::take_from_bytes::<Head>(content).ok()?;
        let (count, mut rest) = postcard::take_from_bytes::<usize>(rest).ok()?;
        if event >= count {
            return None;
        }
        for _before in 0..event {
            rest = postcard::take_from_bytes::<StoredEvent>(rest).ok()?.1;
        }
        let (mut stored, _) = postcard::take_from_bytes::<StoredEvent>(rest).ok()?;
        stored.ops.truncate(op + 1);
        head.lookup().ops(stored.ops)?.into_iter().nth(op)
    }
}

/// What [`Run::sign`] signs with, if these events can be a run.
fn signature<E: Borrow<Event>>(events: &[E], key: &SecretKey) -> Result<[u8; 64], BadRun> {
    let last = events.last().ok_or(BadRun::Size)?.borrow();
    if events.len() > RUN_EVENTS_MAX {
        return Err(BadRun::Size);
    }
    let consecutive = events.windows(2).all(|pair| follows(pair[0].borrow(), pair[1].borrow()));
    if !consecutive || last.header().chain.device != key.device() {
        return Err(BadRun::NotConsecutive);
    }
    Ok(key.sign_run(last.id()))
}

fn stored<E: Borrow<Event>>(events: &[E], signature: &[u8; 64]) -> Vec<u8> {
    let mut content = Vec::with_capacity(512);
    put_stored(&mut content, events);
    content.extend_from_slice(signature);
    envelope::seal(Kind::RUN, &content)
}

/// Whether `b` is the next event of `a`'s chain and can stand in a run with it.
fn follows(a: &Event, b: &Event) -> bool {
    let (before, header) = (a.header(), b.header());
    header.prev == Some(a.id())
        && header.seq == before.seq + 1
        && header.lamport > before.lamport
        && shared(header) == shared(before)
}

/// What all events of a run have in common.
fn shared(header: &Header) -> (WorkspaceId, ChainId, DesignDigest, Option<ActorId>, Option<BatchId>) {
    (header.workspace, header.chain, header.design, header.actor, header.batch)
}

#[derive(Deserialize)]
struct Stored {
    head: Head,
    #[serde(deserialize_with = "bounded::list::<_, _, RUN_EVENTS_MAX>")]
    events: Vec<StoredEvent>,
}

/// What the events of a run share.
#[derive(Deserialize)]
struct Head {
    workspace: WorkspaceId,
    device: DeviceKey,
    number: u32,
    seq: u64,
    prev: Option<EventId>,
    lamport: u64,
    wall_ms: u64,
    design: DesignDigest,
    actor: Option<ActorId>,
    batch: Option<BatchId>,
    /// Devices that the events refer to, besides `device` itself.
    #[serde(deserialize_with = "bounded::list::<_, _, RUN_BYTES_MAX>")]
    devices: Vec<DeviceKey>,
    /// Lists and fields that the events are about.
    #[serde(deserialize_with = "bounded::list::<_, _, RUN_BYTES_MAX>")]
    names: Vec<[u8; 16]>,
}

#[derive(Deserialize)]
struct StoredEvent {
    #[serde(deserialize_with = "bounded::list::<_, _, DEPS_MAX>")]
    deps: Vec<StoredEventRef>,
    /// Over 1 + the lamport before it (for the first: over the run's).
    lamport_step: u64,
    /// Over the clock before it (for the first: over the run's).
    wall_step_ms: i64,
    resubmits: Option<StoredEventRef>,
    #[serde(deserialize_with = "bounded::list::<_, _, EVENT_OPS_MAX>")]
    ops: Vec<StoredOp>,
    payload: StoredPayload,
}

#[derive(Deserialize)]
struct StoredEventRef {
    device: u32,
    number: u32,
    seq: u64,
    id: EventId,
}

#[derive(Deserialize)]
struct StoredOpRef {
    device: u32,
    number: u32,
    seq: u64,
    op: u16,
    tag: EventTag,
}

#[derive(Deserialize)]
struct StoredOp {
    kind: u16,
    target: StoredTarget,
    #[serde(deserialize_with = "bounded::list::<_, _, PREDS_MAX>")]
    preds: Vec<StoredOpRef>,
    #[serde(with = "serde_bytes")]
    args: Vec<u8>,
}

#[derive(Deserialize)]
enum StoredTarget {
    Workspace,
    Record(u32, RecordId),
    Cell(u32, RecordId, u32, PartPath),
    /// The record of the op before it.
    Same,
    /// A cell of the record of the op before it.
    SameCell(u32, PartPath),
}

#[derive(Deserialize)]
enum StoredPayload {
    Present(#[serde(with = "serde_bytes")] Vec<u8>),
    Absent(PayloadHash),
}

/// The bytes that [`Stored`] is read from.
fn put_stored<E: Borrow<Event>>(out: &mut Vec<u8>, events: &[E]) {
    let first = events[0].borrow().header();
    let mut tables = Tables::new(first.chain.device);
    let mut lamport = first.lamport - 1;
    let mut wall_ms = first.wall_ms;
    let mut body = Vec::with_capacity(events.iter().map(|event| event.borrow().size()).sum::<usize>() / 2);
    put::varint(&mut body, events.len() as u64);
    for event in events.iter().map(Borrow::borrow) {
        let header = event.header();
        put::varint(&mut body, header.deps.len() as u64);
        header.deps.iter().for_each(|dep| tables.put_event_ref(&mut body, dep));
        put::varint(&mut body, header.lamport - lamport - 1);
        put::zigzag(&mut body, header.wall_ms as i64 - wall_ms as i64);
        match &header.resubmits {
            None => body.push(0),
            Some(event) => {
                body.push(1);
                tables.put_event_ref(&mut body, event);
            }
        }
        tables.put_ops(&mut body, &header.ops);
        match event.payload() {
            Payload::Present(bytes) => {
                body.push(0);
                put::bytes(&mut body, bytes);
            }
            Payload::Absent(hash) => {
                body.push(1);
                body.extend_from_slice(&hash.0);
            }
        }
        lamport = header.lamport;
        wall_ms = header.wall_ms;
    }
    out.extend_from_slice(&first.workspace.0);
    put::chain(out, &first.chain);
    put::varint(out, first.seq);
    put::option(out, first.prev.as_ref().map(|id| &id.0[..]));
    put::varint(out, first.lamport);
    put::varint(out, first.wall_ms);
    out.extend_from_slice(&first.design.0);
    put::option(out, first.actor.as_ref().map(|actor| &actor.0[..]));
    put::option(out, first.batch.as_ref().map(|batch| &batch.0[..]));
    put::varint(out, tables.devices.len() as u64);
    tables.devices.iter().for_each(|device| out.extend_from_slice(&device.0));
    put::varint(out, tables.names.len() as u64);
    tables.names.iter().for_each(|name| out.extend_from_slice(name));
    out.extend_from_slice(&body);
}

impl Head {
    fn lookup(&self) -> Lookup<'_> {
        Lookup { own: self.device, devices: &self.devices, names: &self.names }
    }
}

impl Stored {
    fn events(self) -> Result<Vec<Event>, BadRun> {
        let head = &self.head;
        if head.lamport == 0 || head.lamport > SEQ_MAX || head.seq > SEQ_MAX || head.wall_ms > WALL_MS_MAX {
            return Err(BadRun::Damaged);
        }
        let lookup = head.lookup();
        let chain = ChainId { device: head.device, number: head.number };
        let (mut prev, mut lamport, mut wall_ms) = (head.prev, head.lamport - 1, head.wall_ms as i64);
        let mut events: Vec<Event> = Vec::with_capacity(self.events.len());
        for (index, stored) in self.events.into_iter().enumerate() {
            lamport = (lamport + 1).checked_add(stored.lamport_step).ok_or(BadRun::Damaged)?;
            wall_ms = wall_ms.checked_add(stored.wall_step_ms).ok_or(BadRun::Damaged)?;
            let deps = stored.deps.iter().map(|dep| lookup.event_ref(dep)).collect::<Option<_>>();
            let resubmits = stored.resubmits.as_ref().map(|event| lookup.event_ref(event).ok_or(BadRun::Damaged));
            let header = Header {
                workspace: head.workspace,
                chain,
                seq: head.seq + index as u64,
                prev,
                deps: deps.ok_or(BadRun::Damaged)?,
                lamport,
                wall_ms: u64::try_from(wall_ms).map_err(|_| BadRun::Damaged)?,
                design: head.design,
                actor: head.actor,
                batch: head.batch,
                resubmits: resubmits.transpose()?,
                ops: lookup.ops(stored.ops).ok_or(BadRun::Damaged)?,
            };
            let payload = match stored.payload {
                StoredPayload::Present(bytes) => Payload::Present(bytes),
                StoredPayload::Absent(hash) => Payload::Absent(hash),
            };
            let event = Event::new(header, payload).map_err(|why| BadRun::Event { index, why })?;
            prev = Some(event.id());
            events.push(event);
        }
        if events.is_empty() { Err(BadRun::Size) } else { Ok(events) }
    }
}

/// Collects what recurs, while encoding.
struct Tables {
    own: DeviceKey,
    devices: Vec<DeviceKey>,
    device_index: BTreeMap<DeviceKey, u32>,
    names: Vec<[u8; 16]>,
    name_index: BTreeMap<[u8; 16], u32>,
}

impl Tables {
    fn new(own: DeviceKey) -> Self {
        Self { own, devices: Vec::new(), device_index: BTreeMap::new(), names: Vec::new(), name_index: BTreeMap::new() }
    }

    /// 0 is the run's own device.
    fn device(&mut self, device: DeviceKey) -> u32 {
        if device == self.own {
            return 0;
        }
        *self.device_index.entry(device).or_insert_with(|| {
            self.devices.push(device);
            self.devices.len() as u32
        })
    }

    fn name(&mut self, name: [u8; 16]) -> u32 {
        *self.name_index.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.names.len() as u32 - 1
        })
    }

    fn put_event_ref(&mut self, out: &mut Vec<u8>, event: &EventRef) {
        put::varint(out, self.device(event.chain.device).into());
        put::varint(out, event.chain.number.into());
        put::varint(out, event.seq);
        out.extend_from_slice(&event.id.0);
    }

    fn put_op_ref(&mut self, out: &mut Vec<u8>, op: &OpRef) {
        put::varint(out, self.device(op.chain.device).into());
        put::varint(out, op.chain.number.into());
        put::varint(out, op.seq);
        put::varint(out, op.op.into());
        out.extend_from_slice(&op.tag.0);
    }

    fn put_ops(&mut self, out: &mut Vec<u8>, ops: &[Op]) {
        put::varint(out, ops.len() as u64);
        let mut before = None;
        for op in ops {
            put::varint(out, op.act.kind().into());
            self.put_target(out, &op.target, before);
            before = op.target.record();
            put::varint(out, op.preds.len() as u64);
            op.preds.iter().for_each(|pred| self.put_op_ref(out, pred));
            put::bytes(out, &op.act.args());
        }
    }

    /// The variants of [`StoredTarget`].
    fn put_target(&mut self, out: &mut Vec<u8>, target: &Target, before: Option<RecordKey>) {
        match target {
            Target::Workspace => out.push(0),
            Target::Record(record) if before == Some(*record) => out.push(3),
            Target::Record(record) => {
                out.push(1);
                put::varint(out, self.name(record.list.0).into());
                out.extend_from_slice(&record.record.0);
            }
            Target::Cell(cell) => {
                if before == Some(cell.record) {
                    out.push(4);
                } else {
                    out.push(2);
                    put::varint(out, self.name(cell.record.list.0).into());
                    out.extend_from_slice(&cell.record.record.0);
                }
                put::varint(out, self.name(cell.field.0).into());
                put::part(out, &cell.part);
            }
        }
    }
}

/// Reads what recurs, while decoding.
struct Lookup<'a> {
    own: DeviceKey,
    devices: &'a [DeviceKey],
    names: &'a [[u8; 16]],
}

impl Lookup<'_> {
    fn device(&self, index: u32) -> Option<DeviceKey> {
        match index.checked_sub(1) {
            None => Some(self.own),
            Some(other) => self.devices.get(other as usize).copied(),
        }
    }

    fn name(&self, index: u32) -> Option<[u8; 16]> {
        self.names.get(index as usize).copied()
    }

    fn event_ref(&self, event: &StoredEventRef) -> Option<EventRef> {
        let chain = ChainId { device: self.device(event.device)?, number: event.number };
        Some(EventRef { chain, seq: event.seq, id: event.id })
    }

    fn op_ref(&self, op: &StoredOpRef) -> Option<OpRef> {
        let chain = ChainId { device: self.device(op.device)?, number: op.number };
        Some(OpRef { chain, seq: op.seq, op: op.op, tag: op.tag })
    }

    fn ops(&self, stored: Vec<StoredOp>) -> Option<Vec<Op>> {
        let mut ops = Vec::with_capacity(stored.len());
        let mut before = None;
        for op in stored {
            let target = self.target(op.target, before)?;
            before = target.record();
            ops.push(Op {
                target,
                preds: op.preds.iter().map(|pred| self.op_ref(pred)).collect::<Option<_>>()?,
                act: Act::parse(op.kind, &op.args).ok()?,
            });
        }
        Some(ops)
    }

    fn target(&self, target: StoredTarget, before: Option<RecordKey>) -> Option<Target> {
        let record = |list, record| Some(RecordKey { list: ListId(self.name(list)?), record });
        let cell =
            |record, field, part| Some(Target::Cell(CellKey { record, field: FieldId(self.name(field)?), part }));
        match target {
            StoredTarget::Workspace => Some(Target::Workspace),
            StoredTarget::Record(list, id) => record(list, id).map(Target::Record),
            StoredTarget::Cell(list, id, field, part) => cell(record(list, id)?, field, part),
            StoredTarget::Same => before.map(Target::Record),
            StoredTarget::SameCell(field, part) => cell(before?, field, part),
        }
    }
}
