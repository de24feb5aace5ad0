//! One more process in a running container.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::plan::{ExecPlan, NamespaceKind, Process};
use rustix::fs::{Mode, OFlags};
use sys::clone::{Clone, Side};
use types::Kind;

use crate::become_program::{self, Program};
use crate::console;
use crate::error::{Error, Tried};
use crate::hang;
use crate::join::{Visit, join_of};
use crate::kernel::{Proc, read_file, write_file};
use crate::listener::Agent;
use crate::proxy::{self, Door};
use crate::report::{self, Report};
use crate::spawn::{Starting, StdioFds, inherited, stdio_fds};
use crate::tree::Tree;
use crate::{cgroup, label, setup};

/// What is needed to start one more process.
#[derive(Clone, Copy, Debug)]
pub struct Entrance<'a> {
    /// What to do.
    pub plan: &'a ExecPlan,
    /// The container's first process, a pidfd.
    pub init: BorrowedFd<'a>,
    /// Its pid.
    pub init_pid: i32,
    /// The program's stdio.
    pub stdio: StdioFds<'a>,
    /// The container's state document, in JSON, for whoever listens to the filter.
    pub state: &'a str,
}

/// Starts a process in a running container. It is a child of the caller.
///
/// # Errors
/// When the container cannot be entered or the clone fails.
pub fn spawn_exec(entrance: &Entrance<'_>) -> Result<Starting, Error> {
    let Entrance { plan: exec, init, init_pid, stdio, state } = *entrance;
    let process =
        exec.process.as_ref().ok_or_else(|| Error::said(Kind::InvalidInput, "the exec has no process"))?;
    let program = Program::of(process)?;
    let agent = Agent::of(process, &exec.container, state);
    let (ours, theirs) = report::pair().tried(|| "make a socket pair")?;
    let unified = unified(exec, init_pid)?;
    let kinds: Vec<NamespaceKind> =
        exec.namespaces.iter().filter_map(|kind| NamespaceKind::try_from(*kind).ok()).collect();
    // The child is born in the container's pid namespace; the others it joins itself.
    let joins_pid = kinds.contains(&NamespaceKind::Pid);
    let one_way = exec.from_inside || joins_pid && process.unprivileged;
    let visit = if joins_pid && !one_way {
        Visit::join_pid_of(init).map_err(|e| gone(e, init_pid))?
    } else {
        Visit::default()
    };
    // The child's table is as long as its highest descriptor asks for, and the caller's number may be high.
    let init = rustix::io::fcntl_dupfd_cloexec(init, 3).tried(|| "copy a descriptor")?;
    let root = if exec.changed_root { Some(hang::root_of(init_pid)?) } else { None };
    let mut keep = stdio_fds(&stdio);
    keep.extend([theirs.as_fd(), init.as_fd()]);
    keep.extend(root.as_ref().map(AsFd::as_fd));
    let what = Clone {
        cgroup: unified.as_ref().map(AsFd::as_fd),
        keep: &keep,
        inherited: inherited(process),
        few: crate::seal::is_command(),
        ..Clone::default()
    };
    let step_in = || step_in(exec, init.as_fd(), joins_pid);
    let through = [init.as_fd()];
    let door = one_way.then(|| Door {
        step_in: &step_in,
        keep: &through,
        theirs: theirs.as_fd(),
        ours: ours.as_fd(),
    });
    let held = Held::to(process)?;
    let mut warnings = Vec::new();
    let side = clone_process(exec, init_pid, &what, door.as_ref(), &mut warnings);
    match side.map_err(|e| gone(e, init_pid))? {
        Side::Child => {
            std::mem::forget((visit, ours, unified, held, agent));
            let into = Container { init: init.as_fd(), kinds: &kinds, root: root.as_ref().map(AsFd::as_fd) };
            let Err(error) = enter(exec, &into, stdio, program, theirs.as_fd());
            let _ = report::send(theirs.as_fd(), &Report::Failed(error));
            sys::process::exit_now(1)
        }
        Side::Parent(pid, pidfd) => {
            drop((visit, held));
            Ok(Starting::of(pid, pidfd, ours).with(agent).warned(warnings))
        }
    }
}

/// This process on the processors that the exec's document has for its beginning; dropping it gives the own ones back.
struct Held(Option<Vec<u64>>);

