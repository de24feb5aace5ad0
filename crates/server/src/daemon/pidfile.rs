//! The pid file: one daemon per exec root.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use types::Kind;

use crate::error::{Error, Result};

/// A pid file that is ours as long as this lives. The lock counts, not the file: a killed daemon leaves no trace that
/// matters.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    _lock: File,
}

impl PidFile {
    /// Locks the file and writes our pid into it.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let kind = if error.kind() == std::io::ErrorKind::PermissionDenied {
                Kind::Forbidden
            } else {
                Kind::Internal
            };
            Error::new(kind, format!("cannot write the pid file {}: {error}", path.display()))
        };
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let pid = fs::read_to_string(path).unwrap_or_default();
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "another daemon (pid {}) has {}: stop it, or give this one other roots",
                    pid.trim(),
                    path.display()
                ),
            ));
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: file })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/daemon.pid");
        let first = PidFile::take(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let refused = PidFile::take(&path).unwrap_err();
        assert!(
            refused.kind() == Kind::Conflict && refused.to_string().contains(&std::process::id().to_string())
        );
        drop(first);
        assert!(!path.exists() && PidFile::take(&path).is_ok());
    }
}
