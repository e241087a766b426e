//! The rescue file: a node's own runs once more, in a few segments.
//!
//! `rescue/00000001.runs` and so on. A segment is a sequence of entries: the length of what follows the checksum (u32,
//! little-endian), the checksum, and an [`Entry`]. Who reads stops at the first entry that is not whole.

use super::{SUM_BYTES, sum, sync_folder};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use tandem_wire::{EventRef, WorkspaceId, limits::RUN_BYTES_MAX};

/// A full segment. One may be larger by a group.
const SEGMENT_BYTES: u64 = 4 << 20;

/// About so many bytes of runs are kept; while more is written within one second, more.
pub const RESCUE_BYTES_MAX: u64 = 16 << 20;

/// The longest entry that can be one.
const ENTRY_BYTES_MAX: usize = RUN_BYTES_MAX + 1024;

const FRAME_BYTES: usize = 4 + SUM_BYTES;

/// One of the node's own runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its number in the log.
    pub arrival: u64,
    /// Its last event.
    pub last: EventRef,
    /// Its stored bytes.
    #[serde(with = "serde_bytes")]
    pub run: Vec<u8>,
}

impl Entry {
    /// Appends the entry's bytes to `out`.
    pub fn encode_onto(&self, out: &mut Vec<u8>) {
        let content = postcard::to_allocvec(self).expect("a vector takes all bytes");
        out.extend_from_slice(&(content.len() as u32).to_le_bytes());
        out.extend_from_slice(&sum(&content));
        out.extend_from_slice(&content);
    }
}

/// All whole entries of the rescue file in `dir`, oldest first, and whether something between them was not whole.
///
/// The end of the last segment may be torn by any crash; that is no damage.
pub fn read(dir: &Path) -> io::Result<(Vec<Entry>, bool)> {
    let folder = dir.join("rescue");
    let (mut entries, mut damaged) = (Vec::new(), false);
    let segments = list(&folder)?;
    for (at, (number, _)) in segments.iter().enumerate() {
        let bytes = fs::read(path(&folder, *number))?;
        let whole = parse(&bytes, &mut |entry| entries.push(entry));
        damaged |= whole < bytes.len() && at + 1 < segments.len();
    }
    Ok((entries, damaged))
}

/// The rescue file, for appending.
///
/// Input: [`Segments::append`], after the log has the runs on the disk. Then, now and then and off the path of the
/// writers: [`Segments::take_unsynced`], [`Unsynced::sync`], and once `HEAD` names what the log has,
/// [`Segments::drop_oldest`].
pub struct Segments {
    folder: PathBuf,
    /// Number and bytes, oldest first; the last is written to, if it is open.
    segments: VecDeque<(u64, u64)>,
    open: Option<File>,
    unsynced: Vec<File>,
    /// A segment was made since the files were taken last.
    named: bool,
}

impl Segments {
    /// In `dir`; a segment is made with the first entry.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let folder = dir.join("rescue");
        if !folder.exists() {
            fs::create_dir_all(&folder)?;
            sync_folder(dir)?;
        }
        let segments = list(&folder)?.into();
        Ok(Self { folder, segments, open: None, unsynced: Vec::new(), named: false })
    }

    /// Writes entries, encoded one behind the other. After an error they may be there or not, and the next call begins
    /// a new segment.
    pub fn append(&mut self, entries: &[u8]) -> io::Result<()> {
        let done = self.try_append(entries);
        if done.is_err() {
            self.abandon();
        }
        done
    }

    /// Ends the segment that is written: what it has on the disk is not known.
    pub fn abandon(&mut self) {
        self.open = None;
        if let Some((_, bytes)) = self.segments.back_mut() {
            *bytes = (*bytes).max(SEGMENT_BYTES);
        }
    }

    fn try_append(&mut self, entries: &[u8]) -> io::Result<()> {
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.last_or_new()?,
        };
        file.write_all(entries)?;
        let (_, bytes) = self.segments.back_mut().expect("one is open");
        *bytes += entries.len() as u64;
        if *bytes >= SEGMENT_BYTES {
            self.unsynced.push(file);
        } else {
            self.open = Some(file);
        }
        Ok(())
    }

    /// The last segment, behind its last whole entry, or a new one.
    fn last_or_new(&mut self) -> io::Result<File> {
        if let Some((number, bytes)) = self.segments.back_mut().filter(|(_, bytes)| *bytes < SEGMENT_BYTES) {
            let path = path(&self.folder, *number);
            let whole = parse(&fs::read(&path)?, &mut |_| {}) as u64;
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.set_len(whole)?;
            file.seek(SeekFrom::Start(whole))?;
            *bytes = whole;
            return Ok(file);
        }
        let number = self.segments.back().map_or(1, |(number, _)| number + 1);
        let file = OpenOptions::new().write(true).create_new(true).open(path(&self.folder, number))?;
        self.segments.push_back((number, 0));
        self.named = true;
        Ok(file)
    }

    /// What is not on the disk yet.
    pub fn take_unsynced(&mut self) -> io::Result<Unsynced> {
        let mut files = std::mem::take(&mut self.unsynced);
        let filled = !files.is_empty();
        if let Some(file) = &self.open {
            files.push(file.try_clone()?);
        }
        let folder = std::mem::take(&mut self.named).then(|| self.folder.clone());
        Ok(Unsynced { files, folder, filled })
    }

    /// Removes the oldest segments beyond [`RESCUE_BYTES_MAX`].
    pub fn drop_oldest(&mut self) -> io::Result<()> {
        let mut total: u64 = self.segments.iter().map(|(_, bytes)| bytes).sum();
        while total > RESCUE_BYTES_MAX && self.segments.len() > 1 {
            let (number, bytes) = self.segments[0];
            fs::remove_file(path(&self.folder, number))?;
            self.segments.pop_front();
            total -= bytes;
        }
        Ok(())
    }
}

