//! Files of lines in any encoding.

use super::{
    ImportError,
    encoding::{Encoding, Utf8Reader, read_start},
};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

/// A file that [`open`] has looked at.
pub(super) type ByteSource<R> = BufReader<Source<R>>;

/// Looks at the beginning of the file: whether it is text at all.
pub(super) fn open<R: Read>(mut input: R) -> Result<ByteSource<R>, ImportError> {
    let start = read_start(&mut input)?;
    if start.is_empty() {
        return Err(ImportError::Empty);
    }
    let utf16 = Encoding::of_byte_order_mark(&start);
    let whole = Cursor::new(start).chain(input);
    let source = match utf16 {
        Some(utf16) => Source::Utf16(Box::new(Utf8Reader::new(whole, utf16))),
        None => Source::Bytes(whole),
    };
    let mut source = BufReader::with_capacity(32 * 1024, source);
    if source.fill_buf()?.contains(&0) {
        return Err(ImportError::Binary);
    }
    Ok(source)
}

/// The file's bytes, but UTF-16 already as UTF-8: the lines of one file may have other encodings each.
pub(super) enum Source<R> {
    Bytes(Chain<Cursor<Vec<u8>>, R>),
    Utf16(Box<Utf8Reader<Chain<Cursor<Vec<u8>>, R>>>),
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(bytes) => bytes.read(out),
            Self::Utf16(text) => text.read(out),
        }
    }
}
