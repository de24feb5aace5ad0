//! Defences that a test build can switch off, to show that the test of each goes red without it. `BERTH_WEAK=R03,R08` names the rows
//! of the list of historical weaknesses whose defence is off. A build without the feature `weak` has none of this.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

#[cfg(all(feature = "weak", not(debug_assertions)))]
compile_error!("the feature `weak` switches defences off: it is for test builds only, never for a release");

/// Is the defence of this row switched off?
#[cfg(not(feature = "weak"))]
pub(crate) const fn is_off(_row: &str) -> bool {
    false
}

/// Is the defence of this row switched off?
#[cfg(feature = "weak")]
pub(crate) fn is_off(row: &str) -> bool {
    use std::sync::OnceLock;

    static OFF: OnceLock<Vec<String>> = OnceLock::new();
    let read = || {
        let rows = std::env::var("BERTH_WEAK").unwrap_or_default();
        rows.split(',').map(|row| row.trim().to_owned()).collect()
    };
    OFF.get_or_init(read).iter().any(|off| off == row)
}

/// What was opened. With the row's defence off: what the path leads to a moment later, when it is only text, so that links of the
/// root lead into the host's tree.
#[cfg(not(feature = "weak"))]
pub(crate) const fn again(
    _row: &str,
    _root: BorrowedFd<'_>,
    _path: &str,
    opened: OwnedFd,
) -> Result<OwnedFd, Errno> {
    Ok(opened)
}

/// What was opened. With the row's defence off: what the path leads to a moment later, when it is only text, so that links of the
/// root lead into the host's tree.
#[cfg(feature = "weak")]
pub(crate) fn again(row: &str, root: BorrowedFd<'_>, path: &str, opened: OwnedFd) -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags, open};

    if !is_off(row) {
        return Ok(opened);
    }
    std::thread::sleep(std::time::Duration::from_millis(1));
    open(text(root, path), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// With the row's defence off: makes directories by a path that is only text.
#[cfg(not(feature = "weak"))]
pub(crate) const fn make_directories(_row: &str, _root: BorrowedFd<'_>, _path: &str) {}

/// With the row's defence off: makes directories by a path that is only text.
#[cfg(feature = "weak")]
pub(crate) fn make_directories(row: &str, root: BorrowedFd<'_>, path: &str) {
    if is_off(row) {
        let _ = std::fs::create_dir_all(text(root, path));
    }
}

/// A path of the root as seen from the host.
#[cfg(feature = "weak")]
fn text(root: BorrowedFd<'_>, path: &str) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}/{path}", root.as_raw_fd())
}