/// Files to be synced, off the path of the writers.
pub struct Unsynced {
    files: Vec<File>,
    folder: Option<PathBuf>,
    /// A segment was filled: the oldest may go.
    pub filled: bool,
}

impl Unsynced {
    /// Makes them durable.
    pub fn sync(&self) -> io::Result<()> {
        self.files.iter().try_for_each(File::sync_data)?;
        self.folder.as_deref().map_or(Ok(()), sync_folder)
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.runs"))
}

/// Number and length of each segment, oldest first.
fn list(folder: &Path) -> io::Result<Vec<(u64, u64)>> {
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for file in files {
        let file = file?;
        let number = file.file_name().to_str().and_then(|name| name.strip_suffix(".runs")?.parse().ok());
        if let Some(number) = number {
            found.push((number, file.metadata()?.len()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Hands out the whole entries; gives the place behind the last.
fn parse(bytes: &[u8], each: &mut dyn FnMut(Entry)) -> usize {
    let mut at = 0;
    while let Some(entry) = whole_entry(&bytes[at..]) {
        at += entry.0;
        each(entry.1);
    }
    at
}

fn whole_entry(bytes: &[u8]) -> Option<(usize, Entry)> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (expect, rest) = rest.split_first_chunk::<SUM_BYTES>()?;
    let len = u32::from_le_bytes(*len) as usize;
    if len == 0 || len > ENTRY_BYTES_MAX {
        return None;
    }
    let content = rest.get(..len)?;
    if sum(content) != *expect {
        return None;
    }
    Some((FRAME_BYTES + len, postcard::from_bytes(content).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_wire::{ChainId, DeviceKey, EventId};

    fn entry(n: u64, bytes: usize) -> Entry {
        let chain = ChainId { device: DeviceKey([1; 32]), number: 1 };
        let last = EventRef { chain, seq: n, id: EventId([n as u8; 32]) };
        Entry { workspace: WorkspaceId([2; 32]), arrival: n, last, run: vec![n as u8; bytes] }
    }

    fn encoded(entry: &Entry) -> Vec<u8> {
        let mut bytes = Vec::new();
        entry.encode_onto(&mut bytes);
        bytes
    }

    #[test]
    fn a_torn_end_is_cut_and_gone_on_from() {
        let dir = tempfile::tempdir().unwrap();
        let all: Vec<Entry> = (0..4).map(|n| entry(n, 100)).collect();
        let mut segments = Segments::open(dir.path()).unwrap();
        all[..3].iter().for_each(|entry| segments.append(&encoded(entry)).unwrap());
        drop(segments);
        let file = dir.path().join("rescue/00000001.runs");
        let bytes = fs::read(&file).unwrap();
        let two = bytes.len() * 2 / 3;
        for cut in two..bytes.len() {
            fs::write(&file, &bytes[..cut]).unwrap();
            assert_eq!(read(dir.path()).unwrap(), (all[..2].to_vec(), false), "cut at {cut}");
        }
        Segments::open(dir.path()).unwrap().append(&encoded(&all[3])).unwrap();
        let expect = vec![all[0].clone(), all[1].clone(), all[3].clone()];
        assert_eq!(read(dir.path()).unwrap(), (expect, false));
    }

    #[test]
    fn the_oldest_go_when_there_is_more_than_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(dir.path()).unwrap();
        let mut filled = 0;
        for n in 0..300u64 {
            segments.append(&encoded(&entry(n, 120 << 10))).unwrap();
            let unsynced = segments.take_unsynced().unwrap();
            unsynced.sync().unwrap();
            filled += u64::from(unsynced.filled);
            if unsynced.filled {
                segments.drop_oldest().unwrap();
            }
        }
        assert!(filled > 6, "{filled} segments");
        let (kept, damaged) = read(dir.path()).unwrap();
        assert!(!damaged);
        let bytes = kept.len() as u64 * (120 << 10);
        assert!(bytes > RESCUE_BYTES_MAX - 2 * SEGMENT_BYTES && bytes <= RESCUE_BYTES_MAX + SEGMENT_BYTES, "{bytes}");
        assert_eq!(kept.last().map(|entry| entry.arrival), Some(299));
        assert!(kept.windows(2).all(|pair| pair[0].arrival + 1 == pair[1].arrival), "no hole");
    }

    #[test]
    fn damage_inside_is_told_and_the_other_segments_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(dir.path()).unwrap();
        for n in 0..80u64 {
            segments.append(&encoded(&entry(n, 120 << 10))).unwrap();
        }
        let first = dir.path().join("rescue/00000001.runs");
        let mut bytes = fs::read(&first).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(first, bytes).unwrap();
        let (kept, damaged) = read(dir.path()).unwrap();
        assert!(damaged);
        assert_eq!(kept.last().map(|entry| entry.arrival), Some(79));
        assert!(kept.len() > 50 && kept.len() < 75, "{} entries", kept.len());
    }
}