impl Held {
    fn to(process: &Process) -> Result<Self, Error> {
        let Some(wanted) = process.exec_affinity.as_ref().filter(|a| !a.initial.is_empty()) else {
            return Ok(Self(None));
        };
        let tried = || "process.execCPUAffinity.initial: run on these processors";
        let own = sys::schedule::processors().tried(tried)?;
        sys::schedule::use_processors(&wanted.initial).tried(tried)?;
        Ok(Self(Some(own)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(own) = &self.0 {
            let _ = sys::schedule::use_processors(own);
        }
    }
}

/// Where the clone was to put it.
fn place(exec: &ExecPlan) -> String {
    match exec.cgroup.as_ref().map(|c| c.unified.as_str()) {
        Some(path) if exec.named_cgroup && !path.is_empty() => format!(" into cgroup {path}"),
        _ => String::new(),
    }
}

fn clone_process(
    exec: &ExecPlan,
    init_pid: i32,
    what: &Clone<'_>,
    door: Option<&Door<'_>>,
    warnings: &mut Vec<String>,
) -> Result<Side, Error> {
    let mut clone = |cgroup| {
        let what = Clone { cgroup, ..*what };
        match door {
            Some(door) => proxy::clone(&what, door, warnings),
            None => sys::clone::clone(&what).tried(|| format!("clone a process for the exec{}", place(exec))),
        }
    };
    let unprivileged = exec.process.as_ref().is_some_and(|process| process.unprivileged);
    let may_be_elsewhere = what.cgroup.is_some() && !exec.named_cgroup;
    match clone(what.cgroup) {
        // The container has cgroups of its own inside, so none may be in the one above: its first process knows where.
        Err(error) if error.kind() == Kind::Conflict && may_be_elsewhere => {
            let own = cgroup::open_directory(&own_cgroup(init_pid)?)?;
            clone(Some(own.as_fd()))
        }
        // Somebody without rights over the host may be where no way leads to the container's cgroup from.
        Err(error) if error.kind() == Kind::Forbidden && unprivileged && may_be_elsewhere => {
            let side = clone(None)?;
            warnings.push(format!("the process is not in the container's cgroup: {error}"));
            Ok(side)
        }
        other => other,
    }
}

/// The v2 cgroup that the container's first process is in: somewhere below the container's, or wherever it has gone.
fn own_cgroup(init_pid: i32) -> Result<String, Error> {
    let path = format!("/proc/{init_pid}/cgroup");
    let text = read_file(&path).tried(|| format!("read {path}"))?;
    let place = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let mount = crate::facts::gather()?.cgroups.v2.map(|v2| v2.mount);
    match mount {
        // A place outside of what can be seen here begins with "/..".
        Some(mount) if place.starts_with('/') && !place.split('/').any(|part| part == "..") => {
            Ok(format!("{mount}{place}"))
        }
        _ => Err(Error::said(
            Kind::Conflict,
            format!("the container's first process is in a cgroup that cannot be seen from here: {place}"),
        )),
    }
}

/// The cgroup that the process is to be born in. Where the container's is gone, its first process has moved.
fn unified(exec: &ExecPlan, init_pid: i32) -> Result<Option<OwnedFd>, Error> {
    let path = exec.cgroup.as_ref().map(|c| c.unified.as_str()).filter(|path| !path.is_empty());
    let Some(path) = path else { return Ok(None) };
    match cgroup::open_directory(path) {
        Err(error) if error.kind() == Kind::NotFound && !exec.named_cgroup => {
            cgroup::open_directory(&own_cgroup(init_pid)?).map(Some)
        }
        other => other.map(Some),
    }
}

fn gone(error: Error, pid: i32) -> Error {
    if error.kind() == Kind::NotFound {
        return Error::said(Kind::Conflict, format!("the container's first process ({pid}) has ended"));
    }
    error
}

/// The proxy's way. An ordinary user has rights over the container's namespaces only inside its user namespace, and does before what
/// must be done as the one outside.
fn step_in(exec: &ExecPlan, init: BorrowedFd<'_>, joins_pid: bool) -> Result<Option<String>, Error> {
    let pid: &[NamespaceKind] = if joins_pid { &[NamespaceKind::Pid] } else { &[] };
    if !exec.from_inside {
        join_of(init, pid).tried(|| "join the container's pid namespace")?;
        return Ok(None);
    }
    let warning = enter_host_side(exec)?;
    // Inside it may be forbidden; whoever may do so here (root, in an ordinary user's container) leaves its own groups behind.
    let _ = rustix::thread::set_thread_groups(&[]);
    proxy::join_users(init, pid)?;
    Ok(warning)
}

/// What is to be done before the host is out of reach.
fn enter_host_side(exec: &ExecPlan) -> Result<Option<String>, Error> {
    let warning = match &exec.process {
        Some(process) if process.oom_score_adj.is_some() => {
            // A hidden process of an ordinary user has no right to its own files in /proc; the container does not see this one yet.
            if exec.from_inside {
                let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable);
            }
            setup::score(process, &Proc::open()?)?
        }
        _ => None,
    };
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .tried(|| "hide from the container")?;
    for hierarchy in exec.cgroup.iter().flat_map(|c| &c.hierarchies) {
        let path = format!("{}/tasks", hierarchy.path);
        write_file(&path, "0")
            .tried(|| format!("error adding pid {} to cgroup {path}", std::process::id()))?;
    }
    Ok(warning)
}

/// Where the child goes.
struct Container<'a> {
    /// The container's first process.
    init: BorrowedFd<'a>,
    /// Namespaces to take from it.
    kinds: &'a [NamespaceKind],
    /// Its root, when that is not its mount namespace's.
    root: Option<BorrowedFd<'a>>,
}

fn enter(
    exec: &ExecPlan,
    into: &Container<'_>,
    stdio: StdioFds<'_>,
    program: Program,
    socket: BorrowedFd<'_>,
) -> Result<Infallible, Error> {
    // Before the container can see this process.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .tried(|| "hide from the container")?;
    let process = exec.process.clone().unwrap_or_default();
    let labels = label::handle(&process)?;
    let warnings = if exec.from_inside { None } else { enter_host_side(exec)? };
    let done = |kind| kind == NamespaceKind::Pid || exec.from_inside && kind == NamespaceKind::User;
    let joined: Vec<NamespaceKind> = into.kinds.iter().copied().filter(|kind| !done(*kind)).collect();
    join_of(into.init, &joined).tried(|| "join the container's namespaces")?;
    into.root.map_or(Ok(()), hang::change_root)?;
    if exec.users && !exec.from_inside {
        become_program::become_root().tried(|| "become root of the user namespace")?;
    }
    let terminal = match stdio {
        StdioFds::Terminal { width, height, plain } => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::open("/", flags, Mode::empty()).tried(|| "open the container's root")?;
            Some(console::open(&Tree::new(root), width, height, plain)?)
        }
        StdioFds::Pipes(_) => None,
    };
    let way = become_program::Way {
        labels,
        socket,
        stdio,
        terminal,
        hold: None,
        makes_cwd: false,
        warnings: warnings.into_iter().collect(),
        state: "",
    };
    become_program::run(process, program, way)
}
