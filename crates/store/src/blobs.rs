//! Blobs by digest, as an OCI image layout keeps them: `blobs/sha256/<hex>` (image-spec, image-layout.md).

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use types::{Digest, Kind};

use crate::durable;
use crate::error::{Error, Result};
use crate::ingest::Spooled;
use crate::stream::digest_of;

/// The directory `blobs/sha256`.
pub(crate) struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        durable::make_dir(&dir, 0o700)?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.hex())
    }

    /// The blob's length, when it is there.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.path(digest)).ok().filter(fs::Metadata::is_file).map(|m| m.len())
    }

    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<File> {
        File::open(self.path(digest)).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::new(Kind::NotFound, format!("blob {digest} is not in the store"))
            }
            _ => Error::call(format!("cannot open blob {digest}"), e),
        })
    }

    /// A small document, checked against its digest.
    pub(crate) fn document(&self, digest: &Digest, most: u64) -> Result<Vec<u8>> {
        let bytes = read_document(self.open_blob(digest)?, most, &format!("blob {digest}"))?;
        if digest_of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(Error::corrupt(format!(
                "blob {digest} in the store is damaged: its content has another digest"
            )))
        }
    }

    /// Moves a spooled file to its place, also when there is one: that may be damaged, and this was hashed just now. The directory
    /// is synced by `sync`, once for many.
    pub(crate) fn commit(&self, spooled: &Spooled) -> Result<()> {
        let moved = !spooled.path.exists() && self.size(&spooled.digest) == Some(spooled.size);
        // Another image of the same archive has it too, or it was the store's to begin with.
        if moved || spooled.path == self.path(&spooled.digest) {
            return Ok(());
        }
        let fail = |e| Error::call(format!("cannot store blob {}", spooled.digest), e);
        File::open(&spooled.path).and_then(|file| file.sync_all()).map_err(fail)?;
        fs::rename(&spooled.path, self.path(&spooled.digest)).map_err(fail)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        durable::sync_dir(&self.dir)
    }

    /// Every digest that is there.
    pub(crate) fn list(&self) -> Result<Vec<Digest>> {
        let entries = fs::read_dir(&self.dir).map_err(|e| Error::call("cannot list the blobs", e))?;
        let digests = entries.filter_map(|entry| {
            let name = entry.ok()?.file_name();
            format!("sha256:{}", name.to_str()?).parse().ok()
        });
        Ok(digests.collect())
    }

    /// Moves the blob away, to `trash`.
    pub(crate) fn remove(&self, digest: &Digest, trash: &Path) -> Result<()> {
        match fs::rename(self.path(digest), trash) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::call(format!("cannot remove blob {digest}"), e))
            }
            _ => Ok(()),
        }
    }
}

/// Reads a document that must not be longer than `most` bytes.
pub(crate) fn read_document(input: impl Read, most: u64, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::call(format!("cannot read {what}"), e))?;
    if bytes.len() as u64 > most {
        return Err(Error::invalid(format!(
            "{what} is longer than the {most} bytes that a document may have"
        )));
    }
    Ok(bytes)
}
