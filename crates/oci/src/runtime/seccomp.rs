//! The system call filter (runtime-spec, config-linux.md#seccomp).
use crate::lenient::{is_default, null_is_default};
use serde::{Deserialize, Serialize};

/// A filter: what happens when no rule matches, and the rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxSeccomp {
    /// When no rule matches.
    #[serde(deserialize_with = "null_is_default")]
    pub default_action: LinuxSeccompAction,
    /// Errno (or trace message) of the default action; absent: `EPERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_…` names beside the host's own.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_…` names.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub flags: Vec<String>,
    /// Unix socket that receives the notification descriptor.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub listener_path: String,
    /// Opaque text sent along with it.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub listener_metadata: String,
    /// The rules.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub syscalls: Vec<LinuxSyscall>,
}

/// What the kernel does with a system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LinuxSeccompAction {
    /// Kill the thread (the old name of `KillThread`).
    #[default]
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    /// Kill the process.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// Kill the thread.
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// Send `SIGSYS`.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// Fail with an errno.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// Ask a tracer.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// Let it pass.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// Let it pass and log it.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// Ask a supervisor through the notification descriptor.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// One rule: these calls, with arguments like these, get this action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxSyscall {
    /// System call names.
    #[serde(deserialize_with = "null_is_default")]
    pub names: Vec<String>,
    /// What happens.
    #[serde(deserialize_with = "null_is_default")]
    pub action: LinuxSeccompAction,
    /// Errno (or trace message); absent: `EPERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions, all of which must hold.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub args: Vec<LinuxSeccompArg>,
}

/// A condition on one argument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxSeccompArg {
    /// Which argument, 0 to 5.
    #[serde(deserialize_with = "null_is_default")]
    pub index: u32,
    /// What it is compared with; the mask of `SCMP_CMP_MASKED_EQ`.
    #[serde(deserialize_with = "null_is_default")]
    pub value: u64,
    /// The value after masking.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub value_two: u64,
    /// How.
    #[serde(deserialize_with = "null_is_default")]
    pub op: LinuxSeccompOperator,
}

/// Comparison of an argument, unsigned and 64 bits wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LinuxSeccompOperator {
    /// Not equal.
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    /// Less.
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    /// Less or equal.
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    /// Equal.
    #[default]
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    /// Greater or equal.
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    /// Greater.
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    /// Equal after masking.
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}
