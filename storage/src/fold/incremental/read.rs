//! Looking events, pasts and verdicts up in the rows.

use super::{
    Fold,
    rows::{EventKey, EventRow, EventState, JudgedRow, Kind, LogPlace, Prefix, ROWS, decode, with},
};
use crate::{
    engine::{EngineError, Read, prefix_end},
    fold::{
        Chains, ControlEvent, Found, Judged, Known, Past, Standing, Standings, Status,
        refusals::{self, Refusals},
        standing, status,
        validity::{Place, Seen},
    },
};
use std::sync::Arc;
use tandem_wire::{ChainId, Event, EventId, EventTag, Mark, Op};

/// Gives the events of the log.
pub trait Events {
    /// The event at this place.
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError>;

    /// One op of the event at this place; nothing where it has not so many.
    fn op(&self, at: LogPlace, op: u16) -> Result<Option<Op>, EngineError> {
        Ok(self.event(at)?.header().ops.get(usize::from(op)).cloned())
    }
}

/// A fold, the rows below it, and the log: everything that the rules ask of.
pub(super) struct Lookup<'a, R, E> {
    pub(super) fold: &'a Fold,
    pub(super) rows: &'a R,
    pub(super) events: &'a E,
}

impl<R: Read, E: Events> Lookup<'_, R, E> {
    fn prefix(&self) -> Prefix {
        self.fold.prefix
    }

    pub(super) fn row(&self, key: EventKey) -> Result<Option<EventRow>, EngineError> {
        EventRow::get(self.rows, self.prefix(), key)
    }

    pub(super) fn event(&self, key: EventKey) -> Result<Arc<Event>, EngineError> {
        let row = self.row(key)?.expect("a known event has a row");
        self.events.event(row.at)
    }

    /// The key of the event before this one in its chain.
    pub(super) fn previous(&self, key: EventKey) -> Result<Option<EventKey>, EngineError> {
        let prev = self.event(key)?.header().prev;
        Ok(prev.map(|id| EventKey { seq: key.seq - 1, tag: id.tag(), ..key }))
    }

    pub(super) fn key_of(&self, chain: ChainId, seq: u64, tag: EventTag) -> Option<EventKey> {
        Some(EventKey { chain: self.fold.chains.get(&chain)?.number, seq, tag })
    }

    /// All verdicts on an event that is known.
    fn verdicts_on(&self, key: EventKey) -> Result<Vec<Judged>, EngineError> {
        if self.fold.terms.terms.is_empty() || !self.row(key)?.is_some_and(|row| row.is_judged) {
            return Ok(Vec::new());
        }
        let of = |row: JudgedRow| {
            let JudgedRow { term, place, verdict, past, outcome } = row;
            Judged { term, place, verdict, past: self.fold.past(past), outcome }
        };
        Ok(self.judged_rows(key)?.into_iter().map(of).collect())
    }

    /// The rows of verdicts on an event.
    pub(super) fn judged_rows(&self, key: EventKey) -> Result<Vec<JudgedRow>, EngineError> {
        let from = self.prefix().judged(key);
        let rows = self.rows.range(ROWS, &from, prefix_end(&from).as_deref());
        rows.map(|pair| pair.map(|(key, row)| JudgedRow::of(&key, &row))).collect()
    }

    fn standing_of(&self, event: &Event, past: &Past) -> Result<Standing, EngineError> {
        let key = self.key_of(event.header().chain, event.header().seq, event.id().tag()).expect("a valid event");
        let verdicts = self.verdicts_on(key)?;
        standing(event, past, &verdicts, &self.fold.terms, &self.fold.stops, self)
    }

    /// What mirrors refused of a valid event.
    pub(super) fn mirrored_of(&self, event: &Event, past: &Past) -> Result<Refusals, EngineError> {
        if !refusals::has_mirrors(&self.fold.terms) {
            return Ok(Refusals::new());
        }
        let key = self.key_of(event.header().chain, event.header().seq, event.id().tag()).expect("a valid event");
        let verdicts = self.verdicts_on(key)?;
        refusals::mirrored(event, past, &verdicts, &self.fold.terms, &self.fold.stops, self)
    }

    /// Rule R4 for one valid event, as things stand.
    pub(super) fn status_of(&self, event: &Event, past: &Past) -> Result<Status, EngineError> {
        let standing = self.standing_of(event, past)?;
        status(event, past, &standing, &self.fold.terms, &self.fold.members, self)
    }

    /// Who waits for, or is said something about by, what is at the end of keys with this start.
    pub(super) fn keys_after(&self, start: Vec<u8>) -> Result<Vec<Vec<u8>>, EngineError> {
        let to = prefix_end(&start);
        self.rows.range(ROWS, &start, to.as_deref()).map(|pair| Ok(pair?.0.to_vec())).collect()
    }

    pub(super) fn stop_of(&self, term: Vec<u8>) -> Result<Option<(u64, u16)>, EngineError> {
        let key = with(self.prefix().kind(Kind::Stop), &[&term]);
        Ok(self.rows.get(ROWS, &key)?.map(|bytes| decode(&bytes)))
    }
}

impl<R: Read, E: Events> Known for Lookup<'_, R, E> {
    fn find(&self, chain: ChainId, seq: u64, tag: EventTag) -> Result<Found, EngineError> {
        let Some(key) = self.key_of(chain, seq, tag) else { return Ok(Found::Missing) };
        let Some(row) = self.row(key)? else { return Ok(Found::Missing) };
        Ok(match row.state {
            EventState::Held => Found::Held,
            EventState::Invalid => Found::Invalid,
            EventState::Valid { .. } => Found::Valid(Seen { id: row.id, lamport: row.lamport }),
        })
    }

    fn event(&self, place: Place) -> Result<Arc<Event>, EngineError> {
        let key = self.key_of(place.chain, place.seq, place.tag).expect("one that was found");
        self.event(key)
    }

    fn op(&self, place: Place, op: u16) -> Result<Option<Op>, EngineError> {
        let key = self.key_of(place.chain, place.seq, place.tag).expect("one that was found");
        let row = self.row(key)?.expect("a known event has a row");
        self.events.op(row.at, op)
    }
}

impl<R: Read, E: Events> Chains for Lookup<'_, R, E> {
    fn is_within(&self, seq: u64, id: EventId, mark: &Mark) -> Result<bool, EngineError> {
        let Mark(end) = mark;
        let by_place = seq <= end.seq;
        let Some(chain) = self.fold.chains.get(&end.chain) else { return Ok(by_place) };
        let is_on_the_trunk = chain.first_fork.is_none_or(|fork| seq < fork);
        if is_on_the_trunk || !by_place {
            return Ok(by_place);
        }
        let mut at = EventKey { chain: chain.number, seq: end.seq, tag: end.id.tag() };
        match self.row(at)? {
            Some(EventRow { id, state: EventState::Valid { .. }, .. }) if id == end.id => {}
            _unknown => return Ok(by_place),
        }
        while at.seq > seq {
            at = self.previous(at)?.expect("a place above another one has one before it");
        }
        Ok(at.tag == id.tag())
    }
}

impl<R: Read, E: Events> Standings for Lookup<'_, R, E> {
    fn of(&self, c: &ControlEvent) -> Result<Standing, EngineError> {
        self.standing_of(&c.event, &c.past)
    }
}
