//! One run for each thing that the format can say: the golden files, the seeds of the fuzzer, the measured sizes.

use tandem_wire::*;

/// A run and what it shows.
pub struct Sample {
    pub name: &'static str,
    pub about: &'static str,
    pub run: Run,
}

pub const RECORD: RecordKey = RecordKey { list: ListId([0x11; 16]), record: RecordId([0x22; 16]) };
pub const FIELD: FieldId = FieldId([0x33; 16]);
pub const OTHER_DEVICE: DeviceKey = DeviceKey([0x44; 32]);
const WALL_MS: u64 = 1_700_000_000_000;

pub fn all() -> Vec<Sample> {
    let sample = |name, about, run| Sample { name, about, run };
    vec![
        sample("edit", "an edit of one field over one predecessor, in a run of its own", edit()),
        sample("create", "a new record with eight fields", create()),
        sample("data_ops", "one event for each kind of data op", data_ops()),
        sample("control_ops", "one event for each kind of control op", control_ops()),
        sample("values", "one op for each form of value, and a form of a later version", values()),
        sample("parts", "cells inside a field: an element, a part of an element, three steps", parts()),
        sample("absent_payload", "the edit again, its value erased: the same id", absent_payload()),
        sample("unknown_kind", "an op of a later version, with a cell, a predecessor and bytes", unknown_kind()),
        sample("shared", "actor, batch and a resubmission; dependencies on two devices", shared()),
        sample("clock_back", "four events, the clock set back and forth between them", clock_back()),
    ]
}

/// Writes one chain, event after event.
pub struct Writer {
    pub key: SecretKey,
    pub next: Header,
    events: Vec<Event>,
}

impl Writer {
    /// The start of chain `number`.
    pub fn new(number: u32) -> Self {
        let key = SecretKey::from_bytes(&[7; 32]);
        let next = Header {
            workspace: WorkspaceId::founded_by(key.device(), [5; 16]),
            chain: ChainId { device: key.device(), number },
            seq: 0,
            prev: None,
            deps: vec![],
            lamport: 1,
            wall_ms: WALL_MS,
            design: DesignDigest([0x55; 16]),
            actor: None,
            batch: None,
            resubmits: None,
            ops: vec![],
        };
        Self { key, next, events: vec![] }
    }

    /// Somewhere inside a data chain.
    pub fn inside() -> Self {
        let mut writer = Self::new(1);
        writer.next.seq = 4711;
        writer.next.lamport = 5000;
        writer.next.prev = Some(EventId([0x66; 32]));
        writer
    }

    /// Appends an event of these ops and bodies; 1 s passes.
    pub fn event(&mut self, ops: Vec<(Op, Vec<u8>)>) -> Event {
        let (ops, bodies): (Vec<Op>, Vec<Vec<u8>>) = ops.into_iter().unzip();
        let event = Event::new(Header { ops, ..self.next.clone() }, Payload::of(&bodies)).unwrap();
        self.append(event.clone());
        event
    }

    pub fn append(&mut self, event: Event) {
        self.next.seq += 1;
        self.next.lamport += 1;
        self.next.wall_ms += 1000;
        self.next.prev = Some(event.id());
        self.next.deps.clear();
        self.next.resubmits = None;
        self.events.push(event);
    }

    pub fn sign(self) -> Run {
        Run::sign(self.events, &self.key).unwrap()
    }
}

pub fn edit() -> Run {
    let mut writer = Writer::inside();
    writer.event(vec![edit_op()]);
    writer.sign()
}

fn edit_op() -> (Op, Vec<u8>) {
    let pred = own_event(4000).op(3);
    let op = Op { target: cell(FIELD), preds: vec![pred], act: Act::Set };
    (op, Value::Text("+49 30 1234567".into()).encode())
}

pub fn create() -> Run {
    let mut writer = Writer::inside();
    writer.event(create_ops(RECORD));
    writer.sign()
}

/// A contact: a name, a company, a phone …
pub fn create_ops(record: RecordKey) -> Vec<(Op, Vec<u8>)> {
    let texts = ["Zoë", "Müller", "Brown & Sons Ltd.", "+49 30 1234567", "zoe@example.org", "Hauptstraße 7", "Köln"];
    let mut values: Vec<Value> = texts.iter().map(|text| Value::Text((*text).into())).collect();
    values.push(Value::Date(9876));
    let sets = values.iter().enumerate().map(|(index, value)| {
        let field = FieldId([0x80 + index as u8; 16]);
        let cell = CellKey { record, field, part: PartPath::default() };
        (Op { target: Target::Cell(cell), preds: vec![], act: Act::Set }, value.encode())
    });
    let create = (Op { target: Target::Record(record), preds: vec![], act: Act::Create }, vec![]);
    std::iter::once(create).chain(sets).collect()
}

