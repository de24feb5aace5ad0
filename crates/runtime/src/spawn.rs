//! Starting a container: the host's steps, one clone, and listening to the child until it has become the program.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::Plan;
use protocol::plan::{Act, NamespaceKind, Process};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use sys::clone::{Clone, Side};
use types::Kind;

use crate::early::Early;
use crate::error::{Error, Tried};
use crate::join::{Visit, clone_flag};
use crate::kernel::write_file;
use crate::listener::Agent;
use crate::net_devices::Moved;
use crate::report::{self, Report, Wait};
use crate::setup::{self, Child};
use crate::{become_program, cgroup, fault, net_devices, prepare, proxy, users, weak};

/// What is needed to start a container.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// The program's stdio.
    pub stdio: StdioFds<'a>,
    /// Descriptors that the plan refers to as `fd:<name>`.
    pub fds: &'a [(String, BorrowedFd<'a>)],
    /// The state document that hooks of the plan read, in JSON.
    pub state: &'a str,
}

/// Where a program's stdio comes from.
#[derive(Clone, Copy, Debug)]
pub enum StdioFds<'a> {
    /// These, as 0, 1 and 2.
    Pipes([BorrowedFd<'a>; 3]),
    /// A new terminal of the container's devpts; its master side is in [`Started::terminal`]. A size of 0 leaves the kernel's.
    Terminal {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
        /// A newline stays one character: whoever copies it to a terminal of his own has it become two there.
        plain: bool,
    },
}

/// A child that is on its way to its program. Dropping it kills the child and undoes what was done.
#[derive(Debug)]
pub struct Starting {
    pid: i32,
    pidfd: Option<OwnedFd>,
    socket: OwnedFd,
    warnings: Vec<String>,
    terminal: Option<OwnedFd>,
    /// Nothing but the exec is left.
    ready: bool,
    undo: Option<Plan>,
    /// Who is to have the listener of its filter.
    agent: Option<Agent>,
    /// Network devices that it has been given.
    moved: Option<Moved>,
}

/// A running program.
#[derive(Debug)]
pub struct Started {
    /// Its pid in the caller's pid namespace.
    pub pid: i32,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
    /// Master side of its terminal.
    pub terminal: Option<OwnedFd>,
    /// What was refused without being asked for, one sentence each.
    pub warnings: Vec<String>,
}

/// Does the plan's host side and clones the child. Returns at once; [`Starting::finish`] has the result.
///
/// # Errors
/// When a step of the host's side or the clone fails; everything done is undone.
pub fn spawn(launch: &Launch<'_>) -> Result<Starting, Error> {
    spawn_held(launch, None)
}

/// As [`spawn`]; with `hold`, the child stops before the exec, after [`Starting::finish`] has returned, until it can read a byte there.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_held(launch: &Launch<'_>, hold: Option<BorrowedFd<'_>>) -> Result<Starting, Error> {
    let plan = launch.plan;
    let mut warnings = Vec::new();
    prepare::apply(plan, &mut warnings)?;
    let clone_step = plan.prepare.len() as u32;
    match start_child(launch, hold, warnings) {
        Ok(starting) => Ok(starting),
        Err(error) => {
            prepare::undo(&plan.prepare);
            Err(error.at_step(clone_step))
        }
    }
}

