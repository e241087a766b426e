//! Taking changes back, and refusing what was decided on an old state.

use crate::bench::Bench;
use std::sync::Arc;
use tandem_actors::{
    Change, Command, Expect, Refused, Transaction, Undo, Undone,
    undo::{Together, Why},
    workspace::plain_cell,
};
use tandem_wire::{Act, BatchId, EventId, Op, PartPath, Target, Value};

const UNDO: BatchId = BatchId([1; 16]);

fn undo_of(bench: &Bench, events: &[EventId]) -> Command {
    let events: Vec<_> = events.iter().map(|id| bench.reference(*id)).collect();
    let together = Arc::new(Together::of(&events));
    Command::Undo(Undo { events, together, batch: UNDO })
}

/// Undoes events together; gives the new events and what came of it.
fn undo(bench: &mut Bench, events: &[EventId]) -> (Vec<EventId>, Undone) {
    let command = undo_of(bench, events);
    let committed = bench.perform(command).unwrap();
    (committed.events, *committed.undone.unwrap())
}

fn counts(undone: &Undone) -> (u64, u64, u64, u64) {
    (undone.cells, undone.deleted, undone.restored, undone.kept_count)
}

fn texts(texts: [&str; 2]) -> Option<[String; 2]> {
    Some(texts.map(String::from))
}

#[test]
fn a_change_is_put_back_and_done_again() {
    let mut b = Bench::new();
    b.change(&[b.create(1), b.set(1, 0, "old")]);
    let changed = b.change(&[b.set(1, 0, "new"), b.set(1, 1, "note")]);
    let (events, undone) = undo(&mut b, &[changed]);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["old", ""]), (2, 0, 0, 0)));
    let (events, undone) = undo(&mut b, &events);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["new", "note"]), (2, 0, 0, 0)), "redone");
    let (_, undone) = undo(&mut b, &events);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["old", ""]), (2, 0, 0, 0)), "and undone again");
}

#[test]
fn a_made_record_goes_and_a_removed_one_is_back() {
    let mut b = Bench::new();
    let made = b.change(&[b.create(1), b.set(1, 0, "a")]);
    let (undoing, undone) = undo(&mut b, &[made]);
    assert_eq!((b.shown(1), counts(&undone)), (None, (0, 1, 0, 0)));
    let (_, undone) = undo(&mut b, &undoing);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["a", ""]), (0, 0, 1, 0)));
    let removed = b.change(&[Change::Delete(b.record(1))]);
    let (restored, undone) = undo(&mut b, &[removed]);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["a", ""]), (0, 0, 1, 0)));
    let (_, undone) = undo(&mut b, &restored);
    assert_eq!((b.shown(1), counts(&undone)), (None, (0, 1, 0, 0)));
}

#[test]
fn what_was_changed_since_is_left_and_named() {
    let mut b = Bench::new();
    b.admit_ben();
    let made = b.change(&[b.create(1), b.set(1, 0, "a"), b.set(1, 1, "b")]);
    let changed = b.change(&[b.set(1, 0, "c"), b.set(1, 1, "d")]);
    let by_ben = b.ben_sets(1, 1, "Ben's");
    let (_, undone) = undo(&mut b, &[changed]);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["a", "Ben's"]), (1, 0, 0, 1)));
    let kept = &undone.kept[0];
    assert_eq!(kept.cell, Some(plain_cell(b.record(1), b.fields[1])));
    let Why::Changed(later) = &kept.why else { panic!("{kept:?}") };
    assert_eq!((later.author.name.as_str(), later.event.id), ("Ben", by_ben));
    assert_eq!(kept.why.to_string(), "changed since, by Ben");

    let (events, undone) = undo(&mut b, &[made]);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["a", "Ben's"]), (0, 0, 0, 1)), "Ben has a part in it");
    assert!(events.is_empty() && undone.is_nothing() && undone.kept[0].cell.is_none());
}

#[test]
fn a_value_that_came_from_somebody_else_is_put_back() {
    let mut b = Bench::new();
    b.admit_ben();
    let made = b.change(&[b.create(1), b.set(1, 0, "a")]);
    b.ben_sets(1, 0, "Ben's");
    let changed = b.change(&[b.set(1, 0, "mine")]);
    // Together, the record stays: Ben had changed it, though that is not what it shows.
    let (_, undone) = undo(&mut b, &[made, changed]);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["mine", ""]), (0, 0, 0, 1)));
    let (_, undone) = undo(&mut b, &[changed]);
    assert_eq!((b.shown(1), counts(&undone)), (texts(["Ben's", ""]), (1, 0, 0, 0)));
}

#[test]
fn events_are_undone_together_in_one_piece_or_in_several() {
    for pieces in [1, 2, 4] {
        let mut b = Bench::new();
        b.change(&[b.create(9), b.set(9, 0, "before")]);
        let events = [
            b.change(&[b.create(1), b.set(1, 0, "a")]),
            b.change(&[b.set(1, 0, "b"), b.set(9, 0, "between")]),
            b.change(&[b.set(9, 0, "after"), b.set(9, 1, "note"), Change::Delete(b.record(1))]),
            b.change(&[Change::Restore(b.record(1)), Change::Delete(b.record(9))]),
        ];
        let Command::Undo(whole) = undo_of(&b, &events) else { unreachable!() };
        let mut left = whole.events.clone();
        let mut kept = 0;
        while !left.is_empty() {
            let piece = left.split_off(left.len() - events.len() / pieces);
            let done = b.perform(Command::Undo(Undo { events: piece, ..whole.clone() })).unwrap();
            kept += done.undone.unwrap().kept_count;
        }
        assert_eq!((b.shown(1), b.shown(9), kept), (None, texts(["before", ""]), 0), "{pieces} pieces");
    }
}

