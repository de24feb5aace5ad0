//! Descriptors that a program finds open when it begins.

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::{Errno, FdFlags, Result, fcntl_setfd};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Every descriptor above 2 that is open now, by number, each made close-on-exec. Call it first thing: they must not
/// belong to anybody in this program yet. A second call is refused with `EBUSY`.
///
/// # Errors
/// When `/proc/self/fd` cannot be read.
pub fn descriptors() -> Result<Vec<(i32, OwnedFd)>> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(Errno::BUSY);
    }
    let mut numbers = Vec::new();
    {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut listing = Dir::new(rustix::fs::open("/proc/self/fd", flags, Mode::empty())?)?;
        let own = {
            use std::os::fd::AsRawFd;
            listing.fd()?.as_raw_fd()
        };
        while let Some(entry) = listing.read() {
            let number = entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok());
            numbers.extend(number.filter(|number| *number > 2 && *number != own));
        }
    }
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        // SAFETY: the number was open a moment ago, and by the caller's promise it has no other owner here.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        found.push((number, fd));
    }
    Ok(found)
}
