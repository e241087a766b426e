//! Draws a month as a grid of weeks, or, on a narrow page, as a list of the days that have entries.
//!
//! ```text
//! July 2025
//! Wk Mon      Tue      Wed      Thu      Fri      Sat      Sun
//! ── ──────── ──────── ──────── ──────── ──────── ──────── ────────
//! 27          1        2*       3        4        5        6
//!             Paint    → Paint
//! ```

use jiff::civil::Date;

use super::fit;

/// Something that takes place on one day or on several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its first day.
    pub from: Date,
    /// Its last day; one before `from` counts as `from`.
    pub to: Date,
    /// What it is called.
    pub title: String,
}

const NARROWEST_GRID: usize = 60;
const LINES_PER_DAY: usize = 4;
const WEEK_CELLS: usize = 2;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The month that `month` is a day of, with `today` marked, as lines of at most `width` cells.
pub fn draw(month: Date, entries: &[Entry], width: usize, today: Option<Date>) -> String {
    let name = usize::try_from(month.month() - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
    let head = format!("{name} {}\n", month.year());
    let shown = shown_in(month, entries);
    let body = if width < NARROWEST_GRID {
        list(&shown, fit::page_width(width), today)
    } else {
        grid(month, &shown, fit::page_width(width), today)
    };
    head + &body
}

/// The entries by the day they begin on, as lines of at most `width` cells.
pub fn agenda(entries: &[Entry], width: usize) -> String {
    let shown: Vec<Shown> = entries.iter().map(|entry| Shown { day: entry.from, entry }).collect();
    list(&in_order(shown), fit::page_width(width), None)
}

/// An entry with the first day it is shown on.
struct Shown<'a> {
    day: Date,
    entry: &'a Entry,
}

impl Shown<'_> {
    fn last(&self) -> Date {
        self.entry.to.max(self.entry.from)
    }

    fn title_on(&self, day: Date) -> String {
        let continued = if day > self.entry.from { "→ " } else { "" };
        format!("{continued}{}", fit::label(&self.entry.title))
    }
}

fn in_order(mut shown: Vec<Shown>) -> Vec<Shown> {
    shown.sort_by_key(|shown| (shown.day, shown.entry.from));
    shown
}

fn shown_in(month: Date, entries: &[Entry]) -> Vec<Shown<'_>> {
    let (first, last) = (month.first_of_month(), month.last_of_month());
    let shown = entries.iter().map(|entry| Shown { day: entry.from.max(first), entry });
    in_order(shown.filter(|shown| shown.day <= last && shown.last() >= first).collect())
}

fn list(shown: &[Shown], width: usize, today: Option<Date>) -> String {
    if shown.is_empty() {
        return fit::page(["(no entries)"]);
    }
    let mut lines = Vec::new();
    for same_day in shown.chunk_by(|a, b| a.day == b.day) {
        let day = same_day[0].day;
        let mark = if today == Some(day) { " *" } else { "" };
        lines.push(format!("{day} {}{mark}", weekday(day)));
        lines.extend(same_day.iter().map(|shown| list_line(shown, width)));
    }
    fit::page(lines)
}

fn list_line(shown: &Shown, width: usize) -> String {
    let until = if shown.last() > shown.day { format!(" → {}", shown.last()) } else { String::new() };
    let title = fit::shorten(&shown.title_on(shown.day), width.saturating_sub(2 + fit::width(&until)));
    format!("  {title}{until}")
}

fn weekday(day: Date) -> &'static str {
    usize::try_from(day.weekday().to_monday_zero_offset()).ok().and_then(|day| WEEKDAYS.get(day)).unwrap_or(&"")
}

/// What a day of the grid has: the entries shown below its number, and how many there are in all.
#[derive(Clone, Default)]
struct Day<'a> {
    shown: Vec<&'a Shown<'a>>,
    count: usize,
}

fn grid(month: Date, shown: &[Shown], width: usize, today: Option<Date>) -> String {
    let cells = (width - WEEK_CELLS) / WEEKDAYS.len() - 1;
    let dates: Vec<Date> = month.first_of_month().series(jiff::Span::new().days(1)).take(days_in(month)).collect();
    let days = days_of(&dates, shown);
    let columns: Vec<Vec<String>> =
        dates.iter().zip(&days).map(|(date, day)| day_lines(*date, day, cells, today)).collect();
    let mut lines = vec![row("Wk", WEEKDAYS, cells)];
    let mut start = 0;
    while start < dates.len() {
        let offset = usize::from(dates[start].weekday().to_monday_zero_offset().unsigned_abs());
        let end = (start + WEEKDAYS.len() - offset).min(dates.len());
        lines.push(row("──", WEEKDAYS.map(|_| "─".repeat(cells)), cells));
        let number = format!("{:>2}", dates[start].iso_week_date().week());
        lines.extend(week_lines(&number, offset, &columns[start..end], cells));
        start = end;
    }
    fit::page(lines)
}

fn days_in(month: Date) -> usize {
    month.days_in_month().unsigned_abs().into()
}

