//! What is no event and no run: every limit, met and passed by one; every form that is not the canonical one.
//!
//! Each case goes both ways, through the constructors and, written by the second encoder, through the decoder.

use crate::{
    samples::{self, Writer, body},
    second,
};
use tandem_wire::{limits::*, *};

/// `draft` is refused for this reason, or not at all, by constructor and decoder alike.
#[track_caller]
fn check(header: Header, payload: Payload, expect: Result<(), Malformed>) {
    let key = Writer::new(0).key;
    let event = Event::new(header.clone(), payload.clone());
    assert_eq!(event.as_ref().map(drop), expect.as_ref().map(drop));
    let bytes = second::run(vec![(header, payload)], &key);
    match event {
        Ok(event) => {
            let run = Run::sign(vec![event], &key).expect("a run of one event always fits");
            assert_eq!(run.encode(), bytes);
            assert_eq!(Run::decode(&bytes), Ok(run));
        }
        Err(why) => {
            let refused = Run::decode(&bytes).expect_err("what no draft can be");
            let same = refused == BadRun::Event { index: 0, why };
            assert!(same || matches!(refused, BadRun::Damaged | BadRun::Size), "{refused:?} for {why:?}");
        }
    }
}

/// A header whose `op` is the only one, in the chain that the op belongs in.
fn header(op: Op) -> Header {
    let mut header = Writer::inside().next;
    header.chain.number = u32::from(!op.act.is_control());
    header.ops = vec![op];
    header
}

fn set_null() -> Header {
    header(Op { target: samples::cell(samples::FIELD), preds: vec![], act: Act::Set })
}

fn null(ops: usize) -> Payload {
    Payload::of(vec![Value::Null.encode(); ops])
}

/// The edit with one thing changed.
#[track_caller]
fn check_header(change: impl Fn(&mut Header), expect: Result<(), Malformed>) {
    let mut header = set_null();
    change(&mut header);
    let payload = null(header.ops.len());
    check(header, payload, expect);
}

/// One control op.
#[track_caller]
fn check_act(act: Act, text: Vec<u8>, expect: Result<(), Malformed>) {
    check(header(Op { target: Target::Workspace, preds: vec![], act }), Payload::of([text]), expect);
}

fn limit(what: &'static str) -> Result<(), Malformed> {
    Err(Malformed::Limit(what))
}

fn unordered(what: &'static str) -> Result<(), Malformed> {
    Err(Malformed::NotCanonical(what))
}

fn events(count: usize) -> Vec<EventRef> {
    (0..count as u64).map(samples::other_event).collect()
}

fn ops(count: usize) -> Vec<OpRef> {
    events(count).iter().map(|event| event.op(0)).collect()
}

fn marks(count: usize) -> Vec<Mark> {
    events(count).into_iter().map(Mark).collect()
}

#[test]
fn numbers() {
    let lamport = "the lamport";
    check_header(|h| h.lamport = 1, Ok(()));
    check_header(|h| h.lamport = 0, limit(lamport));
    check_header(|h| h.lamport = SEQ_MAX, Ok(()));
    check_header(|h| h.lamport = SEQ_MAX + 1, limit(lamport));
    check_header(|h| h.lamport = u64::MAX, limit(lamport));
    check_header(|h| h.seq = SEQ_MAX, Ok(()));
    check_header(|h| h.seq = SEQ_MAX + 1, limit("the sequence number"));
    check_header(|h| h.seq = u64::MAX, limit("the sequence number"));
    check_header(|h| h.wall_ms = WALL_MS_MAX, Ok(()));
    check_header(|h| h.wall_ms = WALL_MS_MAX + 1, limit("the wall clock"));
    check_header(|h| h.wall_ms = u64::MAX, limit("the wall clock"));
    check_header(|h| h.seq = 0, Err(Malformed::Prev));
    check_header(|h| h.prev = None, Err(Malformed::Prev));
    check_header(|h| (h.seq, h.prev) = (0, None), Ok(()));
}

