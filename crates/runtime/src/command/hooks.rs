//! Hooks on the host's side: before the program's root is switched, after its start, and after the end of it all. Those inside the
//! container are steps of its plan.

use oci::runtime::Hook as Document;
use protocol::plan::Hook;
use serde_json::Value;

use super::output::Log;
use crate::Error;
use crate::hook::{self, Otherwise};

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
}

/// Runs the hooks of a moment in order, until one fails.
pub(crate) fn run(hooks: &Value, moment: Moment, state: &Value) -> Result<(), Error> {
    of(hooks, moment).iter().try_for_each(|hook| hook::run(hook, &state.to_string(), Otherwise::Ours))
}

/// Runs all hooks of a moment; a failure is only told.
pub(crate) fn run_all(hooks: &Value, moment: Moment, state: &Value, log: &Log) {
    for hook in of(hooks, moment) {
        if let Err(error) = hook::run(&hook, &state.to_string(), Otherwise::Ours) {
            log.warn(&error.to_string());
        }
    }
}

/// They were checked when the container was planned.
fn of(hooks: &Value, moment: Moment) -> Vec<Hook> {
    let list: Vec<Document> = serde_json::from_value(hooks[moment.name()].clone()).unwrap_or_default();
    let read = |(index, hook): (usize, Document)| Hook {
        name: format!("{} hook #{index}", moment.name()),
        path: hook.path,
        args: hook.args,
        env: hook.env,
        timeout_s: hook.timeout.and_then(|t| u32::try_from(t).ok()).unwrap_or(0),
    };
    list.into_iter().enumerate().map(read).collect()
}
