//! The files of backups in a folder, and which go on from which.
//!
//! `WORKSPACE-DEVICE-SERIES-PART.backup`: the first 16 digits of the workspace's id, the first 8 of the device's, and two
//! numbers from 1 on. Each part has what was new since the one before it. Where a node's log is no longer the one that
//! was backed up (it was built anew, say), a series of its own is begun. Nothing here is ever replaced or removed.

use crate::exchange::backup_file::{About, BackupReader, BadBackup, End};
use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};
use tandem_wire::{DeviceKey, Run, WorkspaceId};

const WORKSPACE_DIGITS: usize = 16;
const DEVICE_DIGITS: usize = 8;

/// A file's name, taken apart. Ordered by series and part within a node's copy of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    workspace: String,
    device: String,
    series: u32,
    part: u32,
}

impl Name {
    /// The first part of a node's first series.
    pub fn first(workspace: WorkspaceId, device: DeviceKey) -> Self {
        let digits = |id: String, count| id[..count].to_owned();
        let (workspace, device) = (workspace.to_string(), device.to_string());
        let (workspace, device) = (digits(workspace, WORKSPACE_DIGITS), digits(device, DEVICE_DIGITS));
        Self { workspace, device, series: 1, part: 1 }
    }

    /// The part behind this one.
    pub fn next(&self) -> Self {
        Self { part: self.part + 1, ..self.clone() }
    }

    /// The first part of the series behind this one.
    pub fn next_series(&self) -> Self {
        Self { series: self.series + 1, part: 1, ..self.clone() }
    }

    fn is_of_copy(&self, other: &Self) -> bool {
        (&self.workspace, &self.device) == (&other.workspace, &other.device)
    }

    /// In a folder.
    pub fn path(&self, folder: &Path) -> PathBuf {
        let Self { workspace, device, series, part } = self;
        folder.join(format!("{workspace}-{device}-{series:03}-{part:05}.backup"))
    }

    fn parse(path: &Path) -> Option<Self> {
        let mut parts = path.file_name()?.to_str()?.strip_suffix(".backup")?.split('-');
        let is_hex = |text: &&str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let workspace = parts.next().filter(|text| is_hex(text, WORKSPACE_DIGITS))?.to_owned();
        let device = parts.next().filter(|text| is_hex(text, DEVICE_DIGITS))?.to_owned();
        let mut number = || parts.next()?.parse().ok().filter(|number: &u32| *number > 0 && *number < u32::MAX);
        let (series, part) = (number()?, number()?);
        parts.next().is_none().then_some(Self { workspace, device, series, part })
    }
}

/// The names of the files in a folder that are parts of backups, in order; others are passed over.
pub fn names(folder: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for file in fs::read_dir(folder)? {
        names.extend(Name::parse(&file?.path()));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The last part that a node wrote of a workspace into a folder.
pub fn last_of(names: &[Name], copy: &Name) -> Option<Name> {
    names.iter().rfind(|name| name.is_of_copy(copy)).cloned()
}

/// The last part of each workspace's copies, one list for each workspace.
pub fn last_of_each(names: &[Name]) -> Vec<Vec<Name>> {
    let mut workspaces: Vec<Vec<Name>> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if names.get(at + 1).is_some_and(|next| next.is_of_copy(name)) {
            continue;
        }
        match workspaces.last_mut().filter(|last| last[0].workspace == name.workspace) {
            Some(last) => last.push(name.clone()),
            None => workspaces.push(vec![name.clone()]),
        }
    }
    workspaces
}

/// The parts up to this file, the first one first: of a series those beside it, of any other file itself.
pub fn up_to(file: &Path) -> Result<Vec<PathBuf>, BadPart> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(last) = Name::parse(file) else { return Ok(vec![file.to_owned()]) };
    let bad = |path: &Path, why| BadPart { path: path.to_owned(), why };
    let there = names(folder).map_err(|error| bad(folder, BadBackup::Io(error)))?;
    let there = there.into_iter().filter(|name| name.is_of_copy(&last) && name.series == last.series);
    let mut paths = Vec::new();
    for (part, name) in (1..).zip(there.take_while(|name| name.part <= last.part)) {
        let path = Name { part, ..last.clone() }.path(folder);
        if name.part != part {
            return Err(bad(&path, BadBackup::Missing));
        }
        paths.push(path);
    }
    if paths.len() != last.part as usize {
        return Err(bad(file, BadBackup::Missing));
    }
    Ok(paths)
}

/// Whether the parts before this one are there, and go on from each other; read without their runs.
pub fn check_links(folder: &Path, last: &Name) -> Result<(), BadPart> {
    let mut before: Option<[u8; 32]> = None;
    for path in up_to(&last.path(folder))? {
        let bad = |why| BadPart { path: path.clone(), why };
        if open(&path)?.about().before.map(|end| end.file) != before {
            return Err(bad(BadBackup::OutOfOrder));
        }
        let file = File::open(&path).map_err(|error| bad(BadBackup::Io(error)))?;
        before = BackupReader::<File>::checksum_of(file).map_err(|error| bad(BadBackup::Io(error)))?;
    }
    Ok(())
}

