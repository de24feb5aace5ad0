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
    /// Directories in which a file got its place.
    moved: BTreeSet<Algorithm>,
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
            batch.replies.push(Box::new(move |committed| drop(tell.send(committed.and(result)))));
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
        let mut batch = Batch { db, files, replies: Vec::new(), moved: BTreeSet::new(), trash: Vec::new() };
        let begun = db.execute_batch("BEGIN IMMEDIATE").map_err(Error::from);
        first(&mut batch);
        while batch.replies.len() < MOST_AT_ONCE {
            match jobs.try_recv() {
                Ok(job) => job(&mut batch),
                Err(_) => break,
            }
        }
        let Batch { replies, moved, trash, .. } = batch;
        let committed = begun.and_then(|()| commit(db, files, &moved));
        if let Err(error) = &committed {
            tracing::error!(error = chain(error), "records could not be written");
            let _ = db.execute_batch("ROLLBACK");
        } else {
            remove(files, &trash);
        }
        for reply in replies {
            reply(committed.as_ref().copied().map_err(refusal));
        }
    }
}

fn commit(db: &Connection, files: &Files, moved: &BTreeSet<Algorithm>) -> Result<()> {
    moved.iter().try_for_each(|algorithm| files.sync(*algorithm))?;
    db.execute_batch("COMMIT").map_err(|e| Error::database("cannot commit records", e))
}

fn refusal(error: &Error) -> Refusal {
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
        let run = |text: &str| self.db.execute_batch(text).map_err(|e| Refusal::from(Error::from(e)));
        run("SAVEPOINT change")?;
        let kept = self.trash.len();
        let result = change(self);
        if result.is_err() {
            self.trash.truncate(kept);
            self.db.execute_batch("ROLLBACK TO change").map_err(Error::from)?;
        }
        self.db.execute_batch("RELEASE change").map_err(Error::from)?;
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
        self.moved.insert(spooled.digest.algorithm());
        self.trash.retain(|digest| *digest != spooled.digest);
        Ok(())
    }

    /// Has a file removed once it is durable that its record is gone.
    pub(super) fn discard(&mut self, digest: Digest) {
        self.trash.push(digest);
    }
}
