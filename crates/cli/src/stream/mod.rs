//! Bytes between a container and the command's own stdin, stdout and stderr.

mod demux;
mod session;

use std::io::{self, Write};

use rustix::fd::BorrowedFd;

pub(crate) use demux::{Demux, Source};
pub(crate) use session::{Ended, Session, Wiring};

/// Prints data. Output that nobody reads any more ends the command.
pub(crate) fn print(text: &str) -> io::Result<()> {
    write_all(rustix::stdio::stdout(), text.as_bytes())
}

/// Prints a line of data.
pub(crate) fn print_line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints a remark on stderr.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes everything, however long the reader takes.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait_writable(fd)?,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Others may have made our terminal or pipe non-blocking.
fn wait_writable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::OUT)];
    match rustix::event::poll(&mut polled, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes a container's bytes to where they belong here.
pub(crate) fn deliver(source: Source, bytes: &[u8]) -> io::Result<()> {
    match source {
        Source::Stdout => write_all(rustix::stdio::stdout(), bytes),
        Source::Stderr => write_all(rustix::stdio::stderr(), bytes),
    }
}
