//! The last of what a process may do: capabilities, `no_new_privs`, the filter.

use std::os::fd::{BorrowedFd, OwnedFd};

use protocol::plan::{Capabilities, Process};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::{Error, Tried};
use crate::report::{self, Report};
use crate::{listener, weak};

/// What is still to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confined {
    filter: bool,
    capabilities: bool,
}

/// As much as can be done while this program still has something to do. Without `no_new_privs` the kernel wants `CAP_SYS_ADMIN` for a
/// filter, so the capabilities are taken away after it.
pub(crate) fn prepare(process: &Process) -> Result<Confined, Error> {
    let left = Confined {
        filter: process.seccomp.is_some(),
        capabilities: process.seccomp.is_some() && !process.no_new_privs,
    };
    if left.capabilities {
        raise_permitted()?;
    } else {
        set_capabilities(process.capabilities.as_ref())?;
    }
    if process.no_new_privs {
        rustix::thread::set_no_new_privs(true).tried(|| "set no_new_privs")?;
    }
    Ok(left)
}

/// A filter that notifies is installed while the parent still listens: it passes the listener on.
pub(crate) fn with_listener(
    process: &Process,
    left: Confined,
    socket: BorrowedFd<'_>,
) -> Result<Confined, Error> {
    if process.seccomp.as_ref().is_none_or(|filter| filter.listener.is_empty()) {
        return Ok(left);
    }
    if let Some(notifications) = install(process)? {
        report::send(socket, &Report::Listener(notifications)).map_err(listener::unsaid)?;
        // A plain read, which no filter that a program can live with refuses; the agent may have to allow it.
        match rustix::io::read(socket, &mut [0; 1]) {
            Ok(1..) => {}
            Ok(_) => return Err(listener::unsaid(Errno::PIPE)),
            Err(errno) => return Err(listener::unsaid(errno)),
        }
    }
    complete(process, Confined { filter: false, ..left })?;
    Ok(Confined { filter: false, capabilities: false })
}

/// The rest. The filter last: what comes after it must be allowed by it.
pub(crate) fn complete(process: &Process, left: Confined) -> Result<(), Error> {
    if left.filter {
        install(process)?;
    }
    if left.capabilities {
        set_capabilities(process.capabilities.as_ref())?;
    }
    Ok(())
}

fn install(process: &Process) -> Result<Option<OwnedFd>, Error> {
    let Some(filter) = &process.seccomp else { return Ok(None) };
    sys::seccomp::install(&filter.filter, filter.flags).tried(|| "install the seccomp filter")
}

/// After a change of user nothing is in force; for what is still to do, all that may be.
fn raise_permitted() -> Result<(), Error> {
    let tried = || "raise capabilities";
    let mut sets = rustix::thread::capabilities(None).tried(tried)?;
    if sets.effective != sets.permitted {
        sets.effective = sets.permitted;
        rustix::thread::set_capabilities(None, sets).tried(tried)?;
    }
    Ok(())
}

fn set_capabilities(wanted: Option<&Capabilities>) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    let inheritable = if weak::is_off("R04") { wanted.permitted } else { wanted.inheritable };
    let sets = CapabilitySets {
        effective: CapabilitySet::from_bits_retain(wanted.effective),
        permitted: CapabilitySet::from_bits_retain(wanted.permitted),
        inheritable: CapabilitySet::from_bits_retain(inheritable),
    };
    rustix::thread::set_capabilities(None, sets).tried(|| "set capabilities")?;
    for number in (0..64).filter(|n| wanted.ambient & 1 << n != 0) {
        let one = CapabilitySet::from_bits_retain(1 << number);
        rustix::thread::configure_capability_in_ambient_set(one, true)
            .tried(|| format!("raise ambient capability {number}"))?;
    }
    Ok(())
}
