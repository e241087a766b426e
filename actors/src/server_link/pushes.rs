//! The pure core of a server link: reports of what was pushed.

use std::collections::{BTreeSet, VecDeque};
use tandem_wire::{EventRef, Outcome};

/// Reports that are kept, the newest.
const REPORTS_MAX: usize = 16;

/// What became of what waited, from when there was something until there was nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// When there first was something, in milliseconds since 1970.
    pub since_ms: u64,
    /// When there was nothing any more; none while something waits.
    pub until_ms: Option<u64>,
    /// Events that the server accepted.
    pub accepted: u64,
    /// Events that it refused.
    pub refused: u64,
    /// Events that wait.
    pub waiting: u64,
}

/// Pushes to one server, in one term.
#[derive(Debug, Default)]
pub struct Pushes {
    waiting: BTreeSet<EventRef>,
    reports: VecDeque<Report>,
}

impl Pushes {
    /// These were written since; `outcome` tells what the server said of an event, if it has. Says whether that changed a
    /// report.
    pub fn advance<E>(
        &mut self,
        now_ms: u64,
        written: BTreeSet<EventRef>,
        mut outcome: impl FnMut(&EventRef) -> Result<Option<Outcome>, E>,
    ) -> Result<bool, E> {
        let (before, any) = (self.waiting.len(), !written.is_empty());
        let (mut accepted, mut refused, mut waiting) = (0, 0, BTreeSet::new());
        for event in self.waiting.iter().copied().chain(written) {
            match outcome(&event)? {
                Some(Outcome::Accept) => accepted += 1,
                Some(Outcome::Refuse(_)) => refused += 1,
                None => drop(waiting.insert(event)),
            }
        }
        self.waiting = waiting;
        if !any && self.waiting.len() == before {
            return Ok(false);
        }
        if self.reports.back().is_none_or(|report| report.until_ms.is_some()) {
            let report = Report { since_ms: now_ms, until_ms: None, accepted: 0, refused: 0, waiting: 0 };
            self.reports.push_back(report);
            self.reports.drain(..self.reports.len().saturating_sub(REPORTS_MAX));
        }
        let report = self.reports.back_mut().expect("just made");
        (report.accepted, report.refused) = (report.accepted + accepted, report.refused + refused);
        report.waiting = self.waiting.len() as u64;
        report.until_ms = self.waiting.is_empty().then_some(now_ms);
        Ok(true)
    }

    /// The reports, oldest first.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = &Report> {
        self.reports.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_wire::{ChainId, DeviceKey, EventId, RefusalCode};

    fn event(seq: u64) -> EventRef {
        EventRef { chain: ChainId { device: DeviceKey([1; 32]), number: 1 }, seq, id: EventId([seq as u8; 32]) }
    }

    /// The server has judged up to here; of every third it says no.
    fn judged_to(end: u64) -> impl Fn(&EventRef) -> Result<Option<Outcome>, ()> {
        move |event| {
            let refuses = event.seq.is_multiple_of(3);
            let outcome = if refuses { Outcome::Refuse(RefusalCode::RULE) } else { Outcome::Accept };
            Ok((event.seq < end).then_some(outcome))
        }
    }

    #[test]
    fn a_report_goes_from_something_to_nothing() {
        let (mut pushes, set) = (Pushes::default(), |seqs: std::ops::Range<u64>| seqs.map(event).collect());
        assert_eq!(pushes.advance(1, set(0..0), judged_to(1)), Ok(false));
        assert_eq!(pushes.advance(2, set(1..4), judged_to(1)), Ok(true));
        assert_eq!(pushes.advance(3, set(0..0), judged_to(1)), Ok(false));
        pushes.advance(4, set(4..6), judged_to(3)).unwrap();
        let open = Report { since_ms: 2, until_ms: None, accepted: 2, refused: 0, waiting: 3 };
        assert_eq!(pushes.reports().collect::<Vec<_>>(), [&open]);
        pushes.advance(5, set(0..0), judged_to(6)).unwrap();
        let done = Report { since_ms: 2, until_ms: Some(5), accepted: 4, refused: 1, waiting: 0 };
        assert_eq!(pushes.reports().collect::<Vec<_>>(), [&done]);
        // What is judged before anybody looked counts as well.
        for time in 0..40 {
            pushes.advance(10 + time, set(7..8), judged_to(9)).unwrap();
        }
        assert_eq!((pushes.reports().len(), pushes.reports().next().unwrap().since_ms), (REPORTS_MAX, 34));
        assert!(pushes.reports().all(|report| report.accepted == 1 && report.until_ms == Some(report.since_ms)));
    }
}
