//! Writing files whole or not at all. (Not in WebAssembly, which has no files.)

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes a file under a temporary name of its own beside `path`, then moves it there: `path` holds the whole content or is as it was,
/// whoever else writes it at the same time. Missing folders are made. A link is followed; a file that was there keeps its permissions.
///
/// # Errors
/// A folder or the file cannot be written, or `path` is something that is no file, such as a folder or a device; nothing is left half
/// written then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = followed(path).map_err(|e| Error::io("write", path, e))?;
    let before = std::fs::metadata(&target).ok();
    if before.as_ref().is_some_and(|about| !about.is_file()) {
        let value = format!("{}, which is no file", path.display());
        return Err(Error::argument("path", value, "it must name a file, or nothing yet"));
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    let write = || {
        let mut part = new_file(folder)?;
        part.write_all(bytes)?;
        if let Some(before) = &before {
            part.as_file().set_permissions(before.permissions())?;
        }
        part.persist(&target)?;
        Ok(())
    };
    write().map_err(|e| Error::io("write", path, e))
}

/// Where a chain of links ends; a path that is no link is its own end.
fn followed(path: &Path) -> std::io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&target) {
            Ok(next) => target = target.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(std::io::Error::other("too many links"))
}

/// As many as Linux follows.
const MOST_LINKS: usize = 40;

/// A new file with a name that nothing has; it goes when it is not moved. Its permissions are those of any new file.
fn new_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ntgram-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less the umask
    }
    builder.tempfile_in(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_stays_and_its_file_is_written_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("deep/file"), folder.path().join("link"));
        write_whole(&file, b"first").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink("deep/file", &link).unwrap();
        write_whole(&link, b"second").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"second");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        let dangling = folder.path().join("dangling");
        symlink("new", &dangling).unwrap();
        write_whole(&dangling, b"third").unwrap();
        assert!(dangling.is_symlink() && folder.path().join("new").is_file());
        symlink("loop", folder.path().join("loop")).unwrap();
        assert!(write_whole(&folder.path().join("loop"), b"x").is_err());
    }

    #[test]
    fn what_is_no_file_is_refused_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/null")] {
            let refused = write_whole(path, b"x").unwrap_err().to_string();
            assert!(refused.starts_with("`path` is "), "{refused}");
        }
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
        std::fs::write(folder.path().join("file"), b"").unwrap();
        assert!(write_whole(&folder.path().join("file/below"), b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_writers_of_one_path_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content = |k: u8| vec![k; 100_000];
        std::thread::scope(|scope| {
            for k in 0..4 {
                let path = &path;
                scope.spawn(move || (0..100).for_each(|_| write_whole(path, &content(k)).unwrap()));
            }
        });
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes, content(bytes[0]));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
