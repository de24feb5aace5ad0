//! `state`, `kill`, `delete`, `pause`, `resume`.

use std::os::fd::AsFd;

use oci::runtime::ContainerState;
use protocol::plan::NamespaceKind;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use types::Kind;

use super::arguments::Arguments;
use super::hooks::{self, Moment};
use super::output::{Complaint, say};
use super::records::{Record, Root, name_of};
use crate::error::Tried;
use crate::hold;
use crate::kernel::Proc;

pub(super) fn state(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &[])?;
    arguments.only(&[])?;
    let record = root.load(arguments.id()?)?;
    let document = record.document(record.status());
    say(format_args!("{document:#}")).map(|()| 0)
}

pub(super) fn kill(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &[])?;
    arguments.only(&["all", "a"])?;
    let (id, signal) = match arguments.words.as_slice() {
        [id] => (id, "TERM"),
        [id, signal] => (id, signal.as_str()),
        _ => return Err(Complaint::new("usage: kill [--all] ID [SIGNAL]")),
    };
    let record = root.load(id)?;
    let number = signal_number(signal)?;
    // Without a pid namespace of its own, a container does not end with its first process.
    let everybody = number == Signal::KILL.as_raw() && !record.plan.makes(NamespaceKind::Pid);
    if arguments.has("all") || arguments.has("a") || everybody {
        match crate::kill_all(&record.plan, number) {
            // Without a cgroup nobody knows who belongs to it; with a pid namespace of its own they all end with the first.
            Err(error) if error.kind() == Kind::Unimplemented => {
                root.log.warn(&format!("only the first process is signalled: {error}"));
            }
            other => return Ok(other.map(|()| 0)?),
        }
    }
    send(&record, number)?;
    if number == Signal::KILL.as_raw() && record.plan.cgroup.as_ref().is_some_and(crate::cgroup::is_frozen) {
        // Whoever is frozen dies only when it goes on (v1).
        let _ = crate::freeze(&record.plan, false);
    }
    Ok(0)
}

/// Signals the first process, and never another one that has its number by now.
fn send(record: &Record, number: i32) -> Result<(), Complaint> {
    let gone = || Complaint::new("container not running");
    let pid = Pid::from_raw(record.pid).ok_or_else(gone)?;
    let pidfd = Proc::process(pid).map_err(|_| gone())?;
    if !record.alive() {
        return Err(gone());
    }
    match sys::pidfd::send_signal(pidfd.as_fd(), number) {
        Err(Errno::INVAL) => Err(Complaint::new(format!("{number} is not a signal"))),
        Err(Errno::SRCH) => Err(gone()),
        other => Ok(other.tried(|| format!("send signal {number}"))?),
    }
}

fn signal_number(text: &str) -> Result<i32, Complaint> {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    if let Ok(number) = text.parse::<i32>() {
        return Ok(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "POLL" => "IO",
        name => name,
    };
    let at = NAMES.iter().position(|known| *known == name);
    at.map(|at| at as i32 + 1).ok_or_else(|| Complaint::new(format!("unknown signal {text:?}")))
}

pub(super) fn delete(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &[])?;
    arguments.only(&["force", "f"])?;
    let force = arguments.has("force") || arguments.has("f");
    let id = arguments.id()?;
    let record = match root.load(id) {
        Err(_) if force => match root.salvage(id)? {
            Some(record) => record,
            // Forced removal of what is not there has nothing to do.
            None => return Ok(0),
        },
        other => other?,
    };
    match record.status() {
        ContainerState::Stopped => {}
        // A created container has run nothing of the user's yet.
        ContainerState::Created => end(&record),
        _ if force => end(&record),
        status => {
            return Err(Complaint::new(format!(
                "cannot delete container {} that is not stopped: {}",
                record.id,
                name_of(status)
            )));
        }
    }
    remove(root, &record)?;
    Ok(0)
}

/// Kills the first process and waits until it is gone (somebody else reaps it).
pub(super) fn end(record: &Record) {
    // A frozen one gets it when it goes on (v1), and nothing else before.
    let _ = send(record, Signal::KILL.as_raw());
    let _ = crate::freeze(&record.plan, false);
    for _ in 0..2000 {
        if !record.alive() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Removes what is left of a container.
pub(super) fn remove(root: &Root, record: &Record) -> Result<(), Complaint> {
    if record.pid == 0 {
        // Whoever made it did not live to write down what he made.
        hold::dismiss(&record.unready_fifo());
    }
    if let Some(error) = crate::clean(&record.plan).into_iter().next() {
        return Err(error.into());
    }
    record.forget()?;
    poststop(root, record);
    Ok(())
}

/// Tells the caller's hooks that it is over.
pub(super) fn poststop(root: &Root, record: &Record) {
    let document = record.document(ContainerState::Stopped);
    hooks::run_all(&record.hooks, Moment::Poststop, &document, &root.log);
}

pub(super) fn freeze(root: &Root, rest: &[String], frozen: bool) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &[])?;
    arguments.only(&[])?;
    let record = root.load(arguments.id()?)?;
    match (record.status(), frozen) {
        (ContainerState::Running | ContainerState::Created, true) | (ContainerState::Paused, false) => {
            crate::freeze(&record.plan, frozen)?;
            Ok(0)
        }
        (_, true) => Err(Complaint::new("container not running")),
        (_, false) => Err(Complaint::new("container not paused")),
    }
}