fn start_child(
    launch: &Launch<'_>,
    hold: Option<BorrowedFd<'_>>,
    mut warnings: Vec<String>,
) -> Result<Starting, Error> {
    let plan = launch.plan;
    fault::point(plan, plan.prepare.len() as u32)?;
    let process =
        plan.process.as_ref().ok_or_else(|| Error::said(Kind::InvalidInput, "the plan has no process"))?;
    let program = become_program::Program::of(process)?;
    let agent = Agent::of(process, &plan.id, launch.state);
    let (ours, theirs) = report::pair().tried(|| "make a socket pair")?;
    let unified = match plan.cgroup.as_ref().map(|c| c.unified.as_str()) {
        Some(path) if !path.is_empty() => Some(cgroup::open_directory(path)?),
        _ => None,
    };
    let users = plan.joined_users().map(proxy::open).transpose()?;
    let joins = plan.namespaces.iter().any(|n| !n.path.is_empty());
    let one_way = users.is_some() || joins && process.unprivileged;
    let visit = if one_way && process.unprivileged {
        Visit::default()
    } else {
        Visit::join(&plan.namespaces, launch.fds)?
    };
    let early = Early::of(plan)?;
    let mut keep = stdio_fds(&launch.stdio);
    keep.extend([theirs.as_fd()].into_iter().chain(hold).chain(early.fds()));
    let what = Clone {
        namespaces: clone_flags(plan),
        cgroup: unified.as_ref().map(AsFd::as_fd),
        keep: &keep,
        inherited: inherited(process),
        ..Clone::default()
    };
    let through: Vec<BorrowedFd<'_>> =
        users.iter().map(AsFd::as_fd).chain(launch.fds.iter().map(|(_, fd)| *fd)).collect();
    let step_in = || step_in(launch, users.as_ref(), process.unprivileged);
    let door = one_way.then(|| proxy::Door {
        step_in: &step_in,
        keep: &through,
        theirs: theirs.as_fd(),
        ours: ours.as_fd(),
    });
    let inside = plan.users.as_ref().is_some_and(|users| users.inside);
    match clone_child(&what, door.as_ref(), inside, &mut warnings)? {
        Side::Child => {
            // Gone: the way back home belongs to the parent.
            std::mem::forget((visit, ours, unified, users));
            let (stdio, socket, state) = (launch.stdio, theirs.as_fd(), launch.state);
            setup::run(Child { plan, stdio, socket, early, hold, program, state })
        }
        Side::Parent(pid, pidfd) => {
            drop((visit, theirs));
            let mut starting = Starting::of(pid, pidfd, ours);
            (starting.warnings, starting.undo, starting.agent) = (warnings, Some(plan.clone()), agent);
            users::let_go(plan, pid, starting.socket.as_fd(), &early)?;
            crate::seal::close_tree();
            Ok(starting)
        }
    }
}

/// The proxy's way. Without rights over the host's namespaces it joins the others for good: as the caller, or, when that has no rights
/// at all, with those that are had inside.
fn step_in(launch: &Launch<'_>, users: Option<&OwnedFd>, for_good: bool) -> Result<Option<String>, Error> {
    let inside = launch.plan.users.as_ref().is_some_and(|users| users.inside);
    let join_others = || {
        if for_good {
            std::mem::forget(Visit::join(&launch.plan.namespaces, launch.fds)?);
        }
        Ok::<_, Error>(())
    };
    if !inside {
        join_others()?;
    }
    if let Some(users) = users {
        proxy::join_users(users.as_fd(), &[])?;
    }
    if inside {
        join_others()?;
    }
    Ok(None)
}

fn clone_child(
    what: &Clone<'_>,
    door: Option<&proxy::Door<'_>>,
    inside: bool,
    warnings: &mut Vec<String>,
) -> Result<Side, Error> {
    use rustix::process::DumpableBehavior::{Dumpable, NotDumpable};
    // An ordinary user may write the id maps of a child that is not hidden only, and it takes after its parent.
    if inside {
        let _ = rustix::process::set_dumpable_behavior(Dumpable);
    }
    let side = match door {
        Some(door) => proxy::clone(what, door, warnings),
        None => sys::clone::clone(what).tried(|| "clone the container's first process"),
    };
    if inside && !matches!(side, Ok(Side::Child)) {
        let _ = rustix::process::set_dumpable_behavior(NotDumpable);
    }
    side
}

/// Descriptors of a program's stdio.
pub(crate) fn stdio_fds<'a>(stdio: &StdioFds<'a>) -> Vec<BorrowedFd<'a>> {
    match stdio {
        StdioFds::Pipes(fds) => fds.to_vec(),
        StdioFds::Terminal { .. } => Vec::new(),
    }
}

/// How many of the caller's descriptors from 3 on the program is to have.
pub(crate) fn inherited(process: &Process) -> u32 {
    const MANY: u32 = 4096;
    if weak::is_off("R06") { MANY } else { process.preserve_fds }
}

/// Namespaces that the clone makes.
fn clone_flags(plan: &Plan) -> u64 {
    let made = plan.namespaces.iter().filter(|n| n.path.is_empty() && !n.late);
    let kinds = made.filter_map(|n| NamespaceKind::try_from(n.kind).ok());
    kinds.map(clone_flag).fold(0, |all, flag| all | u64::from(flag))
}

impl Starting {
    pub(crate) fn of(pid: i32, pidfd: OwnedFd, socket: OwnedFd) -> Self {
        let (warnings, terminal, ready, undo) = (Vec::new(), None, false, None);
        let (agent, moved) = (None, None);
        Self { pid, pidfd: Some(pidfd), socket, warnings, terminal, ready, undo, agent, moved }
    }

    /// With somebody who is to have the listener of its filter.
    pub(crate) fn with(mut self, agent: Option<Agent>) -> Self {
        self.agent = agent;
        self
    }

