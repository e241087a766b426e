//! The text level of iCalendar: where calendars and the components in them begin and end.

use super::{
    RECORD_BYTES_MAX, REJECTED_TEXT_BYTES_MAX,
    content_lines::{PROPERTIES_MAX, PhysicalLines, Unfolded, decode},
};
use std::io::{self, BufRead};

/// What comes next in a file.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// A calendar begins.
    Calendar,
    /// Properties of the calendar itself, in one line each: those before the first component, or behind one.
    Properties { line: u64, properties: Vec<String> },
    /// A component: its name, and its lines without its own BEGIN and END.
    Component { line: u64, name: String, lines: Vec<String> },
    /// A component that is not to be had.
    Bad { line: u64, reason: String, text: String },
    /// Text outside all calendars.
    Stray { line: u64, text: String },
}

/// Cuts a file into calendars and their components.
pub(super) struct Pieces<R> {
    lines: Properties<R>,
    /// A line that was read and not looked at.
    pending: Option<Property>,
    is_in_calendar: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        let lines = Properties { lines: PhysicalLines::new(input), unfolded: Unfolded::default(), from: Vec::new() };
        Self { lines, pending: None, is_in_calendar: false }
    }

    /// The next piece; nothing at the end. What has no END ends where that begins which cannot be in it, or with the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        let mut own = Lines::default();
        while let Some(line) = self.read()? {
            let begins = begun(&line.bytes);
            let is_boundary = begins.is_some() || ended(&line.bytes);
            if is_boundary && own.count > 0 {
                self.pending = Some(line);
                break;
            }
            match begins {
                Some(name) if name == CALENDAR => {
                    self.is_in_calendar = true;
                    return Ok(Some(Piece::Calendar));
                }
                Some(name) => return self.component(line.number, name).map(Some),
                None if is_boundary => self.is_in_calendar = false,
                None => own.push(&line),
            }
        }
        let Some(line) = own.from else { return Ok(None) };
        Ok(Some(match (self.is_in_calendar, own.unfit("calendar")) {
            (false, _) => {
                let text = own.lines.join("\n");
                let end = text.floor_char_boundary(REJECTED_TEXT_BYTES_MAX);
                Piece::Stray { line, text: text[..end].to_owned() }
            }
            (true, Some(reason)) => Piece::Bad { line, reason, text: own.lines.swap_remove(0) },
            (true, None) => Piece::Properties { line, properties: own.lines },
        }))
    }

    /// The component that has begun.
    fn component(&mut self, line: u64, name: String) -> io::Result<Piece> {
        let mut own = Lines::default();
        let mut inside: Vec<String> = Vec::new();
        while let Some(property) = self.read()? {
            match begun(&property.bytes) {
                Some(name) if name == CALENDAR => {
                    self.pending = Some(property);
                    break;
                }
                Some(name) => {
                    own.push_boundary("BEGIN", &name);
                    inside.push(name);
                }
                // Whatever it says, the innermost one ends.
                None if ended(&property.bytes) => match inside.pop() {
                    Some(name) => own.push_boundary("END", &name),
                    None => break,
                },
                None => own.push(&property),
            }
        }
        inside.iter().rev().for_each(|name| own.push_boundary("END", name));
        Ok(match own.unfit("component") {
            Some(reason) => Piece::Bad { line, reason, text: format!("BEGIN:{name}") },
            None => Piece::Component { line, name, lines: own.lines },
        })
    }

    fn read(&mut self) -> io::Result<Option<Property>> {
        if let Some(pending) = self.pending.take() { Ok(Some(pending)) } else { self.lines.next() }
    }
}

const CALENDAR: &str = "VCALENDAR";

/// A property in one line, or the beginning or end of a component.
struct Property {
    /// Where it begins in the file.
    number: u64,
    bytes: Vec<u8>,
    /// It goes on beyond what a record may have.
    is_cut: bool,
}

/// Reads properties.
struct Properties<R> {
    lines: PhysicalLines<R>,
    /// The last one, which may go on, and while it is looked at the next.
    unfolded: Unfolded,
    /// Where these begin, and whether more of them was read than a record may have.
    from: Vec<(u64, bool)>,
}

impl<R: BufRead> Properties<R> {
    fn next(&mut self) -> io::Result<Option<Property>> {
        while self.lines.read()? {
            let goes_on = self.lines.bytes.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
            let before = if self.unfolded.is_full() && !goes_on { self.pop() } else { None };
            self.push();
            if before.is_some() {
                return Ok(before);
            }
            if self.unfolded.lines.len() > 1 {
                break;
            }
        }
        if self.unfolded.lines.len() == 1 {
            self.unfolded.finish();
        }
        Ok(self.pop())
    }

    /// Takes the line that was read last.
    fn push(&mut self) {
        // Some programs write more bytes of a zone's name than it has.
        self.lines.bytes.retain(|byte| *byte != 0);
        let is_long = self.lines.bytes.len() > RECORD_BYTES_MAX;
        if is_long {
            self.lines.bytes.truncate(REJECTED_TEXT_BYTES_MAX);
        }
        let before = self.unfolded.lines.len();
        self.unfolded.push(&self.lines.bytes);
        if self.unfolded.lines.len() > before {
            self.from.push((self.lines.number, false));
        }
        if let Some((_, is_cut)) = self.from.last_mut() {
            *is_cut |= is_long || self.unfolded.is_full();
        }
    }

