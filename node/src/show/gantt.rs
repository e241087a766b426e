//! Draws a schedule: tasks below each other, each with a bar on a scale of days, weeks, months, quarters or years.
//!
//! ```text
//! day         2025-07-01  07-07         07-14
//! Build       ███████████│████
//! Paint !                │██████████████████
//! Move in                │                     ◆
//!
//! ! Paint begins before Build ends
//! ```

mod notes;
mod scale;

use jiff::civil::Date;

use super::fit;
use scale::Scale;

/// A task of the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What it is called.
    pub title: String,
    /// Its first day.
    pub from: Option<Date>,
    /// Its last day.
    pub to: Option<Date>,
    /// The tasks it depends on, by their index in the schedule.
    pub after: Vec<usize>,
}

impl Task {
    /// Its first and its last day, in this order even if the dates are not.
    fn span(&self) -> Option<(Date, Date)> {
        let from = self.from.or(self.to)?;
        let to = self.to.unwrap_or(from);
        Some((from.min(to), from.max(to)))
    }

    fn is_moment(&self) -> bool {
        self.from.is_some() != self.to.is_some()
    }
}

const NO_DATES: &str = "(no dates)";
const BROKEN: &str = " !";
const NARROWEST_TITLES: usize = 6;

/// The schedule of `tasks`, with a line for `today` if it lies within, as lines of at most `width` cells.
pub fn draw(tasks: &[Task], width: usize, today: Option<Date>) -> String {
    if tasks.is_empty() {
        return fit::page(["(no tasks)"]);
    }
    let width = fit::page_width(width);
    let titles = title_cells(tasks, width);
    let scale = Scale::of(tasks.iter().filter_map(Task::span), width - titles - 1);
    let chart =
        Chart { titles, today: scale.as_ref().zip(today).and_then(|(scale, today)| scale.middle(today)), scale };
    let head = chart.scale.as_ref().map(|scale| chart.line(&scale.name(), &scale.labels()));
    let rows = tasks.iter().enumerate().map(|(index, task)| chart.row(task, notes::is_broken(tasks, index)));
    fit::page(head.into_iter().chain(rows).chain(notes::lines(tasks, width)))
}

/// The cells of the column of titles with the marks behind them: a third of the page, or less if no title needs it.
fn title_cells(tasks: &[Task], width: usize) -> usize {
    let most = (width / 3).max(NARROWEST_TITLES + BROKEN.len()) - BROKEN.len();
    let needed = tasks.iter().map(|task| fit::width(&fit::shorten(&fit::label(&task.title), most))).max();
    needed.unwrap_or(0).clamp(NARROWEST_TITLES, most) + BROKEN.len()
}

struct Chart {
    titles: usize,
    scale: Option<Scale>,
    today: Option<usize>,
}

impl Chart {
    fn row(&self, task: &Task, is_broken: bool) -> String {
        let title = fit::shorten(&fit::label(&task.title), self.titles - BROKEN.len());
        let title = if is_broken { title + BROKEN } else { title };
        match self.scale.as_ref().zip(task.span()) {
            Some((scale, span)) => self.line(&title, &self.bar(scale, span, task.is_moment())),
            None => self.line(&title, NO_DATES),
        }
    }

    fn line(&self, title: &str, chart: &str) -> String {
        format!("{} {chart}", fit::pad(title, self.titles))
    }

