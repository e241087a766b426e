//! One seed, from beginning to end.

use crate::{
    actors,
    checks::Violation,
    options::{Cast, Options},
    peers,
    planted::Planted,
    trace::{Marks, Trace},
    world::World,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Each named mark must be hit in so many of the seeds, in percent.
pub const PERCENT_MIN: u64 = 2;

/// What became of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The digest of the views at the end, or what went wrong.
    pub result: Result<[u8; 32], Violation>,
    /// What happened.
    pub trace: Trace,
    /// Events in the log at the end.
    pub events: u64,
}

/// Sums over many seeds.
#[derive(Debug, Default, Clone)]
pub struct Totals {
    /// Events in the log at the end, of each seed.
    pub events: Vec<u64>,
    /// Faults, of each seed.
    pub faults: Vec<u64>,
    /// Refusals, of each seed.
    pub refusals: Vec<u64>,
    /// What happened, and in how many seeds it did.
    pub marks: std::collections::BTreeMap<&'static str, (u64, u64)>,
}

/// A world, whoever is in it.
trait Play {
    fn run(&mut self) -> Result<[u8; 32], Violation>;
    fn events(&self) -> u64;
    fn into_trace(self) -> Trace;
}

macro_rules! play {
    ($world:ty) => {
        impl Play for $world {
            fn run(&mut self) -> Result<[u8; 32], Violation> {
                Self::run(self)
            }

            fn events(&self) -> u64 {
                Self::events(self)
            }

            fn into_trace(self) -> Trace {
                self.trace
            }
        }
    };
}

play!(World);
play!(peers::World);
play!(actors::World);

/// Lets one seed happen. A panic in a core is a violation like any other.
pub fn run_once(seed: u64, options: Options) -> Outcome {
    match options.cast {
        Cast::Alone => play(World::new(seed, options)),
        Cast::Peers => play(peers::World::new(seed, options)),
        Cast::Actors => play(actors::World::new(seed, options)),
    }
}

fn play(mut world: impl Play) -> Outcome {
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something without words");
        Violation::of("nothing-panics", text)
    });
    let events = if result.is_ok() { world.events() } else { 0 };
    Outcome { result, trace: world.into_trace(), events }
}

/// Lets one seed happen twice, and it must be the same both times, whether anybody looks or not.
pub fn run(seed: u64, options: Options) -> Outcome {
    let mut first = run_once(seed, options);
    let second = match options.cast {
        Cast::Peers if first.result.is_ok() => play(peers::World::new(seed, options).unwatched()),
        Cast::Peers | Cast::Alone | Cast::Actors => run_once(seed, options),
    };
    if first.trace.hash() != second.trace.hash() || first.result != second.result {
        let differs = first.trace.lines.iter().zip(&second.trace.lines).find(|(a, b)| a != b);
        let details = match differs {
            Some((a, b)) => format!("{a:?} became {b:?}"),
            None if first.trace.lines.len() != second.trace.lines.len() => "one trace is longer".into(),
            None => format!("the same history ended as {:?} and as {:?}", first.result, second.result),
        };
        first.result = Violation::of("same-seed-same-run", details);
    }
    first
}

/// How many seeds from this one on it takes until a planted fault is seen, and by which check.
pub fn detect(planted: Planted, from: u64, seeds_max: u64) -> (u64, Option<&'static str>) {
    let whole = match planted.cast() {
        Cast::Alone => Options::alone(),
        Cast::Peers => Options::default(),
        Cast::Actors => Options::actors(),
    };
    let options = Options { planted: Some(planted), profile: planted.profile(), ..whole };
    for count in 1..=seeds_max {
        if let Err(violation) = run_once(from + count - 1, options).result {
            return (count, Some(violation.check));
        }
    }
    (seeds_max, None)
}

impl Totals {
    /// How many.
    pub fn seeds(&self) -> u64 {
        self.events.len() as u64
    }

    /// Those of these marks that too few seeds came to.
    pub fn too_rare(&self, named: &[&'static str]) -> Vec<&'static str> {
        let seeds_with = |mark: &&str| self.marks.get(*mark).map_or(0, |(_, seeds)| *seeds);
        named.iter().filter(|mark| 100 * seeds_with(mark) < PERCENT_MIN * self.seeds()).copied().collect()
    }

    /// Adds a seed.
    pub fn add(&mut self, outcome: &Outcome) {
        self.events.push(outcome.events);
        self.faults.push(outcome.trace.count("fault"));
        self.refusals.push(outcome.trace.count("refusal"));
        let marks: &Marks = &outcome.trace.marks;
        for (name, count) in marks {
            let (total, seeds) = self.marks.entry(name).or_default();
            *total += count;
            *seeds += 1;
        }
    }
}
