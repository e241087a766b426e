//! Decoding takes memory by what came in, not by what it claims to be.
//!
//! Everything is built by hand here, since no draft can be this hostile; `docs/format.md` has the layout.

use std::alloc::System;
use tandem_wire::{limits::*, *};

#[global_allocator]
static MEMORY: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

/// Bytes that decoding may take for each byte of input: all that it allocates, freed or not, added up.
const PER_BYTE_MAX: usize = 160;
/// Bytes that it holds at any one time, over all inputs of up to [`RUN_BYTES_MAX`].
const PEAK_MAX: usize = 72 * RUN_BYTES_MAX;

/// One test, since the counters are the process's.
#[test]
fn hostile_input_takes_no_more_than_its_share() {
    let inputs: Vec<(String, Vec<u8>)> = hostile();
    let held = MEMORY.allocated();
    for (name, content) in &inputs {
        let bytes = framed(content);
        check(name, &bytes, || assert!(Run::decode(&bytes).is_err(), "{name} is not signed"));
    }
    for ops in [1, 100, EVENT_OPS_MAX] {
        let bytes = signed(ops);
        check(&format!("signed, {ops} ops"), &bytes, || assert!(Run::decode(&bytes).is_ok()));
    }
    for form in 0..16 {
        let bytes = [&[form][..], &[0xff; RUN_BYTES_MAX]].concat();
        check("a value", &bytes, || drop(Value::decode(&bytes)));
    }
    let peak = MEMORY.max_allocated() - held;
    println!("at most {peak} bytes at a time");
    assert!(peak < PEAK_MAX, "{peak}");
}

fn check(name: &str, bytes: &[u8], decode: impl Fn()) {
    let before = MEMORY.total_allocated();
    decode();
    let taken = MEMORY.total_allocated() - before;
    println!("{name}: {} bytes in, {taken} allocated, {} a byte", bytes.len(), taken / bytes.len());
    assert!(taken <= PER_BYTE_MAX * bytes.len() + 4096, "{name}: {taken} for {} bytes", bytes.len());
}

/// As many cheap ops as a run holds, in events of `ops`, and valid.
fn signed(ops: usize) -> Vec<u8> {
    let key = SecretKey::from_bytes(&[1; 32]);
    let act = Act::Unknown { kind: 301, args: vec![] };
    let mut header = Header {
        workspace: WorkspaceId([1; 32]),
        chain: ChainId { device: key.device(), number: 1 },
        seq: 0,
        prev: None,
        deps: vec![],
        lamport: 1,
        wall_ms: 0,
        design: DesignDigest([2; 16]),
        actor: None,
        batch: None,
        resubmits: None,
        ops: vec![Op { target: Target::Workspace, preds: vec![], act }; ops],
    };
    let mut events = Vec::new();
    for _ in 0..RUN_EVENTS_MAX.min(120_000 / (6 * ops + 10)) {
        let event = Event::new(header.clone(), Payload::of(vec![[]; ops])).unwrap();
        (header.seq, header.lamport, header.prev) = (header.seq + 1, header.lamport + 1, Some(event.id()));
        events.push(event);
    }
    Run::sign(events, &key).unwrap().encode()
}

