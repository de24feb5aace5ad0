//! Messages of a progress stream: load, import, pull, build. One JSON object per line.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::nil;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stream: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub detail: Option<ProgressDetail>,
    /// A ready-made bar for old clients.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ProgressError>,
    /// The error's text once more, for old clients.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<Value>,
}

/// Where the work is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressDetail {
    #[serde(skip_serializing_if = "nil::zero")]
    pub current: i64,
    #[serde(skip_serializing_if = "nil::zero")]
    pub total: i64,
}

/// How the work failed, after the answer's status has gone out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressError {
    #[serde(skip_serializing_if = "nil::zero")]
    pub code: i64,
    pub message: String,
}

impl Progress {
    /// A line of plain text for the user.
    #[must_use]
    pub fn stream(text: impl Into<String>) -> Self {
        Self { stream: text.into(), ..Self::default() }
    }

    /// A status of the whole.
    #[must_use]
    pub fn status(text: impl Into<String>) -> Self {
        Self { status: text.into(), ..Self::default() }
    }

    /// The end of a stream that failed.
    #[must_use]
    pub fn failure(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            error: message.clone(),
            error_detail: Some(ProgressError { code: 0, message }),
            ..Self::default()
        }
    }
}
