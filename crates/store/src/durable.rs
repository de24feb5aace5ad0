//! Files that are whole or not there: temporary name, fsync, rename, fsync of the directory.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// How a file is called that is not whole yet.
pub(crate) const UNFINISHED: &str = "new";

/// Writes `bytes` to `path`; after a crash the file has its old or its new content.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |e| Error::call(format!("cannot write {}", path.display()), e);
    let temporary = path.with_extension(UNFINISHED);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(e) = written.and_then(|()| fs::rename(&temporary, path)) {
        let _ = fs::remove_file(&temporary);
        return Err(fail(e));
    }
    sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// Removes the files in the directory that were not whole when their process or the machine died.
pub(crate) fn remove_unfinished(dir: &Path) -> Result<()> {
    let fail = |e| Error::call(format!("cannot tidy {}", dir.display()), e);
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) && path.is_file() {
            fs::remove_file(&path).map_err(fail)?;
        }
    }
    Ok(())
}

/// Makes renames and removals within the directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| Error::call(format!("cannot sync {}", path.display()), e))
}

/// Makes the directory (and what is missing above it) with that mode, whatever the umask is.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(|e| Error::call(format!("cannot make the directory {}", path.display()), e))
}
