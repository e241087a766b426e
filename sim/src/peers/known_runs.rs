//! Runs that a session has checked before: on another node, on another link, or when the same seed happened first.
//!
//! What [`Received::verify`] says is a function of the bytes alone. What it refused is not remembered.

use std::{cell::RefCell, collections::BTreeMap};
use tandem_storage::take::Received;
use tandem_wire::BadRun;

/// Beyond so many all are forgotten. A seed has fewer.
const RUNS_MAX: usize = 4096;

thread_local! {
    /// By the hash of all of their bytes.
    static KNOWN: RefCell<BTreeMap<[u8; 32], Received>> = const { RefCell::new(BTreeMap::new()) };
}

/// As [`Received::verify`].
pub(super) fn verify(bytes: Vec<u8>) -> Result<Received, BadRun> {
    let hash = *blake3::hash(&bytes).as_bytes();
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&hash).cloned()) {
        return Ok(known);
    }
    let received = Received::verify(bytes)?;
    KNOWN.with_borrow_mut(|known| {
        if known.len() == RUNS_MAX {
            known.clear();
        }
        known.insert(hash, received.clone());
    });
    Ok(received)
}
