//! The text level of vCard: where cards begin and end.

use super::{
    REJECTED_TEXT_BYTES_MAX,
    content_lines::{PhysicalLines, Unfolded, decode, is_line},
};
use std::io::{self, BufRead};

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
    lines: PhysicalLines<R>,
    /// Whether the line that was read last is a BEGIN that no card was made of yet.
    has_begun: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        Self { lines: PhysicalLines::new(input), has_begun: false }
    }

    /// The next piece; nothing at the end. A card without END ends at the next BEGIN, or with the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        let mut stray: Option<(u64, Vec<u8>)> = None;
        while self.has_begun || self.lines.read()? {
            self.has_begun = is_line(&self.lines.bytes, b"BEGIN:VCARD");
            match (self.has_begun, stray.is_some()) {
                (true, true) => break,
                (true, false) => return self.card().map(Some),
                (false, _) if self.lines.bytes.trim_ascii().is_empty() => {}
                (false, _) => {
                    let (_, text) = stray.get_or_insert((self.lines.number, Vec::new()));
                    if text.len() < REJECTED_TEXT_BYTES_MAX {
                        text.extend_from_slice(&self.lines.bytes);
                        text.push(b'\n');
                    }
                }
            }
        }
        Ok(stray.map(|(line, text)| Piece::Stray { line, text: decode(&text).trim_end().to_owned() }))
    }

    /// The card whose BEGIN was read last.
    fn card(&mut self) -> io::Result<Piece> {
        let line = self.lines.number;
        self.has_begun = false;
        let mut unfolded = Unfolded::default();
        while self.lines.read()? && !is_line(&self.lines.bytes, b"END:VCARD") {
            if is_line(&self.lines.bytes, b"BEGIN:VCARD") {
                self.has_begun = true;
                break;
            }
            unfolded.push(&self.lines.bytes);
        }
        unfolded.finish();
        // Some programs fold even the END.
        unfolded.lines.retain(|line| !is_boundary(line));
        if let Some(reason) = unfolded.unfit("card") {
            let text = unfolded.lines.first().map(|line| decode(line)).unwrap_or_default();
            return Ok(Piece::BadCard { line, reason, text });
        }
        Ok(Piece::Card { line, properties: unfolded.lines.iter().map(|line| decode(line)).collect() })
    }
}

/// Whether a line is no property but the beginning or end of a card; some programs even fold those.
pub(super) fn is_boundary(line: &[u8]) -> bool {
    is_line(line, b"BEGIN:VCARD") || is_line(line, b"END:VCARD")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{RECORD_BYTES_MAX, content_lines::PROPERTIES_MAX},
        *,
    };

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
}
