//! Strings of each composite type, taken apart and put together again.

use crate::{
    clock,
    figure::{Figure, Metric},
    lab::Lab,
    task::{self, Outcome, Side, Task},
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tandem_storage::composite::{decompose, of, recompose};
use tandem_wire::design::BaseType;

/// Strings of a type.
const STRINGS: usize = 200_000;
/// HTML is parsed: so many are enough.
const RICH: usize = 5_000;
const TURNS: usize = 3;
/// What is expected of one core, strings a second: an import makes no more rows.
const EXPECTED: f64 = 200_000.0;

/// The strings of one type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    ty: String,
}

/// A figure for each type.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let composites = BaseType::ALL.into_iter().filter(|base| of(*base).is_some());
    let mut figures = Vec::new();
    for base in composites.filter(|base| lab.takes_case(base.name())).collect::<Vec<_>>() {
        let turns = lab.turns(TURNS, &[Side::Ours], |lab, side| {
            let folder = lab.fresh();
            Task { side, folder, work: task::Work::Types(Work { ty: base.name().into() }) }
        });
        let rate = turns.median(Side::Ours, Metric::EventsPerS.name());
        figures.extend(rate.zip(turns.peak_mb()).map(|(ours, peak_mb)| {
            let (metric, reference, reference_name) = (Metric::EventsPerS, EXPECTED, "bound");
            Figure { bench: "types", case: base.name(), metric, ours, reference, reference_name, peak_mb }
        }));
    }
    figures
}

impl Work {
    /// Measures.
    pub fn run(&self, _: Side, _: &Path) -> Outcome {
        let base = BaseType::named(&self.ty).expect("a type");
        let composite = of(base).expect("with parts");
        let count = if base == BaseType::RichText { RICH } else { STRINGS };
        let strings: Vec<String> = (0..count).map(|number| string(base, number)).collect();
        let (took, same) = clock::time(|| {
            let comes_back = |string: &&String| {
                let taken = decompose(composite, string);
                // HTML is made harmless where it is shown.
                let is_shown = base != BaseType::RichText || composite.derive("html", string).is_some();
                !taken.parts.is_empty() && is_shown && recompose(composite, &taken) == **string
            };
            strings.iter().filter(comes_back).count()
        });
        assert_eq!(same, count);
        task::outcome([(Metric::EventsPerS.name(), count as f64 / took.as_secs_f64())])
    }
}

/// One of the strings that a type reads.
fn string(base: BaseType, number: usize) -> String {
    match base {
        BaseType::User => format!("{number};#person.{number}@example.org"),
        BaseType::Lookup => format!("{number};#Place {number}"),
        BaseType::Url => format!("https://example.org/{number}, Page {number}"),
        BaseType::Currency => format!("{number}.50 EUR"),
        BaseType::Phone => format!("+49 30 {number:07}"),
        BaseType::Email => format!("person.{number}@example.org"),
        BaseType::PersonName => format!("Doe {number};John;;Dr.;"),
        BaseType::PostalAddress => format!(";;Weg {number};Ulm;;89073;Germany"),
        BaseType::GeoPoint => format!("52.{number},13.4"),
        BaseType::DateRange => format!("2026-03-01/2026-03-{:02}", 1 + number % 31),
        _rich_text => format!("<p>Hello <b>number {number}</b>, <a href=\"https://example.org\">look</a></p>"),
    }
}
