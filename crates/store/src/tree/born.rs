//! What a new file gets by itself, so that it need not be given: the owner of this process, and the mode that the umask leaves.

use std::fs;

use layer::Entry;
use rustix::fs::{Mode, fgetxattr};
use rustix::io::Errno;

use super::handle::Tree;

/// A directory with such an attribute decides on the modes of what is made in it.
const DEFAULT_ACL: &str = "system.posix_acl_default";

/// The owner and mode that new things have.
pub(super) struct Born {
    uid: u32,
    gid: u32,
    /// Bits that files do not get; all of them where that is not known.
    masked: u32,
}

impl Born {
    /// For what is made in this tree by this thread.
    pub(super) fn of(tree: &Tree) -> Self {
        let plain = matches!(
            fgetxattr(tree.root(), DEFAULT_ACL, &mut [0u8; 0][..]),
            Err(Errno::NODATA | Errno::OPNOTSUPP)
        );
        let masked = umask().filter(|_| plain).unwrap_or(0o777);
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw(), masked }
    }

    /// An entry's attributes may change what later ones get.
    pub(super) fn hears_of(&mut self, entry: &Entry) {
        if entry.xattrs.iter().any(|(name, _)| name == DEFAULT_ACL.as_bytes()) {
            self.masked = 0o777;
        }
    }

    /// The mode to make the entry with, and whether it has its own mode then.
    pub(super) fn mode(&self, entry: &Entry, instead: Mode) -> (Mode, bool) {
        if entry.mode & !0o777 == 0 && entry.mode & self.masked == 0 {
            (Mode::from_raw_mode(entry.mode), true)
        } else {
            (instead, false)
        }
    }

    /// Whether what is made in a directory of that group belongs to the entry's owner.
    pub(super) fn owns(&self, entry: &Entry, directory_gid: u32) -> bool {
        // The directory may hand on its group (setgid, or a mount option).
        (entry.uid, entry.gid) == (self.uid, self.gid) && directory_gid == self.gid
    }
}

/// This process's umask (proc_pid_status(5)). Asking the kernel otherwise would change it for a moment.
fn umask() -> Option<u32> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let text = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(text.trim(), 8).ok()
}
