//! Labels of security modules. Each is written to the process's own files in the host's `/proc`, by a handle that was checked to be
//! one: the container's could be a fake that swallows it (CVE-2019-16884, CVE-2025-52881).

use protocol::plan::Process;
use rustix::io::Errno;

use crate::error::{Error, Tried};
use crate::kernel::Proc;

/// A handle for later, when the host's `/proc` is out of sight; none when nothing is to be labelled.
pub(crate) fn handle(process: &Process) -> Result<Option<Proc>, Error> {
    let labelled = !process.apparmor.is_empty() || !process.selinux.is_empty();
    labelled.then(Proc::open).transpose()
}

/// Of the next keyring that this process makes; empty for that of the policy.
pub(crate) fn next_keyring(proc: Option<&Proc>, label: &str) -> Result<(), Error> {
    let Some(proc) = proc else { return Ok(()) };
    proc.write("thread-self/attr/keycreate", label)
        .tried(|| format!("process.selinuxLabel: label the session keyring {label:?}"))
}

/// Of the program that this process becomes.
pub(crate) fn next_program(proc: Option<&Proc>, process: &Process) -> Result<(), Error> {
    let Some(proc) = proc else { return Ok(()) };
    if !process.selinux.is_empty() {
        proc.write("thread-self/attr/exec", &process.selinux)
            .tried(|| format!("process.selinuxLabel: apply label {:?}", process.selinux))?;
    }
    if !process.apparmor.is_empty() {
        let line = format!("exec {}", process.apparmor);
        // The file of its own is there since 5.8; before, all modules shared one.
        match proc.write("thread-self/attr/apparmor/exec", &line) {
            Err(Errno::NOENT) if !has_own_file(proc) => proc.write("thread-self/attr/exec", &line),
            other => other,
        }
        .tried(|| format!("process.apparmorProfile: apply profile {:?}", process.apparmor))?;
    }
    Ok(())
}

/// To write a profile that is not loaded also answers `ENOENT`.
fn has_own_file(proc: &Proc) -> bool {
    proc.has("thread-self/attr/apparmor/exec")
}
