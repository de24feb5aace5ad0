//! One more process in a running container.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd};

use protocol::plan::{ExecPlan, NamespaceKind, Process};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sys::clone::{Clone, Side};
use types::Kind;

use crate::become_program::{self, Program};
use crate::cgroup;
use crate::console;
use crate::error::{Error, Tried};
use crate::join::{Visit, clone_flag};
use crate::kernel::{read_file, write_file};
use crate::label;
use crate::listener::Agent;
use crate::report::{self, Report};
use crate::spawn::{Starting, StdioFds, inherited, stdio_fds};
use crate::tree::Tree;

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
    let agent = Agent::of(process, &exec.container, state)?;
    let (ours, theirs) = report::pair().tried(|| "make a socket pair")?;
    let unified = match exec.cgroup.as_ref().map(|c| c.unified.as_str()) {
        Some(path) if !path.is_empty() => Some(cgroup::open_directory(path)?),
        _ => None,
    };
    let kinds: Vec<NamespaceKind> =
        exec.namespaces.iter().filter_map(|kind| NamespaceKind::try_from(*kind).ok()).collect();
    // The child is born in the container's pid namespace; the others it joins itself.
    let visit = if kinds.contains(&NamespaceKind::Pid) {
        Visit::join_pid_of(init).map_err(|e| gone(e, init_pid))?
    } else {
        Visit::default()
    };
    // The child's table is as long as its highest descriptor asks for, and the caller's number may be high.
    let init = rustix::io::fcntl_dupfd_cloexec(init, 3).tried(|| "copy a descriptor")?;
    let mut keep = stdio_fds(&stdio);
    keep.extend([theirs.as_fd(), init.as_fd()]);
    let what = Clone {
        cgroup: unified.as_ref().map(AsFd::as_fd),
        keep: &keep,
        inherited: inherited(process),
        ..Clone::default()
    };
    let held = Held::to(process)?;
    let side = match sys::clone::clone(&what) {
        // The container has cgroups of its own inside, so none may be in the one above: its first process knows where.
        Err(Errno::BUSY) if !exec.named_cgroup => {
            let own = cgroup::open_directory(&own_cgroup(exec, init_pid)?)?;
            sys::clone::clone(&Clone { cgroup: Some(own.as_fd()), ..what })
        }
        other => other,
    };
    match side.tried(|| format!("clone a process for the exec{}", place(exec)))? {
        Side::Child => {
            std::mem::forget((visit, ours, unified, held, agent));
            let Err(error) = enter(exec, init.as_fd(), &kinds, stdio, program, theirs.as_fd());
            let _ = report::send(theirs.as_fd(), &Report::Failed(error));
            sys::process::exit_now(1)
        }
        Side::Parent(pid, pidfd) => {
            drop((visit, held));
            Ok(Starting::of(pid, pidfd, ours).with(agent))
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

/// The v2 cgroup that the container's first process is in.
fn own_cgroup(exec: &ExecPlan, init_pid: i32) -> Result<String, Error> {
    let path = format!("/proc/{init_pid}/cgroup");
    let text = read_file(&path).tried(|| format!("read {path}"))?;
    let place = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let known = exec.cgroup.as_ref().map(|c| c.unified.as_str()).unwrap_or_default();
    let name = format!("/{}", exec.container);
    let below = place.split_once(&name).map(|(_, below)| below);
    below
        .filter(|below| !below.split('/').any(|part| part == ".."))
        .map(|below| format!("{known}{below}"))
        .ok_or_else(|| {
            Error::said(
                Kind::Conflict,
                format!("the container's first process is in another cgroup: {place}"),
            )
        })
}

fn gone(error: Error, pid: i32) -> Error {
    if error.kind() == Kind::NotFound {
        return Error::said(Kind::Conflict, format!("the container's first process ({pid}) has ended"));
    }
    error
}

fn enter(
    exec: &ExecPlan,
    init: BorrowedFd<'_>,
    kinds: &[NamespaceKind],
    stdio: StdioFds<'_>,
    program: Program,
    socket: BorrowedFd<'_>,
) -> Result<Infallible, Error> {
    // Before the container can see this process.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .tried(|| "hide from the container")?;
    let process = exec.process.clone().unwrap_or_default();
    let labels = label::handle(&process)?;
    if let Some(score) = process.oom_score_adj {
        let path = "self/oom_score_adj";
        let done = crate::kernel::Proc::open()?.write(path, &score.to_string());
        done.tried(|| format!("process.oomScoreAdj: write {score} to /proc/{path}"))?;
    }
    for hierarchy in exec.cgroup.iter().flat_map(|c| &c.hierarchies) {
        let path = format!("{}/tasks", hierarchy.path);
        write_file(&path, "0")
            .tried(|| format!("error adding pid {} to cgroup {path}", std::process::id()))?;
    }
    let joined = kinds.iter().filter(|kind| **kind != NamespaceKind::Pid);
    let flags = joined.map(|kind| clone_flag(*kind)).fold(0, |all, flag| all | flag);
    sys::process::join(init, flags).tried(|| "join the container's namespaces")?;
    if exec.users {
        become_program::become_root().tried(|| "become root of the user namespace")?;
    }
    let terminal = match stdio {
        StdioFds::Terminal { width, height } => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::open("/", flags, Mode::empty()).tried(|| "open the container's root")?;
            Some(console::open(&Tree::new(root), width, height)?)
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
        warnings: Vec::new(),
        state: "",
    };
    become_program::run(process, program, way)
}
