//! Being told when a container runs out of memory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use protocol::Plan;
use rustix::event::EventfdFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::cgroup::{cgroup_of, v1};
use crate::error::{Error, Tried};
use crate::kernel::write_file;

/// A descriptor that becomes ready when memory has run out; [`crate::oom_kills`] tells whether a process was killed.
#[derive(Debug)]
pub enum MemoryWatch {
    /// cgroup v1: an eventfd, readable.
    Counter(OwnedFd),
    /// cgroup v2: `memory.events`, ready by `POLLPRI` only.
    Events(OwnedFd),
}

impl MemoryWatch {
    /// What to wait for.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Counter(fd) | Self::Events(fd) => fd.as_fd(),
        }
    }

    /// The same watch through another descriptor for it.
    #[must_use]
    pub fn map(self, to: impl FnOnce(OwnedFd) -> OwnedFd) -> Self {
        match self {
            Self::Counter(fd) => Self::Counter(to(fd)),
            Self::Events(fd) => Self::Events(to(fd)),
        }
    }

    /// Makes it ready for the next time.
    pub fn clear(&self) {
        let mut buffer = [0; 512];
        let _ = match self {
            Self::Counter(fd) => rustix::io::read(fd, &mut buffer[..8]),
            Self::Events(fd) => rustix::io::pread(fd, &mut buffer[..], 0),
        };
    }
}

/// Watches the memory of a container whose cgroups are there. `None` when it has no memory cgroup.
///
/// # Errors
/// When the cgroup cannot be watched.
pub fn watch_memory(plan: &Plan) -> Result<Option<MemoryWatch>, Error> {
    let Ok(cgroup) = cgroup_of(plan) else { return Ok(None) };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let open = |path: &str| rustix::fs::open(path, flags, Mode::empty());
    if let Some(place) = v1(cgroup, "memory") {
        let tried = || format!("watch {place}/memory.oom_control");
        let control = open(&format!("{place}/memory.oom_control")).tried(tried)?;
        let counter =
            rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).tried(tried)?;
        let line = format!("{} {}", counter.as_raw_fd(), control.as_raw_fd());
        write_file(&format!("{place}/cgroup.event_control"), &line).tried(tried)?;
        return Ok(Some(MemoryWatch::Counter(counter)));
    }
    if cgroup.unified.is_empty() {
        return Ok(None);
    }
    match open(&format!("{}/memory.events", cgroup.unified)) {
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::kernel(&format!("watch {}/memory.events", cgroup.unified), errno)),
        Ok(file) => {
            let watch = MemoryWatch::Events(file);
            watch.clear();
            Ok(Some(watch))
        }
    }
}
