//! Moves the database's log into the database on a thread of its own: that syncs, and nobody who stores a record should wait
//! for the disk.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::Connection;

/// Changes between two checkpoints.
const CHANGES: u32 = 256;

/// The thread that checkpoints. It ends when this is dropped.
pub(crate) struct Checkpoints {
    wake: SyncSender<()>,
    changes: AtomicU32,
}

impl Checkpoints {
    /// Takes the work over from `writer`, when a thread and a connection for it can be had; else the writer goes on doing
    /// it by itself.
    pub(crate) fn start(path: &Path, writer: &Connection) -> Option<Self> {
        let own = Connection::open(path).ok()?;
        let (wake, woken) = sync_channel(1);
        let run = move || run(&own, &woken);
        thread::Builder::new().name("checkpoint".into()).spawn(run).ok()?;
        writer.pragma_update(None, "wal_autocheckpoint", 0).ok()?;
        Some(Self { wake, changes: AtomicU32::new(0) })
    }

    /// To be told of every change.
    pub(crate) fn changed(&self) {
        if self.changes.fetch_add(1, Ordering::Relaxed) % CHANGES == CHANGES - 1 {
            // A full channel: it is about to run anyway.
            let _ = self.wake.try_send(());
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        // What one run cannot do, because a reader is in the way or the disk is full, the next one does.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}
