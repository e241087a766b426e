//! How the story is told: chapters, what people type, and sentences that are true.

use super::Person;
use crate::cli::{Args, CliError, Console, Exit, on_node};
use clap::Parser;
use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

/// For machines under load: what is waited for takes well under a second.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A word that is longer, as tickets are, is shown by its beginning.
const WORD_CHARACTERS_MAX: usize = 60;
const WORD_CHARACTERS_SHOWN: usize = 24;

pub(super) struct Story<'a> {
    console: &'a mut Console,
    chapter: u32,
}

impl<'a> Story<'a> {
    pub(super) fn new(console: &'a mut Console) -> Self {
        Self { console, chapter: 0 }
    }

    pub(super) fn chapter(&mut self, title: &str) -> Result<(), CliError> {
        self.chapter += 1;
        let title = format!("{}. {title}", self.chapter);
        let title = if self.console.screen.color { format!("\x1b[1m{title}\x1b[0m") } else { title };
        self.console.line(format_args!("\n{title}"))
    }

    /// Shows a command at somebody's node, and does it there.
    pub(super) fn types(&mut self, person: &Person, words: &[&str]) -> Result<(), CliError> {
        self.prompt(person, words)?;
        let args = Args::try_parse_from([&["tandem"], words].concat());
        let args = args.map_err(|error| CliError::Usage(error.to_string()))?;
        match on_node(person.node.clone(), &args, &person.folder, self.console)? {
            Exit::Success => Ok(()),
            other => Err(CliError::Unsound(format!("{} ended with {}", typed(words), other as i32))),
        }
    }

    /// The command alone. What was told before it is seen by now, as by somebody who types.
    pub(super) fn prompt(&mut self, person: &Person, words: &[&str]) -> Result<(), CliError> {
        self.console.flush()?;
        self.console.line(format_args!("{} $ tandem {}", person.name, typed(words)))
    }

    /// What a command printed, or the beginning of it.
    pub(super) fn prints(&mut self, text: &str) -> Result<(), CliError> {
        self.console.line(shortened(text))
    }

    /// A sentence, if it is so.
    pub(super) fn says(&mut self, sentence: &str, is_so: bool) -> Result<(), CliError> {
        if !is_so {
            return Err(CliError::Unsound(format!("the demo's story is not true here: {sentence}")));
        }
        self.console.line(format_args!("» {sentence}"))
    }

    /// Waits until something has come about.
    #[expect(clippy::disallowed_methods, reason = "other threads are waited for")]
    pub(super) fn until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut() -> Result<bool, CliError>,
    ) -> Result<(), CliError> {
        let begin = Instant::now();
        while !is_so()? {
            self.console.go_on()?;
            if begin.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(CliError::Unsound(format!("the demo waited {seconds} s in vain: {what}")));
            }
            thread::park_timeout(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until the clock shows a later time, so that what is written now is the later edit for everybody.
    pub(super) fn a_moment_later(&mut self) -> Result<(), CliError> {
        let before = clock_ms();
        self.until("the clock goes on", || Ok(clock_ms() > before))
    }

    pub(super) fn ending(&mut self) -> Result<(), CliError> {
        self.console.line(
            "
Now with a file of your own (CSV, vCard or iCalendar):
$ tandem workspace new Mine --member \"Your name\"
$ tandem import people.csv
$ tandem lists
$ tandem ls people --sort name --limit 20

and with others: start `tandem node`, then
$ tandem invite --role writer
$ tandem --help

The demo's folder is gone again; your own data stays where `tandem --help` says.",
        )
    }
}

/// Words as one types them into a shell.
fn typed(words: &[&str]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.,:/=".contains(c);
    let word = |word: &&str| match word.chars().all(is_plain) {
        true => shortened(word),
        false => format!("\"{word}\""),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    match text.chars().count() > WORD_CHARACTERS_MAX {
        true => text.chars().take(WORD_CHARACTERS_SHOWN).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// As it stands in events: in milliseconds.
#[expect(clippy::disallowed_methods, reason = "whose edit is the later one is a matter of the clock")]
fn clock_ms() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::{Bars, Screen};

    #[test]
    fn a_sentence_that_is_not_so_ends_the_story() {
        let mut console = Console {
            out: Box::new(std::io::sink()),
            err: Box::new(std::io::sink()),
            input: Box::new(std::io::empty()),
            screen: Screen::PIPE,
            bars: Bars::Nowhere,
            user: None,
            folder: None,
            stop: vec![],
        };
        let mut story = Story::new(&mut console);
        story.says("Bob's number won.", true).unwrap();
        let error = story.says("Ada's number won.", false).unwrap_err();
        assert!(error.exit() != Exit::Success && error.shown().contains("Ada's number won."), "{error}");
    }

    #[test]
    fn commands_are_shown_as_one_types_them() {
        let check = |words: &[&str], expect: &str| assert_eq!(typed(words), expect);
        check(&["ls", "contacts", "--fields", "name,phones"], "ls contacts --fields name,phones");
        check(&["set", "contacts", "1a2b", "phones[1].number=+49 30"], "set contacts 1a2b \"phones[1].number=+49 30\"");
        check(&["join", &"tandem1a".repeat(20), "--name", "Bob"], "join tandem1atandem1atandem1a… --name Bob");
    }
}
