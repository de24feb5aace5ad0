//! A little room kept for the day on which somebody else filled the disk: removing things must still work then, and even that
//! writes a little first.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use types::Kind;

use crate::error::{Error, Result};

const BYTES: u64 = 1 << 20;

/// The file `ballast` of the data root.
#[derive(Clone, Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
    /// It was thrown off, and is to be made again as soon as there is room.
    missing: Arc<AtomicBool>,
}

impl Ballast {
    /// Makes the file when there is room for it.
    pub(crate) fn open(path: PathBuf) -> Self {
        let whole = fs::metadata(&path).is_ok_and(|m| m.len() == BYTES);
        let ballast = Self { path, missing: Arc::new(AtomicBool::new(!whole)) };
        ballast.fill();
        ballast
    }

    /// Does the work; when the disk is full, throws the ballast off and does it once more.
    pub(crate) fn relieve<T>(&self, work: impl Fn() -> Result<T>) -> Result<T> {
        let is_full = |e: &Error| e.kind() == Kind::Exhausted;
        let done = match work() {
            Err(e) if is_full(&e) && fs::remove_file(&self.path).is_ok() => {
                self.missing.store(true, Ordering::Relaxed);
                work()
            }
            done => done,
        };
        self.fill();
        done
    }

    fn fill(&self) {
        if !self.missing.load(Ordering::Relaxed) {
            return;
        }
        let filled = File::create(&self.path).is_ok_and(|file| {
            let keep = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&file, keep, 0, BYTES).is_ok()
        });
        if filled {
            self.missing.store(false, Ordering::Relaxed);
        } else {
            // No room for it is no failure: it is tried again after the next change.
            let _ = fs::remove_file(&self.path);
        }
    }
}
