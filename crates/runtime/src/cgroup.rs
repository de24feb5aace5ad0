//! Acts on a container's cgroups: making and removing them, freezing, killing, counting.

use std::os::fd::AsFd;
use std::time::Duration;

use protocol::Plan;
use protocol::plan::{Cgroup, MakeCgroup, Write};
use rustix::fs::{CWD, Mode, mkdir};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::error::{Error, Tried};
use crate::kernel::{read_file, write_file};
use types::Kind;

const MODE: Mode = Mode::from_raw_mode(0o755);

/// Makes a cgroup and what is missing above it.
pub(crate) fn make(cgroup: &MakeCgroup) -> Result<(), Error> {
    let tried = || format!("make cgroup {}", cgroup.path);
    // A place that was handed down may have more to hand on. What it cannot is told by the limit that needs it.
    if let Some((above, _)) = cgroup.path.rsplit_once('/').filter(|_| cgroup.delegated) {
        let _ = enable(above, &cgroup.enable);
    }
    match mkdir(&*cgroup.path, MODE) {
        Err(Errno::NOENT) => {
            make_parents(cgroup)?;
            mkdir(&*cgroup.path, MODE).tried(tried)?;
        }
        // Left by somebody who died: usable when nothing is in it.
        Err(Errno::EXIST) => {
            remove(&cgroup.path).map_err(|_| {
                Error::said(Kind::Conflict, format!("cgroup {} exists and is in use", cgroup.path))
            })?;
            mkdir(&*cgroup.path, MODE).tried(tried)?;
        }
        other => other.tried(tried)?,
    }
    match cgroup.path.rsplit_once('/') {
        // A parent that somebody else made may hand nothing down.
        Some((above, _)) if cgroup.seed => inherit_all(&cgroup.mount, above, &cgroup.path)
            .tried(|| format!("hand processors down to cgroup {}", cgroup.path))
            .inspect_err(|_| {
                let _ = rustix::fs::rmdir(&*cgroup.path);
            }),
        _ => Ok(()),
    }
}

/// Makes the directories between the mount point and the cgroup, each handing down what it has.
fn make_parents(cgroup: &MakeCgroup) -> Result<(), Error> {
    let below = cgroup.path.strip_prefix(&cgroup.mount).unwrap_or(&cgroup.path);
    let mut place = cgroup.mount.clone();
    let parts: Vec<&str> = below.split('/').filter(|p| !p.is_empty()).collect();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        enable(&place, &cgroup.enable).or_else(|error| if cgroup.delegated { Ok(()) } else { Err(error) })?;
        let above = std::mem::take(&mut place);
        place = format!("{above}/{part}");
        match mkdir(&*place, MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::kernel(&format!("make cgroup {place}"), errno)),
        }
        if cgroup.seed {
            seed(&above, &place).tried(|| format!("hand processors down to cgroup {place}"))?;
        }
    }
    enable(&place, &cgroup.enable).or_else(|error| if cgroup.delegated { Ok(()) } else { Err(error) })
}

/// v2: switches controllers on for the children of `place`.
fn enable(place: &str, controllers: &str) -> Result<(), Error> {
    if controllers.is_empty() {
        return Ok(());
    }
    let path = format!("{place}/cgroup.subtree_control");
    if write_file(&path, controllers).is_ok() {
        return Ok(());
    }
    // One that cannot be had must not take the others along; whoever asks for its limit will be told then.
    for controller in controllers.split(' ') {
        if let Err(errno @ (Errno::BUSY | Errno::PERM | Errno::ACCESS | Errno::ROFS)) =
            write_file(&path, controller)
        {
            return Err(Error::kernel(&format!("write {controller} to {path}"), errno));
        }
    }
    Ok(())
}

/// v1 cpuset: a new one is empty, and nothing can enter it; from here on children inherit.
fn seed(above: &str, place: &str) -> Result<(), Errno> {
    inherit(above, place)?;
    write_file(&format!("{place}/cgroup.clone_children"), "1")
}

