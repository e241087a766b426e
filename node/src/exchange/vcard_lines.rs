//! The text level of vCard: where cards begin and end, and which lines of a file are one property.
//!
//! A property goes on in the next line when that begins with a blank (RFC 6350 §3.2), when a quoted-printable one
//! ends in `=`, or when a Base64 one is followed by nothing but Base64 (both vCard 2.1 §2.1).

use super::{RECORD_BYTES_MAX, REJECTED_TEXT_BYTES_MAX};
use encoding_rs::{Encoding, WINDOWS_1252};
use std::io::{self, BufRead, Read};

/// Properties of one card.
pub(super) const PROPERTIES_MAX: usize = 4_000;

/// What comes next in a file.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// A card: its properties, each in one line, without BEGIN and END.
    Card { line: u64, properties: Vec<String> },
    /// A card that is not to be had.
    BadCard { line: u64, reason: String, text: String },
    /// Text outside all cards.
    Stray { line: u64, text: String },
}

/// Cuts a file into cards.
pub(super) struct Pieces<R> {
    input: R,
    /// The physical line that was read last, and its number.
    bytes: Vec<u8>,
    line: u64,
    /// Whether that line is a BEGIN that no card was made of yet.
    has_begun: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, bytes: Vec::new(), line: 0, has_begun: false }
    }

    /// The next piece; nothing at the end. A card without END ends at the next BEGIN, or with the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        let mut stray: Option<(u64, Vec<u8>)> = None;
        while self.has_begun || self.read_line()? {
            self.has_begun = is_line(&self.bytes, b"BEGIN:VCARD");
            match (self.has_begun, stray.is_some()) {
                (true, true) => break,
                (true, false) => return self.card().map(Some),
                (false, _) if self.bytes.trim_ascii().is_empty() => {}
                (false, _) => {
                    let (_, text) = stray.get_or_insert((self.line, Vec::new()));
                    if text.len() < REJECTED_TEXT_BYTES_MAX {
                        text.extend_from_slice(&self.bytes);
                        text.push(b'\n');
                    }
                }
            }
        }
        Ok(stray.map(|(line, text)| Piece::Stray { line, text: decode(&text).trim_end().to_owned() }))
    }

    /// The card whose BEGIN was read last.
    fn card(&mut self) -> io::Result<Piece> {
        let line = self.line;
        self.has_begun = false;
        let mut unfolded = Unfolded::default();
        while self.read_line()? && !is_line(&self.bytes, b"END:VCARD") {
            if is_line(&self.bytes, b"BEGIN:VCARD") {
                self.has_begun = true;
                break;
            }
            unfolded.push(&self.bytes);
        }
        unfolded.finish();
        let bad = |reason: String| {
            let text = unfolded.lines.first().map(|line| decode(line)).unwrap_or_default();
            Ok(Piece::BadCard { line, reason, text })
        };
        if unfolded.bytes > RECORD_BYTES_MAX {
            return bad(format!("the card has {} bytes, more than {RECORD_BYTES_MAX}", unfolded.bytes));
        }
        if unfolded.count > PROPERTIES_MAX {
            return bad(format!("the card has {} properties, more than {PROPERTIES_MAX}", unfolded.count));
        }
        if unfolded.lines.iter().any(|line| line.contains(&0)) {
            return bad("the card has zero bytes, so it is damaged".to_owned());
        }
        Ok(Piece::Card { line, properties: unfolded.lines.iter().map(|line| decode(line)).collect() })
    }

    /// Reads a physical line without its end; of one that is longer than a card may be, only the beginning.
    fn read_line(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        self.line += 1;
        let limit = RECORD_BYTES_MAX as u64 + 1;
        let count = (&mut self.input).take(limit).read_until(b'\n', &mut self.bytes)?;
        if count as u64 == limit && self.bytes.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
        }
        self.bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        Ok(count > 0)
    }
}

/// Compares without case, blanks around, and a byte order mark before; a folded line never matches.
fn is_line(bytes: &[u8], expect: &[u8]) -> bool {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    bytes.trim_ascii_end().eq_ignore_ascii_case(expect)
}

