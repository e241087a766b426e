//! What will happen, in the order of (time, number).

use std::collections::BTreeMap;

/// Things that will happen. Of several at one time, the one that was planned first comes first.
#[derive(Debug)]
pub struct Queue<T> {
    now_us: u64,
    number: u64,
    planned: BTreeMap<(u64, u64), T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { now_us: 0, number: 0, planned: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    /// Microseconds since the world began.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Plans something for `in_us` microseconds from now.
    pub fn plan(&mut self, in_us: u64, what: T) {
        self.planned.insert((self.now_us + in_us, self.number), what);
        self.number += 1;
    }

    /// Takes back what was planned and is chosen, in the order in which it would have happened.
    pub fn retract(&mut self, chosen: impl Fn(&T) -> bool) -> Vec<T> {
        let keys: Vec<(u64, u64)> = self.planned.iter().filter(|(_, what)| chosen(what)).map(|(key, _)| *key).collect();
        keys.into_iter().filter_map(|key| self.planned.remove(&key)).collect()
    }

    /// Moves on to what happens next.
    pub fn advance(&mut self) -> Option<T> {
        let ((at_us, _), what) = self.planned.pop_first()?;
        self.now_us = at_us;
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_orders_and_the_plan_breaks_ties() {
        let mut queue = Queue::default();
        for (in_us, name) in [(5, "c"), (1, "a"), (5, "d"), (2, "b")] {
            queue.plan(in_us, name);
        }
        assert_eq!((queue.advance(), queue.now_us()), (Some("a"), 1));
        // From now, so at 5 as well, and last.
        queue.plan(4, "e");
        assert_eq!(std::iter::from_fn(|| queue.advance()).collect::<String>(), "bcde");
    }
}