    /// The line for today runs through a bar, but does not hide one that is a single cell or a moment.
    fn bar(&self, scale: &Scale, (from, to): (Date, Date), is_moment: bool) -> String {
        let bar = if is_moment { scale.middle(from).map(|cell| cell..cell + 1) } else { scale.cells(from, to) };
        let bar = bar.unwrap_or_default();
        let is_today = |cell| self.today == Some(cell);
        (0..scale.width())
            .map(|cell| match bar.contains(&cell) {
                true if is_moment => '◆',
                true if bar.len() == 1 || !is_today(cell) => '█',
                _ if is_today(cell) => '│',
                _ => ' ',
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::super::fit::tests::{assert_page, title};
    use super::*;

    fn task(title: &str, from: Option<Date>, to: Option<Date>, after: &[usize]) -> Task {
        Task { title: title.into(), from, to, after: after.to_vec() }
    }

    fn july(day: i8) -> Option<Date> {
        Some(date(2025, 7, day))
    }

    fn house() -> Vec<Task> {
        vec![
            task("Build", july(1), july(8), &[]),
            task("Paint", july(7), july(15), &[0]),
            task("Move in", july(17), None, &[0, 1]),
            task("Celebrate", None, None, &[2]),
        ]
    }

    #[test]
    fn tasks_are_bars_on_a_scale_of_days() {
        let expected = "\
day         2025-07-01  07-07         07-14
Build       ███████████│████
Paint !                │██████████████████
Move in                │                     ◆
Celebrate   (no dates)

! Paint begins before Build ends
";
        assert_eq!(draw(&house(), 50, july(6)), expected);
    }

    #[test]
    fn a_long_schedule_is_on_a_coarser_scale() {
        let from = date(2025, 2, 3);
        let scale_to = |to| {
            let page = draw(&[task("Build", Some(from), Some(to), &[])], 40, None);
            page.lines().next().map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(scale_to(date(2025, 5, 6)), "week     2025-02-03  03-17 04-07 04-28");
        assert_eq!(scale_to(date(2026, 5, 6)), "month    2025-02 Oct 2026-02");
        assert_eq!(scale_to(date(2031, 5, 6)), "quarter  2025    2027    2029    2031");
        assert_eq!(scale_to(date(2050, 5, 6)), "year     2025 2030 2035 2040 2045 2050");
        assert_eq!(scale_to(date(9025, 5, 6)), "500 y    2000  3500  5000  6500  8000");
    }

    #[test]
    fn what_cannot_be_is_noted() {
        let tasks = [
            task("Egg", july(1), july(1), &[1, 1, 9]),
            task("Hen", july(3), july(2), &[0]),
            task("Self", None, None, &[2, 2, 3, usize::MAX]),
            task("Loop", None, None, &[3]),
        ];
        let expected = "\
day      2025-07-01
Egg !    ██
Hen        ████
Self     (no dates)
Loop     (no dates)

! Egg begins before Hen ends
! Egg depends on task 9, which is missing
! Hen ends on 2025-07-02, before it begins on 2025-07-03
! Self depends on task 18446744073709551615, which is
  missing
! Egg waits for itself: Egg after Hen after Egg
! Self waits for itself
! Loop waits for itself
";
        assert_eq!(draw(&tasks, 60, None), expected);
    }

    #[test]
    fn without_any_dates_there_is_no_scale() {
        assert_eq!(draw(&[task("Think", None, None, &[])], 20, july(1)), "Think    (no dates)\n");
        assert_eq!(draw(&[], 20, None), "(no tasks)\n");
    }

    #[test]
    fn a_circle_of_a_hundred_thousand_tasks_is_drawn() {
        let tasks: Vec<Task> = (0..100_000)
            .map(|index| task("Step", Some(Date::MIN), Some(Date::MAX), &[(index + 1) % 100_000, 0, 1, 2]))
            .collect();
        assert!(draw(&tasks, 60, None).contains("and so on, 100000 tasks"));
    }

    fn any_date() -> impl Strategy<Value = Option<Date>> {
        let any_year = (-9999i16..=9999, 1i8..=12, 1i8..=28);
        let near = (2024i16..=2026, 1i8..=12, 1i8..=28);
        let ends = prop::sample::select(vec![Date::MIN, Date::MAX]);
        let date_of = |(year, month, day)| date(year, month, day);
        prop::option::of(prop_oneof![1 => any_year.prop_map(date_of), 8 => near.prop_map(date_of), 1 => ends])
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_page(
            tasks in prop::collection::vec(
                (title(), any_date(), any_date(), prop::collection::vec(0usize..12, 0..4)), 0..10),
            width in 0usize..=500,
            today in any_date(),
        ) {
            let task = |(title, from, to, after)| Task { title, from, to, after };
            let tasks: Vec<Task> = tasks.into_iter().map(task).collect();
            assert_page(&draw(&tasks, width, today), width);
        }
    }
}
