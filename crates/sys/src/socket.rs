//! What a socket's other side has not read yet.

use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use rustix::io::{Errno, Result};

/// Bytes (with the kernel's overhead) that were written to this socket and not yet read by the other side; for TCP, not
/// yet acknowledged (`SIOCOUTQ`, unix(7), tcp(7)).
///
/// # Errors
/// When the descriptor is no such socket.
pub fn unread(socket: impl AsFd) -> Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed for the call, and the kernel writes one int through the pointer.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, ptr::from_mut(&mut bytes)) };
    if done == 0 { Ok(usize::try_from(bytes).unwrap_or(0)) } else { Err(last_error()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::unread;

    #[test]
    fn counts_until_it_is_read() {
        let (mut here, mut there) = UnixStream::pair().expect("a pair");
        assert_eq!(unread(&here), Ok(0));
        here.write_all(b"12345").expect("write");
        assert!(unread(&here).is_ok_and(|bytes| bytes >= 5));
        there.read_exact(&mut [0; 5]).expect("read");
        assert_eq!(unread(&here), Ok(0));
    }
}
