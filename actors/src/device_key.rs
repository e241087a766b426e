//! The device's secret key, in a file of its own that only its owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};
use tandem_wire::SecretKey;

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceKeyError {
    /// The operating system says no.
    #[error("cannot use the device key {}: {source}; check its permissions", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} is no device key (64 hexadecimal digits); restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// The name of its file in the data folder.
pub const FILE: &str = "device.key";

/// The key file of the node in `dir`. It is made once and never touched again.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Reads the key of the node in `dir`, or makes one from `fresh` bytes.
pub fn load_or_make(dir: &Path, fresh: impl FnOnce() -> [u8; 32]) -> Result<SecretKey, DeviceKeyError> {
    if let Some(key) = load(dir)? {
        return Ok(key);
    }
    let (path, key) = (path(dir), SecretKey::from_bytes(&fresh()));
    write(dir, &path, &key).map_err(|source| DeviceKeyError::Io { path, source })?;
    Ok(key)
}

/// Reads the key of the node in `dir`; none where there is no node yet.
pub fn load(dir: &Path) -> Result<Option<SecretKey>, DeviceKeyError> {
    let path = path(dir);
    match fs::read_to_string(&path) {
        Ok(text) => parse(text.trim()).map(Some).ok_or(DeviceKeyError::Damaged { path }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DeviceKeyError::Io { path, source }),
    }
}

/// Written aside and renamed, so that a crash leaves a whole key or none.
fn write(dir: &Path, path: &Path, key: &SecretKey) -> io::Result<()> {
    let aside = dir.join("device.key.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    let digits: String = key.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{digits}")?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(dir)?.sync_all()
}

fn parse(text: &str) -> Option<SecretKey> {
    // A device key has the same form as the public one: 64 digits.
    let bytes: tandem_wire::DeviceKey = text.parse().ok()?;
    Some(SecretKey::from_bytes(&bytes.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_a_key_once_and_refuses_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let made = load_or_make(dir.path(), || [7; 32]).unwrap();
        let read = load_or_make(dir.path(), || unreachable!("there is one")).unwrap();
        assert_eq!(made.device(), read.device());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("device.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(dir.path().join("device.key"), "12ab").unwrap();
        let error = load_or_make(dir.path(), || unreachable!("there is one")).unwrap_err();
        assert!(matches!(error, DeviceKeyError::Damaged { .. }), "{error}");
    }
}
