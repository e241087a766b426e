use crate::fold::{
    Status,
    checking::{cell, check_cell, status, view},
    testing::*,
};
use tandem_wire::*;

fn world() -> World {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Manager)]);
    w.bind(OWNER, S, Scope::Workspace);
    w
}

fn is_refused(w: &World, event: Ev) -> bool {
    status(w, event).is_refused()
}

#[test]
fn a_refusal_masks_the_whole_event_and_nothing_else() {
    let mut w = world();
    let lines = [X, Y].map(|field| (on_cell(RECORD, field, Act::Set, vec![]), Value::Int(1).encode()));
    let both = w.write(A, lines.to_vec());
    let next = w.set(A, X, 2, &[]);
    w.refuse(S, both);
    let view = view(&w);
    assert_eq!((cell(&view, X), cell(&view, Y)), (vec![2], vec![]));
    assert_eq!(status(&w, next), Status::Live);
}

#[test]
fn only_the_terms_own_chain_gives_verdicts() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let last = w.event(a).reference();
    let verdict = Verdict { term: w.term(S), last, count: 1, outcome: Outcome::Refuse(RefusalCode::RULE) };
    w.write(B, vec![verdict_line(verdict)]);
    w.write(OWNER, vec![verdict_line(verdict)]);
    assert!(!is_refused(&w, a));
}

#[test]
fn another_chain_of_the_authority_gives_none() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let last = w.event(a).reference();
    let verdict = Verdict { term: w.term(S), last, count: 1, outcome: Outcome::Refuse(RefusalCode::RULE) };
    w.forge(S, vec![verdict_line(verdict)], |header| header.chain.number = 2);
    assert!(!is_refused(&w, a));
}

#[test]
fn a_verdict_counts_only_if_it_had_seen_the_binding() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Manager)]);
    let a = w.set(A, X, 1, &[]);
    // B never hears of the binding, but writes so much that a verdict on top of it may name the binding.
    w.apart(B);
    w.bind(OWNER, S, Scope::Workspace);
    w.admit(B, C, Role::Reader);
    let busy = w.admit(B, D, Role::Reader);
    w.knows_only(S, &[busy]);
    w.refuse(S, a);
    assert!(!is_refused(&w, a));
    w.meet(S);
    let b = w.set(A, Y, 2, &[]);
    w.refuse(S, b);
    assert!(is_refused(&w, b));
}

#[test]
fn events_that_the_binder_had_seen_are_never_judged() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Manager)]);
    let (seen, unseen) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    let control = w.admit(B, C, Role::Writer);
    let marks = w.marks(&[seen]);
    w.bind_with(OWNER, Bind { seen: marks, ..binding(S, Scope::Workspace) });
    let later = w.admit(B, D, Role::Writer);
    for event in [seen, unseen, control, later] {
        w.refuse(S, event);
    }
    assert!(!is_refused(&w, seen) && is_refused(&w, unseen));
    assert!(!is_refused(&w, control) && is_refused(&w, later));
}

#[test]
fn the_first_verdict_in_the_chain_stands_for_ever_and_the_second_ends_the_term() {
    let mut w = world();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    w.refuse(S, a);
    let again = w.accept(S, a);
    let later = w.refuse(S, b);
    assert!(is_refused(&w, a), "the first stands");
    assert!(!is_refused(&w, b), "nothing counts from the second on");
    let _ = (again, later);
}

#[test]
fn what_stood_before_the_second_verdict_stands_on() {
    let mut w = world();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    w.refuse(S, a);
    w.refuse(S, b);
    w.refuse(S, b);
    assert!(is_refused(&w, a) && is_refused(&w, b));
}

#[test]
fn of_several_contradictions_the_first_ends_the_term() {
    let mut w = world();
    let (a, b, c) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]), w.set(A, Y, 3, &[]));
    w.accept(S, a);
    w.refuse(S, a);
    w.refuse(S, c);
    w.accept(S, b);
    w.refuse(S, b);
    assert!(!is_refused(&w, c), "nothing counts from the second verdict on");
}

#[test]
fn a_second_verdict_in_the_same_event_ends_the_term_there() {
    let mut w = world();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    let verdict = |event: &Event, outcome| Verdict { term: w.term(S), last: event.reference(), count: 1, outcome };
    let lines = vec![
        verdict_line(verdict(w.event(a), Outcome::Accept)),
        verdict_line(verdict(w.event(a), Outcome::Refuse(RefusalCode::RULE))),
        verdict_line(verdict(w.event(b), Outcome::Refuse(RefusalCode::RULE))),
    ];
    w.write(S, lines);
    assert_eq!((status(&w, a), status(&w, b)), (Status::Live, Status::Live));
}

#[test]
fn a_fork_of_the_authoritys_chain_ends_the_term_there() {
    let mut w = world();
    let (a, b, c) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]), w.set(A, Y, 3, &[]));
    w.refuse(S, a);
    let branch = w.refuse(S, b);
    w.forget(S, branch);
    w.refuse(S, c);
    assert!(is_refused(&w, a) && !is_refused(&w, b) && !is_refused(&w, c));
    assert_eq!(view(&w).control.forks.len(), 1);
}

#[test]
fn after_a_contradiction_a_new_binding_starts_afresh() {
    let mut w = world();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    let first = w.refuse(S, a);
    w.accept(S, a);
    let at = Some(w.marks(&[first])[0]);
    let ends = vec![End { binding: w.term(S), at }];
    w.bind_with(OWNER, Bind { ends, ..binding(S, Scope::Workspace) });
    w.refuse(S, b);
    assert!(is_refused(&w, a) && is_refused(&w, b));
}

