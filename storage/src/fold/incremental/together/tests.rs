//! Law: control events that are looked at together become what they become one by one.

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
use tandem_wire::{DeviceKey, Role, Scope};

/// Gives the events to two folds, one of which looks at control events together, as long as `waits`. Gives how many of
/// them were at most looked at together.
fn check(w: &World, order: &[usize], mut waits: impl FnMut(usize) -> bool) -> usize {
    let snapshot = MemoryEngine::default().snapshot();
    let log = Log(w.events());
    let (mut plain_rows, mut rows) = (Overlay::new(&snapshot), Overlay::new(&snapshot));
    let mut plain = Fold::load(PREFIX, &plain_rows, &log).unwrap();
    let (mut fold, mut together, mut most) = (plain.clone(), Together::default(), 0);
    for (place, index) in order.iter().enumerate() {
        let (event, at) = (&w.events()[*index], LogPlace { arrival: *index as u64, index: 0 });
        let became = plain.apply(&mut plain_rows, &log, at, event).unwrap();
        if fold.apply_together(&mut rows, &log, &mut together, at, event).unwrap() {
            assert_eq!(became, Applied::Valid, "event {index}");
            most = most.max(together.0.len());
            if waits(place) {
                continue;
            }
            fold.settle_together(&mut rows, &log, &mut together).unwrap();
        } else {
            fold.settle_together(&mut rows, &log, &mut together).unwrap();
            assert_eq!(fold.apply(&mut rows, &log, at, event).unwrap(), became, "event {index}");
        }
        assert_eq!(format!("{fold:?}"), format!("{plain:?}"), "in memory, after event {index}");
        assert_eq!(fold.view(&rows).unwrap(), plain.view(&plain_rows).unwrap(), "after event {index}");
        assert_same_rows(&rows, &plain_rows, &format!("after event {index}"));
    }
    fold.settle_together(&mut rows, &log, &mut together).unwrap();
    assert!(together.is_empty());
    assert_same_rows(&rows, &plain_rows, "at the end");
    let given: Vec<_> = order.iter().map(|index| w.events()[*index].clone()).collect();
    assert_eq!(fold.view(&rows).unwrap(), naive::view(&given));
    most
}

#[test]
fn admissions_in_a_row_are_looked_at_together() {
    let mut w = World::founded();
    for who in [A, B, C] {
        w.admit(OWNER, who, Role::Writer);
    }
    w.set(A, X, 1, &[]);
    let all: Vec<usize> = (0..w.events().len()).collect();
    assert_eq!(check(&w, &all, |_| true), all.len() - 1);
    assert_eq!(check(&w, &all, |_| false), 1);
}

/// What managers, and those who are none, do to each other, between what a [`Teller`] tells.
fn tell(w: &mut World, teller: &mut Teller, (what, a, b): Step) {
    const DEVICES: [DeviceKey; 5] = [OWNER, A, B, C, S];
    let (who, other) = (DEVICES[a as usize % 4], DEVICES[b as usize % DEVICES.len()]);
    let role = [Role::Reader, Role::Writer, Role::Designer, Role::Manager][a as usize / 8 % 4];
    match what % 12 {
        0..=2 => _ = w.admit(who, other, role),
        3 | 4 => _ = w.set_role(who, other, role, &[]),
        5 => _ = w.remove(who, other, &[]),
        6 => {
            let scope = if b.is_multiple_of(2) { Scope::Workspace } else { Scope::Lists(vec![LIST]) };
            w.bind(OWNER, S, scope);
        }
        7 => w.apart(who),
        8 => DEVICES.iter().for_each(|device| w.meet(*device)),
        9 => _ = w.set(who, X, i64::from(b), &[]),
        _other => teller.tell(w, (a, b, what)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn together_they_become_what_they_become_one_by_one(
        told in prop::collection::vec(any::<Step>(), 1..40),
        late in prop::collection::vec((any::<prop::sample::Index>(), 1..8_usize), 0..6),
        waits in prop::collection::vec(0..4_u8, 50),
    ) {
        let mut w = World::with(&[(A, Role::Manager), (B, Role::Manager), (C, Role::Writer)]);
        let mut teller = Teller::default();
        told.into_iter().for_each(|step| tell(&mut w, &mut teller, step));
        let order = delivered(w.events().len(), late);
        check(&w, &order, |place| waits[place % waits.len()] > 0);
    }
}
