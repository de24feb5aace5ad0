//! What the registry keeps, and how nothing acknowledged is lost: files by digest, records of who may see them, uploads on their way.
//!
//! ```text
//! DATA/lock             one process at a time
//! DATA/blobs/sha256/…   every content once (OCI image layout); blobs/sha512/… likewise
//! DATA/uploads/…        what is still being written; emptied at every start
//! DATA/ballast          room for the day on which there is none
//! DATA/records.sqlite   repositories, links, manifests, tags: the only authority for what is where (D03)
//! ```
//!
//! A file is written, synced and renamed before the record that names it; a record goes before its file. So what is between the two
//! when the process is killed is a file without a record, and the next start removes it.

mod ballast;
mod change;
mod check;
mod collect;
mod files;
mod index;
mod ledger;
mod lock;
mod recent;
mod schema;
mod uploads;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::digest::Digest;
use bytes::Bytes;

pub(crate) use change::NewManifest;
pub(crate) use check::Checked;
pub(crate) use collect::{Collected, Sweep};
pub(crate) use files::random;
pub(crate) use index::{
    Found, Page, Referrer, blob, holder, leased, manifest, needed_size, referrers, repositories, tags,
};
pub(crate) use uploads::{Held, Limits, Uploads};

use crate::code::{Code, Refusal};
use crate::error::{Error, Result};
use ballast::Ballast;
use files::Files;
use index::Readers;
use ledger::{Batch, Ledger};
use lock::Lock;
use recent::Recent;

/// A data directory, open.
pub(crate) struct Depot {
    files: Arc<Files>,
    readers: Readers,
    ledger: Ledger,
    recent: Recent,
    ballast: Ballast,
    _lock: Lock,
}

impl Depot {
    /// Opens or makes the directory; what killed processes left unfinished is removed.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        files::make_dir(root)?;
        let lock = Lock::take(&root.join("lock"))?;
        let files = Arc::new(Files::open(root)?);
        let records = root.join("records.sqlite");
        let ballast = Ballast::open(root.join("ballast"));
        let writer = schema::open(&records).or_else(|e| match ballast.throw() {
            true => schema::open(&records),
            false => Err(e),
        })?;
        index::sweep_unrecorded(&writer, &files)?;
        Ok(Self {
            readers: Readers::new(records),
            ledger: Ledger::start(writer, files.clone())?,
            files,
            recent: Recent::default(),
            ballast,
            _lock: lock,
        })
    }

    /// Files, for who writes new ones.
    pub(crate) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Looks something up.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&rusqlite::Connection) -> Result<T>) -> Result<T> {
        self.readers.with(look)
    }

    /// Changes records: all of it or nothing, and durable when this returns.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Batch<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.ledger.change(change).await
    }

    /// As [`change`](Self::change), for changes that take no room in the end: on a full disk, what was kept for them is given.
    pub(crate) async fn relieve<T: Send + 'static>(
        &self,
        change: impl Fn(&mut Batch<'_>) -> Result<T, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Refusal> {
        let done = match self.change(change.clone()).await {
            Err(refusal) if refusal.code == Code::Full && self.ballast.throw() => self.change(change).await,
            done => done,
        };
        self.ballast.fill();
        done
    }

    /// A small document's content, from memory when it was read lately.
    pub(crate) async fn document(&self, digest: Digest) -> Result<Bytes> {
        if let Some(bytes) = self.recent.get(&digest) {
            return Ok(bytes);
        }
        let files = self.files.clone();
        let bytes = blocking(move || files.read(&digest)).await?;
        if Digest::of(digest.algorithm(), &bytes) != digest {
            return Err(Error::damaged(digest));
        }
        self.recent.put(digest, bytes.clone());
        Ok(bytes)
    }
}

/// Runs what may wait for the disk beside the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            Err(crate::error::Error::call("work on files ended in a fault", std::io::Error::other(error)))
        }
    }
}

/// Now, in seconds of the epoch, as leases count.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
