//! Writing files whole or not at all.

use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file under a temporary name beside `path`, then moves it there: `path` holds the whole content or is as it was.
/// Missing folders are made.
///
/// # Errors
/// A folder or the file cannot be written; nothing is left half written then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
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
