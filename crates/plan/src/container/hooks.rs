//! Hooks that run on the way to the program. Those before `start` come while the host is still in sight, after the last mount
//! they may look for and before anything of it is made read-only; `startContainer` belongs to the program.

use oci::runtime::{Hook as Document, Hooks, Spec};
use protocol::plan::{Act, Hook, Nothing, Step};

use crate::Error;
use crate::cgroup::step;

/// Does anybody look for the root while it is not yet the root?
pub(super) fn see_the_root(spec: &Spec) -> bool {
    spec.hooks.as_ref().is_some_and(|h| waits(h) || !h.create_container.is_empty())
}

/// Steps before the root is switched.
pub(super) fn steps(spec: &Spec) -> Result<Vec<Step>, Error> {
    let Some(hooks) = &spec.hooks else { return Ok(Vec::new()) };
    for (moment, list) in [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ] {
        read(moment, list, &[])?;
    }
    let mut steps = Vec::new();
    if waits(hooks) {
        steps.push(step(Act::AwaitHooks(Nothing {})));
    }
    // As with runc, they find programs where the container's would.
    let env = spec.process.as_ref().map(|process| process.env.as_slice()).unwrap_or_default();
    let path: Vec<String> = env.iter().filter(|e| e.starts_with("PATH=")).cloned().collect();
    let inside = read("createContainer", &hooks.create_container, &path)?;
    steps.extend(inside.into_iter().map(|hook| step(Act::Hook(hook))));
    Ok(steps)
}

/// Those between `start` and the program. Without an environment of their own they get the program's, as runc has it.
pub(super) fn at_start(spec: &Spec, env: &[String]) -> Result<Vec<Hook>, Error> {
    spec.hooks.as_ref().map_or(Ok(Vec::new()), |h| read("startContainer", &h.start_container, env))
}

fn waits(hooks: &Hooks) -> bool {
    !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty()
}

fn read(moment: &str, list: &[Document], env: &[String]) -> Result<Vec<Hook>, Error> {
    let read_one = |(index, hook): (usize, &Document)| {
        if !hook.path.starts_with('/') {
            return Err(Error::invalid(format!(
                "hooks.{moment}[{index}]: path {:?} is not absolute",
                hook.path
            )));
        }
        let timeout_s = match hook.timeout {
            None => 0,
            Some(seconds) => u32::try_from(seconds).ok().filter(|s| *s > 0).ok_or_else(|| {
                Error::invalid(format!("hooks.{moment}[{index}]: timeout {seconds} is not positive"))
            })?,
        };
        Ok(Hook {
            name: format!("{moment} hook #{index}"),
            path: hook.path.clone(),
            args: hook.args.clone(),
            env: if hook.env.is_empty() { env.to_vec() } else { hook.env.clone() },
            timeout_s,
        })
    };
    list.iter().enumerate().map(read_one).collect()
}
