//! A folder of results: one small file each, named by the key of its training.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use ntgram_engine::files::write_whole;
use ntgram_engine::{Error, Result};

use crate::result::{TaskResult, VERSION};
use crate::task::Task;

/// A folder of results. Several processes may use one at the same time.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// What a store has for a task.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Its result.
    Done(Box<TaskResult>),
    /// Its result by another version of the program.
    OtherVersion(Box<TaskResult>),
    /// A file that is no whole result, and why.
    Broken(String),
    /// Nothing.
    Missing,
}

impl Store {
    /// The store in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// It cannot be made, or nothing can be written there.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        let trial = folder.join(format!(".trial-{}", std::process::id()));
        write_whole(&trial, b"")?;
        std::fs::remove_file(&trial).map_err(|e| Error::io("write", &trial, e))?;
        Self::open(folder)
    }

    /// The store in this folder, to read.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        std::fs::read_dir(folder).map_err(|e| Error::io("read", folder, e))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a key's result: `ab/cdef….json`.
    pub fn path(&self, key: &str) -> PathBuf {
        let (start, rest) = key.split_at(2.min(key.len()));
        self.folder.join(start).join(format!("{rest}.json"))
    }

    /// What there is for a task.
    ///
    /// # Errors
    /// A file that is there cannot be read.
    pub fn state(&self, task: &Task) -> Result<State> {
        let path = self.path(task.key());
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(State::Missing),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        Ok(match TaskResult::from_bytes(&bytes) {
            Ok(result) if result.key != task.key() => State::Broken("it is the result of another training".to_owned()),
            Ok(result) if result.version != VERSION => State::OtherVersion(Box::new(result)),
            Ok(result) => State::Done(Box::new(result)),
            Err(reason) => State::Broken(reason),
        })
    }

    /// Writes a result: whole, or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, result: &TaskResult) -> Result<()> {
        write_whole(&self.path(&result.key), &result.to_bytes())
    }

    /// Claims a task for this process as long as the claim lives; `None` while another has it. The system gives the claim up when the
    /// process ends, however it ends. Where the file system knows no locks, everyone gets it: then some work is done twice, and nothing is
    /// lost.
    ///
    /// # Errors
    /// The file of the claim cannot be made.
    pub(crate) fn claim(&self, key: &str) -> Result<Option<Claim>> {
        let path = self.path(key).with_extension("claim");
        let folder = path.parent().expect("a claim lies in the store's folder");
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        loop {
            let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(_)) => return Ok(Some(Claim { path, _file: file })),
                // who had it before may have removed it between our opening and our locking
                Ok(()) if is_at(&file, &path) => return Ok(Some(Claim { path, _file: file })),
                Ok(()) => {}
            }
        }
    }
}

/// A task that this process works on.
pub(crate) struct Claim {
    path: PathBuf,
    _file: File,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // while it is locked; what cannot be removed is in nobody's way
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |about: std::fs::Metadata| (about.dev(), about.ino());
    let (ours, there) = (file.metadata().map(place), std::fs::metadata(path).map(place));
    matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}
