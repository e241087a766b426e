//! Strategies for everything that a run can hold.
//!
//! Devices, lists and fields come from small pools, so that they recur; numbers reach their limits.

use proptest::{collection, option, prelude::*};
use std::collections::BTreeSet;
use tandem_wire::{limits::*, *};

/// The author of every run here.
pub fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

/// Every form of value, with the edges of its content.
pub fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (any::<i128>(), 0..=DECIMAL_SCALE_MAX).prop_map(|(m, s)| Value::Decimal(Decimal::new(m, s).unwrap())),
        any::<f64>().prop_filter_map("finite", Value::float),
        ".{0,40}".prop_map(Value::Text),
        any::<i32>().prop_map(Value::Date),
        (any::<i64>(), "[A-Za-z/_+:0-9]{0,64}").prop_map(|(ms, zone)| Value::DateTime { ms, zone }),
        (any::<i32>(), any::<i64>()).prop_map(|(months, ms)| Value::Duration { months, ms }),
        any::<[u8; 16]>().prop_map(|id| Value::Choice(ElementId(id))),
        (any::<[u8; 16]>(), any::<[u8; 16]>())
            .prop_map(|(list, record)| Value::Reference { list: ListId(list), record: RecordId(record) }),
        bytes(RANK_BYTES_MAX).prop_map(Value::Rank),
        bytes(100).prop_map(Value::Bytes),
        (any::<[u8; 32]>(), any::<u64>(), "[a-z/]{0,20}").prop_map(|(hash, bytes, media_type)| Value::Blob {
            hash,
            bytes,
            media_type
        }),
        (14u32.., bytes(40)).prop_map(|(form, bytes)| Value::Other { form, bytes }),
    ]
}

/// An op with its body.
pub type Part = (Op, Vec<u8>);

/// Any op of a data chain.
pub fn data_op() -> impl Strategy<Value = Part> {
    let on_cell = prop_oneof![
        any_value().prop_map(|value| (Act::Set, value.encode())),
        (any::<u32>(), bytes(40)).prop_map(|(type_id, body)| (Act::Apply { type_id }, body)),
    ];
    let on_record = prop_oneof![Just(Act::Create), Just(Act::Delete), Just(Act::Restore), Just(Act::Resolve)];
    let on_workspace = prop_oneof![
        event_ref().prop_map(|it| Act::Discard(Box::new(it))),
        (event_ref(), member()).prop_map(|(event, to)| Act::HandOn { event: Box::new(event), to }),
    ];
    let unknown = (8u16..30_000, bytes(40)).prop_map(|(half, args)| Act::Unknown { kind: 2 * half + 1, args });
    prop_oneof![
        8 => op(cell(), on_cell),
        4 => op(record().prop_map(Target::Record), on_record.prop_map(|act| (act, vec![]))),
        1 => op(Just(Target::Workspace), (on_workspace, bytes(40))),
        1 => op(target(), (unknown, bytes(40))),
    ]
}

fn rules_text() -> impl Strategy<Value = Vec<u8>> {
    let rule = (name(), text()).prop_map(|(list, name)| RuleName { list: ListId(list), name });
    collection::vec(rule, 0..4).prop_map(|rules| body(&RulesText { rules }))
}

/// Any op of a control chain but a genesis, which only opens one.
pub fn control_op() -> impl Strategy<Value = Part> {
    let bare = prop_oneof![
        bind().prop_map(|it| Act::Bind(Box::new(it))),
        end().prop_map(|it| Act::Unbind(Box::new(it))),
        invite().prop_map(|it| Act::Invite(Box::new(it))),
        op_ref().prop_map(|it| Act::Withdraw(Box::new(it))),
        (device(), role(), marks()).prop_map(|(device, role, cuts)| Act::SetRole(Box::new(SetRole {
            device,
            role,
            cuts
        }))),
        (device(), marks()).prop_map(|(device, cuts)| Act::Remove(Box::new(Remove { device, cuts }))),
        op_ref().prop_map(|it| Act::Keep(Box::new(it))),
        device().prop_map(|it| Act::HandOver(Box::new(it))),
        (any::<u16>(), option::of(name()))
            .prop_map(|(kind, parent)| { Act::Define(Box::new(Define { kind, parent: parent.map(ElementId) })) }),
        (op_ref(), any::<[u8; 16]>(), set_of(event_ref(), 4), marks()).prop_map(|(term, design, steps, table)| {
            Act::DesignProposed(Box::new(DesignProposed { term, design: DesignDigest(design), steps, table }))
        }),
        rehearsed().prop_map(|it| Act::DesignMerged(Box::new(it))),
    ];
    let unknown = (18u16..30_000, bytes(40)).prop_map(|(half, args)| Act::Unknown { kind: 2 * half, args });
    let with_body = prop_oneof![
        verdict(),
        (member(), device(), role(), option::of(invited()), text()).prop_map(
            |(member, device, role, invited, name)| {
                (Act::Admit(Box::new(Admit { member, device, role, invited })), body(&AdmitText { member: name }))
            }
        ),
        (name(), any::<u16>(), any_value())
            .prop_map(|(element, property, value)| (put(ElementId(element), property), value.encode())),
        (rehearsed().prop_map(|it| Act::DesignFailed(Box::new(it))), bytes(40)),
        (op_ref().prop_map(|it| Act::RulesChanged(Box::new(it))), rules_text()),
        (unknown, bytes(40)),
    ];
    prop_oneof![
        3 => op(Just(Target::Workspace), bare.prop_map(|act| (act, vec![]))),
        2 => op(Just(Target::Workspace), with_body),
    ]
}

