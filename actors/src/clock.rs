//! The one place where the shells of this crate read the wall clock. Cores are handed the time.

/// Milliseconds since 1970; 0 where the clock is before that.
#[expect(clippy::disallowed_methods, reason = "for shells, which read it once for each input")]
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
