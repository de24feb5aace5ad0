//! Self protection (CVE-2019-5736): a container that gets hold of the runtime's program file through `/proc/<pid>/exe` must not be
//! able to change it. A command lets go of that file; whoever stays, and who may not do that, runs from a sealed copy in memory
//! (`docs/decisions/0008`).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use rustix::fs::{
    CWD, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create, open,
    sendfile,
};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use sys::mount::{Change, RDONLY, set_attributes};
use sys::process::{StringList, exec_file};

use crate::error::{Error, Tried};
use crate::weak;

const ALL: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// How long the program is going to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// For one command.
    Short,
    /// For as long as there are containers. Its file may be overwritten meanwhile, so it runs from a copy.
    Long,
}

/// Makes sure that nothing of this process leads to the program's file. Where that takes a sealed copy, executes it with the same
/// arguments and the environment that `env` answers.
///
/// # Errors
/// When the copy cannot be made.
pub fn seal(stay: Stay, args: &[String], env: impl FnOnce() -> Vec<String>) -> Result<(), Error> {
    if weak::is_off("R01") {
        return Ok(());
    }
    let tried = || "make a sealed copy of this program";
    // Children inherit it: there is no moment in which one of them could be looked into from a container.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    if stay == Stay::Short && let_go().is_ok() {
        return Ok(());
    }
    let own = open(OWN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).tried(tried)?;
    if fcntl_get_seals(&own).is_ok_and(|seals| seals.contains(ALL)) {
        return Ok(());
    }
    let copy = sealed_copy(own.as_fd()).tried(tried)?;
    let nul = || Error::said(types::Kind::InvalidInput, "an argument holds a NUL byte");
    let args = StringList::new(args).ok_or_else(nul)?;
    let env = StringList::new(&env()).ok_or_else(nul)?;
    Err(Error::kernel(tried(), exec_file(copy.as_fd(), &args, &env)))
}

const OWN: &str = "/proc/self/exe";

/// From here on `/proc/self/exe` leads to an empty sealed file, also in every child.
fn let_go() -> Result<(), Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, OWN, flags)?;
    // What is mapped leads there as well (`/proc/<pid>/map_files`, for those who may restore processes).
    set_attributes(&mount, c"", &Change { set: RDONLY, ..Change::default() }, false)?;
    // A tree's descriptor is only a place; it becomes a file by being opened again.
    let place = format!("/proc/self/fd/{}", mount.as_raw_fd());
    let own = open(place, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let empty = memory_file()?;
    fcntl_add_seals(&empty, ALL)?;
    sys::program_file::leave(own.as_fd(), empty.as_fd())?;
    if let Ok(mut tree) = TREE.lock() {
        *tree = Some(mount);
    }
    Ok(())
}

/// The tree that this program's pages are mapped through. Closing it waits for every processor, so that is done when there is nothing
/// else to do.
static TREE: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Is this one command's process, which has let go of its program?
pub(crate) fn is_command() -> bool {
    tree_number().is_some()
}

/// The number of that tree's descriptor: no caller's descriptor can have had it.
pub(crate) fn tree_number() -> Option<u32> {
    TREE.lock().ok()?.as_ref().map(|tree| tree.as_raw_fd() as u32)
}

/// For whoever waits for a child that has closed its own.
pub(crate) fn close_tree() {
    if let Ok(mut tree) = TREE.lock() {
        tree.take();
    }
}

/// A file in memory that may be sealed and executed.
fn memory_file() -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Before 6.3 the kernel does not know that a file is meant to be executed, and does not mind.
    match memfd_create("berth-runtime", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create("berth-runtime", flags),
        other => other,
    }
}

fn sealed_copy(own: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let copy = memory_file()?;
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