    fn pop(&mut self) -> Option<Property> {
        let bytes = self.unfolded.pop()?;
        let (number, is_cut) = self.from.remove(0);
        Some(Property { number, bytes, is_cut })
    }
}

/// The lines of a piece. Those beyond the limits are counted and not kept.
#[derive(Default)]
struct Lines {
    from: Option<u64>,
    lines: Vec<String>,
    bytes: usize,
    count: usize,
    is_cut: bool,
}

impl Lines {
    fn push(&mut self, property: &Property) {
        self.from.get_or_insert(property.number);
        self.is_cut |= property.is_cut;
        self.push_text(decode(&property.bytes));
    }

    fn push_boundary(&mut self, what: &str, name: &str) {
        self.push_text(format!("{what}:{name}"));
    }

    fn push_text(&mut self, text: String) {
        self.count += 1;
        self.bytes += text.len();
        if self.count <= PROPERTIES_MAX && self.bytes <= RECORD_BYTES_MAX {
            self.lines.push(text);
        }
    }

    /// Why these are no record, if they are none.
    fn unfit(&self, record: &str) -> Option<String> {
        if self.bytes > RECORD_BYTES_MAX || self.is_cut {
            return Some(format!("the {record} has more than {RECORD_BYTES_MAX} bytes"));
        }
        let count = self.count;
        (count > PROPERTIES_MAX).then(|| format!("the {record} has {count} properties, more than {PROPERTIES_MAX}"))
    }
}

/// The component that a line begins.
pub(super) fn begun(line: &[u8]) -> Option<String> {
    const BEGIN: &[u8] = b"BEGIN:";
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line).trim_ascii_end();
    let head = line.get(..BEGIN.len()).filter(|head| head.eq_ignore_ascii_case(BEGIN))?;
    let name = decode(&line[head.len()..]).replace(char::is_control, "");
    let name = name.trim().to_ascii_uppercase();
    (!name.is_empty()).then_some(name)
}

/// Whether a line ends a component.
pub(super) fn ended(line: &[u8]) -> bool {
    const END: &[u8] = b"END:";
    line.get(..END.len()).is_some_and(|head| head.eq_ignore_ascii_case(END))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<Piece> {
        let mut pieces = Pieces::new(text.as_bytes());
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    fn component(line: u64, name: &str, lines: &[&str]) -> Piece {
        Piece::Component { line, name: name.into(), lines: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    fn properties(line: u64, lines: &[&str]) -> Piece {
        Piece::Properties { line, properties: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    #[test]
    fn calendars_and_what_is_in_them() {
        let text = "begin:vcalendar\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nSUMMARY:a\r\n b\r\nBEGIN:VALARM\r\nTRIGGER:x\r\n\
                    END:VALARM\r\nEND:VEVENT\r\nX-LATE:1\r\nEND:VCALENDAR\r\nwhat\r\nis this\r\nBEGIN:VTODO\r\nUID:1";
        let stray = Piece::Stray { line: 12, text: "what\nis this".into() };
        let expect = [
            Piece::Calendar,
            properties(2, &["VERSION:2.0"]),
            component(3, "VEVENT", &["SUMMARY:ab", "BEGIN:VALARM", "TRIGGER:x", "END:VALARM"]),
            properties(10, &["X-LATE:1"]),
            stray,
            component(14, "VTODO", &["UID:1"]),
        ];
        assert_eq!(pieces(text), expect);
    }

    #[test]
    fn what_is_not_ended_ends_all_the_same() {
        let open =
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nBEGIN:VALARM\nX:1\nBEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VEVENT\nEND:VTODO";
        let expect = [
            Piece::Calendar,
            component(2, "VEVENT", &["BEGIN:VALARM", "X:1", "END:VALARM"]),
            Piece::Calendar,
            component(6, "VTODO", &[]),
        ];
        assert_eq!(pieces(open), expect);
    }

    #[test]
    fn limits() {
        let long = format!("BEGIN:VEVENT\n{}END:VEVENT\nBEGIN:VEVENT\nUID:1\nEND:VEVENT", "X:1\n".repeat(4_001));
        let [Piece::Bad { line: 1, reason, .. }, second] = &pieces(&long)[..] else { panic!("another number") };
        assert!(reason.contains("4001 properties"), "{reason}");
        assert_eq!(*second, component(4_004, "VEVENT", &["UID:1"]));
        let long = format!("BEGIN:VEVENT\nX:{}\nEND:VEVENT\nBEGIN:VEVENT\nUID:1", "x".repeat(3 * RECORD_BYTES_MAX));
        let [Piece::Bad { line: 1, reason, .. }, second] = &pieces(&long)[..] else { panic!("another number") };
        assert!(reason.contains("bytes"), "{reason}");
        assert_eq!(*second, component(4, "VEVENT", &["UID:1"]));
    }
}
