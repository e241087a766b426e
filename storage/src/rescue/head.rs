//! The `HEAD` file: how far a node's own chains go.

use super::{Place, SUM_BYTES, sum, sync_folder};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
};
use tandem_wire::{DeviceKey, EventId, WorkspaceId};

const FILE: &str = "HEAD";
const MAGIC: &[u8] = b"tandem head 2\n";

/// What a node knows of its own chains.
///
/// Written and synced when the node is opened, before it writes anything; when a segment of the rescue file is full;
/// when the list of workspaces changes; and when the node is stopped in good order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Whose chains these are.
    pub device: DeviceKey,
    /// Where the directory was.
    pub place: Place,
    /// The node was stopped in good order: this is exactly what the log has.
    pub clean: bool,
    /// The node's workspaces.
    pub workspaces: BTreeMap<WorkspaceId, WorkspaceHead>,
}

/// A node's own chains in one workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceHead {
    /// The workspace's number on the node.
    pub number: u32,
    /// Its copy is for reading only.
    pub left: bool,
    /// The pair of chains that is written: the number of the control chain.
    pub pair: u32,
    /// What was written to the pair is in the rescue file, synced, before anybody is told of it.
    pub synced: bool,
    /// Digests of the policies that may be in the tables: of the last one, and while another is being set of both. None:
    /// none was ever set.
    pub policies: Vec<[u8; 32]>,
    /// Runs in the log when the node was stopped.
    pub runs: u64,
    /// The last event of each own chain known to be on the disk.
    pub tips: BTreeMap<u32, Tip>,
}

/// An event, and where its run is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The run's number.
    pub arrival: u64,
    /// The event's place in its chain.
    pub seq: u64,
    /// The event.
    pub id: EventId,
}

/// What is found in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadFile {
    /// No such file: a new directory, or one that lost it.
    Absent,
    /// It cannot be read as one.
    Damaged,
    /// A whole one.
    Whole(Head),
}

impl Head {
    /// The file in `dir`.
    pub fn read(dir: &Path) -> io::Result<HeadFile> {
        match fs::read(dir.join(FILE)) {
            Ok(bytes) => Ok(parse(&bytes).map_or(HeadFile::Damaged, HeadFile::Whole)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(HeadFile::Absent),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file in `dir`; durable on return. A crash leaves the one before or this one.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let content = postcard::to_allocvec(self).expect("a vector takes all bytes");
        let aside = dir.join("HEAD.new");
        let mut file = File::create(&aside)?;
        file.write_all(&[MAGIC, &sum(&content), &content].concat())?;
        file.sync_all()?;
        fs::rename(aside, dir.join(FILE))?;
        sync_folder(dir)
    }
}

fn parse(bytes: &[u8]) -> Option<Head> {
    let (expect, content) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<SUM_BYTES>()?;
    if sum(content) != *expect {
        return None;
    }
    postcard::from_bytes(content).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Head::read(dir.path()).unwrap(), HeadFile::Absent);
        fs::write(dir.path().join("key"), "k").unwrap();
        let tip = Tip { arrival: 9, seq: 4, id: EventId([3; 32]) };
        let workspace = WorkspaceHead {
            number: 2,
            left: true,
            pair: 8,
            synced: true,
            policies: vec![[5; 32]],
            runs: 10,
            tips: [(8, tip)].into(),
        };
        let head = Head {
            device: DeviceKey([1; 32]),
            place: Place::here(&dir.path().join("key")).unwrap(),
            clean: true,
            workspaces: [(WorkspaceId([7; 32]), workspace)].into(),
        };
        head.write(dir.path()).unwrap();
        assert_eq!(Head::read(dir.path()).unwrap(), HeadFile::Whole(head));
        let bytes = fs::read(dir.path().join(FILE)).unwrap();
        for (at, _) in bytes.iter().enumerate() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(parse(&wrong), None, "byte {at}");
            assert_eq!(parse(&bytes[..at]), None, "cut at {at}");
        }
    }
}
