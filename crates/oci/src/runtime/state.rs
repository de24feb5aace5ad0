//! What `state` prints and hooks read (runtime-spec, runtime.md#state).
use crate::lenient::{is_default, null_is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A container as the runtime sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// Version of the specification.
    #[serde(deserialize_with = "null_is_default")]
    pub oci_version: String,
    /// The container's id.
    #[serde(deserialize_with = "null_is_default")]
    pub id: String,
    /// Where in its life it is.
    #[serde(deserialize_with = "null_is_default")]
    pub status: ContainerState,
    /// Process id on the host; absent when it has ended.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub pid: i32,
    /// Absolute path of the bundle.
    #[serde(deserialize_with = "null_is_default")]
    pub bundle: String,
    /// As in the bundle's document.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
}

/// Where in its life a container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Being made.
    #[default]
    Creating,
    /// Made, the user's program not started.
    Created,
    /// The user's program runs.
    Running,
    /// Frozen. (Not in the specification; every runtime has it.)
    Paused,
    /// The user's program has ended.
    Stopped,
}
