//! What holds for every run, and for every string of bytes.

use crate::{arbitrary::*, samples, second};
use proptest::{collection, prelude::*, sample::Index};
use tandem_wire::*;

proptest! {
    #[test]
    fn decode_undoes_encode(run in any_run()) {
        let bytes = run.encode();
        prop_assert_eq!(Run::decode(&bytes), Ok(run.clone()));
        prop_assert_eq!(Run::decode_trusted(&bytes), Ok(run));
    }

    #[test]
    fn a_single_op_is_read_as_with_its_run(run in any_run()) {
        let bytes = run.encode();
        for (event, header) in run.events().iter().map(Event::header).enumerate() {
            for (op, expect) in header.ops.iter().enumerate() {
                prop_assert_eq!(Run::peek_op(&bytes, event, op), Some(expect.clone()));
            }
            prop_assert_eq!(Run::peek_op(&bytes, event, header.ops.len()), None);
        }
        prop_assert_eq!(Run::peek_op(&bytes, run.events().len(), 0), None);
    }

    #[test]
    fn a_second_encoder_writes_the_same(run in any_run()) {
        let events = run.events().iter().map(|event| (event.header().clone(), event.payload().clone())).collect();
        prop_assert_eq!(second::run(events, &key()), run.encode());
        for event in run.events() {
            prop_assert_eq!(second::id(event.header(), event.payload()), event.id());
        }
    }

    #[test]
    fn any_single_change_of_a_signed_run_is_refused(run in any_run(), change in change()) {
        let bytes = run.encode();
        let changed = change.of(&bytes);
        prop_assert!(changed == bytes || Run::decode(&changed).is_err());
    }

    /// Changed bytes, framed and signed anew, so that the reader behind the signature is met.
    #[test]
    fn what_decodes_encodes_to_the_same(run in any_run(), changes in collection::vec(change(), 0..4)) {
        let content = &run.encode()[6..];
        let changed = changes.iter().fold(content.to_vec(), |bytes, change| change.of(&bytes));
        check_canonical(second::envelope(&changed))?;
    }

    #[test]
    fn random_bytes_never_panic(bytes in collection::vec(any::<u8>(), 0..400)) {
        check_canonical(bytes.clone())?;
        check_canonical(second::envelope(&bytes))?;
    }

    #[test]
    fn an_id_does_not_need_the_payload(run in any_run()) {
        let bare: Vec<Event> = run.events().iter().map(Event::without_payload).collect();
        for (bare, full) in bare.iter().zip(run.events()) {
            prop_assert_eq!(bare.id(), full.id());
            prop_assert_eq!(Event::new(bare.header().clone(), bare.payload().clone()), Ok(bare.clone()));
            prop_assert_eq!(bare.body(0), None);
        }
        let bare = Run::sign(bare, &key()).unwrap();
        let bytes = bare.encode();
        let (signature, signed) = (&bytes[bytes.len() - 64..], run.encode());
        prop_assert_eq!(signature, &signed[signed.len() - 64..], "the author's signature still holds");
        prop_assert_eq!(Run::decode(&bytes), Ok(bare));
    }

    #[test]
    fn what_follows_in_a_run_can_be_cut_off_in_front(run in any_run()) {
        for start in 0..run.events().len() {
            let tail = Run::sign(run.events()[start..].to_vec(), &key()).unwrap();
            prop_assert_eq!(Run::decode(&tail.encode()), Ok(tail));
        }
    }

    #[test]
    fn decode_undoes_encode_for_values(value in any_value()) {
        prop_assert_eq!(Value::decode(&value.encode()), Ok(value));
    }

    #[test]
    fn values_that_decode_are_canonical(value in any_value(), changes in collection::vec(change(), 0..3)) {
        let bytes = changes.iter().fold(value.encode(), |bytes, change| change.of(&bytes));
        if let Ok(value) = Value::decode(&bytes) {
            prop_assert_eq!(value.encode(), bytes);
        }
    }
}