fn data_ops() -> Run {
    let mut writer = Writer::new(1);
    let target = |act: &Act| match act {
        Act::Set | Act::Apply { .. } => cell(FIELD),
        Act::Discard(_) | Act::HandOn { .. } => Target::Workspace,
        _on_a_record => Target::Record(RECORD),
    };
    let other = other_event(9);
    let acts = [
        (Act::Create, vec![]),
        (Act::Set, Value::Int(-7).encode()),
        (Act::Delete, vec![]),
        (Act::Restore, vec![]),
        (Act::Apply { type_id: 300 }, b"steps".to_vec()),
        (Act::Resolve, vec![]),
        (Act::Discard(Box::new(other)), vec![]),
        (Act::HandOn { event: Box::new(other), to: MemberId([0x77; 16]) }, b"please".to_vec()),
    ];
    let mut before: Option<OpRef> = None;
    for (act, body) in acts {
        let op = Op { target: target(&act), preds: before.into_iter().collect(), act };
        before = Some(writer.event(vec![(op, body)]).op_ref(0));
    }
    writer.sign()
}

fn control_ops() -> Run {
    let mut writer = Writer::new(0);
    let op = |act| Op { target: Target::Workspace, preds: vec![], act };
    let (term, other) = (other_event(1).op(0), other_event(2));
    let mut marks = vec![Mark(own_event(3)), Mark(other)];
    marks.sort();
    let invite = other_event(5).op(1);
    let rehearsed = || Rehearsed { proposal: term, covers: marks.clone() };
    let verdict = |outcome| Verdict { term, last: other, count: 2, outcome };
    let blame = vec![Blame { record: RECORD, field: Some(FIELD), rule: "phone".into() }];
    let refusal = RefusalText { message: "No such number.".into(), blame };
    let acts = vec![
        (
            Act::Genesis(Box::new(Genesis { nonce: [5; 16], member: MemberId([0x77; 16]) })),
            body(&GenesisText { workspace: "Contacts".into(), member: "Zoë".into() }),
        ),
        (
            Act::Bind(Box::new(Bind {
                authority: ChainId { device: OTHER_DEVICE, number: 0 },
                scope: Scope::Lists(vec![RECORD.list]),
                mode: BindingMode::Mirror,
                seen: marks.clone(),
                ends: vec![End { binding: term, at: Some(Mark(other)) }],
            })),
            vec![],
        ),
        (Act::Unbind(Box::new(End { binding: term, at: None })), vec![]),
        (Act::Verdict(Box::new(verdict(Outcome::Accept))), vec![]),
        (Act::Verdict(Box::new(verdict(Outcome::Refuse(RefusalCode::PATTERN)))), body(&refusal)),
        (
            Act::Invite(Box::new(Invite {
                key: OTHER_DEVICE,
                role: Role::Writer,
                uses: 3,
                expires_ms: WALL_MS + 86_400_000,
                approve: true,
            })),
            vec![],
        ),
        (Act::Withdraw(Box::new(invite)), vec![]),
        (
            Act::Admit(Box::new(Admit {
                member: MemberId([0x78; 16]),
                device: OTHER_DEVICE,
                role: Role::Designer,
                invited: Some(Invited { invite, proof: [0x99; 64] }),
            })),
            body(&AdmitText { member: "Ali".into() }),
        ),
        (Act::SetRole(Box::new(SetRole { device: OTHER_DEVICE, role: Role::Reader, cuts: marks.clone() })), vec![]),
        (Act::Remove(Box::new(Remove { device: OTHER_DEVICE, cuts: marks.clone() })), vec![]),
        (Act::Keep(Box::new(term)), vec![]),
        (Act::HandOver(Box::new(OTHER_DEVICE)), vec![]),
        (Act::Define(Box::new(Define { kind: 2, parent: Some(RECORD.list.into()) })), vec![]),
        (Act::Put(Box::new(Put { element: FIELD.into(), property: 1 })), Value::Text("Phone".into()).encode()),
        (
            Act::DesignProposed(Box::new(DesignProposed {
                term,
                design: DesignDigest([0xaa; 16]),
                steps: vec![other],
                table: marks.clone(),
            })),
            vec![],
        ),
        (Act::DesignMerged(Box::new(rehearsed())), vec![]),
        (Act::DesignFailed(Box::new(rehearsed())), b"12 rows".to_vec()),
        (
            Act::RulesChanged(Box::new(term)),
            body(&RulesText { rules: vec![RuleName { list: RECORD.list, name: "polite".into() }] }),
        ),
    ];
    for (act, body) in acts {
        writer.event(vec![(op(act), body)]);
    }
    writer.sign()
}

