use super::*;
use crate::{
    engine::{Engine, MemoryEngine, MemorySnapshot, Overlay},
    fold::{
        incremental::{LogPlace, Prefix},
        testing::*,
    },
};
use std::cell::Cell;
use tandem_wire::{RefusalCode, Role, Scope};

/// A log that counts what is read of it.
struct Log<'a> {
    events: &'a [Arc<Event>],
    read: Cell<usize>,
}

impl Events for Log<'_> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        self.read.set(self.read.get() + 1);
        Ok(self.events[at.arrival as usize].clone())
    }
}

const PREFIX: Prefix = Prefix { workspace: 1, generation: 1 };

fn with_archive<T>(
    w: &World,
    look: impl FnOnce(&Archive<'_, Overlay<'_, MemorySnapshot>, Log<'_>>, &Log<'_>) -> T,
) -> T {
    let log = Log { events: w.events(), read: Cell::new(0) };
    let snapshot = MemoryEngine::default().snapshot();
    let mut rows = Overlay::new(&snapshot);
    let mut fold = Fold::load(PREFIX, &rows, &log).unwrap();
    for (arrival, event) in w.events().iter().enumerate() {
        fold.apply(&mut rows, &log, LogPlace { arrival: arrival as u64, index: 0 }, event).unwrap();
    }
    log.read.set(0);
    look(&Archive::new(&fold, &rows, &log), &log)
}

/// Three members at work apart, forks among them, then together.
fn world() -> World {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer), (C, Role::Writer)]);
    let first = w.create(A);
    w.apart(A);
    w.apart(B);
    w.set(A, X, 1, &[]);
    w.set(B, X, 2, &[]);
    let lost = w.set(A, Y, 3, &[]);
    w.set(A, Y, 4, &[]);
    w.forget(A, lost);
    w.set(A, Y, 5, &[]);
    w.set(B, Y, 6, &[]);
    w.apart(C);
    w.set(C, X, 7, &[]);
    w.meet(A);
    w.set(A, X, 8, &[]);
    w.knows_only(B, &[first]);
    w.set(B, Y, 9, &[]);
    w.meet(C);
    w.set(C, X, 10, &[]);
    w
}

/// The causal past of an event, itself included, as headers tell it.
fn past_of(w: &World, event: &Event) -> BTreeSet<EventId> {
    let mut past = BTreeSet::new();
    let mut next = vec![event.id()];
    while let Some(id) = next.pop() {
        if past.insert(id) {
            let header = w.events().iter().find(|event| event.id() == id).unwrap().header();
            next.extend(header.prev.iter().chain(header.deps.iter().map(|dep| &dep.id)));
        }
    }
    past
}

#[test]
fn the_past_of_an_event_is_what_headers_tell() {
    let w = world();
    with_archive(&w, |archive, _| {
        for event in w.events() {
            assert_eq!(archive.past(&event.reference()).unwrap(), past_of(&w, event));
        }
    });
}

#[test]
fn what_an_event_had_seen_of_others_is_the_part_of_them_in_its_past() {
    let w = world();
    let all = w.events();
    with_archive(&w, |archive, _| {
        for event in all {
            let past = past_of(&w, event);
            // All of them, and each two.
            let pairs = (0..all.len()).flat_map(|i| (0..=i).map(move |j| vec![all[i].clone(), all[j].clone()]));
            for others in pairs.chain([all.to_vec()]) {
                let expect = others.iter().map(|other| other.id()).filter(|id| past.contains(id)).collect();
                assert_eq!(archive.seen_by(&event.reference(), &others).unwrap(), expect);
            }
        }
    });
}

#[test]
fn nothing_is_read_that_cannot_matter() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let edits: Vec<Ev> = (0..20).map(|value| w.set(A, X, value, &[])).collect();
    let by_b = w.set(B, X, 1, &[]);
    let read = |event: Ev, others: &[Ev]| {
        with_archive(&w, |archive, log| {
            let others: Vec<Arc<Event>> = others.iter().map(|other| w.event(*other).clone()).collect();
            archive.seen_by(&w.event(event).reference(), &others).unwrap();
            log.read.get()
        })
    };
    assert_eq!(read(edits[19], &[edits[0]]), 1, "in one chain without forks places tell");
    assert_eq!(read(by_b, &[edits[0]]), 2);
    assert_eq!(read(edits[3], &[by_b, edits[19]]), 1, "what is later is not in the past");
}