#[test]
fn every_bit_of_a_signed_run_counts() {
    for sample in samples::all().iter().filter(|sample| sample.run.events().len() < 8) {
        let mut bytes = sample.run.encode();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Run::decode(&bytes).is_err(), "{}: bit {bit}", sample.name);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn the_id_covers_every_field() {
    let base = || {
        let mut header = samples::Writer::inside().next;
        let preds = vec![samples::other_event(9).op(1)];
        header.ops = vec![Op { target: samples::cell(samples::FIELD), preds, act: Act::Set }];
        header
    };
    let null = Payload::of([Value::Null.encode()]);
    let cell = |change: fn(&mut CellKey)| {
        let Target::Cell(mut cell) = samples::cell(samples::FIELD) else { unreachable!("a cell") };
        change(&mut cell);
        Target::Cell(cell)
    };
    let part = |steps: &[&str]| PartPath::new(steps).unwrap();
    let changes: Vec<ChangeHeader> = vec![
        Box::new(|_| ()),
        Box::new(|h| h.workspace.0[0] ^= 1),
        Box::new(|h| h.chain.device.0[0] ^= 1),
        Box::new(|h| h.chain.number += 2),
        Box::new(|h| h.seq += 1),
        Box::new(|h| h.prev = Some(EventId([0; 32]))),
        Box::new(|h| h.deps = vec![samples::other_event(1)]),
        Box::new(|h| h.deps = vec![samples::other_event(1), samples::other_event(2)]),
        Box::new(|h| h.lamport += 1),
        Box::new(|h| h.wall_ms += 1),
        Box::new(|h| h.design.0[0] ^= 1),
        Box::new(|h| h.actor = Some(ActorId([1; 16]))),
        Box::new(|h| h.batch = Some(BatchId([1; 16]))),
        Box::new(|h| h.resubmits = Some(samples::other_event(1))),
        Box::new(|h| h.ops[0].preds.clear()),
        Box::new(|h| h.ops[0].preds[0].op = 2),
        Box::new(|h| h.ops[0].preds[0].seq = 2),
        Box::new(|h| h.ops[0].preds[0].tag.0[15] ^= 1),
        Box::new(|h| h.ops[0].act = Act::Apply { type_id: 0 }),
        Box::new(|h| h.ops[0].act = Act::Apply { type_id: 1 }),
        Box::new(|h| h.ops[0].act = Act::Unknown { kind: 301, args: vec![] }),
        Box::new(|h| h.ops[0].act = Act::Unknown { kind: 301, args: vec![0] }),
        Box::new(move |h| h.ops[0].target = cell(|cell| cell.record.list.0[0] ^= 1)),
        Box::new(move |h| h.ops[0].target = cell(|cell| cell.record.record.0[0] ^= 1)),
        Box::new(move |h| h.ops[0].target = cell(|cell| cell.field.0[0] ^= 1)),
        Box::new(move |h| h.ops[0].target = Target::Cell(with_part(part(&["ab"])))),
        Box::new(move |h| h.ops[0].target = Target::Cell(with_part(part(&["a", "b"])))),
    ];
    let mut ids: Vec<EventId> = changes
        .iter()
        .map(|change| {
            let mut header = base();
            change(&mut header);
            Event::new(header, null.clone()).unwrap().id()
        })
        .collect();
    ids.push(Event::new(base(), Payload::of([Value::Bool(false).encode()])).unwrap().id());
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "two changes have one id");
}

type ChangeHeader = Box<dyn Fn(&mut Header)>;

fn with_part(part: PartPath) -> CellKey {
    CellKey { record: samples::RECORD, field: samples::FIELD, part }
}

/// `decode` accepts exactly what `encode` writes, whoever signs it.
fn check_canonical(mut bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let Ok(run) = Run::decode_trusted(&bytes) else {
        prop_assert!(Run::decode(&bytes).is_err());
        return Ok(());
    };
    let last = run.events().last().unwrap();
    if last.header().chain.device != key().device() {
        return Ok(());
    }
    let start = bytes.len() - 64;
    bytes[start..].copy_from_slice(&key().sign_run(last.id()));
    match Run::decode(&bytes) {
        Ok(run) => prop_assert_eq!(run.encode(), bytes),
        Err(why) => {
            prop_assert_eq!(why, BadRun::NotCanonical);
            let signed = Run::sign(run.into_events(), &key()).map(|run| run.encode());
            prop_assert_ne!(signed, Ok(bytes));
        }
    }
    Ok(())
}

/// What can happen to bytes on their way.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Put(Index, u8),
    Insert(Index, u8),
    Delete(Index),
    Truncate(Index),
    /// Copies bytes from one place over another.
    Splice(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (index(), prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0xff), any::<u8>()])
            .prop_map(|(at, byte)| Change::Put(at, byte)),
        (index(), prop_oneof![Just(0u8), Just(0x80), any::<u8>()]).prop_map(|(at, byte)| Change::Insert(at, byte)),
        index().prop_map(Change::Delete),
        index().prop_map(Change::Truncate),
        (index(), index(), 1usize..40).prop_map(|(from, to, len)| Change::Splice(from, to, len)),
    ]
}

impl Change {
    fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if bytes.is_empty() {
            return bytes;
        }
        let place = |index: &Index| index.index(bytes.len());
        match self {
            Self::Flip(at, bit) => {
                let at = place(at);
                bytes[at] ^= 1 << bit;
            }
            Self::Put(at, byte) => {
                let at = place(at);
                bytes[at] = *byte;
            }
            Self::Insert(at, byte) => bytes.insert(place(at), *byte),
            Self::Delete(at) => drop(bytes.remove(place(at))),
            Self::Truncate(at) => bytes.truncate(place(at)),
            Self::Splice(from, to, len) => {
                let (from, to) = (place(from), place(to));
                let end = (from + len).min(bytes.len()).min(from + bytes.len() - to);
                bytes.copy_within(from..end, to);
            }
        }
        bytes
    }
}