/// From the nearest one above that has some.
fn inherit_all(mount: &str, above: &str, place: &str) -> Result<(), Errno> {
    if let Some((higher, _)) = above.rsplit_once('/').filter(|_| above.len() > mount.len()) {
        inherit_all(mount, higher, above)?;
    }
    inherit(above, place)
}

fn inherit(above: &str, place: &str) -> Result<(), Errno> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if read_file(&format!("{place}/{file}"))?.trim().is_empty() {
            write_file(&format!("{place}/{file}"), read_file(&format!("{above}/{file}"))?.trim())?;
        }
    }
    Ok(())
}

/// Removes a cgroup with those that the container made in it, waiting for dying processes to leave.
pub(crate) fn remove(path: &str) -> Result<(), Error> {
    // A process counts until the kernel has torn it down, a little after its parent is told.
    const PAUSES_US: [u64; 10] = [100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 200_000, 500_000];
    let mut pauses = PAUSES_US.iter();
    loop {
        match rustix::fs::rmdir(path) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) => {
                remove_below(path);
                match pauses.next() {
                    Some(pause) => std::thread::sleep(Duration::from_micros(*pause)),
                    None => return Err(Error::kernel(&format!("remove cgroup {path}"), Errno::BUSY)),
                }
            }
            Err(errno) => return Err(Error::kernel(&format!("remove cgroup {path}"), errno)),
        }
    }
}

fn remove_below(path: &str) {
    for child in children(path) {
        remove_below(&child);
        let _ = rustix::fs::rmdir(&*child);
    }
}

fn children(path: &str) -> Vec<String> {
    let Ok(directory) =
        rustix::fs::open(path, rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC, Mode::empty())
    else {
        return Vec::new();
    };
    let Ok(entries) = rustix::fs::Dir::new(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|e| e.file_type() == rustix::fs::FileType::Directory)
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "." && name != "..")
        .map(|name| format!("{path}/{name}"))
        .collect()
}

/// A directory in which all of the container's processes are listed.
fn listing(cgroup: &Cgroup) -> Option<&str> {
    if !cgroup.unified.is_empty() {
        return Some(&cgroup.unified);
    }
    let pids = cgroup.hierarchies.iter().find(|h| h.controllers.split(',').any(|c| c == "pids"));
    pids.or(cgroup.hierarchies.first()).map(|h| h.path.as_str())
}

/// The container's directory of a v1 controller.
pub(crate) fn v1<'a>(cgroup: &'a Cgroup, controller: &str) -> Option<&'a str> {
    let found = cgroup.hierarchies.iter().find(|h| h.controllers.split(',').any(|c| c == controller));
    found.map(|h| h.path.as_str())
}

pub(crate) fn cgroup_of(plan: &Plan) -> Result<&Cgroup, Error> {
    let there = |cgroup: &&Cgroup| !cgroup.unified.is_empty() || !cgroup.hierarchies.is_empty();
    plan.cgroup.as_ref().filter(there).ok_or_else(|| {
        Error::said(
            Kind::Unimplemented,
            "the container has no cgroup: its maker could not make one, and none was handed down",
        )
    })
}

/// Every process of the container, also those in cgroups it made itself, by their pids here.
///
/// # Errors
/// When the cgroup cannot be read.
pub fn pids(plan: &Plan) -> Result<Vec<i32>, Error> {
    let Some(place) = listing(cgroup_of(plan)?) else {
        return Err(Error::said(Kind::Unimplemented, "this host has no cgroups to list processes by"));
    };
    let mut pids = Vec::new();
    pids_below(place, &mut pids).tried(|| format!("read {place}/cgroup.procs"))?;
    Ok(pids)
}

fn pids_below(place: &str, pids: &mut Vec<i32>) -> Result<(), Errno> {
    let list = read_file(&format!("{place}/cgroup.procs"))?;
    pids.extend(list.lines().filter_map(|line| line.trim().parse::<i32>().ok()).filter(|pid| *pid > 0));
    for child in children(place) {
        let _ = pids_below(&child, pids);
    }
    Ok(())
}

