//! Law: what goes the quick way becomes what the ordinary way makes of it, row for row and byte for byte.

use super::*;
use crate::{
    engine::{Engine, MemoryEngine, MemorySnapshot},
    fold::{
        incremental::{Applied, stories::*},
        naive,
        testing::*,
    },
};
use proptest::prelude::*;
use tandem_wire::{ChainId, DeviceKey, Header, ListId, Op, Role, Scope};

/// What is done with the quick way's rows after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    None,
    /// They go where the ordinary way finds them, and everything is compared.
    Settle,
    /// Their end is written, the rest stays.
    WriteEnd,
    /// Their end is written, and they are ingested.
    Ingest,
    /// They are settled, and the fold is loaded again.
    Load,
}

fn ingest(rows: &mut Overlay<'_, MemorySnapshot>, fresh: &mut Fresh) {
    let (records, events) = fresh.take_rows();
    assert!(records.is_sorted() && events.is_sorted(), "what is ingested is in order");
    records.into_iter().for_each(|(key, row)| rows.put(Table::Records, key, row));
    events.into_iter().for_each(|(key, row)| rows.put(Table::Events, key, row));
}

/// Gives the events to two folds, one of which has the quick way, and compares what they make of them. Gives the places
/// in `order` of those that went the quick way.
fn check(w: &World, order: &[usize], mut pause: impl FnMut(usize) -> Pause) -> Vec<usize> {
    let snapshot = MemoryEngine::default().snapshot();
    let log = Log(w.events());
    let (mut plain_rows, mut rows) = (Overlay::new(&snapshot), Overlay::new(&snapshot));
    let mut plain = Fold::load(PREFIX, &plain_rows, &log).unwrap();
    let (mut fold, mut fresh, mut quick, mut pending) = (plain.clone(), Fresh::default(), Vec::new(), 0);
    for (place, index) in order.iter().enumerate() {
        let (event, at) = (&w.events()[*index], LogPlace { arrival: *index as u64, index: 0 });
        let became = plain.apply(&mut plain_rows, &log, at, event).unwrap();
        if fold.apply_fresh(&rows, &mut fresh, at, event).unwrap() {
            assert_eq!(became, Applied::Valid, "event {index}");
            quick.push(place);
            pending += 1;
        } else {
            fold.settle_fresh(&mut rows, &mut fresh);
            assert_eq!(fold.apply(&mut rows, &log, at, event).unwrap(), became, "event {index}");
            fold.go_on(&rows, &log, &mut fresh, event).unwrap();
            pending = 0;
        }
        assert_eq!((fresh.len(), fresh.is_empty()), (pending, pending == 0));
        assert_eq!(format!("{fold:?}"), format!("{plain:?}"), "in memory, after event {index}");
        match pause(place) {
            Pause::None => continue,
            Pause::WriteEnd => {
                fold.write_end(&mut rows, &mut fresh);
                continue;
            }
            Pause::Settle => fold.settle_fresh(&mut rows, &mut fresh),
            Pause::Ingest => {
                fold.write_end(&mut rows, &mut fresh);
                ingest(&mut rows, &mut fresh);
            }
            Pause::Load => {
                fold.settle_fresh(&mut rows, &mut fresh);
                fold = Fold::load(PREFIX, &rows, &log).unwrap();
                plain = Fold::load(PREFIX, &plain_rows, &log).unwrap();
            }
        }
        pending = 0;
        assert_eq!(rows_of(&rows), rows_of(&plain_rows), "after event {index}");
    }
    fold.settle_fresh(&mut rows, &mut fresh);
    assert!(fresh.is_empty());
    assert_eq!(rows_of(&rows), rows_of(&plain_rows), "at the end");
    let given: Vec<_> = order.iter().map(|index| w.events()[*index].clone()).collect();
    assert_eq!(fold.view(&rows).unwrap(), naive::view(&given));
    quick
}

