//! The portable half of a container's configuration, and the creation call around it.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{HostConfig, NetworkingConfig, nil};

/// Body of `POST /containers/create`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerCreate {
    #[serde(flatten)]
    pub config: Config,
    #[serde(deserialize_with = "nil::or_default")]
    pub host_config: HostConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networking_config: Option<NetworkingConfig>,
    /// Fields that no version of the API has: ignored, as dockerd does.
    #[serde(flatten, skip_serializing)]
    pub other: Map<String, Value>,
}

/// What a container is, apart from the host it runs on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    #[serde(deserialize_with = "nil::or_default")]
    pub hostname: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub domainname: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub user: String,
    #[serde(deserialize_with = "nil::or_default")]
    pub attach_stdin: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub attach_stdout: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub attach_stderr: bool,
    /// Keys are `80/tcp`.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Map<String, Value>>,
    #[serde(deserialize_with = "nil::or_default")]
    pub tty: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub open_stdin: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub stdin_once: bool,
    #[serde(with = "nil::empty")]
    pub env: Vec<String>,
    /// `None` takes the image's; an empty list too.
    #[serde(deserialize_with = "nil::words::deserialize")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "nil::zero")]
    pub args_escaped: bool,
    #[serde(deserialize_with = "nil::or_default")]
    pub image: String,
    /// Keys are paths in the container.
    #[serde(with = "nil::empty")]
    pub volumes: BTreeMap<String, Map<String, Value>>,
    #[serde(deserialize_with = "nil::or_default")]
    pub working_dir: String,
    /// `None` takes the image's; an empty list does not; one empty word clears it.
    #[serde(deserialize_with = "nil::words::deserialize")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "nil::zero")]
    pub network_disabled: bool,
    /// Only below API 1.44; later in the endpoint's settings.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "nil::zero")]
    pub mac_address: String,
    #[serde(with = "nil::empty")]
    pub on_build: Vec<String>,
    #[serde(deserialize_with = "nil::or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "nil::zero")]
    pub stop_signal: String,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "nil::zero")]
    pub shell: Vec<String>,
}

/// A health probe. Times are nanoseconds, 0 means the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthConfig {
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "nil::zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub retries: i64,
}

/// Answer of a creation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerCreated {
    pub id: String,
    /// Always there, `[]` when there is nothing to say.
    #[serde(deserialize_with = "nil::or_default")]
    pub warnings: Vec<String>,
}
