//! What is no run although its events are well formed.

use crate::{
    samples::{self, Writer, edit},
    second,
};
use tandem_wire::{
    envelope::{BadEnvelope, Kind},
    limits::*,
    *,
};

fn chain_of(count: usize, value: &Value) -> (Vec<Event>, SecretKey) {
    let mut writer = Writer::inside();
    let op = Op { target: samples::cell(samples::FIELD), preds: vec![], act: Act::Set };
    let events = (0..count).map(|_| writer.event(vec![(op.clone(), value.encode())])).collect();
    (events, writer.key)
}

fn parts(events: &[Event]) -> Vec<(Header, Payload)> {
    events.iter().map(|event| (event.header().clone(), event.payload().clone())).collect()
}

/// Refused when drafted, and refused when read.
#[track_caller]
fn check(events: Vec<Event>, key: &SecretKey, expect: Result<(), BadRun>) {
    let bytes = second::run(parts(&events), key);
    let signed = Run::sign(events, key);
    assert_eq!(signed.as_ref().map(drop), expect.as_ref().map(drop));
    assert_eq!(Run::decode(&bytes).is_ok(), expect.is_ok());
    if let Ok(run) = signed {
        assert_eq!(run.encode(), bytes);
    }
}

#[test]
fn events_of_a_run() {
    let (events, key) = chain_of(RUN_EVENTS_MAX + 1, &Value::Null);
    assert_eq!(Run::sign(vec![], &key), Err(BadRun::Size));
    check(events[1..].to_vec(), &key, Ok(()));
    check(events, &key, Err(BadRun::Size));
}

#[test]
fn bytes_of_a_run() {
    let text = |bytes: usize| Value::Text("x".repeat(bytes));
    let (three, key) = chain_of(3, &text(40_000));
    let left = RUN_BYTES_MAX - Run::sign(three, &key).unwrap().encode().len();
    let (mut events, key) = chain_of(2, &text(40_000));
    let mut writer = Writer::inside();
    events.iter().for_each(|event| writer.append(event.clone()));
    let op = Op { target: samples::cell(samples::FIELD), preds: vec![], act: Act::Set };
    let mut fork = |bytes| {
        let header = Header { ops: vec![op.clone()], ..writer.next.clone() };
        events.truncate(2);
        events.push(Event::new(header, Payload::of([text(bytes).encode()])).unwrap());
        events.clone()
    };
    let (full, over) = (fork(40_000 + left), fork(40_000 + left + 1));
    assert_eq!(second::run(parts(&full), &key).len(), RUN_BYTES_MAX);
    check(full, &key, Ok(()));
    check(over, &key, Err(BadRun::Size));
}

#[test]
fn events_follow_one_another() {
    let (events, key) = chain_of(3, &Value::Null);
    let refused = Err(BadRun::NotConsecutive);
    let swapped = vec![events[1].clone(), events[0].clone()];
    assert_eq!(Run::sign(swapped, &key).map(drop), refused);
    assert_eq!(Run::sign(vec![events[0].clone(), events[2].clone()], &key).map(drop), refused);
    assert_eq!(Run::sign(events.clone(), &SecretKey::from_bytes(&[8; 32])).map(drop), refused);

    let second = |change: fn(&mut Header)| {
        let mut header = events[1].header().clone();
        change(&mut header);
        let changed = Event::new(header, events[1].payload().clone()).unwrap();
        Run::sign(vec![events[0].clone(), changed], &key).map(drop)
    };
    assert_eq!(second(|_| ()), Ok(()));
    assert_eq!(second(|h| h.seq += 1), refused);
    assert_eq!(second(|h| h.chain.number += 2), refused);
    assert_eq!(second(|h| h.workspace.0[0] ^= 1), refused);
    assert_eq!(second(|h| h.design.0[0] ^= 1), refused);
    assert_eq!(second(|h| h.actor = Some(ActorId([1; 16]))), refused);
    assert_eq!(second(|h| h.batch = Some(BatchId([1; 16]))), refused);
    assert_eq!(second(|h| h.lamport -= 1), refused, "a run cannot say that time stood still");
    assert_eq!(second(|h| h.lamport = 1), refused);
    assert_eq!(second(|h| h.lamport += 9), Ok(()));
}

