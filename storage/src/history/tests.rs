use super::*;
use crate::fold::{naive, testing::*};
use tandem_wire::{Act, Role, Scope};

struct Log<'a>(&'a [Arc<Event>]);

impl Events for Log<'_> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        Ok(self.0[at.arrival as usize].clone())
    }
}

fn places(events: &[Arc<Event>]) -> impl Iterator<Item = Result<(LogPlace, Arc<Event>), EngineError>> + '_ {
    let place = |arrival: usize| LogPlace { arrival: arrival as u64, index: 0 };
    events.iter().enumerate().map(move |(arrival, event)| Ok((place(arrival), event.clone())))
}

/// The whole story, folded.
fn with_archive<T>(w: &World, look: impl FnOnce(&Archive<'_, MemorySnapshot, Log<'_>>) -> T) -> T {
    let log = Log(w.events());
    let everything = w.events().iter().map(|event| event.id()).collect();
    let (rows, fold) = replay(1, &everything, places(w.events()), &log).unwrap();
    look(&Archive::new(&fold, &rows, &log))
}

/// The causal past of an event, as headers tell it.
fn past_of(w: &World, event: &Event) -> Vec<Arc<Event>> {
    let mut past = BTreeSet::new();
    let mut next = vec![event.id()];
    while let Some(id) = next.pop() {
        if past.insert(id) {
            let header = w.events().iter().find(|event| event.id() == id).unwrap().header();
            next.extend(header.prev.iter().chain(header.deps.iter().map(|dep| &dep.id)));
        }
    }
    w.events().iter().filter(|event| past.contains(&event.id())).cloned().collect()
}

/// As of every event, the record is what the naive fold makes of the event's past. Gives how many of these states could
/// be had the quick way.
fn check_all_states(w: &World) -> usize {
    let mut quick = 0;
    with_archive(w, |archive| {
        for event in w.events() {
            let past = past_of(w, event);
            let ids: BTreeSet<EventId> = past.iter().map(|event| event.id()).collect();
            assert_eq!(archive.past(&event.reference()).unwrap(), ids);
            let expect = naive::view(&past).records.get(&RECORD).cloned().unwrap_or_default();
            if let Some(state) = quick_state(archive, RECORD, &event.reference()).unwrap() {
                assert_eq!(state, expect, "the quick way");
                quick += 1;
            }
            let (rows, fold) = replay(1, &ids, places(w.events()), &Log(w.events())).unwrap();
            assert_eq!(
                Reader::new(rows, Views { fold: Arc::new(fold), indexes: Arc::default() }).state(RECORD).unwrap(),
                expect,
                "the long way"
            );
        }
    });
    quick
}

fn fates_in(w: &World) -> Vec<Fate> {
    with_archive(w, |archive| steps(archive, RECORD).unwrap()).into_iter().map(|step| step.fate).collect()
}

/// Two members, apart, edit a record that both know.
fn two_apart() -> (World, [Ev; 4]) {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let made = w.create(A);
    let first = w.set(A, X, 1, &[]);
    w.apart(A);
    w.apart(B);
    let by_a = w.set(A, X, 2, &[first]);
    let by_b = w.set(B, X, 3, &[first]);
    w.meet(A);
    w.meet(B);
    (w, [made, first, by_a, by_b])
}

