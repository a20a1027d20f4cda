//! What libtorch refuses, as an [`Error`].

use tch::TchError;

use crate::error::{Error, Result};

/// A result of tch, as this crate's.
pub(crate) trait Torch<T> {
    /// The value.
    ///
    /// # Errors
    /// What libtorch says: its first line, without the C++ call stack that follows.
    fn torch(self) -> Result<T>;
}

impl<T> Torch<T> for std::result::Result<T, TchError> {
    fn torch(self) -> Result<T> {
        self.map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Error::other(format!("libtorch: {first}"))
        })
    }
}
