//! A container as a list of steps: document + root file system + facts of the host → plan.
//!
//! Pure. Every rule about the order of the steps is stated where the order is made ([`plan`] and [`mounts`]).

mod cgroup_tree;
mod devices;
mod exec;
mod hooks;
#[cfg(test)]
mod mount_tests;
mod mounts;
mod namespaces;
mod net_devices;
mod number_list;
mod options;
mod order;
mod print;
mod process;
mod rdt;
mod scheduling;
#[cfg(test)]
mod tests;

pub use exec::{ExecOptions, PlannedExec, plan_exec};
pub use options::MOUNT_OPTIONS;
pub use order::plan;
pub use print::{print, print_exec};
pub use scheduling::{MEMORY_FLAGS, MEMORY_MODES};

use protocol::Plan;
use protocol::plan::Seccomp;

/// What the caller decides beyond the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Parent of the container's cgroup when the document names none, absolute from the hierarchies' roots: `/berth`.
    pub cgroup_parent: String,
    /// Directory against which relative paths of the document are read (an OCI bundle). Empty: they are refused.
    pub bundle: String,
    /// The host's root cannot be detached from the container's mounts (it is an initramfs): change into the new one instead.
    pub no_pivot: bool,
    /// What became of the document's filter when it was planned before: the document itself has none then.
    pub filter: Option<Seccomp>,
}

/// A plan, and what the user should be told about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What was asked for and can only be partly honoured, one sentence each.
    pub warnings: Vec<String>,
}