#[test]
fn dependencies() {
    let order = "the order of the dependencies";
    check_header(|h| h.deps = events(DEPS_MAX), Ok(()));
    check_header(|h| h.deps = events(DEPS_MAX + 1), limit("the number of dependencies"));
    check_header(|h| h.deps = vec![samples::other_event(2), samples::other_event(1)], unordered(order));
    check_header(|h| h.deps = vec![samples::other_event(1), samples::other_event(1)], unordered(order));
    check_header(|h| h.deps = vec![samples::other_event(SEQ_MAX)], Ok(()));
    check_header(|h| h.deps = vec![samples::other_event(SEQ_MAX + 1)], limit("the place of an event"));
    check_header(|h| h.resubmits = Some(samples::other_event(SEQ_MAX + 1)), limit("the place of an event"));
}

#[test]
fn predecessors() {
    let order = "the order of the predecessors";
    let last = EVENT_OPS_MAX as u16 - 1;
    let pred = |seq, op| samples::other_event(seq).op(op);
    check_header(|h| h.ops[0].preds = ops(PREDS_MAX + 1), limit("the number of predecessors"));
    check_header(|h| h.ops[0].preds = vec![pred(1, 2), pred(1, 1)], unordered(order));
    check_header(|h| h.ops[0].preds = vec![pred(1, 1), pred(1, 1)], unordered(order));
    check_header(|h| h.ops[0].preds = vec![pred(SEQ_MAX, last)], Ok(()));
    check_header(|h| h.ops[0].preds = vec![pred(SEQ_MAX + 1, 0)], limit("the place of an op"));
    check_header(|h| h.ops[0].preds = vec![pred(1, last + 1)], limit("the place of an op"));
}

#[test]
fn as_many_predecessors_as_allowed_fit_an_event() {
    check_header(|h| h.ops[0].preds = ops(PREDS_MAX), Ok(()));
}

#[test]
fn ops_of_an_event() {
    let event = |count: usize| {
        let act = Act::Unknown { kind: 301, args: vec![] };
        let mut header = header(Op { target: Target::Workspace, preds: vec![], act });
        header.ops = vec![header.ops[0].clone(); count];
        (header, Payload::of(vec![[]; count]))
    };
    let ((none, _), (full, bodies), (over, too_many)) = (event(0), event(EVENT_OPS_MAX), event(EVENT_OPS_MAX + 1));
    check(none, Payload::of::<[u8; 0]>([]), Err(Malformed::Empty));
    check(full, bodies, Ok(()));
    check(over, too_many, limit("the number of ops"));
}

#[test]
fn bytes_of_an_event() {
    let around = second::hashed_header(&set_null()).len() + 3 + 1 + 3;
    let text = |bytes: usize| Payload::of([Value::Text("x".repeat(bytes)).encode()]);
    check(set_null(), text(EVENT_BYTES_MAX - around), Ok(()));
    check(set_null(), text(EVENT_BYTES_MAX - around + 1), limit("the event's size"));
}

#[test]
fn part_paths() {
    let part = |steps: &[&[u8]]| PartPath::new(steps);
    let long = [7; PART_STEP_BYTES_MAX + 1];
    assert!(part(&[&long[1..]; PART_STEPS_MAX]).is_some());
    assert!(part(&[b"a".as_slice(); PART_STEPS_MAX + 1]).is_none());
    assert!(part(&[&long]).is_none());
    let read = |bytes: &[u8]| postcard::from_bytes::<PartPath>(bytes).is_ok();
    assert!(read(&[3, 1, 7, 0, 1, 9]));
    assert!(!read(&[4, 0, 0, 0, 0]));
    assert!(!read(&[&[1, long.len() as u8], &long[..]].concat()));
}

