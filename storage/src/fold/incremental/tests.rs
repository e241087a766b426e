use super::*;
use crate::{
    engine::{Engine, MemoryEngine, MemorySnapshot},
    fold::{naive, testing::*},
};
use tandem_wire::{Outcome, RefusalCode, Role, Scope, Verdict};

struct Log<'a>(&'a [Arc<Event>]);

impl Events for Log<'_> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        Ok(self.0[at.arrival as usize].clone())
    }
}

const PREFIX: Prefix = Prefix { workspace: 1, generation: 1 };

/// Gives these events of the world to a fold; what became of each.
fn apply(fold: &mut Fold, rows: &mut Overlay<'_, MemorySnapshot>, w: &World, events: &[Ev]) -> Vec<Applied> {
    let log = Log(w.events());
    let at = |event: &Ev| LogPlace { arrival: event.0 as u64, index: 0 };
    events.iter().map(|event| fold.apply(rows, &log, at(event), w.event(*event)).unwrap()).collect()
}

/// A fold over nothing, with its rows.
fn with_fold<T>(w: &World, test: impl FnOnce(&mut Fold, &mut Overlay<'_, MemorySnapshot>) -> T) -> T {
    let snapshot = MemoryEngine::default().snapshot();
    let mut rows = Overlay::new(&snapshot);
    let mut fold = Fold::load(PREFIX, &rows, &Log(w.events())).unwrap();
    test(&mut fold, &mut rows)
}

fn all(w: &World) -> Vec<Ev> {
    (0..w.events().len()).map(Ev).collect()
}

#[test]
fn the_fold_says_what_became_of_an_event() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let first = w.set(A, X, 1, &[]);
    let second = w.set(A, X, 2, &[first]);
    let invalid = w.forge(A, vec![admission(B, Role::Reader, None)], |header| header.lamport += 1);
    with_fold(&w, |fold, rows| {
        let became = apply(fold, rows, &w, &[Ev(0), Ev(0), second, first, invalid, Ev(1), second, invalid]);
        use Applied::*;
        assert_eq!(became, [Valid, Known, Held, Held, Held, Valid, Known, Known]);
        let view = fold.view(rows).unwrap();
        assert_eq!((view.control.held.len(), view.records.len()), (0, 1));
    });
}

#[test]
fn an_invalid_event_is_told_at_once_where_nothing_is_missing() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.forge(A, vec![admission(B, Role::Reader, None)], |header| header.lamport += 1);
    with_fold(&w, |fold, rows| {
        assert_eq!(apply(fold, rows, &w, &all(&w)), [Applied::Valid, Applied::Valid, Applied::Invalid]);
    });
}

#[test]
fn what_builds_on_an_invalid_event_waits_for_nothing_else() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let line = (on_cell(RECORD, X, tandem_wire::Act::Set, vec![]), tandem_wire::Value::Null.encode());
    w.apart(B);
    let invalid = w.forge(A, vec![line], |header| header.lamport += 1);
    let missing = w.set(B, X, 1, &[]);
    w.meet(B);
    let built = w.set(B, X, 2, &[invalid, missing]);
    with_fold(&w, |fold, rows| {
        let became = apply(fold, rows, &w, &[built, Ev(0), Ev(1), Ev(2), invalid]);
        assert_eq!((became[0], became[4]), (Applied::Held, Applied::Invalid));
        assert!(fold.control_view(rows).unwrap().held.is_empty());
        assert_eq!(apply(fold, rows, &w, &[missing, built]), [Applied::Valid, Applied::Known]);
        assert!(fold.view(rows).unwrap().records[&RECORD].is_held(), "only the missing one took part");
    });
}

