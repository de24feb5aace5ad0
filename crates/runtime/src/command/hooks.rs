//! Hooks: programs of the caller's, run at points of a container's life with its state on stdin.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oci::runtime::{Hook, Hooks};
use serde_json::Value;

use super::output::Complaint;

/// When a hook runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    Prestart,
    CreateRuntime,
    Poststart,
    Poststop,
}

impl Moment {
    const fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// A failing hook before the start stops it; one after it is only told.
    const fn decides(self) -> bool {
        matches!(self, Self::Prestart | Self::CreateRuntime)
    }
}

/// The moments inside the container are not there.
pub(crate) fn refuse_unsupported(hooks: Option<&Hooks>) -> Result<(), Complaint> {
    let Some(hooks) = hooks else { return Ok(()) };
    for (name, list) in
        [("createContainer", &hooks.create_container), ("startContainer", &hooks.start_container)]
    {
        if !list.is_empty() {
            return Err(Complaint::new(format!("hooks.{name} is not supported")));
        }
    }
    Ok(())
}

/// Runs the hooks of a moment in order.
pub(crate) fn run(hooks: &Value, moment: Moment, state: &Value) -> Result<(), Complaint> {
    let list: Vec<Hook> = serde_json::from_value(hooks[moment.name()].clone()).unwrap_or_default();
    for hook in &list {
        if let Err(why) = run_one(hook, state) {
            let complaint = format!("{} hook {}: {why}", moment.name(), hook.path);
            if moment.decides() {
                return Err(Complaint::new(complaint));
            }
            eprintln!("berth-runtime: warning: {complaint}");
        }
    }
    Ok(())
}

fn run_one(hook: &Hook, state: &Value) -> Result<(), String> {
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    let env = hook.env.iter().filter_map(|e| e.split_once('='));
    command.env_clear().envs(env).stdin(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read its state.
        let _ = stdin.write_all(state.to_string().as_bytes());
    }
    let limit = hook.timeout.filter(|t| *t > 0).map(|t| Instant::now() + Duration::from_secs(t as u64));
    let status = loop {
        match (child.try_wait().map_err(|e| e.to_string())?, limit) {
            (Some(status), _) => break status,
            (None, Some(limit)) if Instant::now() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("took longer than its timeout".into());
            }
            (None, None) => break child.wait().map_err(|e| e.to_string())?,
            (None, _) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.success() { Ok(()) } else { Err(format!("failed with {status}")) }
}
