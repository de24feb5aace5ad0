//! A little room kept for the day on which the disk is full: deleting and collecting must still work then, and even that writes
//! records first.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, fallocate};

/// Enough for any one change of the records.
const BYTES: u64 = 1 << 20;

/// The file `ballast` of the data directory.
pub(super) struct Ballast {
    path: PathBuf,
    /// It is to be made as soon as there is room.
    missing: AtomicBool,
}

impl Ballast {
    pub(super) fn open(path: PathBuf) -> Self {
        let whole = fs::metadata(&path).is_ok_and(|about| about.len() == BYTES);
        let ballast = Self { path, missing: AtomicBool::new(!whole) };
        ballast.fill();
        ballast
    }

    /// Gives its room away. False when that was done already.
    pub(super) fn throw(&self) -> bool {
        self.missing.store(true, Ordering::Relaxed);
        fs::remove_file(&self.path).is_ok()
    }

    /// Takes its room again, if it was given away and there is enough.
    pub(super) fn fill(&self) {
        if !self.missing.load(Ordering::Relaxed) {
            return;
        }
        let filled = File::create(&self.path)
            .is_ok_and(|file| fallocate(&file, FallocateFlags::empty(), 0, BYTES).is_ok());
        if filled {
            self.missing.store(false, Ordering::Relaxed);
        } else {
            // Tried again after the next change of this kind.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ballast");
        let ballast = Ballast::open(path.clone());
        assert_eq!(fs::metadata(&path).unwrap().len(), BYTES);
        assert!(ballast.throw() && !ballast.throw());
        ballast.fill();
        assert_eq!(fs::metadata(&path).unwrap().len(), BYTES);
    }
}
