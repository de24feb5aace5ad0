//! Id-mapped mounts. The kernel takes the map from a user namespace, so for a map that no container has, one is made that holds
//! nothing else: by a child that waits until the namespace is opened, and ends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::{Bind, NamespaceKind, Users};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use sys::clone::{Clone, Side};
use sys::mount::{Change, IDMAP, set_attributes};
use types::Kind;

use crate::error::{Error, Tried};
use crate::join::clone_flag;
use crate::kernel::write_file;
use crate::{report, users};

/// User namespaces made so far, by their maps.
#[derive(Debug, Default)]
pub(crate) struct Maps(Vec<(Users, OwnedFd)>);

impl Maps {
    /// A user namespace with the maps that a bind asks for.
    pub(crate) fn namespace(&mut self, wanted: &Users, bind: &Bind) -> Result<OwnedFd, Error> {
        let tried = || format!("{}: make a user namespace for the id maps of {}", bind.field, bind.target);
        if let Some((_, namespace)) = self.0.iter().find(|(made, _)| made == wanted) {
            return fcntl_dupfd_cloexec(namespace, 0).tried(tried);
        }
        let made = make(wanted).map_err(|refusal| refusal.into_error(&tried()))?;
        let answer = fcntl_dupfd_cloexec(&made, 0).tried(tried)?;
        self.0.push((wanted.clone(), made));
        Ok(answer)
    }
}

/// What the kernel refused.
struct Refusal(String, Errno);

impl Refusal {
    fn into_error(self, tried: &str) -> Error {
        Error::kernel(&format!("{tried}: {}", self.0), self.1)
    }
}

fn make(maps: &Users) -> Result<OwnedFd, Refusal> {
    let tried = |what: &str| {
        let what = what.to_owned();
        move |errno| Refusal(what, errno)
    };
    let (ours, theirs) = report::pair().map_err(tried("make a socket pair"))?;
    let keep = [theirs.as_fd()];
    let flags = u64::from(clone_flag(NamespaceKind::User));
    let what = Clone { namespaces: flags, keep: &keep, ..Clone::default() };
    match sys::clone::clone(&what).map_err(tried("clone a process"))? {
        Side::Child => {
            // The parent has closed its end, or is gone.
            std::mem::forget(ours);
            let _ = report::wait_go(theirs.as_fd());
            sys::process::exit_now(0)
        }
        Side::Parent(pid, pidfd) => {
            drop(theirs);
            let done = fill(pid, maps);
            drop(ours);
            let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
            done
        }
    }
}

fn fill(pid: i32, maps: &Users) -> Result<OwnedFd, Refusal> {
    for (file, maps) in [("uid_map", &maps.uid), ("gid_map", &maps.gid)] {
        let path = format!("/proc/{pid}/{file}");
        write_file(&path, &users::lines(maps))
            .map_err(|errno| Refusal(format!("write its {file}"), errno))?;
    }
    let path = format!("/proc/{pid}/ns/user");
    open(&*path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Refusal(format!("open {path}"), errno))
}

/// Maps the owners of a mount that is attached nowhere yet.
pub(crate) fn apply(mount: &OwnedFd, bind: &Bind, users: BorrowedFd<'_>) -> Result<(), Error> {
    let change = Change { set: IDMAP, users: Some(sys::mount::Users(users)), ..Change::default() };
    let tried = || format!("{}: map the owners of {} for {}", bind.field, bind.source, bind.target);
    match set_attributes(mount, c"", &change, bind.map_all) {
        Err(Errno::INVAL) => Err(Error::said(
            Kind::Unimplemented,
            format!("{}: the file system cannot have id maps on this kernel", tried()),
        )),
        other => other.tried(tried),
    }
}