fn hostile() -> Vec<(String, Vec<u8>)> {
    let fill = |head: &[u8], element: &[u8]| {
        let room = RUN_BYTES_MAX - 200 - head.len();
        [head, &element.repeat(room / element.len())].concat()
    };
    let mut cases = Vec::new();
    for length in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
        let places: [(&str, &[u8]); 9] = [
            ("devices", &[]),
            ("names", &[0]),
            ("events", &[0, 0]),
            ("dependencies", &[0, 0, 1]),
            ("ops", &[0, 0, 1, 0, 0, 0, 0]),
            ("steps of a part", &[0, 0, 1, 0, 0, 0, 0, 1, 1, 4, 0]),
            ("bytes of a step", &[0, 0, 1, 0, 0, 0, 0, 1, 1, 4, 0, 1]),
            ("predecessors", &[0, 0, 1, 0, 0, 0, 0, 1, 1, 0]),
            ("bytes of args", &[0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0]),
        ];
        for (name, before) in places {
            cases.push((format!("2^{} {name}", length.len() * 7), [&head()[..], before, length].concat()));
            let tail = [&head()[..], before, length].concat();
            cases.push((format!("2^{} {name}, and zeros", length.len() * 7), fill(&tail, &[0])));
        }
    }
    let with = |counts: &[u8]| [&head()[..], counts].concat();
    let (ops, events) = (varint(EVENT_OPS_MAX), varint(RUN_EVENTS_MAX));
    cases.push(("devices".into(), fill(&with(&varint(4000)), &[1; 32])));
    cases.push(("names".into(), fill(&with(&[&[0][..], &varint(8000)].concat()), &[1; 16])));
    cases.push(("events without ops".into(), fill(&with(&[&[0, 0][..], &events].concat()), &[0, 0, 0, 0, 0, 0, 0])));

    // An event of as many ops as it may have, each of the fewest bytes; well formed up to its size.
    let event = |op: &[u8], count: usize, bodies: &[u8]| {
        let payload = [&varint(bodies.len() * count)[..], &bodies.repeat(count)].concat();
        [&[0, 0, 0, 0][..], &varint(count), &op.repeat(count), &[0], &payload].concat()
    };
    let full = |name: &str, op: &[u8], count: usize, bodies: &[u8]| {
        let one = event(op, count, bodies);
        let many = (RUN_BYTES_MAX - 400) / one.len();
        let head = with(&[&[0, 1][..], &[9; 16], &varint(many)].concat());
        (format!("{many} events of {count} times {name}"), [head, one.repeat(many)].concat())
    };
    // kind 301 and the workspace; no predecessors, no args
    let unknown = [&varint(301)[..], &[0, 0, 0]].concat();
    for count in [1, 100, 1000, 1025, 4000, EVENT_OPS_MAX] {
        cases.push(full("an unknown op", &unknown, count, &[0]));
    }
    let one_arg = [&varint(301)[..], &[0, 0, 1, 7]].concat();
    cases.push(full("an unknown op with an arg", &one_arg, 1000, &[0]));
    let parts = [&varint(301)[..], &[4, 0, 3, 0, 0, 0, 0, 0]].concat();
    let cell = [&varint(301)[..], &[2, 0], &[5; 16], &[0, 3, 0, 0, 0, 0, 0]].concat();
    for count in [1, 100, 1000] {
        let ops = [&cell[..], &parts.repeat(count - 1)].concat();
        let one = event(&ops, 1, &[0; 1]);
        let fixed = [&one[..4], &varint(count), &ops, &[0], &varint(count), &vec![0; count]].concat();
        let many = (RUN_BYTES_MAX - 400) / fixed.len();
        let head = with(&[&[0, 1][..], &[9; 16], &varint(many)].concat());
        cases.push((format!("{many} events of {count} times three empty steps"), [head, fixed.repeat(many)].concat()));
    }
    let cheapest = with(&[&[0, 0][..], &events, &[0, 0, 0, 0], &ops].concat());
    cases.push(("ops of nothing".into(), fill(&cheapest, &[1, 0, 0, 0])));
    let pred = [&[0, 1, 1, 0][..], &[6; 16]].concat();
    let preds = [&varint(301)[..], &[0], &varint(800), &pred.repeat(800), &[0]].concat();
    cases.push(full("an unknown op with predecessors", &preds, 1, &[0]));
    cases
}

/// Workspace … batch of a stored run, with numbers that can be.
fn head() -> Vec<u8> {
    [&[1; 64][..], &[1, 1, 1], &[2; 32], &[1, 1], &[3; 16], &[0, 0]].concat()
}

fn framed(content: &[u8]) -> Vec<u8> {
    let content = [content, &[0; 64]].concat();
    [&[1, 1][..], &(content.len() as u32).to_le_bytes(), &content].concat()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
    out
}
