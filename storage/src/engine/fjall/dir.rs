//! A data directory before its tables are open: locked, looked over, mended, or set aside.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use tandem_wire::Run;

use super::{FjallEngine, Options, journal, journal::Mended, salvage};
use crate::{
    engine::{
        EngineError,
        format::{self, FORMAT},
    },
    rescue::sync_folder,
};

/// A data directory that this process alone has, until this and the engine opened from it are dropped.
///
/// [`DataDir::open`] opens the tables. If it says [`Damaged`](EngineError::Damaged), it may be tried again after
/// [`DataDir::mend`]. If that does not help, [`DataDir::rebuild`] makes new tables beside them, to be filled with what
/// [`DataDir::salvage`] finds; [`DataDir::swap`] then puts the new ones in their place, and keeps the old.
pub struct DataDir {
    path: PathBuf,
    lock: Arc<File>,
    format: Option<u32>,
}

impl DataDir {
    /// Locks the directory `path`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`Locked`](EngineError::Locked), [`NewerFormat`](EngineError::NewerFormat), [`Damaged`](EngineError::Damaged)
    /// if its format cannot be told, or [`Io`](EngineError::Io). None of them touches a stored byte.
    pub fn lock(path: impl AsRef<Path>) -> Result<Self, EngineError> {
        let path = path.as_ref();
        make(path).map_err(|source| EngineError::Io { path: path.into(), source })?;
        let format = format::check(path)?;
        let lock = Arc::new(lock(path)?);
        let dir = Self { path: path.into(), lock, format };
        dir.finish_swap().map_err(|source| dir.io(source))?;
        Ok(dir)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether tables are there, whole or not.
    pub fn has_tables(&self) -> bool {
        self.tables().exists()
    }

    /// Cuts the journals where a power cut broke them off, and keeps whole writes found behind that aside. To be called
    /// before the tables are opened, unless the node was stopped in good order.
    pub fn mend(&self) -> Result<Mended, EngineError> {
        match self.has_tables() {
            true => journal::mend(&self.tables()).map_err(|source| self.io(source)),
            false => Ok(Mended::default()),
        }
    }

    /// What [`DataDir::mend`] kept, now and before.
    pub fn kept(&self) -> Result<Vec<PathBuf>, EngineError> {
        journal::names(&self.tables(), journal::CUT).map_err(|source| self.io(source))
    }

    /// Opens the tables, which are made if there are none.
    ///
    /// # Errors
    /// [`Damaged`](EngineError::Damaged) or [`Io`](EngineError::Io).
    pub fn open(&self, options: Options) -> Result<FjallEngine, EngineError> {
        let tables = self.tables();
        self.check_tables(&tables)?;
        self.open_at(&tables, options)
    }

    fn open_at(&self, tables: &Path, options: Options) -> Result<FjallEngine, EngineError> {
        if self.format != Some(FORMAT) {
            format::mark(&self.path)?;
        }
        // fjall asserts some of what it reads.
        let open = AssertUnwindSafe(|| FjallEngine::open_tables(&self.path, tables, self.lock.clone(), options));
        let engine = catch_unwind(open).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(self.damaged(text.unwrap_or("its tables make no sense")))
        })?;
        sync_folder(&self.path).map_err(|source| self.io(source))?;
        Ok(engine)
    }

    /// Opens empty tables beside those that are there and do not open. What an earlier try left of such is dropped.
    ///
    /// # Errors
    /// [`Damaged`](EngineError::Damaged) where the directory is not surely one of ours: nothing in it is touched.
    pub fn rebuild(&self, options: Options) -> Result<FjallEngine, EngineError> {
        if self.format.is_none() {
            return Err(self.damaged("it has tables but no FORMAT file"));
        }
        let new = self.new_tables();
        if new.exists() {
            fs::remove_dir_all(&new).map_err(|source| self.io(source))?;
        }
        self.open_at(&new, options)
    }

    /// Puts the new tables, which are whole and closed, in the place of the old ones. Gives the place of these.
    pub fn swap(&self) -> Result<PathBuf, EngineError> {
        let aside = journal::free_name(&self.tables(), "damaged");
        let swap = || {
            fs::rename(self.tables(), &aside)?;
            // A crash here is made good by `finish_swap`: new tables are alone only when they are whole.
            sync_folder(&self.path)?;
            self.finish_swap()?;
            match fs::remove_file(self.path.join(MARK)) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => sync_folder(&self.path),
            }
        };
        swap().map_err(|source| self.io(source))?;
        Ok(aside)
    }

    fn finish_swap(&self) -> io::Result<()> {
        if self.has_tables() || !self.new_tables().exists() {
            return Ok(());
        }
        fs::rename(self.new_tables(), self.tables())?;
        sync_folder(&self.path)
    }

    /// Hands out every run with a good signature that can be read in the tables, which are not open, some more than
    /// once. Gives the number of files that cannot be read at all.
    pub fn salvage(&self, each: &mut dyn FnMut(&[u8], Run)) -> Result<u64, EngineError> {
        salvage::runs(&self.tables(), each).map_err(|source| self.io(source))
    }

    /// The same for what [`DataDir::mend`] kept of a journal.
    pub fn salvage_kept(&self, kept: &Path, each: &mut dyn FnMut(&[u8], Run)) -> Result<(), EngineError> {
        let bytes = fs::read(kept).map_err(|source| self.io(source))?;
        journal::values(&bytes, &mut |value| {
            if let Ok(run) = Run::decode(value) {
                each(value, run);
            }
        });
        Ok(())
    }

    fn tables(&self) -> PathBuf {
        self.path.join("tables")
    }

    fn new_tables(&self) -> PathBuf {
        self.path.join("tables.new")
    }

    /// Refuses tables that are known to be damaged, and what fjall would take for new, and write over: it looks for its `version` file and nothing else.
    fn check_tables(&self, tables: &Path) -> Result<(), EngineError> {
        if let Ok(found) = fs::read_to_string(self.path.join(MARK)) {
            return Err(self.damaged(&found));
        }
        match (tables.exists(), tables.join("version").exists()) {
            (true, _) if self.format.is_none() => Err(self.damaged("it has tables but no FORMAT file")),
            (true, false) => Err(self.damaged("its tables have no version file")),
            (true, true) | (false, _) => Ok(()),
        }
    }

    fn damaged(&self, detail: &str) -> EngineError {
        EngineError::Damaged { path: self.path.clone(), detail: detail.into() }
    }

    fn io(&self, source: io::Error) -> EngineError {
        EngineError::Io { path: self.path.clone(), source }
    }
}

/// The file that says that the tables open, but something in them cannot be read.
const MARK: &str = "DAMAGED";

/// Has [`DataDir::open`] refuse the tables in the directory `path` from now on, because of what was found on reading
/// them, until they were replaced.
pub fn mark_damaged(path: &Path, found: &str) -> io::Result<()> {
    fs::write(path.join(MARK), found)?;
    File::open(path.join(MARK))?.sync_all()?;
    sync_folder(path)
}

/// Makes the directory, and its name durable.
fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
}

/// Locks the data directory until the file is closed, if only by the end of the process. fjall locks its own
/// folder too, but only while it opens it, which is too late to look what is in there.
fn lock(path: &Path) -> Result<File, EngineError> {
    let failed = |source| EngineError::Io { path: path.into(), source };
    let file = File::create(path.join("LOCK")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EngineError::Locked { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