#[test]
fn an_event_waits_for_the_last_of_many() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer), (C, Role::Writer)]);
    let edits = [A, B, C].map(|who| {
        w.apart(who);
        w.set(who, X, 1, &[])
    });
    w.meet(A);
    let merged = w.set(A, X, 2, &edits);
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &[merged, Ev(0), Ev(1), Ev(2), Ev(3)]);
        let mut waits = Vec::new();
        for edit in edits {
            waits.push(fold.control_view(rows).unwrap().held.contains(&w.event(merged).id()));
            apply(fold, rows, &w, &[edit]);
        }
        assert_eq!(waits, [true, true, true]);
        assert!(fold.control_view(rows).unwrap().held.is_empty());
        assert_eq!(range(rows, PREFIX.kind(Kind::Awaited)).count(), 0, "nothing is left behind");
    });
}

#[test]
fn verdicts_under_a_binding_that_can_never_have_effect_are_not_noted() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let edit = w.set(A, X, 1, &[]);
    let bound = w.bind(A, T, Scope::Workspace);
    let last = w.event(edit).reference();
    let verdict = Verdict { term: w.op(bound), last, count: 1, outcome: Outcome::Refuse(RefusalCode::RULE) };
    w.write(T, vec![verdict_line(verdict)]);
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &all(&w));
        assert_eq!(range(rows, PREFIX.kind(Kind::Judged)).count(), 0);
    });
}

#[test]
fn verdicts_under_an_heirs_binding_count() {
    let mut w = World::with(&[(A, Role::Manager), (C, Role::Writer)]);
    w.control(OWNER, tandem_wire::Act::HandOver(Box::new(A)));
    w.bind(A, S, Scope::Workspace);
    let edit = w.set(C, X, 1, &[]);
    w.refuse(S, edit);
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &all(&w));
        assert!(fold.control_view(rows).unwrap().masked.contains_key(&w.event(edit).id()));
    });
}

#[test]
fn an_earlier_contradiction_that_comes_later_moves_the_end_of_a_term() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    w.bind(OWNER, S, Scope::Workspace);
    w.apart(A);
    let late = w.set(B, X, 1, &[]);
    let (twice, beyond) = (w.set(A, Y, 2, &[]), w.set(A, Y, 3, &[]));
    w.forget(S, late);
    w.accept(S, late);
    w.refuse(S, late);
    w.refuse(S, beyond);
    w.accept(S, twice);
    w.refuse(S, twice);
    let mut order: Vec<Ev> = all(&w).into_iter().filter(|event| *event != late).collect();
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &order);
        assert!(fold.control_view(rows).unwrap().held.is_empty(), "a verdict need not wait for what it is about");
        assert!(fold.control_view(rows).unwrap().masked.contains_key(&w.event(beyond).id()));
        order.push(late);
        apply(fold, rows, &w, &[late]);
        assert_eq!(fold.view(rows).unwrap(), naive::view(w.events()));
        assert!(fold.control_view(rows).unwrap().masked.is_empty(), "nothing counts from the first contradiction on");
    });
}

#[test]
fn a_cut_at_the_end_of_a_branch_takes_all_of_the_other() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let kept = w.set(A, X, 1, &[]);
    let end = w.set(A, X, 2, &[kept]);
    w.forget(A, kept);
    let other = w.set(A, Y, 3, &[]);
    let beside_the_end = w.set(A, Y, 4, &[other]);
    let places: Vec<u64> = [end, beside_the_end].iter().map(|event| w.event(*event).header().seq).collect();
    assert_eq!(places, [1, 1]);
    w.remove(OWNER, A, &[end]);
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &all(&w));
        assert_eq!(fold.view(rows).unwrap(), naive::view(w.events()));
        let masked: Vec<EventId> = fold.control_view(rows).unwrap().masked.into_keys().collect();
        let mut expect = [other, beside_the_end].map(|event| w.event(event).id());
        expect.sort_unstable();
        assert_eq!(masked, expect);
    });
}

