//! Time and memory, as they are measured in a child.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Now.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this is for")]
pub fn now() -> Instant {
    Instant::now()
}

/// How long `work` takes, and what it gives.
pub fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = now();
    let done = work();
    (start.elapsed(), done)
}

/// How long each of many takes.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Does `work`, and notes how long it took.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (took, done) = time(work);
        self.0.push(took);
        done
    }

    /// Of these.
    pub fn of(times: Vec<Duration>) -> Self {
        Self(times)
    }

    /// The time, in microseconds, that `share` of them are within.
    pub fn within_us(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len() - 1;
        self.0[((last as f64) * share).round() as usize].as_secs_f64() * 1e6
    }
}

/// The middle one; of an even number, the lesser of the two.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[(figures.len() - 1) / 2]
}

/// The most memory that this process has had so far, or since a [`Memory`] began, in MiB.
pub fn peak_mb() -> f64 {
    status_mb("VmHWM:")
}

/// By how much this process grows.
pub struct Memory {
    before_mb: f64,
}

impl Memory {
    /// From now on.
    pub fn begin() -> Self {
        fs::write("/proc/self/clear_refs", "5").expect("Linux forgets a peak");
        Self { before_mb: status_mb("VmRSS:") }
    }

    /// The peak beyond what there was at the beginning, in MiB.
    pub fn growth_mb(&self) -> f64 {
        peak_mb() - self.before_mb
    }
}

fn status_mb(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells what a process takes");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line on this");
    let kib = line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number");
    kib / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_last_hundredth() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.0);
        let mut times = Times((0..=100).rev().map(Duration::from_micros).collect());
        assert_eq!(times.within_us(0.5).round(), 50.0);
        assert_eq!(times.within_us(0.99).round(), 99.0);
    }

    #[test]
    fn a_process_has_a_peak() {
        assert!(peak_mb() > 0.5);
        let memory = Memory::begin();
        let bytes = vec![1_u8; 8 << 20];
        assert!(memory.growth_mb() > 7.0, "{}", bytes.len());
    }
}
