//! What is to be removed, on a thread of its own: nobody who takes an image away should wait for each of its files. What a killed
//! process did not come to is in the ingest directory, and removed when the store is opened again.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::ingest::Session;

/// The thread that removes. When this goes, it first comes to its end.
pub(crate) struct Trash {
    heap: Arc<Heap>,
    thread: Mutex<Option<(Sender<Session>, JoinHandle<()>)>>,
}

/// How many sessions are to be removed yet.
#[derive(Default)]
struct Heap {
    left: Mutex<usize>,
    less: Condvar,
}

impl Trash {
    pub(crate) fn new() -> Self {
        let heap = Arc::<Heap>::default();
        let (sender, receiver) = channel();
        let own = Arc::clone(&heap);
        let started = thread::Builder::new().name("trash".into()).spawn(move || run(&own, &receiver));
        Self { heap, thread: Mutex::new(started.ok().map(|thread| (sender, thread))) }
    }

    /// Removes the session and all that is in it, soon.
    pub(crate) fn throw(&self, session: Session) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the thread it is removed here and now.
        if let Some((sender, _)) = &*thread {
            self.heap.add();
            if sender.send(session).is_err() {
                self.heap.done();
            }
        }
    }

    /// Waits until all that was thrown away is gone.
    pub(crate) fn settle(&self) {
        let mut left = self.heap.left.lock().unwrap_or_else(PoisonError::into_inner);
        while *left > 0 {
            left = self.heap.less.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Trash {
    fn drop(&mut self) {
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((sender, thread)) = thread {
            drop(sender);
            let _ = thread.join();
        }
    }
}

impl Heap {
    fn add(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn done(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.less.notify_all();
    }
}

fn run(heap: &Heap, thrown: &Receiver<Session>) {
    for session in thrown {
        drop(session);
        heap.done();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Ingest;

    #[test]
    fn what_is_thrown_away_is_gone_when_it_settled() {
        let dir = tempfile::tempdir().unwrap();
        let ingest = Ingest::open(dir.path().join("ingest")).unwrap();
        let trash = Trash::new();
        for _ in 0..3 {
            let session = ingest.session().unwrap();
            std::fs::write(session.path(), "x").unwrap();
            trash.throw(session);
        }
        trash.settle();
        assert_eq!(dir.path().join("ingest").read_dir().unwrap().count(), 0);
        trash.throw(ingest.session().unwrap());
        drop(trash);
        assert_eq!(dir.path().join("ingest").read_dir().unwrap().count(), 0);
    }
}