#[test]
fn folds_under_different_prefixes_do_not_meet() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.create(A);
    let snapshot = MemoryEngine::default().snapshot();
    let mut rows = Overlay::new(&snapshot);
    let log = Log(w.events());
    let mut fold = Fold::load(PREFIX, &rows, &log).unwrap();
    apply(&mut fold, &mut rows, &w, &all(&w));
    for other in [Prefix { workspace: 2, ..PREFIX }, Prefix { generation: 2, ..PREFIX }] {
        assert_ne!(other.bytes(), PREFIX.bytes());
        let other = Fold::load(other, &rows, &log).unwrap();
        assert_eq!(other.chains().count(), 0);
        assert!(other.view(&rows).unwrap().records.is_empty());
    }
    assert_eq!(fold.chains().count(), 2);
    assert_eq!(fold.prefix(), PREFIX);
    assert_eq!(fold.terms().owner(), Some(OWNER));
    assert!(fold.members().knows(A) && !fold.members().knows(B));
    assert!(fold.design().elements.is_empty());
}

#[test]
fn a_chains_head_is_its_greatest_place_and_the_least_id_there() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let first = w.set(A, X, 1, &[]);
    let branches = [2, 3].map(|value| {
        let branch = w.set(A, X, value, &[first]);
        w.forget(A, branch);
        branch
    });
    let least = branches.map(|branch| w.event(branch).id()).into_iter().min().unwrap();
    with_fold(&w, |fold, rows| {
        let chain = w.event(first).header().chain;
        let row = |fold: &Fold| *fold.chains().find(|(id, _)| **id == chain).unwrap().1;
        apply(fold, rows, &w, &[Ev(0), Ev(1), first]);
        assert_eq!((row(fold).head, row(fold).first_fork), (Some((0, w.event(first).id())), None));
        apply(fold, rows, &w, &branches);
        assert_eq!((row(fold).head, row(fold).first_fork), (Some((1, least)), Some(1)));
        let loaded = Fold::load(PREFIX, rows, &Log(w.events())).unwrap();
        assert_eq!(row(&loaded), row(fold));
    });
}

#[test]
fn a_chains_head_is_the_same_whichever_branch_comes_first() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let low = [1, 2, 3].map(|value| {
        let branch = w.set(A, X, value, &[]);
        w.forget(A, branch);
        branch
    });
    w.knows_only(A, &[low[0]]);
    let high = [4, 5, 6].map(|value| {
        let branch = w.set(A, Y, value, &[]);
        w.knows_only(A, &[low[0]]);
        branch
    });
    let least = high.map(|branch| w.event(branch).id()).into_iter().min().unwrap();
    let chain = w.event(low[0]).header().chain;
    for turn in 0..3 {
        let (mut low, mut high) = (low, high);
        high.rotate_left(turn);
        low[1..].rotate_left(turn % 2);
        with_fold(&w, |fold, rows| {
            apply(fold, rows, &w, &[Ev(0), Ev(1), low[0]]);
            apply(fold, rows, &w, &high);
            apply(fold, rows, &w, &low[1..]);
            let row = fold.chains().find(|(id, _)| **id == chain).unwrap().1;
            assert_eq!((row.head, row.first_fork), (Some((1, least)), Some(0)));
        });
    }
}

#[test]
fn a_fold_tells_heads_and_roles() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Designer)]);
    let first = w.set(A, X, 1, &[]);
    let second = w.set(A, X, 2, &[first]);
    w.remove(OWNER, B, &[]);
    with_fold(&w, |fold, rows| {
        let log = Log(w.events());
        let event = w.event(second);
        let chain = event.header().chain;
        assert_eq!(fold.head(chain, rows, &log).unwrap(), None);
        apply(fold, rows, &w, &all(&w));
        let tip = Tip { event: event.reference(), lamport: event.header().lamport };
        assert_eq!(fold.head(chain, rows, &log).unwrap(), Some(tip));
        let roles = [OWNER, A, B, C].map(|device| fold.role_of(device));
        assert_eq!(roles, [Some(Role::Manager), Some(Role::Writer), None, None]);
        assert_eq!(fold.chains().count(), 2);
        let person = |letter: u8, name: &str| Some((tandem_wire::MemberId([letter; 16]), name.to_string()));
        let named = [OWNER, A].map(|device| fold.members().grants[&device][0].member.clone());
        assert_eq!(named, [person(b'o', "o"), person(b'a', "m")]);
    });
}

