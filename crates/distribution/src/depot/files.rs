//! Contents by digest, as an OCI image layout keeps them, and the directory of what is still being written.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::{Algorithm, Digest, digest_of_file};
use bytes::Bytes;

use crate::error::{Error, Result};

/// The directories of contents.
pub(crate) struct Files {
    blobs: PathBuf,
    uploads: PathBuf,
}

/// A file that is written, hashed and synced, and waits for its place. Goes when this does, unless it was moved.
#[derive(Debug)]
pub(crate) struct Spooled {
    path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // Moved to its place it is no longer here; what cannot be removed is at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Spooled {
    pub(crate) fn new(path: PathBuf, digest: Digest, size: u64) -> Self {
        Self { path, digest, size }
    }
}

impl Files {
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let files = Self { blobs: root.join("blobs"), uploads: root.join("uploads") };
        for algorithm in Algorithm::ALL {
            make_dir(&files.directory(algorithm))?;
        }
        sync_dir(&files.blobs)?;
        make_dir(&files.uploads)?;
        let layout = root.join("oci-layout");
        if !layout.exists() {
            fs::write(&layout, r#"{"imageLayoutVersion":"1.0.0"}"#)
                .map_err(|e| Error::call("cannot mark the data directory as an image layout", e))?;
        }
        files.clear_uploads()?;
        sync_dir(root)?;
        Ok(files)
    }

    /// Uploads end with the process that they went to.
    fn clear_uploads(&self) -> Result<()> {
        let failed = |e| Error::call("cannot remove unfinished uploads", e);
        for entry in fs::read_dir(&self.uploads).map_err(failed)? {
            fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
        }
        Ok(())
    }

    fn directory(&self, algorithm: Algorithm) -> PathBuf {
        self.blobs.join(algorithm.name())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory(digest.algorithm()).join(digest.hex())
    }

    /// Opens a content.
    pub(crate) fn content(&self, digest: &Digest) -> Result<File> {
        File::open(self.path(digest)).map_err(|e| Error::call(format!("cannot open {digest}"), e))
    }

    /// Reads a small content.
    pub(crate) fn read(&self, digest: &Digest) -> Result<Bytes> {
        let mut bytes = Vec::new();
        self.content(digest)?
            .take(crate::manifest::LONGEST as u64)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::call(format!("cannot read {digest}"), e))?;
        Ok(bytes.into())
    }

    /// A new file to write to; `name` is of our own making.
    pub(crate) fn begin(&self, name: &str) -> Result<(Arc<File>, PathBuf)> {
        let path = self.uploads.join(name);
        let file = File::options().create_new(true).read(true).write(true).open(&path);
        file.map(|file| (Arc::new(file), path))
            .map_err(|e| Error::call("cannot make a file for an upload", e))
    }

    /// Syncs a written file, so that it may get its place under a digest of this algorithm.
    pub(crate) fn finish(file: &File, mut spooled: Spooled, algorithm: Algorithm) -> Result<Spooled> {
        if spooled.digest.algorithm() != algorithm {
            spooled.digest = digest_of_file(algorithm, file)?.0;
        }
        file.sync_all().map_err(|e| Error::call("cannot store an upload", e))?;
        Ok(spooled)
    }

    /// Writes a small content, which has this digest.
    pub(crate) fn spool(&self, digest: Digest, bytes: &[u8]) -> Result<Spooled> {
        let (file, path) = self.begin(&random_name()?)?;
        let spooled = Spooled { path, digest, size: bytes.len() as u64 };
        (&*file)
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|e| Error::call("cannot store a manifest", e))?;
        Ok(spooled)
    }

    /// Moves a file to its place, also when there is one: that may be damaged, and this was hashed just now. Durable after
    /// [`sync`](Self::sync).
    pub(crate) fn place(&self, spooled: &Spooled) -> Result<()> {
        fs::rename(&spooled.path, self.path(&spooled.digest))
            .map_err(|e| Error::call(format!("cannot store {}", spooled.digest), e))
    }

    pub(crate) fn sync(&self, algorithm: Algorithm) -> Result<()> {
        sync_dir(&self.directory(algorithm))
    }

    /// Removes a content that no record names any more.
    pub(crate) fn remove(&self, digest: &Digest) -> Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::call(format!("cannot remove {digest}"), e))
            }
            _ => Ok(()),
        }
    }

    /// Every content that has a file.
    pub(crate) fn list(&self) -> Result<Vec<Digest>> {
        let mut all = Vec::new();
        for algorithm in Algorithm::ALL {
            let entries = fs::read_dir(self.directory(algorithm))
                .map_err(|e| Error::call("cannot list the contents", e))?;
            let digest = |entry: std::io::Result<fs::DirEntry>| {
                let name = entry.ok()?.file_name();
                format!("{}:{}", algorithm.name(), name.to_str()?).parse::<Digest>().ok()
            };
            all.extend(entries.filter_map(digest));
        }
        Ok(all)
    }
}

/// 16 random bytes.
pub(crate) fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::call("the kernel gives no random bytes", std::io::Error::other(e)))?;
    Ok(bytes)
}

fn random_name() -> Result<String> {
    Ok(crate::upload::UploadId::from_bytes(random()?).to_string())
}

/// Makes a directory, and what is missing above it, for us alone, and durably: what will be in it would be lost with its name.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    let new: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| Error::call(format!("cannot make the directory {}", path.display()), e))?;
    for parent in new.iter().filter_map(|new| new.parent()) {
        sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    }
    Ok(())
}

/// Makes renames within the directory durable.
fn sync_dir(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| Error::call(format!("cannot sync {}", path.display()), e))
}