/// A run of a data or a control chain.
pub fn any_run() -> impl Strategy<Value = Run> {
    prop_oneof![run_of(false, data_op().boxed()), run_of(true, control_op().boxed()), founding()]
}

fn run_of(control: bool, op: BoxedStrategy<Part>) -> impl Strategy<Value = Run> {
    let start = (0u32..3, prop_oneof![0u64..4, Just(SEQ_MAX - 9)], any::<[u8; 32]>());
    (start, shared(), collection::vec(event(collection::vec(op, 1..6)), 1..6)).prop_map(
        move |((pair, seq, prev), shared, events)| {
            let number = 2 * pair + u32::from(!control);
            let prev = (seq > 0).then_some(EventId(prev));
            build(shared, number, seq, prev, events)
        },
    )
}

/// The start of a workspace.
fn founding() -> impl Strategy<Value = Run> {
    let genesis = (any::<[u8; 16]>(), member(), text(), text());
    (genesis, shared(), event(collection::vec(control_op(), 0..4))).prop_map(
        |((nonce, member, workspace, name), mut shared, mut event)| {
            shared.workspace = WorkspaceId::founded_by(key().device(), nonce);
            let op =
                Op { target: Target::Workspace, preds: vec![], act: Act::Genesis(Box::new(Genesis { nonce, member })) };
            event.ops.insert(0, (op, body(&GenesisText { workspace, member: name })));
            event.deps.clear();
            build(shared, 0, 0, None, vec![event])
        },
    )
}

#[derive(Debug, Clone)]
struct Shared {
    workspace: WorkspaceId,
    lamport: u64,
    design: DesignDigest,
    actor: Option<ActorId>,
    batch: Option<BatchId>,
}

fn shared() -> impl Strategy<Value = Shared> {
    let id = any::<[u8; 16]>;
    (any::<[u8; 32]>(), prop_oneof![1u64..300, Just(SEQ_MAX - 99)], id(), option::of(id()), option::of(id())).prop_map(
        |(workspace, lamport, design, actor, batch)| Shared {
            workspace: WorkspaceId(workspace),
            lamport,
            design: DesignDigest(design),
            actor: actor.map(ActorId),
            batch: batch.map(BatchId),
        },
    )
}

#[derive(Debug, Clone)]
struct Draft {
    deps: Vec<EventRef>,
    lamport_step: u64,
    wall_ms: u64,
    resubmits: Option<EventRef>,
    ops: Vec<Part>,
    is_absent: bool,
}

fn event(ops: impl Strategy<Value = Vec<Part>>) -> impl Strategy<Value = Draft> {
    let wall_ms = prop_oneof![0..=WALL_MS_MAX, Just(0), Just(WALL_MS_MAX)];
    (set_of(event_ref(), 4), 1u64..9, wall_ms, option::of(event_ref()), ops, prop::bool::weighted(0.2)).prop_map(
        |(deps, lamport_step, wall_ms, resubmits, ops, is_absent)| Draft {
            deps,
            lamport_step,
            wall_ms,
            resubmits,
            ops,
            is_absent,
        },
    )
}

fn build(shared: Shared, number: u32, seq: u64, mut prev: Option<EventId>, drafts: Vec<Draft>) -> Run {
    let chain = ChainId { device: key().device(), number };
    let mut lamport = shared.lamport - 1;
    let mut events = Vec::new();
    for (place, draft) in drafts.into_iter().enumerate() {
        lamport += draft.lamport_step;
        let (ops, bodies): (Vec<Op>, Vec<Vec<u8>>) = draft.ops.into_iter().unzip();
        let header = Header {
            workspace: shared.workspace,
            chain,
            seq: seq + place as u64,
            prev,
            deps: draft.deps,
            lamport,
            wall_ms: draft.wall_ms,
            design: shared.design,
            actor: shared.actor,
            batch: shared.batch,
            resubmits: draft.resubmits,
            ops,
        };
        let event = Event::new(header, Payload::of(&bodies)).expect("drafts are well formed");
        prev = Some(event.id());
        events.push(if draft.is_absent { event.without_payload() } else { event });
    }
    Run::sign(events, &key()).expect("drafts follow one another")
}

fn op(
    target: impl Strategy<Value = Target>,
    act: impl Strategy<Value = (Act, Vec<u8>)>,
) -> impl Strategy<Value = Part> {
    (target, set_of(op_ref(), 4), act).prop_map(|(target, preds, (act, body))| (Op { target, preds, act }, body))
}

