//! Law: what goes the quick way becomes what the ordinary way makes of it, row for row and byte for byte.

use super::*;
use crate::{
    engine::{Engine, MemoryEngine},
    fold::{
        incremental::{Applied, stories::*},
        naive,
        testing::*,
    },
};
use proptest::prelude::*;
use tandem_wire::{DeviceKey, Role, Scope, Value};

/// What is done with what is kept back after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    None,
    /// It goes where the ordinary way finds it, and everything is compared.
    Settle,
    /// The same, and the fold is loaded again.
    Load,
}

/// Gives the events to two folds, one of which has the quick way, and compares what they make of them. Gives the places
/// in `order` of those that went the quick way.
fn check(w: &World, order: &[usize], mut pause: impl FnMut(usize) -> Pause) -> Vec<usize> {
    let snapshot = MemoryEngine::default().snapshot();
    let log = Log(w.events());
    let (mut plain_rows, mut rows) = (Overlay::new(&snapshot), Overlay::new(&snapshot));
    let mut plain = Fold::load(PREFIX, &plain_rows, &log).unwrap();
    let (mut fold, mut steps, mut quick) = (plain.clone(), Steps::default(), Vec::new());
    for (place, index) in order.iter().enumerate() {
        let (event, at) = (&w.events()[*index], LogPlace { arrival: *index as u64, index: 0 });
        let became = plain.apply(&mut plain_rows, &log, at, event).unwrap();
        if fold.apply_step(&mut rows, &log, &mut steps, at, event).unwrap() {
            assert_eq!(became, Applied::Valid, "event {index}");
            quick.push(place);
        } else {
            fold.settle_steps(&mut rows, &mut steps);
            assert!(steps.is_empty());
            assert_eq!(fold.apply(&mut rows, &log, at, event).unwrap(), became, "event {index}");
        }
        assert_eq!(format!("{fold:?}"), format!("{plain:?}"), "in memory, after event {index}");
        match pause(place) {
            Pause::None => continue,
            Pause::Settle => fold.settle_steps(&mut rows, &mut steps),
            Pause::Load => {
                fold.settle_steps(&mut rows, &mut steps);
                fold = Fold::load(PREFIX, &rows, &log).unwrap();
                plain = Fold::load(PREFIX, &plain_rows, &log).unwrap();
            }
        }
        assert_same_rows(&rows, &plain_rows, &format!("after event {index}"));
    }
    fold.settle_steps(&mut rows, &mut steps);
    assert_same_rows(&rows, &plain_rows, "at the end");
    let given: Vec<_> = order.iter().map(|index| w.events()[*index].clone()).collect();
    assert_eq!(fold.view(&rows).unwrap(), naive::view(&given));
    quick
}

/// As told. Gives the events that went the quick way.
fn quick_in(w: &World) -> Vec<Ev> {
    let order: Vec<usize> = (0..w.events().len()).collect();
    for pause in [Pause::Settle, Pause::Load] {
        check(w, &order, |_| pause);
    }
    check(w, &order, |_| Pause::None).into_iter().map(Ev).collect()
}

/// Two writers, each of whom has written something, and knows what the other wrote.
fn world() -> (World, Ev) {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let made = w.create(A);
    w.set(B, Y, 0, &[]);
    w.meet(A);
    (w, made)
}

#[test]
fn edits_of_what_is_current_go_the_quick_way() {
    let (mut w, made) = world();
    let one = w.set(A, X, 1, &[]);
    let two = w.set(A, X, 2, &[one]);
    let by_b = w.set(B, X, 3, &[two]);
    let deleted = w.delete(B, &[made, by_b]);
    let restored = w.restore(A, &[deleted]);
    let answered = w.on(A, RECORD, Act::Resolve, &[deleted]);
    let elsewhere = w.on(A, new_record(LIST, 1), Act::Create, &[]);
    assert_eq!(quick_in(&w), [one, two, by_b, deleted, restored, answered, elsewhere]);
}

#[test]
fn two_authors_at_once_go_the_quick_way() {
    let (mut w, _) = world();
    let first = w.set(A, X, 0, &[]);
    w.meet(B);
    w.apart(A);
    w.apart(B);
    let (a, b) = (w.set(A, X, 1, &[first]), w.set(B, X, 2, &[first]));
    // Whichever comes second builds on what the other one has replaced.
    assert_eq!(quick_in(&w), [first, a, b]);
    let order: Vec<usize> = (0..w.events().len() - 2).chain([b.0, a.0]).collect();
    assert_eq!(check(&w, &order, |_| Pause::None).len(), 3, "the other way round");
    w.meet(A);
    w.meet(B);
    let both = w.set(A, X, 3, &[a, b]);
    assert!(quick_in(&w).contains(&both));
}

#[test]
fn what_builds_on_something_masked_goes_the_ordinary_way() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    w.create(A);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    let first = w.set(A, X, 0, &[]);
    let second = w.set(A, X, 1, &[first]);
    w.set(A, X, 2, &[second]);
    w.refuse(S, second);
    w.meet(B);
    w.set(B, Y, 0, &[]);
    // It was replaced, and then refused: whoever builds on it builds on the first.
    let builds = w.set(B, X, 3, &[second]);
    assert!(!quick_in(&w).contains(&builds));
}