#[test]
fn a_removal_by_others_too_stays() {
    let mut b = Bench::new();
    b.admit_ben();
    b.change(&[b.create(1), b.set(1, 0, "a")]);
    let seen = b.state(1).heads().ops().to_vec();
    let removed = b.change(&[Change::Delete(b.record(1))]);
    let delete = Op { target: Target::Record(b.record(1)), preds: seen, act: Act::Delete };
    b.ben(vec![(delete, vec![])]);
    let (_, undone) = undo(&mut b, &[removed]);
    assert_eq!((b.shown(1), counts(&undone)), (None, (0, 0, 0, 1)));
    assert_eq!(undone.kept[0].why.to_string(), "removed, by Ben");
    let changed_before = b.change(&[Change::Restore(b.record(1)), b.set(1, 0, "b")]);
    b.change(&[Change::Delete(b.record(1))]);
    let (_, undone) = undo(&mut b, &[changed_before]);
    assert_eq!((b.shown(1), undone.is_nothing()), (None, true));
}

#[test]
fn a_delete_that_lost_is_withdrawn() {
    let mut b = Bench::new();
    b.admit_ben();
    b.change(&[b.create(1), b.set(1, 0, "a")]);
    let removed = b.change(&[Change::Delete(b.record(1))]);
    // Ben has seen the delete, but his edit names the value and not the delete: an edit beats it.
    b.ben_sets(1, 0, "Ben's");
    assert_eq!(b.state(1).losing_deletes().count(), 1);
    let (_, undone) = undo(&mut b, &[removed]);
    assert_eq!(counts(&undone), (0, 0, 1, 0));
    assert_eq!((b.shown(1), b.state(1).losing_deletes().count()), (texts(["Ben's", ""]), 0));
}

#[test]
fn only_own_changes_of_records_are_undone() {
    let mut b = Bench::new();
    b.admit_ben();
    b.change(&[b.create(1), b.set(1, 0, "a")]);
    let by_ben = b.ben_sets(1, 0, "Ben's");
    let refused = b.perform(undo_of(&b, &[by_ben])).unwrap_err();
    let Refused::NotOwn { event, author } = &refused else { panic!("{refused}") };
    assert_eq!((*event, author.name.as_str(), refused.code()), (by_ben, "Ben", "not-own"));
    let design = b.perform(Command::CreateList { name: "Other".into(), fields: vec![] }).unwrap().events[0];
    assert_eq!(b.perform(undo_of(&b, &[design])).unwrap_err().code(), "not-undoable");
    let mut unknown = b.reference(by_ben);
    unknown.seq += 1;
    let together = Arc::new(Together::of(&[unknown]));
    let refused = b.perform(Command::Undo(Undo { events: vec![unknown], together, batch: UNDO })).unwrap_err();
    assert_eq!(refused.code(), "unknown-event");
}

#[test]
fn a_large_undo_becomes_several_events() {
    let mut b = Bench::new();
    let note = "x".repeat(50_000);
    let long: Vec<EventId> = (0..4)
        .map(|n| {
            b.change(&[b.create(n), b.set(n, 0, &note)]);
            b.change(&[b.set(n, 0, "short")])
        })
        .collect();
    let (events, undone) = undo(&mut b, &long);
    assert_eq!((events.len(), counts(&undone)), (4, (4, 0, 0, 0)));
    assert!((0..4).all(|n| b.shown(n).unwrap()[0] == note));
}

#[test]
fn a_stale_transaction_is_refused_in_its_group_and_nobody_else() {
    let mut b = Bench::new();
    b.change(&[b.create(1), b.set(1, 0, "a")]);
    let cell = plain_cell(b.record(1), b.fields[0]);
    let (record, seen) = (b.state(1).heads(), b.state(1).heads_of(cell.field, &PartPath::default()));
    let set = |b: &Bench, field, value: &str, expect| {
        let changes = vec![b.set(1, field, value)];
        Command::Change(Transaction { changes, expect, ..Transaction::default() })
    };
    let commands = [
        set(&b, 0, "first", vec![Expect::Record(b.record(1), record.clone())]),
        set(&b, 0, "second", vec![Expect::Cell(cell.clone(), seen.clone())]),
        set(&b, 1, "third", vec![]),
        set(&b, 1, "fourth", vec![Expect::Record(b.record(1), record)]),
    ];
    let answers = b.perform_all(&commands);
    let codes: Vec<Option<&str>> = answers.iter().map(|answer| answer.as_ref().err().map(Refused::code)).collect();
    assert_eq!(codes, [None, Some("stale"), None, Some("stale")]);
    let Err(Refused::Stale(stale)) = &answers[1] else { panic!("{answers:?}") };
    let now = &stale.now;
    assert_eq!((stale.record, stale.by.name.as_str()), (b.record(1), "Ada"));
    assert_eq!(now.cells[&(cell.field, PartPath::default())][0].value(), Some(Value::Text("first".into())));
    assert_eq!(b.shown(1), texts(["first", "third"]));
    // With what is there now it goes through; so does a cell that nobody touched.
    let expect = vec![Expect::Cell(cell, now.heads_of(b.fields[0], &PartPath::default()))];
    b.perform(set(&b, 0, "again", expect)).unwrap();
    let absent = vec![Expect::Record(b.record(2), Default::default())];
    let create = |b: &Bench| {
        Command::Change(Transaction { changes: vec![b.create(2)], expect: absent.clone(), ..Transaction::default() })
    };
    b.perform(create(&b)).unwrap();
    assert_eq!(b.perform(create(&b)).unwrap_err().code(), "stale");
}