/// Every form of value, the last one of a later version.
pub fn one_of_each_value() -> Vec<Value> {
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(-3),
        Value::Decimal(Decimal::new(1250, 2).unwrap()),
        Value::Float(1.5),
        Value::Text("Zoë".into()),
        Value::Date(19_000),
        Value::DateTime { ms: 1, zone: "+02:00".into() },
        Value::Duration { months: 1, ms: 2 },
        Value::Choice(ElementId([9; 16])),
        Value::Reference { list: RECORD.list, record: RECORD.record },
        Value::Rank(vec![7]),
        Value::Bytes(vec![0, 255]),
        Value::Blob { hash: [8; 32], bytes: 300, media_type: "image/png".into() },
        Value::Other { form: 99, bytes: b"later".to_vec() },
    ]
}

fn values() -> Run {
    let mut writer = Writer::inside();
    let set = |value: &Value| (Op { target: cell(FIELD), preds: vec![], act: Act::Set }, value.encode());
    writer.event(one_of_each_value().iter().map(set).collect());
    writer.sign()
}

fn parts() -> Run {
    let mut writer = Writer::inside();
    let paths: [&[&[u8]]; 4] = [&[b"home"], &[b"home", b"number"], &[b"a", b"", b"c"], &[&[0xff; 64]]];
    let set = |path: &&[&[u8]]| {
        let cell = CellKey { record: RECORD, field: FIELD, part: PartPath::new(path.iter()).unwrap() };
        (Op { target: Target::Cell(cell), preds: vec![], act: Act::Set }, Value::Bool(true).encode())
    };
    writer.event(paths.iter().map(set).collect());
    writer.sign()
}

fn absent_payload() -> Run {
    let event = edit().events()[0].without_payload();
    let mut writer = Writer::inside();
    writer.append(event);
    writer.sign()
}

fn unknown_kind() -> Run {
    let mut writer = Writer::inside();
    let act = Act::Unknown { kind: 301, args: b"later".to_vec() };
    let op = Op { target: cell(FIELD), preds: vec![other_event(9).op(0)], act };
    writer.event(vec![(op, b"content".to_vec())]);
    writer.sign()
}

fn shared() -> Run {
    let mut writer = Writer::inside();
    writer.next.actor = Some(ActorId([0xbb; 16]));
    writer.next.batch = Some(BatchId([0xcc; 16]));
    writer.next.resubmits = Some(own_event(17));
    let third = EventRef { chain: ChainId { device: DeviceKey([0x45; 32]), number: 3 }, ..other_event(1) };
    writer.next.deps = vec![other_event(12), third];
    writer.event(create_ops(RECORD));
    writer.next.deps = vec![other_event(13)];
    writer.event(vec![edit_op()]);
    writer.sign()
}

fn clock_back() -> Run {
    let mut writer = Writer::inside();
    for wall_ms in [WALL_MS, WALL_MS - 3_600_000, 0, limits::WALL_MS_MAX] {
        writer.next.wall_ms = wall_ms;
        writer.next.lamport += 3;
        writer.event(vec![edit_op()]);
    }
    writer.sign()
}

pub fn cell(field: FieldId) -> Target {
    Target::Cell(CellKey { record: RECORD, field, part: PartPath::default() })
}

fn own_event(seq: u64) -> EventRef {
    let chain = Writer::new(1).next.chain;
    EventRef { chain, seq, id: EventId([0xdd; 32]) }
}

pub fn other_event(seq: u64) -> EventRef {
    EventRef { chain: ChainId { device: OTHER_DEVICE, number: 1 }, seq, id: EventId([0xee; 32]) }
}

pub fn body<T: serde::Serialize>(text: &T) -> Vec<u8> {
    postcard::to_allocvec(text).unwrap()
}
