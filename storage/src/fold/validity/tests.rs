use super::*;
use crate::fold::testing::*;
use tandem_wire::{DeviceKey, EventRef, Header, Invite, Outcome, PartPath, Rehearsed, Role, Scope, Value, Verdict};

/// Events that are known, and how far.
struct Log<'a>(BTreeMap<Place, Found>, &'a World);

impl Known for Log<'_> {
    fn find(&self, chain: ChainId, seq: u64, tag: EventTag) -> Result<Found, EngineError> {
        Ok(self.0.get(&Place { chain, seq, tag }).cloned().unwrap_or(Found::Missing))
    }

    fn event(&self, place: Place) -> Result<Arc<Event>, EngineError> {
        let found = self.1.events().iter().find(|event| Place::from(&event.reference()) == place);
        Ok(found.expect("one that was found").clone())
    }
}

/// Everything in the world but `event` is valid.
fn log(w: &World, event: Ev) -> Log<'_> {
    let others = w.events().iter().filter(|other| other.id() != w.event(event).id());
    Log(others.map(|other| (Place::from(&other.reference()), Found::Valid(Seen::from(&**other)))).collect(), w)
}

fn judged(w: &World, event: Ev) -> Validity {
    judge(w.event(event), &log(w, event)).unwrap()
}

#[track_caller]
fn check(w: &World, event: Ev, expect: Result<(), Invalid>) {
    let expect = expect.map_or_else(Validity::Invalid, |()| Validity::Valid);
    assert_eq!(judged(w, event), expect);
}

fn world() -> World {
    World::with(&[(A, Role::Writer), (B, Role::Manager)])
}

fn line(field: tandem_wire::FieldId, preds: Vec<OpRef>) -> Line {
    (on_cell(RECORD, field, Act::Set, preds), Value::Int(1).encode())
}

#[test]
fn what_an_honest_node_writes_is_valid() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let b = w.set(B, X, 2, &[a]);
    check(&w, a, Ok(()));
    check(&w, b, Ok(()));
}

#[test]
fn the_lamport_follows_from_the_direct_past() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let check = |change: fn(&mut Header), expect| {
        let mut w = w.clone();
        let forged = w.forge(A, vec![line(X, w.refs(&[a]))], change);
        check(&w, forged, expect);
    };
    check(|_| {}, Ok(()));
    check(|header| header.lamport += 1, Err(Invalid::Lamport));
    check(|header| header.lamport -= 1, Err(Invalid::Lamport));
    check(|header| header.lamport = 1 << 48, Err(Invalid::Lamport));
}

#[test]
fn the_first_event_of_all_has_lamport_one() {
    let mut w = World::founded();
    check(&w, Ev(0), Ok(()));
    w.knows_only(A, &[]);
    let forged = w.forge(A, vec![line(X, vec![])], |header| header.lamport = 2);
    check(&w, forged, Err(Invalid::Lamport));
}

#[test]
fn a_dependency_counts_for_the_lamport_as_the_previous_event_does() {
    let mut w = world();
    w.knows_only(A, &[]);
    let first = w.set(A, X, 1, &[]);
    w.meet(A);
    let second = w.set(A, X, 1, &[first]);
    assert!(w.event(second).header().lamport > w.event(first).header().lamport + 1);
    check(&w, second, Ok(()));
}

#[test]
fn missing_references_are_waited_for() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let b = w.set(B, X, 2, &[a]);
    let mut log = log(&w, b);
    let place = Place::from(&w.event(a).reference());
    for state in [Found::Held, Found::Missing] {
        log.0.insert(place, state);
        assert_eq!(judge(w.event(b), &log).unwrap(), Validity::Held(vec![place]));
    }
}

#[test]
fn what_builds_on_an_invalid_event_is_invalid_even_if_more_is_missing() {
    let mut w = world();
    let (a, other) = (w.set(A, X, 1, &[]), w.set(B, X, 2, &[]));
    let b = w.set(B, X, 2, &[a, other]);
    let mut log = log(&w, b);
    log.0.insert(Place::from(&w.event(a).reference()), Found::Invalid);
    log.0.remove(&Place::from(&w.event(other).reference()));
    assert_eq!(judge(w.event(b), &log).unwrap(), Validity::Invalid(Invalid::Builds));
}