/// As told, nothing in between. Gives the events that went the quick way.
fn quick_in(w: &World) -> Vec<Ev> {
    let order: Vec<usize> = (0..w.events().len()).collect();
    for pause in [Pause::Settle, Pause::WriteEnd, Pause::Ingest, Pause::Load] {
        check(w, &order, |_| pause);
    }
    check(w, &order, |_| Pause::None).into_iter().map(Ev).collect()
}

fn make(w: &mut World, who: DeviceKey, list: ListId, number: u16) -> Ev {
    w.write(who, whole_record(new_record(list, number), i64::from(number)))
}

/// What `change` forges goes the ordinary way, and so does what comes after it, unless `then`.
fn check_forged(lines: Vec<Line>, change: impl FnOnce(&mut Header, EventId)) {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    make(&mut w, B, LIST, 0);
    let last = make(&mut w, A, LIST, 1);
    let id = w.event(last).id();
    let forged = w.forge(A, lines, |header| change(header, id));
    assert!(!quick_in(&w).contains(&forged));
}

#[test]
fn new_records_one_after_the_other_go_the_quick_way() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let first = make(&mut w, A, LIST, 0);
    let made: Vec<Ev> =
        (1..6).map(|number| make(&mut w, A, if number < 4 { LIST } else { OTHER_LIST }, number)).collect();
    assert!(!made.contains(&first));
    assert_eq!(quick_in(&w), made);
}

#[test]
fn an_edit_is_as_good_a_start_as_a_new_record() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.set(A, X, 1, &[]);
    let made = make(&mut w, A, LIST, 1);
    assert_eq!(quick_in(&w), [made]);
}

#[test]
fn an_authoritys_new_records_have_its_rank() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    make(&mut w, S, LIST, 1);
    let of_list = [2, 3].map(|number| make(&mut w, S, LIST, number));
    // Not its list: nobody let it write there.
    let elsewhere = make(&mut w, S, OTHER_LIST, 4);
    let quick = quick_in(&w);
    assert_eq!(quick, of_list);
    assert!(!quick.contains(&elsewhere));
    let view = naive::view(w.events());
    let ranks: Vec<u64> = view.records[&new_record(LIST, 3)].cells.values().map(|cell| cell[0].rank).collect();
    assert_eq!(ranks, [w.event(of_list[1]).header().lamport; 4]);
}

#[test]
fn where_there_are_authorities_only_one_list_goes_on() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    make(&mut w, A, LIST, 1);
    let of_one_list = make(&mut w, A, LIST, 2);
    make(&mut w, A, OTHER_LIST, 3);
    let of_the_other = make(&mut w, A, OTHER_LIST, 4);
    w.write(A, [whole_record(new_record(LIST, 5), 1), whole_record(new_record(OTHER_LIST, 6), 1)].concat());
    make(&mut w, A, OTHER_LIST, 7);
    assert_eq!(quick_in(&w), [of_one_list, of_the_other]);
}

#[test]
fn what_is_not_live_is_no_start() {
    let mut w = World::with(&[(A, Role::Reader)]);
    for number in 0..3 {
        make(&mut w, A, LIST, number);
    }
    assert_eq!(quick_in(&w), []);
}

#[test]
fn what_may_be_cut_goes_the_ordinary_way() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let first = make(&mut w, A, LIST, 0);
    w.apart(A);
    w.remove(OWNER, A, &[first]);
    for number in 1..4 {
        make(&mut w, A, LIST, number);
    }
    assert_eq!(quick_in(&w), []);
}

#[test]
fn while_anything_waits_everything_goes_the_ordinary_way() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let seen_by_both = make(&mut w, A, LIST, 9);
    w.apart(A);
    w.apart(B);
    let missing = make(&mut w, B, LIST, 0);
    let waits = make(&mut w, B, LIST, 1);
    for number in 2..5 {
        make(&mut w, A, LIST, number);
    }
    let order = [0, 1, 2, seen_by_both.0, waits.0, 6, 7, 8, missing.0];
    for pause in [Pause::None, Pause::WriteEnd] {
        assert!(check(&w, &order, |_| pause).is_empty(), "{pause:?}");
    }
}

