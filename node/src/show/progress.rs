//! How far a long piece of work is, for whoever waits at a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

/// Where bars are drawn.
pub enum Bars {
    /// Nowhere: nobody looks.
    Nowhere,
    /// On the standard error of this process.
    Stderr,
    /// On a terminal that another process has.
    Elsewhere(Elsewhere),
}

impl Bars {
    /// On standard error, if that is a terminal.
    pub fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Stderr } else { Self::Nowhere }
    }

    /// Columns of the terminal, if this process has one.
    pub fn width(&self) -> Option<u16> {
        match self {
            Self::Nowhere | Self::Elsewhere(_) => None,
            Self::Stderr => Some(console::Term::stderr().size().1),
        }
    }

    fn target(&self) -> Option<ProgressDrawTarget> {
        match self {
            Self::Nowhere => None,
            Self::Stderr => Some(ProgressDrawTarget::stderr()),
            Self::Elsewhere(terminal) => Some(ProgressDrawTarget::term_like(terminal())),
        }
    }
}

/// Makes the terminal that is elsewhere, for each bar anew.
type Elsewhere = Box<dyn Fn() -> Box<dyn TermLike>>;

/// A bar: rows done, rows in all, rows a second.
///
/// It appears only after a second of work and only on a terminal, so that quick commands, scripts and logs
/// see nothing of it, and it is gone when the value is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Where the bar will appear; taken when it does.
    target: Option<ProgressDrawTarget>,
}

/// Work that takes less than this shows no bar.
const QUIET: Duration = Duration::from_secs(1);

impl Progress {
    /// Work on `total` rows (none when unknown), of which `what` says what is done with them.
    pub fn new(bars: &Bars, what: &'static str, total: Option<u64>) -> Self {
        Self::on(bars.target(), what, total)
    }

    fn on(target: Option<ProgressDrawTarget>, what: &'static str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_message(what);
        bar.set_style(style(total.is_some()));
        Self { bar, target }
    }

    /// `rows` more rows are done.
    pub fn advance(&mut self, rows: u64) {
        self.bar.inc(rows);
        if self.bar.elapsed() >= QUIET
            && let Some(target) = self.target.take()
        {
            self.bar.set_draw_target(target);
            self.bar.tick();
        }
    }

    /// Rows that are done so far.
    pub fn done(&self) -> u64 {
        self.bar.position()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(total_is_known: bool) -> ProgressStyle {
    let template = if total_is_known {
        "{msg} {wide_bar} {human_pos}/{human_len} rows, {rate}"
    } else {
        "{msg} {spinner} {human_pos} rows, {rate}"
    };
    let style = ProgressStyle::with_template(template).expect("a constant template");
    style.with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{:.0} rows/s", state.per_sec());
    })
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    /// What the terminal shows after `rows` of `total` rows and `elapsed` time of work, then after the end.
    fn shown(total: Option<u64>, rows: u64, elapsed: Duration) -> (String, String) {
        let term = InMemoryTerm::new(4, 60);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let mut progress = Progress::on(Some(target), "importing", total);
        progress.bar.set_elapsed(elapsed);
        progress.advance(rows);
        assert_eq!(progress.done(), rows);
        let during = term.contents();
        drop(progress);
        (during, term.contents())
    }

    #[test]
    fn quick_work_shows_nothing() {
        assert_eq!(shown(Some(10), 9, Duration::ZERO), (String::new(), String::new()));
    }

    #[test]
    fn slow_work_shows_rows_total_and_rate_until_it_ends() {
        let (during, after) = shown(Some(234_908), 1_200, Duration::from_secs(2));
        assert!(during.starts_with("importing ") && during.contains("1,200/234,908 rows, "), "{during}");
        assert!(during.ends_with(" rows/s"), "{during}");
        assert_eq!(after, "");
    }

    #[test]
    fn an_unknown_total_shows_rows_and_rate() {
        let (during, _) = shown(None, 1_200, Duration::from_secs(2));
        assert!(during.contains(" 1,200 rows, ") && during.ends_with(" rows/s"), "{during}");
    }

    #[test]
    fn without_a_terminal_nothing_is_drawn() {
        let mut progress = Progress::on(None, "importing", Some(10));
        progress.bar.set_elapsed(Duration::from_secs(5));
        progress.advance(3);
        assert!(progress.bar.is_hidden());
        assert_eq!(progress.done(), 3);
    }
}
