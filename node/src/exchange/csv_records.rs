use super::{
    ImportError, RECORD_BYTES_MAX,
    encoding::{Encoding, Utf8Reader},
};
use csv_core::ReadRecordResult;
use std::io::{BufRead, BufReader, Read, Seek};

/// How a table is written down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) encoding: Encoding,
    pub(super) separator: u8,
    /// The first line names the separator, and is no record.
    pub(super) names_separator: bool,
}

/// The records of a table, the header first: none of them longer than [`RECORD_BYTES_MAX`], each with its line.
pub(super) struct Records<'a, R> {
    input: BufReader<Utf8Reader<&'a mut R>>,
    core: csv_core::Reader,
    separator: u8,
    breaks: Breaks,
    /// Line of the record that was read last, from 1.
    line: u64,
    /// Its fields behind each other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
}

impl<'a, R: Read + Seek> Records<'a, R> {
    pub(super) fn start(input: &'a mut R, layout: Layout) -> Result<Self, ImportError> {
        input.rewind()?;
        let mut records = Self {
            input: BufReader::with_capacity(32 * 1024, Utf8Reader::new(input, layout.encoding)),
            core: csv_core::ReaderBuilder::new().delimiter(layout.separator).build(),
            separator: layout.separator,
            breaks: Breaks::default(),
            line: 0,
            text: vec![0; 1024],
            ends: vec![0; 16],
            fields: 0,
        };
        if layout.names_separator {
            records.skip_line()?;
        }
        Ok(records)
    }
}

impl<R: Read> Records<'_, R> {
    /// Reads the next record; `false` after the last.
    pub(super) fn next(&mut self) -> Result<bool, ImportError> {
        self.skip_blank_lines()?;
        self.line = self.breaks.count + 1;
        let (mut text_bytes, mut fields) = (0, 0);
        loop {
            let bytes = self.input.fill_buf()?;
            let (result, read, written, ended) =
                self.core.read_record(bytes, &mut self.text[text_bytes..], &mut self.ends[fields..]);
            self.breaks.pass(&bytes[..read]);
            self.input.consume(read);
            (text_bytes, fields) = (text_bytes + written, fields + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() >= RECORD_BYTES_MAX => {
                    return Err(ImportError::RecordTooLong { line: self.line });
                }
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= RECORD_BYTES_MAX => {
                    return Err(ImportError::RecordTooLong { line: self.line });
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => {
                    self.fields = fields;
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// The fields of the record that was read last.
    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.fields).map(|field| {
            let start = if field == 0 { 0 } else { self.ends[field - 1] };
            let bytes = &self.text[start..self.ends[field]];
            std::str::from_utf8(bytes).expect("the decoder gives UTF-8, and fields end at ASCII characters")
        })
    }

    /// The line that it begins at, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// It as a line, without the quotes.
    pub(super) fn quote(&self) -> String {
        self.fields().collect::<Vec<_>>().join(&char::from(self.separator).to_string())
    }

    /// Passes over the rest of a short line, but not its break.
    fn skip_line(&mut self) -> Result<(), ImportError> {
        loop {
            let bytes = self.input.fill_buf()?;
            let count = bytes.iter().take_while(|byte| !matches!(byte, b'\r' | b'\n')).count();
            let is_over = count < bytes.len() || bytes.is_empty();
            self.breaks.pass(&bytes[..count]);
            self.input.consume(count);
            if is_over {
                return Ok(());
            }
        }
    }

    fn skip_blank_lines(&mut self) -> Result<(), ImportError> {
        loop {
            let bytes = self.input.fill_buf()?;
            let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let is_over = blank < bytes.len() || bytes.is_empty();
            self.breaks.pass(&bytes[..blank]);
            self.input.consume(blank);
            if is_over {
                return Ok(());
            }
        }
    }
}

/// Line breaks passed so far: LF, CR LF, or CR alone.
#[derive(Default)]
struct Breaks {
    count: u64,
    is_after_cr: bool,
}

impl Breaks {
    fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let is_break = *byte == b'\r' || (*byte == b'\n' && !self.is_after_cr);
            self.count += u64::from(is_break);
            self.is_after_cr = *byte == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        let lines = |text: &str| {
            let mut input = Cursor::new(text);
            let layout = Layout { encoding: Encoding::Utf8, separator: b',', names_separator: false };
            let mut records = Records::start(&mut input, layout).unwrap();
            let mut lines = Vec::new();
            while records.next().unwrap() {
                lines.push((records.line(), records.quote()));
            }
            lines
        };
        let own =
            |expect: &[(u64, &str)]| expect.iter().map(|(line, text)| (*line, (*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(lines("a,b\n1\n\n\"x\ny\",2\n3"), own(&[(1, "a,b"), (2, "1"), (4, "x\ny,2"), (6, "3")]));
        assert_eq!(lines("a\r\n\r\n\"x\r\ny\"\r\n3\r\n"), own(&[(1, "a"), (3, "x\r\ny"), (5, "3")]));
        assert_eq!(lines("a\r\r\"x\ry\"\r3\r"), own(&[(1, "a"), (3, "x\ry"), (5, "3")]));
        assert_eq!(lines(&format!("{}\n1\n", "é,".repeat(40_000))).len(), 2);
    }
}
