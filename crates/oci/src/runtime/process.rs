//! The program of a container, and what it may do (runtime-spec, config.md#process).
use crate::lenient::{is_default, null_is_default};
use serde::{Deserialize, Serialize};

/// A program to run in the container. `exec` takes the same document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Process {
    /// Give it a terminal instead of three pipes.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub terminal: bool,
    /// The terminal's first size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    /// Who it runs as.
    #[serde(deserialize_with = "null_is_default")]
    pub user: User,
    /// Program and arguments.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub args: Vec<String>,
    /// Windows only; kept so that it can be refused.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub command_line: String,
    /// Environment, `name=value`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub env: Vec<String>,
    /// Working directory, absolute.
    #[serde(deserialize_with = "null_is_default")]
    pub cwd: String,
    /// The five sets; absent means none is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<LinuxCapabilities>,
    /// Resource limits.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub rlimits: Vec<PosixRlimit>,
    /// Set `PR_SET_NO_NEW_PRIVS`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub no_new_privileges: bool,
    /// AppArmor profile name.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub apparmor_profile: String,
    /// Value of `/proc/self/oom_score_adj`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// Scheduling policy, as sched_setattr(2) takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    /// SELinux process label.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub selinux_label: String,
    /// I/O class and priority, as ioprio_set(2) takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<LinuxIoPriority>,
    /// CPU affinity of an exec'd process.
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<CpuAffinity>,
}

/// Size of a terminal in characters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq, Copy)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsoleSize {
    /// Rows.
    #[serde(deserialize_with = "null_is_default")]
    pub height: u32,
    /// Columns.
    #[serde(deserialize_with = "null_is_default")]
    pub width: u32,
}

/// Numeric identity of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct User {
    /// User id inside the container.
    #[serde(deserialize_with = "null_is_default")]
    pub uid: u32,
    /// Group id inside the container.
    #[serde(deserialize_with = "null_is_default")]
    pub gid: u32,
    /// File mode creation mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Supplementary groups.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub additional_gids: Vec<u32>,
    /// Windows only; kept so that it can be refused.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub username: String,
}

/// Capability sets, by name with the prefix `CAP_`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxCapabilities {
    /// What can ever be gained.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub bounding: Vec<String>,
    /// What is checked.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub effective: Vec<String>,
    /// What survives an exec of a file with inheritable bits.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub inheritable: Vec<String>,
    /// What can be made effective.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub permitted: Vec<String>,
    /// What survives an exec of an ordinary file.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub ambient: Vec<String>,
}

/// One resource limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct PosixRlimit {
    /// Name, `RLIMIT_NOFILE` and so on.
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub kind: String,
    /// Ceiling.
    #[serde(deserialize_with = "null_is_default")]
    pub hard: u64,
    /// Value in force.
    #[serde(deserialize_with = "null_is_default")]
    pub soft: u64,
}

/// Arguments of sched_setattr(2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Scheduler {
    /// `SCHED_OTHER`, `SCHED_FIFO`, `SCHED_RR`, `SCHED_BATCH`, `SCHED_ISO`, `SCHED_IDLE` or `SCHED_DEADLINE`.
    #[serde(deserialize_with = "null_is_default")]
    pub policy: String,
    /// Nice value, for `SCHED_OTHER` and `SCHED_BATCH`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub nice: i32,
    /// Static priority, for `SCHED_FIFO` and `SCHED_RR`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub priority: i32,
    /// `SCHED_FLAG_…` names.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub flags: Vec<String>,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub runtime: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub deadline: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub period: u64,
}

/// Arguments of ioprio_set(2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxIoPriority {
    /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
    #[serde(deserialize_with = "null_is_default")]
    pub class: String,
    /// 0 (highest) to 7.
    #[serde(deserialize_with = "null_is_default")]
    pub priority: i32,
}

/// CPU lists of an exec'd process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CpuAffinity {
    /// While it is being set up, before it joins the cgroup.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub initial: String,
    /// When the user's program runs.
    #[serde(rename = "final", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub final_: String,
}
