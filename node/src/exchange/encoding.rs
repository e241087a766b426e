//! Bytes of a file as UTF-8 text.

use super::ImportError;
use encoding_rs::{Decoder, DecoderResult, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::io::{self, Read};

/// How a file writes its characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

/// Bytes that tell UTF-16 without a mark.
const SAMPLE_BYTES: u64 = 4 * 1024;

/// Bytes that are read and decoded at a time.
const CHUNK_BYTES: usize = 32 * 1024;

impl Encoding {
    /// Reads the whole file: UTF-16 where it has that byte order mark or begins so, UTF-8 where all of it is that, else
    /// Windows-1252, which fits always. Other zero bytes are in no text.
    pub(super) fn detect(mut input: impl Read) -> Result<Self, ImportError> {
        let mut start = Vec::new();
        input.by_ref().take(SAMPLE_BYTES).read_to_end(&mut start)?;
        if start.is_empty() {
            return Err(ImportError::Empty);
        }
        if let Some(utf16) = Self::of_byte_order_mark(&start).or_else(|| Self::of_zero_bytes(&start)) {
            let mut text = Utf8Reader::new(start.as_slice().chain(input), utf16);
            io::copy(&mut text, &mut io::sink())?;
            return Ok(utf16);
        }
        Self::detect_bytes(start.as_slice().chain(input))
    }

    /// UTF-16, where `start` has its mark; UTF-8's decides nothing, as what follows may still not be that.
    pub(super) fn of_byte_order_mark(start: &[u8]) -> Option<Self> {
        match start {
            [0xff, 0xfe, ..] => Some(Self::Utf16Le),
            [0xfe, 0xff, ..] => Some(Self::Utf16Be),
            _other => None,
        }
    }

    /// UTF-16 without a mark: of its characters most are ASCII, so that every second byte is zero and no other one.
    fn of_zero_bytes(start: &[u8]) -> Option<Self> {
        let zeros = |offset: usize| start.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
        let are_most = |zeros: usize| 4 * zeros >= start.len();
        match (zeros(0), zeros(1)) {
            (0, odd) if are_most(odd) => Some(Self::Utf16Le),
            (even, 0) if are_most(even) => Some(Self::Utf16Be),
            _neither => None,
        }
    }

    /// Its name, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Windows1252 => "Windows-1252",
        }
    }

    fn detect_bytes(mut input: impl Read) -> Result<Self, ImportError> {
        let mut utf8 = UTF_8.new_decoder_without_bom_handling();
        let mut is_utf8 = true;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut text = vec![0; 3 * CHUNK_BYTES + 16];
        loop {
            let count = input.read(&mut chunk)?;
            if chunk[..count].contains(&0) {
                return Err(ImportError::Binary);
            }
            if is_utf8 {
                let (result, ..) = utf8.decode_to_utf8_without_replacement(&chunk[..count], &mut text, count == 0);
                is_utf8 = result == DecoderResult::InputEmpty;
            }
            if count == 0 {
                return Ok(if is_utf8 { Self::Utf8 } else { Self::Windows1252 });
            }
        }
    }

    fn decoder(self) -> Decoder {
        match self {
            Self::Utf8 => UTF_8.new_decoder_with_bom_removal(),
            Self::Utf16Le => UTF_16LE.new_decoder_with_bom_removal(),
            Self::Utf16Be => UTF_16BE.new_decoder_with_bom_removal(),
            Self::Windows1252 => WINDOWS_1252.new_decoder_without_bom_handling(),
        }
    }
}

/// The first three bytes, or fewer where there are no more.
pub(super) fn read_start(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    input.take(3).read_to_end(&mut start)?;
    Ok(start)
}

/// Gives the bytes of `input` as UTF-8, without a byte order mark.
pub(super) struct Utf8Reader<R> {
    input: R,
    decoder: Decoder,
    /// What was read and not decoded: `chunk[from..to]`.
    chunk: Vec<u8>,
    from: usize,
    to: usize,
    at_end: bool,
    /// Whether the decoder has given all that it has.
    finished: bool,
    /// What was decoded and not taken: `text[taken..decoded]`.
    text: Vec<u8>,
    taken: usize,
    decoded: usize,
}

impl<R: Read> Utf8Reader<R> {
    pub(super) fn new(input: R, encoding: Encoding) -> Self {
        Self {
            input,
            decoder: encoding.decoder(),
            chunk: vec![0; CHUNK_BYTES],
            from: 0,
            to: 0,
            at_end: false,
            finished: false,
            text: vec![0; CHUNK_BYTES],
            taken: 0,
            decoded: 0,
        }
    }

    fn decode_more(&mut self) -> io::Result<()> {
        if self.from == self.to && !self.at_end {
            (self.from, self.to) = (0, self.input.read(&mut self.chunk)?);
            self.at_end = self.to == 0;
        }
        let bytes = &self.chunk[self.from..self.to];
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(bytes, &mut self.text, self.at_end);
        self.from += read;
        (self.taken, self.decoded) = (0, written);
        match result {
            DecoderResult::InputEmpty => self.finished = self.at_end,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => return Err(ImportError::NotUtf16.into()),
        }
        if self.text[..written].contains(&0) { Err(ImportError::Binary.into()) } else { Ok(()) }
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.decoded && !self.finished {
            self.decode_more()?;
        }
        let count = out.len().min(self.decoded - self.taken);
        out[..count].copy_from_slice(&self.text[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, ImportError> {
        let encoding = Encoding::detect(bytes)?;
        let mut text = String::new();
        Utf8Reader::new(bytes, encoding).read_to_string(&mut text)?;
        Ok(text)
    }

    fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes_of).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "Zoë, 東京, مرحبا, 𝄞\r\n".repeat(20_000);
        assert_eq!(read(text.as_bytes()).unwrap(), text);
        assert_eq!(read(format!("\u{feff}{text}").as_bytes()).unwrap(), text);
        assert_eq!(read(&utf16(&text, u16::to_le_bytes)).unwrap(), text);
        assert_eq!(read(&utf16(&text, u16::to_be_bytes)).unwrap(), text);
        let unmarked = |bytes_of| utf16("name;Zoë\r\n東;1\r\n", bytes_of).split_off(2);
        assert_eq!(read(&unmarked(u16::to_le_bytes)).unwrap(), "name;Zoë\r\n東;1\r\n");
        assert_eq!(read(&unmarked(u16::to_be_bytes)).unwrap(), "name;Zoë\r\n東;1\r\n");
    }

    #[test]
    fn what_is_not_utf8_is_windows_1252() {
        assert_eq!(read(b"Zo\xeb \x80 5").unwrap(), "Zoë € 5");
        let late = [vec![b'x'; 100_000], b"\xc3".to_vec()].concat();
        assert!(read(&late).unwrap().ends_with('Ã'));
    }

    #[test]
    fn what_is_no_text_is_an_error() {
        assert!(matches!(read(b""), Err(ImportError::Empty)));
        assert!(matches!(read(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Err(ImportError::Binary)));
        assert!(matches!(read(b"\xff\xfea\0\0\0"), Err(ImportError::Binary)));
        assert!(matches!(read(b"\xff\xfe\0\xd8a\0"), Err(ImportError::NotUtf16)));
        assert!(matches!(read(b"\xff\xfea"), Err(ImportError::NotUtf16)));
    }
}
