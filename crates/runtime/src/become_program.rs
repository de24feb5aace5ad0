//! The last stretch: stdio, limits, identity, filter, exec.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use protocol::plan::{Process, Rlimit};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, fstat};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::thread::CapabilitySet;
use sys::process::StringList;
use types::Kind;

use crate::confine::{self, Confined};
use crate::console::Terminal;
use crate::error::{Error, Tried};
use crate::kernel::Proc;
use crate::report::{self, Report};
use crate::spawn::StdioFds;
use crate::tree::Tree;
use crate::{hold, home, hook, label, lookup, prepare, weak};

/// Arguments and environment as `execve` takes them.
#[derive(Debug)]
pub(crate) struct Program {
    args: StringList,
    env: StringList,
    /// The environment has no `HOME`: programs without it misbehave. The engine sets it; a bundle may leave it to us.
    homeless: bool,
}

impl Program {
    pub(crate) fn of(process: &Process) -> Result<Self, Error> {
        let nul = || Error::said(Kind::InvalidInput, "an argument or variable holds a NUL byte");
        let mut env = process.env.clone();
        if process.terminal && !env.iter().any(|e| e.starts_with("TERM=")) {
            env.push("TERM=xterm".into());
        }
        Ok(Self {
            args: StringList::new(&process.args).ok_or_else(nul)?,
            env: StringList::new(&env).ok_or_else(nul)?,
            homeless: !process.env.iter().any(|e| e.starts_with("HOME=")),
        })
    }

    /// Inside the container: looks up what is missing, for the program and those hooks that run in its stead.
    fn find_home(&mut self, process: &mut Process) {
        if !self.homeless {
            return;
        }
        let home = format!("HOME={}", home::of(process.uid));
        self.env.push(&home);
        for hook in process.start_hooks.iter_mut().filter(|hook| hook.env == process.env) {
            hook.env.push(home.clone());
        }
    }
}

/// What leads from the set-up child to the program.
pub(crate) struct Way<'a> {
    pub(crate) socket: BorrowedFd<'a>,
    pub(crate) stdio: StdioFds<'a>,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) hold: Option<BorrowedFd<'a>>,
    /// A missing working directory is made: for a container's first process, whose root nobody has used yet.
    pub(crate) makes_cwd: bool,
    pub(crate) warnings: Vec<String>,
    /// The host's `/proc`, where the process is to be labelled.
    pub(crate) labels: Option<Proc>,
    /// What hooks read.
    pub(crate) state: &'a str,
}

/// Does it all. Returns only on failure.
pub(crate) fn run(mut process: Process, mut program: Program, mut way: Way<'_>) -> Result<Infallible, Error> {
    program.find_home(&mut process);
    let process = &process;
    rustix::process::setsid().map(drop).or_else(already_leader).tried(|| "make a session")?;
    if !process.keep_keyring {
        make_keyring(process, &way)?;
    }
    set_stdio(process, &way)?;
    set_processors(process, &mut way.warnings)?;
    set_schedule(process)?;
    for limit in &process.rlimits {
        prepare::forgive(&limit.field, set_limit(limit), &mut way.warnings)?;
    }
    let cwd_pending = !enter(&process.cwd, way.makes_cwd)?;
    way.warnings.extend(become_user(process)?);
    if cwd_pending {
        rustix::process::chdir(&*process.cwd)
            .tried(|| format!("enter the working directory {}", process.cwd))?;
    }
    check_cwd(&process.cwd)?;
    rustix::process::umask(Mode::from_raw_mode(process.umask.unwrap_or(0o022)));
    label::next_program(way.labels.as_ref(), process)?;
    let confined = confine::prepare(process)?;
    let name = process.args.first().map_or("", String::as_str);
    let path = lookup::find(name, &process.env)?;
    sys::process::reset_signals().tried(|| "reset signals")?;
    if !weak::is_off("R06") {
        sys::process::close_on_exec_from(3).tried(|| "close descriptors")?;
    }
    tell(&mut way)?;
    let confined = confine::with_listener(process, confined, way.socket)?;
    report::send(way.socket, &Report::Ready).tried(|| "report to the supervisor")?;
    if let Some(fifo) = way.hold {
        wait_for_start(fifo, way.socket)?;
    }
    after_start(process, program, path, confined, &way).inspect_err(|error| {
        // Nobody listens at the socket any more.
        if let Some(fifo) = way.hold {
            hold::complain(fifo, error);
        }
    })
}

/// What comes after `start`.
fn after_start(
    process: &Process,
    program: Program,
    path: CString,
    confined: Confined,
    way: &Way<'_>,
) -> Result<Infallible, Error> {
    for hook in &process.start_hooks {
        hook::run_at_start(hook, way.state, &|| confine::complete(process, confined))?;
    }
    sys::process::inherit(3, process.preserve_fds).tried(|| "keep descriptors open")?;
    confine::complete(process, confined)?;
    let errno = sys::process::exec(&path, &program.args, &program.env);
    Err(lookup::exec_refusal(&path.to_string_lossy(), errno))
}