#[test]
fn chains_and_targets() {
    let (record, cell) = (Target::Record(samples::RECORD), samples::cell(samples::FIELD));
    let other = samples::other_event(1);
    let check_target = |act: Act, fits: [bool; 3], text: Vec<u8>| {
        for (target, fits) in [Target::Workspace, record.clone(), cell.clone()].into_iter().zip(fits) {
            let kind = act.name();
            let op = Op { target, preds: vec![], act: act.clone() };
            let expect = if fits { Ok(()) } else { Err(Malformed::WrongTarget { kind }) };
            check(header(op.clone()), Payload::of([&text]), expect);
            let mut elsewhere = header(op);
            elsewhere.chain.number ^= 1;
            check(elsewhere, Payload::of([&text]), Err(Malformed::WrongChain { kind }));
        }
    };
    check_target(Act::Set, [false, false, true], Value::Null.encode());
    check_target(Act::Apply { type_id: 1 }, [false, false, true], vec![]);
    check_target(Act::Create, [false, true, false], vec![]);
    check_target(Act::Delete, [false, true, false], vec![]);
    check_target(Act::Restore, [false, true, false], vec![]);
    check_target(Act::Resolve, [false, true, false], vec![]);
    check_target(Act::Discard(Box::new(other)), [true, false, false], vec![]);
    check_target(Act::HandOver(Box::new(samples::OTHER_DEVICE)), [true, false, false], vec![]);
    check_target(Act::Unknown { kind: 301, args: vec![] }, [true; 3], vec![]);
    check_target(Act::Unknown { kind: 300, args: vec![] }, [true; 3], vec![]);
}

#[test]
fn known_kinds_do_not_pass_as_unknown() {
    for kind in (0..=u16::MAX).filter(|kind| Act::is_known(*kind)) {
        let op = Op { target: Target::Workspace, preds: vec![], act: Act::Unknown { kind, args: vec![1] } };
        let event = Event::new(header(op), Payload::of([[]]));
        assert_eq!(event.map(drop), unordered("the kind of an op"), "{kind}");
    }
    let args = |bytes: usize| Act::Unknown { kind: 300, args: vec![0; bytes] };
    check_act(args(ARGS_BYTES_MAX), vec![], Ok(()));
    check_act(args(ARGS_BYTES_MAX + 1), vec![], limit("the size of an op"));
}

#[test]
fn a_genesis_comes_first_and_founds_its_own_workspace() {
    let genesis = |nonce| Act::Genesis(Box::new(Genesis { nonce: [nonce; 16], member: MemberId([1; 16]) }));
    let text = body(&GenesisText { workspace: "w".into(), member: "m".into() });
    let check_genesis = |nonce: u8, change: fn(&mut Header), expect| {
        let mut header = Writer::new(0).next;
        header.ops = vec![Op { target: Target::Workspace, preds: vec![], act: genesis(nonce) }];
        change(&mut header);
        let payload = Payload::of(vec![&text; header.ops.len()]);
        check(header, payload, expect);
    };
    check_genesis(5, |_| (), Ok(()));
    check_genesis(6, |_| (), Err(Malformed::Genesis));
    check_genesis(5, |h| h.chain.number = 2, Err(Malformed::Genesis));
    check_genesis(5, |h| (h.seq, h.prev) = (1, Some(EventId([1; 32]))), Err(Malformed::Genesis));
    check_genesis(5, |h| h.deps = events(1), Err(Malformed::Genesis));
    check_genesis(5, |h| h.ops.push(h.ops[0].clone()), Err(Malformed::Genesis));
}

