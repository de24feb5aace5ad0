//! Taking turns at work that keeps a processor busy.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// So many at once, the others wait.
pub(crate) struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One's turn, until it is dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    /// One for each processor, and as many as layers come at once: one unpacks while others wait for the network or the disk.
    pub(crate) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self { free: Mutex::new(processors.clamp(3, 8)), freed: Condvar::new() }
    }

    pub(super) fn wait(&self) -> Turn<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
