//! The naive fold: rules R1 to R12 as a function of a set of events, written to be read.
//!
//! It is the specification, and the oracle for the incremental fold. Stage by stage, each from what the ones
//! before gave: (0) validity, (1) owners and bindings, (2) verdicts, (3) membership and cuts, (4) designs,
//! (5) data.

use super::{
    Chains, ControlEvent, ControlView, Design, Found, Judged, Known, Look, Members, Past, RecordOp, RecordState,
    Standing, Standings, Status, Stops, Terms, Validity, View, counts_as_past, is_authority_written, record,
    refusals::{self, Refusals},
    standing, status,
    validity::{self, Place, Seen},
    view::Fates,
};
use crate::EngineError;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_wire::{Act, ChainId, Event, EventId, EventRef, EventTag, Mark, OpRef, RecordKey};

/// The view of a set of events, in whatever order they are given.
pub fn view(events: &[Arc<Event>]) -> View {
    let world = World::of(events);
    world.view().expect("the naive fold reads nothing that can fail")
}

/// The valid events and everything known about them.
struct World {
    valid: BTreeMap<EventId, Arc<Event>>,
    held: BTreeSet<EventId>,
    pasts: BTreeMap<EventId, Past>,
    control: Vec<ControlEvent>,
    terms: Terms,
    /// By judged event: the verdicts on it.
    judged: BTreeMap<EventId, Vec<Judged>>,
    stops: Stops,
}

impl World {
    /// Stages 0 to 2.
    fn of(events: &[Arc<Event>]) -> Self {
        let (valid, held) = validate(events);
        let pasts = pasts(&valid);
        let control: Vec<ControlEvent> = valid
            .values()
            .filter(|event| counts_as_past(event))
            .map(|event| ControlEvent { event: event.clone(), past: pasts[&event.id()].clone() })
            .collect();
        let terms = Terms::resolve(&control);
        let mut world = Self { valid, held, pasts, control, terms, judged: BTreeMap::new(), stops: BTreeMap::new() };
        world.collect_verdicts();
        world
    }

    /// Stage 2: which events each verdict is about, and where an authority contradicts itself.
    fn collect_verdicts(&mut self) {
        let mut places: BTreeMap<(EventId, OpRef), Vec<(u64, u16)>> = BTreeMap::new();
        for event in self.valid.values() {
            for (index, op) in event.header().ops.iter().enumerate() {
                let Act::Verdict(verdict) = &op.act else { continue };
                let from_its_chain =
                    self.terms.find(&verdict.term).is_some_and(|term| term.chain() == event.header().chain);
                if !from_its_chain {
                    continue;
                }
                let place = (event.header().seq, index as u16);
                for judged in self.last_of(&verdict.last, verdict.count) {
                    places.entry((judged, verdict.term)).or_default().push(place);
                    self.judged.entry(judged).or_default().push(Judged {
                        term: verdict.term,
                        place,
                        verdict: event.id(),
                        past: self.pasts[&event.id()].clone(),
                        outcome: verdict.outcome,
                    });
                }
            }
        }
        let second_verdicts = places.into_iter().filter_map(|((_, term), mut places)| {
            places.sort_unstable();
            Some((term, *places.get(1)?))
        });
        let forks = self.forks();
        let forked = self.terms.terms.iter().filter_map(|term| {
            let seq = forks.iter().filter(|(chain, _)| *chain == term.chain()).map(|(_, seq)| *seq).min()?;
            Some((term.binding, (seq, 0)))
        });
        for (term, place) in second_verdicts.chain(forked) {
            let stop = self.stops.entry(term).or_insert(place);
            *stop = (*stop).min(place);
        }
    }

    /// This event and those before it in its chain, `count` in all; none if it is not known at this place.
    fn last_of(&self, last: &EventRef, count: u32) -> Vec<EventId> {
        let before = |event: &&Arc<Event>| event.header().prev.and_then(|prev| self.valid.get(&prev));
        let last = self.valid.get(&last.id).filter(|event| event.reference() == *last);
        let chain = std::iter::successors(last, before);
        chain.take(count as usize).map(|event| event.id()).collect()
    }

    fn forks(&self) -> BTreeSet<(ChainId, u64)> {
        let mut seen = BTreeSet::new();
        let places = self.valid.values().map(|event| (event.header().chain, event.header().seq));
        places.filter(|place| !seen.insert(*place)).collect()
    }

    /// Stages 3 to 5.
    fn view(&self) -> Result<View, EngineError> {
        let members = Members::resolve(&self.control, &self.terms, self, self)?;
        let (mut statuses, mut fates) = (BTreeMap::new(), Fates { held: self.held.clone(), ..Fates::default() });
        for (id, event) in &self.valid {
            let standing = self.standing(event)?;
            let status = status(event, &self.pasts[id], &standing, &self.terms, &members, self)?;
            let look = Look::of(&status, is_authority_written(event, &self.pasts[id], &self.terms));
            fates.answered.extend(refusals::answers(event, look).iter().map(|answered| answered.id));
            fates.handed.extend(refusals::hand_ons(event, look).iter().map(|(handed, to)| (handed.id, *id, *to)));
            let mirrored = self.mirrored(event)?;
            if !mirrored.is_empty() {
                fates.mirrored.insert(*id, mirrored);
            }
            statuses.insert(*id, status);
        }
        let status_of = |c: &ControlEvent| Ok(statuses[&c.event.id()].clone());
        let design = Design::resolve(&self.control, &self.terms, &members, self, status_of)?;
        let records = self.records(&statuses);
        fates.masked = statuses.into_iter().filter(|(_, status)| !status.is_live()).collect();
        let control = ControlView::of(&self.terms, &members, design, fates, self.forks());
        Ok(View { control, records })
    }

