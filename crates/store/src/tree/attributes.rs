//! An entry's owner, date and attributes in the kernel's terms.

use layer::{Entry, Time};
use rustix::fs::{Gid, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

pub(super) fn uid(entry: &Entry) -> Option<Uid> {
    Some(Uid::from_raw(entry.uid))
}

pub(super) fn gid(entry: &Entry) -> Option<Gid> {
    Some(Gid::from_raw(entry.gid))
}

/// The access time stays as it is: "now".
pub(super) fn timestamps(time: Time) -> Timestamps {
    let modified = Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() };
    Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: modified }
}

/// A file system without some kind of attribute does not make the image unusable, as with Docker; but a
/// capability that is lost would.
pub(super) fn tolerate(name: &[u8], result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::OPNOTSUPP) if name != b"security.capability" => Ok(()),
        Err(Errno::PERM) if name.starts_with(b"user.") => Ok(()),
        other => other,
    }
}