#[test]
fn bindings() {
    let bind = |scope, seen, ends| {
        Act::Bind(Box::new(Bind {
            authority: Writer::new(0).next.chain,
            scope,
            mode: BindingMode::Binding,
            seen,
            ends,
        }))
    };
    let lists = |count: usize| Scope::Lists((0..count as u128).map(|n| ListId(n.to_be_bytes())).collect());
    let ends = |count: usize| ops(count).into_iter().map(|binding| End { binding, at: None }).collect::<Vec<_>>();
    let all = Scope::Workspace;
    check_act(bind(lists(SCOPE_LISTS_MAX), vec![], vec![]), vec![], Ok(()));
    check_act(bind(lists(SCOPE_LISTS_MAX + 1), vec![], vec![]), vec![], limit("the number of bound lists"));
    let twice = Scope::Lists(vec![ListId([1; 16]); 2]);
    check_act(bind(twice, vec![], vec![]), vec![], unordered("the order of the bound lists"));
    check_act(bind(all.clone(), vec![], ends(BINDING_ENDS_MAX)), vec![], Ok(()));
    let over = ends(BINDING_ENDS_MAX + 1);
    check_act(bind(all.clone(), vec![], over), vec![], limit("the number of ended bindings"));
    let one_binding = vec![End { binding: ops(1)[0], at: None }, End { binding: ops(1)[0], at: Some(marks(1)[0]) }];
    check_act(bind(all.clone(), vec![], one_binding), vec![], unordered("the order of the ended bindings"));
    let far = End { binding: ops(1)[0], at: Some(Mark(samples::other_event(SEQ_MAX + 1))) };
    check_act(Act::Unbind(Box::new(far)), vec![], limit("the place of an event"));
    check_act(
        bind(all, marks(2).into_iter().rev().collect(), vec![]),
        vec![],
        unordered("the order of the chain ends"),
    );
}

#[test]
fn marks_of_every_kind() {
    let check_marks = |act: fn(Vec<Mark>) -> Act| {
        check_act(act(marks(MARKS_MAX)), vec![], Ok(()));
        check_act(act(marks(MARKS_MAX + 1)), vec![], limit("the number of chain ends"));
        check_act(act(vec![marks(1)[0]; 2]), vec![], unordered("the order of the chain ends"));
        check_act(act(vec![Mark(samples::other_event(SEQ_MAX + 1))]), vec![], limit("the place of an event"));
    };
    check_marks(|seen| {
        let authority = Writer::new(0).next.chain;
        Act::Bind(Box::new(Bind { authority, scope: Scope::Workspace, mode: BindingMode::Binding, seen, ends: vec![] }))
    });
    check_marks(|cuts| Act::Remove(Box::new(Remove { device: samples::OTHER_DEVICE, cuts })));
    check_marks(|cuts| Act::SetRole(Box::new(SetRole { device: samples::OTHER_DEVICE, role: Role::Reader, cuts })));
    check_marks(|covers| Act::DesignMerged(Box::new(Rehearsed { proposal: ops(1)[0], covers })));
    check_marks(|covers| Act::DesignFailed(Box::new(Rehearsed { proposal: ops(1)[0], covers })));
    check_marks(|table| proposed(vec![], table));
}

fn proposed(steps: Vec<EventRef>, table: Vec<Mark>) -> Act {
    Act::DesignProposed(Box::new(DesignProposed { term: ops(1)[0], design: DesignDigest([1; 16]), steps, table }))
}

#[test]
fn steps_of_a_proposal() {
    check_act(proposed(events(DESIGN_STEPS_MAX), vec![]), vec![], Ok(()));
    check_act(proposed(events(DESIGN_STEPS_MAX + 1), vec![]), vec![], limit("the number of design steps"));
    check_act(proposed(vec![events(1)[0]; 2], vec![]), vec![], unordered("the order of the steps"));
}

#[test]
fn verdicts_are_about_events_that_can_exist() {
    let verdict = |seq, count| {
        Act::Verdict(Box::new(Verdict {
            term: ops(1)[0],
            last: samples::other_event(seq),
            count,
            outcome: Outcome::Accept,
        }))
    };
    let number = "the number of judged events";
    check_act(verdict(9, 0), vec![], limit(number));
    check_act(verdict(9, 10), vec![], Ok(()));
    check_act(verdict(9, 11), vec![], limit(number));
    check_act(verdict(SEQ_MAX, VERDICT_EVENTS_MAX), vec![], Ok(()));
    check_act(verdict(SEQ_MAX, VERDICT_EVENTS_MAX + 1), vec![], limit(number));
}

