//! Stage 2, event by event: which verdicts are about which events.

use super::{
    EventKey, EventRow, EventState, Events, Fold, Work,
    read::Lookup,
    rows::{JudgedRow, Kind, ROWS, op_bytes, with},
};
use crate::{
    engine::{EngineError, Read},
    fold::{VerdictPlace, validity::Place},
};
use std::collections::BTreeSet;
use tandem_wire::{Act, Event, OpRef, Outcome, Verdict};

impl Fold {
    /// Takes the verdicts that `event` gives, and those that waited for it. Adds every event that they are about to
    /// `again`; says whether the control plane is concerned.
    pub(super) fn take_verdicts<R: Read, E: Events>(
        &mut self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        event: &Event,
        past: u32,
        again: &mut BTreeSet<EventKey>,
    ) -> Result<bool, EngineError> {
        let mut control_changed = false;
        for (index, op) in event.header().ops.iter().enumerate() {
            if let Act::Verdict(verdict) = &op.act {
                control_changed |= self.take_verdict(work, (key, event, index as u16), verdict, past, again)?;
            }
        }
        if self.waiting == 0 {
            return Ok(control_changed);
        }
        for unmet in work.lookup(self).keys_after(self.prefix.place(Kind::Unmet, Place::from(&event.reference())))? {
            let (index, _) = unmet.split_last_chunk::<{ EventKey::LEN }>().expect("keys are our own");
            let index = u16::from_be_bytes(*index.last_chunk().expect("keys are our own"));
            let giver = EventKey::at_end_of(&unmet);
            work.rows.delete(ROWS, unmet);
            let row = work.lookup(self).row(giver)?.expect("a verdict's event has a row");
            let EventState::Valid { past, .. } = row.state else { unreachable!("only valid verdicts wait") };
            let given = work.events.event(row.at)?;
            let Act::Verdict(verdict) = &given.header().ops[index as usize].act else { unreachable!("a verdict") };
            control_changed |= self.take_verdict(work, (giver, &given, index), verdict, past, again)?;
        }
        Ok(control_changed)
    }

    fn take_verdict<R: Read, E: Events>(
        &mut self,
        work: &mut Work<'_, '_, R, E>,
        (giver, given, index): (EventKey, &Event, u16),
        verdict: &Verdict,
        past: u32,
        again: &mut BTreeSet<EventKey>,
    ) -> Result<bool, EngineError> {
        if !self.is_of_its_term(work, given, verdict)? {
            return Ok(false);
        }
        let Some(last) = self.find_judged(work, verdict)? else {
            self.waiting += 1;
            let place = self.prefix.place(Kind::Unmet, Place::from(&verdict.last));
            work.rows.put(ROWS, with(place, &[&index.to_be_bytes(), &giver.bytes()]), []);
            return Ok(false);
        };
        let place = (given.header().seq, index);
        let row = JudgedRow { term: verdict.term, place, verdict: given.id(), past, outcome: verdict.outcome };
        work.rows.put(ROWS, self.prefix.verdict(&row), giver.bytes());
        let (mut control_changed, mut at) = (false, Some(last));
        for _ in 0..verdict.count {
            let Some(judged) = at else { break };
            control_changed |= self.note(work, judged, &row, again)?;
            at = work.lookup(self).previous(judged)?;
        }
        Ok(control_changed || verdict.last.chain.is_control())
    }

    /// Notes one verdict on one event, which is to be looked at `again` if that may change what it is; says whether the
    /// authority contradicts itself there.
    fn note<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        judged: EventKey,
        row: &JudgedRow,
        again: &mut BTreeSet<EventKey>,
    ) -> Result<bool, EngineError> {
        let event = work.lookup(self).row(judged)?.expect("a judged event is known");
        let is_live = matches!(event.state, EventState::Valid { last: Some(look), .. } if look.live);
        if !event.is_judged {
            work.put_event(self.prefix, judged, EventRow { is_judged: true, ..event });
        }
        // Of what takes part, the first word that accepts it changes nothing.
        if event.is_judged || !is_live || row.outcome != Outcome::Accept {
            again.insert(judged);
        }
        let places: Vec<VerdictPlace> = match event.is_judged {
            false => Vec::new(),
            true => {
                let others = work.lookup(self).judged_rows(judged)?.into_iter();
                others.filter(|other| other.term == row.term).map(|other| other.place).collect()
            }
        };
        work.rows.put(ROWS, self.prefix.judged_by(judged, row), row.encode());
        let mut places: Vec<VerdictPlace> = places.into_iter().chain([row.place]).collect();
        places.sort_unstable();
        let Some(second) = places.get(1) else { return Ok(false) };
        let term = op_bytes(&row.term);
        let before = work.lookup(self).stop_of(term.clone())?;
        if before.is_none_or(|before| *second < before) {
            work.put(&with(self.prefix.kind(Kind::Stop), &[&term]), second);
        }
        Ok(true)
    }

    /// The events that a verdict is about.
    pub(super) fn judged_by<R: Read, E: Events>(
        &self,
        lookup: &Lookup<'_, R, E>,
        verdict: &Verdict,
    ) -> Result<Vec<EventKey>, EngineError> {
        let mut judged = Vec::new();
        let mut at = lookup.key_of(verdict.last.chain, verdict.last.seq, verdict.last.id.tag());
        for _ in 0..verdict.count {
            let Some(key) = at else { break };
            judged.push(key);
            at = lookup.previous(key)?;
        }
        Ok(judged)
    }

    /// Whether the verdict is in the chain that its term binds, and that binding can ever have effect: nobody else
    /// makes us note verdicts on every event there is.
    fn is_of_its_term<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        given: &Event,
        verdict: &Verdict,
    ) -> Result<bool, EngineError> {
        let OpRef { chain, seq, op, tag } = verdict.term;
        let key = work.lookup(self).key_of(chain, seq, tag).expect("a valid verdict's term is known");
        let binding = work.lookup(self).event(key)?;
        Ok(match &binding.header().ops[op as usize].act {
            Act::Bind(bind) => bind.authority == given.header().chain && self.terms.heirs.contains(&chain.device),
            _other => unreachable!("a valid verdict names a binding"),
        })
    }

    fn find_judged<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        verdict: &Verdict,
    ) -> Result<Option<EventKey>, EngineError> {
        let last = &verdict.last;
        let lookup = work.lookup(self);
        let Some(key) = lookup.key_of(last.chain, last.seq, last.id.tag()) else { return Ok(None) };
        let row = lookup.row(key)?;
        let is_it = row.is_some_and(|row| row.id == last.id && matches!(row.state, EventState::Valid { .. }));
        Ok(is_it.then_some(key))
    }
}
