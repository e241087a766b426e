//! The sizes that `docs/format.md` states, each in bytes.

use crate::samples::{self, Writer, create_ops};
use tandem_wire::*;

/// Of an edit of one field: alone in a run, and each further one.
pub const EDIT: (usize, usize) = (299, 69);
/// Of a new record with eight fields.
pub const CREATE: (usize, usize) = (522, 180);
/// Of a run, whatever is in it, in a chain's thousands.
pub const RUN: usize = 199;

/// What a run of one such event takes, and what each further one adds.
fn sizes(event: impl Fn(&mut Writer, u8)) -> (usize, usize) {
    let run_of = |events: u8| {
        let mut writer = Writer::inside();
        (0..events).for_each(|index| event(&mut writer, index));
        writer.sign().encode().len()
    };
    (run_of(1), (run_of(101) - run_of(1)) / 100)
}

/// A text of 14 bytes over one predecessor of the same device.
fn edit(writer: &mut Writer, _index: u8) {
    let pred = EventRef { chain: writer.next.chain, seq: 4000, id: EventId([0xdd; 32]) }.op(3);
    let op = Op { target: samples::cell(samples::FIELD), preds: vec![pred], act: Act::Set };
    writer.event(vec![(op, Value::Text("+49 30 1234567".into()).encode())]);
}

/// Nine ops: a create, seven texts of 76 bytes together, a date.
fn create(writer: &mut Writer, index: u8) {
    writer.event(create_ops(RecordKey { record: RecordId([index; 16]), ..samples::RECORD }));
}

#[test]
fn an_edit_of_one_field() {
    assert_eq!(sizes(edit), EDIT);
}

#[test]
fn a_new_record_with_eight_fields() {
    assert_eq!(sizes(create), CREATE);
}

#[test]
fn what_a_run_takes_besides_its_events() {
    let (alone, further) = sizes(edit);
    let (table, signature, envelope) = (2 * 16, 64, 6);
    // Workspace, device, previous event, design; chain, place, lamport, clock, no actor, no batch, three counts.
    let shared = 32 + 32 + 33 + 16 + 1 + 2 + 2 + 6 + 1 + 1 + 3;
    // The first event needs no step of the clock.
    assert_eq!(signature + envelope + shared, RUN);
    assert_eq!(alone - (further - 1), table + RUN);
}
