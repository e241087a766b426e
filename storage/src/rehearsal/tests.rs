//! Reports: what is counted, when it is valid, and that it fits into an event. Rehearsals themselves are tested where there
//! are designs and records to try: `actors/tests/judging/designs.rs`.

use super::{
    report::{Report, Twin},
    row::RowOutcome,
};
use crate::fold::{
    Design,
    design::{Element, PropertyValue},
};
use std::collections::BTreeMap;
use tandem_wire::{
    ChainId, DeviceKey, EventTag, FieldId, ListId, OpRef, RecordId, RecordKey, Value,
    design::{ElementKind, Property},
};

const LIST: ListId = ListId([1; 16]);

/// A list of which so many records, in percent, may fail.
fn design(percent: i64) -> Design {
    let chain = ChainId { device: DeviceKey([0; 32]), number: 0 };
    let by = OpRef { chain, seq: 0, op: 0, tag: EventTag([0; 16]) };
    let value = PropertyValue { value: Some(Value::Int(percent).encode()), by };
    let properties = BTreeMap::from([(Property::FailingPercent.number(), value)]);
    let list = Element { kind: ElementKind::List.number(), parent: None, by, properties };
    Design::of(BTreeMap::from([(LIST.into(), list)]))
}

fn key(number: u16) -> RecordKey {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    RecordKey { list: LIST, record: RecordId(id) }
}

fn raw(value: &str) -> RowOutcome {
    RowOutcome { changed: true, raw: vec![("Age".into(), value.into())], ..RowOutcome::default() }
}

#[test]
fn a_design_says_how_many_of_its_records_may_fail() {
    let check = |failing: u16, percent, expect| {
        let mut report = Report::default();
        (0..10).for_each(|number| {
            let outcome = if number < failing { raw("x") } else { RowOutcome::default() };
            report.add(key(number), &outcome);
        });
        assert_eq!(report.is_valid(&design(percent)), expect, "{failing} of 10, {percent} %");
    };
    check(0, 0, true);
    check(1, 0, false);
    check(1, 9, false);
    check(1, 10, true);
    check(10, 100, true);
    check(10, 1_000, true);
    check(1, -5, false);
}

#[test]
fn what_is_taken_away_is_as_if_it_had_never_been_seen() {
    let mut report = Report::default();
    report.add(key(1), &RowOutcome::default());
    let before = report.clone();
    report.add(key(2), &raw("x"));
    assert_eq!((report.records, report.failed(), report.changed), (2, 1, 1));
    report.take_away(key(2), &raw("x"));
    assert_eq!(report, before);
}

#[test]
fn twins_in_two_fields_of_one_name_are_told_apart() {
    let of = |field| Twin { field: FieldId([field; 16]), rule: "unique Code".into() };
    let mut report = Report::default();
    report.add(key(1), &raw("x"));
    report.turn(key(1), &of(1), true);
    report.turn(key(1), &of(2), true);
    assert_eq!(report.failed(), 1, "it fails for its type as well");
    report.turn(key(1), &of(1), false);
    report.take_away(key(1), &raw("x"));
    assert_eq!(report.failed(), 1);
    report.turn(key(1), &of(2), false);
    assert_eq!(report.failed(), 0);
}

#[test]
fn a_report_fits_into_an_event_however_much_fails() {
    let mut report = Report::default();
    for number in 0..2_000 {
        let broken = (0..5).map(|rule| (format!("rule {number} {rule} {}", "é".repeat(300)), "m".repeat(5_000)));
        let outcome = RowOutcome { broken: broken.collect(), ..raw(&"v".repeat(5_000)) };
        report.add(key(number), &outcome);
    }
    let reported = report.reported(&design(0), 5);
    let bytes = reported.to_bytes();
    assert!(bytes.len() <= 24 * 1024, "{}", bytes.len());
    let read = super::Reported::from_bytes(&bytes).unwrap();
    assert_eq!((read.records, read.failed, read.took_ms), (2_000, 2_000, 5));
    assert!(!read.broken.is_empty() && read.steps == reported.steps);
    assert_eq!(super::Reported::from_bytes(b"{"), None);
}
