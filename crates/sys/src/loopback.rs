//! Bringing the loopback interface of a new network namespace up, with one `ioctl(2)`.

use std::os::fd::AsRawFd;
use std::ptr;

use rustix::io::Result;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::process::last_errno;

/// The head of `struct ifreq` with flags, padded to its size.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

/// Sets `lo` up in this network namespace.
///
/// # Errors
/// The kernel's.
pub fn up() -> Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    let request = Request { name, flags, rest: [0; 22] };
    // SAFETY: `request` is as long as struct ifreq, which this request reads.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, ptr::from_ref(&request)) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
