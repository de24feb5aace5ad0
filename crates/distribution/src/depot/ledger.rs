//! The one writer of records. Changes that wait at the same time share one transaction, one sync of the directory and one of the
//! records; each is all or nothing on its own. Because there is one writer, a change sees everything that was acknowledged before
//! it, and garbage collection is just another change (D07).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::digest::{Algorithm, Digest};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use types::Kind;

use super::files::{Files, Spooled};
use super::index;
use crate::code::{Code, Refusal};
use crate::error::{Error, Result, chain};

/// Most changes in one transaction.
const MOST_AT_ONCE: usize = 256;

type Job = Box<dyn FnOnce(&mut Batch<'_>) + Send>;
type Reply = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

pub(crate) struct Ledger {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What is written together.
pub(crate) struct Batch<'a> {
    db: &'a Connection,
    files: &'a Files,
    replies: Vec<Reply>,
    /// Files that got their place.
    placed: Vec<Digest>,
    /// One of the changes was taken back.
    failed: bool,
    /// Why there is no transaction, when there is none.
    broken: Option<Refusal>,
    /// Files whose records go.
    trash: Vec<Digest>,
}

impl Ledger {
    pub(crate) fn start(db: Connection, files: Arc<Files>) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(MOST_AT_ONCE);
        let thread =
            std::thread::Builder::new().name("ledger".to_owned()).spawn(move || write(&db, &files, jobs));
        let thread = thread.map_err(|e| Error::call("cannot start the thread that writes records", e))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has a change made; returns when it is durable.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Batch<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |batch| {
            let result = batch.atomically(change);
            // Nobody listens when the client has gone: the change was made all the same.
            let reply = move |committed: Result<(), Refusal>| {
                drop(tell.send(result.and_then(|done| committed.map(|()| done))));
            };
            batch.replies.push(Box::new(reply));
        });
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(job).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }
}

fn ended() -> Refusal {
    Refusal::new(Code::Unavailable, "the registry ends")
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(db: &Connection, files: &Files, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let begun = db.execute_batch("BEGIN IMMEDIATE").map_err(|e| told(&Error::from(e)));
        let mut batch = Batch {
            db,
            files,
            replies: Vec::new(),
            placed: Vec::new(),
            failed: false,
            broken: begun.err(),
            trash: Vec::new(),
        };
        first(&mut batch);
        while batch.replies.len() < MOST_AT_ONCE {
            match jobs.try_recv() {
                Ok(job) => job(&mut batch),
                Err(_) => break,
            }
        }
        let Batch { replies, placed, failed, broken, trash, .. } = batch;
        let committed = match broken {
            Some(refusal) => Err(refusal),
            None => commit(db, files, &placed).map_err(|error| told(&error)),
        };
        if committed.is_err() {
            let _ = db.execute_batch("ROLLBACK");
        } else {
            remove(files, &trash);
        }
        if failed || committed.is_err() {
            // Room may be what was missing.
            remove(files, &unrecorded(db, &placed));
        }
        for reply in replies {
            reply(committed.clone());
        }
    }
}

/// Those of the files that no record names.
fn unrecorded(db: &Connection, placed: &[Digest]) -> Vec<Digest> {
    // What the records do not tell stays, until the next start.
    placed.iter().filter(|digest| index::is_recorded(db, **digest).is_ok_and(|is| !is)).copied().collect()
}

fn commit(db: &Connection, files: &Files, placed: &[Digest]) -> Result<()> {
    let directories: BTreeSet<Algorithm> = placed.iter().map(Digest::algorithm).collect();
    directories.into_iter().try_for_each(|algorithm| files.sync(algorithm))?;
    db.execute_batch("COMMIT").map_err(|e| Error::database("cannot commit records", e))
}

/// Logs why, and what clients are told of it.
fn told(error: &Error) -> Refusal {
    tracing::error!(error = chain(error), "records could not be written");
    match error.kind() {
        Kind::Exhausted => Refusal::new(Code::Full, "the registry has no room left"),
        _ => Refusal::new(Code::Unknown, "the registry failed to write its records; its log says why"),
    }
}

fn remove(files: &Files, trash: &[Digest]) {
    for digest in trash {
        if let Err(error) = files.remove(digest) {
            tracing::warn!(error = chain(&error), "a file without a record stays until the next start");
        }
    }
}

impl Batch<'_> {
    fn atomically<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        if let Some(refusal) = &self.broken {
            return Err(refusal.clone());
        }
        let run = |text: &str| self.db.execute_batch(text).map_err(|e| Refusal::from(Error::from(e)));
        run("SAVEPOINT change")?;
        let kept = self.trash.len();
        let result = change(self);
        if let Err(refusal) = &result {
            self.failed = true;
            self.trash.truncate(kept);
            // A full disk may end the transaction at any statement, and a savepoint outside of one would be one of its own.
            if self.db.is_autocommit() {
                self.broken = Some(refusal.clone());
                return result;
            }
            run("ROLLBACK TO change")?;
        }
        run("RELEASE change")?;
        result
    }

    /// Takes back what this change did so far.
    pub(super) fn undo(&mut self) -> Result<()> {
        Ok(self.db.execute_batch("ROLLBACK TO change")?)
    }

    pub(super) fn files(&self) -> &Files {
        self.files
    }

    pub(super) fn db(&self) -> &Connection {
        self.db
    }

    /// Gives a file its place. In the same change its record is written.
    pub(super) fn place(&mut self, spooled: &Spooled) -> Result<()> {
        self.files.place(spooled)?;
        self.placed.push(spooled.digest);
        self.trash.retain(|digest| *digest != spooled.digest);
        Ok(())
    }

    /// Has a file removed once it is durable that its record is gone.
    pub(super) fn discard(&mut self, digest: Digest) {
        self.trash.push(digest);
    }
}
