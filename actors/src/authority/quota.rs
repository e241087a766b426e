//! How much each member has sent today: what is beyond a server's share is refused.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_wire::{DeviceKey, MemberId};

const DAY_MS: u64 = 86_400_000;

/// Whose share it is: a person's, whatever device they use; a device's where nobody is known to own it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sender {
    /// A person.
    Member(MemberId),
    /// A device.
    Device(DeviceKey),
}

/// What was taken today.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Days since 1970 (UTC).
    day: u64,
    bytes: BTreeMap<Sender, u64>,
}

impl Used {
    /// Counts so many bytes of a sender, if they are within the share; says whether they are.
    pub fn take(&mut self, now_ms: u64, sender: Sender, bytes: u64, share: u64) -> bool {
        let day = now_ms / DAY_MS;
        // Also when the clock was put back: one that was wrong once must not starve everybody until that day.
        if day != self.day {
            (self.day, self.bytes) = (day, BTreeMap::new());
        }
        let used = self.bytes.entry(sender).or_default();
        let is_within = used.saturating_add(bytes) <= share;
        if is_within {
            *used += bytes;
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_for_a_day_and_a_sender() {
        let (mut used, ada, bob) =
            (Used::default(), Sender::Member(MemberId([1; 16])), Sender::Device(DeviceKey([2; 32])));
        let day = 20_000 * DAY_MS;
        assert!(used.take(day, ada, 60, 100) && !used.take(day + 1, ada, 60, 100) && used.take(day + 2, ada, 40, 100));
        assert!(!used.take(day + 3, ada, 1, 100), "it is used up");
        assert!(used.take(day + 3, bob, 100, 100), "another's is not");
        assert!(used.take(day + DAY_MS, ada, 100, 100), "the next day");
        assert!(used.take(day, ada, 100, 100), "the clock was put back");
        assert!(!used.take(day, bob, u64::MAX, 100));
    }
}
