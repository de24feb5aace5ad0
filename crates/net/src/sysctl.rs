//! The few switches that have no netlink: files below `/proc/sys/net`, which show the calling thread's namespace.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Turns IPv6 off for every link of the calling thread's namespace, also for those to come. A kernel without IPv6 has
/// nothing to turn off.
pub(crate) fn disable_ipv6() -> Result<(), Errno> {
    disable_ipv6_of("all")
}

/// Turns IPv6 off for one link of the calling thread's namespace.
pub(crate) fn disable_ipv6_of(link: &str) -> Result<(), Errno> {
    match write(&format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6"), b"1") {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Lets the host forward IPv4 packets. Whether that had to be switched on.
pub(crate) fn enable_forwarding() -> Result<bool, Errno> {
    const PATH: &str = "/proc/sys/net/ipv4/ip_forward";
    let mut digit = [0];
    let file = rustix::fs::open(PATH, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::read(&file, &mut digit)?;
    if digit != *b"0" {
        return Ok(false);
    }
    write(PATH, b"1").map(|()| true)
}

/// Takes [`enable_forwarding`] back.
pub(crate) fn disable_forwarding() -> Result<(), Errno> {
    write("/proc/sys/net/ipv4/ip_forward", b"0")
}

fn write(path: &str, value: &[u8]) -> Result<(), Errno> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, value).map(drop)
}
