//! The crate's one error type. Every message says which argument was wrong, what it was, and what
//! it may be; nothing in this crate panics on what a user passes in.

use std::path::{Path, PathBuf};

/// Why a call was refused or failed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has a value that the function cannot work with. Nothing was done.
    #[error("`{argument}` is {value}, but {expected}")]
    Argument {
        /// The argument, by the name it has in the function's signature or options struct.
        argument: &'static str,
        /// What was passed.
        value: String,
        /// What may be passed instead.
        expected: String,
    },
    /// A file could not be read or written. A file that could not be written in full is not there.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: "read", "write", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file was read but is not what it should be.
    #[error("{} is not a usable {expected}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A loss was no longer a finite number. The model keeps its last weights.
    #[error("the loss of step {step} is not a finite number; `{parameter}` grew most: try a smaller learning rate")]
    Diverged {
        /// The step, from 0.
        step: usize,
        /// The parameter with the largest (or a not finite) value.
        parameter: String,
        /// Losses and accuracies up to that step.
        history: Box<crate::train::History>,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Tensor(#[from] tch::TchError),
    /// A table could not be built, read or written.
    #[error("table: {0}")]
    Table(#[from] polars::error::PolarsError),
    /// A figure could not be drawn.
    #[error("figure: {0}")]
    Figure(String),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The message, as [`Display`](std::fmt::Display) has it: a notebook shows the error of a cell's `?` by `Debug`.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// An [`Error::Argument`]: `expected` completes the sentence "`argument` is `value`, but …".
    pub(crate) fn argument(argument: &'static str, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Argument { argument, value: value.to_string(), expected: expected.into() }
    }

    /// An [`Error::Io`] on `path`.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// An index must be below `size`.
pub(crate) fn check_index(argument: &'static str, value: usize, size: usize) -> Result<()> {
    if value < size {
        return Ok(());
    }
    Err(Error::argument(argument, value, format!("it must be from 0 to {}", size - 1)))
}

/// Writes a file under a temporary name beside `path`, then moves it there: `path` holds the whole content or is as it was.
/// Missing folders are made.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&part);
        Error::io("write", path, e)
    })
}
