//! Things on their way in. Everything is made in a session's own directory and renamed to its place when it is proven;
//! what a session leaves behind, also when its process was killed, is removed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use types::Digest;

use crate::durable;
use crate::error::{Error, Result};
use crate::space::Space;
use crate::stream::Hasher;
use crate::tree;

/// The directory `ingest` of the data root.
pub(crate) struct Ingest {
    dir: PathBuf,
    next: AtomicU64,
}

/// One load, import or removal. Its directory goes when it does.
pub(crate) struct Session {
    dir: PathBuf,
    next: AtomicU64,
}

/// A file that was written and hashed in a session.
#[derive(Clone, Debug)]
pub(crate) struct Spooled {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Ingest {
    /// Opens the directory and removes what killed sessions left.
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        durable::make_dir(&dir, 0o700)?;
        for entry in fs::read_dir(&dir).map_err(|e| Error::call("cannot list unfinished work", e))? {
            let entry = entry.map_err(|e| Error::call("cannot list unfinished work", e))?;
            tree::remove(&entry.path())?;
        }
        Ok(Self { dir, next: AtomicU64::new(0) })
    }

    pub(crate) fn session(&self) -> Result<Session> {
        let dir = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        durable::make_dir(&dir, 0o700)?;
        Ok(Session { dir, next: AtomicU64::new(0) })
    }
}

impl Session {
    /// A name in the session's directory that nobody else gets.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Ends the session, but leaves what is in it until the store is opened again.
    pub(crate) fn leave(self) {
        std::mem::forget(self);
    }

    /// Writes a stream to a file, hashing it. The file is not synced yet.
    pub(crate) fn spool(&self, input: &mut dyn Read, space: &mut Space) -> Result<Spooled> {
        let path = self.path();
        let mut file =
            File::create_new(&path).map_err(|e| Error::call("cannot make a file for the archive", e))?;
        let mut hasher = Hasher::new();
        let mut size = 0;
        let mut chunk = vec![0; 256 << 10];
        loop {
            let count = match input.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::stream("cannot read the archive", e)),
            };
            hasher.update(&chunk[..count]);
            file.write_all(&chunk[..count]).map_err(|e| Error::call("cannot store the archive", e))?;
            size += count as u64;
            space.wrote(count as u64)?;
        }
        Ok(Spooled { path, digest: hasher.finish(), size })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nothing to tell anybody here; what stays is removed when the store is opened again.
        let _ = tree::remove(&self.dir);
    }
}
