//! The small answers: wait, top, update.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use serde::{Deserialize, Serialize};

use crate::{Resources, RestartPolicy, nil};

/// Answer of a wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WaitResult {
    pub status_code: i64,
    /// Absent when the wait itself went well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<WaitError>,
}

/// Why a wait could not end well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WaitError {
    pub message: String,
}

/// One changed path of a container's root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FilesystemChange {
    pub path: String,
    /// 0 modified, 1 added, 2 deleted.
    pub kind: u8,
}

/// Answer of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Committed {
    pub id: String,
}

/// Answer of a top: a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TopResult {
    pub processes: Vec<Vec<String>>,
    pub titles: Vec<String>,
}

/// Body of an update: zero and absent fields stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateBody {
    #[serde(flatten)]
    pub resources: Resources,
    #[serde(deserialize_with = "nil::or_default")]
    pub restart_policy: RestartPolicy,
}

/// Answer of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateResult {
    #[serde(with = "nil::empty")]
    pub warnings: Vec<String>,
}
