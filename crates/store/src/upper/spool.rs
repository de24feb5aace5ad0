//! A file that is hashed and counted while it is written.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::ingest::Spooled;
use crate::space::Space;
use crate::stream::Hasher;

/// A new file in a session. Nothing is synced.
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    space: Space,
}

impl Spool {
    pub(crate) fn create(path: PathBuf, space: Space) -> Result<Self> {
        let file = File::create_new(&path).map_err(|e| Error::call("cannot make a file for a layer", e))?;
        Ok(Self { path, file, hasher: Hasher::new(), size: 0, space })
    }

    /// What was written.
    pub(crate) fn finish(self) -> Spooled {
        Spooled { path: self.path, digest: self.hasher.finish(), size: self.size }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        self.space.wrote(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
