//! One process per data directory.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use types::Kind;

use crate::error::{Error, Result};

/// The directory is ours as long as this lives. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| Error::call(format!("cannot open {}", path.display()), e);
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let place = path.parent().unwrap_or(path).display();
            Error::new(Kind::Conflict, format!("another registry uses {place}"))
        })?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = Lock::take(&path).unwrap();
        assert_eq!(Lock::take(&path).unwrap_err().kind(), Kind::Conflict);
        drop(first);
        assert!(Lock::take(&path).is_ok());
    }
}
