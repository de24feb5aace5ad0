//! The child between clone and exec: replays the plan's steps. Nothing is decided here.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::Plan;
use protocol::plan::{ALL_BELOW, Act, Process, Sysctl};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MoveMountFlags, move_mount};
use sys::mount::{Change, PRIVATE, SHARED, set_attributes};
use types::Kind;

use crate::become_program::{self, Program};
use crate::console::{self, Terminal};
use crate::early::{self, Early};
use crate::error::{Error, Tried};
use crate::kernel::{self, Proc};
use crate::mounts;
use crate::report::{self, Report, Wait};
use crate::spawn::StdioFds;
use crate::tree::Tree;
use crate::{fault, hang, hook, jail, label, prepare, protect, root, users, weak};

/// What the child has from its parent.
pub(crate) struct Child<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) stdio: StdioFds<'a>,
    pub(crate) socket: BorrowedFd<'a>,
    pub(crate) early: Early,
    pub(crate) hold: Option<BorrowedFd<'a>>,
    pub(crate) program: Program,
    pub(crate) state: &'a str,
}

/// Becomes the program, or tells why not and ends.
pub(crate) fn run(child: Child<'_>) -> ! {
    let socket = child.socket;
    let Err(error) = become_container(child);
    let _ = report::send(socket, &Report::Failed(error));
    sys::process::exit_now(1)
}

/// State of the replay.
struct Setup<'a> {
    plan: &'a Plan,
    stdio: StdioFds<'a>,
    socket: BorrowedFd<'a>,
    state: &'a str,
    tree: Option<Tree>,
    /// Made by the parent, when there is a user namespace.
    root: Option<OwnedFd>,
    early: Early,
    host_proc: Option<Proc>,
    terminal: Option<Terminal>,
    warnings: Vec<String>,
}

fn become_container(child: Child<'_>) -> Result<std::convert::Infallible, Error> {
    let plan = child.plan;
    let inside = plan.users.as_ref().is_some_and(|users| users.inside);
    if !inside {
        hide();
    }
    rustix::process::umask(Mode::empty());
    let mut setup = Setup {
        plan,
        stdio: child.stdio,
        socket: child.socket,
        state: child.state,
        tree: None,
        root: None,
        early: child.early,
        host_proc: None,
        terminal: None,
        warnings: Vec::new(),
    };
    let first = plan.prepare.len() as u32 + 1;
    let begun = if plan.users.is_some() { setup.enter_users(inside) } else { setup.score() };
    begun.map_err(|e| e.at_step(first))?;
    let labels = plan.process.as_ref().map_or(Ok(None), label::handle)?;
    for (index, step) in plan.setup.iter().enumerate() {
        let number = first + index as u32;
        fault::point(plan, number)?;
        if let Some(act) = &step.act {
            setup.apply(act).map_err(|error| error.at_step(number))?;
        }
    }
    // While it waits for its start, nothing that it holds opens the host.
    setup.host_proc = None;
    let number = first + plan.setup.len() as u32;
    fault::point(plan, number)?;
    let mut process = plan.process.clone().unwrap_or_default();
    process.exec_affinity = None;
    let way = become_program::Way {
        labels,
        socket: child.socket,
        stdio: child.stdio,
        terminal: setup.terminal,
        hold: child.hold,
        makes_cwd: true,
        warnings: setup.warnings,
        state: child.state,
    };
    become_program::run(process, child.program, way).map_err(|error| error.at_step(number))
}

/// Nobody in the container may look into this process while it is still the runtime.
fn hide() {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

fn show() {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable);
}

