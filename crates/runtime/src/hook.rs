//! One hook: a program of the caller's, run to its end with the container's state on its stdin.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use protocol::plan::Hook;
use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::Value;
use types::Kind;

use crate::error::Error;

/// The environment of a hook that has none of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Otherwise {
    /// Ours (runc does so for hooks on the host's side, and scripts rely on a `PATH`).
    Ours,
    /// None.
    Empty,
}

/// Runs a hook inside the container's namespaces, where this process has the pid that it sees itself.
pub(crate) fn run_inside(hook: &Hook, state: &str, status: &str) -> Result<(), Error> {
    let mut document: Value = serde_json::from_str(state).unwrap_or_default();
    document["pid"] = std::process::id().into();
    document["status"] = status.into();
    run(hook, &document.to_string(), Otherwise::Empty)
}

/// Runs a hook.
pub(crate) fn run(hook: &Hook, state: &str, otherwise: Otherwise) -> Result<(), Error> {
    attempt(hook, state, otherwise)
        .map_err(|why| Error::said(Kind::Internal, format!("error running {}: {why}", hook.name)))
}

fn attempt(hook: &Hook, state: &str, otherwise: Otherwise) -> Result<(), String> {
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
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", hook.path))?;
    let limit = (hook.timeout_s > 0).then(|| Duration::from_secs(u64::from(hook.timeout_s)));
    let status = wait(&mut child, limit)?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{status}, stdout: {}, stderr: {}", read(&out), read(&err)))
}

fn wait(child: &mut std::process::Child, limit: Option<Duration>) -> Result<ExitStatus, String> {
    let started = Instant::now();
    loop {
        let ended = match limit {
            None => Some(child.wait().map_err(|e| e.to_string())?),
            Some(_) => child.try_wait().map_err(|e| e.to_string())?,
        };
        match ended {
            Some(status) => return Ok(status),
            None if limit.is_some_and(|limit| started.elapsed() > limit) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("not done after {} s", started.elapsed().as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
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
