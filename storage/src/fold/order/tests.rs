use super::*;
use crate::fold::{Past, Standing, Terms, past::counts_as_past, testing::*};
use std::sync::Arc;
use tandem_wire::Role;

struct Unjudged;

impl Standings for Unjudged {
    fn of(&self, _: &ControlEvent) -> Result<Standing, EngineError> {
        Ok(Standing::Unjudged)
    }
}

/// One event accepted as the first of all.
struct Accepted(EventId);

impl Standings for Accepted {
    fn of(&self, c: &ControlEvent) -> Result<Standing, EngineError> {
        let accepted = Standing::Accepted { pasts: vec![], order: (0, (0, 0)) };
        Ok(if c.event.id() == self.0 { accepted } else { Standing::Unjudged })
    }
}

fn control(w: &World, pasts: &[(Ev, &[Ev])]) -> Vec<ControlEvent> {
    let id = |event: &Ev| w.event(*event).id();
    let of = |(event, past): &(Ev, &[Ev])| {
        let past: Past = Arc::new(past.iter().map(id).collect());
        ControlEvent { event: w.event(*event).clone(), past }
    };
    pasts.iter().map(of).collect()
}

fn order(control: &[ControlEvent], members: &Members, standings: &impl Standings) -> Vec<EventId> {
    control_order(control, members, standings).unwrap().iter().map(|c| c.event.id()).collect()
}

#[test]
fn nothing_comes_before_what_it_had_seen_then_accepted_then_senior_ones_come_first() {
    let mut w = World::with(&[(A, Role::Manager), (B, Role::Manager)]);
    w.apart(A);
    let by_junior = w.admit(B, C, Role::Reader);
    let after_it = w.admit(OWNER, D, Role::Reader);
    let by_senior = w.admit(A, T, Role::Reader);
    let control = control(&w, &[(after_it, &[by_junior]), (by_junior, &[]), (by_senior, &[])]);
    let members = Members { seniority: vec![OWNER, A, B], ..Members::default() };
    let ids = |events: [Ev; 3]| events.map(|event| w.event(event).id()).to_vec();
    assert_eq!(order(&control, &members, &Unjudged), ids([by_senior, by_junior, after_it]));
    let accepted = Accepted(w.event(by_junior).id());
    assert_eq!(order(&control, &members, &accepted), ids([by_junior, after_it, by_senior]));
    let accepted = Accepted(w.event(after_it).id());
    assert_eq!(order(&control, &members, &accepted), ids([by_senior, by_junior, after_it]));
}

#[test]
fn an_order_of_many_events_takes_no_longer_than_their_pasts() {
    let mut w = World::founded();
    for _ in 0..600 {
        w.admit(OWNER, A, Role::Reader);
    }
    let mut past: Vec<EventId> = Vec::new();
    let mut control: Vec<ControlEvent> = Vec::new();
    for event in w.events() {
        control.push(ControlEvent { event: event.clone(), past: Arc::new(past.iter().copied().collect()) });
        past.push(event.id());
    }
    control.reverse();
    assert_eq!(order(&control, &Members::default(), &Unjudged), past);
    assert!(control.iter().all(|c| counts_as_past(&c.event)));
    assert_eq!(Terms::resolve(&control).heirs, [OWNER].into());
}