    fn standing(&self, event: &Event) -> Result<Standing, EngineError> {
        let verdicts = self.judged.get(&event.id()).map_or(&[][..], Vec::as_slice);
        standing(event, &self.pasts[&event.id()], verdicts, &self.terms, &self.stops, self)
    }

    fn mirrored(&self, event: &Event) -> Result<Refusals, EngineError> {
        let verdicts = self.judged.get(&event.id()).map_or(&[][..], Vec::as_slice);
        refusals::mirrored(event, &self.pasts[&event.id()], verdicts, &self.terms, &self.stops, self)
    }

    fn records(&self, statuses: &BTreeMap<EventId, Status>) -> BTreeMap<RecordKey, RecordState> {
        let mut ops: BTreeMap<RecordKey, Vec<RecordOp>> = BTreeMap::new();
        for (id, event) in &self.valid {
            let records: BTreeSet<RecordKey> = event.header().ops.iter().filter_map(|op| op.target.record()).collect();
            let by_authority = is_authority_written(event, &self.pasts[id], &self.terms);
            let (live, refused) = (statuses[id].is_live(), statuses[id].is_refused());
            for key in records {
                ops.entry(key).or_default().extend(record::ops_on(event, key, live, refused, by_authority));
            }
        }
        let states = ops.into_iter().map(|(key, ops)| (key, record::fold(ops)));
        states.filter(|(_, state)| *state != RecordState::default()).collect()
    }
}

/// Stage 0: the valid events, and the ids of those that wait. The rest is invalid.
fn validate(events: &[Arc<Event>]) -> (BTreeMap<EventId, Arc<Event>>, BTreeSet<EventId>) {
    let mut found = Arrived(events.iter().map(|event| (event.id(), (event.clone(), Found::Held))).collect());
    loop {
        let mut settled = Vec::new();
        for (id, (event, state)) in &found.0 {
            if !matches!(state, Found::Held) {
                continue;
            }
            match validity::judge(event, &found).expect("memory does not fail") {
                Validity::Valid => settled.push((*id, Found::Valid(Seen::from(&**event)))),
                Validity::Invalid(_) => settled.push((*id, Found::Invalid)),
                Validity::Held(_) => {}
            }
        }
        if settled.is_empty() {
            break;
        }
        for (id, state) in settled {
            found.0.get_mut(&id).expect("arrived").1 = state;
        }
    }
    let (mut valid, mut held) = (BTreeMap::new(), BTreeSet::new());
    for (id, (event, state)) in found.0 {
        match state {
            Found::Valid(_) => drop(valid.insert(id, event)),
            Found::Held | Found::Missing => drop(held.insert(id)),
            Found::Invalid => {}
        }
    }
    (valid, held)
}

struct Arrived(BTreeMap<EventId, (Arc<Event>, Found)>);

impl Known for Arrived {
    fn find(&self, chain: ChainId, seq: u64, tag: EventTag) -> Result<Found, EngineError> {
        Ok(self.at(Place { chain, seq, tag }).map_or(Found::Missing, |(_, state)| state.clone()))
    }

    fn event(&self, place: Place) -> Result<Arc<Event>, EngineError> {
        Ok(self.at(place).expect("one that was found").0.clone())
    }
}

impl Arrived {
    fn at(&self, place: Place) -> Option<&(Arc<Event>, Found)> {
        let candidates = self.0.range(EventId::least_with(place.tag)..).take_while(|(id, _)| id.tag() == place.tag);
        let here = |event: &Event| event.header().chain == place.chain && event.header().seq == place.seq;
        candidates.map(|(_, found)| found).find(|(event, _)| here(event))
    }
}

fn pasts(valid: &BTreeMap<EventId, Arc<Event>>) -> BTreeMap<EventId, Past> {
    let mut by_lamport: Vec<&Arc<Event>> = valid.values().collect();
    by_lamport.sort_by_key(|event| event.header().lamport);
    let mut pasts: BTreeMap<EventId, Past> = BTreeMap::new();
    for event in by_lamport {
        let mut past = BTreeSet::new();
        for before in event.header().prev.iter().chain(event.header().deps.iter().map(|dep| &dep.id)) {
            past.extend(pasts[before].iter().copied());
            if counts_as_past(&valid[before]) {
                past.insert(*before);
            }
        }
        pasts.insert(event.id(), Arc::new(past));
    }
    pasts
}

impl Chains for World {
    fn is_within(&self, seq: u64, id: EventId, mark: &Mark) -> Result<bool, EngineError> {
        let Mark(end) = mark;
        let branch = self.last_of(end, u32::MAX);
        Ok(if branch.is_empty() { seq <= end.seq } else { branch.contains(&id) })
    }
}

impl Standings for World {
    fn of(&self, c: &ControlEvent) -> Result<Standing, EngineError> {
        self.standing(&c.event)
    }
}
