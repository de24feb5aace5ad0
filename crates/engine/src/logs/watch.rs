//! Waking a log reader: inotify on the container's directory, or the clock where inotify is used up.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How often a reader without inotify looks again.
const POLL: Duration = Duration::from_millis(40);
/// Even with inotify a reader looks again this often, so that a lost wake-up costs a moment only.
const BACKSTOP: Duration = Duration::from_secs(2);

/// Wakes when something was written to a directory's files.
#[derive(Debug)]
pub(super) struct Watch(Option<AsyncFd<OwnedFd>>);

impl Watch {
    /// Watches `directory`. Never fails: without inotify it polls.
    pub(super) fn new(directory: &Path) -> Self {
        Self(open(directory).ok())
    }

    /// Returns when there may be something new.
    pub(super) async fn changed(&self) {
        let Some(fd) = &self.0 else { return tokio::time::sleep(POLL).await };
        let Ok(Ok(mut guard)) = tokio::time::timeout(BACKSTOP, fd.ready(Interest::READABLE)).await else {
            return;
        };
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(fd.get_ref(), &mut space);
        while events.next().is_ok() {}
        guard.clear_ready();
    }
}

#[allow(
    deprecated,
    reason = "an owned descriptor stays open as long as it is registered, which is all that is asked for"
)]
fn open(directory: &Path) -> std::io::Result<AsyncFd<OwnedFd>> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
    inotify::add_watch(&fd, directory, flags)?;
    AsyncFd::with_interest(fd, Interest::READABLE)
}
