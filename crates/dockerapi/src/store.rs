//! `POST /berth/store/check`, a call of Berth's own: what a check of the store found.

use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StoreCheck {
    /// What was found damaged, and mended, when the store was opened; a sentence each.
    pub opened: Vec<String>,
    /// What the check found, and what it did about it; a sentence each.
    pub findings: Vec<String>,
    /// How many of the findings were repaired.
    pub repaired: u64,
    /// Whether something is wrong still.
    pub damaged: bool,
    /// All of it in a sentence.
    pub summary: String,
}