#[test]
fn nothing_goes_on_where_another_author_is_at_work() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    w.apart(A);
    w.apart(B);
    for number in 0..6 {
        make(&mut w, if number % 2 == 0 { A } else { B }, LIST, number);
    }
    assert_eq!(quick_in(&w), []);
}

#[test]
fn nothing_goes_on_in_a_forked_chain() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    make(&mut w, A, LIST, 0);
    let forgotten = make(&mut w, A, LIST, 1);
    w.forget(A, forgotten);
    make(&mut w, A, LIST, 2);
    // Sees both branches, so that there is one end of everything again.
    w.meet(A);
    make(&mut w, B, LIST, 3);
    let goes_on = make(&mut w, B, LIST, 4);
    make(&mut w, A, LIST, 5);
    make(&mut w, A, LIST, 6);
    assert_eq!(quick_in(&w), [forgotten, goes_on]);
}

#[test]
fn records_that_somebody_has_spoken_of_go_the_ordinary_way() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    w.set_in(B, new_record(LIST, 9), X, 1, &[]);
    make(&mut w, A, LIST, 0);
    let quick = [make(&mut w, A, LIST, 1)];
    make(&mut w, A, LIST, 1);
    make(&mut w, A, LIST, 9);
    assert_eq!(quick_in(&w), quick);
}

#[test]
fn a_record_spoken_of_in_vain_is_as_good_as_new() {
    let mut w = World::with(&[(A, Role::Writer), (C, Role::Reader)]);
    make(&mut w, C, LIST, 2);
    make(&mut w, A, LIST, 1);
    let made = make(&mut w, A, LIST, 2);
    assert_eq!(quick_in(&w), [made], "what is masked stays in the record's history");
}

#[test]
fn only_events_that_make_one_record_and_nothing_else_go_the_quick_way() {
    let (key, other) = (new_record(LIST, 7), new_record(LIST, 8));
    let later = (on_cell(key, X, Act::Unknown { kind: 999, args: vec![] }, vec![]), vec![]);
    let apply = (on_cell(key, X, Act::Apply { type_id: 1 }, vec![]), vec![]);
    let delete = (Op { target: Target::Record(key), preds: vec![], act: Act::Delete }, vec![]);
    let restore = (Op { target: Target::Record(key), preds: vec![], act: Act::Restore }, vec![]);
    let twice = vec![create_line(key), set_line(key, X, "a", 1), set_line(key, Y, "a", 2), set_line(key, X, "a", 3)];
    let cases = [
        vec![set_line(key, X, "", 1)],
        vec![create_line(key), create_line(key)],
        vec![create_line(key), create_line(other)],
        vec![create_line(key), set_line(other, X, "", 1)],
        vec![set_line(other, X, "", 1), create_line(key)],
        vec![create_line(key), later],
        vec![create_line(key), apply],
        vec![create_line(key), delete],
        vec![create_line(key), restore],
        twice,
    ];
    for lines in cases {
        check_forged(lines, |_, _| {});
    }
    // The same with nothing amiss.
    let mut w = World::with(&[(A, Role::Writer)]);
    make(&mut w, A, LIST, 0);
    let made = w.write(A, vec![set_line(key, X, "a", 1), set_line(key, X, "b", 1), create_line(key)]);
    assert_eq!(quick_in(&w), [made]);
}

#[test]
fn a_new_record_whose_values_are_gone_goes_the_ordinary_way() {
    let mut w = World::with(&[(A, Role::Writer)]);
    make(&mut w, A, LIST, 0);
    let erased = make(&mut w, A, LIST, 1);
    let made = make(&mut w, A, LIST, 2);
    w.erase(erased);
    assert_eq!(quick_in(&w), [made]);
}

#[test]
fn a_create_that_answers_a_delete_goes_the_ordinary_way() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let made = w.create(A);
    let deleted = w.delete(A, &[made]);
    w.on(A, RECORD, Act::Create, &[deleted]);
    assert_eq!(quick_in(&w), []);
}

