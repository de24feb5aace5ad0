//! Empty files and directories that a start makes in a container's root so that something can be mounted there. Docker keeps
//! them in a layer of their own, which neither `diff` nor `commit` shows; here they are told by their names.

use rustix::fs::{FileType, Stat};

use crate::tree::file_type;

/// By path, without the leading slash.
const FILES: [&[u8]; 5] = [b".dockerenv", b"dev/console", b"etc/hostname", b"etc/hosts", b"etc/resolv.conf"];
const DIRECTORIES: [&[u8]; 7] = [b"dev", b"dev/mqueue", b"dev/pts", b"dev/shm", b"etc", b"proc", b"sys"];

/// Whether this file, which the layers do not have, is a mount point and nothing else.
pub(super) fn is_file(path: &[u8], stat: &Stat) -> bool {
    file_type(stat) == FileType::RegularFile && stat.st_size == 0 && FILES.contains(&path)
}

/// Whether this directory, which the layers do not have, is a mount point or the way to one, as long as nothing else is in it.
pub(super) fn is_directory(path: &[u8]) -> bool {
    DIRECTORIES.contains(&path)
}
