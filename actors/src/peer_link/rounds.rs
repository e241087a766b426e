//! Telling each other tables, round by round: taking them in part by part, and not too often.

use super::parts::Closed;
use tandem_wire::{EventRef, VersionTable, limits::TABLE_ENDS_MAX, message::TablePart};

/// How long to wait before tables are told again, the first time; each further time twice as long.
const AFTER_MS: u64 = 1_000;
/// How long at most.
const AFTER_MS_MAX: u64 = 60_000;

/// Where a session is with tables.
#[derive(Debug)]
pub(super) struct Rounds {
    /// Of this one, from 0.
    pub(super) number: u32,
    /// What has come of the other's table.
    coming: Vec<EventRef>,
    next_ms: u64,
    wait_ms: u64,
}

/// What a part of a table comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It belongs to a round that is over.
    Late,
    /// More follows.
    Part,
    /// That was all: the table, or what differs from the one agreed on.
    Whole(VersionTable),
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self { number: 0, coming: Vec::new(), next_ms: 0, wait_ms: AFTER_MS }
    }

    /// Whether the part begins a round that this node has not begun. Whoever hears of one tells its table too.
    pub(super) fn begins_another(&mut self, part: &TablePart) -> Result<bool, Closed> {
        // Rounds come one after the other, so that nobody is made to tell its table without having told its own.
        match part.round.checked_sub(self.number) {
            None | Some(0) => Ok(false),
            Some(1) => {
                self.number = part.round;
                self.coming.clear();
                Ok(true)
            }
            Some(_) => Err(Closed::Violation("it is rounds ahead")),
        }
    }

    /// Takes a part in.
    pub(super) fn take(&mut self, part: TablePart) -> Result<Came, Closed> {
        if part.round < self.number {
            return Ok(Came::Late);
        }
        let goes_on = part.ends.first().is_none_or(|first| self.coming.last().is_none_or(|last| last < first));
        if !goes_on || !part.ends.is_sorted_by(|a, b| a < b) {
            return Err(Closed::Violation("its table is not in order"));
        }
        if self.coming.len() + part.ends.len() > TABLE_ENDS_MAX {
            return Err(Closed::Violation("its table is beyond all measure"));
        }
        self.coming.extend(part.ends);
        Ok(if part.more { Came::Part } else { Came::Whole(self.coming.drain(..).collect()) })
    }

    /// Both are through and have not the same: whether it is time for another round.
    pub(super) fn is_due(&mut self, now_ms: u64) -> bool {
        if now_ms < self.next_ms {
            return false;
        }
        self.next_ms = now_ms + self.wait_ms;
        self.wait_ms = (2 * self.wait_ms).min(AFTER_MS_MAX);
        self.number += 1;
        self.coming.clear();
        true
    }

    /// Both have the same.
    pub(super) fn agreed(&mut self) {
        self.wait_ms = AFTER_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_wire::{ChainId, DeviceKey, EventId};

    fn end(number: u32) -> EventRef {
        EventRef { chain: ChainId { device: DeviceKey([1; 32]), number }, seq: 0, id: EventId([2; 32]) }
    }

    fn part(round: u32, ends: std::ops::Range<u32>, more: bool) -> TablePart {
        TablePart { round, since_agreed: false, ends: ends.map(end).collect(), more }
    }

    #[test]
    fn a_table_comes_in_parts_and_in_order() {
        let mut rounds = Rounds::new();
        assert_eq!(rounds.take(part(0, 0..2, true)), Ok(Came::Part));
        assert_eq!(rounds.take(part(0, 2..3, false)), Ok(Came::Whole((0..3).map(end).collect())));
        assert_eq!(rounds.take(part(0, 0..0, false)), Ok(Came::Whole(VersionTable::default())));
        assert_eq!(rounds.take(part(0, 4..5, true)), Ok(Came::Part));
        assert!(rounds.take(part(0, 4..5, false)).is_err(), "the same again");
        let back = TablePart { ends: vec![end(9), end(8)], ..part(0, 0..0, false) };
        assert!(Rounds::new().take(back).is_err(), "not ascending");
    }

    #[test]
    fn a_table_that_never_ends_is_cut_off() {
        let mut rounds = Rounds::new();
        let mut from = 0;
        let step = 4096;
        let refused = loop {
            match rounds.take(part(0, from..from + step, true)) {
                Ok(came) => assert_eq!(came, Came::Part),
                Err(closed) => break closed,
            }
            from += step;
        };
        assert!(matches!(refused, Closed::Violation(_)));
        assert_eq!(from as usize, TABLE_ENDS_MAX);
    }

    #[test]
    fn rounds_come_one_after_the_other() {
        let mut rounds = Rounds::new();
        assert_eq!(rounds.begins_another(&part(0, 0..0, false)), Ok(false));
        assert_eq!(rounds.begins_another(&part(1, 0..0, false)), Ok(true));
        assert_eq!(rounds.begins_another(&part(1, 0..0, false)), Ok(false));
        assert_eq!(rounds.take(part(0, 0..1, false)), Ok(Came::Late));
        for ahead in [3, u32::MAX] {
            assert!(rounds.begins_another(&part(ahead, 0..0, false)).is_err(), "{ahead}");
        }
    }

    #[test]
    fn each_round_waits_longer_until_both_agree() {
        let (mut rounds, mut now_ms, mut waits) = (Rounds::new(), 0, Vec::new());
        assert!(rounds.is_due(now_ms));
        for _ in 0..8 {
            let due = (now_ms..).find(|at| rounds.is_due(*at)).unwrap();
            waits.push(due - now_ms);
            now_ms = due;
        }
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        rounds.agreed();
        assert!(rounds.is_due(now_ms + 60_000) && rounds.is_due(now_ms + 61_000));
        assert_eq!(rounds.number, 11);
    }
}