fn set_schedule(process: &Process) -> Result<(), Error> {
    if let Some(s) = process.scheduler {
        let policy = sys::schedule::Policy {
            policy: s.policy,
            flags: s.flags,
            nice: s.nice,
            priority: s.priority,
            runtime: s.runtime_ns,
            deadline: s.deadline_ns,
            period: s.period_ns,
        };
        sys::schedule::set_policy(&policy).tried(|| "process.scheduler: set the scheduling policy")?;
    }
    if let Some(priority) = process.io_priority {
        sys::schedule::set_io_priority(priority).tried(|| "process.ioPriority: set the priority of I/O")?;
    }
    if let Some(policy) = &process.memory_policy {
        sys::schedule::set_memory_policy(policy.mode, &policy.nodes)
            .tried(|| "linux.memoryPolicy: set the memory policy")?;
    }
    if let Some(domain) = process.personality {
        sys::schedule::set_personality(domain).tried(|| "linux.personality: set the execution domain")?;
    }
    Ok(())
}

fn already_leader(errno: Errno) -> Result<(), Errno> {
    if errno == Errno::PERM { Ok(()) } else { Err(errno) }
}

/// Keys of the caller's session are not for the program. Without keyrings there is nothing to keep apart; a full quota is no reason to
/// share the caller's keys either.
fn make_keyring(process: &Process, way: &Way<'_>) -> Result<(), Error> {
    let label = way.labels.as_ref().filter(|_| !process.selinux.is_empty());
    label::next_keyring(label, &process.selinux)?;
    match sys::process::new_session_keyring() {
        Ok(()) | Err(Errno::NOSYS | Errno::PERM) => {}
        Err(errno) => return Err(Error::kernel("make a session keyring", errno)),
    }
    label::next_keyring(label, "")
}

/// The caller may be held to some processors; where the container may run, its cpuset says, and an exec's document.
fn set_processors(process: &Process, warnings: &mut Vec<String>) -> Result<(), Error> {
    match &process.exec_affinity {
        Some(affinity) if !affinity.last.is_empty() => sys::schedule::use_processors(&affinity.last)
            .tried(|| "process.execCPUAffinity.final: run on these processors"),
        // Those of the beginning, as far as the cpuset has them: before Linux 6.2 entering one forgets them.
        Some(affinity) if !affinity.initial.is_empty() => {
            match sys::schedule::use_processors(&affinity.initial) {
                Err(Errno::INVAL) => Ok(()),
                other => other.tried(|| "process.execCPUAffinity.initial: run on these processors"),
            }
        }
        _ => {
            let spread = sys::schedule::use_every_processor().tried(|| "use every processor of the cpuset");
            prepare::forgive("", spread, warnings)
        }
    }
}

/// Warnings and the terminal.
fn tell(way: &mut Way<'_>) -> Result<(), Error> {
    let tried = || "report to the supervisor";
    for warning in way.warnings.drain(..) {
        report::send(way.socket, &Report::Warning(warning)).tried(tried)?;
    }
    if let Some(terminal) = way.terminal.take() {
        report::send(way.socket, &Report::Terminal(terminal.master)).tried(tried)?;
    }
    Ok(())
}

/// `create` is over, `start` will write a byte.
fn wait_for_start(fifo: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> Result<(), Error> {
    // The end of the report is what the creator waits for; nothing can be reported after it.
    rustix::net::shutdown(socket, rustix::net::Shutdown::Both).tried(|| "report to the creator")?;
    hold::wait(fifo)
}

/// Root of this user namespace, with every capability in it.
pub(crate) fn become_root() -> Result<(), Errno> {
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}

fn set_stdio(process: &Process, way: &Way<'_>) -> Result<(), Error> {
    let tried = || "set up stdio";
    match (&way.terminal, way.stdio) {
        (Some(terminal), _) => {
            rustix::process::ioctl_tiocsctty(&terminal.slave).tried(|| "take the terminal")?;
            let slave = terminal.slave.as_fd();
            place([slave, slave, slave]).tried(tried)?;
        }
        (None, StdioFds::Pipes(fds)) => place(fds).tried(tried)?,
        (None, StdioFds::Terminal { .. }) => {
            return Err(Error::said(Kind::InvalidInput, "the plan opens no terminal"));
        }
    }
    // The program opens /dev/stdout by its own rights.
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        own(fd, process.uid);
    }
    Ok(())
}

/// Gives a pipe or terminal to the user; what cannot be given (read-only, socket, /dev/null) stays.
fn own(fd: BorrowedFd<'_>, uid: u32) {
    const NULL_DEVICE: u64 = 1 << 8 | 3;
    if fstat(fd).is_ok_and(|stat| stat.st_uid != uid && stat.st_rdev != NULL_DEVICE) {
        let _ = fchown(fd, Some(Uid::from_raw(uid)), None);
    }
}