#[test]
fn bodies_belong_to_their_ops() {
    let refused = Err(Malformed::Payload);
    let check_payload = |bytes: &[u8], expect| check(set_null(), Payload::Present(bytes.to_vec()), expect);
    check_payload(&[1, 0], Ok(()));
    check_payload(&[], refused);
    check_payload(&[0], refused);
    check_payload(&[1, 0, 0], refused);
    check_payload(&[1, 0, 1, 0], refused);
    check_payload(&[2, 0], refused);
    check_payload(&[0x81, 0, 0], refused);
    check_payload(&[0xff, 0xff, 0xff, 0xff, 0x0f], refused);
    check_payload(&[2, 1, 2], refused);
    let create = Op { target: Target::Record(samples::RECORD), preds: vec![], act: Act::Create };
    check(header(create.clone()), Payload::of([[]]), Ok(()));
    check(header(create), Payload::of([[0]]), refused);
    check(set_null(), Payload::Absent(PayloadHash([1; 32])), Ok(()));
}

#[test]
fn texts() {
    let refused = Err(Malformed::Payload);
    let member = |bytes: usize| body(&AdmitText { member: "x".repeat(bytes) });
    let admit = || {
        let admit =
            Admit { member: MemberId([1; 16]), device: samples::OTHER_DEVICE, role: Role::Reader, invited: None };
        Act::Admit(Box::new(admit))
    };
    check_act(admit(), member(NAME_BYTES_MAX), Ok(()));
    check_act(admit(), member(NAME_BYTES_MAX + 1), refused);
    check_act(admit(), [member(1), vec![0]].concat(), refused);
    check_act(admit(), vec![1, 0xff], refused);

    let outcome = Outcome::Refuse(RefusalCode::RULE);
    let refuse =
        || Act::Verdict(Box::new(Verdict { term: ops(1)[0], last: samples::other_event(9), count: 1, outcome }));
    let blame = |rule: usize| Blame { record: samples::RECORD, field: None, rule: "x".repeat(rule) };
    let text = |message: usize, blame: Vec<Blame>| body(&RefusalText { message: "x".repeat(message), blame });
    check_act(refuse(), text(REFUSAL_TEXT_BYTES_MAX, vec![]), Ok(()));
    check_act(refuse(), text(REFUSAL_TEXT_BYTES_MAX + 1, vec![]), refused);
    check_act(refuse(), text(0, vec![blame(0); BLAME_MAX]), Ok(()));
    check_act(refuse(), text(0, vec![blame(0); BLAME_MAX + 1]), refused);
    check_act(refuse(), text(0, vec![blame(NAME_BYTES_MAX)]), Ok(()));
    check_act(refuse(), text(0, vec![blame(NAME_BYTES_MAX + 1)]), refused);
    check_act(refuse(), vec![], refused);
}

#[test]
fn values() {
    let refused = Err(Malformed::Payload);
    let check_value = |value: Value, expect| check(set_null(), Payload::of([value.encode()]), expect);
    let zone = |bytes: usize| Value::DateTime { ms: 0, zone: "x".repeat(bytes) };
    check_value(zone(ZONE_BYTES_MAX), Ok(()));
    check_value(zone(ZONE_BYTES_MAX + 1), refused);
    check_value(Value::Rank(vec![0; RANK_BYTES_MAX]), Ok(()));
    check_value(Value::Rank(vec![0; RANK_BYTES_MAX + 1]), refused);
    let blob = |bytes: usize| Value::Blob { hash: [1; 32], bytes: 0, media_type: "x".repeat(bytes) };
    check_value(blob(MEDIA_TYPE_BYTES_MAX), Ok(()));
    check_value(blob(MEDIA_TYPE_BYTES_MAX + 1), refused);
    check_value(Value::Float(f64::NAN), refused);
    check_value(Value::Float(-0.0), refused);
    check_value(Value::Text("a\0b".into()), Ok(()));
    assert!(Decimal::new(1, DECIMAL_SCALE_MAX).is_some());
    assert!(Decimal::new(1, DECIMAL_SCALE_MAX + 1).is_none());
    check(set_null(), Payload::of([[3, 2, DECIMAL_SCALE_MAX]]), Ok(()));
    check(set_null(), Payload::of([[3, 2, DECIMAL_SCALE_MAX + 1]]), refused);
    check(set_null(), Payload::of([[3, 20, 1]]), refused);
}