impl Setup<'_> {
    /// In a new user namespace: waits until the ids are mapped, and becomes its root.
    fn enter_users(&mut self, inside: bool) -> Result<(), Error> {
        self.root = report::wait_go(self.socket).tried(|| "wait for the id maps")?;
        if inside {
            // A hidden process has no right to its own files in /proc; nobody else is in these namespaces yet, and the parent has
            // written the maps.
            show();
            self.score()?;
            hide();
            // As the caller: the container's root may be somebody else, who does not reach the caller's files.
            self.early = Early::open(self.plan)?;
            self.root = users::root_of(self.plan).map(|made| root::make(made, None)).transpose()?;
        }
        become_program::become_root().tried(|| "become root of the user namespace")
    }

    fn apply(&mut self, act: &Act) -> Result<(), Error> {
        match act {
            Act::EnterCgroup(path) => self.enter_cgroup(path),
            Act::UnshareCgroup(_) => {
                sys::process::unshare(CLONE_NEWCGROUP).tried(|| "make a cgroup namespace")
            }
            Act::UnshareTime(offsets) => self.unshare_time(&offsets.lines),
            Act::Hostname(name) => {
                sys::process::set_hostname(name).tried(|| format!("set the host name {name:?}"))
            }
            Act::Domainname(name) => {
                sys::process::set_domainname(name).tried(|| format!("set the domain name {name:?}"))
            }
            Act::Sysctl(sysctl) => self.sysctl(sysctl),
            Act::Loopback(_) => sys::loopback::up().tried(|| "bring the loopback interface up"),
            Act::Propagate(word) => {
                self.early.open_travelling(self.plan)?;
                propagate(*word)
            }
            Act::Root(made) => self.mount_root(made),
            Act::Filesystem(fs) => mounts::filesystem(tree(&mut self.tree)?, fs, &mut self.early),
            Act::Bind(bind) => mounts::bind(tree(&mut self.tree)?, bind, &mut self.early),
            Act::Node(n) => {
                let device = rustix::fs::makedev(n.major, n.minor);
                tree(&mut self.tree)?.node(&n.path, n.mode, device, (n.uid, n.gid))
            }
            Act::Link(link) => tree(&mut self.tree)?.link(&link.path, &link.text),
            Act::MakeDir(made) => tree(&mut self.tree)?.directory(&made.path).map(drop),
            Act::Console(path) => self.console(path),
            Act::ReadOnly(list) => protect::make_read_only(tree(&mut self.tree)?, &list.paths),
            Act::Mask(list) => protect::mask(tree(&mut self.tree)?, &list.paths),
            Act::Attributes(a) => mounts::attributes(tree(&mut self.tree)?, &a.target, a.set),
            Act::Pivot(_) => {
                let tree = tree(&mut self.tree)?;
                let cwd = self.plan.process.as_ref().map_or("", |process| &process.cwd);
                weak::make_directories("R18", tree.root(), cwd);
                jail::pivot(tree)
            }
            Act::Chroot(_) => {
                let root = self.plan.setup.iter().find_map(|step| match &step.act {
                    Some(Act::Root(root)) => Some(root.place.as_str()),
                    _ => None,
                });
                jail::enter(tree(&mut self.tree)?, root.unwrap_or_default())
            }
            Act::OpenRoot(path) => {
                self.tree = Some(hang::open(path)?);
                Ok(())
            }
            Act::ChangeRoot(_) => hang::change_root(tree(&mut self.tree)?.root()),
            Act::RootPropagation(word) => {
                let change = Change { propagation: *word & !ALL_BELOW, ..Change::default() };
                set_attributes(CWD, c"/", &change, *word & ALL_BELOW != 0)
                    .tried(|| "linux.rootfsPropagation: set the propagation of the root")
            }
            Act::AwaitHooks(_) => self.await_parent(Wait::Hooks),
            Act::NetDevices(_) => self.await_parent(Wait::Devices),
            Act::Hook(hook) => self.hook(hook),
            Act::Write(_) | Act::MakeCgroup(_) | Act::DeviceProgram(_) | Act::Class(_) | Act::HangRoot(_) => {
                Err(Error::said(Kind::Internal, "this step belongs to the host's side"))
            }
        }
    }

    fn host_proc(&mut self) -> Result<&Proc, Error> {
        match &mut self.host_proc {
            Some(proc) => Ok(proc),
            none => Ok(none.insert(Proc::open()?)),
        }
    }

    fn enter_cgroup(&mut self, path: &str) -> Result<(), Error> {
        match self.early.take(path) {
            Some(file) => kernel::write_once(file.as_fd(), "0"),
            None => kernel::write_file(path, "0"),
        }
        .tried(|| format!("enter cgroup {path}"))
    }

    /// For a child in a user namespace its parent does this, if it has the rights.
    fn score(&mut self) -> Result<(), Error> {
        let process = self.plan.process.as_ref().filter(|process| process.oom_score_adj.is_some());
        let Some(process) = process else { return Ok(()) };
        let warning = score(process, self.host_proc()?)?;
        self.warnings.extend(warning);
        Ok(())
    }

    fn sysctl(&mut self, sysctl: &Sysctl) -> Result<(), Error> {
        if sysctl.early {
            return Ok(());
        }
        let done = self.host_proc()?.set(sysctl);
        prepare::forgive(&sysctl.field, done, &mut self.warnings)
    }

    fn unshare_time(&mut self, lines: &str) -> Result<(), Error> {
        sys::process::unshare(CLONE_NEWTIME).tried(|| "make a time namespace")?;
        let inside = self.plan.users.as_ref().map(|users| users.inside);
        if inside == Some(false) {
            self.await_parent(Wait::Clocks)?;
        } else {
            let proc = self.host_proc()?;
            if inside == Some(true) {
                // As for the score.
                show();
            }
            let done = proc.write("self/timens_offsets", lines);
            hide();
            done.tried(|| "write linux.timeOffsets")?;
        }
        let path = "/proc/self/ns/time_for_children";
        let namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .tried(|| format!("open {path}"))?;
        sys::process::join(namespace.as_fd(), CLONE_NEWTIME).tried(|| "enter the time namespace")
    }

    /// Attaches the root on top of the host's "/": in this namespace only, and without needing any directory for it. Or where
    /// hooks will look for it.
    fn mount_root(&mut self, made: &protocol::plan::Root) -> Result<(), Error> {
        let mount = match self.root.take().or_else(|| self.early.take(early::ROOT)) {
            Some(mount) => mount,
            None => root::make(made, None)?,
        };
        let place = if made.place.is_empty() { "/" } else { &made.place };
        move_mount(&mount, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .tried(|| "attach the root")?;
        self.tree = Some(Tree::new(mount));
        Ok(())
    }

    fn await_parent(&self, wait: Wait) -> Result<(), Error> {
        let tried = || "wait for the parent";
        report::send(self.socket, &Report::Waiting(wait)).tried(tried)?;
        report::wait_go(self.socket).tried(tried).map(drop)
    }

    fn hook(&mut self, hook: &protocol::plan::Hook) -> Result<(), Error> {
        // Those that are kept open are the program's.
        if !weak::is_off("R06") {
            sys::process::close_on_exec_from(3).tried(|| "keep descriptors from a hook")?;
        }
        let ours = rustix::process::umask(Mode::from_raw_mode(0o022));
        let done = tree(&mut self.tree).and_then(|tree| hook::run_inside(hook, self.state, tree.root()));
        rustix::process::umask(ours);
        done
    }

    fn console(&mut self, path: &str) -> Result<(), Error> {
        let (width, height, plain) = match self.stdio {
            StdioFds::Terminal { width, height, plain } => (width, height, plain),
            StdioFds::Pipes(_) => return Ok(()),
        };
        let tree = tree(&mut self.tree)?;
        let terminal = console::open(tree, width, height, plain)?;
        if !path.is_empty() {
            console::bind(tree, &terminal, path)?;
        }
        self.terminal = Some(terminal);
        Ok(())
    }
}