#[test]
fn a_lists_rows_are_its_own() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.create(A);
    w.on(A, OTHER, tandem_wire::Act::Create, &[]);
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &all(&w));
        for record in [RECORD, OTHER] {
            let found: Vec<_> = rows_of_list(rows, PREFIX, record.list).map(Result::unwrap).collect();
            let expect = rows.get(Table::Records, &PREFIX.record(record)).unwrap().unwrap();
            assert_eq!(found, [(record, expect)]);
        }
        assert_eq!(records_in(rows, PREFIX).count(), 2);
    });
}

#[test]
fn only_what_some_rule_asks_for_is_remembered_of_a_past() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Workspace);
    let edit = w.set(A, X, 1, &[]);
    w.accept(S, edit);
    w.set(A, X, 2, &[edit]);
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &all(&w));
        assert_eq!(fold.control.len(), 3, "neither edits nor verdicts");
        let loaded = Fold::load(PREFIX, rows, &Log(w.events())).unwrap();
        let [control, kept] = [&loaded, &*fold].map(|fold| format!("{:?}", fold.control));
        assert_eq!((control, loaded.pasts.len()), (kept, fold.pasts.len()));
    });
}

#[test]
fn a_loaded_fold_knows_how_many_may_wait() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    w.bind(OWNER, S, Scope::Workspace);
    w.apart(B);
    let missing = w.set(A, X, 1, &[]);
    let waits = w.set(A, X, 2, &[missing]);
    let verdict = w.refuse(S, waits);
    with_fold(&w, |fold, rows| {
        let log = Log(w.events());
        let load = |rows: &_| Fold::load(PREFIX, rows, &log).unwrap();
        apply(fold, rows, &w, &[Ev(0), Ev(1), Ev(2), Ev(3)]);
        assert_eq!((fold.waiting, load(rows).waiting), (0, 0));
        apply(fold, rows, &w, &[waits]);
        assert_eq!((fold.waiting, load(rows).waiting), (1, 1), "an event");
        apply(fold, rows, &w, &[verdict]);
        assert_eq!((fold.waiting, load(rows).waiting), (2, 2), "and a verdict's subject");
        let mut loaded = load(rows);
        assert!(!loaded.is_settled());
        apply(&mut loaded, rows, &w, &[missing]);
        assert!(loaded.control_view(rows).unwrap().masked.contains_key(&w.event(waits).id()));
        assert_eq!(load(rows).waiting, 0);
        assert!(load(rows).is_settled());
    });
}

#[test]
fn a_digest_covers_control_and_records() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let before = super::super::naive::view(w.events()).digest();
    w.create(A);
    let with_record = super::super::naive::view(w.events()).digest();
    w.admit(OWNER, B, Role::Reader);
    let with_member = super::super::naive::view(w.events()).digest();
    assert_ne!(before, with_record);
    assert_ne!(with_record, with_member);
}

#[test]
fn a_loaded_fold_goes_on_where_it_was() {
    let mut w = World::with(&[(A, Role::Writer), (C, Role::Writer)]);
    w.set(A, X, 1, &[]);
    w.apart(C);
    let other = w.set(C, Y, 1, &[]);
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &all(&w));
        let loaded = Fold::load(PREFIX, rows, &Log(w.events())).unwrap();
        for control in [true, false] {
            let tips: Vec<Tip> = fold.frontier(control).copied().collect();
            assert!(!tips.is_empty());
            assert_eq!(loaded.frontier(control).copied().collect::<Vec<_>>(), tips, "control: {control}");
        }
        assert!(loaded.frontier(false).any(|tip| tip.event == w.event(other).reference()));
        assert_eq!(loaded.design_digest(), fold.design_digest());
    });
}

