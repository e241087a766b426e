//! How much a folder takes of its disk, and how much of that is free.

use std::{fs, io, path::Path};

/// Bytes that the files of a folder take on the disk. A file that goes away meanwhile is none.
pub fn allocated(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(data) if data.is_dir() => bytes += allocated(&entry.path())?,
            Ok(data) => bytes += of_file(&data),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

#[cfg(unix)]
fn of_file(data: &fs::Metadata) -> u64 {
    const BLOCK_BYTES: u64 = 512;
    std::os::unix::fs::MetadataExt::blocks(data) * BLOCK_BYTES
}

#[cfg(not(unix))]
fn of_file(data: &fs::Metadata) -> u64 {
    data.len()
}

/// Bytes that are free for us where the folder is; nothing where that cannot be told.
#[cfg(unix)]
pub fn free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes that are free for us where the folder is; nothing where that cannot be told.
#[cfg(not(unix))]
pub fn free(_: &Path) -> Option<u64> {
    None
}

/// A number of bytes for people: `812 B`, `1.4 MiB`.
pub fn text(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        let check = |bytes, expect: &str| assert_eq!(text(bytes), expect);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(1536, "1.5 KiB");
        check(1024 * 1024 - 1, "1023.9 KiB");
        check(3 << 30, "3.0 GiB");
        check(u64::MAX, "16777215.9 TiB");
    }

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/file"), vec![1; 100_000]).unwrap();
        assert!((100_000..200_000).contains(&allocated(folder.path()).unwrap()));
        assert!(free(folder.path()).is_none_or(|free| free > 0));
    }
}