/// Sets this process's OOM score. Without rights over the host it can only be raised: that it was not lowered is told.
pub(crate) fn score(process: &Process, proc: &Proc) -> Result<Option<String>, Error> {
    let Some(score) = process.oom_score_adj else { return Ok(None) };
    let path = "self/oom_score_adj";
    let done = proc.write(path, &score.to_string());
    let tried = done.tried(|| format!("process.oomScoreAdj: write {score} to /proc/{path}"));
    match tried {
        Err(error) if process.unprivileged && error.kind() == Kind::Forbidden => Ok(Some(error.to_string())),
        other => other.map(|()| None),
    }
}

const CLONE_NEWTIME: u32 = 0x0000_0080;
const CLONE_NEWCGROUP: u32 = 0x0200_0000;

fn tree(tree: &mut Option<Tree>) -> Result<&mut Tree, Error> {
    tree.as_mut().ok_or_else(|| Error::said(Kind::Internal, "the plan uses the root before it mounts it"))
}

/// From here on, mounts of this namespace do not travel to the host's.
fn propagate(word: u64) -> Result<(), Error> {
    // A shared tree stays shared, but not where the new root is attached.
    let (word, all) = if word == SHARED { (PRIVATE, false) } else { (word, true) };
    let change = Change { propagation: word, ..Change::default() };
    set_attributes(CWD, c"/", &change, all).tried(|| "separate the mounts from the host's")
}