#[test]
fn every_kind_of_reference_is_waited_for() {
    let mut w = world();
    let control = w.admit(B, C, Role::Writer);
    w.bind(OWNER, S, Scope::Workspace);
    let bound = Ev(w.events().len() - 1);
    let a = w.set(A, X, 1, &[]);
    let refused = w.set(A, Y, 1, &[]);
    w.knows_only(B, &[control]);
    let references = |w: &World, event: Ev| references(w.event(event));
    let place = |w: &World, event: Ev| Place::from(&w.event(event).reference());

    let reference = w.event(refused).reference();
    let resubmitted = w.forge(B, vec![line(X, w.refs(&[a]))], |header| header.resubmits = Some(reference));
    for named in [a, refused, control] {
        assert!(references(&w, resubmitted).contains(&place(&w, named)), "{named:?}");
    }
    let discarded = w.write(B, vec![on_workspace(Act::Discard(Box::new(reference)))]);
    assert!(references(&w, discarded).contains(&place(&w, refused)));
    let last = w.event(a).reference();
    let verdict = Verdict { term: w.op(bound), last, count: 1, outcome: Outcome::Accept };
    let verdict = w.write(S, vec![verdict_line(verdict)]);
    assert!(references(&w, verdict).contains(&place(&w, bound)));
    assert!(!references(&w, verdict).contains(&place(&w, a)), "verdicts travel before what they are about");
}

#[test]
fn control_events_depend_on_control_events_only() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let dep = w.event(a).reference();
    let lamport = w.event(a).header().lamport;
    let forged = w.forge(B, vec![admission(C, Role::Reader, None)], |header| {
        header.deps = vec![dep];
        header.lamport = lamport + 1;
    });
    check(&w, forged, Err(Invalid::Dependency));
}

#[test]
fn a_dependency_has_the_whole_id() {
    let mut w = world();
    let mut dep = w.event(Ev(1)).reference();
    dep.id.0[31] ^= 1;
    let forged = w.forge(A, vec![line(X, vec![])], |header| {
        header.deps = vec![dep];
        header.lamport = 3;
    });
    check(&w, forged, Err(Invalid::Dependency));
}

#[test]
fn the_previous_event_has_the_whole_id() {
    let mut w = world();
    w.set(A, X, 1, &[]);
    let forged = w.forge(A, vec![line(X, vec![])], |header| {
        let mut id = header.prev.unwrap();
        id.0[31] ^= 1;
        header.prev = Some(id);
    });
    check(&w, forged, Err(Invalid::Dependency));
}

#[test]
fn a_named_event_has_the_whole_id_and_is_earlier() {
    let mut w = world();
    w.apart(B);
    let a = w.set(A, X, 1, &[]);
    let a = w.set(A, X, 1, &[a]);
    let named = w.event(a).reference();
    let discard = |event: EventRef| vec![on_workspace(Act::Discard(Box::new(event)))];
    let later = w.write(B, discard(named));
    check(&w, later, Err(Invalid::Reference));
    w.meet(B);
    let fits = w.write(B, discard(named));
    check(&w, fits, Ok(()));
    let mut other = named;
    other.id.0[31] ^= 1;
    let forged = w.write(B, discard(other));
    check(&w, forged, Err(Invalid::Reference));
    let resubmits = w.forge(B, vec![line(X, vec![])], |header| header.resubmits = Some(other));
    check(&w, resubmits, Err(Invalid::Reference));
}

#[test]
fn a_predecessor_is_earlier() {
    let mut w = world();
    w.apart(B);
    let a = w.set(A, X, 1, &[]);
    // Of the same lamport, then of a smaller one than what it names.
    let same = w.set(B, X, 2, &[a]);
    assert_eq!(w.event(same).header().lamport, w.event(a).header().lamport);
    check(&w, same, Err(Invalid::Reference));
}

#[test]
fn a_predecessor_exists_in_the_event_it_names() {
    let mut w = world();
    let a = w.set(A, X, 1, &[]);
    let beyond = w.event(a).op_ref(1);
    let forged = w.write(B, vec![line(X, vec![beyond])]);
    check(&w, forged, Err(Invalid::Reference));
}

/// Whether an op by B may name the first op of `named`.
#[track_caller]
fn check_may_name(w: &World, op: Op, body: Vec<u8>, fits: bool) {
    let mut w = w.clone();
    let event = w.write(B, vec![(op, body)]);
    check(&w, event, if fits { Ok(()) } else { Err(Invalid::Reference) });
}

