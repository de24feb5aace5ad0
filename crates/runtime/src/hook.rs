//! One hook: a program of the caller's, run to its end with the container's state on its stdin.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use protocol::plan::Hook;
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};
use serde_json::Value;
use types::Kind;

use crate::error::{Error, Tried};

/// The environment of a hook that has none of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Otherwise {
    /// Ours (runc does so for hooks on the host's side, and scripts rely on a `PATH`).
    Ours,
    /// None.
    Empty,
}

/// Runs a hook inside the container's namespaces, while the container is being made. As with runc, it begins in the container's
/// root.
pub(crate) fn run_inside(hook: &Hook, state: &str, root: BorrowedFd<'_>) -> Result<(), Error> {
    let tried = || format!("enter the root for {}", hook.name);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = rustix::fs::open(".", flags, Mode::empty()).tried(tried)?;
    rustix::process::fchdir(root).tried(tried)?;
    let done = run(hook, &seen_inside(state, "creating"), Otherwise::Empty);
    rustix::process::fchdir(own).tried(tried)?;
    done
}

/// Runs a hook in the program's stead, just before it. `confine` takes from it what the program will not have either.
pub(crate) fn run_at_start(
    hook: &Hook,
    state: &str,
    confine: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let document = seen_inside(state, "created");
    told(hook, attempt(hook, &document, Otherwise::Empty, &|command| spawn_confined(command, confine)))
}

/// This process has the pid that it sees itself.
fn seen_inside(state: &str, status: &str) -> String {
    let mut document: Value = serde_json::from_str(state).unwrap_or_default();
    document["pid"] = std::process::id().into();
    document["status"] = status.into();
    document.to_string()
}

/// Runs a hook.
pub(crate) fn run(hook: &Hook, state: &str, otherwise: Otherwise) -> Result<(), Error> {
    let spawn = |mut command: Command| command.spawn().map(|child| child.id()).map_err(|e| e.to_string());
    told(hook, attempt(hook, state, otherwise, &spawn))
}

fn told(hook: &Hook, done: Result<(), String>) -> Result<(), Error> {
    done.map_err(|why| Error::said(Kind::Internal, format!("error running {}: {why}", hook.name)))
}

/// The confinement is the child's alone: this process still has its own way to go.
fn spawn_confined(mut command: Command, confine: &dyn Fn() -> Result<(), Error>) -> Result<u32, String> {
    match sys::process::fork().map_err(crate::error::text_of)? {
        Some(pid) => Ok(pid as u32),
        None => {
            let why = match confine() {
                Ok(()) => command.exec().to_string(),
                Err(error) => error.to_string(),
            };
            // Its stderr may be in place or not yet; the parent has the code.
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("{why}\n").as_bytes());
            sys::process::exit_now(CANNOT_RUN)
        }
    }
}

/// The code of a hook that did not begin.
const CANNOT_RUN: i32 = 127;

fn attempt(
    hook: &Hook,
    state: &str,
    otherwise: Otherwise,
    spawn: &dyn Fn(Command) -> Result<u32, String>,
) -> Result<(), String> {
    // What it reads and what it says are files: nobody has to write or read while it runs.
    let (state, out, err) = (paper(state)?, paper("")?, paper("")?);
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    if !hook.env.is_empty() || matches!(otherwise, Otherwise::Empty) {
        command.env_clear().envs(hook.env.iter().filter_map(|e| e.split_once('=')));
    }
    let copy = |file: &File| file.try_clone().map(Stdio::from).map_err(|e| e.to_string());
    command.stdin(copy(&state)?).stdout(copy(&out)?).stderr(copy(&err)?);
    let child = spawn(command).map_err(|e| format!("{}: {e}", hook.path))?;
    let limit = (hook.timeout_s > 0).then(|| Duration::from_secs(u64::from(hook.timeout_s)));
    let status = wait(child, limit)?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{status}, stdout: {}, stderr: {}", read(&out), read(&err)))
}

fn wait(child: u32, limit: Option<Duration>) -> Result<ExitStatus, String> {
    let pid = Pid::from_raw(child as i32).ok_or("the hook has no process")?;
    let ask = |options| match rustix::process::waitpid(Some(pid), options) {
        Err(Errno::INTR) => Ok(None),
        other => other.map_err(crate::error::text_of),
    };
    let started = Instant::now();
    loop {
        let options = if limit.is_some() { WaitOptions::NOHANG } else { WaitOptions::empty() };
        if let Some((_, status)) = ask(options)? {
            return Ok(ExitStatus::from_raw(status.as_raw()));
        }
        if limit.is_some_and(|limit| started.elapsed() > limit) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = ask(WaitOptions::empty());
            return Err(format!("not done after {} s", started.elapsed().as_secs()));
        }
        if limit.is_some() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn paper(text: &str) -> Result<File, String> {
    let file = memfd_create("berth-hook", MemfdFlags::CLOEXEC).map(File::from).map_err(|e| e.to_string())?;
    file.write_all_at(text.as_bytes(), 0).map_err(|e| e.to_string())?;
    Ok(file)
}

/// Its first words: enough for a message.
fn read(file: &File) -> String {
    let mut buffer = [0; 1024];
    let length = file.read_at(&mut buffer, 0).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
}
