//! A second encoder, written from `docs/format.md` alone: what it writes must be what the first one reads.
//!
//! It checks nothing, so it also writes what no draft can be: that is how decoders are shown to refuse it.

use tandem_wire::*;

/// The stored bytes of a run of these events, signed by `key`; `prev` of all but the first is set here.
pub fn run(mut events: Vec<(Header, Payload)>, key: &SecretKey) -> Vec<u8> {
    for next in 1..events.len() {
        let (header, payload) = &events[next - 1];
        events[next].0.prev = Some(id(header, payload));
    }
    let (last, payload) = events.last().expect("at least one event");
    let signature = key.sign_run(id(last, payload));
    envelope(&[stored(&events), signature.to_vec()].concat())
}

/// `format kind length content`.
pub fn envelope(content: &[u8]) -> Vec<u8> {
    [&[1, 1][..], &(content.len() as u32).to_le_bytes(), content].concat()
}

/// The event's id.
pub fn id(header: &Header, payload: &Payload) -> EventId {
    let payload_hash = match payload {
        Payload::Present(bytes) => blake3::hash(bytes).into(),
        Payload::Absent(hash) => hash.0,
    };
    let domain = b"tandem 1 event";
    let hashed = [&[domain.len() as u8][..], domain, &payload_hash, &hashed_header(header)].concat();
    EventId(blake3::hash(&hashed).into())
}

/// The header as the id covers it, nothing left out.
pub fn hashed_header(header: &Header) -> Vec<u8> {
    let mut out = Out::default();
    out.raw(&header.workspace.0).raw(&header.chain.device.0).number(header.chain.number.into());
    out.number(header.seq).option(header.prev.map(|id| id.0));
    out.number(header.deps.len() as u64);
    for dep in &header.deps {
        full_ref(&mut out, dep);
    }
    out.number(header.lamport).number(header.wall_ms).raw(&header.design.0);
    out.option(header.actor.map(|id| id.0)).option(header.batch.map(|id| id.0));
    match &header.resubmits {
        None => out.raw(&[0]),
        Some(event) => full_ref(out.raw(&[1]), event),
    };
    out.number(header.ops.len() as u64);
    for op in &header.ops {
        out.number(op.act.kind().into());
        match &op.target {
            Target::Workspace => out.raw(&[0]),
            Target::Record(record) => out.raw(&[1]).raw(&record.list.0).raw(&record.record.0),
            Target::Cell(cell) => {
                out.raw(&[2]).raw(&cell.record.list.0).raw(&cell.record.record.0).raw(&cell.field.0);
                out.part(&cell.part)
            }
        };
        out.number(op.preds.len() as u64);
        for pred in &op.preds {
            out.raw(&pred.chain.device.0).number(pred.chain.number.into()).number(pred.seq);
            out.number(pred.op.into()).raw(&pred.tag.0);
        }
        out.string(&args(&op.act));
    }
    out.0
}

fn stored(events: &[(Header, Payload)]) -> Vec<u8> {
    let first = &events[0].0;
    let mut tables = Tables { own: Some(first.chain.device), devices: vec![], names: vec![] };
    let (mut lamport, mut wall_ms) = (first.lamport.wrapping_sub(1), first.wall_ms as i64);
    let mut body = Out::default();
    for (header, payload) in events {
        body.number(header.deps.len() as u64);
        for dep in &header.deps {
            table_ref(&mut body, &mut tables, dep);
        }
        body.number(header.lamport.wrapping_sub(lamport).wrapping_sub(1));
        body.signed(header.wall_ms as i64 - wall_ms);
        (lamport, wall_ms) = (header.lamport, header.wall_ms as i64);
        match &header.resubmits {
            None => body.raw(&[0]),
            Some(event) => table_ref(body.raw(&[1]), &mut tables, event),
        };
        body.number(header.ops.len() as u64);
        let mut before = None;
        for op in &header.ops {
            body.number(op.act.kind().into());
            target(&mut body, &mut tables, &op.target, before);
            before = op.target.record();
            body.number(op.preds.len() as u64);
            for pred in &op.preds {
                body.number(tables.device(pred.chain.device)).number(pred.chain.number.into()).number(pred.seq);
                body.number(pred.op.into()).raw(&pred.tag.0);
            }
            body.string(&args(&op.act));
        }
        match payload {
            Payload::Present(bytes) => body.raw(&[0]).string(bytes),
            Payload::Absent(hash) => body.raw(&[1]).raw(&hash.0),
        };
    }

    let mut out = Out::default();
    out.raw(&first.workspace.0).raw(&first.chain.device.0).number(first.chain.number.into());
    out.number(first.seq).option(first.prev.map(|id| id.0));
    out.number(first.lamport).number(first.wall_ms).raw(&first.design.0);
    out.option(first.actor.map(|id| id.0)).option(first.batch.map(|id| id.0));
    out.number(tables.devices.len() as u64);
    for device in &tables.devices {
        out.raw(&device.0);
    }
    out.number(tables.names.len() as u64);
    for name in &tables.names {
        out.raw(name);
    }
    out.number(events.len() as u64).raw(&body.0);
    out.0
}

