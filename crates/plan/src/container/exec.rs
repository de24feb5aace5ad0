//! One more process in a running container: the document's program under the container's rules.

use oci::runtime::Process as Document;
use protocol::Plan;
use protocol::plan::{Capabilities, ExecPlan, NamespaceKind};

use super::process;
use crate::Error;
use crate::facts::Facts;

/// What the caller decides beyond the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// Every capability this host can give, and no filter (`docker exec --privileged`).
    pub privileged: bool,
    /// The host's facts, as for the container.
    pub facts: Facts,
}

/// Decides an exec. What the document leaves open is the container's: capabilities, filter, `no_new_privs`.
///
/// # Errors
/// When the document contradicts itself or asks for something Berth does not have.
pub fn plan_exec(container: &Plan, document: &Document, options: &ExecOptions) -> Result<ExecPlan, Error> {
    let first =
        container.process.as_ref().ok_or_else(|| Error::invalid("the container's plan has no process"))?;
    let mut warnings = Vec::new();
    let mut process = process::process(document, &options.facts, &mut warnings)?;
    // Nobody reads the warnings of an exec.
    if let Some(warning) = warnings.pop() {
        return Err(Error::invalid(warning));
    }
    process.no_new_privs |= first.no_new_privs;
    if options.privileged {
        let all = (2_u64 << options.facts.last_capability) - 1;
        let all = if options.facts.bounding == 0 { all } else { all & options.facts.bounding };
        process.capabilities =
            Some(Capabilities { bounding: all, effective: all, inheritable: 0, permitted: all, ambient: 0 });
        process.no_new_privs = false;
    } else {
        process.capabilities = process.capabilities.or(first.capabilities);
        process.seccomp.clone_from(&first.seccomp);
    }
    process.umask = process.umask.or(first.umask);
    process.oom_score_adj = process.oom_score_adj.or(first.oom_score_adj);
    process.scheduler = process.scheduler.or(first.scheduler);
    process.io_priority = process.io_priority.or(first.io_priority);
    process.personality = first.personality;
    process.keep_keyring = first.keep_keyring;
    let namespaces = container
        .namespaces
        .iter()
        .filter(|n| NamespaceKind::try_from(n.kind).is_ok())
        .map(|n| n.kind)
        .collect();
    Ok(ExecPlan {
        container: container.id.clone(),
        process: Some(process),
        namespaces,
        cgroup: container.cgroup.clone(),
        users: container.users.is_some(),
    })
}