/// Sends a signal to every process of the container.
///
/// # Errors
/// When the processes cannot be listed.
pub fn kill_all(plan: &Plan, signal: i32) -> Result<(), Error> {
    let cgroup = cgroup_of(plan)?;
    if signal == Signal::KILL.as_raw() && !cgroup.unified.is_empty() {
        match write_file(&format!("{}/cgroup.kill", cgroup.unified), "1") {
            // Before 5.14 there is no such file.
            Err(Errno::NOENT) => {}
            Ok(()) => return Ok(()),
            Err(errno) => {
                return Err(Error::kernel(&format!("kill everything in {}", cgroup.unified), errno));
            }
        }
    }
    for pid in pids(plan)? {
        let process = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let sent = process.map(|pidfd| sys::pidfd::send_signal(pidfd.as_fd(), signal));
        // Other refusals: it has ended meanwhile.
        if sent == Some(Err(Errno::INVAL)) {
            return Err(Error::said(Kind::InvalidInput, format!("{signal} is not a signal")));
        }
    }
    Ok(())
}

/// Stops or continues every process of the container.
///
/// # Errors
/// When the host has no freezer, or the kernel cannot stop the processes.
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
    wait_for(|| Ok(read_file(&events)?.contains(wanted))).tried(|| format!("freeze {}", cgroup.unified))
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

/// How many processes of the container the kernel has killed for memory.
///
/// # Errors
/// When the counter cannot be read.
pub fn oom_kills(plan: &Plan) -> Result<u64, Error> {
    let Ok(cgroup) = cgroup_of(plan) else { return Ok(0) };
    let path = match v1(cgroup, "memory") {
        Some(place) => format!("{place}/memory.oom_control"),
        None if !cgroup.unified.is_empty() => format!("{}/memory.events", cgroup.unified),
        None => return Ok(0),
    };
    let text = match read_file(&path) {
        Err(Errno::NOENT) => return Ok(0),
        other => other.tried(|| format!("read {path}"))?,
    };
    let count =
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|n| n.trim().parse().ok());
    Ok(count.unwrap_or(0))
}

/// Changes limits, all or none: on a refusal the values before are written back.
///
/// # Errors
/// The first refusal, by the name of the request field.
pub fn apply_writes(writes: &[Write]) -> Result<(), Error> {
    let mut before: Vec<(&Write, String)> = Vec::new();
    let mut postponed = Vec::new();
    for write in writes {
        // Two limits can depend on each other (memory, and memory with swap): the refused one is tried again after the other.
        if apply_write(write, &mut before).is_err() {
            postponed.push(write);
        }
    }
    for write in postponed {
        if let Err(error) = apply_write(write, &mut before) {
            for (write, value) in before.iter().rev() {
                let _ = write_file(&write.path, value);
            }
            return Err(error);
        }
    }
    Ok(())
}

fn apply_write<'a>(write: &'a Write, before: &mut Vec<(&'a Write, String)>) -> Result<(), Error> {
    let value = read_file(&write.path).unwrap_or_default();
    set(write)?;
    before.push((write, value.lines().next().unwrap_or_default().to_owned()));
    Ok(())
}

/// Writes one file; the error names the field that asked.
pub(crate) fn set(write: &Write) -> Result<(), Error> {
    write_file(&write.path, &write.value).map_err(|errno| refusal(write, errno))
}

pub(crate) fn refusal(write: &Write, errno: Errno) -> Error {
    let field = if write.field.is_empty() { "" } else { &write.field };
    let tried =
        format!("{field}{}write {} to {}", if field.is_empty() { "" } else { ": " }, write.value, write.path);
    Error::kernel(&tried, errno)
}

/// The directory handle that a clone enters.
pub(crate) fn open_directory(path: &str) -> Result<std::os::fd::OwnedFd, Error> {
    use rustix::fs::OFlags;
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| format!("open cgroup {path}"))
}
