//! Which refused events are listed, kept up to date event by event.

use super::{
    EventKey, EventRow, Events, Fold, Look, Work, range,
    read::Lookup,
    rows::{Kind, ROWS, decode, with},
};
use crate::{
    engine::{EngineError, Read, Slice, prefix_end},
    fold::{
        Past, Status,
        refusals::{self, Refusals},
        view::Fates,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tandem_wire::{
    Act, ActorId, CellKey, DeviceKey, Event, EventId, EventRef, FieldId, MemberId, OpRef, PartPath, RecordKey,
    RefusalCode, RefusalText, Target,
};

/// A refused event that nobody has answered, with what a list of them shows: all in one row, for each of these events, and
/// each verdict, may be in a run of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedEvent {
    /// The event.
    pub event: EventRef,
    /// Who acted, on a shared device.
    pub actor: Option<ActorId>,
    /// When, by the author's clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// The record that it is about; of several, the first.
    pub record: Option<RecordKey>,
    /// The values that it has for cells.
    pub values: Vec<RefusedValue>,
    /// It has more of them than are kept here.
    pub has_more: bool,
    /// What each server said of it.
    pub verdicts: Vec<RefusedBy>,
}

/// A value that a refused event has for a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedValue {
    /// The record.
    pub record: RecordKey,
    /// The field.
    pub field: FieldId,
    /// Where inside the field.
    pub part: PartPath,
    /// The value's canonical bytes; none where the event came without them.
    pub value: Option<Vec<u8>>,
}

/// One server's refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedBy {
    /// The verdict.
    pub verdict: OpRef,
    /// Why, for programs.
    pub code: RefusalCode,
    /// Why, for people, and the cells at fault. None where the verdict came without its text.
    pub text: Option<RefusalText>,
    /// When, by the server's clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// Whether it masks the event, or a mirror gave it.
    pub masks: bool,
}

impl RefusedBy {
    /// The server.
    pub fn server(&self) -> DeviceKey {
        self.verdict.chain.device
    }
}

/// Of so many that ask somebody to put one event right, who is asked is told.
const HAND_ONS_MAX: usize = 64;
/// Bytes of values that are kept with a refused event.
const VALUES_BYTES_MAX: usize = 1024;

/// A place in the list of refused events, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedPlace {
    lamport: u64,
    pub(crate) event: EventKey,
}

