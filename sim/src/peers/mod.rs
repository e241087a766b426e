//! Several members' nodes, and the network between them: they edit apart, come together, crash and are cut off, and in
//! the end must have the same.

mod answers;
pub(crate) mod checks;
mod designs;
mod ending;
mod faults;
mod hostile;
mod known_runs;
mod links;
mod malice;
mod members;
mod net;
mod peer;
mod people;
mod planted_designs;
pub(crate) mod planted_values;
pub(crate) mod planted_verdicts;
mod policies;
mod rehearsals;
mod servers;
mod values;
mod verdict_checks;
mod world;

pub use world::World;

/// With so few commands the views are compared with the specification after every step.
pub const CLOSE_COMMANDS_MAX: u32 = 60;

/// What must not be rare either where somebody judges.
pub const SERVER_MARKS: [&str; 30] = [
    "already-resent",
    "bound",
    "crash-after-judging",
    "crash-between-verdicts-and-apply",
    "crash-between-verdicts-and-sync",
    "depends-on-refused",
    "contradicted",
    "discarded",
    "equivocation",
    "forked-verdicts",
    "handed-on",
    "mirror-refusal",
    "rebound",
    "refused-by-role",
    "refused-by-rule",
    "refused-cut",
    "refused-pattern",
    "refused-range",
    "refused-required",
    "resent-accepted",
    "rule-failed",
    "sent-again",
    "server-fresh-pair",
    "server-wins",
    "stale-refused",
    "two-servers",
    "unbound",
    "unique-taken",
    "verdict-through-another",
    "withheld",
];

/// What must not be rare where values have parts.
pub const VALUE_MARKS: [&str; 5] =
    ["atom-written-at-once", "elements-of-two-authors", "kept-verbatim", "parts-of-two-authors", "row-from-outside"];

/// What must not be rare: many seeds must come to each of them.
pub const NAMED_MARKS: [&str; 30] = [
    "backdated-clock",
    "clock-jump",
    "crash-after-decide",
    "crash-after-taking",
    "crash-at-rest",
    "crash-before-taking",
    "crash-between-append-and-apply",
    "crash-between-append-and-sync",
    "crash-between-apply-and-release",
    "crash-between-take-and-apply",
    "crash-between-take-and-sync",
    "crash-in-open",
    "cut-in-mid-frame",
    "cut-with-late-events",
    "disk-fault",
    "doubled",
    "fork",
    "fork-points",
    "held",
    "hostile-caught",
    "hostile-claims",
    "hostile-writes",
    "loser-restored",
    "lost",
    "old-image-lost-own",
    "one-way-partition",
    "reordered",
    "resumed-with-a-delta",
    "round-again",
    "throttled",
];