fn days_of<'a>(dates: &[Date], shown: &'a [Shown<'a>]) -> Vec<Day<'a>> {
    let mut days = vec![Day::default(); dates.len()];
    for shown in shown {
        let first = usize::from(shown.day.day().unsigned_abs()) - 1;
        for (date, day) in dates.iter().zip(&mut days).skip(first).take_while(|(date, _)| **date <= shown.last()) {
            debug_assert!(*date >= shown.day);
            day.count += 1;
            if day.shown.len() < LINES_PER_DAY {
                day.shown.push(shown);
            }
        }
    }
    days
}

fn day_lines(date: Date, day: &Day, cells: usize, today: Option<Date>) -> Vec<String> {
    let mark = if today == Some(date) { "*" } else { "" };
    let taken = if day.count > LINES_PER_DAY { LINES_PER_DAY - 1 } else { day.count };
    let mut lines = vec![format!("{}{mark}", date.day())];
    lines.extend(day.shown.iter().take(taken).map(|shown| fit::shorten(&shown.title_on(date), cells)));
    if day.count > taken {
        lines.push(fit::shorten(&format!("+{} more", day.count - taken), cells));
    }
    lines
}

fn week_lines(number: &str, offset: usize, days: &[Vec<String>], cells: usize) -> Vec<String> {
    let height = days.iter().map(Vec::len).max().unwrap_or(0);
    let texts = |line: usize| days.iter().map(move |day| day.get(line).map_or("", String::as_str));
    (0..height)
        .map(|line| {
            let before = std::iter::repeat_n("", offset);
            row(if line == 0 { number } else { "" }, before.chain(texts(line)), cells)
        })
        .collect()
}

fn row<S: AsRef<str>>(week: &str, texts: impl IntoIterator<Item = S>, cells: usize) -> String {
    texts.into_iter().fold(fit::pad(week, WEEK_CELLS), |row, text| row + " " + &fit::pad(text.as_ref(), cells))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::super::fit::tests::{assert_page, title};
    use super::*;

    fn entry(from: Date, to: Date, title: &str) -> Entry {
        Entry { from, to, title: title.into() }
    }

    fn entries() -> Vec<Entry> {
        let day = date(2025, 7, 9);
        let mut entries = vec![
            entry(date(2025, 6, 20), date(2025, 7, 1), "Camp"),
            entry(date(2025, 7, 4), date(2025, 7, 7), "Paint"),
            entry(date(2025, 7, 31), date(2025, 8, 2), "Sail"),
        ];
        entries.extend(["Ada", "Bob", "Cy", "Di", "Eve"].map(|name| entry(day, day, name)));
        entries
    }

    #[test]
    fn a_month_is_a_grid_of_weeks() {
        let expected = "\
July 2025
Wk Mon     Tue     Wed     Thu     Fri     Sat     Sun
── ─────── ─────── ─────── ─────── ─────── ─────── ───────
27         1       2*      3       4       5       6
           → Camp                  Paint   → Paint → Paint
── ─────── ─────── ─────── ─────── ─────── ─────── ───────
28 7       8       9       10      11      12      13
   → Paint         Ada
                   Bob
                   Cy
                   +2 more
── ─────── ─────── ─────── ─────── ─────── ─────── ───────
29 14      15      16      17      18      19      20
── ─────── ─────── ─────── ─────── ─────── ─────── ───────
30 21      22      23      24      25      26      27
── ─────── ─────── ─────── ─────── ─────── ─────── ───────
31 28      29      30      31
                           Sail
";
        assert_eq!(draw(date(2025, 7, 15), &entries(), 60, Some(date(2025, 7, 2))), expected);
    }

    #[test]
    fn a_narrow_month_is_a_list() {
        let expected = "\
July 2025
2025-07-01 Tue
  → Camp
2025-07-04 Fri *
  Paint → 2025-07-07
2025-07-09 Wed
  Ada
  Bob
  Cy
  Di
  Eve
2025-07-31 Thu
  Sail → 2025-08-02
";
        assert_eq!(draw(date(2025, 7, 15), &entries(), 40, Some(date(2025, 7, 4))), expected);
        assert_eq!(draw(date(2025, 9, 1), &entries(), 40, None), "September 2025\n(no entries)\n");
    }

    #[test]
    fn an_agenda_is_in_order_of_days() {
        let entries = [
            entry(date(2025, 7, 4), date(2025, 7, 1), "Ends before it begins"),
            entry(date(-44, 3, 15), date(9999, 12, 31), "Idus"),
        ];
        assert_eq!(
            agenda(&entries, 24),
            "-000044-03-15 Thu\n  Idus → 9999-12-31\n2025-07-04 Fri\n  Ends before it begins\n"
        );
    }

    #[test]
    fn the_ends_of_time_are_drawn() {
        for day in [Date::MIN, Date::MAX] {
            assert_page(&draw(day, &[entry(Date::MIN, Date::MAX, "Ever")], 80, Some(day)), 80);
        }
    }

    #[test]
    fn a_hundred_thousand_entries_are_drawn() {
        let many = vec![entry(Date::MIN, Date::MAX, "Ever"); 100_000];
        assert!(draw(date(2025, 7, 1), &many, 100, None).contains("+99997 more"));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_page(
            entries in prop::collection::vec((-20i32..60, -5i32..40, title()), 0..40),
            width in 0usize..=500,
            (year, month) in (-9999i16..=9999, 1i8..=12),
            today in prop::option::of(1i8..=28),
        ) {
            let month = date(year, month, 1);
            let shift = |days: i32| month.saturating_add(jiff::Span::new().days(days));
            let entry = |(from, days, title)| Entry { from: shift(from), to: shift(from + days), title };
            let entries: Vec<Entry> = entries.into_iter().map(entry).collect();
            assert_page(&draw(month, &entries, width, today.map(|day| date(month.year(), month.month(), day))), width);
            assert_page(&agenda(&entries, width), width);
        }
    }
}