impl Fold {
    /// What changes in the list of refusals as an event is looked at.
    pub(super) fn note_refusals<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        (key, lamport): (EventKey, u64),
        event: &Event,
        past: &Past,
        (last, look): (Option<Look>, Look),
    ) -> Result<(), EngineError> {
        let mut concerned = look.refused || last.is_some_and(|last| last.refused);
        // Also when none is bound any more: what they said is to be taken off the list.
        if self.has_mirrors {
            let row = self.prefix.mirrored(event.id());
            let mirrored = work.lookup(self).mirrored_of(event, past)?;
            if !mirrored.is_empty() {
                work.put(&row, &mirrored);
                concerned = true;
            } else if work.rows.get(ROWS, &row)?.is_some() {
                work.rows.delete(ROWS, row);
                concerned = true;
            }
        }
        if concerned {
            self.list(work, (key, lamport), event.id())?;
        }
        if last != Some(look) && refusals::may_answer(event) {
            self.note_answers(work, key, event, (last, look))?;
        }
        Ok(())
    }

    fn note_answers<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        event: &Event,
        (last, look): (Option<Look>, Look),
    ) -> Result<(), EngineError> {
        let (before, now) =
            (last.map(|last| refusals::answers(event, last)).unwrap_or_default(), refusals::answers(event, look));
        let changed: Vec<EventRef> = before.iter().chain(&now).copied().collect();
        for answered in changed {
            let lookup = work.lookup(self);
            let of = lookup.key_of(answered.chain, answered.seq, answered.id.tag()).expect("a valid event's reference");
            let lamport = lookup.row(of)?.expect("a valid event's reference").lamport;
            let row = with(self.prefix.answers_to(of), &[&key.bytes()]);
            match now.contains(&answered) {
                true => work.rows.put(ROWS, row, answered.id.0),
                false => work.rows.delete(ROWS, row),
            }
            self.list(work, (of, lamport), answered.id)?;
        }
        let before = last.map(|last| refusals::hand_ons(event, last)).unwrap_or_default();
        let now = refusals::hand_ons(event, look);
        for (handed, to) in before.iter().chain(&now) {
            let lookup = work.lookup(self);
            let of = lookup.key_of(handed.chain, handed.seq, handed.id.tag()).expect("a valid event's reference");
            let row = with(self.prefix.hand_ons_of(of), &[&key.bytes(), &to.0]);
            match now.is_empty() {
                false => work.rows.put(ROWS, row, [&handed.id.0[..], &event.id().0].concat()),
                true => work.rows.delete(ROWS, row),
            }
        }
        Ok(())
    }

    /// Puts an event on the list of refusals, or takes it off.
    fn list<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        (key, lamport): (EventKey, u64),
        id: EventId,
    ) -> Result<(), EngineError> {
        let lookup = work.lookup(self);
        let (binding, mirrors) = lookup.refusals_of(id)?;
        let is_refused = !binding.is_empty() || !mirrors.is_empty();
        let is_listed = is_refused && !lookup.is_answered(key)?;
        let row = self.prefix.refused(lamport, key);
        if is_listed {
            let refused = lookup.refused(key, binding, mirrors)?;
            work.put(&row, &refused);
        } else {
            work.rows.delete(ROWS, row);
        }
        Ok(())
    }

    /// Refused events that nobody has answered, the newest first, from the beginning or behind a place; each with its own
    /// place.
    pub fn refused<'a, R: Read>(
        &self,
        rows: &'a R,
        after: Option<RefusedPlace>,
    ) -> impl Iterator<Item = Result<(RefusedPlace, RefusedEvent), EngineError>> + use<'a, R> {
        let all = self.prefix.kind(Kind::Refused);
        let to = prefix_end(&all);
        // The next key behind it.
        let from = after.map_or(all, |place| with(self.prefix.refused(place.lamport, place.event), &[&[0]]));
        rows.range(ROWS, &from, to.as_deref()).map(|pair: Result<(Slice, Slice), EngineError>| {
            let (key, row) = pair?;
            let lamport = key[9..].first_chunk().expect("keys are our own");
            let place = RefusedPlace { lamport: !u64::from_be_bytes(*lamport), event: EventKey::at_end_of(&key) };
            Ok((place, decode(&row)))
        })
    }

    /// A refused event that nobody has answered.
    pub fn refused_event<R: Read>(&self, rows: &R, event: &EventRef) -> Result<Option<RefusedEvent>, EngineError> {
        let Some(key) = self.key_at(event.chain, (*event).into()) else { return Ok(None) };
        let row = EventRow::get(rows, self.prefix, key)?.filter(|row| row.id == event.id);
        let Some(row) = row else { return Ok(None) };
        let listed = rows.get(ROWS, &self.prefix.refused(row.lamport, key))?;
        Ok(listed.map(|listed| decode(&listed)))
    }

    /// Who was asked to put an event right; of very many, some.
    pub fn handed_to<R: Read>(&self, rows: &R, event: EventKey) -> Result<BTreeSet<MemberId>, EngineError> {
        let hand_ons = range(rows, self.prefix.hand_ons_of(event)).take(HAND_ONS_MAX);
        hand_ons.map(|pair| Ok(MemberId(*pair?.0.last_chunk().expect("keys are our own")))).collect()
    }

    /// Whether a mirror refused an event.
    pub fn is_refused_by_mirror<R: Read>(&self, rows: &R, event: EventId) -> Result<bool, EngineError> {
        Ok(rows.get(ROWS, &self.prefix.mirrored(event))?.is_some())
    }

    /// The events that answer one: that give it up, or were put in its place.
    pub fn answers_to<R: Read>(&self, rows: &R, event: &EventRef) -> Result<Vec<EventKey>, EngineError> {
        let Some(of) = self.key_at(event.chain, (*event).into()) else { return Ok(Vec::new()) };
        let answers = range(rows, self.prefix.answers_to(of));
        answers.map(|pair| Ok(EventKey::at_end_of(&pair?.0))).collect()
    }

    /// What became of events because of mirrors and answers.
    pub(super) fn refusals_in<R: Read>(&self, rows: &R) -> Result<Fates, EngineError> {
        let mut fates = Fates::default();
        for pair in range(rows, self.prefix.kind(Kind::Mirrored)) {
            let (key, value) = pair?;
            fates.mirrored.insert(EventId(*key.last_chunk().expect("keys are our own")), decode(&value));
        }
        for pair in range(rows, self.prefix.kind(Kind::Answer)) {
            fates.answered.insert(EventId(*pair?.1.first_chunk().expect("rows are our own")));
        }
        for pair in range(rows, self.prefix.kind(Kind::HandOn)) {
            let (key, ids) = pair?;
            let (handed, by) = ids.split_first_chunk().expect("rows are our own");
            let by = EventId(*by.first_chunk().expect("rows are our own"));
            fates.handed.insert((EventId(*handed), by, MemberId(*key.last_chunk().expect("keys are our own"))));
        }
        Ok(fates)
    }
}

