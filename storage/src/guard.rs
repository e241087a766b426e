//! Runs other people's evaluators and parsers over hostile data: what panics there becomes a value.
//!
//! A guard bounds nothing: who calls it bounds size and depth first, since a stack that overflows ends the process.
//! It needs a build that unwinds.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Bytes of a panic's message that are kept.
pub const MESSAGE_BYTES_MAX: usize = 256;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// What ran in a guard panicked; nothing that it was handed may be used further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it failed inside: {message}")]
pub struct Panicked {
    /// What the panic said, without control characters, at most [`MESSAGE_BYTES_MAX`] bytes.
    pub message: String,
}

impl Panicked {
    /// The stable code that callers pass on.
    pub const CODE: &'static str = "rule-failed";
}

/// Runs `work`; a panic in it is an `Err`.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let depth = Depth::deeper();
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(depth);
    done.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Panicked { message: readable(text.unwrap_or("it did not say why")) }
    })
}

/// Whether this thread is inside a guard: a panic hook asks it, to neither print nor abort where the panic is caught.
pub fn is_guarded() -> bool {
    DEPTH.get() > 0
}

/// Counts one guard for as long as it lives.
struct Depth;

impl Depth {
    fn deeper() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

fn readable(text: &str) -> String {
    let mut message = String::new();
    for char in text.chars() {
        let shown = if char.is_control() { ' ' } else { char };
        if message.len() + shown.len_utf8() > MESSAGE_BYTES_MAX {
            break;
        }
        message.push(shown);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands in for an evaluator with a fault.
    fn evaluator(input: &str) -> usize {
        assert!(is_guarded());
        assert!(input != "hostile", "cannot take\n{input}");
        input.len()
    }

    #[test]
    fn a_panic_becomes_a_value_and_the_next_call_works() {
        assert_eq!(guarded(|| evaluator("good")), Ok(4));
        let panicked = guarded(|| evaluator("hostile")).unwrap_err();
        assert_eq!(panicked.message, "cannot take hostile");
        assert_eq!(guarded(|| evaluator("good")), Ok(4));
        assert!(!is_guarded());
    }

    #[test]
    fn guards_nest_and_messages_of_any_kind_are_bounded() {
        let outer = guarded(|| {
            let inner = guarded(|| std::panic::panic_any(7));
            assert_eq!(inner.unwrap_err().message, "it did not say why");
            assert!(is_guarded());
            panic!("{}", "ü".repeat(10_000));
        });
        let message = outer.unwrap_err().message;
        assert!(message.len() <= MESSAGE_BYTES_MAX && message.starts_with("üü"), "{message}");
    }
}
