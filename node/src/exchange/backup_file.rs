//! A workspace's log in files, for keeping and for carrying to another machine.
//!
//! A first line, `tandem backup 2`; then blocks, each a length of four bytes (big-endian) and so many bytes: one that
//! says what is in the file, one for each run, in the order of the log and to the byte as it is stored, and an empty
//! one. At the end stand the number of runs (eight bytes), the BLAKE3 of the last run, and the BLAKE3 of everything
//! before it. So a file that was cut or changed is told from a whole one before anything is done with it, and each run is
//! signed besides.
//!
//! A file may go on from another one: then it names that file's BLAKE3, and has the runs behind its last one.

use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use tandem_actors::authority::Policy;
use tandem_wire::{BadRun, DeviceKey, Run, WorkspaceId, limits::RUN_BYTES_MAX};

const FIRST_LINE: &[u8] = b"tandem backup 2\n";

/// Bytes of the block that says what is in the file: a policy may be long.
const ABOUT_BYTES_MAX: usize = 1024 * 1024;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// What it was called.
    pub name: String,
    /// Whose copy it is.
    pub device: DeviceKey,
    /// When it was written, in milliseconds since 1970.
    pub wall_ms: u64,
    /// What it goes on from.
    pub before: Option<End>,
    /// By what the node judged, if it had rules or settings for that.
    pub policy: Option<Policy>,
}

/// The end of a backup: where the next one goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Runs up to here, in all files from the first one on.
    pub runs: u64,
    /// The BLAKE3 of the last of them.
    pub last: [u8; 32],
    /// The checksum of the file.
    pub file: [u8; 32],
}

/// Why a file is no backup that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BadBackup {
    /// Something else.
    #[error("the file is no backup made by `tandem backup`; check its name")]
    NotABackup,
    /// A later version's.
    #[error("the backup was made by a newer version; update to restore it")]
    Newer,
    /// It ends early.
    #[error("the backup is cut off after {runs} runs; copy it again, or use an older one")]
    CutOff {
        /// Whole runs in it.
        runs: u64,
    },
    /// Its checksum is wrong, or what it says of itself.
    #[error("the backup is damaged: {0}; copy it again, or use an older one")]
    Damaged(&'static str),
    /// A part of a series is gone.
    #[error("the file is missing, and those behind it go on from it; copy it back, or use one before it")]
    Missing,
    /// It goes on from a file, and was given without it or behind another one.
    #[error("the file goes on from another one, which is not there or was changed; copy all of them again")]
    OutOfOrder,
    /// A run that is none.
    #[error("run {index} of the backup is damaged: {why}; copy it again, or use an older one")]
    Run {
        /// Which, from 0.
        index: u64,
        /// Why.
        why: BadRun,
    },
    /// It cannot be read or written.
    #[error("{0}")]
    Io(io::Error),
}

impl From<io::Error> for BadBackup {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes a backup.
pub struct BackupWriter<W> {
    out: W,
    hasher: blake3::Hasher,
    before: u64,
    runs: u64,
    last: [u8; 32],
}

impl<W: Write> BackupWriter<W> {
    /// Begins the file.
    pub fn new(out: W, about: &About) -> io::Result<Self> {
        let (before, last) = about.before.map_or((0, [0; 32]), |end| (end.runs, end.last));
        let block = postcard::to_allocvec(about).expect("a vector takes all bytes");
        if block.len() > ABOUT_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the server's rules are too long for a backup"));
        }
        let mut writer = Self { out, hasher: blake3::Hasher::new(), before, runs: 0, last };
        writer.write(FIRST_LINE)?;
        writer.block(&block)?;
        Ok(writer)
    }

    /// Adds the stored bytes of the next run.
    pub fn run(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.runs += 1;
        self.last = hash_of(bytes);
        self.block(bytes)
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<End> {
        self.block(&[])?;
        self.write(&self.runs.to_be_bytes())?;
        self.write(&self.last.clone())?;
        let file = *self.hasher.finalize().as_bytes();
        self.out.write_all(&file)?;
        self.out.flush()?;
        Ok(End { runs: self.before + self.runs, last: self.last, file })
    }

    fn block(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).expect("runs are small");
        self.write(&length.to_be_bytes())?;
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }
}

