//! The `FORMAT` file: which version of the program's formats a data directory has.
//!
//! It is read before anything else in the directory is touched, so that an older program leaves the data of a
//! newer one as it found it.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use super::EngineError;

/// The format that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 2;

const FILE: &str = "FORMAT";

/// The oldest that it reads. Before 2, no row of a record was packed.
const OLDEST: u32 = 1;

/// The format of the data directory, if it is marked and this program reads it; changes nothing.
pub(super) fn check(path: &Path) -> Result<Option<u32>, EngineError> {
    let text = match fs::read(path.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(EngineError::Io { path: path.into(), source }),
    };
    match parse(&text) {
        Some(found @ OLDEST..=FORMAT) => Ok(Some(found)),
        Some(found) if found > FORMAT => Err(EngineError::NewerFormat { path: path.into(), found, supported: FORMAT }),
        Some(_) | None => {
            Err(EngineError::Damaged { path: path.into(), detail: "its FORMAT file is not readable".into() })
        }
    }
}

fn parse(text: &[u8]) -> Option<u32> {
    let line = str::from_utf8(text).ok()?.strip_prefix("tandem ")?;
    // Later formats may add lines.
    line.lines().next()?.parse().ok()
}

/// Marks a data directory, a new one or one of an older format. The file is written beside its place first, so that it is found whole or not at
/// all.
pub(super) fn mark(path: &Path) -> Result<(), EngineError> {
    let write = || {
        let beside = path.join("FORMAT.new");
        let mut file = File::create(&beside)?;
        writeln!(file, "tandem {FORMAT}")?;
        file.sync_all()?;
        fs::rename(beside, path.join(FILE))?;
        sync_directory(path)
    };
    write().map_err(|source| EngineError::Io { path: path.into(), source })
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_format_passes() {
        let check = |text: &[u8], expect: Result<Option<u32>, &str>| {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(FILE), text).unwrap();
            let result = super::check(dir.path()).map_err(|error| match error {
                EngineError::NewerFormat { found, supported, .. } => format!("{found} > {supported}"),
                error => error.to_string().split(['(', ')']).nth(1).unwrap_or_default().to_owned(),
            });
            assert_eq!(result.as_ref().map(|found| *found).map_err(|e| &e[..]), expect);
        };
        check(b"tandem 1\n", Ok(Some(1)));
        check(b"tandem 2\n", Ok(Some(2)));
        check(b"tandem 3\n", Err("3 > 2"));
        check(b"tandem 7\nsince some release\n", Err("7 > 2"));
        check(b"tandem 0\n", Err("its FORMAT file is not readable"));
        check(b"tandem", Err("its FORMAT file is not readable"));
        check(b"\xff\xfe", Err("its FORMAT file is not readable"));
        check(b"", Err("its FORMAT file is not readable"));
    }

    #[test]
    fn a_marked_directory_passes() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(dir.path()).unwrap(), None);
        mark(dir.path()).unwrap();
        assert_eq!(check(dir.path()).unwrap(), Some(FORMAT));
        assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), b"tandem 2\n");
    }
}
