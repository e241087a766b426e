//! The network: streams between two nodes over something that loses, doubles, reorders and delays.
//!
//! A stream gives its bytes in order, each once, as the transports do: what is lost is sent again after a while, what
//! comes twice is dropped, what comes too early waits. All of that costs time. A stream that is cut loses what is on
//! its way, in mid-frame too; the other end hears of it later.

use crate::chance::{Ratio, Stream};

/// One way of a link.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    /// When the last bytes come out; nothing overtakes them.
    busy_until_us: u64,
}

/// What the network is like.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    delay_us_max: u64,
    loss: Ratio,
    doubling: Ratio,
    reordering: Ratio,
}

/// Nothing is heard from one node by another until then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocked {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) until_us: u64,
}

/// What became of bytes on their way.
#[derive(Debug, Clone, Default)]
pub(super) struct Passage {
    /// When they come out.
    pub(super) at_us: u64,
    pub(super) marks: Vec<&'static str>,
}

/// How long it takes until something lost is sent again.
const AGAIN_US: u64 = 200_000;

impl Way {
    /// One on which bytes are that come out until then.
    pub(super) fn busy_until(busy_until_us: u64) -> Self {
        Self { busy_until_us }
    }

    pub(super) fn busy_until_us(self) -> u64 {
        self.busy_until_us
    }
}

impl Weather {
    pub(super) fn draw(stream: &mut Stream) -> Self {
        let of = |stream: &mut Stream, most: u64| Ratio(stream.below(most), 100);
        Self {
            delay_us_max: [300, 5_000, 80_000][stream.below(3) as usize],
            loss: of(stream, 8),
            doubling: of(stream, 8),
            reordering: of(stream, 15),
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn clear() -> Self {
        let never = Ratio(0, 1);
        Self { delay_us_max: 2_000, loss: never, doubling: never, reordering: never }
    }

    /// Sends bytes along a way; `bytes_per_ms` caps it.
    pub(super) fn pass(
        &self,
        stream: &mut Stream,
        way: &mut Way,
        (now_us, blocked_until_us): (u64, u64),
        bytes: usize,
        bytes_per_ms: Option<u64>,
    ) -> Passage {
        let mut passage = Passage { at_us: now_us.max(blocked_until_us), marks: Vec::new() };
        if blocked_until_us > now_us {
            passage.marks.push("blocked");
        }
        passage.at_us += 1 + stream.below(self.delay_us_max);
        if let Some(rate) = bytes_per_ms {
            passage.at_us += bytes as u64 * 1000 / rate;
            passage.marks.push("throttled");
        }
        while stream.happens(self.loss) {
            passage.at_us += AGAIN_US;
            passage.marks.push("lost");
        }
        if stream.happens(self.doubling) {
            passage.marks.push("doubled");
        }
        if stream.happens(self.reordering) {
            passage.at_us += stream.below(self.delay_us_max);
            passage.marks.push("reordered");
        }
        passage.at_us = passage.at_us.max(way.busy_until_us + 1);
        way.busy_until_us = passage.at_us;
        passage
    }
}