fn target(out: &mut Out, tables: &mut Tables, target: &Target, before: Option<RecordKey>) {
    match target {
        Target::Workspace => out.raw(&[0]),
        Target::Record(record) if before == Some(*record) => out.raw(&[3]),
        Target::Record(record) => out.raw(&[1]).number(tables.name(record.list.0)).raw(&record.record.0),
        Target::Cell(cell) if before == Some(cell.record) => {
            out.raw(&[4]).number(tables.name(cell.field.0)).part(&cell.part)
        }
        Target::Cell(cell) => {
            out.raw(&[2]).number(tables.name(cell.record.list.0)).raw(&cell.record.record.0);
            out.number(tables.name(cell.field.0)).part(&cell.part)
        }
    };
}

fn full_ref<'a>(out: &'a mut Out, event: &EventRef) -> &'a mut Out {
    out.raw(&event.chain.device.0).number(event.chain.number.into()).number(event.seq).raw(&event.id.0)
}

fn table_ref<'a>(out: &'a mut Out, tables: &mut Tables, event: &EventRef) -> &'a mut Out {
    out.number(tables.device(event.chain.device)).number(event.chain.number.into()).number(event.seq).raw(&event.id.0)
}

/// The structural bytes of an op: its fields in the order in which they are declared.
fn args(act: &Act) -> Vec<u8> {
    let bytes = match act {
        Act::Set | Act::Create | Act::Delete | Act::Restore | Act::Resolve => Ok(vec![]),
        Act::Unknown { args, .. } => Ok(args.clone()),
        Act::Apply { type_id } => postcard::to_allocvec(type_id),
        Act::Discard(event) => postcard::to_allocvec(event),
        Act::HandOn { event, to } => postcard::to_allocvec(&(event, to)),
        Act::Genesis(args) => postcard::to_allocvec(args),
        Act::Bind(args) => postcard::to_allocvec(args),
        Act::Unbind(args) => postcard::to_allocvec(args),
        Act::Verdict(args) => postcard::to_allocvec(args),
        Act::Invite(args) => postcard::to_allocvec(args),
        Act::Withdraw(args) | Act::Keep(args) | Act::RulesChanged(args) => postcard::to_allocvec(args),
        Act::Admit(args) => postcard::to_allocvec(args),
        Act::SetRole(args) => postcard::to_allocvec(args),
        Act::Remove(args) => postcard::to_allocvec(args),
        Act::HandOver(args) => postcard::to_allocvec(args),
        Act::Define(args) => postcard::to_allocvec(args),
        Act::Put(args) => postcard::to_allocvec(args),
        Act::DesignProposed(args) => postcard::to_allocvec(args),
        Act::DesignMerged(args) | Act::DesignFailed(args) => postcard::to_allocvec(args),
    };
    bytes.unwrap()
}

struct Tables {
    own: Option<DeviceKey>,
    devices: Vec<DeviceKey>,
    names: Vec<[u8; 16]>,
}

impl Tables {
    fn device(&mut self, device: DeviceKey) -> u64 {
        if self.own == Some(device) { 0 } else { place(&mut self.devices, device) + 1 }
    }

    fn name(&mut self, name: [u8; 16]) -> u64 {
        place(&mut self.names, name)
    }
}

fn place<T: PartialEq>(table: &mut Vec<T>, entry: T) -> u64 {
    let found = table.iter().position(|other| *other == entry);
    found.unwrap_or_else(|| {
        table.push(entry);
        table.len() - 1
    }) as u64
}

#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Little-endian groups of seven bits, the top bit set on all but the last.
    fn number(&mut self, mut number: u64) -> &mut Self {
        while number >= 128 {
            self.0.push(number as u8 | 128);
            number >>= 7;
        }
        self.raw(&[number as u8])
    }

    /// Zigzag: 0, -1, 1, -2 … become 0, 1, 2, 3 …
    fn signed(&mut self, number: i64) -> &mut Self {
        self.number(((number << 1) ^ (number >> 63)) as u64)
    }

    fn option<const N: usize>(&mut self, id: Option<[u8; N]>) -> &mut Self {
        match id {
            None => self.raw(&[0]),
            Some(id) => self.raw(&[1]).raw(&id),
        }
    }

    fn string(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).raw(bytes)
    }

    fn part(&mut self, part: &PartPath) -> &mut Self {
        self.number(part.steps().len() as u64);
        for step in part.steps() {
            self.string(step);
        }
        self
    }
}