/// The BLAKE3 of the stored bytes of a run.
pub fn hash_of(run: &[u8]) -> [u8; 32] {
    *blake3::hash(run).as_bytes()
}

/// Reads a backup: its runs in order, each verified. The last item is an error unless the file is whole.
pub struct BackupReader<R> {
    input: R,
    hasher: blake3::Hasher,
    about: About,
    runs: u64,
    last: [u8; 32],
    is_over: bool,
    end: Option<End>,
}

impl<R: Read> BackupReader<R> {
    /// Begins to read.
    pub fn new(mut input: R) -> Result<Self, BadBackup> {
        let mut first = [0; FIRST_LINE.len()];
        input.read_exact(&mut first).map_err(|error| early(error, BadBackup::NotABackup))?;
        if first != FIRST_LINE {
            let is_newer = first.starts_with(b"tandem backup ");
            return Err(if is_newer { BadBackup::Newer } else { BadBackup::NotABackup });
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&first);
        let damaged = BadBackup::Damaged("it does not say what is in it");
        let Some(block) = block(&mut input, &mut hasher, ABOUT_BYTES_MAX, 0)? else { return Err(damaged) };
        let about = postcard::from_bytes(&block).map_err(|_| damaged)?;
        let about: About = about;
        let last = about.before.map_or([0; 32], |before| before.last);
        Ok(Self { input, hasher, about, runs: 0, last, is_over: false, end: None })
    }

    /// What is in it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The checksum that stands at the end of a file; nothing where there is no room for one.
    pub fn checksum_of(mut file: impl Read + io::Seek) -> io::Result<Option<[u8; 32]>> {
        let mut checksum = [0; 32];
        if file.seek(io::SeekFrom::End(0))? < checksum.len() as u64 {
            return Ok(None);
        }
        file.seek(io::SeekFrom::End(-(checksum.len() as i64)))?;
        file.read_exact(&mut checksum)?;
        Ok(Some(checksum))
    }

    /// Where it ends, once all of it was read.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    fn read(&mut self) -> Result<Option<Run>, BadBackup> {
        if let Some(bytes) = block(&mut self.input, &mut self.hasher, RUN_BYTES_MAX, self.runs)? {
            let run = Run::decode(&bytes).map_err(|why| BadBackup::Run { index: self.runs, why })?;
            if run.events().iter().any(|event| event.header().workspace != self.about.workspace) {
                return Err(BadBackup::Damaged("it mixes workspaces"));
            }
            self.runs += 1;
            self.last = hash_of(&bytes);
            return Ok(Some(run));
        }
        let (mut count, mut last, mut file) = ([0; 8], [0; 32], [0; 32]);
        let cut_off = |runs| move |error| early(error, BadBackup::CutOff { runs });
        self.input.read_exact(&mut count).map_err(cut_off(self.runs))?;
        self.input.read_exact(&mut last).map_err(cut_off(self.runs))?;
        self.hasher.update(&count).update(&last);
        self.input.read_exact(&mut file).map_err(cut_off(self.runs))?;
        let is_right = u64::from_be_bytes(count) == self.runs && last == self.last;
        if self.hasher.finalize() != blake3::Hash::from(file) || !is_right {
            return Err(BadBackup::Damaged("its checksum is wrong"));
        }
        if self.input.read(&mut [0])? != 0 {
            return Err(BadBackup::Damaged("something stands behind its end"));
        }
        let before = self.about.before.map_or(0, |before| before.runs);
        let runs = before.checked_add(self.runs).ok_or(BadBackup::Damaged("it counts more runs than there can be"))?;
        self.end = Some(End { runs, last, file });
        Ok(None)
    }
}

impl<R: Read> Iterator for BackupReader<R> {
    type Item = Result<Run, BadBackup>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read().transpose();
        self.is_over = !matches!(read, Some(Ok(_)));
        read
    }
}

