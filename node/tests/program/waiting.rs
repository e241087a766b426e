//! Waiting for what other processes do.

use std::{
    thread,
    time::{Duration, Instant},
};

/// For machines under load: what is waited for takes well under a second.
pub const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks again and again until there is something to see, and there has to be.
pub fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until(PATIENCE, look).unwrap_or_else(|| panic!("{what} did not come about"))
}

/// Looks again and again until there is something to see, for so long.
#[expect(clippy::disallowed_methods, reason = "other processes are waited for")]
pub fn until<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        let seen = look();
        if seen.is_some() || begin.elapsed() >= time {
            return seen;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}
