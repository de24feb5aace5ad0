//! Room on the data root's file system: asked before and while writing much.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use types::Kind;

use crate::error::{Error, Result};
use crate::trash::Trash;

/// Between two looks at the file system, at most this many bytes are written.
const STRIDE: u64 = 16 << 20;
/// What a file takes beside its bytes.
const FILE: u64 = 4096;
/// Files that loads leave room for.
const RESERVE_FILES: u64 = 1024;

/// Watches that the reserve stays free.
#[derive(Clone)]
pub(crate) struct Space {
    root: Arc<OwnedFd>,
    trash: Arc<Trash>,
    reserve: u64,
    unchecked: u64,
}

impl Space {
    pub(crate) fn new(root: Arc<OwnedFd>, trash: Arc<Trash>, reserve: u64) -> Self {
        Self { root, trash, reserve, unchecked: 0 }
    }

    /// Fails unless `bytes` more fit beside the reserve. What is being removed is waited for before there is said to be no room.
    pub(crate) fn require(&self, bytes: u64) -> Result<()> {
        self.look(bytes).or_else(|_| {
            self.trash.settle();
            self.look(bytes)
        })
    }

    fn look(&self, bytes: u64) -> Result<()> {
        let stat =
            rustix::fs::fstatvfs(&*self.root).map_err(|e| Error::call("cannot ask for free space", e))?;
        if stat.f_files > 0 && stat.f_favail < RESERVE_FILES {
            let what =
                "the data root's file system has no room for more files (inodes); remove some and try again";
            return Err(Error::new(Kind::Exhausted, what));
        }
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free >= bytes.saturating_add(self.reserve) {
            return Ok(());
        }
        let (need, free) = (types::print_bytes(bytes), types::print_bytes(free));
        let reserve = types::print_bytes(self.reserve);
        Err(Error::new(
            Kind::Exhausted,
            format!(
                "not enough disk space in the data root: {need} more wanted, {free} free, of which {reserve} stay reserved; free some space and try again"
            ),
        ))
    }

    /// To be told of every write; looks at the file system now and then.
    pub(crate) fn wrote(&mut self, bytes: u64) -> Result<()> {
        self.unchecked += bytes + FILE;
        if self.unchecked < STRIDE {
            return Ok(());
        }
        self.unchecked = 0;
        self.require(0)
    }
}
