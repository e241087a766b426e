//! The lines of vCard and iCalendar files, and which of them are one property.
//!
//! A property goes on in the next line when that begins with a blank (RFC 6350 §3.2, RFC 5545 §3.1), when a
//! quoted-printable one ends in `=`, or when a Base64 one is followed by nothing but Base64 (both vCard 2.1 §2.1).

use super::RECORD_BYTES_MAX;
use encoding_rs::{Encoding, WINDOWS_1252};
use std::io::{self, BufRead, Read, Write};

/// Properties of one record.
pub(super) const PROPERTIES_MAX: usize = 4_000;

/// Reads physical lines.
pub(super) struct PhysicalLines<R> {
    input: R,
    /// The line that was read last, without its end, and its number.
    pub(super) bytes: Vec<u8>,
    pub(super) number: u64,
    /// Lines of a file that has returns alone between them, the last first.
    more: Vec<Vec<u8>>,
}

impl<R: BufRead> PhysicalLines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, bytes: Vec::new(), number: 0, more: Vec::new() }
    }

    /// Reads the next one. Where returns alone end lines, they do so from the first on. Of a line that is longer than a record may be, only the beginning. Says whether there was one.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        self.number += 1;
        if let Some(line) = self.more.pop() {
            self.bytes = line;
            return Ok(true);
        }
        let limit = RECORD_BYTES_MAX as u64 + 1;
        let count = (&mut self.input).take(limit).read_until(b'\n', &mut self.bytes)?;
        if count as u64 == limit && self.bytes.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
        }
        let whole = self.bytes.trim_ascii_end();
        if self.number == 1 && whole.contains(&b'\r') && (count as u64) < limit {
            self.more = whole.split(|byte| *byte == b'\r').rev().map(<[u8]>::to_vec).collect();
            self.bytes = self.more.pop().unwrap_or_default();
        }
        self.bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        Ok(count > 0)
    }
}

/// Compares without case, blanks around, and a byte order mark before; a folded line never matches.
pub(super) fn is_line(bytes: &[u8], expect: &[u8]) -> bool {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    bytes.trim_ascii_end().eq_ignore_ascii_case(expect)
}

/// The properties of a record, each in one line.
#[derive(Default)]
pub(super) struct Unfolded {
    /// None of them empty. Those beyond the limits are counted and not kept.
    pub(super) lines: Vec<Vec<u8>>,
    /// How the last of them goes on, once its colon was seen.
    transfer: Option<Transfer>,
    /// Bytes and properties in all.
    bytes: usize,
    count: usize,
}

/// How a value is made fit for seven-bit mail.
#[derive(Clone, Copy, PartialEq)]
enum Transfer {
    Plain,
    QuotedPrintable,
    Base64,
}

impl Unfolded {
    /// Takes the next physical line.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.bytes += line.len();
        if self.is_full() {
            return;
        }
        match self.lines.last_mut().and_then(|last| continuation(last, self.transfer, line)) {
            Some((last, more)) => {
                last.extend_from_slice(more);
                self.transfer = self.transfer.or_else(|| transfer_of(more, last));
            }
            None => self.start(line.trim_ascii_start()),
        }
    }

    /// Takes away what is no content: a soft break that nothing follows.
    pub(super) fn finish(&mut self) {
        if let (Some(Transfer::QuotedPrintable), Some(last)) = (self.transfer, self.lines.last_mut()) {
            while last.ends_with(b"=") {
                last.pop();
            }
        }
    }

    /// Takes the first out.
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        let first = (!self.lines.is_empty()).then(|| self.lines.remove(0))?;
        (self.count, self.bytes) = (self.lines.len(), self.lines.iter().map(Vec::len).sum());
        Some(first)
    }

    /// Whether no more is kept.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > RECORD_BYTES_MAX
    }

    /// Why these lines are no record, if they are none.
    pub(super) fn unfit(&self, record: &str) -> Option<String> {
        if self.bytes > RECORD_BYTES_MAX {
            return Some(format!("the {record} has {} bytes, more than {RECORD_BYTES_MAX}", self.bytes));
        }
        if self.count > PROPERTIES_MAX {
            return Some(format!("the {record} has {} properties, more than {PROPERTIES_MAX}", self.count));
        }
        let is_damaged = self.lines.iter().any(|line| line.contains(&0));
        is_damaged.then(|| format!("the {record} has zero bytes, so it is damaged"))
    }

    fn start(&mut self, line: &[u8]) {
        if line.is_empty() {
            // The end of Base64 in vCard 2.1.
            if self.transfer == Some(Transfer::Base64) {
                self.transfer = Some(Transfer::Plain);
            }
            return;
        }
        self.count += 1;
        if self.count <= PROPERTIES_MAX {
            self.lines.push(line.to_vec());
            self.transfer = transfer_of(line, line);
        }
    }
}