#[test]
fn what_somebody_wrote_who_may_not_is_masked() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let by_a_writer = w.write(A, vec![admission(B, Role::Reader, None)]);
    let by_the_owner = w.write(OWNER, vec![admission(C, Role::Reader, None)]);
    with_fold(&w, |fold, rows| {
        apply(fold, rows, &w, &all(&w));
        let is_masked = |event| fold.is_masked(rows, w.event(event).id()).unwrap();
        assert_eq!((is_masked(by_a_writer), is_masked(by_the_owner)), (true, false));
    });
}

#[test]
fn the_valid_end_of_a_branch_is_before_what_is_held_or_invalid() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Writer)]);
    let valid = w.set(A, X, 1, &[]);
    let line = (on_cell(RECORD, X, tandem_wire::Act::Set, vec![]), tandem_wire::Value::Null.encode());
    let invalid = w.forge(A, vec![line], |header| header.lamport += 1);
    // The same place again, by an old disk image, with something that never comes.
    let missing = w.set(B, Y, 1, &[]);
    w.forget(A, invalid);
    w.meet(A);
    w.forget(A, invalid);
    let held = w.set(A, Y, 2, &[missing]);
    let chain = w.event(valid).header().chain;
    let end = |event: Ev| ChainEnd::from(w.event(event).reference());
    with_fold(&w, |fold, rows| {
        assert!(fold.valid_ends(rows, &Log(w.events()), chain).unwrap().is_empty());
        let became = apply(fold, rows, &w, &[Ev(0), Ev(1), Ev(2), valid, invalid, held]);
        assert_eq!(became[3..], [Applied::Valid, Applied::Invalid, Applied::Held]);
        assert_eq!(fold.version_table().ends(chain).collect::<BTreeSet<_>>(), [end(invalid), end(held)].into());
        assert_eq!(fold.valid_ends(rows, &Log(w.events()), chain).unwrap(), [end(valid)].into());
    });
}

#[test]
fn a_branch_that_its_binder_had_not_seen_is_judged_when_the_other_one_comes() {
    let mut w = World::with(&[(A, Role::Writer)]);
    let first = w.set(A, X, 1, &[]);
    let seen = w.set(A, X, 2, &[first]);
    let (mut branch, mut prev) = (Vec::new(), first);
    for value in [3, 4] {
        let line = (on_cell(RECORD, Y, tandem_wire::Act::Set, vec![]), tandem_wire::Value::Int(value).encode());
        let (id, before) = (w.event(prev).id(), w.event(prev).header().clone());
        prev = w.forge(A, vec![line], |header| {
            (header.seq, header.lamport) = (before.seq + 1, before.lamport + 1);
            (header.prev, header.deps) = (Some(id), vec![]);
        });
        branch.push(prev);
    }
    let marks = w.marks(&[seen]);
    let bound = w.bind_with(OWNER, tandem_wire::Bind { seen: marks, ..binding(S, Scope::Workspace) });
    let verdict = w.accept(S, branch[1]);
    let term = w.term(S);
    with_fold(&w, |fold, rows| {
        let log = Log(w.events());
        let mut docket = crate::docket::Docket::new(term);
        let mut heard = |fold: &Fold, rows: &Overlay<'_, MemorySnapshot>| -> Vec<EventId> {
            let cases = docket.take(fold, rows, &log).unwrap();
            cases.iter().map(|case| case.event.id()).collect()
        };
        // As long as only this branch is known, its place is all that tells what the binder had seen.
        apply(fold, rows, &w, &[Ev(0), Ev(1), bound, first, branch[0], branch[1]]);
        assert_eq!(heard(fold, rows), [w.event(branch[1]).id()]);
        apply(fold, rows, &w, &[verdict]);
        assert!(heard(fold, rows).is_empty());
        apply(fold, rows, &w, &[seen]);
        let present = fold.terms().find(&term).unwrap().clone();
        let waiting = crate::outbox::waiting(fold, rows, &log, &present, A).unwrap();
        assert_eq!(waiting.into_iter().map(|event| event.id).collect::<Vec<_>>(), [w.event(branch[0]).id()]);
        assert_eq!(heard(fold, rows), [w.event(branch[0]).id()]);
    });
}
