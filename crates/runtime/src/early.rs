//! What the parent makes or opens before the clone. In a user namespace the child has neither the right to make these mounts nor to
//! walk to their sources, nor to open its cgroups. And what the child itself opens while its mounts are still shared with the host's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::Plan;
use protocol::plan::{Act, Bind};

use crate::error::{Error, Tried};
use crate::idmap::{self, Maps};
use crate::kernel::{Proc, open_for_write};
use crate::mounts::{make, open_source};
use crate::root;

/// Descriptors by target or path, in the plan's order.
#[derive(Debug, Default)]
pub(crate) struct Early {
    mounts: Vec<(String, OwnedFd)>,
    /// User namespaces that hold the id maps of a bind the child opens.
    users: Vec<(String, OwnedFd)>,
}

/// The root's target.
pub(crate) const ROOT: &str = "/";

impl Early {
    /// By the parent, unless it has no more rights than its child.
    pub(crate) fn of(plan: &Plan) -> Result<Self, Error> {
        match &plan.users {
            Some(users) if users.inside => Ok(Self::default()),
            _ => Self::open(plan),
        }
    }

    /// By whoever calls.
    pub(crate) fn open(plan: &Plan) -> Result<Self, Error> {
        let mut early = Self::default();
        let mut maps = Maps::default();
        let users = plan.users.is_some();
        for act in plan.setup.iter().filter_map(|s| s.act.as_ref()) {
            match act {
                Act::Bind(bind) if users || bind.maps.is_some() => {
                    early.bind(bind, users && !bind.late, &mut maps)?;
                }
                Act::Root(made) if made.propagation != 0 && !users => {
                    early.mounts.push((ROOT.to_owned(), root::make(made, None)?));
                }
                Act::EnterCgroup(path) if users => {
                    let file = open_for_write(path).tried(|| format!("open {path}"))?;
                    early.mounts.push((path.clone(), file));
                }
                Act::Sysctl(sysctl) if users && sysctl.early => Proc::open()?.set(sysctl)?,
                Act::Filesystem(fs) if fs.early => early.mounts.push((fs.target.clone(), make(fs, None)?)),
                _ => {}
            }
        }
        Ok(early)
    }

    /// Called by the child before its mounts are parted from the host's: opens what is to go on travelling between them.
    pub(crate) fn open_travelling(&mut self, plan: &Plan) -> Result<(), Error> {
        if plan.users.is_some() {
            return Ok(());
        }
        for act in plan.setup.iter().filter_map(|s| s.act.as_ref()) {
            if let Act::Bind(bind) = act
                && bind.early
            {
                self.mounts.push((bind.target.clone(), open_source(bind)?));
            }
        }
        Ok(())
    }

    fn bind(&mut self, bind: &Bind, open: bool, maps: &mut Maps) -> Result<(), Error> {
        let users = bind.maps.as_ref().map(|wanted| maps.namespace(wanted, bind)).transpose()?;
        if !open {
            self.users.extend(users.map(|users| (bind.target.clone(), users)));
            return Ok(());
        }
        let mount = open_source(bind)?;
        if let Some(users) = users {
            idmap::apply(&mount, bind, users.as_fd())?;
        }
        self.mounts.push((bind.target.clone(), mount));
        Ok(())
    }

    /// Maps the owners of those binds that ask for it through the container's user namespace.
    pub(crate) fn map(&self, plan: &Plan, users: BorrowedFd<'_>) -> Result<(), Error> {
        for act in plan.setup.iter().filter_map(|s| s.act.as_ref()) {
            let Act::Bind(bind) = act else { continue };
            let mapped = bind.mapped && bind.maps.is_none();
            if let Some((_, mount)) = self.mounts.iter().find(|(t, _)| mapped && *t == bind.target) {
                idmap::apply(mount, bind, users)?;
            }
        }
        Ok(())
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.mounts.iter().chain(&self.users).map(|(_, fd)| fd.as_fd())
    }

    /// The mount for a target.
    pub(crate) fn take(&mut self, target: &str) -> Option<OwnedFd> {
        take(&mut self.mounts, target)
    }

    /// The user namespace for a bind that is opened here.
    pub(crate) fn take_users(&mut self, target: &str) -> Option<OwnedFd> {
        take(&mut self.users, target)
    }
}

fn take(list: &mut Vec<(String, OwnedFd)>, target: &str) -> Option<OwnedFd> {
    let at = list.iter().position(|(t, _)| t == target)?;
    Some(list.remove(at).1)
}
