//! A user namespace: only somebody outside can write its id maps and map mounts through it, so the child waits
//! for its parent here. Without one, nobody waits.

use std::os::fd::{AsFd, BorrowedFd};

use protocol::Plan;
use protocol::plan::{Act, IdMap, Root};
use rustix::fs::{Mode, OFlags, open};

use crate::early::Early;
use crate::error::{Error, Tried};
use crate::id_helpers;
use crate::kernel::write_file;
use crate::report;
use crate::root::{self, Owner};

/// The parent: gives the child its ids and its root, and lets it go on.
pub(crate) fn let_go(plan: &Plan, pid: i32, socket: BorrowedFd<'_>, early: &Early) -> Result<(), Error> {
    let Some(users) = &plan.users else { return Ok(()) };
    if plan.joined_users().is_none() {
        id_helpers::write(users, pid)?;
    }
    if users.inside {
        return report::send_go(socket, None).tried(|| "wake the container's first process");
    }
    if let Some(score) = plan.process.as_ref().and_then(|p| p.oom_score_adj) {
        let path = format!("/proc/{pid}/oom_score_adj");
        write_file(&path, &score.to_string()).tried(|| format!("write {path}"))?;
    }
    let root = match root_of(plan) {
        Some(made) => {
            let path = format!("/proc/{pid}/ns/user");
            let namespace = open(&*path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .tried(|| format!("open {path}"))?;
            let owner =
                Owner { namespace: namespace.as_fd(), uid: outside(&users.uid), gid: outside(&users.gid) };
            early.map(plan, namespace.as_fd())?;
            Some(root::make(made, Some(owner))?)
        }
        None => None,
    };
    report::send_go(socket, root.as_ref().map(AsFd::as_fd)).tried(|| "wake the container's first process")
}

/// The plan's root.
pub(crate) fn root_of(plan: &Plan) -> Option<&Root> {
    plan.setup.iter().find_map(|step| match &step.act {
        Some(Act::Root(root)) => Some(root),
        _ => None,
    })
}

/// Who is 0 inside.
fn outside(maps: &[IdMap]) -> u32 {
    maps.iter().find(|m| m.inside == 0).map_or(0, |m| m.outside)
}

/// Maps as the kernel reads them.
pub(crate) fn lines(maps: &[IdMap]) -> String {
    maps.iter().map(|m| format!("{} {} {}\n", m.inside, m.outside, m.count)).collect()
}