fn put(element: ElementId, property: u16) -> Act {
    Act::Put(Box::new(Put { element, property }))
}

fn body<T: serde::Serialize>(text: &T) -> Vec<u8> {
    postcard::to_allocvec(text).unwrap()
}

fn verdict() -> impl Strategy<Value = (Act, Vec<u8>)> {
    let blame = (record(), option::of(name()), text()).prop_map(|(record, field, rule)| Blame {
        record,
        field: field.map(FieldId),
        rule,
    });
    let refusal = (any::<u16>(), text(), collection::vec(blame, 0..3));
    (op_ref(), event_ref(), any::<u32>(), option::of(refusal)).prop_map(|(term, last, count, refusal)| {
        let count = count % VERDICT_EVENTS_MAX.min(last.seq as u32 + 1) + 1;
        let count = u64::from(count).min(last.seq + 1) as u32;
        let (outcome, body) = match refusal {
            None => (Outcome::Accept, vec![]),
            Some((code, message, blame)) => (Outcome::Refuse(RefusalCode(code)), body(&RefusalText { message, blame })),
        };
        (Act::Verdict(Box::new(Verdict { term, last, count, outcome })), body)
    })
}

fn bind() -> impl Strategy<Value = Bind> {
    let scope = prop_oneof![Just(Scope::Workspace), set_of(name().prop_map(ListId), 3).prop_map(Scope::Lists),];
    let mode = prop_oneof![Just(BindingMode::Binding), Just(BindingMode::Mirror)];
    (chain(), scope, mode, marks(), collection::vec(end(), 0..3)).prop_map(
        |(authority, scope, mode, seen, mut ends)| {
            ends.sort_by_key(|end| end.binding);
            ends.dedup_by_key(|end| end.binding);
            Bind { authority, scope, mode, seen, ends }
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    (op_ref(), option::of(event_ref())).prop_map(|(binding, at)| End { binding, at: at.map(Mark) })
}

fn invite() -> impl Strategy<Value = Invite> {
    (device(), role(), any::<u32>(), any::<u64>(), any::<bool>())
        .prop_map(|(key, role, uses, expires_ms, approve)| Invite { key, role, uses, expires_ms, approve })
}

fn invited() -> impl Strategy<Value = Invited> {
    (op_ref(), any::<u8>()).prop_map(|(invite, byte)| Invited { invite, proof: [byte; 64] })
}

fn rehearsed() -> impl Strategy<Value = Rehearsed> {
    (op_ref(), marks()).prop_map(|(proposal, covers)| Rehearsed { proposal, covers })
}

fn marks() -> impl Strategy<Value = Vec<Mark>> {
    set_of(event_ref().prop_map(Mark), 4)
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Reader), Just(Role::Writer), Just(Role::Designer), Just(Role::Manager)]
}

fn member() -> impl Strategy<Value = MemberId> {
    any::<[u8; 16]>().prop_map(MemberId)
}

fn text() -> impl Strategy<Value = String> {
    ".{0,30}"
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    collection::vec(any::<u8>(), 0..=max)
}

fn set_of<T: Ord + std::fmt::Debug>(element: impl Strategy<Value = T>, max: usize) -> impl Strategy<Value = Vec<T>> {
    collection::vec(element, 0..max).prop_map(|all| all.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
}

fn device() -> impl Strategy<Value = DeviceKey> {
    prop_oneof![Just(key().device()), Just(DeviceKey([0xa0; 32])), Just(DeviceKey([0xb0; 32]))]
}

fn chain() -> impl Strategy<Value = ChainId> {
    (device(), prop_oneof![0u32..4, Just(u32::MAX)]).prop_map(|(device, number)| ChainId { device, number })
}

fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..200, 0..=SEQ_MAX, Just(SEQ_MAX)]
}

fn event_ref() -> impl Strategy<Value = EventRef> {
    (chain(), seq(), any::<[u8; 32]>()).prop_map(|(chain, seq, id)| EventRef { chain, seq, id: EventId(id) })
}

fn op_ref() -> impl Strategy<Value = OpRef> {
    (event_ref(), 0..EVENT_OPS_MAX as u16).prop_map(|(event, op)| event.op(op))
}

fn name() -> impl Strategy<Value = [u8; 16]> {
    (1u8..4).prop_map(|byte| [byte; 16])
}

fn record() -> impl Strategy<Value = RecordKey> {
    (name(), 1u8..4).prop_map(|(list, record)| RecordKey { list: ListId(list), record: RecordId([record; 16]) })
}

fn cell() -> impl Strategy<Value = Target> {
    let part = collection::vec(bytes(PART_STEP_BYTES_MAX), 0..=PART_STEPS_MAX);
    (record(), name(), part).prop_map(|(record, field, part)| {
        Target::Cell(CellKey { record, field: FieldId(field), part: PartPath::new(part).unwrap() })
    })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![Just(Target::Workspace), record().prop_map(Target::Record), cell()]
}