#[test]
fn a_history_tells_who_did_what_instead_of_what() {
    let (mut w, [.., by_a, by_b]) = two_apart();
    // Resolves the conflict: of what it replaces, what was shown counts as before.
    w.set(A, X, 4, &[by_a, by_b]);
    let steps = with_archive(&w, |archive| steps(archive, RECORD).unwrap());
    let number = |shown: &Shown| match shown {
        Shown::Value(Value::Int(number)) => *number,
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = steps
        .iter()
        .map(|step| match &step.what {
            What::Set { field, before, after, .. } => {
                assert_eq!(*field, X);
                (step.author.device, before.as_ref().map(number), Some(number(after)))
            }
            What::Created => (step.author.device, None, None),
            other => panic!("{other:?}"),
        })
        .collect();
    let later = if w.event(by_a).id() == steps[2].event.id { [2, 3] } else { [3, 2] };
    let who = |value| if value == 2 { A } else { B };
    assert_eq!(told[..2], [(A, None, None), (A, None, Some(1))]);
    assert_eq!(told[2], (who(later[0]), Some(1), Some(later[0])));
    assert_eq!(told[3], (who(later[1]), Some(1), Some(later[1])));
    assert_eq!(told[4], (A, Some(3), Some(4)), "B wrote last, so that 3 was shown");
    assert!(steps.iter().all(|step| step.author.name == "m" && step.wall_ms >= 1000));
}

#[test]
fn every_change_has_its_fate() {
    use Fate::*;
    let (w, _) = two_apart();
    let mut apart = fates_in(&w);
    assert_eq!(apart.split_off(2).into_iter().filter(|fate| *fate == Lost).count(), 1);
    assert_eq!(apart, [InForce, Replaced]);

    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let set = w.set(A, X, 1, &[]);
    assert_eq!(fates_in(&w), [Held]);
    let made = w.create(A);
    let deleted = w.delete(A, &[made, set]);
    assert_eq!(fates_in(&w), [InForce, Replaced, InForce]);
    w.restore(A, &[deleted]);
    assert_eq!(fates_in(&w), [InForce, Replaced, Replaced, InForce]);

    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let made = w.create(A);
    w.apart(B);
    w.set(B, X, 1, &[]);
    w.delete(A, &[made]);
    let mut lost = fates_in(&w);
    lost.sort_by_key(|fate| format!("{fate:?}"));
    assert_eq!(lost, [InForce, Lost, Replaced], "the edit, the delete that it escaped, the create that it covers");

    let mut w = World::with(&[(A, Role::Writer), (C, Role::Reader)]);
    w.create(A);
    w.set(C, X, 1, &[]);
    w.bind(OWNER, S, Scope::Workspace);
    let refused = w.set(A, X, 2, &[]);
    w.refuse(S, refused);
    let removal = w.remove(OWNER, A, &[]);
    let removed = w.event(removal).id();
    let fates = fates_in(&w);
    assert_eq!(fates, [Cut(removed), NotAllowed, Refused(vec![RefusalCode::RULE])]);
}

#[test]
fn a_state_as_of_an_event_is_the_view_of_its_past() {
    let (mut w, [made, _, by_a, by_b]) = two_apart();
    let resolved = w.set(A, X, 4, &[by_a, by_b]);
    let deleted = w.delete(B, &[made, resolved]);
    w.apart(A);
    w.set(A, Y, 5, &[]);
    w.restore(B, &[deleted]);
    w.on(B, OTHER, Act::Create, &[]);
    assert_eq!(check_all_states(&w), w.events().len(), "nothing was judged late: all of them the quick way");
}

#[test]
fn what_was_judged_later_does_not_count_before() {
    let (mut w, [_, _, by_a, by_b]) = two_apart();
    w.bind(OWNER, S, Scope::Workspace);
    let refused = w.set(A, X, 4, &[by_a, by_b]);
    w.set(B, Y, 5, &[]);
    w.refuse(S, refused);
    w.set(B, Y, 6, &[]);
    w.remove(OWNER, B, &[by_b]);
    w.set(A, Y, 7, &[]);
    assert_eq!(check_all_states(&w), 0);
}

#[test]
fn a_fork_has_two_pasts() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    w.create(A);
    let lost = w.set(A, X, 1, &[]);
    w.set(A, X, 2, &[lost]);
    w.forget(A, lost);
    w.set(A, X, 3, &[]);
    w.set(A, Y, 4, &[]);
    w.meet(A);
    w.set(B, Y, 5, &[]);
    assert!(check_all_states(&w) > 0);
}

#[test]
fn an_event_is_found_by_its_id() {
    let (w, [.., by_b]) = two_apart();
    with_archive(&w, |archive| {
        let event = w.event(by_b);
        assert_eq!(archive.find(event.id()).unwrap(), Some(event.reference()));
        let mut unknown = event.id();
        unknown.0[31] ^= 1;
        assert_eq!(archive.find(unknown).unwrap(), None, "half of an id is not enough");
    });
}
