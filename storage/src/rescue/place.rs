//! Where a data directory is, and whether it is still the same copy.

use serde::{Deserialize, Serialize};
use std::{fs, io, path::Path};

/// Machine, boot, and the identity of one file that is made with the directory and never touched again.
///
/// That file's number and the time of its last change cannot be set by who copies or restores it, so another copy of
/// the directory has others, even in the same place. A whole disk put back block by block cannot be told: then only
/// peers that saw more know better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    machine: Option<String>,
    boot: Option<String>,
    file: (u64, i64, i64),
}

impl Place {
    /// This machine and boot, and `file`.
    pub fn here(file: &Path) -> io::Result<Self> {
        let machine = word("/etc/machine-id").or_else(|| word("/var/lib/dbus/machine-id"));
        Ok(Self { machine, boot: word("/proc/sys/kernel/random/boot_id"), file: identity(file)? })
    }

    /// Whether the directory is the one that was at `before`, not a copy of it.
    pub fn is_same_copy(&self, before: &Self) -> bool {
        (&self.machine, self.file) == (&before.machine, before.file)
    }

    /// Whether the machine surely did not restart since: all that was handed to the operating system is there.
    pub fn is_same_boot(&self, before: &Self) -> bool {
        self.boot.is_some() && self.boot == before.boot
    }
}

/// Systems that have no such file never prove that they did not restart.
fn word(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(unix)]
fn identity(file: &Path) -> io::Result<(u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(file)?;
    Ok((found.ino(), found.ctime(), found.ctime_nsec()))
}

#[cfg(not(unix))]
fn identity(file: &Path) -> io::Result<(u64, i64, i64)> {
    let made = fs::metadata(file)?.created()?;
    let since = made.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok((0, since.as_secs() as i64, i64::from(since.subsec_nanos())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_told_from_the_original() {
        let dir = tempfile::tempdir().unwrap();
        let (file, copy, moved) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        fs::write(&file, "key").unwrap();
        let before = Place::here(&file).unwrap();
        let again = Place::here(&file).unwrap();
        assert!(again.is_same_copy(&before));
        // Copied with all times kept, as archivers do.
        fs::copy(&file, &copy).unwrap();
        let times = fs::metadata(&file).unwrap();
        let times =
            fs::FileTimes::new().set_modified(times.modified().unwrap()).set_accessed(times.accessed().unwrap());
        fs::File::options().write(true).open(&copy).unwrap().set_times(times).unwrap();
        assert!(!Place::here(&copy).unwrap().is_same_copy(&before));
        // Another version of the file, put in its place.
        fs::rename(&copy, &file).unwrap();
        assert!(!Place::here(&file).unwrap().is_same_copy(&before));
        // The folder may be moved, though.
        let before = Place::here(&file).unwrap();
        fs::create_dir(&moved).unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::rename(&file, moved.join("a")).unwrap();
        let before_move = Place::here(&moved.join("a")).unwrap();
        fs::rename(&moved, dir.path().join("d/c")).unwrap();
        assert!(Place::here(&dir.path().join("d/c/a")).unwrap().is_same_copy(&before_move));
        drop(before);
    }

    #[test]
    fn an_unknown_boot_is_never_the_same() {
        let place = |boot: Option<&str>| Place { machine: None, boot: boot.map(str::to_owned), file: (1, 2, 3) };
        assert!(place(Some("a")).is_same_boot(&place(Some("a"))));
        assert!(!place(Some("a")).is_same_boot(&place(Some("b"))));
        assert!(!place(None).is_same_boot(&place(None)));
    }
}
