//! Signals to everybody in a container, and the freezer.

use std::os::fd::AsFd;
use std::time::Duration;

use protocol::Plan;
use protocol::plan::Cgroup;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use types::Kind;

use super::{cgroup_of, pids, v1};
use crate::error::{Error, Tried};
use crate::kernel::{Proc, read_file, write_file};

/// Sends a signal to every process of the container. None is missed by a `KILL`, also of those that are born meanwhile.
///
/// # Errors
/// When the processes cannot be listed.
pub fn kill_all(plan: &Plan, signal: i32) -> Result<(), Error> {
    let cgroup = cgroup_of(plan)?;
    if signal != Signal::KILL.as_raw() {
        return send_each(plan, signal).map(drop);
    }
    if !cgroup.unified.is_empty() {
        match write_file(&format!("{}/cgroup.kill", cgroup.unified), "1") {
            // Before 5.14 there is no such file.
            Err(Errno::NOENT) => {}
            Ok(()) => return thaw_v1(cgroup),
            Err(errno) => {
                return Err(Error::kernel(&format!("kill everything in {}", cgroup.unified), errno));
            }
        }
    }
    kill_frozen(plan)
}

/// Who is frozen has no children; and who is not there when all are frozen never will be.
fn kill_frozen(plan: &Plan) -> Result<(), Error> {
    const PASSES: u32 = 100;
    for _ in 0..PASSES {
        let frozen = freeze(plan, true).is_ok();
        let found = send_each(plan, Signal::KILL.as_raw());
        // Frozen processes of v1 die only when they go on.
        let thawed = freeze(plan, false);
        if found? == 0 || frozen {
            return if frozen { thawed } else { Ok(()) };
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// How many were found.
fn send_each(plan: &Plan, signal: i32) -> Result<usize, Error> {
    let pids = pids(plan)?;
    for pid in &pids {
        let process = Pid::from_raw(*pid).and_then(|pid| Proc::process(pid).ok());
        let sent = process.map(|pidfd| sys::pidfd::send_signal(pidfd.as_fd(), signal));
        // Other refusals: it has ended meanwhile.
        if sent == Some(Err(Errno::INVAL)) {
            return Err(Error::said(Kind::InvalidInput, format!("{signal} is not a signal")));
        }
    }
    Ok(pids.len())
}

fn thaw_v1(cgroup: &Cgroup) -> Result<(), Error> {
    match v1(cgroup, "freezer") {
        Some(place) if is_frozen(cgroup) => freeze_v1(&format!("{place}/freezer.state"), false),
        _ => Ok(()),
    }
}

/// Has somebody stopped the processes of this cgroup?
pub(crate) fn is_frozen(cgroup: &Cgroup) -> bool {
    match v1(cgroup, "freezer") {
        Some(place) => read_file(&format!("{place}/freezer.state")).is_ok_and(|s| s.trim() != "THAWED"),
        None => read_file(&format!("{}/cgroup.freeze", cgroup.unified)).is_ok_and(|s| s.trim() == "1"),
    }
}

/// Stops or continues every process of the container.
///
/// # Errors
/// When the host has no freezer, or the kernel cannot stop the processes; then they go on.
pub fn freeze(plan: &Plan, frozen: bool) -> Result<(), Error> {
    let cgroup = cgroup_of(plan)?;
    if let Some(place) = v1(cgroup, "freezer") {
        return freeze_v1(&format!("{place}/freezer.state"), frozen);
    }
    if cgroup.unified.is_empty() {
        return Err(Error::said(Kind::Unimplemented, "this host has no cgroup freezer"));
    }
    let path = format!("{}/cgroup.freeze", cgroup.unified);
    write_file(&path, if frozen { "1" } else { "0" }).tried(|| format!("write {path}"))?;
    let wanted = if frozen { "frozen 1" } else { "frozen 0" };
    let events = format!("{}/cgroup.events", cgroup.unified);
    let done = wait_for(|| Ok(read_file(&events)?.contains(wanted)));
    if frozen && done.is_err() {
        let _ = write_file(&path, "0");
    }
    done.tried(|| format!("freeze {}", cgroup.unified))
}

fn freeze_v1(path: &str, frozen: bool) -> Result<(), Error> {
    let state = if frozen { "FROZEN" } else { "THAWED" };
    let result = wait_for(|| {
        // Writing again catches processes that were born while the first write ran.
        write_file(path, state)?;
        Ok(read_file(path)?.trim() == state)
    });
    if frozen && result.is_err() {
        let _ = write_file(path, "THAWED");
    }
    result.tried(|| format!("write {state} to {path}"))
}

fn wait_for(mut done: impl FnMut() -> Result<bool, Errno>) -> Result<(), Errno> {
    for attempt in 0..1000_u64 {
        if done()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros((attempt + 1).min(20) * 100));
    }
    Err(Errno::TIMEDOUT)
}
