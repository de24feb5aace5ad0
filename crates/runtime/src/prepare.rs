//! The host side of a start: one arm per act, its undo beside it.

use std::os::fd::{AsFd, OwnedFd};

use protocol::Plan;
use protocol::plan::{Act, DeviceProgram, Step, Write};
use rustix::process::Signal;
use types::Kind;

use crate::error::{Error, Tried};
use crate::{cgroup, fault, hang, kernel, rdt};

/// Does the steps in order; on a failure undoes those done.
pub(crate) fn apply(plan: &Plan, warnings: &mut Vec<String>) -> Result<(), Error> {
    // Many writes go to one file (device lists): it is opened once.
    let mut open: Option<(String, OwnedFd)> = None;
    let mut refused: Vec<(usize, &Write)> = Vec::new();
    for (index, step) in plan.prepare.iter().enumerate() {
        let failed = fault::point(plan, index as u32);
        let done = match (failed, &step.act) {
            (Ok(()), Some(Act::Write(write))) => {
                // In a cgroup that was there, an old limit may stand in the way of a new one until the other half of it is new.
                let done = forgive(&write.field, apply_write(write, &mut open), warnings);
                done.or_else(|_| {
                    refused.push((index, write));
                    Ok(())
                })
            }
            (failed, _) => failed.and_then(|()| apply_one(step, warnings)),
        };
        if let Err(error) = done {
            undo(&plan.prepare[..index]);
            return Err(error.at_step(index as u32));
        }
    }
    for (index, write) in refused {
        if let Err(error) = apply_write(write, &mut None) {
            undo(&plan.prepare);
            return Err(error.at_step(index as u32));
        }
    }
    Ok(())
}

fn apply_one(step: &Step, warnings: &mut Vec<String>) -> Result<(), Error> {
    match &step.act {
        Some(Act::MakeCgroup(made)) => cgroup::make(made),
        Some(Act::DeviceProgram(filter)) => forgive(&filter.field, attach(filter), warnings),
        Some(Act::Class(class)) => rdt::make(class),
        Some(Act::HangRoot(hung)) => hang::hang(hung),
        _ => Err(Error::said(Kind::Internal, "this step cannot be done on the host's side")),
    }
}

/// What nobody asked for may be refused: it is told, not fatal.
pub(crate) fn forgive(field: &str, done: Result<(), Error>, warnings: &mut Vec<String>) -> Result<(), Error> {
    match done {
        Err(error) if field.is_empty() => {
            warnings.push(error.to_string());
            Ok(())
        }
        other => other,
    }
}

fn apply_write(write: &Write, open: &mut Option<(String, OwnedFd)>) -> Result<(), Error> {
    let write = cgroup::resolve(write);
    let refused = |errno| cgroup::refusal(write, errno);
    if open.as_ref().is_none_or(|(path, _)| *path != write.path) {
        *open = Some((write.path.clone(), kernel::open_for_write(&write.path).map_err(refused)?));
    }
    match open {
        Some((_, file)) => kernel::write_once(file.as_fd(), &write.value).map_err(refused),
        None => Ok(()),
    }
}

fn attach(filter: &DeviceProgram) -> Result<(), Error> {
    let tried = || format!("{}: attach the device filter to {}", filter.field, filter.cgroup);
    let program = sys::bpf::load_device_filter(&filter.program).tried(tried)?;
    let cgroup = rustix::fs::open(
        &*filter.cgroup,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .tried(tried)?;
    sys::bpf::set_device_filter(cgroup.as_fd(), program.as_fd()).tried(tried)
}

/// Undoes steps in reverse order, to the end, and returns what could not be undone.
pub(crate) fn undo(steps: &[Step]) -> Vec<Error> {
    let acts = steps.iter().rev().filter_map(|step| step.act.as_ref());
    let undone = acts.map(|act| match act {
        Act::MakeCgroup(made) => cgroup::remove(&made.path),
        Act::Class(class) => rdt::remove(class),
        Act::HangRoot(hung) => hang::take_down(hung),
        // Limits and filters go with their cgroup.
        _ => Ok(()),
    });
    undone.filter_map(Result::err).collect()
}

/// After the container's end: kills what is left in its cgroups and undoes the host's side of its start.
pub fn clean(plan: &Plan) -> Vec<Error> {
    // Again and again: on v1 a process that is killed may have forked before, and one may still be on its way in.
    for attempt in 0..100 {
        if crate::pids(plan).map_or(true, |pids| pids.is_empty()) {
            break;
        }
        if attempt == 0 {
            // A frozen process dies only when it is thawed.
            let _ = crate::freeze(plan, false);
        }
        let _ = crate::kill_all(plan, Signal::KILL.as_raw());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    undo(&plan.prepare)
}
