//! `mount_setattr(2)` and the words of its arguments; the rest of the mount API is in `rustix::mount`.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Result;

use crate::process::last_errno;

/// No writes.
pub const RDONLY: u64 = 0x1;
/// Set-user-id bits and file capabilities have no effect.
pub const NOSUID: u64 = 0x2;
/// Device nodes cannot be opened.
pub const NODEV: u64 = 0x4;
/// Nothing can be executed.
pub const NOEXEC: u64 = 0x8;
/// The bits in which the access time policy lies; cleared to replace the policy.
pub const ATIME: u64 = 0x70;
/// Policy: update the access time when it is older than the change time.
pub const RELATIME: u64 = 0;
/// Policy: never update the access time.
pub const NOATIME: u64 = 0x10;
/// Policy: always update the access time.
pub const STRICTATIME: u64 = 0x20;
/// Never update access times of directories.
pub const NODIRATIME: u64 = 0x80;
/// Map owners through a user namespace.
pub const IDMAP: u64 = 0x10_0000;
/// Symbolic links are not followed.
pub const NOSYMFOLLOW: u64 = 0x20_0000;

/// Propagation: cannot be bound.
pub const UNBINDABLE: u64 = 1 << 17;
/// Propagation: none.
pub const PRIVATE: u64 = 1 << 18;
/// Propagation: receives.
pub const SLAVE: u64 = 1 << 19;
/// Propagation: both ways.
pub const SHARED: u64 = 1 << 20;

/// A change of a mount's attributes: `struct mount_attr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// Propagation, 0 to leave it.
    pub propagation: u64,
    /// For [`IDMAP`]: the user namespace.
    pub users: Option<Users<'a>>,
}

/// A user namespace by its descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a>(pub BorrowedFd<'a>);

impl PartialEq for Users<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_raw_fd() == other.0.as_raw_fd()
    }
}

impl Eq for Users<'_> {}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    users: u64,
}

/// Changes the attributes of the mount at `path` below `dir` (of `dir` itself when empty), and of all below it
/// when `recursive`, all or none.
///
/// # Errors
/// The kernel's; `ENOSYS` before 5.12.
pub fn set_attributes(dir: impl AsFd, path: &CStr, change: &Change<'_>, recursive: bool) -> Result<()> {
    const AT_RECURSIVE: i32 = 0x8000;
    let attr = MountAttr {
        set: change.set,
        clear: change.clear,
        propagation: change.propagation,
        users: change.users.map_or(0, |u| u.0.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: `path` is a C string and `attr` a whole mount_attr of the size passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags,
            ptr::from_ref(&attr),
            size_of::<MountAttr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