#[test]
fn a_mirrors_refusal_masks_nothing() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind_with(OWNER, Bind { mode: BindingMode::Mirror, ..binding(S, Scope::Workspace) });
    let a = w.set(A, X, 1, &[]);
    w.refuse(S, a);
    check_cell(&w, X, &[1]);
}

#[test]
fn an_event_over_two_authorities_is_refused_when_either_refuses() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    w.bind(OWNER, T, Scope::Lists(vec![OTHER_LIST]));
    let lines = || [RECORD, OTHER].map(|record| (on_cell(record, X, Act::Set, vec![]), Value::Int(1).encode()));
    let (first, second, third) =
        (w.write(A, lines().to_vec()), w.write(A, lines().to_vec()), w.write(A, lines().to_vec()));
    w.accept(S, first);
    w.refuse(T, first);
    w.refuse(S, second);
    w.accept(T, second);
    w.accept(S, third);
    w.accept(T, third);
    assert!(is_refused(&w, first) && is_refused(&w, second) && !is_refused(&w, third));
}

#[test]
fn two_refusals_are_both_told() {
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    w.bind(OWNER, T, Scope::Lists(vec![OTHER_LIST]));
    let lines = [RECORD, OTHER].map(|record| (on_cell(record, X, Act::Set, vec![]), Value::Int(1).encode()));
    let both = w.write(A, lines.to_vec());
    w.refuse(S, both);
    w.refuse(T, both);
    let Status::Refused(refusals) = status(&w, both) else { panic!("refused") };
    assert_eq!(refusals.len(), 2);
}

#[test]
fn acceptance_takes_all_authorities() {
    // What one of two accepted is not saved from a cut that neither knew.
    let mut w = World::with(&[(A, Role::Writer)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    w.bind(OWNER, T, Scope::Lists(vec![OTHER_LIST]));
    w.apart(S);
    w.apart(T);
    let lines = [RECORD, OTHER].map(|record| (on_cell(record, X, Act::Set, vec![]), Value::Int(1).encode()));
    let both = w.write(A, lines.to_vec());
    let removed = w.remove(OWNER, A, &[]);
    w.accept(S, both);
    assert_eq!(status(&w, both), Status::Cut(w.event(removed).id()));
    w.accept(T, both);
    assert_eq!(status(&w, both), Status::Live);
}

#[test]
fn a_verdict_may_judge_a_range_of_a_chain() {
    let mut w = world();
    let events = [0, 1, 2, 3].map(|value| w.set(A, X, value, &[]));
    let verdict = Verdict {
        term: w.term(S),
        last: w.event(events[2]).reference(),
        count: 2,
        outcome: Outcome::Refuse(RefusalCode::RULE),
    };
    w.write(S, vec![verdict_line(verdict)]);
    assert_eq!(events.map(|event| is_refused(&w, event)), [false, true, true, false]);
}

#[test]
fn overlapping_ranges_are_second_verdicts() {
    let mut w = world();
    let (a, b) = (w.set(A, X, 1, &[]), w.set(A, Y, 2, &[]));
    w.accept(S, a);
    let verdict = Verdict {
        term: w.term(S),
        last: w.event(b).reference(),
        count: 2,
        outcome: Outcome::Refuse(RefusalCode::RULE),
    };
    w.write(S, vec![verdict_line(verdict)]);
    assert!(!is_refused(&w, a) && !is_refused(&w, b));
}

#[test]
fn a_verdict_that_names_the_event_at_another_place_says_nothing() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let last = EventRef { seq: 5, ..w.event(a).reference() };
    let verdict = Verdict { term: w.term(S), last, count: 1, outcome: Outcome::Refuse(RefusalCode::RULE) };
    w.write(S, vec![verdict_line(verdict)]);
    assert!(!is_refused(&w, a));
}

#[test]
fn nobody_escapes_judgement_by_adding_a_verdict() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let last = w.event(a).reference();
    let verdict = Verdict { term: w.term(S), last, count: 1, outcome: Outcome::Accept };
    let remove = on_workspace(Act::Remove(Box::new(Remove { device: A, cuts: vec![] })));
    let mixed = w.write(B, vec![remove, verdict_line(verdict)]);
    w.refuse(S, mixed);
    assert!(is_refused(&w, mixed));
    check_cell(&w, X, &[1]);
}

#[test]
fn verdicts_are_not_judged() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let verdict = w.refuse(S, a);
    w.refuse(S, verdict);
    assert!(is_refused(&w, a) && !is_refused(&w, verdict));
}

#[test]
fn refused_membership_changes_have_no_effect() {
    let mut w = world();
    let removed = w.remove(B, A, &[]);
    let a = w.set(A, X, 1, &[]);
    assert!(!status(&w, a).is_live());
    w.refuse(S, removed);
    assert_eq!(status(&w, a), Status::Live);
}

#[test]
fn a_list_authority_does_not_judge_control_events() {
    let mut w = World::with(&[(A, Role::Writer), (B, Role::Manager)]);
    w.bind(OWNER, S, Scope::Lists(vec![LIST]));
    let removed = w.remove(B, A, &[]);
    w.refuse(S, removed);
    assert_eq!(status(&w, removed), Status::Live);
}
