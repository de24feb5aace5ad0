//! Further processes in a running container.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use serde::{Deserialize, Serialize};

use crate::nil;

/// Body of `POST /containers/{id}/exec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecCreate {
    #[serde(deserialize_with = "nil::or_default")]
    pub user: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub privileged: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub tty: bool,
    /// Height, width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<[u32; 2]>,
    #[serde(deserialize_with = "nil::or_default")]
    pub attach_stdin: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub attach_stderr: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub attach_stdout: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub detach: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub detach_keys: String,
    #[serde(with = "nil::empty")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub working_dir: String,
    #[serde(with = "nil::empty")]
    pub cmd: Vec<String>,
}

/// Answer of an exec's creation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecCreated {
    pub id: String,
}

/// Body of `POST /exec/{id}/start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecStart {
    #[serde(deserialize_with = "nil::or_default")]
    pub detach: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub tty: bool,
    /// Height, width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<[u32; 2]>,
}

/// Answer of `GET /exec/{id}/json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecInspect {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Running")]
    pub running: bool,
    /// `null` until it has ended.
    #[serde(rename = "ExitCode")]
    pub exit_code: Option<i64>,
    #[serde(rename = "ProcessConfig")]
    pub process_config: ExecProcess,
    #[serde(rename = "OpenStdin")]
    pub open_stdin: bool,
    #[serde(rename = "OpenStderr")]
    pub open_stderr: bool,
    #[serde(rename = "OpenStdout")]
    pub open_stdout: bool,
    #[serde(rename = "CanRemove")]
    pub can_remove: bool,
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// Base64, empty for the default.
    #[serde(rename = "DetachKeys")]
    pub detach_keys: String,
    #[serde(rename = "Pid")]
    pub pid: i64,
}

/// The process of an exec. Its names are lower case on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecProcess {
    pub tty: bool,
    pub entrypoint: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub arguments: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
}