/// Whether a line is no property but the beginning or end of a card; some programs even fold those.
pub(super) fn is_boundary(line: &[u8]) -> bool {
    is_line(line, b"BEGIN:VCARD") || is_line(line, b"END:VCARD")
}

/// The properties of a card, each in one line.
#[derive(Default)]
struct Unfolded {
    /// None of them empty. Those beyond the limits are counted and not kept.
    lines: Vec<Vec<u8>>,
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
    fn push(&mut self, line: &[u8]) {
        self.bytes += line.len();
        if self.bytes > RECORD_BYTES_MAX {
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

    /// Takes away what is no content: a soft break that nothing follows, and an END that was folded.
    fn finish(&mut self) {
        if let (Some(Transfer::QuotedPrintable), Some(last)) = (self.transfer, self.lines.last_mut()) {
            while last.ends_with(b"=") {
                last.pop();
            }
        }
        self.lines.retain(|line| !is_boundary(line));
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

pub(super) fn is_base64(byte: &u8) -> bool {
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
fn decode(line: &[u8]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: impl AsRef<[u8]>) -> Vec<Piece> {
        let mut pieces = Pieces::new(text.as_ref());
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    fn card(line: u64, properties: &[&str]) -> Piece {
        Piece::Card { line, properties: properties.iter().map(|text| (*text).to_owned()).collect() }
    }

    #[test]
    fn properties_are_unfolded() {
        let check = |body: &str, expect: &[&str]| {
            assert_eq!(pieces(format!("BEGIN:VCARD\r\n{body}\r\nEND:VCARD\r\n")), [card(1, expect)]);
        };
        check("FN:a\r\n b\r\n\tc\r\n\r\nN:d", &["FN:ab\tc".replace('\t', "").as_str(), "N:d"]);
        check(
            "NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\n b=\r\n=3D\r\nN:d",
            &["NOTE;ENCODING=QUOTED-PRINTABLE:a b=3D", "N:d"],
        );
        check("PHOTO;BASE64:AAAA\r\nBBBB\r\n CC==\r\n\r\nN:d", &["PHOTO;BASE64:AAAABBBBCC==", "N:d"]);
        check("PHOTO;ENC\r\n ODING=b:AAAA\r\nBBBB\r\nN:d", &["PHOTO;ENCODING=b:AAAABBBB", "N:d"]);
        check("FN:a\nEND\n :VCARD", &["FN:a"]);
        check("AGENT:BEGIN:VCARD\n FN:x\n END:VCARD\r\r\nN:d", &["AGENT:BEGIN:VCARDFN:xEND:VCARD", "N:d"]);
    }

    #[test]
    fn cards_and_what_is_between_them() {
        let text = "\u{feff}begin:vcard\nFN:a\nend:vcard\n\nwhat\nis this\nBEGIN:VCARD\nFN:b\nBEGIN:VCARD\nFN:c";
        let stray = Piece::Stray { line: 5, text: "what\nis this".to_owned() };
        assert_eq!(pieces(text), [card(1, &["FN:a"]), stray, card(7, &["FN:b"]), card(9, &["FN:c"])]);
    }

    #[test]
    fn limits() {
        let reason = |body: String| match &pieces(format!("BEGIN:VCARD\n{body}\nEND:VCARD\nBEGIN:VCARD\nFN:z"))[..] {
            [Piece::BadCard { line: 1, reason, .. }, second] if *second == card_at(second, "FN:z") => reason.clone(),
            other => panic!("{other:?}"),
        };
        assert!(reason(format!("NOTE:{}", "x".repeat(3 * RECORD_BYTES_MAX))).contains("bytes"));
        assert!(reason("X:\n".repeat(PROPERTIES_MAX + 1)).contains("4001 properties"));
        assert!(reason("X:\0".to_owned()).contains("damaged"));
    }

    fn card_at(piece: &Piece, property: &str) -> Piece {
        match piece {
            Piece::Card { line, .. } | Piece::BadCard { line, .. } | Piece::Stray { line, .. } => {
                card(*line, &[property])
            }
        }
    }

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
