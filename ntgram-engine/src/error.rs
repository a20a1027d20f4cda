//! The one error type of all crates. Every message says which argument was wrong, what it was, and what it may be; nothing here
//! panics on what a user passes in.

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
    /// A loss, or a value after the last step, was no longer finite. The model keeps its last weights.
    #[error("the training diverged at step {step}; the largest value is in `{parameter}`: try a smaller learning rate")]
    Diverged {
        /// The step, from 0.
        step: usize,
        /// The parameter with the largest (or a not finite) value.
        parameter: String,
        /// Loss of each batch up to that step, nats.
        loss: Vec<f64>,
        /// Accuracy of each batch up to that step.
        accuracy: Vec<f64>,
    },
    /// Another library failed: libtorch, polars, plotters, … The message begins with its name.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
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
    /// An [`Error::Argument`]: `expected` completes the sentence "`argument` is `value`, but …". Of long ones the middle is left out.
    pub fn argument(argument: &'static str, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Argument { argument, value: shortened(&value.to_string()), expected: shortened(&expected.into()) }
    }

    /// An [`Error::File`] on `path`. Of a long `reason` the middle is left out.
    pub fn file(path: &Path, expected: &'static str, reason: &str) -> Self {
        Self::File { path: path.to_owned(), expected, reason: shortened(reason) }
    }

    /// An [`Error::Io`] on `path`.
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// An [`Error::Other`]: what another library says, or a message.
    ///
    /// ```
    /// use ntgram_engine::{Error, Result};
    /// fn parsed(text: &str) -> Result<f64> {
    ///     text.parse().map_err(|e| Error::other(format!("{text:?}: {e}")))
    /// }
    /// assert_eq!(parsed("two").unwrap_err().to_string(), "\"two\": invalid float literal");
    /// ```
    pub fn other(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(reason.into())
    }
}

/// Longest part of a message, in characters: what was passed may be a novel, and what may be passed a list of a thousand names.
const LONGEST: usize = 600;

/// In one line, and of a long text its start and its end.
fn shortened(text: &str) -> String {
    let line = text.split(['\n', '\r']).collect::<Vec<_>>().join(" ");
    let count = line.chars().count();
    if count <= LONGEST {
        return line;
    }
    let end = |back: usize| line.char_indices().nth(count - back).map_or(line.len(), |(at, _)| at);
    let start = line.char_indices().nth(LONGEST / 2).map_or(0, |(at, _)| at);
    format!("{} … {}", &line[..start], &line[end(LONGEST / 2)..])
}

/// An index must be below `size`.
///
/// # Errors
/// It is not; the message says from where to where it may be.
pub fn check_index(argument: &'static str, value: usize, size: usize) -> Result<()> {
    if value < size {
        return Ok(());
    }
    let expected = if size == 0 { "there is none".to_owned() } else { format!("it must be from 0 to {}", size - 1) };
    Err(Error::argument(argument, value, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_told_by_their_ends_and_in_one_line() {
        let message = Error::argument("name", "a\nb", "é".repeat(5000) + "end").to_string();
        assert!(message.starts_with("`name` is a b, but ééé") && message.ends_with("éend"), "{message}");
        assert!(message.chars().count() < 700);
        let exact = "x".repeat(LONGEST);
        assert!(Error::file(Path::new("f"), "file", &exact).to_string().ends_with(&exact));
    }
}