/// A file that cannot be used, and why.
#[derive(Debug)]
pub struct BadPart {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: BadBackup,
}

/// Opens a part.
pub fn open(path: &Path) -> Result<BackupReader<BufReader<File>>, BadPart> {
    let bad = |why| BadPart { path: path.to_owned(), why };
    let file = File::open(path).map_err(|error| bad(BadBackup::Io(error)))?;
    BackupReader::new(BufReader::new(file)).map_err(bad)
}

/// Reads a part to its end.
pub fn check(path: &Path, each: &mut dyn FnMut()) -> Result<(About, End), BadPart> {
    let bad = |why| BadPart { path: path.to_owned(), why };
    let mut reader = open(path)?;
    reader.try_for_each(|run| run.map(|_| each())).map_err(bad)?;
    let end = reader.end().expect("it was read to its end");
    Ok((reader.about().clone(), end))
}

/// Reads parts one behind the other: the runs of all of them, each part held against the one before it.
pub struct Parts {
    paths: std::vec::IntoIter<PathBuf>,
    open: Option<(PathBuf, BackupReader<BufReader<File>>)>,
    before: Option<(WorkspaceId, End)>,
    /// What the last part that was begun says.
    about: Option<About>,
    failed: bool,
}

impl Parts {
    /// The first part first.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths: paths.into_iter(), open: None, before: None, about: None, failed: false }
    }

    /// What the last part says of itself, once all were read.
    pub fn into_about(self) -> Option<About> {
        self.about
    }

    fn begin(&mut self, path: PathBuf) -> Result<(), BadPart> {
        let reader = open(&path)?;
        let about = reader.about();
        let before = about.before.map(|end| (about.workspace, end));
        if before != self.before {
            return Err(BadPart { path, why: BadBackup::OutOfOrder });
        }
        self.about = Some(about.clone());
        self.open = Some((path, reader));
        Ok(())
    }

    fn step(&mut self) -> Option<Result<Run, BadPart>> {
        loop {
            if let Some((path, reader)) = &mut self.open {
                match reader.next() {
                    Some(Ok(run)) => return Some(Ok(run)),
                    Some(Err(why)) => return Some(Err(BadPart { path: path.clone(), why })),
                    None => {
                        self.before = reader.end().map(|end| (reader.about().workspace, end));
                        self.open = None;
                    }
                }
            }
            let path = self.paths.next()?;
            if let Err(bad) = self.begin(path) {
                return Some(Err(bad));
            }
        }
    }
}

impl Iterator for Parts {
    type Item = Result<Run, BadPart>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.step();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(workspace: u8, device: u8, series: u32, part: u32) -> Name {
        let first = Name::first(WorkspaceId([workspace; 32]), DeviceKey([device; 32]));
        Name { series, part, ..first }
    }

    #[test]
    fn a_name_is_read_as_it_was_written_and_others_are_passed_over() {
        let there = name(0xab, 1, 12, 345);
        let path = there.path(Path::new("x"));
        assert_eq!(path, Path::new("x/abababababababab-01010101-012-00345.backup"));
        assert_eq!(Name::parse(&path), Some(there));
        for other in ["a.backup", "abababababababab-01010101-012.backup", "abababababababab-01010101-0-1.backup"] {
            assert_eq!(Name::parse(Path::new(other)), None, "{other}");
        }
        assert_eq!(Name::parse(Path::new("abababababababab-01010101-001-00001-2.backup")), None);
        assert_eq!(Name::parse(Path::new("abababababababab-01010101-001-4294967295.backup")), None);
    }

    #[test]
    fn the_last_parts_are_found_by_workspace_and_copy() {
        let dir = tempfile::tempdir().unwrap();
        let all = [name(1, 1, 1, 1), name(1, 1, 1, 2), name(1, 1, 2, 1), name(1, 2, 1, 1), name(2, 1, 1, 10)];
        for name in all.iter().rev() {
            fs::write(name.path(dir.path()), "").unwrap();
        }
        fs::write(dir.path().join("notes.txt"), "").unwrap();
        let found = names(dir.path()).unwrap();
        assert_eq!(found, all);
        assert_eq!(last_of_each(&found), [vec![all[2].clone(), all[3].clone()], vec![all[4].clone()]]);
        assert_eq!(last_of(&found, &name(1, 1, 1, 1)), Some(all[2].clone()));
        assert_eq!(last_of(&found, &name(3, 1, 1, 1)), None);
        let [one, two] = [0, 1].map(|at: usize| all[at].path(dir.path()));
        assert_eq!(up_to(&two).unwrap(), [one.clone(), two.clone()]);
        assert_eq!(up_to(Path::new("x/y")).unwrap(), [Path::new("x/y")]);
        fs::remove_file(&one).unwrap();
        assert_eq!(up_to(&two).unwrap_err().path, one);
        let huge = Name { part: u32::MAX - 1, ..all[0].clone() };
        fs::write(huge.path(dir.path()), "").unwrap();
        assert_eq!(up_to(&huge.path(dir.path())).unwrap_err().path, one);
    }
}
