//! One figure: ours, the reference's, and the ratio.

use serde_json::json;
use std::fmt;

/// A measured pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The bench.
    pub bench: &'static str,
    /// What varies in it.
    pub case: &'static str,
    /// What is measured.
    pub metric: Metric,
    /// Ours, in the metric's unit.
    pub ours: f64,
    /// The reference's, likewise.
    pub reference: f64,
    /// What the reference is.
    pub reference_name: &'static str,
    /// The most memory that ours had at a time, in MiB.
    pub peak_mb: f64,
}

/// What is measured, by its name, which ends with the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// How long the whole takes.
    Seconds,
    /// How long one takes, in the middle.
    P50Us,
    /// How long one takes, but for the slowest hundredth.
    P99Us,
    /// How many a second.
    EventsPerS,
    /// Millions of bytes a second.
    MbPerS,
    /// How much it takes, of each.
    Bytes,
    /// How often one waits for the other's answer.
    RoundTrips,
    /// By how much the memory of a process grows, in MiB.
    GrowthMb,
}

impl Metric {
    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::P50Us => "p50_us",
            Self::P99Us => "p99_us",
            Self::EventsPerS => "events_per_s",
            Self::MbPerS => "mb_per_s",
            Self::Bytes => "bytes",
            Self::RoundTrips => "round_trips",
            Self::GrowthMb => "growth_mb",
        }
    }

    fn better(self) -> &'static str {
        match self {
            Self::Seconds | Self::P50Us | Self::P99Us | Self::Bytes | Self::RoundTrips | Self::GrowthMb => "lower",
            Self::EventsPerS | Self::MbPerS => "higher",
        }
    }
}

impl Figure {
    fn ratio(&self) -> f64 {
        self.ours / self.reference
    }

    /// One line for programs.
    pub fn json(&self) -> serde_json::Value {
        json!({
            "bench": self.bench,
            "case": self.case,
            "metric": self.metric.name(),
            "better": self.metric.better(),
            "ours": self.ours,
            "reference": self.reference,
            "reference_name": self.reference_name,
            "ratio": self.ratio(),
            "peak_mb": self.peak_mb,
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bench, case, metric, ours, reference, reference_name, peak_mb } = self;
        write!(
            f,
            "{:<24} {:<12} ours {:>10}  {reference_name:<11} {:>10}  peak {peak_mb:>4.0} MB  ratio {:.2}",
            format!("{bench} {case}"),
            metric.name(),
            digits(*ours),
            digits(*reference),
            self.ratio()
        )
    }
}

/// Four digits that count.
fn digits(number: f64) -> String {
    let places = if number == 0.0 { 0 } else { (3.0 - number.abs().log10().floor()).clamp(0.0, 6.0) as usize };
    format!("{number:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_count() {
        let check = |number: f64, expect: &str| assert_eq!(digits(number), expect);
        check(0.0, "0");
        check(0.012_345, "0.01235");
        check(1.234_56, "1.235");
        check(1234.56, "1235");
        check(123_456.7, "123457");
    }

    #[test]
    fn the_ratio_is_ours_to_the_references() {
        let figure = Figure {
            bench: "read",
            case: "cached",
            metric: Metric::P50Us,
            ours: 3.0,
            reference: 6.0,
            reference_name: "sqlite",
            peak_mb: 80.0,
        };
        assert_eq!(figure.json()["ratio"], 0.5);
        assert_eq!(figure.json()["better"], "lower");
        assert!(figure.to_string().ends_with("ratio 0.50"), "{figure}");
    }
}
