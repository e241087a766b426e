//! What the nodes of this thread's world take for the time and for random bytes.

use crate::chance::Stream;
use std::cell::{Cell, RefCell};
use tandem_actors::outside::Outside;
use tokio::time::Instant;

/// What the wall clocks show when the world begins, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_750_000_000_000;

thread_local! {
    static BEGIN: Cell<Option<Instant>> = const { Cell::new(None) };
    /// By how much all wall clocks are off.
    static OFF_MS: Cell<i64> = const { Cell::new(0) };
    static CHANCE: RefCell<Option<Stream>> = const { RefCell::new(None) };
}

/// A world begins on this thread.
pub(super) fn begin(chance: Stream) {
    BEGIN.set(Some(Instant::now()));
    OFF_MS.set(0);
    CHANCE.set(Some(chance));
}

/// For the nodes of this world.
pub(super) fn outside() -> Outside {
    Outside::here(now_ms, fill)
}

/// Since the world began.
pub(super) fn now_us() -> u64 {
    BEGIN.get().map_or(0, |begin| begin.elapsed().as_micros() as u64)
}

/// All wall clocks jump.
pub(super) fn jump_to(off_ms: i64) {
    OFF_MS.set(off_ms);
}

fn now_ms() -> u64 {
    (EPOCH_MS + now_us() / 1000).saturating_add_signed(OFF_MS.get())
}

fn fill(bytes: &mut [u8]) {
    CHANCE.with_borrow_mut(|chance| {
        let chance = chance.as_mut().expect("the world of this thread has begun");
        bytes.iter_mut().for_each(|byte| *byte = chance.number() as u8);
    });
}
