//! Image configuration (image-spec, config.md) with the fields that Docker adds.
use crate::lenient::{is_default, null_is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The document whose digest is the image's id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageConfig {
    /// When it was made, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub author: String,
    /// CPU architecture, Go's name.
    #[serde(deserialize_with = "null_is_default")]
    pub architecture: String,
    /// Variant of the architecture.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub variant: String,
    /// Operating system, Go's name.
    #[serde(deserialize_with = "null_is_default")]
    pub os: String,
    /// Version of the operating system.
    #[serde(rename = "os.version", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub os_version: String,
    /// Features of the operating system that it needs.
    #[serde(
        rename = "os.features",
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub os_features: Vec<String>,
    /// Defaults of its containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ContainerConfig>,
    /// Its layers.
    #[serde(deserialize_with = "null_is_default")]
    pub rootfs: RootFs,
    /// How each layer came about.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub history: Vec<History>,
}

/// Defaults for containers made of the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// Docker: host name at build time.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub hostname: String,
    /// Docker: domain name at build time.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub domainname: String,
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub user: String,
    /// Ports it listens on, `80/tcp`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub exposed_ports: BTreeMap<String, Nothing>,
    /// Environment, `name=value`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub env: Vec<String>,
    /// Program and first arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments, or the whole command when there is no entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Directories that hold data.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub volumes: BTreeMap<String, Nothing>,
    /// Working directory.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub working_dir: String,
    /// Free-form names and values.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks it to end.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub stop_signal: String,
    /// Docker: how to see that it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Docker: Windows command line is already escaped.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub args_escaped: bool,
    /// Docker: instructions for images built on this one.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub on_build: Vec<String>,
    /// Docker: shell of the shell form of commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Docker: seconds between the stop signal and the kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
}

/// A command that says whether the container is well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Eq)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`, `CMD` and arguments, or `CMD-SHELL` and one text; empty: inherit.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub test: Vec<String>,
    /// Nanoseconds between checks.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub interval: i64,
    /// Nanoseconds for one check.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub timeout: i64,
    /// Nanoseconds in which failures do not count.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub start_period: i64,
    /// Nanoseconds between checks during the start period.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub retries: i64,
}

/// The empty object, value of the sets `ExposedPorts` and `Volumes`. Reads anything: some writers put `null` there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nothing {}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}

/// The layers of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub kind: String,
    /// Digests of the uncompressed layers, bottom first.
    #[serde(rename = "diff_ids", deserialize_with = "null_is_default")]
    pub diff_ids: Vec<String>,
}

/// How one layer came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct History {
    /// When, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(rename = "created_by", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub created_by: String,
    /// By whom.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub author: String,
    /// Remark.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub comment: String,
    /// It changed no file.
    #[serde(
        rename = "empty_layer",
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub empty_layer: bool,
}
