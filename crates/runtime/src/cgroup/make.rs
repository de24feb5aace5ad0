//! Making cgroups and removing them.

use std::time::Duration;

use protocol::plan::MakeCgroup;
use rustix::fs::{AtFlags, CWD, Mode, chownat, mkdir};
use rustix::io::Errno;
use rustix::process::Uid;
use types::Kind;

use super::{children, pids_below};
use crate::error::{Error, Tried};
use crate::kernel::{read_file, write_file};

const MODE: Mode = Mode::from_raw_mode(0o755);

/// Makes a cgroup and what is missing above it.
pub(crate) fn make(cgroup: &MakeCgroup) -> Result<(), Error> {
    let tried = || format!("make cgroup {}", cgroup.path);
    match mkdir(&*cgroup.path, MODE) {
        Err(Errno::NOENT) => {
            make_parents(cgroup)?;
            mkdir(&*cgroup.path, MODE).tried(tried)?;
        }
        Err(Errno::EXIST) if cgroup.keep => check_idle(&cgroup.path)?,
        // Left by somebody who died: usable when nothing is in it.
        Err(Errno::EXIST) => {
            remove(&cgroup.path).map_err(|_| {
                Error::said(Kind::Conflict, format!("cgroup {} exists and is in use", cgroup.path))
            })?;
            mkdir(&*cgroup.path, MODE).tried(tried)?;
        }
        other => other.tried(tried)?,
    }
    if !has(&cgroup.path, &cgroup.enable) {
        // A parent that somebody else made may hand nothing down.
        make_parents(cgroup)?;
    }
    if let Some(owner) = cgroup.owner {
        hand_over(&cgroup.path, owner).tried(|| format!("give cgroup {} to user {owner}", cgroup.path))?;
    }
    match cgroup.path.rsplit_once('/') {
        // Nor may its processors come down by themselves.
        Some((above, _)) if cgroup.seed => inherit_all(&cgroup.mount, above, &cgroup.path)
            .tried(|| format!("hand processors down to cgroup {}", cgroup.path))
            .inspect_err(|_| {
                let _ = rustix::fs::rmdir(&*cgroup.path);
            }),
        _ => Ok(()),
    }
}

/// A cgroup that was there may have limits, but no processes, and what is put into it must run.
fn check_idle(path: &str) -> Result<(), Error> {
    let mut pids = Vec::new();
    pids_below(path, &mut pids).tried(|| format!("read {path}/cgroup.procs"))?;
    let busy = |what: String| Err(Error::said(Kind::Conflict, format!("{what} ({path})")));
    if !pids.is_empty() {
        return busy(format!("container's cgroup is not empty: {} process(es) found", pids.len()));
    }
    let stopped = |file: &str, going: &str| {
        read_file(&format!("{path}/{file}")).is_ok_and(|state| state.trim() != going)
    };
    if stopped("freezer.state", "THAWED") || stopped("cgroup.freeze", "0") {
        return busy("container's cgroup unexpectedly frozen".to_owned());
    }
    Ok(())
}

/// Are these controllers (as `+cpu +memory`) switched on for the cgroup?
fn has(path: &str, controllers: &str) -> bool {
    if controllers.is_empty() {
        return true;
    }
    let there = read_file(&format!("{path}/cgroup.controllers")).unwrap_or_default();
    controllers.split(' ').all(|wanted| there.split_whitespace().any(|c| Some(c) == wanted.strip_prefix('+')))
}

/// Lets a user make cgroups below this one and move processes between them, and nothing else.
fn hand_over(path: &str, owner: u32) -> Result<(), Errno> {
    const FILES: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads";
    let files = read_file("/sys/kernel/cgroup/delegate").unwrap_or_else(|_| FILES.to_owned());
    let give = |place: &str| chownat(CWD, place, Some(Uid::from_raw(owner)), None, AtFlags::SYMLINK_NOFOLLOW);
    give(path)?;
    for file in files.lines().filter(|file| !file.is_empty()) {
        match give(&format!("{path}/{file}")) {
            // Which of them there are is a matter of the kernel and the controllers.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Makes the directories between the mount point and the cgroup, each handing down what it has.
fn make_parents(cgroup: &MakeCgroup) -> Result<(), Error> {
    let below = cgroup.path.strip_prefix(&cgroup.mount).unwrap_or(&cgroup.path);
    let mut place = cgroup.mount.clone();
    let parts: Vec<&str> = below.split('/').filter(|p| !p.is_empty()).collect();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        enable(&place, &cgroup.enable);
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
    enable(&place, &cgroup.enable);
    Ok(())
}

/// v2: switches controllers on for the children of `place`. One that cannot be had must not take the others along; whoever asks
/// for its limit will be told then.
fn enable(place: &str, controllers: &str) {
    if controllers.is_empty() {
        return;
    }
    let path = format!("{place}/cgroup.subtree_control");
    if write_file(&path, controllers).is_err() {
        for controller in controllers.split(' ') {
            let _ = write_file(&path, controller);
        }
    }
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
