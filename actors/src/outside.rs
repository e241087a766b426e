//! What a node cannot work out for itself: what time it is, bytes that nobody else has, and where its actors run. The one
//! place where the shells of this crate reach for them; cores are handed the time.

/// Where a node gets these from.
#[derive(Debug, Clone, Copy)]
pub struct Outside {
    now_ms: fn() -> u64,
    fill: fn(&mut [u8]),
    is_here: bool,
}

impl Default for Outside {
    /// From the system, with threads of the node's own.
    fn default() -> Self {
        Self { now_ms: system_now_ms, fill: system_fill, is_here: false }
    }
}

impl Outside {
    /// For simulations: from these functions, and all actors, those of links too, on the actix system of the thread that
    /// opens the node, one step after the other. There, only the async forms of calls may be used: the others would wait
    /// for their own thread.
    pub fn here(now_ms: fn() -> u64, fill: fn(&mut [u8])) -> Self {
        Self { now_ms, fill, is_here: true }
    }

    /// Milliseconds since 1970; 0 where the clock is before that.
    pub(crate) fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }

    /// Bytes that nobody else has.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.fill)(&mut bytes);
        bytes
    }

    /// Whether actors run on the thread that opens the node, and nothing on another.
    pub(crate) fn is_here(&self) -> bool {
        self.is_here
    }
}

#[expect(clippy::disallowed_methods, reason = "for shells, which read it once for each input")]
fn system_now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn system_fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}