#[test]
fn an_event_that_only_claims_to_build_on_the_end_goes_the_ordinary_way() {
    let lines = || whole_record(new_record(LIST, 7), 1);
    check_forged(lines(), |header, _| header.seq += 1);
    check_forged(lines(), |header, _| header.seq += 1000);
    check_forged(lines(), |header, _| header.lamport += 1);
    check_forged(lines(), |header, _| header.lamport -= 1);
    // In the chain of somebody who never wrote, of somebody who did, and in another one of its own.
    for (device, number, seq) in [(C, 1, 1), (B, 1, 1), (A, 3, 2)] {
        check_forged(lines(), |header, _| (header.chain, header.seq) = (ChainId { device, number }, seq));
    }
}

#[test]
fn an_event_that_names_more_than_its_chain_goes_the_ordinary_way() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let by_b = make(&mut w, B, LIST, 0);
    make(&mut w, A, LIST, 1);
    let named = w.event(by_b).reference();
    w.forge(A, whole_record(new_record(LIST, 2), 1), |header| header.deps = vec![named]);
    w.forge(A, whole_record(new_record(LIST, 3), 1), |header| header.resubmits = Some(named));
    let made = make(&mut w, A, LIST, 4);
    assert_eq!(quick_in(&w), [made]);
}

#[test]
fn what_comes_twice_is_known() {
    let mut w = World::with(&[(A, Role::Writer)]);
    for number in 0..4 {
        make(&mut w, A, LIST, number);
    }
    assert_eq!(check(&w, &[0, 1, 2, 3, 3, 4, 2, 4, 5, 5], |_| Pause::None), [3, 5, 8]);
}

#[test]
fn the_rows_of_a_load_that_was_cut_short_are_known_by_their_keys() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let first = make(&mut w, A, LIST, 0);
    let others = [1, 2].map(|number| make(&mut w, A, LIST, number));
    let (edit, stranger) = (w.set(A, X, 1, &[]), make(&mut w, C, LIST, 3));
    let (log, snapshot) = (Log(w.events()), MemoryEngine::default().snapshot());
    let mut rows = Overlay::new(&snapshot);
    let (mut fold, mut fresh) = (Fold::load(PREFIX, &rows, &log).unwrap(), Fresh::default());
    let at = |event: Ev| LogPlace { arrival: event.0 as u64, index: 0 };
    for event in [Ev(0), Ev(1), first] {
        fold.apply(&mut rows, &log, at(event), w.event(event)).unwrap();
    }
    let before = fold.clone();
    fold.go_on(&rows, &log, &mut fresh, w.event(first)).unwrap();
    for event in others {
        assert!(fold.apply_fresh(&rows, &mut fresh, at(event), w.event(event)).unwrap());
    }
    let (records, events) = fresh.take_rows();
    let ingested = |table, rows: Vec<(Key, Bytes)>| rows.into_iter().map(move |(key, _)| (table, key));
    let left: BTreeSet<_> = ingested(Table::Records, records).chain(ingested(Table::Events, events)).collect();
    let taken: BTreeSet<_> = others.iter().flat_map(|event| before.keys_of_fresh(w.event(*event))).collect();
    assert_eq!((taken.len(), taken), (4, left));
    assert_eq!(before.keys_of_fresh(w.event(edit)).len(), 1, "an edit makes no record");
    assert_eq!(before.keys_of_fresh(w.event(stranger)).len(), 1, "nobody knows the stranger's chain");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_quick_way_leads_to_the_same_rows(
        steps in prop::collection::vec(any::<Step>(), 1..40),
        late in prop::collection::vec((any::<prop::sample::Index>(), 1..6_usize), 0..4),
        pauses in prop::collection::vec(0..20_u8, 50),
    ) {
        let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer), (C, Role::Reader)]);
        let mut teller = Teller::default();
        steps.into_iter().for_each(|step| teller.tell(&mut w, step));
        let order = delivered(w.events().len(), late);
        check(&w, &order, |place| match pauses[place % pauses.len()] {
            0 => Pause::Settle,
            1 => Pause::WriteEnd,
            2 => Pause::Ingest,
            3 => Pause::Load,
            _on => Pause::None,
        });
    }
}
