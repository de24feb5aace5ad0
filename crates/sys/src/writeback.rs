//! Bringing what was written to a file to the disk, without waiting until it is there: `sync_file_range(2)`.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::{Errno, Result};

use crate::process::last_errno;

/// Begins to write `length` bytes of the file from `offset` on (0: to its end) to the disk. It promises nothing: what goes wrong later
/// is told to whoever syncs.
///
/// # Errors
/// The kernel's: `ESPIPE` when it is no file with a disk below it.
pub fn begin(file: impl AsFd, offset: u64, length: u64) -> Result<()> {
    let file = file.as_fd().as_raw_fd();
    let number = |bytes: u64| i64::try_from(bytes).map_err(|_| Errno::INVAL);
    let (offset, length) = (number(offset)?, number(length)?);
    // SAFETY: the call takes numbers only, and the descriptor is open.
    let done = unsafe { libc::sync_file_range(file, offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn files_can_be_written_back_and_pipes_cannot() {
        let file = memfd_create("berth-writeback", MemfdFlags::CLOEXEC).unwrap();
        assert_eq!(begin(&file, 0, 7), Ok(()));
        assert_eq!(begin(&file, 0, u64::MAX), Err(Errno::INVAL));
        assert_eq!(begin(std::io::pipe().unwrap().0, 0, 0), Err(Errno::SPIPE));
    }
}