#[test]
fn cell_ops_replace_ops_on_their_cell() {
    let mut w = world();
    let (x, y) = (w.set(A, X, 1, &[]), w.set(A, Y, 1, &[]));
    let other = w.set_in(A, OTHER, X, 1, &[]);
    let created = w.create(A);
    let part = PartPath::new(["e"]).unwrap();
    for (named, fits) in [(x, true), (y, false), (other, false), (created, false)] {
        let preds = || w.refs(&[named]);
        check_may_name(&w, on_cell(RECORD, X, Act::Set, preds()), Value::Null.encode(), fits);
        check_may_name(&w, on_cell(RECORD, X, Act::Apply { type_id: 1 }, preds()), vec![], fits);
        let unknown = Act::Unknown { kind: 1001, args: vec![] };
        check_may_name(&w, on_cell(RECORD, X, unknown, preds()), vec![], fits);
        check_may_name(&w, on_part(RECORD, X, part.clone(), Act::Set, preds()), Value::Null.encode(), false);
    }
}

#[test]
fn record_ops_name_ops_on_their_record() {
    let mut w = world();
    let (created, edit) = (w.create(A), w.set(A, X, 1, &[]));
    let deleted = w.delete(A, &[created, edit]);
    let elsewhere = w.set_in(A, OTHER, X, 1, &[]);
    let deleted_elsewhere = w.on(A, OTHER, Act::Delete, &[elsewhere]);
    let op = |act: &Act, named: Ev| Op { target: Target::Record(RECORD), preds: w.refs(&[named]), act: act.clone() };
    let unknown = Act::Unknown { kind: 1001, args: vec![] };
    for (named, is_delete, is_here) in [
        (created, false, true),
        (edit, false, true),
        (deleted, true, true),
        (elsewhere, false, false),
        (deleted_elsewhere, true, false),
    ] {
        for answer in [Act::Create, Act::Restore, Act::Resolve] {
            check_may_name(&w, op(&answer, named), vec![], is_delete && is_here);
        }
        check_may_name(&w, op(&Act::Delete, named), vec![], !is_delete && is_here);
        check_may_name(&w, op(&unknown, named), vec![], is_here);
    }
}

#[test]
fn control_ops_name_what_they_are_about() {
    let mut w = world();
    let key = DeviceKey([1; 32]);
    let invite = Invite { key, role: Role::Writer, uses: 1, expires_ms: 0, approve: false };
    let invited = w.control(B, Act::Invite(Box::new(invite)));
    let admitted = w.admit(B, C, Role::Writer);
    let bound = w.bind(OWNER, S, Scope::Workspace);
    let proposed = tandem_wire::DesignProposed {
        term: w.op(bound),
        design: tandem_wire::DesignDigest([0; 16]),
        steps: vec![],
        table: vec![],
    };
    let proposed = w.control(S, Act::DesignProposed(Box::new(proposed)));
    let a = w.set(A, X, 1, &[]);
    let last = w.event(a).reference();
    let end = |binding| tandem_wire::End { binding, at: None };
    for named in [invited, admitted, bound, proposed] {
        let op = w.op(named);
        let is = |right: Ev| named == right;
        let check = |line: Line, fits| check_may_name(&w, line.0, line.1, fits);
        check(on_workspace(Act::Withdraw(Box::new(op))), is(invited));
        check(admission(D, Role::Writer, Some(tandem_wire::Invited { invite: op, proof: [0; 64] })), is(invited));
        check(on_workspace(Act::Keep(Box::new(op))), is(admitted));
        check(on_workspace(Act::Unbind(Box::new(end(op)))), is(bound));
        let bind = tandem_wire::Bind { ends: vec![end(op)], ..binding(T, Scope::Workspace) };
        check(on_workspace(Act::Bind(Box::new(bind))), is(bound));
        check(verdict_line(Verdict { term: op, last, count: 1, outcome: Outcome::Accept }), is(bound));
        let rehearsed = || Rehearsed { proposal: op, covers: vec![] };
        check(on_workspace(Act::DesignMerged(Box::new(rehearsed()))), is(proposed));
        check(on_workspace(Act::DesignFailed(Box::new(rehearsed()))), is(proposed));
        let unknown = Op { target: Target::Workspace, preds: vec![op], act: Act::Unknown { kind: 1000, args: vec![] } };
        check((unknown, vec![]), true);
        let define = Act::Define(Box::new(tandem_wire::Define { kind: 1, parent: None }));
        check((Op { target: Target::Workspace, preds: vec![op], act: define }, vec![]), false);
    }
}

#[test]
fn an_unknown_op_about_the_workspace_names_ops_of_its_own_plane() {
    let mut w = world();
    let admitted = w.admit(B, C, Role::Writer);
    let a = w.set(A, X, 1, &[]);
    let unknown = |kind, named: Ev| Op {
        target: Target::Workspace,
        preds: w.refs(&[named]),
        act: Act::Unknown { kind, args: vec![] },
    };
    check_may_name(&w, unknown(1001, a), vec![], true);
    check_may_name(&w, unknown(1001, admitted), vec![], false);
}