    pub(crate) fn warned(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Readable when [`Starting::is_over`] may have more to say.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The child's pid.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Takes what the child has told so far, without waiting: its program may lie on a file system that does not answer. When true,
    /// [`Starting::finish`] does not wait either.
    ///
    /// # Errors
    /// As [`Starting::finish`]; it is to be dropped then.
    pub fn is_over(&mut self) -> Result<bool, Error> {
        loop {
            match report::receive(self.socket.as_fd(), RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return Ok(false),
                heard => {
                    if self.hear(heard, &|_| Ok(()))? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Takes one report. True: it was the last.
    fn hear(
        &mut self,
        heard: Result<Report, Errno>,
        hooks: &dyn Fn(i32) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        match heard.tried(|| "listen to the container's first process")? {
            Report::Warning(text) => self.warnings.push(text),
            Report::Terminal(fd) => self.terminal = Some(fd),
            Report::Waiting(wait) => {
                match wait {
                    Wait::Hooks => hooks(self.pid)?,
                    Wait::Devices => self.give_devices()?,
                    Wait::Clocks => self.set_clocks()?,
                }
                report::send_go(self.socket.as_fd(), None).tried(|| "wake the container's first process")?;
            }
            // At once: what it does next may already need an answer.
            Report::Listener(fd) => match self.agent.take() {
                Some(agent) => {
                    agent.tell(fd.as_fd(), self.pid)?;
                    report::send_go(self.socket.as_fd(), None).tried(|| "wake the process with a filter")?;
                }
                None => return Err(Error::said(Kind::Internal, "nobody was to have the filter's listener")),
            },
            Report::Ready => self.ready = true,
            Report::Born(_) => return Err(Error::said(Kind::Internal, "the container was born twice")),
            Report::Failed(error) => return Err(error),
            Report::Closed if self.ready => return Ok(true),
            Report::Closed => return Err(self.died()),
        }
        Ok(false)
    }

    /// Waits until the child has executed its program (or, held, is about to).
    ///
    /// # Errors
    /// When a step of the child or the exec failed. The child is gone then, and everything on the host is undone.
    pub fn finish(self) -> Result<Started, Error> {
        self.finish_after(&|_| Ok(()))
    }

    /// As [`Starting::finish`]; `hooks` is called with the child's pid when a plan comes to the place of the caller's hooks.
    ///
    /// # Errors
    /// As [`Starting::finish`], and what `hooks` says.
    pub fn finish_after(mut self, hooks: &dyn Fn(i32) -> Result<(), Error>) -> Result<Started, Error> {
        loop {
            let heard = report::receive(self.socket.as_fd(), RecvFlags::empty());
            // The child has long closed its own.
            crate::seal::close_tree();
            if self.hear(heard, hooks)? {
                break;
            }
        }
        self.undo = None;
        if let Some(moved) = self.moved.take() {
            moved.settle();
        }
        let Some(pidfd) = self.pidfd.take() else {
            return Err(Error::said(Kind::Internal, "the start was finished twice"));
        };
        let (terminal, warnings) = (self.terminal.take(), std::mem::take(&mut self.warnings));
        Ok(Started { pid: self.pid, pidfd, terminal, warnings })
    }

    fn acts(&self) -> impl Iterator<Item = &Act> {
        self.undo.iter().flat_map(|plan| &plan.setup).filter_map(|step| step.act.as_ref())
    }

    fn give_devices(&mut self) -> Result<(), Error> {
        let wanted = self.acts().find_map(|act| match act {
            Act::NetDevices(list) => Some(list),
            _ => None,
        });
        self.moved = wanted.map(|list| net_devices::move_in(list, self.pid)).transpose()?;
        Ok(())
    }

    fn set_clocks(&self) -> Result<(), Error> {
        let lines = self.acts().find_map(|act| match act {
            Act::UnshareTime(offsets) => Some(&offsets.lines),
            _ => None,
        });
        let path = format!("/proc/{}/timens_offsets", self.pid);
        lines.map_or(Ok(()), |lines| write_file(&path, lines)).tried(|| "write linux.timeOffsets")
    }

    /// The child has closed its end without a word.
    fn died(&self) -> Error {
        let killed = self.undo.as_ref().and_then(|plan| crate::oom_kills(plan).ok()).is_some_and(|n| n > 0);
        let why = if killed { "the memory limit is too small for it" } else { "it was killed" };
        Error::said(
            Kind::Internal,
            format!("the container's first process ended before its program ran: {why}"),
        )
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let Some(pidfd) = self.pidfd.take() else { return };
        // While their namespace is still there.
        drop(self.moved.take());
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        if let Some(plan) = self.undo.take() {
            prepare::undo(&plan.prepare);
        }
    }
}
