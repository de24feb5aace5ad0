//! Uploads on their way: a file, the hash of what is in it, and how much that is. They end with the process: a client whose upload is
//! unknown begins again, as the specification has it.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::digest::{Algorithm, Digest, Hasher};
use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;
use types::weak;

use super::blocking;
use super::files::{Files, Spooled, random};
use crate::code::{Code, Refusal};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::upload::{self, UploadId};

/// How much may be on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Uploads at the same time.
    pub(crate) most: usize,
    /// Their bytes together.
    pub(crate) bytes: u64,
    /// How long one may lie without news.
    pub(crate) expiry: Duration,
}

/// All uploads of this registry.
pub(crate) struct Uploads {
    files: Arc<Files>,
    limits: Limits,
    open: Mutex<HashMap<UploadId, Arc<Upload>>>,
    /// Bytes of all of them.
    bytes: Arc<AtomicU64>,
}

struct Upload {
    name: Name,
    touched: Mutex<Instant>,
    writing: Arc<tokio::sync::Mutex<Writing>>,
}

/// What an upload has so far. One request at a time has it.
pub(crate) struct Writing {
    id: UploadId,
    file: Option<(Arc<File>, PathBuf)>,
    hasher: Hasher,
    offset: u64,
    /// Bytes of all uploads, these included.
    bytes: Arc<AtomicU64>,
}

/// An upload in the hands of one request.
pub(crate) type Held = OwnedMutexGuard<Writing>;

impl Uploads {
    pub(crate) fn new(files: Arc<Files>, limits: Limits) -> Self {
        Self { files, limits, open: Mutex::default(), bytes: Arc::default() }
    }

    /// Begins an upload whose digest will most likely be of this algorithm.
    pub(crate) fn start(&self, name: &Name, algorithm: Algorithm) -> Result<UploadId, Refusal> {
        let mut open = self.table();
        if open.len() >= self.limits.most {
            let message = format!("{} uploads are open already: try again later", self.limits.most);
            return Err(Refusal::new(Code::TooManyRequests, message).header("Retry-After", "5"));
        }
        let id = UploadId::from_bytes(random()?);
        let upload = Upload {
            name: name.clone(),
            touched: Mutex::new(Instant::now()),
            writing: Arc::new(tokio::sync::Mutex::new(Writing::new(id, algorithm, self.bytes.clone()))),
        };
        open.insert(id, Arc::new(upload));
        Ok(id)
    }

    /// Takes an upload in hand. Another request that has it is a conflict: chunks come one after the other.
    pub(crate) fn hold(&self, name: &Name, id: UploadId) -> Result<Held, Refusal> {
        let upload = self.table().get(&id).filter(|upload| upload.name == *name).cloned();
        let upload = upload.ok_or_else(upload::unknown)?;
        upload.touch();
        upload.writing.clone().try_lock_owned().map_err(|_| {
            let message = "another request is writing to this upload: chunks come one after the other";
            let mut refusal = Refusal::new(Code::BlobUploadInvalid, message);
            refusal.status = Some(hyper::StatusCode::CONFLICT);
            refusal
        })
    }

    /// An upload that no client names: for a blob that comes in one request, or from another registry.
    pub(crate) async fn unnamed(&self, algorithm: Algorithm) -> Result<Held, Refusal> {
        let writing = Writing::new(UploadId::from_bytes(random()?), algorithm, self.bytes.clone());
        Ok(Arc::new(tokio::sync::Mutex::new(writing)).lock_owned().await)
    }

    /// Appends to an upload.
    pub(crate) async fn append(&self, mut held: Held, bytes: Bytes) -> Result<Held, Refusal> {
        let wanted = self.bytes.load(Ordering::Relaxed).saturating_add(bytes.len() as u64);
        if wanted > self.limits.bytes {
            let message = "unfinished uploads take all the room that they may: try again later";
            return Err(Refusal::new(Code::TooManyRequests, message).header("Retry-After", "30"));
        }
        let files = self.files.clone();
        let id = held.id;
        let held = blocking(move || held.write(&files, &bytes).map(|()| held)).await?;
        if let Some(upload) = self.table().get(&id) {
            upload.touch();
        }
        Ok(held)
    }

    /// Ends an upload that has all its bytes: its file is synced and waits for its place.
    pub(crate) async fn finish(&self, mut held: Held, wanted: Digest) -> Result<Spooled, Refusal> {
        self.table().remove(&held.id);
        let files = self.files.clone();
        let spooled = blocking(move || held.finish(&files, wanted.algorithm())).await?;
        if spooled.digest == wanted || weak::is_off("D06") {
            return Ok(spooled);
        }
        let message = format!("the upload is {}, not {wanted}: it was thrown away", spooled.digest);
        Err(Refusal::new(Code::DigestInvalid, message))
    }

    /// Throws an upload away.
    pub(crate) fn cancel(&self, held: &Held) {
        self.table().remove(&held.id);
    }

    /// Throws away what nobody has touched for long; how many those were.
    pub(crate) fn expire(&self) -> usize {
        let mut open = self.table();
        let before = open.len();
        open.retain(|_, upload| {
            let idle = upload.touched.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            idle < self.limits.expiry || upload.writing.try_lock().is_err()
        });
        before - open.len()
    }

    /// How many there are, and their bytes.
    pub(crate) fn count(&self) -> (usize, u64) {
        (self.table().len(), self.bytes.load(Ordering::Relaxed))
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Writing {
    fn new(id: UploadId, algorithm: Algorithm, bytes: Arc<AtomicU64>) -> Self {
        Self { id, file: None, hasher: Hasher::new(algorithm), offset: 0, bytes }
    }

    /// The digest will be of this algorithm. Known before the first byte, it costs nothing; later the file is read once more.
    pub(crate) fn expect(&mut self, algorithm: Algorithm) {
        if self.offset == 0 {
            self.hasher = Hasher::new(algorithm);
        }
    }

    /// The file, once something was written.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.file.as_ref().map(|(file, _)| file.clone())
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes behind what is there. After a failure the upload is as it was before.
    fn write(&mut self, files: &Files, bytes: &[u8]) -> Result<()> {
        if self.file.is_none() {
            self.file = Some(files.begin(&self.id.to_string())?);
        }
        if let Some((file, _)) = &self.file
            && let Err(e) = file.write_all_at(bytes, self.offset)
        {
            let _ = file.set_len(self.offset);
            return Err(Error::call("cannot store an upload", e));
        }
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn finish(&mut self, files: &Files, algorithm: Algorithm) -> Result<Spooled> {
        self.write(files, &[])?;
        let (file, path) = self
            .file
            .take()
            .ok_or_else(|| Error::call("an upload has no file", std::io::Error::other("gone")))?;
        self.bytes.fetch_sub(self.offset, Ordering::Relaxed);
        let size = std::mem::take(&mut self.offset);
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(algorithm));
        let spooled = Spooled::new(path, hasher.finish(), size);
        Files::finish(&file, spooled, algorithm)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.offset, Ordering::Relaxed);
        if let Some((_, path)) = &self.file {
            // What cannot be removed now is at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}
