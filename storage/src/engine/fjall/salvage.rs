//! What can still be read of tables that do not open: every run, wherever it is.
//!
//! A run is its own proof, so nothing but its bytes is needed: not the key, the file that names the file, nor their
//! order. Journals are read batch by batch, and table files block by block; each has a checksum.
//!
//! A block of fjall's table files is `LSM\3`, a kind (u8), the XXH3-128 of what is stored (u128), its length and its
//! length before compression (u32 each), a sum of these (u32), and what is stored. All little-endian.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tandem_wire::{Run, limits::RUN_BYTES_MAX};
use xxhash_rust::xxh3::xxh3_128;

use super::journal;

const BLOCK: &[u8] = b"LSM\x03";
const HEADER_BYTES: usize = 4 + 1 + 16 + 4 + 4 + 4;

/// A block that holds one largest run and a key or two, by far.
const BLOCK_BYTES_MAX: usize = 8 << 20;

/// Hands out every run with a good signature in the tables at `tables`, some of them more than once. Files that the
/// operating system does not let read are passed over, and counted.
pub fn runs(tables: &Path, each: &mut dyn FnMut(&[u8], Run)) -> io::Result<u64> {
    let mut unreadable = 0;
    let mut files = journal::journals(tables)?;
    let journals = files.len();
    table_files(&tables.join("keyspaces"), &mut files)?;
    for (at, path) in files.iter().enumerate() {
        let Ok(bytes) = fs::read(path) else {
            unreadable += 1;
            continue;
        };
        let mut try_run = |bytes: &[u8]| {
            if let Ok(run) = Run::decode(bytes) {
                each(bytes, run);
            }
        };
        match at < journals {
            true => journal::values(&bytes, &mut |value| try_run(value)),
            false => blocks(&bytes, &mut |block| embedded(block, &mut try_run)),
        }
    }
    Ok(unreadable)
}

/// All files below `folder`.
fn table_files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true => table_files(&path, found)?,
            false => found.push(path),
        }
    }
    Ok(())
}

/// Hands out the whole blocks.
fn blocks(mut bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
    while let Some(at) = find(bytes, BLOCK) {
        bytes = &bytes[at..];
        let len = block(bytes, each).unwrap_or(BLOCK.len());
        bytes = &bytes[len..];
    }
}

fn block(bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Option<usize> {
    let header = bytes.get(..HEADER_BYTES)?;
    let (_, sum) = header.split_first_chunk::<5>()?;
    let (sum, lengths) = sum.split_first_chunk::<16>()?;
    let length = |at: usize| Some(u32::from_le_bytes(*lengths.get(at..)?.first_chunk()?) as usize);
    let (stored, len) = (length(0)?, length(4)?);
    let content = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(stored)?)?;
    if len > BLOCK_BYTES_MAX || xxh3_128(content) != u128::from_le_bytes(*sum) {
        return None;
    }
    match stored == len {
        true => each(content),
        false => lz4_flex::decompress(content, len).iter().for_each(|content| each(content)),
    }
    Some(HEADER_BYTES + stored)
}

/// Hands out whatever lies within `block` and may be a run by its frame.
fn embedded(block: &[u8], each: &mut dyn FnMut(&[u8])) {
    let mut rest = block;
    while let Some(at) = find(rest, &[1, 1]) {
        rest = &rest[at..];
        let framed = || {
            let len = u32::from_le_bytes(*rest.get(2..)?.first_chunk()?) as usize;
            rest.get(..6usize.checked_add(len)?).filter(|bytes| bytes.len() <= RUN_BYTES_MAX)
        };
        framed().into_iter().for_each(&mut *each);
        rest = &rest[1..];
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