/// Makes the descriptors 0, 1 and 2.
fn place(fds: [BorrowedFd<'_>; 3]) -> Result<(), Errno> {
    // One that lies where another will go is moved away first.
    let mut moved: [Option<OwnedFd>; 3] = [None, None, None];
    for (index, fd) in fds.iter().enumerate() {
        if fd.as_raw_fd() < 3 && fd.as_raw_fd() != index as i32 {
            moved[index] = Some(fcntl_dupfd_cloexec(fd, 3)?);
        }
    }
    let source = |index: usize| moved[index].as_ref().map_or(fds[index], AsFd::as_fd);
    rustix::stdio::dup2_stdin(source(0))?;
    rustix::stdio::dup2_stdout(source(1))?;
    rustix::stdio::dup2_stderr(source(2))?;
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        fcntl_setfd(fd, FdFlags::empty())?;
    }
    Ok(())
}

fn set_limit(limit: &Rlimit) -> Result<(), Error> {
    sys::process::set_rlimit(limit.resource, limit.soft, limit.hard).tried(|| {
        let name = if limit.field.is_empty() { "resource limit" } else { &limit.field };
        format!("set {name} to {}:{}", limit.soft, limit.hard)
    })
}

/// Enters the working directory, made if missing and wanted. False: root may not, the user perhaps may.
fn enter(cwd: &str, make: bool) -> Result<bool, Error> {
    let tried = || format!("enter the working directory {cwd}");
    match change_directory(cwd) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS) => Ok(false),
        Err(Errno::NOENT) if make => {
            let made = Tree::new(open_root().tried(tried)?).directory(cwd);
            let made = made.map_err(|e| Error::said(e.kind(), format!("make the working directory: {e}")))?;
            rustix::process::fchdir(made).tried(tried)?;
            Ok(true)
        }
        Err(errno) => Err(Error::kernel(&tried(), errno)),
    }
}

/// As `chdir(2)`, but never through a magic link: `/proc/self/fd/<n>` would lead to whatever this process has open at
/// that moment (CVE-2024-21626).
fn change_directory(cwd: &str) -> Result<(), Errno> {
    if weak::is_off("R06") {
        return rustix::process::chdir(cwd);
    }
    let place = Tree::new(open_root()?).open(cwd, OFlags::PATH | OFlags::DIRECTORY)?;
    rustix::process::fchdir(place)
}

fn open_root() -> Result<OwnedFd, Errno> {
    rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// A working directory outside the root (a leaked handle) has no path in it (CVE-2024-21626).
fn check_cwd(cwd: &str) -> Result<(), Error> {
    let place = rustix::process::getcwd(Vec::new()).tried(|| format!("check the working directory {cwd}"))?;
    if place.as_bytes().first() == Some(&b'/') || weak::is_off("R06") {
        return Ok(());
    }
    Err(Error::said(Kind::Forbidden, format!("the working directory {cwd} is outside the container's root")))
}

/// Answers with what could not be done and need not.
fn become_user(process: &Process) -> Result<Option<String>, Error> {
    if let Some(capabilities) = &process.capabilities {
        drop_bounding(capabilities.bounding)?;
    }
    let counts = |group: &&u32| **group != process.gid || !weak::is_off("R15");
    let groups: Vec<Gid> = process.groups.iter().filter(counts).map(|g| Gid::from_raw(*g)).collect();
    let set = rustix::thread::set_thread_groups(&groups).tried(|| format!("set groups {:?}", process.groups));
    let warning = match set {
        // Where the kernel lets nobody set groups, those of the caller stay.
        Err(error) if process.unprivileged && error.kind() == Kind::Forbidden => {
            let asked = process.groups.iter().any(|group| *group != process.gid);
            asked.then(|| format!("process.user.additionalGids: {error}"))
        }
        other => other.map(|()| None)?,
    };
    let (uid, gid) = (Uid::from_raw(process.uid), Gid::from_raw(process.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).tried(|| format!("become group {}", process.gid))?;
    // Permitted capabilities stay over the change of user; the sets are set right afterwards.
    rustix::thread::set_keep_capabilities(true).tried(|| "keep capabilities")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).tried(|| format!("become user {}", process.uid))?;
    rustix::thread::set_keep_capabilities(false).tried(|| "keep capabilities")?;
    Ok(warning)
}

fn drop_bounding(keep: u64) -> Result<(), Error> {
    for number in 0..64 {
        if keep & 1 << number != 0 {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(
            1 << number,
        )) {
            Ok(()) => {}
            // Past the last one the kernel knows.
            Err(Errno::INVAL) => return Ok(()),
            Err(errno) => {
                return Err(Error::kernel(&format!("drop capability {number} from the bounding set"), errno));
            }
        }
    }
    Ok(())
}
