//! fjall's journals, read from outside, so that damage is seen before fjall acts on it.
//!
//! Opened on a journal whose end does not parse, fjall cuts that end off, whatever whole batches come behind it; on one
//! in which a batch has a bad checksum it does not open at all, even if a power cut tore that batch before it was
//! synced. Here each journal is first cut behind its last batch of an unbroken sequence. That is where the last sync
//! was, or behind it, unless the disk damaged what it had: whole batches behind a broken one show that it may have.
//! Those are kept aside.
//!
//! The layout is that of fjall's format 3 (`FJL\3`): a batch is a start (tag 1, items u32, number u64), items (tag 2,
//! kind u8, compression u8, keyspace u64, key length u16, value length u32, stored length u32, key, value; or tag 4,
//! keyspace u64), an end (tag 3, XXH3 of the items, `FJL\3`). All little-endian.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_64;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";
const LZ4: u8 = 1;

/// So much of a journal is read at a time; more only where one batch is longer.
const WINDOW_BYTES: usize = 1 << 20;

/// In the names of what is cut off.
pub(super) const CUT: &str = "cut";

/// What [`mend`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// Copies of what was cut off, where it held whole writes.
    pub kept: Vec<PathBuf>,
}

/// Cuts every journal in `tables` behind its last batch of an unbroken sequence. What is cut off and holds whole
/// batches is first copied beside `tables`.
pub(super) fn mend(tables: &Path) -> io::Result<Mended> {
    let mut mended = Mended::default();
    for path in journals(tables)? {
        let mut file = File::open(&path)?;
        let end = sound_end(&mut file)?;
        let Some(rest) = written_from(&mut file, end)? else { continue };
        if next_batch(&rest).is_some() {
            let aside = free_name(tables, CUT);
            fs::write(&aside, rest)?;
            OpenOptions::new().write(true).open(&aside)?.sync_all()?;
            mended.kept.push(aside);
        }
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok(mended)
}

/// `tables.<what>-1` beside `tables`, or the next number that is free.
pub(super) fn free_name(tables: &Path, what: &str) -> PathBuf {
    let name = |n: u32| tables.with_extension(format!("{what}-{n}"));
    (1..).map(name).find(|path| !path.exists()).expect("one is free")
}

/// All `tables.<what>-<n>` beside `tables`.
pub(super) fn names(tables: &Path, what: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(tables.parent().expect("tables are in a directory"))? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.strip_prefix("tables.").is_some_and(|name| name.starts_with(what)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The journals of a database, oldest first.
pub(super) fn journals(tables: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(tables)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number: Option<u64> = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            found.push((number.unwrap_or(u64::MAX), path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Hands out the values of all whole batches in `bytes`, also of those behind broken ones.
pub(super) fn values(mut bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
    while let Some(at) = next_batch(bytes) {
        let batch = batch(&bytes[at..]).expect("a batch begins here");
        for Value { stored, len, compression } in batch.values {
            match compression {
                LZ4 => lz4_flex::decompress(stored, len).iter().for_each(|value| each(value)),
                _ => each(stored),
            }
        }
        bytes = &bytes[at + batch.len..];
    }
}

/// Where the unbroken sequence of whole batches ends.
fn sound_end(file: &mut File) -> io::Result<u64> {
    let (mut window, mut from, mut end) = (Vec::new(), 0, 0);
    loop {
        while let Some(batch) = batch(&window[from..]) {
            from += batch.len;
            end += batch.len as u64;
        }
        // Not a batch, or only the start of one.
        if window.get(from).is_some_and(|first| *first != START) {
            return Ok(end);
        }
        window.drain(..from);
        from = 0;
        let more = window.len().max(WINDOW_BYTES) as u64;
        if file.take(more).read_to_end(&mut window)? == 0 {
            return Ok(end);
        }
    }
}

/// What was written from `end` on; none where there are only zeros. A new journal is 64 MiB of these, all of them a hole.
fn written_from(file: &mut File, end: u64) -> io::Result<Option<Vec<u8>>> {
    let (mut piece, zeros) = (vec![0; WINDOW_BYTES], vec![0; WINDOW_BYTES]);
    let mut at = end;
    loop {
        let Some(data) = next_data(file, at)? else { return Ok(None) };
        file.seek(SeekFrom::Start(data))?;
        let len = file.read(&mut piece)?;
        if len == 0 {
            return Ok(None);
        }
        if piece[..len] != zeros[..len] {
            break;
        }
        at = data + len as u64;
    }
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(end))?;
    file.read_to_end(&mut rest)?;
    let written = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    rest.truncate(written);
    Ok(Some(rest))
}

/// The first place from `at` on that is not in a hole of the file, as far as the system tells; none behind the last.
#[cfg(target_os = "linux")]
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    use rustix::{fs, io::Errno};
    match fs::seek(file, fs::SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn next_data(_: &File, at: u64) -> io::Result<Option<u64>> {
    Ok(Some(at))
}

/// Where the next whole batch begins.
fn next_batch(bytes: &[u8]) -> Option<usize> {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == START).map(|(at, _)| at);
    starts.into_iter().find(|at| batch(&bytes[*at..]).is_some())
}

/// A batch as it is stored.
struct Batch<'a> {
    len: usize,
    values: Vec<Value<'a>>,
}

struct Value<'a> {
    stored: &'a [u8],
    /// Before it was compressed.
    len: usize,
    compression: u8,
}

/// The batch that `bytes` begins with, if it is whole.
fn batch(bytes: &[u8]) -> Option<Batch<'_>> {
    let mut rest = Rest(bytes);
    if rest.u8()? != START {
        return None;
    }
    let items = rest.u32()?;
    rest.take(8)?;
    let from = bytes.len() - rest.0.len();
    let mut values = Vec::new();
    for _ in 0..items {
        match rest.u8()? {
            ITEM => values.push(rest.item()?),
            CLEAR => drop(rest.take(8)?),
            _ => return None,
        }
    }
    let to = bytes.len() - rest.0.len();
    if rest.u8()? != END || rest.u64()? != xxh3_64(&bytes[from..to]) || rest.take(TRAILER.len())? != TRAILER {
        return None;
    }
    Some(Batch { len: bytes.len() - rest.0.len(), values })
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    /// Without the key.
    fn item(&mut self) -> Option<Value<'a>> {
        let (_kind, compression) = (self.u8()?, self.u8()?);
        self.take(8)?;
        let key = u16::from_le_bytes(*self.take(2)?.first_chunk()?);
        let (len, stored) = (self.u32()? as usize, self.u32()? as usize);
        self.take(usize::from(key))?;
        Some(Value { stored: self.take(stored)?, len, compression })
    }
}
