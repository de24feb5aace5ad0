//! Self protection (CVE-2019-5736): a container that gets hold of the runtime's program file through `/proc/<pid>/exe` must not be
//! able to change it, so the runtime runs from a sealed copy in memory.

use std::os::fd::AsFd;

use rustix::fs::{
    Mode, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create, open, sendfile,
};
use rustix::io::Errno;
use sys::process::{StringList, exec_file};

use crate::error::{Error, Tried};
use crate::weak;

const ALL: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Makes sure that this program runs from a sealed copy; executes itself again if not, with the same arguments and
/// environment.
///
/// # Errors
/// When the copy cannot be made.
pub fn seal(args: &[String], env: &[String]) -> Result<(), Error> {
    if weak::is_off("R01") {
        return Ok(());
    }
    let tried = || "make a sealed copy of this program";
    // Children inherit it: there is no moment in which one of them could be looked into from a container.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let own = open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).tried(tried)?;
    if fcntl_get_seals(&own).is_ok_and(|seals| seals.contains(ALL)) {
        return Ok(());
    }
    let copy = sealed_copy(own.as_fd()).tried(tried)?;
    let nul = || Error::said(types::Kind::InvalidInput, "an argument holds a NUL byte");
    let args = StringList::new(args).ok_or_else(nul)?;
    let env = StringList::new(env).ok_or_else(nul)?;
    Err(Error::kernel(tried(), exec_file(copy.as_fd(), &args, &env)))
}

fn sealed_copy(own: std::os::fd::BorrowedFd<'_>) -> Result<std::os::fd::OwnedFd, Errno> {
    use rustix::fs::MemfdFlags;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Before 6.3 the kernel does not know that a copy is meant to be executed, and does not mind.
    let copy = match memfd_create("berth-runtime", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create("berth-runtime", flags)?,
        other => other?,
    };
    let mut left = fstat(own)?.st_size as usize;
    while left > 0 {
        match sendfile(&copy, own, None, left)? {
            0 => return Err(Errno::IO),
            sent => left -= sent,
        }
    }
    add_seals(copy.as_fd())?;
    Ok(copy)
}

/// On a busy machine the kernel may still hold a page of what was written, for the moment: it says so after a fraction of a second.
fn add_seals(copy: std::os::fd::BorrowedFd<'_>) -> Result<(), Errno> {
    const TRIES: u32 = 10;
    for _ in 1..TRIES {
        match fcntl_add_seals(copy, ALL) {
            Err(Errno::BUSY) => {}
            other => return other,
        }
    }
    fcntl_add_seals(copy, ALL)
}