#[test]
fn whoever_has_seen_more_of_the_control_plane_goes_the_ordinary_way() {
    let (mut w, _) = world();
    w.admit(OWNER, C, Role::Writer);
    let seen = w.set(A, X, 1, &[]);
    let next = w.set(A, X, 2, &[seen]);
    assert_eq!(quick_in(&w), [next]);
    // B has not seen it; A names B's event, which knows less than A.
    w.apart(B);
    w.admit(OWNER, S, Role::Writer);
    w.meet(A);
    let knows = w.set(A, Y, 2, &[]);
    let goes_on = w.set(A, Y, 3, &[knows]);
    assert_eq!(quick_in(&w), [next, goes_on]);
}

#[test]
fn what_names_something_later_or_something_else_is_invalid_on_both_ways() {
    let (mut w, made) = world();
    let on_y = w.set(A, Y, 1, &[]);
    let names = w.event(on_y).op_ref(0);
    let line = |preds| (on_cell(RECORD, X, Act::Set, preds), Value::Int(1).encode());
    w.forge(A, vec![line(vec![names])], |_| {});
    w.forge(A, vec![line(vec![w.event(made).op_ref(0)])], |_| {});
    let mut twice = vec![line(vec![]), line(vec![])];
    twice[1].1 = Value::Int(2).encode();
    w.write(A, twice);
    quick_in(&w);
}

#[test]
fn a_delete_beside_something_else_goes_the_ordinary_way() {
    let (mut w, made) = world();
    let one = w.set(A, X, 1, &[]);
    let (made, named) = (w.event(made).op_ref(0), w.event(one).op_ref(0));
    let set = (on_cell(RECORD, X, Act::Set, vec![named]), Value::Int(2).encode());
    let mut both = vec![made, named];
    both.sort_unstable();
    let delete = (Op { target: Target::Record(RECORD), preds: both, act: Act::Delete }, vec![]);
    let mixed = w.write(A, vec![set, delete]);
    assert!(!quick_in(&w).contains(&mixed));
}

/// Edits of a few records by several authors, between what a [`Teller`] tells.
#[derive(Default)]
struct Editors {
    teller: Teller,
    done: Vec<(RecordKey, tandem_wire::FieldId, Ev)>,
    made: Vec<(RecordKey, Ev)>,
    deleted: Vec<(RecordKey, Ev)>,
}

impl Editors {
    fn tell(&mut self, w: &mut World, (what, a, b): Step) {
        const AUTHORS: [DeviceKey; 5] = [A, B, A, OWNER, S];
        let who = AUTHORS[b as usize % AUTHORS.len()];
        let key = new_record(LIST, u16::from(a % 3));
        let field = if b.is_multiple_of(2) { X } else { Y };
        match what % 16 {
            0 => self.teller.tell(w, (b, a, what)),
            1 => w.apart(who),
            2 | 3 => AUTHORS.iter().for_each(|author| w.meet(*author)),
            4 => {
                let made = w.on(who, key, Act::Create, &[]);
                self.made.push((key, made));
            }
            5 => {
                let Some((key, made)) = self.made.get(usize::from(a) % self.made.len().max(1)).copied() else { return };
                let named: Vec<Ev> = std::iter::once(made).chain(self.last(key, X, a % 2)).collect();
                let deleted = w.on(who, key, Act::Delete, &named);
                self.deleted.push((key, deleted));
            }
            6 => {
                let Some((key, deleted)) = self.deleted.last().copied() else { return };
                let acts = [Act::Restore, Act::Resolve, Act::Create];
                w.on(who, key, acts[usize::from(a) % 3].clone(), &[deleted]);
            }
            7 => {
                let named = w.refs(&self.last(key, X, 1));
                let lines = [
                    (on_cell(key, X, Act::Set, named), Value::Int(i64::from(a)).encode()),
                    (on_cell(key, Y, Act::Set, vec![]), Value::Int(i64::from(b)).encode()),
                    (on_cell(new_record(LIST, 1), Y, Act::Set, vec![]), Value::Int(7).encode()),
                ];
                w.write(who, lines.to_vec());
            }
            8 => {
                if let Some(last) = self.last(key, field, 1).first() {
                    w.forget(who, *last);
                }
            }
            _edit => {
                let named = self.last(key, field, [1, 1, 1, 2, 0][usize::from(a) % 5]);
                let event = w.set_in(who, key, field, i64::from(a), &named);
                self.done.push((key, field, event));
            }
        }
    }

    /// The last edits of a cell, by whomever.
    fn last(&self, key: RecordKey, field: tandem_wire::FieldId, count: u8) -> Vec<Ev> {
        let of_cell = self.done.iter().rev().filter(|done| (done.0, done.1) == (key, field));
        of_cell.take(usize::from(count)).map(|done| done.2).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_quick_way_leads_to_the_same_rows(
        told in prop::collection::vec(any::<Step>(), 1..50),
        late in prop::collection::vec((any::<prop::sample::Index>(), 1..8_usize), 0..6),
        pauses in prop::collection::vec(0..12_u8, 50),
    ) {
        let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer), (C, Role::Reader)]);
        let mut editors = Editors::default();
        told.into_iter().for_each(|step| editors.tell(&mut w, step));
        let order = delivered(w.events().len(), late);
        check(&w, &order, |place| match pauses[place % pauses.len()] {
            0 => Pause::Settle,
            1 => Pause::Load,
            _on => Pause::None,
        });
    }
}

#[test]
fn an_authoritys_edits_have_its_rank() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    let first = w.set(S, X, 1, &[]);
    let second = w.set(S, X, 2, &[first]);
    w.set_in(S, new_record(OTHER_LIST, 1), X, 3, &[]);
    assert_eq!(quick_in(&w), [second]);
}
