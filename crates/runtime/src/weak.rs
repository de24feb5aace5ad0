//! What some defences become when a test build leaves them out (`types::weak`).

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
pub(crate) use types::weak::is_off;

/// What was opened. With the row's defence off: what the path leads to a moment later, when it is only text, so that links of the
/// root lead into the host's tree.
pub(crate) fn again(row: &str, root: BorrowedFd<'_>, path: &str, opened: OwnedFd) -> Result<OwnedFd, Errno> {
    if !is_off(row) {
        return Ok(opened);
    }
    std::thread::sleep(std::time::Duration::from_millis(1));
    open(text(root, path), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// With the row's defence off: makes directories by a path that is only text.
pub(crate) fn make_directories(row: &str, root: BorrowedFd<'_>, path: &str) {
    if is_off(row) {
        let _ = std::fs::create_dir_all(text(root, path));
    }
}

/// A path of the root as seen from the host.
fn text(root: BorrowedFd<'_>, path: &str) -> String {
    format!("/proc/self/fd/{}/{path}", root.as_raw_fd())
}
