//! Network namespaces as descriptors (network_namespaces(7)). All calls are about the calling thread only.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// A descriptor of the calling thread's network namespace.
///
/// # Errors
/// When `/proc` is not mounted or descriptors are used up.
pub fn current() -> Result<OwnedFd, Errno> {
    rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Moves the calling thread into a network namespace.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`.
pub fn enter(namespace: impl AsFd) -> Result<(), Errno> {
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

/// Makes a network namespace and moves the calling thread into it. It lives as long as a descriptor, a socket or a
/// thread is in it.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`, `ENOSPC` past `/proc/sys/user/max_net_namespaces`.
pub fn enter_new() -> Result<(), Errno> {
    // SAFETY: of the resources that `unshare` can split, only the network namespace is, and no memory or descriptor table
    // depends on it.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}