/// The next block; none where it is empty.
fn block(
    input: &mut impl Read,
    hasher: &mut blake3::Hasher,
    bytes_max: usize,
    runs: u64,
) -> Result<Option<Vec<u8>>, BadBackup> {
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(|error| early(error, BadBackup::CutOff { runs }))?;
    hasher.update(&length);
    let length = u32::from_be_bytes(length) as usize;
    if length > bytes_max {
        return Err(BadBackup::Damaged("a part of it is longer than any can be"));
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes).map_err(|error| early(error, BadBackup::CutOff { runs }))?;
    hasher.update(&bytes);
    Ok((length > 0).then_some(bytes))
}

fn early(error: io::Error, at_end: BadBackup) -> BadBackup {
    if error.kind() == io::ErrorKind::UnexpectedEof { at_end } else { BadBackup::Io(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_wire::{
        Act, ChainId, DesignDigest, Event, Genesis, GenesisText, Header, MemberId, Op, Payload, SecretKey, Target,
    };

    fn run() -> (About, Run) {
        let key = SecretKey::from_bytes(&[7; 32]);
        let nonce = [1; 16];
        let workspace = WorkspaceId::founded_by(key.device(), nonce);
        let genesis = Op {
            target: Target::Workspace,
            preds: vec![],
            act: Act::Genesis(Box::new(Genesis { nonce, member: MemberId([2; 16]) })),
        };
        let header = Header {
            workspace,
            chain: ChainId { device: key.device(), number: 0 },
            seq: 0,
            prev: None,
            deps: vec![],
            lamport: 1,
            wall_ms: 5,
            design: DesignDigest([0; 16]),
            actor: None,
            batch: None,
            resubmits: None,
            ops: vec![genesis],
        };
        let names = GenesisText { workspace: "Test".into(), member: "Ada".into() };
        let event = Event::new(header, Payload::of([postcard::to_allocvec(&names).unwrap()])).unwrap();
        let name = "Test".into();
        let about = About { workspace, name, device: key.device(), wall_ms: 9, before: None, policy: None };
        (about, Run::sign(vec![event], &key).unwrap())
    }

    fn backup() -> (About, Run, Vec<u8>) {
        let (about, run) = run();
        let mut bytes = Vec::new();
        let mut writer = BackupWriter::new(&mut bytes, &about).unwrap();
        writer.run(&run.encode()).unwrap();
        assert_eq!(writer.finish().unwrap().runs, 1);
        (about, run, bytes)
    }

    fn read(bytes: &[u8]) -> Result<Vec<Run>, BadBackup> {
        BackupReader::new(bytes)?.collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let (about, run, bytes) = backup();
        assert_eq!(*BackupReader::new(bytes.as_slice()).unwrap().about(), about);
        assert_eq!(read(&bytes).unwrap(), [run]);
    }

    #[test]
    fn a_file_that_goes_on_says_from_where() {
        let (about, run, bytes) = backup();
        let mut first = BackupReader::new(bytes.as_slice()).unwrap();
        assert_eq!((first.by_ref().count(), first.end().unwrap().runs), (1, 1));
        let mut second = Vec::new();
        let about = About { before: first.end(), policy: Some(Policy::default()), ..about };
        let mut writer = BackupWriter::new(&mut second, &about).unwrap();
        writer.run(&run.encode()).unwrap();
        let end = writer.finish().unwrap();
        let mut reader = BackupReader::new(second.as_slice()).unwrap();
        assert_eq!((reader.about(), reader.end()), (&about, None));
        assert_eq!(reader.by_ref().count(), 1);
        assert_eq!((reader.end(), end.runs), (Some(end), 2));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let (.., bytes) = backup();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "cut after {end} bytes");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "byte {at} changed");
        }
        assert!(read(&[bytes.as_slice(), b"x"].concat()).is_err());
        assert!(matches!(read(b"name,city\nZoe,Bonn\n..."), Err(BadBackup::NotABackup)));
        assert!(matches!(read(b"tandem backup 3\nxxxx"), Err(BadBackup::Newer)));
    }
}