impl<R: Read, E: Events> Lookup<'_, R, E> {
    /// The refusals of binding authorities, and those of mirrors.
    fn refusals_of(&self, id: EventId) -> Result<(Refusals, Refusals), EngineError> {
        let prefix = self.fold.prefix;
        let binding = match self.rows.get(ROWS, &prefix.masked(id))?.map(|row| decode(&row)) {
            Some(Status::Refused(verdicts)) => verdicts,
            _not_refused => Refusals::new(),
        };
        let mirrors = self.rows.get(ROWS, &prefix.mirrored(id))?.map(|row| decode(&row)).unwrap_or_default();
        Ok((binding, mirrors))
    }

    fn refused(&self, key: EventKey, binding: Refusals, mirrors: Refusals) -> Result<RefusedEvent, EngineError> {
        let event = self.event(key)?;
        let header = event.header();
        let (mut values, mut bytes, mut has_more) = (Vec::new(), 0, false);
        for (index, op) in header.ops.iter().enumerate() {
            let (Act::Set, Target::Cell(CellKey { record, field, part })) = (&op.act, &op.target) else { continue };
            let value = event.body(index).map(<[u8]>::to_vec);
            bytes += 64 + value.as_ref().map_or(0, Vec::len);
            has_more = bytes > VALUES_BYTES_MAX;
            if has_more {
                break;
            }
            values.push(RefusedValue { record: *record, field: *field, part: part.clone(), value });
        }
        let mut verdicts = Vec::new();
        let all = binding.into_iter().map(|of| (true, of)).chain(mirrors.into_iter().map(|of| (false, of)));
        for (masks, (verdict, code)) in all {
            let by = self.key_of(verdict.chain, verdict.seq, verdict.tag).expect("a verdict that counts is known");
            let given = self.event(by)?;
            let text = given.body(usize::from(verdict.op)).and_then(|body| postcard::from_bytes(body).ok());
            verdicts.push(RefusedBy { verdict, code, text, wall_ms: given.header().wall_ms, masks });
        }
        Ok(RefusedEvent {
            event: event.reference(),
            actor: header.actor,
            wall_ms: header.wall_ms,
            record: header.ops.iter().find_map(|op| op.target.record()),
            values,
            has_more,
            verdicts,
        })
    }

    fn is_answered(&self, key: EventKey) -> Result<bool, EngineError> {
        let answers = range(self.rows, self.fold.prefix.answers_to(key)).next();
        Ok(answers.transpose()?.is_some())
    }
}
