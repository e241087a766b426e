//! The control socket: a file in the data folder that only its owner can use, from the moment that it is there.
//!
//! It is made in a folder of its own that nobody else can enter, and moved to its place when its permissions are set.
//! The move also replaces a socket that a node left behind which was killed. Who listens holds the lock of the data
//! folder, so that what is replaced is nobody's.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt, symlink},
        net::{SocketAddr, UnixListener, UnixStream},
    },
    path::Path,
};

/// The socket's name in the data folder.
pub(crate) const NAME: &str = "control.sock";

/// The folder that it is made in.
const ASIDE: &str = "control.new";

/// Listens in a data folder whose lock the caller holds.
pub(super) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let aside = folder.join(ASIDE);
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    DirBuilder::new().mode(0o700).create(&aside)?;
    let listener = in_reach(&aside, |path| UnixListener::bind(path))?;
    fs::set_permissions(aside.join(NAME), Permissions::from_mode(0o600))?;
    fs::rename(aside.join(NAME), folder.join(NAME))?;
    fs::remove_dir(&aside)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes the socket away, so that nobody waits for an answer that does not come.
pub(super) fn remove(folder: &Path) {
    if let Err(error) = fs::remove_file(folder.join(NAME)) {
        tracing::warn!(%error, "the control socket could not be removed; the next start replaces it");
    }
}

/// Connects to the node that runs in a data folder.
pub(crate) fn connect(folder: &Path) -> io::Result<UnixStream> {
    in_reach(folder, |path| UnixStream::connect(path))
}

/// The address of a socket holds about a hundred bytes. Where the path is longer, it goes by a link to the folder.
fn in_reach<T>(folder: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = folder.join(NAME);
    if SocketAddr::from_pathname(&path).is_ok() {
        return act(&path);
    }
    let folder = fs::canonicalize(folder)?;
    let near = tempfile::tempdir()?;
    let link = near.path().join("d");
    symlink(folder, &link)?;
    act(&link.join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_owners_alone_and_replaces_what_was_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let check = || {
            let listener = listen(folder.path()).unwrap();
            let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the socket is there");
            connect(folder.path()).unwrap();
            listener
        };
        drop(check());
        assert_eq!(connect(folder.path()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // As a node leaves it that was killed in the middle.
        fs::create_dir(folder.path().join(ASIDE)).unwrap();
        fs::write(folder.path().join(ASIDE).join(NAME), "").unwrap();
        let listener = check();
        remove(folder.path());
        drop(listener);
        assert_eq!(connect(folder.path()).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_path_may_be_longer_than_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a".repeat(150)).join("b".repeat(150));
        fs::create_dir_all(&deep).unwrap();
        let _listener = listen(&deep).unwrap();
        connect(&deep).unwrap();
        assert!(fs::symlink_metadata(deep.join(NAME)).is_ok());
    }
}