#[test]
fn frames() {
    let bytes = edit().encode();
    let (head, content) = bytes.split_at(6);
    let framed = |head: &[u8], content: &[u8]| Run::decode(&[head, content].concat()).map(drop);
    let with = |at: usize, byte: u8| {
        let mut head = head.to_vec();
        head[at] = byte;
        framed(&head, content)
    };
    assert_eq!(framed(head, content), Ok(()));
    assert_eq!(with(0, 0), Err(BadEnvelope::Foreign.into()));
    assert_eq!(with(0, 2), Err(BadEnvelope::Newer(2).into()));
    assert_eq!(with(1, 2), Err(BadRun::NotARun));
    assert_eq!(with(5, 1), Err(BadEnvelope::Length.into()));
    assert_eq!(framed(head, &content[1..]), Err(BadEnvelope::Length.into()));
    assert_eq!(Run::decode(&envelope::seal(Kind::RUN, &content[1..])).map(drop), Err(BadRun::Damaged));
    assert_eq!(Run::decode(&envelope::seal(Kind::RUN, &[0; 63])).map(drop), Err(BadRun::Damaged));
    let mut forged = bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(Run::decode(&forged).map(drop), Err(BadRun::Signature));
}

/// Reads the same, and would stand for the same events under the same signature: there is one form only.
#[test]
fn tables_and_numbers_have_one_form() {
    let run = samples::all().into_iter().find(|sample| sample.name == "shared").unwrap().run;
    let bytes = run.encode();
    let content = &bytes[6..];
    // workspace, device, number, seq (2), prev, lamport (2), wall_ms (6), design, actor, batch
    let devices_at = 32 + 32 + 1 + 2 + 33 + 2 + 6 + 16 + 17 + 17;
    let names_at = devices_at + 1 + 2 * 32;
    assert_eq!((content[devices_at], content[names_at]), (2, 10));
    let reframed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut content = content.to_vec();
        change(&mut content);
        let bytes = second::envelope(&content);
        assert_eq!(Run::decode_trusted(&bytes).as_ref(), Ok(&run), "means the same");
        Run::decode(&bytes)
    };
    let refused = Err(BadRun::NotCanonical);
    let extra_device = |content: &mut Vec<u8>| {
        content[devices_at] += 1;
        content.splice(names_at..names_at, [1; 32]);
    };
    let extra_name = |content: &mut Vec<u8>| {
        content[names_at] += 1;
        let end = names_at + 1 + 10 * 16;
        content.splice(end..end, [1; 16]);
    };
    let long_number = |content: &mut Vec<u8>| {
        content[64] |= 0x80;
        content.insert(65, 0);
    };
    assert_eq!(reframed(&|_| ()), Ok(run.clone()));
    assert_eq!(reframed(&extra_device), refused);
    assert_eq!(reframed(&extra_name), refused);
    assert_eq!(reframed(&long_number), refused);
    // The first event's steps from the run's own lamport and clock are 0: there is no other way to say it.
    let step = |content: &mut Vec<u8>| {
        let at = devices_at - 16 - 17 - 17 - 6 - 2;
        content[at] -= 1;
        let deps_end = names_at + 1 + 10 * 16 + 1 + 1 + 2 * (3 + 32);
        assert_eq!(content[deps_end], 0);
        content[deps_end] = 1;
    };
    assert_eq!(reframed(&step), refused);
}

#[test]
fn tables_out_of_order_are_refused() {
    let mut writer = Writer::inside();
    let dep = |device: u8| EventRef {
        chain: ChainId { device: DeviceKey([device; 32]), number: 1 },
        ..samples::other_event(1)
    };
    writer.next.deps = vec![dep(1), dep(2)];
    let op = Op { target: samples::cell(samples::FIELD), preds: vec![], act: Act::Set };
    writer.event(vec![(op, Value::Null.encode())]);
    let run = writer.sign();
    let bytes = run.encode();
    let at = bytes.windows(64).position(|window| window[..32] == [1; 32] && window[32..] == [2; 32]).unwrap();
    let first_dep = at + 64 + 1 + 2 * 16 + 1 + 1;
    let dep_len = 3 + 32;
    let mut swapped = bytes.clone();
    swapped[at..at + 32].fill(2);
    swapped[at + 32..at + 64].fill(1);
    assert_eq!((swapped[first_dep], swapped[first_dep + dep_len]), (1, 2));
    (swapped[first_dep], swapped[first_dep + dep_len]) = (2, 1);
    assert_eq!(Run::decode_trusted(&swapped), Ok(run));
    assert_eq!(Run::decode(&swapped), Err(BadRun::NotCanonical));
}

/// A target may only lean on the record before it when there is one.
#[test]
fn same_record_needs_one_before() {
    let run = edit();
    let bytes = run.encode();
    let at = bytes.len() - 64 - 2 - 17 - 1 - 21 - 1 - 20;
    assert_eq!(bytes[at..at + 2], [2, 0], "a cell, of list 0");
    for same in [vec![3], vec![4, 1, 0]] {
        let mut content = bytes[6..].to_vec();
        content.splice(at - 6..at - 6 + 20, same);
        assert_eq!(Run::decode_trusted(&second::envelope(&content)), Err(BadRun::Damaged));
    }
}