#[test]
fn events_are_found_by_id_and_by_op() {
    let w = world();
    with_archive(&w, |archive, _| {
        for event in w.events() {
            assert_eq!(archive.find(event.id()).unwrap(), Some(event.reference()));
            let found = archive.event_of(&event.op_ref(0)).unwrap().unwrap();
            assert_eq!((found.event.id(), found.look.unwrap().live), (event.id(), true));
        }
        let event = w.events().last().unwrap();
        let (mut in_tag, mut behind) = (event.id(), event.id());
        in_tag.0[0] ^= 1;
        behind.0[31] ^= 1;
        for unknown in [in_tag, behind] {
            assert_eq!(archive.find(unknown).unwrap(), None);
        }
        let EventRef { chain, seq, .. } = event.reference();
        let elsewhere = EventRef { chain, seq: seq + 1, id: event.id() };
        let nobodys = EventRef { chain: tandem_wire::ChainId { device: D, number: 1 }, ..event.reference() };
        for unknown in [elsewhere, nobodys] {
            assert!(archive.event_of(&unknown.op(0)).unwrap().is_none());
        }
        assert_eq!(archive.fold().prefix(), PREFIX);
    });
}

#[test]
fn the_events_on_a_record_come_in_the_order_of_their_lamports_with_what_became_of_them() {
    let mut w = World::with(&[(B, Role::Writer), (A, Role::Writer), (D, Role::Reader)]);
    w.bind(OWNER, S, Scope::Workspace);
    let by_b = w.create(B);
    let edit = w.set(A, X, 1, &[]);
    let refused = w.set(B, X, 2, &[edit]);
    let not_allowed = w.set(D, X, 3, &[]);
    w.on(A, OTHER, tandem_wire::Act::Create, &[]);
    let verdict = w.refuse(S, refused);
    with_archive(&w, |archive, _| {
        let entries = archive.events_on(RECORD).unwrap();
        let told: Vec<_> = entries.iter().map(|entry| (entry.event.id(), entry.look.unwrap())).collect();
        let look = |live, refused| Look { live, refused, by_authority: false };
        let expect = [(by_b, true, false), (edit, true, false), (refused, false, true), (not_allowed, false, false)];
        assert_eq!(told, expect.map(|(event, live, refused)| (w.event(event).id(), look(live, refused))));
        assert_eq!(archive.status(w.event(edit).id()).unwrap(), Status::Live);
        let why = (w.op(verdict), RefusalCode::RULE);
        assert_eq!(archive.status(w.event(refused).id()).unwrap(), Status::Refused([why].into()));
        assert_eq!(archive.status(w.event(not_allowed).id()).unwrap(), Status::NotAllowed);
    });
}

#[test]
fn what_waits_or_is_invalid_has_no_look() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let waits = w.forge(
        A,
        vec![(on_cell(RECORD, X, tandem_wire::Act::Set, vec![]), tandem_wire::Value::Null.encode())],
        |header| {
            (header.seq, header.prev) = (1, Some(EventId([7; 32])));
        },
    );
    with_archive(&w, |archive, _| {
        assert_eq!(archive.event_of(&w.op(waits)).unwrap().unwrap().look, None);
        assert!(!archive.fold().is_settled());
    });
}

#[test]
fn a_fold_says_whether_it_may_judge_late_and_is_settled() {
    let check = |w: &World, late, settled| {
        with_archive(w, |archive, _| {
            assert_eq!((archive.fold().may_judge_late(), archive.fold().is_settled()), (late, settled));
        });
    };
    let mut w = World::with(&[(A, Role::Writer)]);
    w.set(A, X, 1, &[]);
    check(&w, false, true);
    let mut bound = w.clone();
    bound.bind(OWNER, S, Scope::Workspace);
    check(&bound, true, true);
    let mut cut = w.clone();
    cut.remove(OWNER, A, &[]);
    check(&cut, true, true);
    let lost = w.set(A, X, 2, &[]);
    w.forget(A, lost);
    w.set(A, X, 3, &[]);
    check(&w, false, false);
}
