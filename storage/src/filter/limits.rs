//! Named maxima of filters. Units are in the names.

/// Bytes of a filter's source.
pub const SOURCE_BYTES_MAX: usize = 4 * 1024;
/// Nodes of a filter: names, literals, operators, calls, and what a macro stands for.
pub const NODES_MAX: usize = 200;
/// Words, literals, operators and brackets, counted before anything is parsed.
pub(super) const TOKENS_MAX: usize = 5 * NODES_MAX;
/// How deep brackets and conditions may nest.
pub const DEPTH_MAX: usize = 32;
/// How deep macros (`exists`, `all`, `map` …) may nest.
pub const MACRO_DEPTH_MAX: usize = 2;
/// Elements of a list that a filter looks through.
pub const LIST_MAX: usize = 1_000;
/// Bytes of all texts and lists that a filter builds on one record.
pub const RESULT_BYTES_MAX: usize = 64 * 1024;
/// Steps of all loops of a filter on one record.
pub const STEPS_MAX: usize = 10_000;
/// Bytes of text that count as a step where they are looked through in a loop; so does each round.
pub const STEP_BYTES: usize = 256;
/// Bytes of a compiled pattern.
pub const PATTERN_BYTES_MAX: usize = 64 * 1024;