/// The line that `next` continues, ready to be added to, and what of `next` belongs to it.
fn continuation<'a, 'b>(
    last: &'a mut Vec<u8>,
    transfer: Option<Transfer>,
    next: &'b [u8],
) -> Option<(&'a mut Vec<u8>, &'b [u8])> {
    match (transfer, next) {
        (Some(Transfer::QuotedPrintable), _) if last.ends_with(b"=") => {
            last.pop();
            Some((last, next))
        }
        (_, [b' ' | b'\t', more @ ..]) => Some((last, more)),
        (Some(Transfer::Base64), [_, ..]) if next.iter().all(is_base64) => Some((last, next)),
        (_, _) => None,
    }
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(byte)
}

/// How the value of `line` is encoded; nothing as long as `new`, its latest bytes, has brought no colon.
fn transfer_of(new: &[u8], line: &[u8]) -> Option<Transfer> {
    new.contains(&b':').then(|| match line.split(|byte| *byte == b':').next() {
        Some(head) if has_parameter(head, &["QUOTED-PRINTABLE"]) => Transfer::QuotedPrintable,
        Some(head) if has_parameter(head, &["BASE64", "B"]) => Transfer::Base64,
        Some(_) | None => Transfer::Plain,
    })
}

/// Whether `ENCODING=` one of these, or one of these alone, is among the parameters in `head`.
fn has_parameter(head: &[u8], values: &[&str]) -> bool {
    head.split(|byte| *byte == b';').skip(1).any(|parameter| {
        let parameter = String::from_utf8_lossy(parameter).to_ascii_uppercase();
        values.iter().any(|value| parameter.trim().trim_start_matches("ENCODING=") == *value)
    })
}

/// Whether the value of this property is in quoted-printable, where a fold would change it.
pub(super) fn is_quoted_printable(property: &str) -> bool {
    transfer_of(property.as_bytes(), property.as_bytes()) == Some(Transfer::QuotedPrintable)
}

/// A property's text: UTF-8, else what its CHARSET says, else Windows-1252. As the text is Unicode from here on,
/// its CHARSET then says so.
pub(super) fn decode(line: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(line) {
        return text.to_owned();
    }
    let head_bytes = line.iter().position(|byte| *byte == b':').unwrap_or(0);
    let head = String::from_utf8_lossy(&line[..head_bytes]).into_owned();
    let label = head.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("CHARSET").then_some(value)
    });
    let encoding = label.and_then(|label| Encoding::for_label(label.trim_matches(['"', ' ']).as_bytes()));
    let (text, _) = encoding.unwrap_or(WINDOWS_1252).decode_without_bom_handling(line);
    match (label, encoding) {
        (Some(label), Some(_)) => text.replacen(&format!("={label}"), "=UTF-8", 1),
        (_, _) => text.into_owned(),
    }
}

/// Writes a line folded at 75 bytes (RFC 6350 §3.2, RFC 5545 §3.1), but for one in quoted-printable, where a fold is none.
pub(super) fn write_line(out: &mut dyn Write, line: &str) -> io::Result<()> {
    const LINE_BYTES: usize = 75;
    if line.as_bytes().iter().take(LINE_BYTES).all(is_base64) {
        // Damaged content, which must not look like the rest of a Base64 value before it.
        write!(out, "\r\n")?;
    }
    let mut rest = line;
    let mut room = if is_quoted_printable(line) { line.len() } else { LINE_BYTES };
    while rest.len() > room {
        let (start, others) = rest.split_at(rest.floor_char_boundary(room));
        write!(out, "{start}\r\n ")?;
        (rest, room) = (others, LINE_BYTES - 1);
    }
    write!(out, "{rest}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_sets() {
        let check = |line: &[u8], expect: &str| assert_eq!(decode(line), expect);
        check("FN:Zoë".as_bytes(), "FN:Zoë");
        check(b"FN:Zo\xeb", "FN:Zoë");
        check(b"FN;CHARSET=windows-1251:\xca\xe8", "FN;CHARSET=UTF-8:Ки");
        check(b"FN;CHARSET=nonsense:\xeb", "FN;CHARSET=nonsense:ë");
        check(
            b"FN;CHARSET=windows-1251;ENCODING=QUOTED-PRINTABLE:=CA",
            "FN;CHARSET=windows-1251;ENCODING=QUOTED-PRINTABLE:=CA",
        );
    }
}
