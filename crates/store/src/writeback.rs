//! Bringing to the disk what was written while there is more to write: the sync at the end is the one that counts, and has little left to do.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Batches that wait. With more, the disk is the slowest of all, and what is not begun here is left to the end.
const DEPTH: usize = 8;
/// A batch is full with so many pieces, or bytes.
const PIECES: usize = 16;
const BYTES: u64 = 2 << 20;

/// The thread that begins it. It ends when this goes.
pub(crate) struct Writeback(Option<SyncSender<Job>>);

/// What one writer leaves behind it. When it goes, nobody has any of its files open any more.
pub(crate) struct Trail {
    writeback: Arc<Writeback>,
    pieces: Vec<Piece>,
    bytes: u64,
}

/// A part of a file.
struct Piece {
    file: OwnedFd,
    offset: u64,
    length: u64,
}

enum Job {
    Begin(Vec<Piece>),
    /// All that was asked for before is done when the other end hears of it.
    Tell(SyncSender<()>),
}

impl Writeback {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = sync_channel(DEPTH);
        let started = thread::Builder::new().name("writeback".into()).spawn(move || run(&receiver));
        // Without the thread, all is left to the end.
        Self(started.is_ok().then_some(sender))
    }
}

impl Trail {
    pub(crate) fn new(writeback: Arc<Writeback>) -> Self {
        Self { writeback, pieces: Vec::with_capacity(PIECES), bytes: 0 }
    }

    /// So much of the file was written. Never waits for the disk.
    pub(crate) fn add(&mut self, file: OwnedFd, offset: u64, length: u64) {
        self.bytes += length;
        self.pieces.push(Piece { file, offset, length });
        if self.pieces.len() == PIECES || self.bytes >= BYTES {
            let full = std::mem::replace(&mut self.pieces, Vec::with_capacity(PIECES));
            self.bytes = 0;
            if let Some(sender) = &self.writeback.0 {
                let _ = sender.try_send(Job::Begin(full));
            }
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        let (told, heard) = sync_channel(1);
        let asked = self.writeback.0.as_ref().is_some_and(|sender| sender.send(Job::Tell(told)).is_ok());
        if asked {
            let _ = heard.recv();
        }
    }
}

fn run(jobs: &Receiver<Job>) {
    for job in jobs {
        match job {
            // What goes wrong, the sync at the end is told.
            Job::Begin(pieces) => pieces.iter().for_each(|piece| {
                let _ = sys::writeback::begin(&piece.file, piece.offset, piece.length);
            }),
            Job::Tell(told) => drop(told.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn file() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_busy_disk_holds_up_nobody() {
        let (sender, receiver) = sync_channel(DEPTH);
        let mut trail = Trail::new(Arc::new(Writeback(Some(sender))));
        for _ in 0..PIECES * (DEPTH + 3) {
            trail.add(file(), 0, 1);
        }
        assert_eq!(receiver.try_iter().count(), DEPTH);
        drop(receiver);
    }

    #[test]
    fn batches_end_by_bytes_too_and_nothing_is_open_after() {
        let (sender, receiver) = sync_channel(DEPTH);
        let mut trail = Trail::new(Arc::new(Writeback(Some(sender))));
        let (held, file) = std::io::pipe().unwrap();
        trail.add(file.into(), 0, BYTES);
        let thread = thread::spawn(move || run(&receiver));
        drop(trail);
        // The other end was closed.
        assert_eq!(std::io::read_to_string(held).unwrap(), "");
        thread.join().unwrap();
    }
}
