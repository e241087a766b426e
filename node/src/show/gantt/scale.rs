//! The scale of a schedule: which days stand in which cells.
//!
//! ```text
//! 2025-07-01  07-07         07-14
//! ```

use std::ops::Range;

use jiff::SignedDuration;
use jiff::civil::Date;

const EPOCH: Date = Date::constant(1970, 1, 1);
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;
const DAYS_FROM_MONDAY_TO_EPOCH: i64 = 3;
const MOST_CELLS_PER_UNIT: usize = 2;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const YEARS: [i64; 14] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];

/// The time that a step of a scale stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Years(i64),
}

impl Unit {
    fn from_fine_to_coarse() -> impl Iterator<Item = Self> {
        [Self::Day, Self::Week, Self::Month, Self::Quarter].into_iter().chain(YEARS.map(Self::Years))
    }

    /// The number of the unit that `date` lies in; units that follow each other have numbers that do.
    fn number(self, date: Date) -> i64 {
        let (year, month) = (i64::from(date.year()), i64::from(date.month()) - 1);
        match self {
            Self::Day => days(date),
            Self::Week => (days(date) + DAYS_FROM_MONDAY_TO_EPOCH).div_euclid(7),
            Self::Month => year * 12 + month,
            Self::Quarter => year * 4 + month / 3,
            Self::Years(count) => year.div_euclid(count),
        }
    }

    /// Whether a label may stand where unit `number` begins.
    fn may_be_labelled(self, number: i64) -> bool {
        match self {
            Self::Day => (number + DAYS_FROM_MONDAY_TO_EPOCH).rem_euclid(7) == 0,
            Self::Quarter => number.rem_euclid(4) == 0,
            Self::Week | Self::Month | Self::Years(_) => true,
        }
    }

    fn year(self, number: i64) -> i64 {
        match self {
            Self::Day | Self::Week => self.first_day(number).year().into(),
            Self::Month => number.div_euclid(12),
            Self::Quarter => number.div_euclid(4),
            Self::Years(count) => number * count,
        }
    }

    fn first_day(self, number: i64) -> Date {
        let days = if self == Self::Week { number * 7 - DAYS_FROM_MONDAY_TO_EPOCH } else { number };
        EPOCH.saturating_add(SignedDuration::from_secs(days * SECONDS_PER_DAY))
    }

    fn label(self, number: i64, has_year: bool) -> String {
        let year = self.year(number);
        match self {
            Self::Day | Self::Week => {
                let day = self.first_day(number);
                if has_year { day.to_string() } else { format!("{:02}-{:02}", day.month(), day.day()) }
            }
            Self::Month if has_year => format!("{year:04}-{:02}", number.rem_euclid(12) + 1),
            Self::Month => month_name(number).to_owned(),
            Self::Quarter if number.rem_euclid(4) != 0 => format!("{year} Q{}", number.rem_euclid(4) + 1),
            Self::Quarter | Self::Years(_) => year.to_string(),
        }
    }
}

fn days(date: Date) -> i64 {
    date.duration_since(EPOCH).as_secs().div_euclid(SECONDS_PER_DAY)
}

fn month_name(number: i64) -> &'static str {
    usize::try_from(number.rem_euclid(12)).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"")
}

/// Where days stand in the chart.
pub(super) struct Scale {
    unit: Unit,
    first: i64,
    units: usize,
    cells_per_unit: usize,
    cells: usize,
}

impl Scale {
    /// The finest scale that has room for all `spans` in `cells` cells; none if there are no spans.
    pub(super) fn of(spans: impl Iterator<Item = (Date, Date)>, cells: usize) -> Option<Self> {
        let (from, to) = spans.reduce(|(from, to), (other_from, other_to)| (from.min(other_from), to.max(other_to)))?;
        Unit::from_fine_to_coarse().find_map(|unit| {
            let first = unit.number(from);
            let units =
                usize::try_from(unit.number(to) - first + 1).ok().filter(|units| (1..=cells).contains(units))?;
            let cells_per_unit = (cells / units).min(MOST_CELLS_PER_UNIT);
            Some(Self { unit, first, units, cells_per_unit, cells })
        })
    }

    /// The cells that the days of the chart take.
    pub(super) fn width(&self) -> usize {
        self.units * self.cells_per_unit
    }

    /// What one step of the scale stands for.
    pub(super) fn name(&self) -> String {
        match self.unit {
            Unit::Day => "day".into(),
            Unit::Week => "week".into(),
            Unit::Month => "month".into(),
            Unit::Quarter => "quarter".into(),
            Unit::Years(1) => "year".into(),
            Unit::Years(count) => format!("{count} y"),
        }
    }

    /// The cells of the days from `from` to `to`, both of the chart.
    pub(super) fn cells(&self, from: Date, to: Date) -> Option<Range<usize>> {
        Some(self.first_cell(from)?..self.first_cell(to)? + self.cells_per_unit)
    }

    /// The cell in the middle of the unit that `date` lies in, if that is in the chart.
    pub(super) fn middle(&self, date: Date) -> Option<usize> {
        Some(self.first_cell(date)? + self.cells_per_unit / 2)
    }

    fn first_cell(&self, date: Date) -> Option<usize> {
        let unit = usize::try_from(self.unit.number(date) - self.first).ok()?;
        (unit < self.units).then_some(unit * self.cells_per_unit)
    }

    /// The line of labels, each of which begins where its unit does.
    pub(super) fn labels(&self) -> String {
        let mut line = String::new();
        let mut year = None;
        for (number, cell) in (self.first..).zip((0..self.width()).step_by(self.cells_per_unit)) {
            let is_free = cell == 0 || line.len() < cell;
            if !is_free || (cell > 0 && !self.unit.may_be_labelled(number)) {
                continue;
            }
            let label = self.unit.label(number, year != Some(self.unit.year(number)));
            if cell + label.len() <= self.cells {
                line = format!("{line:cell$}{label}");
                year = Some(self.unit.year(number));
            }
        }
        line
    }
}
